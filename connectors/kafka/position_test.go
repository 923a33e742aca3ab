package kafka

import (
	"context"
	"testing"
	"time"

	"github.com/leatstream/leat/connectors/kafka/embedded"
	"github.com/leatstream/leat/engine"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Behind the last row there may be the marker of its transaction: the position
// passes it, else a lane that has read everything would never be at the end.
func TestPositionPassesMarkers(t *testing.T) {
	w := newWorld(t, 1, embedded.Options{})
	p := w.producer("upstream")
	w.openTransaction(p, "in", "0")
	if err := p.EndTransaction(context.Background(), kgo.TryCommit); err != nil {
		t.Fatal(err)
	}
	a := w.lane("a")
	a.until(func() bool { return a.pos[in(0)] == 2 })
	a.wantRows(count(0, 1)...)
	w.openTransaction(p, "in", "aborted")
	if err := p.EndTransaction(context.Background(), kgo.TryAbort); err != nil {
		t.Fatal(err)
	}
	a.until(func() bool { return a.pos[in(0)] == 4 })
	a.wantRows()
	high, err := a.HighWatermarks(context.Background(), a.owned)
	if err != nil || high[in(0)] != 4 {
		t.Fatal(high, err)
	}
}

// The same behind a hole that compaction left at the end of the log. The client
// tells nothing of it, so it is asked for together with the high watermark. The
// embedded broker leaves no such hole; to a client that does not fetch, an
// aborted transaction looks the same.
func TestPositionPassesHoles(t *testing.T) {
	w := newWorld(t, 1, embedded.Options{})
	w.putN("in", 0, 0, 3)
	a := w.lane("a")
	a.read(3)
	a.wantRows(count(0, 3)...)
	a.Pause(a.owned)
	p := w.producer("upstream")
	w.openTransaction(p, "in", "aborted")
	if err := p.EndTransaction(context.Background(), kgo.TryAbort); err != nil {
		t.Fatal(err)
	}
	a.poll()
	a.parts[in(0)].running = true // as if it were fetched
	if high, err := a.HighWatermarks(context.Background(), a.owned); err != nil || high[in(0)] != 5 {
		t.Fatal(high, err)
	}
	a.until(func() bool { return a.pos[in(0)] == 5 })
	a.wantRows()
	a.begin()
	a.mustCommit()
	w.wantGroup(0, 5, "a#1")
}

// A new assignment, a pause, an abort: nothing is read before the lane says
// from where, and nothing twice.
func TestStandsStillWithoutPosition(t *testing.T) {
	w := newWorld(t, 2, embedded.Options{})
	w.putN("in", 0, 0, 3)
	a := w.lane("a")
	ctx := context.Background()
	still := func(why string) {
		t.Helper()
		for range 10 {
			rows, err := a.Poll(ctx, 100, 10*time.Millisecond)
			if err != nil || len(rows) > 0 {
				t.Fatalf("%s: %d rows, %v", why, len(rows), err)
			}
			a.idle()
		}
	}
	for end := time.Now().Add(patience); len(a.owned) == 0 && time.Now().Before(end); {
		still("before an assignment")
		a.gen, a.owned = a.Assignment()
	}
	still("assigned, no position, not resumed")
	a.Resume(a.owned)
	still("resumed, no position")
	a.SetPositions(map[engine.TopicPartition]engine.Offset{in(0): 1, in(1): 0})
	a.read(2)
	a.wantRows(count(1, 3)...)

	a.Pause([]engine.TopicPartition{in(0)})
	w.putN("in", 0, 3, 2)
	still("paused")
	a.Resume([]engine.TopicPartition{in(0)})
	a.read(2)
	a.wantRows(count(3, 5)...)

	a.begin()
	a.produce("out", "x")
	if outcome, err := a.End(ctx, false, 1, nil); outcome != engine.Aborted || err != nil {
		t.Fatal(outcomeName(outcome), err)
	}
	a.AllowRebalance()
	w.putN("in", 0, 5, 1)
	still("aborted")
	a.SetPositions(map[engine.TopicPartition]engine.Offset{in(0): 5, in(1): 0})
	a.read(1)
	a.wantRows(count(5, 6)...)
}

// Poll gives at most max rows, and the rest the next time.
func TestPollMax(t *testing.T) {
	w := newWorld(t, 1, embedded.Options{})
	w.putN("in", 0, 0, 10)
	a := w.lane("a")
	a.own(1)
	a.wantRows(a.rows...)
	a.SetPositions(map[engine.TopicPartition]engine.Offset{in(0): 0})
	var got []int
	for end := time.Now().Add(patience); len(got) < 4 && time.Now().Before(end); {
		rows, err := a.Poll(context.Background(), 3, time.Second)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rows {
			got = append(got, r.Len())
		}
	}
	if len(got) != 4 || got[0] != 3 || got[3] != 1 {
		t.Fatal(got)
	}
}

// The slices of a Rows are used again only for rows that a commit has covered:
// what a lane has buffered stays as it is.
func TestRowsAreReusedWhenCommitted(t *testing.T) {
	w := newWorld(t, 1, embedded.Options{})
	a := w.lane("a")
	a.own(1)
	next := func(from int) *engine.Rows {
		t.Helper()
		// Paused meanwhile: the five come in one fetch, however busy the machine.
		a.Pause([]engine.TopicPartition{in(0)})
		w.putN("in", 0, from, 5)
		a.Resume([]engine.TopicPartition{in(0)})
		for end := time.Now().Add(patience); time.Now().Before(end); {
			rows, err := a.Poll(context.Background(), 100, 50*time.Millisecond)
			if err != nil {
				t.Fatal(err)
			}
			if len(rows) == 1 && rows[0].Len() == 5 {
				return rows[0]
			}
		}
		t.Fatal("no rows")
		return nil
	}
	commit := func(at engine.Offset) {
		t.Helper()
		a.begin()
		a.pos[in(0)] = at
		a.mustCommit()
	}
	buffered := next(0)
	commit(3) // 3 and 4 stay buffered
	other := next(5)
	if buffered == other || string(buffered.Values[4]) != "4" {
		t.Fatal("buffered rows were overwritten")
	}
	commit(10)
	if again := next(10); again != buffered && again != other || string(again.Values[0]) != "10" {
		t.Fatalf("rows that are committed were not used again: %q", again.Values)
	}
}
