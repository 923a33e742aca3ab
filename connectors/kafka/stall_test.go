//go:build synctests

package kafka

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/leatstream/leat/connectors/kafka/embedded"
	"github.com/leatstream/leat/engine"
	"github.com/twmb/franz-go/pkg/kgo"
)

// A read that an open transaction holds up waits as long as a transaction may
// take and a little more, then names the producer.
func TestReadNamesTheOpenProducer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1, embedded.Options{Virtual: true})
		p := w.producer("sleeper")
		w.put("log", 0, "1")
		w.openTransaction(p, "log", "2")
		start := time.Now()
		end, err := w.cluster.Read(context.Background(), engine.TopicPartition{Topic: "log"}, -1, func(*engine.Rows) error { return nil })
		waited := time.Since(start)
		if engine.KindOf(err) != engine.Retry || end != 1 {
			t.Fatalf("%d, %v", end, err)
		}
		if patience := w.cluster.cfg.TransactionTimeout + stallGrace; waited < patience || waited > patience+2*time.Second {
			t.Errorf("waited %v, want %v", waited, patience)
		}
		for _, word := range []string{"log/0", `"sleeper"`, "since offset 1"} {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("%q is not in: %v", word, err)
			}
		}
		if err := p.EndTransaction(context.Background(), kgo.TryAbort); err != nil {
			t.Fatal(err)
		}
	})
}

// The outcome of a transaction cannot be found out: after GiveUp, and not
// before, the session says that it must be replaced.
func TestGiveUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1, embedded.Options{Virtual: true})
		w.putN("in", 0, 0, 3)
		l := newLink(w.b.Dial)
		a := w.lane("a", func(cfg *Config, _ *SessionConfig) { cfg.Dialer = l.connect })
		a.read(3)
		a.begin()
		a.produce("out", "x")
		if err := a.cl.Flush(context.Background()); err != nil {
			t.Fatal(err)
		}
		l.down()
		start := time.Now()
		outcome, err := a.commit()
		if outcome == engine.Done || engine.KindOf(err) != engine.Fenced {
			t.Fatalf("%s, %v", outcomeName(outcome), err)
		}
		if waited := time.Since(start); waited < 30*time.Second || waited > 60*time.Second {
			t.Errorf("gave up after %v", waited)
		}
		if err := a.Begin(); engine.KindOf(err) != engine.Fenced {
			t.Errorf("the session goes on: %v", err)
		}
	})
}
