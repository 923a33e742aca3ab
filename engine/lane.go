package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"syscall"
	"time"

	"github.com/leatstream/leat/state"
)

// lane is one goroutine with its own member of the consumer group and its own
// transactional producer, owning some tasks.
//
//	          ┌──────────────────────────── a turn ────────────────────────────┐
//	reconcile │ Begin ─▶ poll, process, advance … until the interval is over    │
//	          │       ─▶ prepare ─▶ End ─▶ Committed | RolledBack ─▶ apply      │
//	          └──────────────────────────────────────────────▶ AllowRebalance ──┘
type lane struct {
	w       *Worker
	name    string // <worker id>/<lane>
	session Session
	log     *slog.Logger

	generation int64
	number     int64 // of the last commit; starts at the wall clock, so that no two runs share one
	tasks      map[TaskID]*laneTask
	order      []TaskID
	byInput    map[TopicPartition]*laneTask
	dropped    map[TopicPartition]bool // rows were left out: positions must be set again
	asked      int64                   // when high watermarks were last asked for, ms
	applied    int64                   // when state last went to Pebble, ms
	endMedian  ewma
	joined     bool
	failures   int // aborts in a row from the same offsets
	drops      int // sessions in a row that were dropped soon and without a commit
}

// laneTask is a task with where it is in its life:
//
//	restoring ──▶ running ──▶ (revoked) dropped
type laneTask struct {
	id       TaskID
	sub      *SubTopology
	inputs   []TopicPartition
	task     *Task // nil while restoring
	restored chan restored
	cancel   context.CancelFunc
	written  int // records of the task already handed to the session
	paused   bool
	held     map[TopicPartition]bool // inputs paused because too many rows wait
}

// restored is what the restore pool hands back.
type restored struct {
	recovery Recovery
	lease    leaseRef
	err      error
}

// run is the lane's goroutine: until ctx ends (drain) or an error that is not
// the session's. It builds a new session when the old one was fenced.
func (l *lane) run(ctx context.Context) error {
	for {
		began := time.Now()
		err := l.serve(ctx)
		if time.Since(began) > time.Minute {
			l.drops = 0 // it did work
		}
		l.dropAll()
		if l.session != nil {
			l.session.Close(true)
			l.session = nil
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil:
			return nil
		case KindOf(err) == Fenced || KindOf(err) == Retry || KindOf(err) == Environment && l.joined && !fullDisk(err):
			// A broker that goes away while we run comes back; one that was never
			// there, or that refused us from the start, is for a person to mend.
			l.drops++
			pause := rejoinAfter(l.drops)
			level := slog.LevelWarn
			if l.drops == 1 && KindOf(err) != Environment {
				level = slog.LevelInfo // once is what a group does while its members come
			}
			l.log.Log(ctx, level, "joining the group again", "why", err, "after", pause)
			if !Sleep(ctx, pause) {
				return nil
			}
		default:
			return err
		}
	}
}

// rejoinAfter is the pause before the next session after so many in a row that
// were dropped soon and without a commit: 200ms, doubling to five seconds, and up
// to a half less, so that the lanes of a fleet do not come back together.
func rejoinAfter(drops int) time.Duration {
	const least, most = 200 * time.Millisecond, 5 * time.Second
	d := most
	if drops < 6 {
		d = least << (drops - 1)
	}
	return d/2 + rand.N(d/2)
}

func (l *lane) serve(ctx context.Context) error {
	s, err := l.w.newSession(ctx, l)
	if err != nil {
		return err
	}
	l.session, l.generation = s, -1
	l.number = time.Now().UnixMilli()
	for {
		if err := l.turn(ctx); err != nil {
			return err
		}
		if ctx.Err() != nil || l.w.finished(l) {
			return nil
		}
	}
}

// turn is one turn, idle or not.
func (l *lane) turn(ctx context.Context) error {
	defer l.session.AllowRebalance()
	if err := l.reconcile(ctx); err != nil {
		return err
	}
	if err := l.session.Begin(); err != nil {
		return E(Fenced, "begin transaction", err)
	}
	if err := l.work(ctx); err != nil {
		l.abort()
		return err
	}
	if err := l.commit(ctx); err != nil {
		return err
	}
	return l.apply()
}

// pollRows is how many rows a poll may return: a few batches, so that columns
// stay in the cache.
const (
	pollRows = 4096
	idleWait = 100 * time.Millisecond
)

// work polls and processes until the commit interval is over.
func (l *lane) work(ctx context.Context) error {
	start := time.Now()
	interval := l.interval()
	for {
		wait := min(idleWait, interval-time.Since(start))
		if wait <= 0 {
			return nil
		}
		if l.closing() {
			wait = min(wait, time.Millisecond)
		}
		rows, err := l.session.Poll(ctx, pollRows, wait)
		if ctx.Err() != nil {
			return nil // drain: commit what was processed
		}
		if err != nil {
			return err
		}
		l.w.polled(rows)
		for _, r := range rows {
			if err := l.process(r); err != nil {
				return err
			}
		}
		l.tick(ctx)
		if err := l.advance(); err != nil {
			return err
		}
		if g, _ := l.session.Assignment(); g != l.generation || l.full() || l.ready() || l.atEnd() || l.w.finished(l) {
			return nil
		}
	}
}

