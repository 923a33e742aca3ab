package sse

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/leatstream/leat/engine"
)

// rowsOf is a fetch of one partition at a time (epoch ms); value "" is a tombstone.
func rowsOf(part engine.Partition, off, at int64, keyValues ...string) []*engine.Rows {
	r := &engine.Rows{Partition: part}
	for i := 0; i < len(keyValues); i += 2 {
		r.Keys = append(r.Keys, []byte(keyValues[i]))
		var v []byte
		if keyValues[i+1] != "" {
			v = []byte(keyValues[i+1])
		}
		r.Values = append(r.Values, v)
		r.Offsets, r.Times = append(r.Offsets, off+int64(i/2)), append(r.Times, at)
	}
	return []*engine.Rows{r}
}

func keysOf(rows []row) string {
	var keys []string
	for _, r := range rows {
		k := r.key
		if r.value == nil {
			k = "†" + k
		}
		keys = append(keys, k)
	}
	return strings.Join(keys, " ")
}

func TestTableKeepsTheOrderOfChanges(t *testing.T) {
	tb := newTable(defaults(boardSpec(1)))
	tb.apply(rowsOf(0, 0, 0, "a", `{}`, "b", `{}`, "c", `{}`), nil, 0)
	v := tb.version
	tb.apply(rowsOf(0, 3, 0, "a", `{}`, "b", "", "nobody", ""), nil, 0)
	if rows, ok := tb.since(v); !ok || keysOf(rows) != "a †b †nobody" {
		t.Errorf("since: %s, %v", keysOf(rows), ok)
	}
	if got := keysOf(tb.all()); got != "c a" || tb.live != 2 {
		t.Errorf("all: %s, live %d", got, tb.live)
	}
	if rows, reason := tb.above([]int64{3}); reason != "" || keysOf(rows) != "a †b †nobody" {
		t.Errorf("above: %s, %s", keysOf(rows), reason)
	}
}

func TestTableForgetsTombstonesAndSaysSo(t *testing.T) {
	spec := defaults(boardSpec(1))
	tb := newTable(spec)
	tb.apply(rowsOf(0, 0, 0, "a", `{}`, "b", `{}`), nil, 0)
	v := tb.version
	tb.apply(rowsOf(0, 2, 1000, "a", "", "b", "", "b", `{}`), nil, 1000)
	w := tb.version
	end := 1000 + spec.ResumeWindow.Milliseconds()
	tb.forget(end)
	if _, ok := tb.since(v); !ok {
		t.Error("forgotten too early")
	}
	tb.forget(end + 1)
	if _, ok := tb.since(v); ok {
		t.Error("a client from before a forgotten tombstone got a delta: it would keep the row")
	}
	if rows, ok := tb.since(w); !ok || len(rows) != 0 || tb.live != 1 || len(tb.rows) != 1 {
		t.Errorf("since the newest: %v %v; live %d of %d", rows, ok, tb.live, len(tb.rows))
	}
	if _, reason := tb.above([]int64{2}); reason != reasonTooOld {
		t.Errorf("cursor from before: %q", reason)
	}
	if rows, reason := tb.above([]int64{3}); reason != "" || keysOf(rows) != "b" {
		t.Errorf("cursor from behind it: %q %s", reason, keysOf(rows))
	}
}

func TestTableLeavesOutWhatIsNoRow(t *testing.T) {
	spec := defaults(boardSpec(1))
	spec.Windowed = true
	tb := newTable(spec)
	tb.apply(rowsOf(0, 0, 0, "a", `{"window_end":5`, "b", `[1]`, "c", `{"n":1}`, "d", `{"window_end":"x"}`, "e", ` {"window_end":5} `, markPrefix+"x", `{}`, markPrefix+"70000", `{}`), nil, 0)
	if keysOf(tb.all()) != "e" || tb.bad != 6 || tb.pos[0] != 7 {
		t.Errorf("rows %s, bad %d, position %d", keysOf(tb.all()), tb.bad, tb.pos[0])
	}
}

