package main

import (
	"strings"
	"testing"
	"time"
)

// Durations in the log are whole milliseconds, of the client's lines, too; what is
// shorter keeps its digits, and nothing else changes.
func TestLogRoundsDurations(t *testing.T) {
	var out strings.Builder
	log := newLog(&out, false)
	log.With("age", 1234567891*time.Nanosecond).Info("said", "took", 163482913*time.Nanosecond, "short", 12*time.Microsecond, "x", 0.123456789, "back", -2500*time.Microsecond)
	log.Debug("a detail")
	want := `level=INFO msg=said age=1.235s took=163ms short=12µs x=0.123456789 back=-3ms` + "\n"
	if _, got, _ := strings.Cut(out.String(), " "); got != want {
		t.Errorf("got  %swant %s", got, want)
	}
}
