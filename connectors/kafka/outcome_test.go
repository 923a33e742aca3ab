package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/leatstream/leat/connectors/kafka/embedded"
	"github.com/leatstream/leat/engine"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// The answer to EndTxn is lost. The broker may have written the transaction or
// not; only the group knows, and reading goes on exactly behind what it holds.
func TestLostEndTxn(t *testing.T) {
	for _, applied := range []bool{true, false} {
		t.Run(fmt.Sprintf("applied=%v", applied), func(t *testing.T) {
			w := newWorld(t, 1, embedded.Options{})
			w.putN("in", 0, 0, 5)
			a := w.lane("a", func(cfg *Config, _ *SessionConfig) { cfg.TransactionTimeout = time.Second })
			a.read(5)
			a.wantRows(count(0, 5)...)
			a.pos[in(0)] = 3 // 3 and 4 are buffered

			w.loseEndTxn(applied)
			a.begin()
			a.produce("out", "r1")
			outcome, err := a.commit()
			if err != nil {
				t.Fatal(err)
			}
			a.AllowRebalance()
			if applied {
				if outcome != engine.Done {
					t.Fatalf("outcome %s of a written transaction", outcomeName(outcome))
				}
				if got := a.Produced()[engine.TopicPartition{Topic: "out"}]; got != 1 {
					t.Fatalf("produced up to %d, want 1", got)
				}
				w.wantGroup(0, 3, "a#1")
			} else {
				if outcome != engine.Aborted {
					t.Fatalf("outcome %s of an aborted transaction", outcomeName(outcome))
				}
				w.wantGroup(0, -1, "")
				a.pos[in(0)] = 0
				a.SetPositions(a.pos)
				a.read(5)
				a.wantRows(count(0, 5)...)
			}
			w.putN("in", 0, 5, 1)
			a.read(1)
			a.wantRows(count(5, 6)...)
			a.begin()
			a.produce("out", "r2")
			a.mustCommit()
			if applied {
				w.wantVisible("out", "r1", "r2")
			} else {
				w.wantVisible("out", "r2")
			}
		})
	}
}

// The clock closes a window: the offset does not move, so the group holds it
// either way. Only the commit number tells whether the transaction was written.
func TestLostEndTxnOfATimer(t *testing.T) {
	for _, applied := range []bool{true, false} {
		w := newWorld(t, 1, embedded.Options{})
		w.putN("in", 0, 0, 3)
		a := w.lane("a", func(cfg *Config, _ *SessionConfig) { cfg.TransactionTimeout = time.Second })
		a.read(3)
		a.begin()
		a.mustCommit()

		w.loseEndTxn(applied)
		a.begin()
		a.produce("out", "closed by the clock")
		outcome, err := a.commit()
		if err != nil || (outcome == engine.Done) != applied {
			t.Fatalf("applied %v: %s, %v", applied, outcomeName(outcome), err)
		}
		if applied {
			w.wantGroup(0, 3, "a#2")
			w.wantVisible("out", "closed by the clock")
		} else {
			w.wantGroup(0, 3, "a#1")
			w.wantVisible("out")
		}
	}
}

// loseEndTxn drops the connection of every EndTxn until the client starts over
// with InitProducerId; with applied the broker has done the first one.
func (w *world) loseEndTxn(applied bool) {
	var mu sync.Mutex
	lost, healed := 0, false
	w.b.Cluster.ControlKey(int16(kmsg.InitProducerID), func(kmsg.Request) (kmsg.Response, error, bool) {
		mu.Lock()
		defer mu.Unlock()
		healed = true
		return nil, nil, false
	})
	w.b.Cluster.ControlKey(int16(kmsg.EndTxn), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
		w.b.Cluster.KeepControl()
		mu.Lock()
		defer mu.Unlock()
		req := kreq.(*kmsg.EndTxnRequest)
		if healed || !req.Commit || req.UnknownTags.Len() > 0 {
			return nil, nil, false
		}
		lost++
		if applied && lost == 1 {
			// The same request from a stranger: the broker does it, and the lane
			// never hears of it.
			same := kmsg.NewPtrEndTxnRequest()
			same.TransactionalID, same.ProducerID, same.ProducerEpoch = req.TransactionalID, req.ProducerID, req.ProducerEpoch
			same.Commit = true
			same.UnknownTags.Set(stranger, nil)
			go func() { _, _ = same.RequestWith(context.Background(), w.side) }()
		}
		return nil, errors.New("connection lost"), true
	})
}

// stranger is a tag that marks requests of the test.
const stranger = 99
