//go:build synctests

package fleet

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/leatstream/leat/connectors/kafka/embedded"
	"github.com/leatstream/leat/engine"
)

// world is the brokers, the machines, the input and what was seen.
type world struct {
	t      *testing.T
	v      variant
	rng    *rand.Rand
	topo   *engine.Topology
	broker *embedded.Broker
	client *kgo.Client // of the test: produces, asks
	admin  *kadm.Client
	log    *slog.Logger
	lanes  int

	partitions int
	machines   []*machine // that should be running
	all        []*machine // that ever ran
	born       int        // machines made, for new ids
	rows       int64      // produced
	faults     []string   // what was done, for the report

	mu       sync.Mutex
	failures []string
}

func (w *world) fail(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failures = append(w.failures, fmt.Sprintf(format, args...))
}

func (w *world) failed() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.failures) > 0
}

func newWorld(t *testing.T, v variant, seed uint64, trace io.Writer) *world {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 1))
	w := &world{t: t, v: v, rng: rng, topo: topology(t, v), partitions: 4 + rng.IntN(3), lanes: 1 + rng.IntN(2)}
	w.log = slog.New(slog.NewTextHandler(trace, &slog.HandlerOptions{Level: slog.LevelInfo, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			a.Value = slog.StringValue(a.Value.Time().Format("04:05.000"))
		}
		return a
	}}))
	var err error
	w.broker, err = embedded.Start("", "127.0.0.1:0", embedded.Options{
		Topics:  map[string]int{"in": w.partitions, "out": w.partitions, "late": w.partitions},
		Virtual: true, Brokers: 3, MinSessionTimeout: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	w.client, err = kgo.NewClient(kgo.SeedBrokers(w.broker.Addrs()...), kgo.Dialer(w.broker.Dial), kgo.DisableClientMetrics(), kgo.MetadataMinAge(100*time.Millisecond),
		kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)), kgo.ProducerLinger(0), kgo.ProducerBatchCompression(kgo.NoCompression()))
	if err != nil {
		t.Fatal(err)
	}
	w.admin = kadm.NewClient(w.client)
	for range 3 {
		w.machines = append(w.machines, w.start(w.newID(), nil))
	}
	return w
}

func (w *world) newID() string {
	w.born++
	return fmt.Sprintf("w%d", w.born-1)
}

// produce writes n rows of event times around now.
func (w *world) produce(n int, now int64) {
	recs := make([]*kgo.Record, n)
	for i := range recs {
		k := w.rng.IntN(24)
		ts := now - int64(w.rng.IntN(disorder)) - int64(k%w.partitions)*300 // partitions are not of one time
		switch w.rng.IntN(40) {
		case 0:
			ts -= int64(w.rng.IntN(3 * size)) // late, or late for some windows
		case 1:
			ts -= advance
		}
		w.rows++
		r := row{ID: w.rows, K: fmt.Sprintf("k%d", k), G: fmt.Sprintf("g%d", w.rng.IntN(9)), TS: ts, N: int64(w.rng.IntN(1000))}
		recs[i] = record(r)
	}
	w.send(recs)
}

func record(r row) *kgo.Record {
	value, _ := json.Marshal(r)
	return &kgo.Record{Topic: "in", Key: []byte(r.K), Value: value, Timestamp: time.UnixMilli(r.TS)}
}

func (w *world) send(recs []*kgo.Record) {
	if err := w.client.ProduceSync(context.Background(), recs...).FirstErr(); err != nil {
		w.fail("produce: %v", err)
	}
}

// finish writes one row far ahead to each partition, so that all windows
// before it close.
func (w *world) finish(now int64) {
	missing := map[int32]bool{}
	for p := range w.partitions {
		missing[int32(p)] = true
	}
	for i := 0; len(missing) > 0; i++ {
		w.rows++
		r := record(row{ID: w.rows, K: fmt.Sprintf("end%d", i), G: "end", TS: now + 20*size})
		w.send([]*kgo.Record{r})
		delete(missing, r.Partition)
	}
}

// input reads in back, as it lies in its partitions.
func (w *world) input() map[int32][]row {
	in := map[int32][]row{}
	w.read("in", func(r *kgo.Record) {
		var v row
		if err := json.Unmarshal(r.Value, &v); err != nil {
			w.fail("in/%d@%d: %v", r.Partition, r.Offset, err)
		}
		in[r.Partition] = append(in[r.Partition], v)
	})
	return in
}

// output reads what was committed.
func (w *world) output() *outcome {
	o := newOutcome(w.v)
	w.read("out", func(r *kgo.Record) { o.result(r.Partition, r.Offset, r.Value) })
	w.read("late", func(r *kgo.Record) { o.dead(r.Partition, r.Offset, r.Value) })
	return o
}

// read gives all records of a topic, read committed, up to its high watermark.
func (w *world) read(topic string, fn func(*kgo.Record)) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	ends, err := w.admin.ListEndOffsets(ctx, topic)
	if err != nil {
		w.fail("read %s: %v", topic, err)
		return
	}
	from := map[int32]kgo.Offset{}
	left := map[int32]int64{}
	ends.Each(func(o kadm.ListedOffset) {
		if o.Offset > 0 {
			from[o.Partition], left[o.Partition] = kgo.NewOffset().AtStart(), o.Offset
		}
	})
	if len(left) == 0 {
		return
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers(w.broker.Addrs()...), kgo.Dialer(w.broker.Dial), kgo.DisableClientMetrics(), kgo.FetchMaxWait(20*time.Millisecond),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords(), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: from}))
	if err != nil {
		w.fail("read %s: %v", topic, err)
		return
	}
	defer cl.Close()
	for len(left) > 0 {
		fs := cl.PollFetches(ctx)
		if ctx.Err() != nil {
			w.fail("read %s: it has an open transaction; not read: %v", topic, left)
			return
		}
		fs.EachPartition(func(p kgo.FetchTopicPartition) {
			for _, r := range p.Records {
				if !r.Attrs.IsControl() {
					fn(r)
				}
				if r.Offset+1 >= left[p.Partition] {
					delete(left, p.Partition)
				}
			}
		})
	}
}

