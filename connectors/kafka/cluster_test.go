package kafka

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/leatstream/leat/connectors/kafka/embedded"
	"github.com/leatstream/leat/engine"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

func TestTopics(t *testing.T) {
	w := newWorld(t, 3, embedded.Options{})
	ctx := timeout(t)

	got, err := w.cluster.Topics(ctx, "in", "nowhere")
	if err != nil {
		t.Fatal(err)
	}
	if i := got["in"]; !i.Exists || i.Partitions != 3 || len(i.ID) != 32 || i.Configs["cleanup.policy"] != "delete" {
		t.Fatalf("in: %+v", i)
	}
	if i, ok := got["nowhere"]; !ok || i.Exists {
		t.Fatalf("nowhere: %+v", i)
	}

	all, err := w.cluster.AllTopics(ctx)
	if err != nil || !slices.Equal(all, []engine.Topic{"in", "in2", "log", "out"}) {
		t.Fatal(all, err)
	}

	specs := []engine.TopicSpec{{Topic: "in", Partitions: 3}, {Topic: "new", Partitions: 2, Configs: map[string]string{"cleanup.policy": "compact"}}}
	for _, want := range [][]engine.Topic{{"new"}, nil} { // the second time there is nothing to do
		created, err := w.cluster.CreateTopics(ctx, specs)
		if err != nil || !slices.Equal(created, want) {
			t.Fatal(created, err)
		}
	}
	if got, _ := w.cluster.Topics(ctx, "new"); got["new"].Configs["cleanup.policy"] != "compact" {
		t.Fatalf("new: %+v", got["new"])
	}
	if _, err := w.cluster.CreateTopics(ctx, []engine.TopicSpec{{Topic: "in", Partitions: 4}}); engine.KindOf(err) != engine.Incompatible {
		t.Fatalf("another partition count: %v", err)
	}

	if id, err := w.cluster.ID(ctx); err != nil || id != "leat-embedded" {
		t.Fatal(id, err)
	}
	if v, err := w.cluster.TransactionVersion(ctx); err != nil || v != 2 {
		t.Fatal(v, err)
	}
}

