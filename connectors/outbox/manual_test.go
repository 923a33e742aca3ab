package outbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/leatstream/leat/engine"
)

// TestManual sends what waits in a partition, in virtual time. A line is when a
// note comes, its key and priority, and for how many attempts it fails, with the
// receiver's Retry-After, if any:
//
//	5s a urgent        sent at once
//	0s b low 2 30s     fails twice, Retry-After: 30
//
// What comes out is when each was tried: key, priority, offset. The random part of
// waits is always the whole.
func TestManual(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			var out strings.Builder
			synctest.Test(t, func(t *testing.T) { sendLines(t, strings.Split(d.Input, "\n"), &out) })
			return out.String()
		})
	})
}

func sendLines(t *testing.T, lines []string, out *strings.Builder) {
	began := time.Now()
	fails, asks := map[engine.Offset]int{}, map[engine.Offset]time.Duration{}
	for i, line := range lines { // all of it before the sender looks
		f := strings.Fields(line)
		var err error
		if len(f) > 3 {
			if fails[engine.Offset(i)], err = strconv.Atoi(f[3]); err != nil {
				t.Fatal(err)
			}
		}
		if len(f) > 4 {
			if asks[engine.Offset(i)], err = time.ParseDuration(f[4]); err != nil {
				t.Fatal(err)
			}
		}
	}
	s, err := New(Config{Pipeline: "p", Sink: "s", Topic: "t", Random: func() float64 { return 1 }, Log: slog.New(slog.DiscardHandler),
		Deliver: func(_ context.Context, n *Note) error {
			fmt.Fprintf(out, "%v %s %s @%d", time.Since(began), n.Key, n.Priority(), n.Offset)
			if fails[n.Offset]--; fails[n.Offset] >= 0 {
				out.WriteString(" fails\n")
				return &Failure{Err: errors.New("busy"), After: asks[n.Offset]}
			}
			out.WriteString("\n")
			return nil
		}})
	if err != nil {
		t.Fatal(err)
	}
	q := s.open(t.Context(), engine.TopicPartition{Topic: "t"}, 0, -1)
	for i, line := range lines {
		f := strings.Fields(line)
		at, err := time.ParseDuration(f[0])
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(at - time.Since(began))
		q.take(&engine.Rows{Topic: "t", Keys: [][]byte{[]byte(f[1])}, Values: [][]byte{nil}, Offsets: []int64{int64(i)}, Times: []int64{time.Now().UnixMilli()}, Next: engine.Offset(i) + 1,
			Headers: func(int) []engine.Header { return []engine.Header{{Key: PriorityHeader, Value: []byte(f[2])}} }})
	}
	time.Sleep(time.Hour)
	at, _, _ := q.state(time.Now())
	fmt.Fprintf(out, "done before @%d\n", at)
	q.close()
}
