package operators

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/leatstream/leat/engine"
)

// quietOf reads quiet hours, spans with semicolons between: from-to, zone, days.
// drop: true and let_through: <priority or expression> beside them.
func quietOf(t testing.TB, in *engine.Schema, keys map[string]string) *Quiet {
	if keys["quiet"] == "" {
		return nil
	}
	q := &Quiet{Drop: keys["drop"] == "true"}
	for _, text := range strings.Split(keys["quiet"], ";") {
		words := strings.Fields(text)
		from, to, _ := strings.Cut(words[0], "-")
		s := QuietSpan{From: clock(t, from), To: clock(t, to), Zone: time.UTC, Days: [7]bool{true, true, true, true, true, true, true}}
		if len(words) > 1 {
			var err error
			if s.Zone, err = time.LoadLocation(words[1]); err != nil {
				t.Fatal(err)
			}
		}
		if len(words) > 2 {
			for d := range s.Days {
				s.Days[d] = slices.Contains(strings.Split(words[2], ","), strings.ToLower(time.Weekday(d).String()[:3]))
			}
		}
		q.Spans = append(q.Spans, s)
	}
	switch through := keys["let_through"]; {
	case slices.Contains(AlertLevels, through):
		q.FromLevel = slices.Index(AlertLevels, through)
	case through != "":
		q.Through = compile(t, through, in)
	}
	return q
}

func clock(t testing.TB, text string) time.Duration {
	var h, m int
	if _, err := fmt.Sscanf(text, "%d:%d", &h, &m); err != nil {
		t.Fatal(err)
	}
	return time.Duration(h)*time.Hour + time.Duration(m)*time.Minute
}

// quietUntil answers for times, a line each, whether it is quiet and until when.
func quietUntil(t *testing.T, d *datadriven.TestData) string {
	var spans string
	var out strings.Builder
	for _, line := range lines(d.Input) {
		if text, ok := strings.CutPrefix(line, "quiet:"); ok {
			spans = text
			continue
		}
		q := quietOf(t, nil, map[string]string{"quiet": spans})
		at, err := time.Parse("Mon 2006-01-02 15:04 -0700", line)
		if err != nil {
			t.Fatal(err)
		}
		switch end, quiet := q.End(at.UnixMilli()); {
		case q.Endless():
			fmt.Fprintf(&out, "%s: for ever\n", line)
		case quiet:
			fmt.Fprintf(&out, "%s: until %s\n", line, time.UnixMilli(end).In(q.Spans[0].Zone).Format("Mon 2006-01-02 15:04 -0700"))
		default:
			fmt.Fprintf(&out, "%s: no\n", line)
		}
	}
	return out.String()
}
