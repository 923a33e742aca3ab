package engine

import (
	"fmt"
	"log/slog"
	"slices"
	"strconv"

	"github.com/leatstream/leat/state"
	"github.com/leatstream/leat/window"
)

// TaskID names a task: one sub-topology × one partition.
type TaskID struct {
	Sub       int
	Partition Partition
}

// String is the id as logs and metrics show it: "0/3".
func (id TaskID) String() string { return strconv.Itoa(id.Sub) + "/" + strconv.Itoa(int(id.Partition)) }

// Task is one sub-topology × one partition: a synchronous value with no
// goroutine, lock or clock. A lane (or a Driver) calls it from one goroutine:
//
//	Process(rows)… Advance… ─▶ Prepare ─▶ [transaction] ─▶ Committed | RolledBack
//
// Everything it changed since the last Committed is undone by RolledBack
// without reading anything back.
type Task struct {
	ID    TaskID
	topo  *Topology
	sub   *SubTopology
	env   TaskEnv
	lease *state.Lease // nil for stateless tasks

	feeds  []*feed
	inputs []*input // of each source, its feeds
	nodes  []*node
	single bool    // rows go through one by one (stepwise)
	merged []*feed // in order of ties; nil: rows go straight through (merge.go)
	marks  []int64 // per source: the minimum over its inputs that are not idle

	out        []Record
	outSize    int
	asOf       int64 // see clock; 0: not asked in this interval
	limited    Topic // whose limits these are: the last record's
	limits     Limits
	arena      arena
	closing    bool // an Advance ran out of budget: inputs are paused until it is done
	wasClosing bool // at the last commit

	refused error // a record the broker would refuse, under the policy fail
	changed bool  // rows were read, time moved or something was produced since the last commit
	meta    *taskMeta
	rate    errorRate
	Stats   *TaskStats
}

// TaskEnv is what a task gets from whoever drives it.
type TaskEnv struct {
	Lane       string // <worker id>/<lane>, for offset metadata
	Txn        string // transactional id
	Tasks      int    // tasks of this sub-topology
	Partitions func(Topic) int
	Limits     func(Topic) Limits
	Now        func() int64 // epoch ms of the turn; the driver's clock
	Log        *slog.Logger
	// Reach is told what rows have reached, for the coverage of tests: of a node
	// "rows", "output 1" (its ports), "late", and what Context.Reach says. nil:
	// nobody asks.
	Reach func(node, what string)
}

// Limits are what a topic's broker accepts: bytes of one record and how far
// its timestamp may be from the broker's clock. Zero means no limit known.
type Limits struct {
	MaxBytes      int
	BeforeMax     int64 // ms
	AfterMax      int64 // ms
	LogAppendTime bool
}

// NewTask opens a task's operators. The lease must hold the sub-topology's
// stores in the order of StoreSpecs, loaded or empty; Recover comes next.
func NewTask(topo *Topology, sub *SubTopology, p Partition, lease *state.Lease, env TaskEnv) (*Task, error) {
	if err := topo.Check(); err != nil {
		return nil, err
	}
	t := &Task{ID: TaskID{sub.ID, p}, topo: topo, sub: sub, env: env, lease: lease, Stats: new(TaskStats)}
	for _, s := range sub.Sources {
		t.marks = append(t.marks, MinTime)
		for _, topic := range s.Topics {
			t.addInput(s, len(t.marks)-1, TopicPartition{topic, p})
		}
	}
	var tables []*state.Table
	if lease != nil {
		tables = lease.Tables()
	}
	for _, spec := range sub.Nodes {
		n, err := t.addNode(spec)
		if err != nil {
			return nil, err
		}
		n.ctx = t.context(n, tables[:len(spec.Stores)])
		if env.Reach != nil {
			n.reach = func(what string) { env.Reach(spec.Name, what) }
			n.ctx.Reach = n.reach
		}
		tables = tables[len(spec.Stores):]
		op, err := spec.New(n.ctx)
		if err != nil {
			return nil, E(Fatal, fmt.Sprintf("open %s %q", spec.Kind, spec.Name), err)
		}
		n.op = op
		if err := t.connect(n); err != nil {
			return nil, err
		}
		t.nodes = append(t.nodes, n)
	}
	t.setMerge()
	t.snapshot()
	return t, nil
}

