package engine

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"github.com/leatstream/leat/state"
)

// Driver runs a topology without a broker: the same tasks, commits and
// changelogs over logs in memory. leat pipe and leat test are made of it, so
// every test of a pipeline tests its recovery too. Not safe for concurrent use.
type Driver struct {
	topo       *Topology
	partitions int
	db         *state.DB
	tasks      []*Task
	logs       map[TopicPartition]*memoryLog
	committed  map[TopicPartition]OffsetCommit
	results    func(Topic, Record)
	keepState  bool
	now        int64
	number     int64
	batch      int
	rebalances bool
	moves      int // calls of Rebalance
	reach      func(node, what string)
	flush      bool                                      // commits write all that waits
	fresh      map[TopicPartition]bool                   // partitions that no task has begun to read
	moved      map[TopicPartition]map[Partition][]Record // of repartition topics, by the task that wrote: not in the log yet
}

// DriverOptions say how a Driver runs.
type DriverOptions struct {
	Partitions int   // of every source topic; default 1
	Now        int64 // where the clock starts, epoch ms
	Batch      int   // rows per turn; default 1000
	Restarts   bool  // Restart will be called: keep changelogs
	// Rebalances: Rebalance will be called: keep changelogs, and local state as a
	// worker does.
	Rebalances bool
	// Reach is TaskEnv.Reach of all tasks.
	Reach func(node, what string)
	// Result gets each committed record of topics that are not internal.
	Result func(Topic, Record)
}

// memoryLog is one partition in memory; base is the offset of records[0].
type memoryLog struct {
	base    int64
	records []Record
}

func (l *memoryLog) end() int64 { return l.base + int64(len(l.records)) }

// NewDriver opens all tasks of a topology.
func NewDriver(topo *Topology, o DriverOptions) (*Driver, error) {
	d := &Driver{topo: topo, partitions: max(o.Partitions, 1), logs: map[TopicPartition]*memoryLog{}, committed: map[TopicPartition]OffsetCommit{},
		fresh: map[TopicPartition]bool{}, moved: map[TopicPartition]map[Partition][]Record{}, results: o.Result, keepState: o.Restarts || o.Rebalances, rebalances: o.Rebalances, reach: o.Reach,
		now: o.Now, batch: o.Batch}
	if d.batch == 0 {
		d.batch = 1000
	}
	return d, d.open()
}

func (d *Driver) open() error {
	d.db, d.tasks = state.OpenMemory(), nil
	if d.rebalances {
		var err error
		if d.db, err = state.OpenScratch(); err != nil {
			return E(Environment, "open state in memory", err)
		}
	}
	for _, sub := range d.topo.Subs {
		for p := range Partition(d.partitions) {
			t, err := d.openTask(sub, p)
			if err != nil {
				return err
			}
			d.tasks = append(d.tasks, t)
		}
	}
	return nil
}

func (d *Driver) openTask(sub *SubTopology, p Partition) (*Task, error) {
	var lease *state.Lease
	var found Recovery
	if specs := sub.StoreSpecs(); len(specs) > 0 {
		var err error
		if lease, err = d.db.Lease(d.topo.StateName(sub, p), specs); err != nil {
			return nil, err
		}
		if found, err = Recover(context.Background(), d.topo, sub, p, lease, d.read, nil); err != nil {
			return nil, err
		}
	}
	t, err := NewTask(d.topo, sub, p, lease, TaskEnv{
		Lane: "driver/0", Tasks: d.partitions, Log: slog.New(slog.DiscardHandler),
		Partitions: func(Topic) int { return d.partitions },
		Now:        func() int64 { return d.now },
		Reach:      d.reach,
	})
	if err != nil {
		return nil, err
	}
	for _, tp := range t.Inputs() {
		c, ok := d.committed[tp]
		meta, _ := DecodeOffsetMeta(c.Metadata)
		if !ok {
			c.Offset, d.fresh[tp] = 0, true
		}
		t.Take(tp, c.Offset, meta, d.now)
	}
	return t, t.Recovered(found, d.now)
}

func (d *Driver) read(_ context.Context, tp TopicPartition, from Offset, fn func(*Rows) error) (Offset, error) {
	l := d.log(tp)
	if len(l.records) == 0 {
		return Offset(l.end()), nil
	}
	return Offset(l.end()), fn(rowsOf(tp, l.records, max(int64(from), l.base)-l.base, l.end()-l.base, l.base))
}

func (d *Driver) log(tp TopicPartition) *memoryLog {
	l := d.logs[tp]
	if l == nil {
		l = new(memoryLog)
		d.logs[tp] = l
	}
	return l
}

func rowsOf(tp TopicPartition, recs []Record, from, to, base int64) *Rows {
	r := &Rows{Topic: tp.Topic, Partition: tp.Partition}
	recs = recs[from:to]
	for i := range recs {
		r.Keys, r.Values = append(r.Keys, recs[i].Key), append(r.Values, recs[i].Value)
		r.Times, r.Offsets = append(r.Times, recs[i].Time), append(r.Offsets, base+from+int64(i))
	}
	r.Headers = func(i int) []Header { return recs[i].Headers }
	return r
}

