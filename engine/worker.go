package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/leatstream/leat/state"
)

// Broker is the door to Kafka as a worker needs it; connectors/kafka opens it.
type Broker interface {
	Cluster() Cluster
	// Session joins the group as one lane.
	Session(ctx context.Context, r SessionRequest) (Session, error)
}

// SessionRequest says what a lane's session is for.
type SessionRequest struct {
	Group           string
	Topics          []Topic
	TransactionalID string
	Lane            string
	Guarantee       Guarantee
	// Start gives the exact offset of a partition that the group has no offset for.
	Start func(ctx context.Context, tp TopicPartition) (Offset, error)
	// CommitNumber reads the number of a commit out of offset metadata.
	CommitNumber func(metadata string) int64
	// Writer reads the transactional id of the writer out of offset metadata.
	Writer func(metadata string) string
	Log    *slog.Logger
}

// Trust is the operator's word where state and group disagree.
type Trust uint8

// The choices.
const (
	TrustNothing Trust = iota
	TrustState         // --trust-state
	TrustOffsets       // --trust-offsets
)

// Options are a worker's settings; zero values are the defaults.
type Options struct {
	WorkerID           string
	Lanes              int           // default two per core, never more than tasks
	CommitInterval     time.Duration // default 200ms
	TransactionTimeout time.Duration // default 10s
	FlushEvery         time.Duration // default 60s
	Memory             int64         // bytes for tables; default 1 GiB
	Trust              Trust
	UntilEnd           bool
	CloseWindows       bool // with UntilEnd: move time past the last window, too
	Stdout             io.Writer
	Files              map[Topic]io.Writer // of file sinks
	Log                *slog.Logger
	Metrics            *Metrics
}