// StoreSpecs lists a sub-topology's stores in the order of its nodes.
func (s *SubTopology) StoreSpecs() []state.Spec {
	var specs []state.Spec
	for _, n := range s.Nodes {
		specs = append(specs, n.Stores...)
	}
	return specs
}

// StateName is the name of a task's state in Pebble. It is made of names, not
// of positions, so that adding a step keeps it.
func (t *Topology) StateName(sub *SubTopology, p Partition) string {
	return fmt.Sprintf("%s.%d/%s/%d", t.Pipeline, t.Generation, sub.StoreSpecs()[0].Name, p)
}

// ChangelogTopic names a store's changelog.
func (t *Topology) ChangelogTopic(store string) Topic {
	return Topic(fmt.Sprintf("%s.%d.%s.changelog", t.Pipeline, t.Generation, store))
}

// Group is the pipeline's consumer group.
func (t *Topology) Group() string { return fmt.Sprintf("%s.%d", t.Pipeline, t.Generation) }

func (t *Task) context(n *node, tables []*state.Table) *Context {
	return &Context{
		Pipeline: t.topo.Pipeline, Name: n.spec.Name, Task: int(t.ID.Partition), Tasks: t.env.Tasks,
		Sub: t.sub.ID, Generation: t.topo.Generation, Tables: tables, Now: t.env.Now,
		Bad: func(stage Stage, b *Batch, row int32, err error) error {
			if n.reach != nil {
				n.reach(string(stage))
			}
			return t.bad(n.spec.step(), n.spec.Errors, stage, b, row, err)
		},
		Produce: func(r Record) { t.produce(n.spec, r) }, Arena: t.arena.take, Partitions: t.env.Partitions, Side: n.send,
		Count:     t.Stats.count,
		Watermark: func() int64 { return n.in },
		Idle:      func() bool { return t.idle(n) }, clocked: func() bool { return t.clocked(n) }, holds: func() window.Holding { return t.holds(n) },
		booting: func() bool { return t.booting(n) },
		Olds:    n.olds,
		Stats:   t.Snapshot,
	}
}

// Process takes rows of one of the task's inputs through the operators, or has
// them wait for their turn (merge.go), which Advance gives. Rows must follow on
// from Next.
func (t *Task) Process(rows *Rows) error {
	f := t.feed(TopicPartition{rows.Topic, rows.Partition})
	if f == nil {
		return E(Fatal, "process", fmt.Errorf("task %s does not read %s/%d", t.ID, rows.Topic, rows.Partition))
	}
	if t.merged != nil {
		f.push(rows, t.env.Now())
		return nil
	}
	if rows.Len() == 0 {
		f.position = max(f.position, rows.Next)
		f.next = f.position
		return nil
	}
	if t.single {
		for from := 0; from < rows.Len(); from += portionRows {
			part := rows.slice(from, min(from+portionRows, rows.Len()))
			if err := t.straight(f, &part); err != nil {
				return err
			}
		}
		return nil
	}
	return t.straight(f, rows)
}

// straight takes rows of a feed through the operators as they came.
func (t *Task) straight(f *feed, rows *Rows) error {
	t.changed = true
	t.rate.begin(int64(rows.Len()), t.env.Now())
	t.Stats.pendingIn += int64(rows.Len())
	f.position = max(rows.Next, Offset(rows.Offsets[rows.Len()-1]+1))
	f.next = f.position
	for _, in := range f.inputs {
		b, err := in.decode(t, rows)
		if err != nil {
			return err
		}
		in.heard(t.env.Now())
		if err := t.deliver(in, b); err != nil {
			return err
		}
	}
	return t.rate.check(t.topo.MaxRate)
}

// deliver hands rows of an input to its readers.
func (t *Task) deliver(in *input, b *Batch) error {
	if t.single {
		return stepwise(in.children, b)
	}
	return emitTo(in.children, b)
}

