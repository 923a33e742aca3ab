package kafka

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/leatstream/leat/connectors/kafka/embedded"
	"github.com/leatstream/leat/engine"
	"github.com/twmb/franz-go/pkg/kgo"
)

// world is a broker in memory with the topics in, in2, out and log, and what
// tests do with it beside the sessions under test.
type world struct {
	t       testing.TB
	b       *embedded.Broker
	cluster *Cluster
	side    *kgo.Client // a stranger's client: requests of the tests
}

const patience = 10 * time.Second

func newWorld(t testing.TB, partitions int, opts embedded.Options) *world {
	t.Helper()
	opts.Topics = map[string]int{"in": partitions, "in2": partitions, "out": partitions, "log": partitions}
	if opts.MinSessionTimeout == 0 {
		opts.MinSessionTimeout = 100 * time.Millisecond
	}
	b, err := embedded.Start("", "127.0.0.1:0", opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	w := &world{t: t, b: b}
	if w.cluster, err = NewCluster(w.config()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.cluster.Close)
	if w.side, err = kgo.NewClient(kgo.SeedBrokers(b.Addrs()...), kgo.Dialer(b.Dial), kgo.DisableClientMetrics()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.side.Close)
	return w
}

func (w *world) config() Config {
	return Config{
		Brokers:            w.b.Addrs(),
		Dialer:             w.b.Dial,
		TransactionTimeout: 4 * time.Second,
		SessionTimeout:     5 * time.Second,
		HeartbeatInterval:  50 * time.Millisecond,
		RebalanceTimeout:   5 * time.Second,
		FetchMaxWait:       50 * time.Millisecond,
		Linger:             -1,
	}
}

// lane is a session with the bookkeeping that engine's lane does.
type lane struct {
	*Session
	w       *world
	name    string
	gen     int64
	owned   []engine.TopicPartition
	pos     map[engine.TopicPartition]engine.Offset // the lane's positions
	number  int64                                   // of the next commit
	rows    []string                                // topic/partition@offset=value of what was polled
	counted int                                     // of them, by read
}

func (w *world) lane(name string, change ...func(*Config, *SessionConfig)) *lane {
	w.t.Helper()
	cfg := w.config()
	sc := SessionConfig{
		Group: "g", Topics: []engine.Topic{"in"}, TransactionalID: name, Lane: name,
		CommitNumber: commitNumber,
		Writer:       func(m string) string { id, _, _ := strings.Cut(m, "#"); return id },
	}
	for _, f := range change {
		f(&cfg, &sc)
	}
	s, err := NewSession(cfg, sc)
	if err != nil {
		w.t.Fatal(err)
	}
	l := &lane{Session: s, w: w, name: name, pos: make(map[engine.TopicPartition]engine.Offset)}
	w.t.Cleanup(func() { s.Close(true) })
	return l
}

func atLeastOnce(_ *Config, sc *SessionConfig) { sc.Guarantee = engine.AtLeastOnce }

// commitNumber reads "lane#number".
func commitNumber(m string) int64 {
	_, n, _ := strings.Cut(m, "#")
	v, err := strconv.ParseInt(n, 10, 64)
	if err != nil {
		return -1
	}
	return v
}

func in(p int) engine.TopicPartition {
	return engine.TopicPartition{Topic: "in", Partition: engine.Partition(p)}
}

// reconcile takes over a changed assignment: positions from the group, or the
// log's start.
func (l *lane) reconcile() {
	l.w.t.Helper()
	gen, owned := l.Assignment()
	if gen == l.gen {
		return
	}
	l.gen, l.owned = gen, owned
	clear(l.pos)
	if len(owned) == 0 {
		return
	}
	committed, err := l.Committed(context.Background(), owned)
	if err != nil {
		l.w.t.Fatal(err)
	}
	for _, tp := range owned {
		l.pos[tp] = max(committed[tp].Offset, 0)
	}
	l.SetPositions(l.pos)
	l.Resume(owned)
}

// poll is one Poll; what came is noted and the positions go on.
func (l *lane) poll() int {
	l.w.t.Helper()
	got, err := l.Poll(context.Background(), 1000, 5*time.Millisecond)
	if err != nil {
		l.w.t.Fatal(err)
	}
	n := 0
	for _, r := range got {
		n += r.Len()
		for i := range r.Len() {
			l.rows = append(l.rows, fmt.Sprintf("%s/%d@%d=%s", r.Topic, r.Partition, r.Offsets[i], r.Values[i]))
		}
		l.pos[engine.TopicPartition{Topic: r.Topic, Partition: r.Partition}] = r.Next
	}
	return n
}

// read runs turns without a commit until n more rows came than it has counted.
func (l *lane) read(n int) {
	l.w.t.Helper()
	l.until(func() bool { return len(l.rows)-l.counted >= n })
	l.counted = len(l.rows)
}

// idle ends a turn in which nothing happened.
func (l *lane) idle() {
	l.w.t.Helper()
	l.begin()
	if _, err := l.End(context.Background(), true, l.number, nil); err != nil {
		l.w.t.Fatal(err)
	}
	l.AllowRebalance()
}

// until runs idle turns until cond holds.
func (l *lane) until(cond func() bool) {
	l.w.t.Helper()
	for end := time.Now().Add(patience); ; {
		if cond() {
			return
		}
		if time.Now().After(end) {
			l.w.t.Fatalf("%s: waited in vain; owned %v, rows %v", l.name, l.owned, l.rows)
		}
		l.poll()
		l.idle()
		l.reconcile()
	}
}

// own runs idle turns until the lane owns n partitions.
func (l *lane) own(n int) {
	l.w.t.Helper()
	l.until(func() bool { return len(l.owned) == n })
}

func (l *lane) begin() {
	l.w.t.Helper()
	if err := l.Begin(); err != nil {
		l.w.t.Fatal(err)
	}
}

// produce writes values to partition 0 of a topic.
func (l *lane) produce(topic string, values ...string) {
	var recs []engine.Record
	for _, v := range values {
		recs = append(recs, engine.Record{Topic: engine.Topic(topic), Key: []byte("k"), Value: []byte(v)})
	}
	l.Produce(recs)
}

// offsets are the lane's positions as a commit, with the number in the metadata.
func (l *lane) offsets() []engine.OffsetCommit {
	l.number++
	var out []engine.OffsetCommit
	for _, tp := range l.owned {
		out = append(out, engine.OffsetCommit{TopicPartition: tp, Offset: l.pos[tp], Metadata: fmt.Sprintf("%s#%d", l.name, l.number)})
	}
	return out
}

// commit ends the transaction with the lane's positions.
func (l *lane) commit() (engine.Outcome, error) {
	os := l.offsets()
	return l.End(context.Background(), true, l.number, os)
}

// mustCommit is a turn's end that is Done.
func (l *lane) mustCommit() {
	l.w.t.Helper()
	if outcome, err := l.commit(); outcome != engine.Done || err != nil {
		l.w.t.Fatalf("%s: commit: %s, %v", l.name, outcomeName(outcome), err)
	}
	l.AllowRebalance()
}

func outcomeName(o engine.Outcome) string {
	return [...]string{"aborted", "done", "lost lease"}[o]
}

// put writes values to a partition, outside any transaction.
func (w *world) put(topic string, partition int, values ...string) {
	w.t.Helper()
	var recs []engine.Record
	for _, v := range values {
		recs = append(recs, engine.Record{Topic: engine.Topic(topic), Partition: engine.Partition(partition), Value: []byte(v)})
	}
	if err := w.cluster.Produce(context.Background(), recs); err != nil {
		w.t.Fatal(err)
	}
}

// putN writes n values "from", "from+1", …
func (w *world) putN(topic string, partition, from, n int) {
	w.t.Helper()
	values := make([]string, n)
	for i := range values {
		values[i] = strconv.Itoa(from + i)
	}
	w.put(topic, partition, values...)
}

// visible reads the committed values of partition 0 of a topic.
func (w *world) visible(topic string) []string {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	out := []string{}
	_, err := w.cluster.Read(ctx, engine.TopicPartition{Topic: engine.Topic(topic)}, -1, func(r *engine.Rows) error {
		for _, v := range r.Values {
			out = append(out, string(v))
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

func (w *world) wantVisible(topic string, want ...string) {
	w.t.Helper()
	if got := w.visible(topic); !slices.Equal(got, want) {
		w.t.Fatalf("%s holds %q, want %q", topic, got, want)
	}
}

// wantGroup compares what the group holds for a partition of in.
func (w *world) wantGroup(p int, offset engine.Offset, metadata string) {
	w.t.Helper()
	got, err := w.cluster.GroupOffsets(context.Background(), "g")
	if err != nil {
		w.t.Fatal(err)
	}
	c, ok := got[in(p)]
	if !ok {
		c.Offset = -1
	}
	if c.Offset != offset || c.Metadata != metadata {
		w.t.Fatalf("the group holds %d %q for in/%d, want %d %q", c.Offset, c.Metadata, p, offset, metadata)
	}
}

// count gives in/0@from=from … in/0@to-1=to-1, the rows of putN("in", 0, 0, …).
func count(from, to int) []string {
	var out []string
	for i := from; i < to; i++ {
		out = append(out, fmt.Sprintf("in/0@%d=%d", i, i))
	}
	return out
}

func (l *lane) wantRows(want ...string) {
	l.w.t.Helper()
	if !slices.Equal(l.rows, want) {
		l.w.t.Fatalf("%s polled %q, want %q", l.name, l.rows, want)
	}
	l.rows, l.counted = nil, 0
}
