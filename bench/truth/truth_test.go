package truth

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
)

func TestEventsAreTheOriginalText(t *testing.T) {
	sum := sha256.Sum256(Lines(Events()))
	if got := hex.EncodeToString(sum[:]); got != EventsSHA256 {
		t.Fatalf("sha256 of the events is %s, want %s", got, EventsSHA256)
	}
}

// The answers once more, by the plainest program there is.
func TestAnswersFollowFromTheEvents(t *testing.T) {
	for _, c := range []struct {
		name      string
		want      Answers
		advanceMS int64
		windows   int
	}{
		{"tumbling60", Tumbling60(), 60_000, 48_944},
		{"hopping60_10", Hopping60By10(), 10_000, 293_094},
	} {
		got := recompute(t, c.want.SizeMS, c.advanceMS)
		if len(c.want.Windows) != c.windows || len(got) != c.windows {
			t.Fatalf("%s: %d in the file, %d computed, want %d", c.name, len(c.want.Windows), len(got), c.windows)
		}
		for w, a := range got {
			if c.want.Windows[w] != a {
				t.Fatalf("%s %v: %+v in the file, %+v computed", c.name, w, c.want.Windows[w], a)
			}
		}
	}
}

func recompute(t *testing.T, sizeMS, advanceMS int64) map[Window]Answer {
	t.Helper()
	out := map[Window]Answer{}
	for _, e := range Events() {
		var row struct{ Temp float64 }
		if err := json.Unmarshal(e.Value, &row); err != nil {
			t.Fatal(err)
		}
		v := int64(math.Round(row.Temp * 100))
		for start := e.TS - e.TS%advanceMS; start > e.TS-sizeMS; start -= advanceMS {
			w := Window{e.Key, start}
			a, ok := out[w]
			if !ok {
				a = Answer{Min: v, Max: v}
			}
			out[w] = Answer{a.Count + 1, a.Sum + v, min(a.Min, v), max(a.Max, v)}
		}
	}
	return out
}

func TestShuffledStaysWithinItsBound(t *testing.T) {
	const boundMS = 120_000
	for seed := uint64(1); seed <= 3; seed++ {
		got, seen := int64(0), map[string]int{}
		for _, e := range Shuffled(Events(), boundMS, seed) {
			if got-e.TS >= boundMS {
				t.Fatalf("seed %d: a row %d ms behind", seed, got-e.TS)
			}
			got = max(got, e.TS)
			seen[string(e.Value)]++
		}
		if len(seen) != EventCount {
			t.Fatalf("seed %d: %d different events, want %d", seed, len(seen), EventCount)
		}
	}
}

// The judge itself is judged: the right rows pass, each kind of fault is named.
func TestCheckNamesEachFault(t *testing.T) {
	want := Answers{SizeMS: 60_000, Windows: map[Window]Answer{
		{"a", 0}: {Count: 2, Sum: 300, Min: 100, Max: 200}, {"b", 60_000}: {Count: 1, Sum: 500, Min: 500, Max: 500}}}
	a := `{"sensor_id":"a","window_start":0,"window_end":60000,"count":2,"sum":3,"min":1,"max":2,"avg":1.5}`
	b := `{"sensor_id":"b","window_start":60000,"window_end":120000,"count":1,"sum":5.0000000001,"min":5,"max":5,"avg":5}`
	for _, c := range []struct{ rows, want string }{
		{a + "\n" + b, ""},
		{a, "1 missing"},
		{a + "\n" + b + "\n" + a, "1 repeated"},
		{strings.Replace(a, `"sum":3`, `"sum":3.00001`, 1) + "\n" + b, "1 wrong"},
		{strings.Replace(a, `"min":1`, `"min":1.0000000001`, 1) + "\n" + b, "1 wrong"},
		{strings.Replace(a, `"count":2`, `"count":3`, 1) + "\n" + b, "1 wrong"},
		{a + "\n" + b + "\n" + strings.Replace(a, `:0,`, `:10000,`, 1), "1 made up"},
		{strings.Replace(a, `60000`, `60001`, 1) + "\n" + b, "1 made up"},
		{a + "\n" + b + "\n{", "1 unreadable"},
		{a + "\n" + b + "\n" + strings.Replace(a, `"avg":1.5`, `"avg":null`, 1), "1 unreadable"},
	} {
		check := NewCheck(want)
		for _, row := range strings.Split(c.rows, "\n") {
			check.Row([]byte(row))
		}
		got := fmt.Sprint(check.Done())
		if c.want == "" && got != "<nil>" || !strings.Contains(got+" ", c.want) {
			t.Errorf("%s\ngot %s, want %q", c.rows, got, c.want)
		}
	}
}
