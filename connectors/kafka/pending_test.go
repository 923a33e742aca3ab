//go:build synctests

package kafka

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/leatstream/leat/connectors/kafka/embedded"
	"github.com/leatstream/leat/engine"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Offsets are pending in a transaction of a lane that is in the group no more,
// and that no leader has known: whoever waits for them fences it, long before
// its timeout. A lane of another group that has its own open is left alone.
func TestPendingOffsetsOfTheDead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1, embedded.Options{Virtual: true})
		w.putN("in", 0, 0, 3)
		var vanished []string
		a := w.lane("p.1.a.0", func(cfg *Config, sc *SessionConfig) {
			cfg.TransactionTimeout = time.Minute
			sc.OnVanished = func(ids []string) { vanished = append(vanished, ids...) }
		})
		a.read(3)
		a.begin()
		a.mustCommit()
		dead, other := w.producer("p.1.dead.0"), w.producer("q.1.a.0")
		w.openTransaction(dead, "out", "of the dead")
		w.pendingOffset(dead, "g", in(0), 1)
		w.openTransaction(other, "out", "of another group")

		start := time.Now()
		got, err := a.Committed(context.Background(), a.owned)
		if err != nil || got[in(0)].Offset != 3 {
			t.Fatal(got, err)
		}
		if waited := time.Since(start); waited > pendingPatience+time.Second {
			t.Errorf("waited %v", waited)
		}
		if !slices.Equal(vanished, []string{"p.1.dead.0"}) {
			t.Errorf("fenced %q", vanished)
		}
		if err := other.EndTransaction(context.Background(), kgo.TryCommit); err != nil {
			t.Error(err)
		}
		w.wantVisible("out", "of another group")
	})
}

// The first offset of a partition is pending: until the transaction ends nobody
// can say that the partition has none, and start it over.
func TestPendingFirstOffset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1, embedded.Options{Virtual: true})
		w.putN("in", 0, 0, 3)
		a := w.lane("a", func(cfg *Config, _ *SessionConfig) { cfg.TransactionTimeout = time.Minute })
		a.own(1)
		first := w.producer("first")
		w.openTransaction(first, "out", "of two rows")
		w.pendingOffset(first, "g", in(0), 2)
		ended := make(chan error, 1)
		go func() {
			time.Sleep(time.Second)
			ended <- first.EndTransaction(context.Background(), kgo.TryCommit)
		}()
		got, err := a.Committed(context.Background(), a.owned)
		if err != nil || got[in(0)].Offset != 2 {
			t.Errorf("the group holds %v (%v), want 2", got, err)
		}
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
	})
}

// A lane that takes part in the group ends its transaction itself, however long
// it takes.
func TestPendingOffsetsOfTheLiving(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2, embedded.Options{Virtual: true})
		w.putN("in", 0, 0, 3)
		a := w.lane("p.1.a.0", func(cfg *Config, _ *SessionConfig) { cfg.TransactionTimeout = time.Minute })
		b := w.lane("p.1.b.0")
		turns(t, func() bool { return len(a.owned) == 1 && len(b.owned) == 1 }, a, b)
		a.begin()
		a.mustCommit()
		a.begin()
		a.produce("out", "of the living")
		if err := a.cl.Flush(context.Background()); err != nil {
			t.Fatal(err)
		}
		w.pendingOffset(a.cl, "g", in(0), 1)
		if _, err := b.Committed(context.Background(), b.owned); engine.KindOf(err) != engine.Retry {
			t.Fatalf("offsets that are pending: %v", err)
		}
		a.mustCommit()
		w.wantVisible("out", "of the living")
	})
}

// The broker is away while a lane aborts: the client takes the second try for an
// abort and means to claim its id again with the next transaction. The lane asks
// for stable offsets before that, and would wait for itself.
func TestPendingOffsetsOfOurOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1, embedded.Options{Virtual: true})
		w.putN("in", 0, 0, 3)
		l := newLink(w.b.Dial)
		a := w.lane("a", func(cfg *Config, _ *SessionConfig) {
			cfg.Dialer = l.connect
			cfg.TransactionTimeout, cfg.SessionTimeout = time.Minute, 2*time.Minute
		})
		a.read(3)
		a.begin()
		a.mustCommit()
		a.begin()
		a.produce("out", "x")
		if err := a.cl.Flush(context.Background()); err != nil {
			t.Fatal(err)
		}
		w.pendingOffset(a.cl, "g", in(0), 1)

		l.down()
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if _, err := a.txn.End(ctx, kgo.TryAbort); err == nil {
			t.Fatal("an abort without a broker")
		}
		if _, err := a.txn.End(ctx, kgo.TryAbort); err != nil {
			t.Fatalf("the client has changed, and this may be needed no more: %v", err)
		}
		a.open = false
		l.up()

		a.until(func() bool { return len(a.owned) == 1 })
		start := time.Now()
		got, err := a.Committed(context.Background(), a.owned)
		if err != nil || got[in(0)].Offset != 3 {
			t.Fatal(got, err)
		}
		if waited := time.Since(start); waited > 5*time.Second {
			t.Errorf("waited %v for itself", waited)
		}
	})
}

// What one lane of a group has in common with the others.
func TestFamilyOf(t *testing.T) {
	for id, want := range map[string]string{"shop.1.one.0": "shop.1", "a.b.2.w-1.12": "a.b.2", "a.b": "", "a": "", "": ""} {
		if got := familyOf(id); got != want {
			t.Errorf("%q: %q, want %q", id, got, want)
		}
	}
}