// watch checks, until ctx ends, that the group's offsets never go back.
func (w *world) watch(ctx context.Context) {
	seen := map[string]int64{}
	for ctx.Err() == nil {
		if offs, err := w.admin.FetchOffsets(ctx, w.topo.Group()); err == nil {
			offs.Each(func(o kadm.OffsetResponse) {
				tp := fmt.Sprintf("%s/%d", o.Topic, o.Partition)
				if o.At < seen[tp] && !w.v.again {
					w.fail("the group's offset of %s went back from %d to %d", tp, seen[tp], o.At)
				}
				seen[tp] = max(seen[tp], o.At)
			})
		}
		sleep(ctx, 100*time.Millisecond)
	}
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// fault is something that happens to the fleet. It may be undone later.
type fault struct {
	name   string
	zombie bool // a machine goes on writing after others took its tasks over
	do     func(w *world)
}

// faults is the menu.
var faults = []fault{
	{name: "crash, same id, its disk", do: func(w *world) {
		i := w.pick()
		m := w.machines[i]
		w.machines[i] = w.start(m.id, m.crash(w.rng))
	}},
	{name: "crash, same id, no disk", do: func(w *world) {
		i := w.pick()
		m := w.machines[i]
		m.crash(w.rng)
		w.machines[i] = w.start(m.id, nil)
	}},
	{name: "crash, another id", do: func(w *world) {
		i := w.pick()
		w.machines[i].crash(w.rng)
		w.machines[i] = w.start(w.newID(), nil)
	}},
	{name: "crash, back after a while", do: func(w *world) {
		i := w.pick()
		m := w.machines[i]
		disk := m.crash(w.rng)
		time.Sleep(time.Duration(w.rng.IntN(6000)) * time.Millisecond)
		w.machines[i] = w.start(m.id, disk)
	}},
	{name: "stop and start", do: func(w *world) {
		i := w.pick()
		m := w.machines[i]
		m.stop()
		<-m.done
		w.machines[i] = w.start(m.id, m.disk)
	}},
	{name: "one more", do: func(w *world) {
		w.machines = append(w.machines, w.start(w.newID(), nil))
	}},
	{name: "one less", do: func(w *world) {
		if i := w.pick(); len(w.machines) > 2 {
			w.machines[i].stop()
			w.machines = slices.Delete(w.machines, i, i+1)
		}
	}},
	{name: "network cut", zombie: true, do: func(w *world) {
		c := w.machines[w.pick()].cable
		c.Cut()
		time.AfterFunc(time.Duration(200+w.rng.IntN(7000))*time.Millisecond, c.Mend)
	}},
	{name: "stall", zombie: true, do: func(w *world) {
		release := w.machines[w.pick()].cable.Stall()
		time.AfterFunc(time.Duration(200+w.rng.IntN(7000))*time.Millisecond, release)
	}},
	{name: "answers of EndTxn lost", do: func(w *world) { w.machines[w.pick()].cable.Mute(1 + w.rng.IntN(3)) }},
	{name: "leaders move", do: func(w *world) { w.broker.Cluster.ShufflePartitionLeaders() }},
	{name: "coordinators move", do: func(w *world) { w.broker.Cluster.RehashCoordinators() }},
	{name: "errors of produce", do: func(w *world) {
		errs := []*kerr.Error{kerr.NotLeaderForPartition, kerr.NotEnoughReplicasAfterAppend, kerr.RequestTimedOut, kerr.UnknownServerError}
		w.broker.Cluster.Fault(kfakeProduce(errs[w.rng.IntN(len(errs))], 1+w.rng.IntN(4))...)
	}},
	{name: "errors of transactions", do: func(w *world) { w.broker.Cluster.Fault(kfakeTransactions(w.rng)...) }},
}

// compaction is no part of the menu: the broker's loses what an open
// transaction supersedes, also where that aborts, and hides what a producer
// commits after an abort whose marker it removed.
var compaction = fault{name: "compaction", do: func(w *world) { w.broker.Cluster.Compact() }}

func (w *world) pick() int { return w.rng.IntN(len(w.machines)) }

// strike lets a fault happen.
func (w *world) strike(f fault) {
	w.faults = append(w.faults, f.name)
	w.log.Info("FAULT", "what", f.name)
	f.do(w)
}

// drain ends all machines, politely.
func (w *world) drain() {
	for _, m := range w.all {
		m.stop()
	}
	for _, m := range w.all {
		<-m.done
	}
}

// standing describes the group where nothing moves any more.
func (w *world) standing() string {
	var b strings.Builder
	g := w.broker.Cluster.GroupInfo(w.topo.Group())
	if g == nil {
		return "there is no group"
	}
	fmt.Fprintf(&b, "group %s, generation %d, %d partitions assigned\n", g.State, g.Epoch, g.NumAssigned())
	for _, m := range g.Members {
		fmt.Fprintf(&b, "  %s %v\n", m.ClientID, m.Assignment)
	}
	for _, topic := range slices.Sorted(maps.Keys(g.Commits)) {
		for _, p := range w.broker.Cluster.PartitionInfos(topic) {
			c := g.Commits[topic][p.Partition]
			fmt.Fprintf(&b, "  %s/%d: high watermark %d, last stable offset %d, committed %d %s\n", topic, p.Partition, p.HighWatermark, p.LastStableOffset, c.Offset, c.Metadata)
		}
	}
	return b.String()
}
