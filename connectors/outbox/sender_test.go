package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/leatstream/leat/connectors/kafka"
	"github.com/leatstream/leat/connectors/kafka/embedded"
	"github.com/leatstream/leat/connectors/outbox"
	"github.com/leatstream/leat/engine"
)

const patience = 20 * time.Second

// world is a broker with an outbox of two partitions, and a receiver.
type world struct {
	t      *testing.T
	broker *kafka.Broker
	mu     sync.Mutex
	got    map[engine.Partition][]string // "id=value" in the order of attempts
	answer func(n *outbox.Note) error
	news   chan struct{}
}

func newWorld(t *testing.T) *world {
	b, err := embedded.Start("", "127.0.0.1:0", embedded.Options{Topics: map[string]int{"out": 2, "dead": 1}, MinSessionTimeout: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	broker, err := kafka.Connect(kafka.Config{Brokers: b.Addrs(), Dialer: b.Dial, SessionTimeout: 2 * time.Second, HeartbeatInterval: 50 * time.Millisecond, FetchMaxWait: 50 * time.Millisecond, Linger: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(broker.Close)
	return &world{t: t, broker: broker, got: map[engine.Partition][]string{}, answer: func(*outbox.Note) error { return nil }, news: make(chan struct{}, 1000)}
}

func (w *world) deliver(_ context.Context, n *outbox.Note) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.got[n.Partition] = append(w.got[n.Partition], n.ID+"="+string(n.Value))
	w.news <- struct{}{}
	return w.answer(n)
}

// run starts a sender; stop ends it.
func (w *world) run(b outbox.Broker, change ...func(*outbox.Config)) (stop func()) {
	w.t.Helper()
	c := outbox.Config{Pipeline: "p", Sink: "s", Topic: "out", Deliver: w.deliver, Log: slog.New(slog.DiscardHandler), DeadPartitions: 1,
		Retry: outbox.Retry{Attempts: 3, Min: time.Millisecond, Max: 2 * time.Millisecond}, Errors: engine.ErrorPolicy{Topic: "dead", IncludeValue: true}}
	for _, f := range change {
		f(&c)
	}
	s, err := outbox.New(c)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { s.Run(ctx, b); close(done) }()
	stop = func() { cancel(); <-done }
	w.t.Cleanup(stop)
	return stop
}

func (w *world) put(partition int, values ...string) {
	w.t.Helper()
	var recs []engine.Record
	for _, v := range values {
		recs = append(recs, engine.Record{Topic: "out", Partition: engine.Partition(partition), Key: []byte("k"), Value: []byte(v)})
	}
	if err := w.broker.Cluster().Produce(context.Background(), recs); err != nil {
		w.t.Fatal(err)
	}
}

// wait waits until cond holds; it is asked again at each delivery and while the
// group's offsets move.
func (w *world) wait(what string, cond func() bool) {
	w.t.Helper()
	for end := time.Now().Add(patience); ; {
		w.mu.Lock()
		ok := cond()
		w.mu.Unlock()
		if ok {
			return
		}
		if time.Now().After(end) {
			w.t.Fatalf("waited in vain: %s; got %v", what, w.got)
		}
		select {
		case <-w.news:
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (w *world) committed(partition int) engine.Offset {
	all, err := w.broker.Cluster().GroupOffsets(context.Background(), "p.s.sender")
	if err != nil {
		w.t.Fatal(err)
	}
	return all[engine.TopicPartition{Topic: "out", Partition: engine.Partition(partition)}].Offset
}

func (w *world) want(partition int, want ...string) {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if got := w.got[engine.Partition(partition)]; !slices.Equal(got, want) {
		w.t.Errorf("partition %d: got %q, want %q", partition, got, want)
	}
}

// TestSendsEachOnceInOrder: what waited is sent, in order; a sender that stops
// and another that goes on neither forget nor repeat.
func TestSendsEachOnceInOrder(t *testing.T) {
	w := newWorld(t)
	w.put(0, "a", "b")
	w.put(1, "c")
	stop := w.run(w.broker)
	w.wait("three", func() bool { return len(w.got[0]) == 2 && len(w.got[1]) == 1 })
	stop()
	w.put(0, "d")
	stop = w.run(w.broker)
	w.wait("the fourth", func() bool { return len(w.got[0]) == 3 })
	stop()
	w.want(0, "out/0/0=a", "out/0/1=b", "out/0/2=d")
	w.want(1, "out/1/0=c")
	if at := w.committed(0); at != 3 {
		t.Errorf("committed %d", at)
	}
}

// crashing is a broker whose sessions die when they should commit: what was
// sent is not remembered, as after a crash.
type crashing struct {
	*kafka.Broker
	crash func() bool
}

type dying struct {
	engine.Session
	crash func() bool
}

func (c crashing) Session(ctx context.Context, r engine.SessionRequest) (engine.Session, error) {
	s, err := c.Broker.Session(ctx, r)
	return dying{s, c.crash}, err
}

func (d dying) End(ctx context.Context, commit bool, number int64, offsets []engine.OffsetCommit) (engine.Outcome, error) {
	if len(offsets) > 0 && d.crash() {
		return engine.LostLease, engine.E(engine.Fenced, "commit", errors.New("crash"))
	}
	return d.Session.End(ctx, commit, number, offsets)
}

// TestCrashBetweenSendAndCommit: the repeat has the same id, and nothing behind
// it is lost.
func TestCrashBetweenSendAndCommit(t *testing.T) {
	w := newWorld(t)
	w.put(0, "a", "b")
	crashes := 0
	w.run(crashing{w.broker, func() bool { crashes++; return crashes == 1 }})
	w.wait("all sent again", func() bool { return w.got != nil && len(w.got[0]) >= 3 && w.committed(0) == 2 })
	w.mu.Lock()
	defer w.mu.Unlock()
	seen := map[string]bool{}
	for _, g := range w.got[0] {
		seen[g] = true
	}
	if got := slices.Sorted(maps.Keys(seen)); !slices.Equal(got, []string{"out/0/0=a", "out/0/1=b"}) || w.got[0][0] != "out/0/0=a" {
		t.Errorf("sent %q", w.got[0])
	}
}

// TestDeadLetters: what is given up comes back by redrive, with its first id.
func TestDeadLetters(t *testing.T) {
	w := newWorld(t)
	broken := true
	w.answer = func(n *outbox.Note) error {
		if broken && string(n.Value) != "good" {
			return fmt.Errorf("no, not %s", n.Value)
		}
		return nil
	}
	w.put(0, "bad", "good")
	stop := w.run(w.broker)
	w.wait("both are done with", func() bool { return w.committed(0) == 2 })
	stop()
	w.want(0, "out/0/0=bad", "out/0/0=bad", "out/0/0=bad", "out/0/1=good")
	broken = false
	var letters []engine.Record
	done, err := w.broker.Cluster().(*kafka.Cluster).Redrive(t.Context(), kafka.Redrive{Topic: "dead", Stage: "send", Each: func(r engine.Record, _ engine.TopicPartition, _ engine.Offset, _ string) {
		letters = append(letters, r)
	}})
	if err != nil || done.Sent != 1 || string(letters[0].Value) != "bad" || letters[0].Topic != "out" {
		t.Fatalf("redrive: %+v, %v, %v", done, letters, err)
	}
	w.run(w.broker)
	w.wait("it is sent at last", func() bool { return w.committed(0) == 3 })
	w.want(0, "out/0/0=bad", "out/0/0=bad", "out/0/0=bad", "out/0/1=good", "out/0/0=bad")
}

// TestPoisonedPartition: one that fails for ever holds its own partition only,
// also where it is the only one that may be under way.
func TestPoisonedPartition(t *testing.T) {
	w := newWorld(t)
	w.answer = func(n *outbox.Note) error {
		if n.Partition == 0 {
			return outbox.Permanent(errors.New("never"))
		}
		return nil
	}
	w.put(0, "poison", "behind it")
	w.put(1, "a", "b", "c")
	w.run(w.broker, func(c *outbox.Config) { c.Errors, c.InFlight = engine.ErrorPolicy{}, 1 })
	w.wait("the other partition", func() bool { return len(w.got[1]) == 3 && len(w.got[0]) > 3 })
	w.want(1, "out/1/0=a", "out/1/1=b", "out/1/2=c")
	if at := w.committed(0); at > 0 {
		t.Errorf("committed %d: the poison is lost", at)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if slices.Contains(w.got[0], "out/0/1=behind it") {
		t.Error("out of order")
	}
}

// TestTwoSenders: partitions are shared, and those of one that goes are taken
// over; nothing is lost.
func TestTwoSenders(t *testing.T) {
	w := newWorld(t)
	stop := w.run(w.broker)
	w.put(0, "a")
	w.put(1, "b")
	w.wait("the first", func() bool { return len(w.got[0]) == 1 && len(w.got[1]) == 1 })
	w.run(w.broker)
	w.put(0, "c")
	w.put(1, "d")
	w.wait("both", func() bool { return len(w.got[0]) > 1 && len(w.got[1]) > 1 })
	stop()
	w.put(0, "e")
	w.put(1, "f")
	w.wait("the second", func() bool {
		return slices.Contains(w.got[0], "out/0/2=e") && slices.Contains(w.got[1], "out/1/2=f")
	})
}

// TestFarBehind: more than fits into memory at once is sent, in order.
func TestFarBehind(t *testing.T) {
	w := newWorld(t)
	var values, want []string
	for i := range 700 {
		values, want = append(values, fmt.Sprint(i)), append(want, fmt.Sprintf("out/0/%d=%d", i, i))
	}
	w.put(0, values...)
	w.run(w.broker)
	w.wait("all", func() bool { return len(w.got[0]) == 700 && w.committed(0) == 700 })
	w.want(0, want...)
}