// process hands rows to their task; rows of a task that is restoring or
// closing are left out and read again.
func (l *lane) process(r *Rows) error {
	tp := TopicPartition{r.Topic, r.Partition}
	t := l.byInput[tp]
	if t == nil || t.task == nil || t.paused {
		l.dropped[tp] = true
		return nil
	}
	if l.dropped[tp] {
		return nil // a hole before these rows: they come again
	}
	at := t.task.Next(tp)
	for from := 0; ; {
		for from < r.Len() && Offset(r.Offsets[from]) < at {
			from++ // read before
		}
		to := min(from+batchRows, r.Len())
		part := r.slice(from, to)
		if err := t.task.Process(&part); err != nil {
			return err
		}
		if from = to; from >= r.Len() {
			return l.produce(t)
		}
	}
}

// batchRows is the size of a batch: about a thousand.
const batchRows = 1024

// slice is rows [from, to); the last slice carries Next.
func (r *Rows) slice(from, to int) Rows {
	s := Rows{Topic: r.Topic, Partition: r.Partition, End: r.End, Keys: r.Keys[from:to], Values: r.Values[from:to], Offsets: r.Offsets[from:to], Times: r.Times[from:to]}
	if h := r.Headers; h != nil {
		s.Headers = func(i int) []Header { return h(from + i) }
	}
	if to == r.Len() {
		s.Next = r.Next
	}
	return s
}

// produce hands a task's new records to the session, so that they travel while
// the lane goes on.
func (l *lane) produce(t *laneTask) error {
	recs := t.task.Records()
	for from := t.written; from < len(recs); {
		to := from
		for to < len(recs) && !recs[to].Topic.IsLocal() {
			to++
		}
		if to > from {
			l.session.Produce(recs[from:to])
		}
		from = to + 1
	}
	t.written = len(recs)
	return nil
}

func (l *lane) tick(ctx context.Context) {
	now := l.w.now()
	var silent []TopicPartition
	for _, id := range l.order {
		if t := l.tasks[id].task; t != nil {
			t.Tick(now)
			if now-l.asked >= askEvery.Milliseconds() {
				silent = append(silent, t.Silent(now)...)
			}
		}
	}
	if len(silent) == 0 {
		return
	}
	l.asked = now
	high, err := l.session.HighWatermarks(ctx, silent)
	if err != nil {
		l.log.Warn("high watermarks of silent partitions", "err", err)
		return
	}
	for tp, h := range high {
		if t := l.byInput[tp]; t != nil && t.task != nil {
			t.task.AtEnd(tp, h)
		}
	}
}

// askEvery is how often the ends of silent partitions are asked for.
const askEvery = time.Second

func (l *lane) advance() error {
	budget := Budget{Rows: budgetRows, Bytes: budgetBytes}
	for _, id := range l.order {
		t := l.tasks[id]
		if t.task == nil {
			continue
		}
		done, err := t.task.Advance(&budget)
		if err != nil {
			return err
		}
		if done == t.paused {
			l.pause(t, !done)
		}
		l.hold(t)
		if err := l.produce(t); err != nil {
			return err
		}
	}
	return nil
}

func (l *lane) closing() bool {
	for _, t := range l.tasks {
		if t.paused {
			return true
		}
	}
	return false
}

// full tells that enough is buffered for a transaction.
func (l *lane) full() bool {
	const maxRecords, maxBytes = 50_000, 16 << 20
	records, bytes := 0, 0
	for _, t := range l.tasks {
		if t.task != nil {
			r, b := t.task.Buffered()
			records, bytes = records+r, bytes+b
		}
	}
	return records >= maxRecords || bytes >= maxBytes
}

// ready tells that a task has been restored and wants to be opened.
func (l *lane) ready() bool {
	for _, t := range l.tasks {
		if t.task == nil && len(t.restored) > 0 {
			return true
		}
	}
	return false
}

// interval is how long a turn polls: the commit interval, or ten times what
// ending a transaction takes, whichever is longer. It is bounded, because
// ending includes the flush: where the broker is what is slow, longer turns
// only make longer flushes.
func (l *lane) interval() time.Duration {
	return max(l.w.opts.CommitInterval, min(10*l.endMedian.value(), maxInterval))
}

const maxInterval = time.Second