func (o *Options) defaults() {
	if o.CommitInterval == 0 {
		o.CommitInterval = 200 * time.Millisecond
	}
	if o.TransactionTimeout == 0 {
		o.TransactionTimeout = 10 * time.Second
	}
	if o.FlushEvery == 0 {
		o.FlushEvery = time.Minute
	}
	if o.Memory == 0 {
		o.Memory = 1 << 30
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Stdout == nil {
		o.Stdout = io.Discard
	}
	if o.Metrics == nil {
		o.Metrics = NewMetrics()
	}
}

// Worker runs one topology: it starts every goroutine there is (start), and
// waits for all of them.
type Worker struct {
	topo    *Topology
	plan    *Plan
	broker  Broker
	db      *state.DB
	opts    Options
	log     *slog.Logger
	metrics *Metrics
	group   *workers // of goroutines

	restores                  chan struct{} // places in the restore pool
	ends                      map[TopicPartition]Offset
	joined                    atomic.Int32 // lanes that have had an assignment
	restoring                 atomic.Int32
	restoreDone, restoreTotal atomic.Int64 // changelog records
	drained                   atomic.Bool  // every source partition is, by the group, at its end
	over                      atomic.Bool  // with --close-windows also: every partition's close is committed
	lanes                     int

	mu       sync.Mutex
	tasks    map[TaskID]*Task
	waiting  map[TaskID]*restoreCount // being restored
	purge    map[TopicPartition]Offset
	first    time.Time
	last     time.Time
	recsIn   atomic.Int64
	recsOut  int64
	out      sync.Mutex
	tableCap int64
}

// Summary is what --until-end prints.
type Summary struct {
	RecordsIn  int64   `json:"records_in"`
	RecordsOut int64   `json:"records_out"`
	Seconds    float64 `json:"seconds"` // first poll that returned rows to last commit
}

// NewWorker prepares a worker on an opened state folder. The plan must have
// been enforced.
func NewWorker(topo *Topology, plan *Plan, broker Broker, db *state.DB, o Options) *Worker {
	o.defaults()
	w := &Worker{topo: topo, plan: plan, broker: broker, db: db, opts: o, metrics: o.Metrics, tasks: map[TaskID]*Task{}, purge: map[TopicPartition]Offset{},
		log: o.Log.With("pipeline", topo.Pipeline), restores: make(chan struct{}, 2)}
	total := 0
	for _, n := range plan.tasks {
		total += n
	}
	w.lanes = o.Lanes
	if w.lanes == 0 {
		w.lanes = 2 * runtime.GOMAXPROCS(0)
	}
	w.lanes = max(1, min(w.lanes, total))
	w.tableCap = o.Memory / int64(max(1, total))
	w.metrics.watch(w)
	return w
}

// Run works until ctx ends (drain: commit, leave the group, flush) or, with
// UntilEnd, until everything has been read. The error's kind says what the
// process should do.
func (w *Worker) Run(ctx context.Context) (Summary, error) {
	if w.opts.UntilEnd {
		if err := w.noteEnds(ctx); err != nil {
			return Summary{}, err
		}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	w.group = newWorkers(cancel)
	w.start(ctx)
	// Lanes end first; the others end with ctx, after the last lane.
	err := w.group.waitLanes()
	cancel(errStopped)
	w.group.wait()
	if err == nil {
		err = w.db.Flush()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	s := Summary{RecordsIn: w.recsIn.Load(), RecordsOut: w.recsOut}
	if !w.first.IsZero() && w.last.After(w.first) {
		s.Seconds = w.last.Sub(w.first).Seconds()
	}
	return s, err
}

var errStopped = errors.New("worker stopped")

// start is where every goroutine of a worker starts:
//
//	lane ×N        owns tasks, polls, commits                    ends: drain, until-end, error
//	flush          Pebble to disk every FlushEvery               ends: ctx
//	purge          DeleteRecords of repartition topics, 30 s     ends: ctx
//	ends           with UntilEnd: watches the group's offsets    ends: ctx, all read
//	restore ≤2     started by lanes through restore()            ends: restored, revoked
func (w *Worker) start(ctx context.Context) {
	for i := range w.lanes {
		l := &lane{w: w, name: fmt.Sprintf("%s/%d", w.opts.WorkerID, i), tasks: map[TaskID]*laneTask{}, dropped: map[TopicPartition]bool{},
			byInput: map[TopicPartition]*laneTask{}}
		l.log = w.log.With("lane", i)
		w.group.lane(func() error { return l.run(ctx) })
	}
	w.group.other(func() error { return w.flushLoop(ctx) })
	w.group.other(func() error { return w.purgeLoop(ctx) })
	if w.opts.UntilEnd {
		w.group.other(func() error { return w.watchEnds(ctx) })
	}
}

func (w *Worker) newSession(ctx context.Context, l *lane) (Session, error) {
	txn := ""
	if w.topo.Guarantee == ExactlyOnce {
		txn = fmt.Sprintf("%s.%d.%s", w.topo.Pipeline, w.topo.Generation, dotted(l.name))
	}
	return w.broker.Session(ctx, SessionRequest{
		Group: w.topo.Group(), Topics: w.topo.inputTopics(), TransactionalID: txn, Lane: l.name, Guarantee: w.topo.Guarantee,
		CommitNumber: CommitNumber, Writer: offsetWriter, Log: l.log,
		Start: func(ctx context.Context, tp TopicPartition) (Offset, error) {
			for _, sub := range w.topo.Subs {
				for _, s := range sub.Sources {
					for _, topic := range s.Topics {
						if topic == tp.Topic {
							return w.startOffset(ctx, sub, tp)
						}
					}
				}
			}
			return 0, fmt.Errorf("topic %s is not an input", tp.Topic)
		},
	})
}

// dotted is <worker id>.<lane>, as transactional ids have it.
func dotted(lane string) string {
	b := []byte(lane)
	for i := range b {
		if b[i] == '/' {
			b[i] = '.'
		}
	}
	return string(b)
}

// startOffset turns a source's start into an exact offset.
func (w *Worker) startOffset(ctx context.Context, sub *SubTopology, tp TopicPartition) (Offset, error) {
	var start Start
	found := false
	for _, s := range sub.Sources {
		if slices.Contains(s.Topics, tp.Topic) && (!found || s.Start.before(start)) {
			start, found = s.Start, true // all of its sources read from the earliest
		}
	}
	offs, err := w.broker.Cluster().StartOffsets(ctx, tp.Topic, start)
	if err != nil {
		return 0, err
	}
	at, ok := offs[tp.Partition]
	if !ok {
		return 0, E(Environment, "find start offset", fmt.Errorf("%s has no partition %d", tp.Topic, tp.Partition))
	}
	return at, nil
}

// restore brings a task's state up in the pool and hands it to ch.
func (w *Worker) restore(ctx context.Context, sub *SubTopology, p Partition, ch chan<- restored) {
	w.restoring.Add(1)
	count := w.waits(TaskID{sub.ID, p})
	w.group.other(func() error {
		defer w.restoring.Add(-1)
		defer w.waited(TaskID{sub.ID, p})
		select {
		case w.restores <- struct{}{}:
			defer func() { <-w.restores }()
		case <-ctx.Done():
			ch <- restored{err: E(Retry, "restore", errLostTask)}
			return nil
		}
		ch <- w.restoreTask(ctx, sub, p, count)
		return nil
	})
}

func (w *Worker) restoreTask(ctx context.Context, sub *SubTopology, p Partition, count *restoreCount) restored {
	name := w.topo.StateName(sub, p)
	var lease *state.Lease
	for {
		var err error
		if lease, err = w.db.Lease(name, sub.StoreSpecs()); err == nil {
			break
		}
		if errors.Is(err, state.ErrCorrupt) {
			if err := w.db.Drop(name); err == nil {
				continue
			}
		}
		if !errors.Is(err, state.ErrLeased) {
			return restored{err: stateError("open state of "+name, err)}
		}
		if !Sleep(ctx, restoreRetry) { // a sibling lane still holds it
			return restored{err: E(Retry, "restore", errLostTask)}
		}
	}
	log := w.log.With("task", TaskID{sub.ID, p}.String())
	for _, why := range lease.Rebuild() {
		log.Warn("local state is not usable: rebuilding it from the changelog", "err", why)
	}
	for _, t := range lease.Tables() {
		t.SetBudget(w.tableCap)
	}
	start, said := time.Now(), time.Now()
	var records int64
	read := func(ctx context.Context, tp TopicPartition, from Offset, fn func(*Rows) error) (Offset, error) {
		return w.readCounted(ctx, tp, from, count, fn)
	}
	r, err := Recover(ctx, w.topo, sub, p, lease, read, func(n int64) {
		records += n
		w.restoreDone.Add(n)
		count.done.Add(n)
		w.metrics.restoreProgress(n)
		if time.Since(said) >= 10*time.Second {
			said = time.Now()
			log.Info("restoring state", "records", records, "per_second", int64(float64(records)/time.Since(start).Seconds()))
		}
	})
	if err != nil {
		lease.Abandon()
		if ctx.Err() != nil {
			err = E(Retry, "restore", errLostTask)
		}
		return restored{err: err}
	}
	w.metrics.restored(r.Kind)
	level := slog.LevelInfo
	if r.Records == 0 {
		level = slog.LevelDebug // nothing was there, or nothing was missing
	}
	log.Log(ctx, level, "state restored", "from", map[string]string{"tail": "local state and the changelog's tail", "full": "the changelog alone", "none": "nothing"}[r.Kind],
		"records", r.Records, "took", time.Since(start).Round(time.Millisecond))
	return restored{recovery: r, lease: leaseRef{lease}}
}

// readCounted reads a changelog partition, counting what there is to read for
// Restoring and for the task.
func (w *Worker) readCounted(ctx context.Context, tp TopicPartition, from Offset, count *restoreCount, fn func(*Rows) error) (Offset, error) {
	c := w.broker.Cluster()
	start := from
	var size int64
	if ends, err := c.EndOffsets(ctx, tp.Topic); err == nil {
		if start < 0 {
			start, _ = c.LogStart(ctx, tp)
		}
		size = max(0, int64(ends[tp.Partition]-start))
	}
	before := count.done.Load()
	w.restoreTotal.Add(size)
	count.total.Add(size)
	end, err := c.Read(ctx, tp, from, fn)
	// Markers and compacted records are no rows: they are done, too.
	if missing := size - (count.done.Load() - before); missing > 0 {
		w.restoreDone.Add(missing)
		count.done.Add(missing)
	}
	return end, err
}

// Restoring tells how many changelog records there were to read since the
// start and how many have been. Safe from any goroutine.
func (w *Worker) Restoring() (done, total int64, running bool) {
	total = w.restoreTotal.Load()
	return min(w.restoreDone.Load(), total), total, w.restoring.Load() > 0
}

// discard waits for a restore that nobody wants any more and gives its lease back.
func (w *Worker) discard(ch <-chan restored) {
	w.group.other(func() error {
		if r := <-ch; r.lease.Lease != nil {
			r.lease.Abandon()
		}
		return nil
	})
}

// flushLoop flushes state every FlushEvery, and sooner at first: what was
// restored anew, or made in the first minute, would have to be restored again
// after a crash.
func (w *Worker) flushLoop(ctx context.Context) error {
	for every := min(firstFlush, w.opts.FlushEvery); Sleep(ctx, every); every = min(2*every, w.opts.FlushEvery) {
		if err := w.db.Flush(); err != nil {
			return stateError("flush state", err)
		}
	}
	return nil
}

const firstFlush = 7 * time.Second // after the first apply

// applyEvery is how often lanes write committed state to Pebble: what is not
// written, or written and not flushed, comes back from the changelog.
func (w *Worker) applyEvery() time.Duration { return min(w.opts.FlushEvery/2, 5*time.Second) }

// purgeLoop deletes the records of repartition topics that were read.
func (w *Worker) purgeLoop(ctx context.Context) error {
	warned := false
	for Sleep(ctx, 30*time.Second) {
		w.mu.Lock()
		below := w.purge
		w.purge = map[TopicPartition]Offset{}
		w.mu.Unlock()
		if len(below) == 0 {
			continue
		}
		if err := w.broker.Cluster().DeleteRecords(ctx, below); err != nil && !warned && ctx.Err() == nil {
			warned = true
			w.log.Warn("repartition topics cannot be purged: they will grow", "err", err)
		}
	}
	return nil
}

func (w *Worker) partitions(t Topic) int { return w.plan.Partitions[t] }

func (w *Worker) limits(t Topic) Limits { return w.plan.limits[t] }

// now is the clock of turns, epoch ms: the only one tasks are told.
func (w *Worker) now() int64 { return time.Now().UnixMilli() }

// print writes the lines of stdout and file sinks: at most once, as their
// transaction has committed and a crash now loses them.
func (w *Worker) print(recs []Record) error {
	var lines map[io.Writer][]byte
	for _, r := range recs {
		if !r.Topic.IsLocal() {
			continue
		}
		to := w.opts.Files[r.Topic]
		if to == nil {
			to = w.opts.Stdout
		}
		if lines == nil {
			lines = map[io.Writer][]byte{}
		}
		lines[to] = append(append(lines[to], r.Value...), '\n')
	}
	if lines == nil {
		return nil
	}
	w.out.Lock()
	defer w.out.Unlock()
	for to, text := range lines {
		if _, err := to.Write(text); err != nil {
			return E(Fatal, "write a sink's lines", err)
		}
	}
	return nil
}

func (w *Worker) polled(rows []*Rows) {
	n := 0
	for _, r := range rows {
		if !internalTopic(r.Topic) {
			n += r.Len()
		}
	}
	if n == 0 {
		return
	}
	if w.recsIn.Add(int64(n)) == int64(n) {
		w.mu.Lock()
		w.first = time.Now()
		w.mu.Unlock()
	}
}

func (w *Worker) opened(t *Task) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tasks[t.ID] = t
}

func (w *Worker) closed(t *Task) {
	w.mu.Lock()
	if w.tasks[t.ID] == t {
		delete(w.tasks, t.ID)
	}
	w.recsOut += t.Stats.outside
	w.mu.Unlock()
	w.metrics.retire(t)
}

func (w *Worker) committed(t *Task, _ int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last = time.Now()
	for _, in := range t.inputs {
		if in.spec.Repartition {
			w.purge[in.tp] = in.feed.position
		}
	}
	t.publish()
}

// Status tells how far a worker is: tasks running, tasks being restored, and
// whether every lane has joined the group. Safe from any goroutine.
func (w *Worker) Status() (running, restoring int, joined bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.tasks), int(w.restoring.Load()), int(w.joined.Load()) >= w.lanes
}

// TableBytes is the size of all tables here, as of their last commits. Safe
// from any goroutine.
func (w *Worker) TableBytes() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := int64(0)
	for _, t := range w.tasks {
		n += t.Stats.StateBytes.Load()
	}
	return n
}

// workers waits for goroutines and keeps the first error.
type workers struct {
	lanes, others sync.WaitGroup
	mu            sync.Mutex
	err           error
	cancel        context.CancelCauseFunc
}

func newWorkers(cancel context.CancelCauseFunc) *workers { return &workers{cancel: cancel} }

func (g *workers) lane(f func() error)  { g.lanes.Go(func() { g.ended(f()) }) }
func (g *workers) other(f func() error) { g.others.Go(func() { g.ended(f()) }) }

func (g *workers) ended(err error) {
	if err == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.err == nil {
		g.err = err
	}
	g.cancel(err)
}

func (g *workers) waitLanes() error {
	g.lanes.Wait()
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.err
}

func (g *workers) wait() { g.others.Wait() }