// Partitions is the partition count of every topic.
func (d *Driver) Partitions() int { return d.partitions }

// Feed appends one record to a source's topic. Its bytes are kept. A record
// without a timestamp gets the clock's.
func (d *Driver) Feed(r Record) {
	if r.Time == 0 {
		r.Time = d.now
	}
	l := d.log(TopicPartition{r.Topic, r.Partition})
	l.records = append(l.records, r)
}

// Run processes everything that is in the logs, until all is quiet: one
// sub-topology after the other, so that each finds all that those before it
// have to say, whatever the size of a turn.
func (d *Driver) Run() error {
	for busy := true; busy; {
		busy = false
		for sub := range d.topo.Subs {
			b, err := d.runSub(sub)
			if err != nil {
				return err
			}
			busy = busy || b
		}
	}
	return nil
}

// runSub has the tasks of a sub-topology work until they are quiet.
func (d *Driver) runSub(sub int) (busy bool, err error) {
	for again := true; again; {
		again = false
		for _, t := range d.tasks[sub*d.partitions : (sub+1)*d.partitions] {
			b, err := d.turn(t)
			if err != nil {
				return false, err
			}
			again = again || b
		}
		busy = busy || again
	}
	return busy, d.deliver()
}

// budgetRows and budgetBytes bound one Advance (a fifth of a second's work).
const (
	budgetRows  = 50_000
	budgetBytes = 16 << 20
)

// turn is a lane's turn for one task: read, advance, commit.
func (d *Driver) turn(t *Task) (busy bool, err error) {
	if !t.Closing() {
		for _, tp := range t.Inputs() {
			l, at := d.log(tp), int64(t.Next(tp))
			t.Ends(tp, Offset(l.end()))
			if d.fresh[tp] {
				delete(d.fresh, tp)
				t.ReadFirst(tp, Offset(l.end()))
			}
			if at >= l.end() || t.Paused(tp) {
				continue
			}
			busy = true
			to := min(l.end(), at+int64(d.batch))
			if err := t.Process(rowsOf(tp, l.records, at-l.base, to-l.base, l.base)); err != nil {
				return false, err
			}
		}
	}
	done, err := t.Advance(&Budget{Rows: budgetRows, Bytes: budgetBytes})
	if err != nil {
		return false, err
	}
	d.number++
	dirty, err := t.Prepare(!done || d.flush, d.number)
	if err != nil || !dirty {
		return busy || !done, err
	}
	return true, d.commit(t)
}

// commit is the transaction: all records and offsets at once.
func (d *Driver) commit(t *Task) error {
	produced := map[TopicPartition]Offset{}
	var of driven // of the last record: many follow that go to the same topic
	for _, r := range t.Records() {
		if r.Time == 0 {
			r.Time = d.now
		}
		if of.topic != r.Topic {
			of = d.driven(r.Topic)
		}
		if !of.internal && !of.source {
			if d.results != nil {
				d.results(r.Topic, r)
			}
			continue
		}
		tp := TopicPartition{r.Topic, r.Partition}
		if of.repartition && d.partitions > 1 {
			r.Key, r.Value = clone(r.Key), clone(r.Value)
			if d.moved[tp] == nil {
				d.moved[tp] = map[Partition][]Record{}
			}
			d.moved[tp][t.ID.Partition] = append(d.moved[tp][t.ID.Partition], r)
			continue
		}
		l := d.log(tp)
		if of.changelog && !d.keepState {
			l.base++ // nobody reads it
		} else {
			r.Key, r.Value = clone(r.Key), clone(r.Value)
			l.records = append(l.records, r)
			if of.changelog {
				d.compact(l)
			}
		}
		produced[tp] = Offset(l.end())
		if !of.internal && d.results != nil {
			d.results(r.Topic, r)
		}
	}
	for _, c := range t.Offsets(d.number) {
		d.committed[c.TopicPartition] = c
		if !strings.HasSuffix(string(c.Topic), ".changelog") {
			l := d.log(c.TopicPartition)
			if n := int64(c.Offset) - l.base; n > 4096 && n == int64(len(l.records)) {
				l.base, l.records = int64(c.Offset), nil
			}
		}
	}
	if err := t.Committed(produced); err != nil {
		return err
	}
	const applyEvery = 3 // commits: what is local is behind its changelog most of the time, as on a worker
	if d.rebalances && t.Lease() != nil && d.number%applyEvery == 0 {
		return t.Lease().Apply()
	}
	return nil
}