// A stream row written twice (at least once) must not push itself out.
func TestTableStreamRowTwice(t *testing.T) {
	spec := defaults(boardSpec(1))
	spec.Stream, spec.MaxRows = true, 2
	tb := newTable(spec)
	tb.apply(rowsOf(0, 0, 0, "o/1", `{}`, "o/2", `{}`, "o/1", `{}`, "o/2", `{}`), nil, 0)
	if got := keysOf(tb.all()); got != "o/1 o/2" {
		t.Errorf("rows: %s", got)
	}
	tb.apply(rowsOf(0, 4, 0, "o/3", `{}`), nil, 0)
	if got := keysOf(tb.all()); got != "o/2 o/3" {
		t.Errorf("rows: %s", got)
	}
}

// A key that moved to another partition is not deleted by the old one.
func TestTableKeyMovesBetweenPartitions(t *testing.T) {
	tb := newTable(defaults(boardSpec(2)))
	tb.apply(rowsOf(0, 0, 0, "a", `{"n":1}`), nil, 0)
	tb.apply(rowsOf(1, 0, 0, "a", `{"n":2}`), nil, 0)
	tb.apply(rowsOf(0, 1, 0, "a", ""), nil, 0)
	if got := keysOf(tb.all()); got != "a" {
		t.Errorf("rows: %q", got)
	}
}

func TestCursorRoundTrip(t *testing.T) {
	for _, v := range [][]int64{{}, {0}, {1 << 62}, {5, 3, 1 << 40, 0}, make([]int64, 256)} {
		got, reason := decodeCursor(encodeCursor("e-1", v), "e-1", len(v))
		if reason != "" || !slices.Equal(got, v) {
			t.Errorf("%v: %v %s", v, got, reason)
		}
	}
	big := make([]int64, 256)
	for i := range big {
		big[i] = int64(i * 7919 % 100000 * 1000)
	}
	if n := len(encodeCursor("deadbeef00-1", big)); n > 2000 {
		t.Errorf("a cursor of 256 partitions has %d bytes", n)
	}
}

func FuzzCursor(f *testing.F) {
	f.Add("v1.e.AQI")
	f.Add("v1.e." + strings.Repeat("_", 40))
	f.Fuzz(func(t *testing.T, s string) {
		if v, reason := decodeCursor(s, "e", 1); reason == "" && (len(v) != 1 || v[0] < 0) {
			t.Errorf("%q: %v", s, v)
		}
	})
}

// FuzzField compares the scanner with encoding/json.
func FuzzField(f *testing.F) {
	f.Add(`{"a":1,"window_end":5}`)
	f.Add(` { "b" : [ {"a":"}\"]"} ] , "a" : "x\\" } `)
	f.Add(`{"a":{"a":2},"a":null}`)
	f.Add(`{"\u0061":true}`)
	f.Fuzz(func(t *testing.T, s string) {
		var want map[string]json.RawMessage
		if json.Unmarshal([]byte(s), &want) != nil || want == nil {
			_, _ = field([]byte(s), "a") // must not panic
			return
		}
		for _, name := range []string{"a", "b", "window_end"} {
			raw, ok := field([]byte(s), name)
			w, has := want[name]
			if ok != has || string(raw) != string(w) {
				t.Errorf("%q of %s: %s %v, want %s %v", name, s, raw, ok, w, has)
			}
		}
	})
}

// BenchmarkApply is a view of 100,000 windows rows catching up.
func BenchmarkApply(b *testing.B) {
	spec := defaults(boardSpec(1))
	spec.Windowed = true
	var kv []string
	for i := range 1000 {
		kv = append(kv, fmt.Sprintf(`{"country":"c%d","window_end":%d}`, i, i%60), fmt.Sprintf(`{"country":"c%d","orders":%d,"revenue":12.5,"window_start":0,"window_end":%d,"final":true}`, i, i, i%60))
	}
	rows := rowsOf(0, 0, 0, kv...)
	tb := newTable(spec)
	b.ReportAllocs()
	for b.Loop() {
		tb.apply(rows, nil, 0)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/row")
}
