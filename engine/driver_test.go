package engine_test

import (
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/leatstream/leat/engine"
)

// TestDriverMoves runs the manual once more, with every task rebuilt, and then
// with every task moved, behind each command: what comes out is the same. It
// stops where the clock has moved, as who starts counts silence and throttles
// anew, and counters are of a task's life.
func TestDriverMoves(t *testing.T) {
	for name, move := range map[string]func(*engine.Driver) error{
		"restart": (*engine.Driver).Restart, "rebalance": (*engine.Driver).Rebalance,
	} {
		moves := 0
		t.Run(name, func(t *testing.T) {
			datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
				if !strings.HasSuffix(path, ".txt") {
					return
				}
				var m *manual
				clocked := false
				datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
					switch d.Cmd {
					case "pipeline":
						m, clocked = newManual(t, d), d.HasArg("throttle")
						return m.said()
					case "counters":
						return d.Expected
					case "clock":
						clocked = true
					}
					said := m.run(t, d)
					if !clocked && d.Cmd != "close" && !strings.Contains(said, "error: ") {
						moves++
						if err := move(m.d); err != nil {
							t.Fatal(err)
						}
						if len(m.out) > 0 {
							said += "behind the move: " + m.said()
						}
					}
					return said
				})
			})
		})
		if moves < 20 {
			t.Errorf("%s: the manual gave only %d places to move", name, moves)
		}
	}
}