// deliver puts what the tasks of a sub-topology have sent through repartition
// topics into the logs: what each of them sent in its order, of all of them the
// least event time first. A broker's order would be chance; this one does not
// depend on the sizes of turns.
func (d *Driver) deliver() error {
	for tp, from := range d.moved {
		l := d.log(tp)
		for left := true; left; {
			left = false
			least, next := MaxTime, Partition(0)
			for p := range Partition(d.partitions) {
				if len(from[p]) == 0 {
					continue
				}
				at, err := movedTime(from[p][0].Value)
				if err != nil {
					return err
				}
				if !left || at < least {
					least, next, left = at, p, true
				}
			}
			if left {
				l.records = append(l.records, from[next][0])
				from[next] = from[next][1:]
			}
		}
	}
	clear(d.moved)
	return nil
}

func clone(b []byte) []byte {
	if b == nil {
		return nil
	}
	return append([]byte{}, b...)
}

// compact keeps the newest record per key, as the broker would. Those who read
// a tail need the deletes, too.
func (d *Driver) compact(l *memoryLog) {
	const least = 2_000
	if len(l.records) < least {
		return
	}
	newest := map[string]int{}
	for i, r := range l.records {
		newest[string(r.Key)] = i
	}
	var kept []Record
	for i, r := range l.records {
		if newest[string(r.Key)] == i && (r.Value != nil || d.rebalances) {
			kept = append(kept, r)
		}
	}
	if len(kept) > len(l.records)/2 {
		return
	}
	l.base = l.end() - int64(len(kept))
	l.records = kept
}

// driven is what a topic is to the driver.
type driven struct {
	topic                                    Topic
	internal, changelog, repartition, source bool
}

func (d *Driver) driven(topic Topic) driven {
	s := string(topic)
	of := driven{topic: topic, source: d.isSource(topic)}
	if strings.HasPrefix(s, d.topo.Pipeline+".") {
		of.changelog, of.repartition = strings.HasSuffix(s, ".changelog"), strings.HasSuffix(s, ".repartition")
	}
	of.internal = of.changelog || of.repartition
	return of
}

func (d *Driver) isSource(topic Topic) bool {
	for _, sub := range d.topo.Subs {
		for _, s := range sub.Sources {
			for _, t := range s.Topics {
				if t == topic {
					return true
				}
			}
		}
	}
	return false
}

// AdvanceWatermark moves the watermark of all sources, and closes what that
// completes.
func (d *Driver) AdvanceWatermark(to int64) error {
	for _, t := range d.tasks {
		t.AdvanceTo(to)
	}
	return d.Flush()
}

// Flush writes what waits for a throttle or for a stamp's next step, as a
// little time would.
func (d *Driver) Flush() error {
	d.flush = true
	defer func() { d.flush = false }()
	return d.Run()
}

// AdvanceClock moves the clock: throttles, idleness, close_after_idle. It goes
// in steps of a second at most, as a lane's turns would.
func (d *Driver) AdvanceClock(ms int64) error {
	for end := d.now + ms; d.now < end; {
		d.now = min(end, d.now+1000)
		for _, t := range d.tasks {
			for _, tp := range t.Silent(d.now) {
				t.AtEnd(tp, Offset(d.log(tp).end()))
			}
			t.Tick(d.now)
		}
		if err := d.Run(); err != nil {
			return err
		}
	}
	return nil
}

// Close ends the input: every window closes, sub-topology by sub-topology.
func (d *Driver) Close() error {
	for _, t := range d.tasks {
		t.CloseAll()
	}
	// What a throttle holds back may have to go through a repartition topic yet.
	if err := d.Flush(); err != nil {
		return err
	}
	for _, t := range d.tasks {
		if _, err := t.Prepare(true, d.number); err != nil {
			return err
		}
		if err := d.commit(t); err != nil {
			return err
		}
	}
	for _, t := range d.tasks {
		if !t.Finished() {
			return E(Fatal, "end of input", fmt.Errorf("task %s still waits for a watermark", t.ID))
		}
	}
	return nil
}

// Restart throws every task and all local state away and rebuilds them from
// the logs, as another machine would.
func (d *Driver) Restart() error {
	if err := d.Run(); err != nil {
		return err
	}
	if err := d.Stop(); err != nil {
		return err
	}
	return d.open()
}

// Rebalance moves every task to another worker and back, as a group's members
// come and go: half of the tasks, in turn, find the local state that they had
// left and read the changelog's tail, the others have the changelog alone.
func (d *Driver) Rebalance() error {
	if err := d.Run(); err != nil {
		return err
	}
	d.moves++
	for i, t := range d.tasks {
		if lease := t.Lease(); lease != nil {
			lease.Abandon()
			if (i+d.moves)%2 == 0 {
				if err := d.db.Drop(d.topo.StateName(t.Sub(), t.ID.Partition)); err != nil {
					return err
				}
			}
		}
		next, err := d.openTask(t.Sub(), t.ID.Partition)
		if err != nil {
			return err
		}
		d.tasks[i] = next
	}
	return nil
}

// Stop gives the local state up; the driver is of no use after it.
func (d *Driver) Stop() error {
	if err := d.db.Close(); err != nil {
		return E(Environment, "stop driver", err)
	}
	return nil
}

// Tasks are the driver's tasks, for tests and metrics.
func (d *Driver) Tasks() []*Task { return d.tasks }