// Advance processes the rows that have waited for their turn, moves the
// watermark through the operators and lets them release what is complete. done is false when the budget ran out: the caller commits,
// leaves the inputs paused, and calls again.
func (t *Task) Advance(budget *Budget) (done bool, err error) {
	if t.merged != nil && !t.closing {
		if err := t.merge(); err != nil {
			return false, err
		}
	}
	for s := range t.marks {
		if w := t.sourceMark(s); w > t.marks[s] {
			t.marks[s] = w
		}
	}
	for _, n := range t.nodes {
		w := t.watermark(n)
		if w <= n.in && !t.closing {
			continue
		}
		n.in = max(n.in, w)
		a, ok := n.op.(Advancer)
		if !ok {
			n.down = n.in
			continue
		}
		down, done, err := a.Advance(n.in, budget, n.emit)
		if err != nil {
			return false, err
		}
		n.down = max(n.down, down)
		if !done {
			t.closing, t.changed = true, true
			return false, nil
		}
	}
	t.closing = false
	return true, nil
}

// Closing tells that a large close is under way: the inputs are to be paused.
func (t *Task) Closing() bool { return t.closing }

// Prepare flushes throttled updates and stamps, and appends the changelog and
// the meta record to the output. It tells whether there is anything to commit.
func (t *Task) Prepare(all bool, commit int64) (dirty bool, err error) {
	for _, n := range t.nodes {
		if f, ok := n.op.(Flusher); ok {
			if err := f.Flush(t.env.Now(), all, n.emit); err != nil {
				return false, err
			}
		}
	}
	if t.refused != nil {
		return false, t.refused
	}
	if !t.changed && len(t.out) == 0 {
		return false, nil
	}
	if t.lease != nil {
		if err := t.changelog(commit); err != nil {
			return false, err
		}
	}
	return true, nil
}

// Touch makes the next commit commit the task's positions even where nothing
// else changed.
func (t *Task) Touch() { t.changed = true }

// Records are what Prepare and the operators produced since the last commit.
func (t *Task) Records() []Record { return t.out }

// Buffered is the size of the records produced so far: the lane commits early
// above a bound.
func (t *Task) Buffered() (records, bytes int) { return len(t.out), t.outSize }

// Offsets are the task's input positions with their metadata: every
// transaction that writes for the task commits them.
func (t *Task) Offsets(commit int64) []OffsetCommit {
	var offsets []OffsetCommit
	closed := t.closes()
	for _, f := range t.feeds {
		if f.position < 0 {
			continue
		}
		m := f.meta(t.env, commit)
		m.Closed = closed
		offsets = append(offsets, OffsetCommit{f.tp, f.position, m.Encode()})
	}
	return offsets
}

// Committed makes what happened since the last commit the task's state.
// produced tells where the changelog records ended up.
func (t *Task) Committed(produced map[TopicPartition]Offset) error {
	if t.lease != nil && t.meta != nil {
		pos := map[string]state.Position{}
		for _, n := range t.nodes {
			for i := range n.spec.Stores {
				tp := TopicPartition{t.topo.ChangelogTopic(n.spec.Stores[i].Name), t.ID.Partition}
				if off, ok := produced[tp]; ok {
					pos[n.spec.Stores[i].Name] = state.Position{Offset: int64(off), Epoch: -1}
				}
			}
		}
		if err := t.lease.Commit(pos, t.meta.encode()); err != nil {
			return E(Fenced, fmt.Sprintf("commit task %s", t.ID), err)
		}
	}
	t.Stats.commit()
	for _, n := range t.nodes {
		if u, ok := n.op.(Undoer); ok {
			u.Committed()
		}
	}
	t.arena.committed()
	t.reset()
	t.snapshot()
	return nil
}

// RolledBack puts the task back to its last commit.
func (t *Task) RolledBack() error {
	if t.lease != nil {
		t.lease.Rollback()
	}
	t.arena.aborted()
	t.reset()
	t.Stats.rollback()
	return t.restoreSnapshot()
}

func (t *Task) reset() {
	t.out, t.outSize, t.changed, t.meta, t.refused = t.out[:0], 0, false, nil, nil
	t.asOf, t.limited = 0, ""
}

