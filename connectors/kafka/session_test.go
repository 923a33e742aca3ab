package kafka

import (
	"testing"

	"github.com/leatstream/leat/connectors/kafka/embedded"
	"github.com/leatstream/leat/engine"
)

// One lane reads, writes, commits, and another continues where it stopped.
func TestTurns(t *testing.T) {
	for _, guarantee := range []engine.Guarantee{engine.ExactlyOnce, engine.AtLeastOnce} {
		w := newWorld(t, 1, embedded.Options{})
		g := func(_ *Config, sc *SessionConfig) { sc.Guarantee = guarantee }
		w.putN("in", 0, 0, 5)
		a := w.lane("a", g)
		a.read(5)
		a.wantRows(count(0, 5)...)
		a.begin()
		a.produce("out", "sum=10")
		a.produce("log", "state=10")
		a.mustCommit()
		if got := a.Produced()[engine.TopicPartition{Topic: "log"}]; got != 1 {
			t.Fatalf("the changelog position is %d, want 1", got)
		}
		w.wantVisible("out", "sum=10")
		w.wantGroup(0, 5, "a#1")

		a.Close(true)
		w.putN("in", 0, 5, 2)
		b := w.lane("b", g)
		b.read(2)
		b.wantRows(count(5, 7)...)
	}
}