func TestStartOffsets(t *testing.T) {
	w := newWorld(t, 1, embedded.Options{})
	ctx := timeout(t)
	for i := range 10 {
		err := w.cluster.Produce(ctx, []engine.Record{{Topic: "in", Value: []byte{byte(i)}, Time: int64(1000 * (i + 1))}})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.cluster.DeleteRecords(ctx, map[engine.TopicPartition]engine.Offset{in(0): 2}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		start engine.Start
		want  engine.Offset
	}{
		{"earliest is the log's start", engine.Start{}, 2},
		{"latest is its end", engine.Start{Latest: true}, 10},
		{"a timestamp is the first record at or after it", engine.Start{At: 4500}, 4},
		{"a timestamp beyond the last record is the end", engine.Start{At: 99_000}, 10},
	} {
		got, err := w.cluster.StartOffsets(ctx, "in", c.start)
		if err != nil || got[0] != c.want {
			t.Errorf("%s: %v, %v, want %d", c.name, got, err, c.want)
		}
	}
	if at, err := w.cluster.LogStart(ctx, in(0)); err != nil || at != 2 {
		t.Error(at, err)
	}
	if _, err := w.cluster.StartOffsets(ctx, "nowhere", engine.Start{}); !errors.Is(err, ErrTopicMissing) || engine.KindOf(err) != engine.Environment {
		t.Error(err)
	}
}

// What was produced is read back as it was: null and empty keys, tombstones,
// headers, timestamps.
func TestRecordsComeBack(t *testing.T) {
	w := newWorld(t, 1, embedded.Options{})
	ctx := timeout(t)
	recs := []engine.Record{
		{Topic: "in", Key: []byte("k"), Value: []byte("v"), Time: 1234, Headers: []engine.Header{{Key: "a", Value: []byte("1")}, {Key: "b"}}},
		{Topic: "in", Key: []byte{}, Value: nil, Time: 1235},
		{Topic: "in", Key: nil, Value: []byte{}, Time: 1236, Headers: []engine.Header{{Key: "c", Value: []byte("2")}}},
		{Topic: "in", Value: []byte("now")},
	}
	before := time.Now().UnixMilli()
	if err := w.cluster.Produce(ctx, recs); err != nil {
		t.Fatal(err)
	}
	n := 0
	end, err := w.cluster.Read(ctx, in(0), -1, func(r *engine.Rows) error {
		for i := range r.Len() {
			want := recs[n]
			n++
			if (r.Keys[i] == nil) != (want.Key == nil) || string(r.Keys[i]) != string(want.Key) {
				t.Errorf("key of %d: %q", n, r.Keys[i])
			}
			if (r.Values[i] == nil) != (want.Value == nil) || string(r.Values[i]) != string(want.Value) {
				t.Errorf("value of %d: %q", n, r.Values[i])
			}
			if want.Time != 0 && r.Times[i] != want.Time || want.Time == 0 && r.Times[i] < before {
				t.Errorf("time of %d: %d", n, r.Times[i])
			}
			var got []engine.Header
			if r.Headers != nil {
				got = r.Headers(i)
			}
			if !slices.EqualFunc(got, want.Headers, func(a, b engine.Header) bool { return a.Key == b.Key && string(a.Value) == string(b.Value) }) {
				t.Errorf("headers of %d: %v", n, got)
			}
		}
		return nil
	})
	if err != nil || n != len(recs) || end != 4 {
		t.Fatal(n, end, err)
	}
}

// Read stops at the high watermark of its call, not at the last stable offset:
// it waits for a transaction that is open then.
func TestReadWaitsForOpenTransactions(t *testing.T) {
	w := newWorld(t, 1, embedded.Options{})
	ctx := timeout(t)
	p := w.producer("writer")
	w.put("log", 0, "1")
	w.openTransaction(p, "log", "2")
	go func() {
		engine.Sleep(ctx, 200*time.Millisecond)
		_ = p.EndTransaction(ctx, kgo.TryCommit)
	}()
	if got := w.visible("log"); !slices.Equal(got, []string{"1", "2"}) {
		t.Fatal(got)
	}
}

// Records that were aborted, markers and what compaction took are passed, also
// at the log's end.
func TestReadPassesHoles(t *testing.T) {
	w := newWorld(t, 1, embedded.Options{})
	ctx := timeout(t)
	tp := engine.TopicPartition{Topic: "holes"}
	if err := w.b.Cluster.CreateTopic("holes", 1, map[string]string{"cleanup.policy": "compact", "segment.bytes": "1000", "min.cleanable.dirty.ratio": "0"}); err != nil {
		t.Fatal(err)
	}
	p := w.producer("writer")
	for i := range 100 {
		w.put2("holes", "k", strings.Repeat("x", 50))
		if i%10 == 0 {
			w.openTransaction(p, "holes", "aborted")
			if err := p.EndTransaction(ctx, kgo.TryAbort); err != nil {
				t.Fatal(err)
			}
		}
	}
	w.b.Cluster.Compact()
	w.openTransaction(p, "holes", "aborted at the end")
	if err := p.EndTransaction(ctx, kgo.TryAbort); err != nil {
		t.Fatal(err)
	}
	ends, err := w.cluster.EndOffsets(ctx, "holes")
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	end, err := w.cluster.Read(ctx, tp, -1, func(r *engine.Rows) error { rows += r.Len(); return nil })
	if err != nil || end != ends[0] || rows == 0 || rows >= 100 {
		t.Fatalf("ended at %d of %d with %d rows: %v", end, ends[0], rows, err)
	}
}

// A position before the log's start or beyond its end is its own error.
func TestReadOutOfRange(t *testing.T) {
	w := newWorld(t, 1, embedded.Options{})
	ctx := timeout(t)
	w.putN("log", 0, 0, 10)
	tp := engine.TopicPartition{Topic: "log"}
	if err := w.cluster.DeleteRecords(ctx, map[engine.TopicPartition]engine.Offset{tp: 5}); err != nil {
		t.Fatal(err)
	}
	for _, from := range []engine.Offset{3, 11} {
		_, err := w.cluster.Read(ctx, tp, from, func(*engine.Rows) error { t.Error("rows"); return nil })
		if !errors.Is(err, ErrOffsetOutOfRange) {
			t.Errorf("from %d: %v", from, err)
		}
	}
	for _, from := range []engine.Offset{-1, 5, 10} {
		if end, err := w.cluster.Read(ctx, tp, from, func(*engine.Rows) error { return nil }); err != nil || end != 10 {
			t.Errorf("from %d: %d, %v", from, end, err)
		}
	}
	stop := errors.New("enough")
	if _, err := w.cluster.Read(ctx, tp, -1, func(*engine.Rows) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("fn's error: %v", err)
	}
}

// Tail follows all partitions while leaders move and connections break.
func TestTail(t *testing.T) {
	w := newWorld(t, 4, embedded.Options{Brokers: 2})
	ctx, stop := context.WithCancel(timeout(t))
	for p := range 4 {
		w.putN("in", p, 0, 10)
	}
	next := 10
	seen := map[engine.Partition]int{1: 5}
	err := w.cluster.Tail(ctx, "in", map[engine.Partition]engine.Offset{1: 5}, func(rows []*engine.Rows, pos map[engine.Partition]engine.Offset) error {
		for _, r := range rows {
			for i := range r.Len() {
				if int(r.Offsets[i]) != seen[r.Partition] {
					t.Fatalf("partition %d: offset %d, want %d", r.Partition, r.Offsets[i], seen[r.Partition])
				}
				seen[r.Partition]++
			}
		}
		for p := range engine.Partition(4) {
			if int(pos[p]) != seen[p] {
				t.Fatalf("position %d of partition %d, read %d", pos[p], p, seen[p])
			}
			if seen[p] < next {
				return nil
			}
		}
		if next == 30 {
			stop()
			return nil
		}
		w.b.Cluster.ShufflePartitionLeaders()
		for p := range 4 {
			w.putN("in", p, next, 10)
		}
		next += 10
		return nil
	})
	if !errors.Is(err, context.Canceled) || seen[0] != 30 {
		t.Fatal(err, seen)
	}
}

func TestUnreachable(t *testing.T) {
	_, err := NewCluster(Config{Brokers: []string{"127.0.0.1:1"}})
	if engine.KindOf(err) != engine.Environment || !strings.Contains(err.Error(), "127.0.0.1:1") || !strings.Contains(err.Error(), "is it running?") {
		t.Fatal(err)
	}
	c := Config{Brokers: []string{"kfaka:9092"}}
	_, err = c.classify(fmt.Errorf("unable to dial: %w", &net.OpError{Op: "dial", Err: &net.DNSError{Name: "kfaka", IsNotFound: true}}))
	if !strings.Contains(err.Error(), `kfaka:9092 (the name "kfaka" is not known here)`) {
		t.Fatal(err)
	}
	_, err = NewSession(Config{Brokers: []string{"127.0.0.1:1"}}, SessionConfig{Group: "g", Topics: []engine.Topic{"in"}, TransactionalID: "x", GiveUp: 300 * time.Millisecond})
	if engine.KindOf(err) != engine.Environment {
		t.Fatal(err)
	}
}

func TestSASL(t *testing.T) {
	b, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.EnableSASL(), kfake.Superuser("PLAIN", "p", "s1"),
		kfake.Superuser("SCRAM-SHA-256", "q", "s2"), kfake.Superuser("SCRAM-SHA-512", "r", "s3"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	for _, c := range []struct {
		sasl SASL
		kind engine.Kind
		ok   bool
	}{
		{SASL{"PLAIN", "p", "s1"}, 0, true},
		{SASL{"SCRAM-SHA-256", "q", "s2"}, 0, true},
		{SASL{"SCRAM-SHA-512", "r", "s3"}, 0, true},
		{SASL{"PLAIN", "p", "wrong"}, engine.Environment, false},
		{SASL{"SCRAM-SHA-256", "nobody", "s2"}, engine.Environment, false},
		{SASL{"GSSAPI", "p", "s1"}, engine.Environment, false},
		{SASL{"PLAIN", "", ""}, engine.Environment, false},
	} {
		cl, err := NewCluster(Config{Brokers: b.ListenAddrs(), SASL: c.sasl})
		if c.ok && err != nil || !c.ok && engine.KindOf(err) != c.kind {
			t.Errorf("%+v: %v", c.sasl, err)
		}
		if err != nil {
			if c.sasl.Password != "" && strings.Contains(err.Error(), c.sasl.Password) {
				t.Errorf("the password is in the error: %v", err)
			}
			continue
		}
		cl.Close()
	}
}

// producer is a transactional producer of the test's own.
func (w *world) producer(id string) *kgo.Client {
	w.t.Helper()
	p, err := kgo.NewClient(kgo.SeedBrokers(w.b.Addrs()...), kgo.Dialer(w.b.Dial), kgo.TransactionalID(id), kgo.TransactionTimeout(time.Minute),
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.DisableClientMetrics())
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(p.Close)
	return p
}

// openTransaction writes a record and leaves its transaction open.
func (w *world) openTransaction(p *kgo.Client, topic, value string) {
	w.t.Helper()
	err := p.BeginTransaction()
	if err == nil {
		err = p.ProduceSync(context.Background(), &kgo.Record{Topic: topic, Key: []byte("k"), Value: []byte(value)}).FirstErr()
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// put2 writes one keyed record to partition 0.
func (w *world) put2(topic, key, value string) {
	w.t.Helper()
	err := w.cluster.Produce(context.Background(), []engine.Record{{Topic: engine.Topic(topic), Key: []byte(key), Value: []byte(value)}})
	if err != nil {
		w.t.Fatal(err)
	}
}
