package operators

import (
	"strconv"
	"strings"
	"testing"

	"github.com/leatstream/leat/window"
)

// windowText reads the keys of a text file that say which windows:
//
//	window: sliding size=5s mode=exact grace=1s     as in a pipeline
//	window: tumbling size=1mo zone=Europe/Berlin
//	late: side       ttl: 10s
func (a *aggregateText) windowText(t *testing.T, keys map[string]string) {
	for i, f := range strings.Fields(keys["window"]) {
		name, v, ok := strings.Cut(f, "=")
		if i == 0 && !ok {
			a.window.Kind = name
			continue
		}
		if a.window.Kind == "count" && (name == "size" || name == "advance") {
			n, err := strconv.ParseInt(v, 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			if name == "size" {
				a.window.Count = n
			} else {
				a.window.Every = n
			}
			continue
		}
		switch name {
		case "mode":
			a.window.Mode = v
		case "zone":
			a.window.Zone = v
		case "full":
			a.window.Full = true
		case "size":
			a.window.Size, a.window.SizeUnit = civil(t, v)
		case "advance":
			a.window.Advance, a.window.AdvanceUnit = civil(t, v)
		case "step":
			a.window.Step, a.window.StepUnit = civil(t, v)
		case "offset":
			a.window.Offset = duration(t, v).Milliseconds()
		case "grace":
			a.window.Grace = duration(t, v).Milliseconds()
		case "gap":
			a.window.Gap = duration(t, v).Milliseconds()
		default:
			t.Fatalf("a window has no %q", name)
		}
	}
	if err := a.window.Check(); err != nil {
		t.Fatal(err)
	}
	a.lateSide = keys["late"] == "side"
	if keys["ttl"] != "" {
		a.ttl = duration(t, keys["ttl"])
	}
}

// civil reads a span that may be in days, weeks, months or years.
func civil(t *testing.T, s string) (int64, window.Unit) {
	for _, u := range []window.Unit{window.Days, window.Weeks, window.Months, window.Years} {
		if n, ok := strings.CutSuffix(s, u.String()); ok {
			if v, err := strconv.ParseInt(n, 10, 64); err == nil {
				return v, u
			}
		}
	}
	return duration(t, s).Milliseconds(), window.Millis
}
