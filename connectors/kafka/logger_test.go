package kafka

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// TestLoggerIsBrief: what the client says of every request while a broker is
// away is told once, and then with how many there were.
func TestLoggerIsBrief(t *testing.T) {
	var out bytes.Buffer
	l := newLogger(slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}})))
	now := time.Unix(0, 0)
	l.now = func() time.Time { return now }
	for range 3 {
		for range 100 {
			l.Log(kgo.LogLevelWarn, "unable to open connection to broker", "broker", 1)
		}
		l.Log(kgo.LogLevelError, "something else")
		now = now.Add(quiet)
	}
	want := `level=WARN msg="kafka client: unable to open connection to broker" broker=1
level=ERROR msg="kafka client: something else"
level=WARN msg="kafka client: unable to open connection to broker" broker=1 and_others=99
level=ERROR msg="kafka client: something else"
level=WARN msg="kafka client: unable to open connection to broker" broker=1 and_others=99
level=ERROR msg="kafka client: something else"
`
	if got := out.String(); got != want {
		t.Errorf("told\n%s\nwant\n%s", strings.TrimSpace(got), want)
	}
}
