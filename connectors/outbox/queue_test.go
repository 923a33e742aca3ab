package outbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/leatstream/leat/engine"
)

// TestRetries: attempts in virtual time. The random part is always the whole
// bound, so that waits can be read off.
func TestRetries(t *testing.T) {
	busy := errors.New("busy")
	for _, c := range []struct {
		name    string
		retry   Retry
		errors  engine.ErrorPolicy
		answers []error // the last for ever
		want    string  // when attempts were made, and what became of the note
	}{
		{"sent at once", Retry{}, engine.ErrorPolicy{}, []error{nil}, "0s sent"},
		{"waits double up to max", Retry{Max: 4 * time.Second}, engine.ErrorPolicy{}, []error{busy, busy, busy, busy, nil}, "0s 1s 3s 7s 11s sent"},
		{"the receiver's wait is kept", Retry{}, engine.ErrorPolicy{}, []error{&Failure{Err: busy, After: 40 * time.Second}, nil}, "0s 41s sent"},
		{"attempts run out", Retry{Attempts: 3}, engine.ErrorPolicy{Topic: "dead"}, []error{busy}, "0s 1s 3s dead: busy (after 3 attempts)"},
		{"it grows old", Retry{For: 5 * time.Second}, engine.ErrorPolicy{Topic: "dead"}, []error{busy}, "0s 1s 3s 7s dead: busy (7s old)"},
		{"a wait that is too long", Retry{For: time.Hour}, engine.ErrorPolicy{Topic: "dead"}, []error{&Failure{Err: busy, After: 2 * time.Hour}}, "0s dead: busy (the receiver asks to wait for 2h0m0s)"},
		{"permanent", Retry{}, engine.ErrorPolicy{Topic: "dead"}, []error{Permanent(busy)}, "0s dead: busy (it will not succeed)"},
		{"skipped", Retry{}, engine.ErrorPolicy{Stages: map[engine.Stage]engine.Policy{engine.StageSend: engine.Skip}}, []error{Permanent(busy)}, "0s skipped"},
		{"held where there is no topic", Retry{Attempts: 1, Max: time.Minute}, engine.ErrorPolicy{}, []error{Permanent(busy), Permanent(busy), nil}, "0s 1m1s 2m2s sent"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began, said := time.Now(), []string{}
				i := 0
				s, err := New(Config{Pipeline: "p", Sink: "s", Topic: "t", Retry: c.retry, Errors: c.errors, Random: func() float64 { return 1 }, Log: slog.New(slog.DiscardHandler),
					Deliver: func(_ context.Context, n *Note) error {
						said = append(said, time.Since(began).String())
						err := c.answers[min(i, len(c.answers)-1)]
						if i++; n.Attempt != i || n.ID != "t/0/7" {
							t.Errorf("attempt %d of %s, it is %d", n.Attempt, n.ID, i)
						}
						return err
					}})
				if err != nil {
					t.Fatal(err)
				}
				q := s.open(t.Context(), engine.TopicPartition{Topic: "t"}, 7, -1)
				q.take(&engine.Rows{Topic: "t", Keys: [][]byte{[]byte("k")}, Values: [][]byte{[]byte("v")}, Offsets: []int64{7}, Times: []int64{began.UnixMilli()}, Next: 9})
				time.Sleep(3 * time.Hour)
				at, letters, oldest := q.state(time.Now())
				if at != 9 || oldest != 0 {
					t.Errorf("at %d, oldest %v", at, oldest)
				}
				switch {
				case len(letters) > 0:
					said = append(said, "dead:", header(letters[0], "leat.error.reason"))
				case strings.HasSuffix(c.want, "skipped"):
					said = append(said, "skipped")
				default:
					said = append(said, "sent")
				}
				if got := strings.Join(said, " "); got != c.want {
					t.Errorf("got  %s\nwant %s", got, c.want)
				}
				q.close()
			})
		})
	}
}

func header(r engine.Record, key string) string {
	for _, h := range r.Headers {
		if h.Key == key {
			return string(h.Value)
		}
	}
	return ""
}

// TestJitter: a wait is any part of its bound, and never more than max.
func TestJitter(t *testing.T) {
	r := Retry{}.withDefaults()
	for attempt, bound := range map[int]time.Duration{1: time.Second, 2: 2 * time.Second, 9: 256 * time.Second, 10: 5 * time.Minute, 80: 5 * time.Minute} {
		for _, part := range []float64{0, 0.5, 0.999} {
			if got, want := r.wait(attempt, 0, func() float64 { return part }), time.Duration(part*float64(bound)); got != want {
				t.Errorf("attempt %d, %v of %v: %v", attempt, part, bound, got)
			}
		}
	}
}

// TestPanic: a receiver's library that panics is a failed attempt.
func TestPanic(t *testing.T) {
	s, err := New(Config{Pipeline: "p", Sink: "s", Topic: "t", Deliver: func(context.Context, *Note) error { panic("no") }})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.attempt(t.Context(), &Note{ID: "x"}); fmt.Sprint(err) != "deliver x: panic: no" {
		t.Error(err)
	}
}