// commit ends the turn's transaction for all tasks that changed.
func (l *lane) commit(ctx context.Context) error {
	number := l.number + 1
	var dirty []*laneTask
	var offsets []OffsetCommit
	for _, id := range l.order {
		t := l.tasks[id]
		if t.task == nil {
			continue
		}
		l.w.reachedEnd(t.task)
		changed, err := t.task.Prepare(l.w.drained.Load(), number)
		if err != nil {
			l.abort()
			return err
		}
		if !changed {
			continue
		}
		if err := l.produce(t); err != nil {
			return err
		}
		dirty = append(dirty, t)
		offsets = append(offsets, t.task.Offsets(number)...)
	}
	// An idle turn ends its transaction too: the client may owe us a revoke.
	start := time.Now()
	endCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.w.opts.TransactionTimeout+5*time.Second)
	defer cancel()
	outcome, err := l.session.End(endCtx, true, number, offsets)
	if outcome != Done {
		return l.undone(outcome, err)
	}
	if len(dirty) > 0 {
		took := time.Since(start)
		l.endMedian.add(took)
		l.w.metrics.commit(took)
		l.number, l.failures, l.drops = number, 0, 0
	}
	return l.done(dirty)
}

// done makes the commit the tasks' state.
func (l *lane) done(dirty []*laneTask) error {
	produced := l.session.Produced()
	for _, t := range dirty {
		if err := l.w.print(t.task.Records()); err != nil {
			return err
		}
		if err := t.task.Committed(produced); err != nil {
			return err
		}
		t.written = 0
		l.w.committed(t.task, l.number)
	}
	l.reset(nil)
	return nil
}

// undone puts all tasks back and reads on from their positions.
func (l *lane) undone(outcome Outcome, cause error) error {
	if err := l.abort(); err != nil {
		return err
	}
	if outcome == LostLease {
		l.log.Info("partitions were lost during a commit", "err", cause)
		l.dropAll()
		l.generation = -1
		return nil
	}
	if cause == nil {
		return nil // a rebalance aborted it: the same rows come again
	}
	if k := KindOf(cause); k == Fenced || k == Environment {
		return E(Fenced, "end transaction", cause)
	}
	const tries = 3
	if l.failures++; l.failures >= tries {
		return E(Fatal, fmt.Sprintf("commit (%d tries from the same offsets)", tries), cause)
	}
	l.log.Warn("transaction aborted, trying again", "try", l.failures, "err", cause)
	return nil
}

// abort rolls every task back and sets the positions again. The session's
// transaction must have ended or be ended by the caller's return.
func (l *lane) abort() error {
	for _, t := range l.tasks {
		if t.task == nil {
			continue
		}
		if err := t.task.RolledBack(); err != nil {
			return err
		}
		if closing := t.task.Closing(); closing != t.paused {
			l.pause(t, closing)
		}
		l.hold(t) // nothing waits any more
		t.written = 0
	}
	all := map[TopicPartition]bool{}
	for tp := range l.byInput {
		all[tp] = true
	}
	l.reset(all)
	return nil
}

// reset sets the positions of inputs whose rows were left out, and of more.
func (l *lane) reset(more map[TopicPartition]bool) {
	maps.Copy(l.dropped, more)
	pos := map[TopicPartition]Offset{}
	for tp := range l.dropped {
		t := l.byInput[tp]
		if t == nil {
			delete(l.dropped, tp)
			continue
		}
		if t.task == nil || t.paused {
			continue // set when it goes on
		}
		pos[tp] = t.task.Next(tp)
		delete(l.dropped, tp)
	}
	if len(pos) > 0 {
		l.session.SetPositions(pos)
	}
}

// apply writes committed state to Pebble every few seconds; what is not
// written yet is in the changelog.
func (l *lane) apply() error {
	now := l.w.now()
	if now-l.applied < l.w.applyEvery().Milliseconds() {
		return nil
	}
	l.applied = now
	for _, t := range l.tasks {
		if t.task != nil && t.task.Lease() != nil {
			if err := t.task.Lease().Apply(); err != nil {
				return stateError(fmt.Sprintf("apply task %s", t.id), err)
			}
		}
	}
	return nil
}

// ewma is a running median of sorts: it follows the typical End, and an
// outlier moves it by a tenth.
type ewma struct{ d time.Duration }

func (e *ewma) add(d time.Duration) {
	if e.d == 0 {
		e.d = d
		return
	}
	step := max(e.d/10, 100*time.Microsecond)
	if d > e.d {
		e.d += min(step, d-e.d)
	} else {
		e.d -= min(step, e.d-d)
	}
}

func (e *ewma) value() time.Duration { return e.d }

// stateError gives an error of the state folder its kind.
func stateError(op string, err error) error {
	switch {
	case errors.Is(err, state.ErrStale):
		return E(Fenced, op, err)
	case fullDisk(err):
		return E(Environment, op, fmt.Errorf("the disk of the state folder is full: %w", err))
	}
	return E(Corrupt, op, err)
}

func fullDisk(err error) bool { return errors.Is(err, syscall.ENOSPC) }

var errLostTask = errors.New("the task was taken away while it was restored")
