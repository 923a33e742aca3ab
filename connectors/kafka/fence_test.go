package kafka

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/leatstream/leat/connectors/kafka/embedded"
	"github.com/leatstream/leat/engine"
)

// A dead lane's open transaction ends at once, not after its timeout.
func TestFenceTheDead(t *testing.T) {
	w := newWorld(t, 1, embedded.Options{})
	w.putN("in", 0, 0, 3)
	var mu sync.Mutex
	var vanished []string
	hear := func(_ *Config, sc *SessionConfig) {
		sc.OnVanished = func(ids []string) { mu.Lock(); vanished = append(vanished, ids...); mu.Unlock() }
	}
	b := w.lane("b", hear)
	b.own(1)
	a := w.lane("a", func(cfg *Config, _ *SessionConfig) { cfg.TransactionTimeout = 10 * time.Minute })
	turns(t, func() bool { return len(a.owned) == 1 }, a, b) // range sorts members by name
	a.read(3)
	a.begin()
	a.produce("out", "of the dead")
	if err := a.cl.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	w.evict(a) // and a never acts again
	b.own(1)
	mu.Lock()
	defer mu.Unlock()
	if !slices.Equal(vanished, []string{"a"}) {
		t.Fatalf("vanished: %q", vanished)
	}
	b.read(3)
	b.begin()
	b.produce("out", "of the living")
	b.mustCommit()
	w.wantVisible("out", "of the living") // within patience: the timeout is ten minutes
}

// The writer that offset metadata names is fenced also by a leader that has
// never seen it.
func TestFenceTheLastWriter(t *testing.T) {
	w := newWorld(t, 1, embedded.Options{})
	w.putN("in", 0, 0, 3)
	a := w.lane("a", func(cfg *Config, _ *SessionConfig) { cfg.TransactionTimeout = 10 * time.Minute })
	a.read(2)
	a.begin()
	a.mustCommit()
	a.poll()
	a.begin()
	a.produce("out", "of the dead")
	if err := a.cl.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	w.evict(a)
	var vanished []string
	b := w.lane("b", func(_ *Config, sc *SessionConfig) { sc.OnVanished = func(ids []string) { vanished = ids } })
	b.own(1)
	if !slices.Equal(vanished, []string{"a"}) {
		t.Fatalf("vanished: %q", vanished)
	}
	w.wantVisible("out")
}

// A session of the same transactional id ends its predecessor's transaction
// before it returns, so that a restore after it sees the end.
func TestSuccessorClaimsTheID(t *testing.T) {
	w := newWorld(t, 1, embedded.Options{})
	long := func(cfg *Config, _ *SessionConfig) { cfg.TransactionTimeout = 10 * time.Minute }
	a := w.lane("a", long)
	a.own(1)
	a.poll()
	a.begin()
	a.produce("log", "unfinished")
	if err := a.cl.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	successor := w.lane("a", long)
	w.wantVisible("log")
	a.produce("log", "too late")
	outcome, err := a.commit()
	if outcome == engine.Done || engine.KindOf(err) != engine.Fenced {
		t.Fatalf("the predecessor's commit: %s, %v", outcomeName(outcome), err)
	}
	if err := a.Begin(); engine.KindOf(err) != engine.Fenced {
		t.Fatalf("the predecessor goes on: %v", err)
	}
	a.Close(true)
	successor.own(1)
	w.wantVisible("log")
}
