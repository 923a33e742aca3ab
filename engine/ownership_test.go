package engine_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/leatstream/leat/engine"
)

// TestStartAt runs testdata/start/at: where an input goes on, from what the
// group holds and what the state has seen.
func TestStartAt(t *testing.T) {
	datadriven.RunTest(t, "testdata/start/at", func(t *testing.T, d *datadriven.TestData) string {
		var out strings.Builder
		for line := range strings.Lines(d.Input) {
			f := strings.Fields(line)
			at := func(s string) engine.Offset {
				if s == "none" {
					return -1
				}
				return engine.Offset(number(t, s))
			}
			g, trust := engine.ExactlyOnce, engine.TrustNothing
			for _, a := range d.CmdArgs {
				switch a.Key {
				case "at-least-once":
					g = engine.AtLeastOnce
				case "trust-state":
					trust = engine.TrustState
				case "trust-offsets":
					trust = engine.TrustOffsets
				}
			}
			got, err := engine.StartAt(g, trust, d.Cmd == "stateful", at(f[1]), at(f[3]))
			switch {
			case err != nil && engine.KindOf(err) != engine.Incompatible:
				fmt.Fprintf(&out, "%s: kind %d: %v\n", strings.TrimSpace(line), engine.KindOf(err), err)
			case err != nil:
				fmt.Fprintf(&out, "%s: stops: %v\n", strings.TrimSpace(line), err)
			case got < 0:
				fmt.Fprintf(&out, "%s: from the source's start\n", strings.TrimSpace(line))
			default:
				fmt.Fprintf(&out, "%s: from %d\n", strings.TrimSpace(line), got)
			}
		}
		return out.String()
	})
}
