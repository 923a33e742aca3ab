package operators

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/leatstream/leat/engine"
)

// TestAlertsDoNotDependOnBatches: what each key is told, and when, is the same
// whether rows come one by one, all at once, or with restarts and aborts in
// between: quiet hours and silence are a matter of event time alone.
func TestAlertsDoNotDependOnBatches(t *testing.T) {
	for c := range max(*cases/20, 30) {
		s := *seed + uint64(c)
		r := rand.New(rand.NewPCG(s, 17))
		keys := map[string]string{"key": "k", "when": "temp > 80"}
		for key, values := range map[string][]string{
			"resolve": {"", "temp < 75"}, "repeat": {"", "20m"}, "after": {"", "5m", "30m"}, "drop": {"", "true"},
			"priority": {"", `temp > 95 ? "urgent" : temp > 90 ? "high" : "normal"`}, "let_through": {"", "high", "temp > 97"},
			"quiet": {"", "00:10-00:20", "23:50-00:20; 00:40-00:50"},
		} {
			keys[key] = values[(c+r.IntN(2))%len(values)]
		}
		var lines []string
		at := int64(0)
		for range 60 {
			at += r.Int64N(400)
			if r.IntN(20) == 0 {
				at += 85_000
			}
			lines = append(lines, fmt.Sprintf("%d %c %d", max(0, at-r.Int64N(60)), 'a'+rune(r.IntN(3)), 70+r.IntN(30)))
		}
		run := func(most int, trouble bool) string {
			g := &rig{t: t, in: schema(t, "k string, temp double")}
			verbs["alert"](t, g, keys)
			g.start()
			defer g.close()
			var told []string
			commit := func() {
				g.commit(false)
				for _, o := range g.rows {
					told = append(told, o.text(true))
				}
				g.rows, g.notes = nil, nil
			}
			for rest := lines; len(rest) > 0; {
				n := min(len(rest), 1+r.IntN(most))
				batch := func() {
					g.process(g.batch(rest[:n]))
					g.advance(g.seen[0], &engine.Budget{Rows: 1 + r.IntN(100), Bytes: 1 << 30})
				}
				switch {
				case trouble && r.IntN(4) == 0:
					commit()
					g.restart()
				case trouble && r.IntN(4) == 0:
					commit()
					batch()
					g.rows, g.notes = nil, nil
					g.rollback()
				}
				batch()
				rest = rest[n:]
			}
			g.advance(g.seen[0], &engine.Budget{Rows: 1000, Bytes: 1 << 30})
			commit()
			slices.SortStableFunc(told, func(a, b string) int { return strings.Compare(a[:3], b[:3]) }) // by key
			return strings.Join(told, "\n")
		}
		want := run(1, false)
		for name, got := range map[string]string{"all at once": run(1000, false), "anyhow": run(8, true)} {
			if got != want {
				t.Fatalf("seed %d, %v\n%s\n%s:\n%s\none by one:\n%s", s, keys, strings.Join(lines, "\n"), name, got, want)
			}
		}
		if c == 0 && want == "" {
			t.Error("nothing is told")
		}
	}
}
