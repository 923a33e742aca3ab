//go:build synctests

package kafka

import (
	"context"
	"encoding/hex"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/leatstream/leat/connectors/kafka/embedded"
	"github.com/leatstream/leat/engine"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
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

// Offsets of a transaction that nobody ends: the group does not tell what is
// committed. A lane that asks waits as long as a transaction may take and is then
// to try anew, since the transaction may be one that it left open itself, which
// only its next session aborts.
func TestCommittedDoesNotWaitForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1, embedded.Options{Virtual: true})
		w.putN("in", 0, 0, 3)
		a := w.lane("a")
		a.read(3)
		a.begin()
		a.mustCommit()
		left := w.producer("left open")
		w.openTransaction(left, "out", "x")
		w.pendingOffset(left, "g", in(0), 1)

		ctx, cancel := context.WithTimeout(context.Background(), 10*a.cfg.TransactionTimeout)
		defer cancel()
		start := time.Now()
		_, err := a.Committed(ctx, a.owned)
		if waited := time.Since(start); engine.KindOf(err) != engine.Retry || waited > a.cfg.TransactionTimeout+time.Second {
			t.Fatalf("after %v: %v", waited, err)
		}
		if _, _, err := w.producer("left open").ProducerID(ctx); err != nil { // its next session aborts it
			t.Fatal(err)
		}
		got, err := a.Committed(ctx, a.owned)
		if err != nil || got[in(0)].Offset != 3 {
			t.Fatal(got, err)
		}
	})
}

// pendingOffset stages an offset of a group in the producer's open transaction.
func (w *world) pendingOffset(p *kgo.Client, group string, tp engine.TopicPartition, at engine.Offset) {
	w.t.Helper()
	id, epoch, err := p.ProducerID(context.Background())
	if err != nil {
		w.t.Fatal(err)
	}
	name := p.OptValue(kgo.TransactionalID).(string)
	add := kmsg.NewPtrAddOffsetsToTxnRequest()
	add.TransactionalID, add.ProducerID, add.ProducerEpoch, add.Group = name, id, epoch, group
	added, err := add.RequestWith(context.Background(), p)
	if err == nil {
		err = kerr.ErrorForCode(added.ErrorCode)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	req := kmsg.NewPtrTxnOffsetCommitRequest()
	req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Group = name, id, epoch, group
	part := kmsg.NewTxnOffsetCommitRequestTopicPartition()
	part.Partition, part.Offset = int32(tp.Partition), int64(at)
	topic := kmsg.NewTxnOffsetCommitRequestTopic()
	topic.Topic, topic.Partitions = string(tp.Topic), append(topic.Partitions, part)
	infos, err := w.cluster.Topics(context.Background(), tp.Topic)
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := hex.Decode(topic.TopicID[:], []byte(infos[tp.Topic].ID)); err != nil {
		w.t.Fatal(err)
	}
	req.Topics = append(req.Topics, topic)
	resp, err := req.RequestWith(context.Background(), p)
	if err == nil {
		err = kerr.ErrorForCode(resp.Topics[0].Partitions[0].ErrorCode)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// A partition gets a new leader epoch while the client, which has read nothing
// of it yet, cannot refresh its metadata: it fetches without a pause until it
// can. Time goes on meanwhile (it stood still once, and the fleet with it).
func TestFencedFetchTakesTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1, embedded.Options{Virtual: true})
		a := w.lane("a")
		a.own(1)
		var asked atomic.Int32
		w.b.Cluster.ControlKey(int16(kmsg.Metadata), func(kmsg.Request) (kmsg.Response, error, bool) {
			w.b.Cluster.KeepControl()
			if asked.Add(1) > 3 {
				return nil, nil, false
			}
			return nil, errors.New("lost"), true
		})
		w.b.Cluster.ShufflePartitionLeaders()
		start := time.Now()
		a.until(func() bool { return asked.Load() > 3 })
		if took := time.Since(start); took < 100*time.Millisecond {
			t.Errorf("fresh metadata after %v: the client had no reason to fetch in vain", took)
		}
		w.put("in", 0, "here")
		a.read(1)
		a.wantRows("in/0@0=here")
	})
}