// changelog appends the dirty keys of every table and one meta record.
func (t *Task) changelog(commit int64) error {
	first := true
	for _, n := range t.nodes {
		for i, table := range n.ctx.Tables {
			topic := t.topo.ChangelogTopic(n.spec.Stores[i].Name)
			err := table.Changes(func(key, value []byte) error {
				r := Record{Topic: topic, Partition: t.ID.Partition, Key: t.copyKeyed(changelogRow, key)}
				if value != nil {
					r.Value = t.copy(value)
				}
				if limit := t.limit(topic); limit > 0 && len(key)+len(value) > limit {
					return E(Fatal, fmt.Sprintf("write changelog of %q", n.spec.Name),
						fmt.Errorf("one key's state has %d bytes and %s takes %d (max.message.bytes)", len(value), topic, limit))
				}
				t.out = append(t.out, r)
				t.outSize += len(r.Key) + len(r.Value)
				return nil
			})
			if err != nil {
				return err
			}
			if first {
				first = false
				defer func(topic Topic) {
					t.meta = t.metaNow(commit)
					t.out = append(t.out, Record{Topic: topic, Partition: t.ID.Partition, Key: []byte{changelogMeta}, Value: t.meta.encode()})
				}(topic)
			}
		}
	}
	return nil
}

// The first byte of a changelog key says what the record is.
const (
	changelogMeta byte = 0
	changelogRow  byte = 1
)

func (t *Task) limit(topic Topic) int {
	if t.env.Limits == nil {
		return 0
	}
	return t.env.Limits(topic).MaxBytes
}

func (t *Task) copy(b []byte) []byte {
	c := t.arena.take(len(b))
	copy(c, b)
	return c
}

func (t *Task) copyKeyed(kind byte, b []byte) []byte {
	c := t.arena.take(len(b) + 1)
	c[0] = kind
	copy(c[1:], b)
	return c
}

func (t *Task) metaNow(commit int64) *taskMeta {
	m := &taskMeta{Commit: commit, Nodes: map[string][]byte{}}
	for _, in := range t.inputs {
		m.Inputs = append(m.Inputs, in.inputMeta())
	}
	for _, n := range t.nodes {
		if r, ok := n.op.(Rememberer); ok {
			m.Nodes[n.spec.id()] = slices.Clone(r.Remember())
		}
	}
	return m
}

// snapshot keeps the time and cursors that a rollback must bring back.
func (t *Task) snapshot() {
	t.wasClosing = t.closing
	for _, f := range t.feeds {
		f.saved = f.position
	}
	for _, in := range t.inputs {
		in.saved = in.state()
	}
	for _, n := range t.nodes {
		if r, ok := n.op.(Rememberer); ok {
			n.ctx.saved = slices.Clone(r.Remember())
		}
		n.ctx.savedIn, n.ctx.savedDown = n.in, n.down
	}
}

func (t *Task) restoreSnapshot() error {
	for _, f := range t.feeds {
		f.seek(f.saved)
	}
	for _, in := range t.inputs {
		in.restore(in.saved)
	}
	for s := range t.marks {
		t.marks[s] = MinTime
	}
	t.closing = t.wasClosing
	for _, n := range t.nodes {
		n.in, n.down = n.ctx.savedIn, n.ctx.savedDown
		if r, ok := n.op.(Rememberer); ok {
			if err := r.Recall(n.ctx.saved); err != nil {
				return E(Fatal, fmt.Sprintf("roll back %q", n.spec.Name), err)
			}
		}
		if u, ok := n.op.(Undoer); ok {
			u.RolledBack()
		}
	}
	return nil
}

// Inputs lists the partitions the task reads.
func (t *Task) Inputs() []TopicPartition {
	tps := make([]TopicPartition, len(t.feeds))
	for i, f := range t.feeds {
		tps[i] = f.tp
	}
	return tps
}

// Positions are the offsets of the first rows that are not processed.
func (t *Task) Positions() map[TopicPartition]Offset {
	m := make(map[TopicPartition]Offset, len(t.feeds))
	for _, f := range t.feeds {
		m[f.tp] = f.position
	}
	return m
}

// Lease is the task's state; nil for a stateless task.
func (t *Task) Lease() *state.Lease { return t.lease }

// Sub is the task's sub-topology.
func (t *Task) Sub() *SubTopology { return t.sub }
