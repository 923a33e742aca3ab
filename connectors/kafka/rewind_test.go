package kafka

import (
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/leatstream/leat/connectors/kafka/embedded"
	"github.com/leatstream/leat/engine"
	"github.com/twmb/franz-go/pkg/kgo"
)

// One partition is read at its own pace while another is left alone.
func TestFetchAtOnesOwnPace(t *testing.T) {
	w := newWorld(t, 2, embedded.Options{Brokers: 2})
	ctx := timeout(t)
	w.putN("in", 0, 0, 500)
	w.putN("in", 1, 0, 500)
	at, seen := engine.Offset(490), 0
	for at < 500 {
		rows, err := w.cluster.Fetch(ctx, "in", map[engine.Partition]engine.Offset{1: at})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rows {
			if r.Partition != 1 || r.Len() > 0 && r.Offsets[0] != int64(at) {
				t.Fatalf("asked for 1@%d, got %d@%v", at, r.Partition, r.Offsets)
			}
			at, seen = r.Next, seen+r.Len()
		}
	}
	if seen != 10 {
		t.Fatalf("%d rows, want 10", seen)
	}
	// At the end there is nothing, and that is no error.
	if rows, err := w.cluster.Fetch(ctx, "in", map[engine.Partition]engine.Offset{0: 500, 1: 500}); err != nil || len(rows) != 0 {
		t.Fatal(rows, err)
	}
}

// A little is fetched at a time, however much there is.
func TestFetchTakesLittle(t *testing.T) {
	w := newWorld(t, 1, embedded.Options{})
	random := rand.NewChaCha8([32]byte{1})
	for range 20 {
		value := make([]byte, 50_000) // that compression leaves as it is
		_, _ = random.Read(value)
		w.put2("in", "k", string(value))
	}
	rows, err := w.cluster.Fetch(timeout(t), "in", map[engine.Partition]engine.Offset{0: 0})
	if err != nil || len(rows) != 1 || rows[0].Len() < 1 || rows[0].Len() > 10 {
		t.Fatalf("%d records of 50 KB at once: %v", rows[0].Len(), err)
	}
}

// What an aborted transaction wrote is passed without rows; what retention
// took is passed, too; beyond the end there is nothing to pass.
func TestFetchPassesHoles(t *testing.T) {
	w := newWorld(t, 1, embedded.Options{})
	ctx := timeout(t)
	p := w.producer("writer")
	w.openTransaction(p, "log", "aborted")
	if err := p.EndTransaction(ctx, kgo.TryAbort); err != nil {
		t.Fatal(err)
	}
	rows, err := w.cluster.Fetch(ctx, "log", map[engine.Partition]engine.Offset{0: 0})
	if err != nil || len(rows) != 1 || rows[0].Len() != 0 || rows[0].Next != 2 {
		t.Fatalf("behind an aborted transaction: %+v, %v", rows, err)
	}
	w.putN("in", 0, 0, 10)
	if err := w.cluster.DeleteRecords(ctx, map[engine.TopicPartition]engine.Offset{{Topic: "in"}: 5}); err != nil {
		t.Fatal(err)
	}
	rows, err = w.cluster.Fetch(ctx, "in", map[engine.Partition]engine.Offset{0: 2})
	if err != nil || len(rows) != 1 || rows[0].Offsets[0] != 5 {
		t.Fatalf("before the log's start: %+v, %v", rows, err)
	}
	if _, err := w.cluster.Fetch(ctx, "in", map[engine.Partition]engine.Offset{0: 11}); !errors.Is(err, ErrOffsetOutOfRange) {
		t.Fatalf("beyond the end: %v", err)
	}
}
