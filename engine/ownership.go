package engine

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/leatstream/leat/state"
)

// leaseRef is a lease that may be nil (stateless tasks).
type leaseRef struct{ *state.Lease }

// reconcile makes the lane's tasks those that the client says it is assigned:
// revoked ones are given back, new ones are restored by the worker's pool and
// opened when that is done. Callbacks are not asked; they can be swallowed.
func (l *lane) reconcile(ctx context.Context) error {
	generation, owned := l.session.Assignment()
	if generation != l.generation {
		if err := l.assign(ctx, owned); err != nil {
			return err
		}
		l.generation = generation
	}
	return l.openRestored(ctx)
}

// assign compares what is owned with what was.
func (l *lane) assign(ctx context.Context, owned []TopicPartition) error {
	has := map[TopicPartition]bool{}
	for _, tp := range owned {
		has[tp] = true
	}
	want := map[TaskID]*laneTask{}
	for _, sub := range l.w.topo.Subs {
		for p := range Partition(l.w.plan.tasks[sub.ID]) {
			inputs := sub.inputs(p)
			all := len(inputs) > 0
			for _, tp := range inputs {
				all = all && has[tp]
			}
			if all {
				id := TaskID{sub.ID, p}
				want[id] = &laneTask{id: id, sub: sub, inputs: inputs}
			}
		}
	}
	kept, err := l.keep(ctx, want)
	if err != nil {
		return err
	}
	had := len(l.tasks)
	for id, t := range l.tasks {
		if !kept[id] {
			l.drop(t)
		}
	}
	var pause []TopicPartition
	for id, t := range want {
		if kept[id] {
			continue
		}
		l.tasks[id] = t
		pause = append(pause, t.inputs...)
		l.startRestore(ctx, t)
	}
	l.order, l.byInput, l.dropped = l.order[:0], map[TopicPartition]*laneTask{}, map[TopicPartition]bool{}
	resume := map[TopicPartition]Offset{}
	var running []TopicPartition
	for id, t := range l.tasks {
		l.order = append(l.order, id)
		for _, tp := range t.inputs {
			l.byInput[tp] = t
		}
		if t.task == nil {
			continue
		}
		t.task.Rewind() // what waited comes again
		t.held = nil
		for tp, at := range t.task.Positions() {
			if t.paused {
				l.dropped[tp] = true // the new assignment needs its position when it goes on
				continue
			}
			resume[tp] = at
			running = append(running, tp)
		}
	}
	slices.SortFunc(l.order, func(a, b TaskID) int {
		if a.Sub != b.Sub {
			return a.Sub - b.Sub
		}
		return int(a.Partition - b.Partition)
	})
	if len(pause) > 0 {
		l.session.Pause(pause)
	}
	if len(resume) > 0 {
		l.session.SetPositions(resume)
		l.session.Resume(running)
	}
	if !l.joined {
		l.joined = true
		l.w.joined.Add(1)
	}
	level := slog.LevelInfo
	if len(l.tasks)+had == 0 {
		level = slog.LevelDebug // it has joined, and waits for its share
	}
	l.log.Log(ctx, level, "tasks assigned", "tasks", len(l.tasks), "kept", len(kept), "new", len(l.tasks)-len(kept))
	return nil
}

// keep finds the running tasks that stay: nobody else has committed for them
// meanwhile, which their offsets' metadata tells.
func (l *lane) keep(ctx context.Context, want map[TaskID]*laneTask) (map[TaskID]bool, error) {
	kept := map[TaskID]bool{}
	var ask []TopicPartition
	for id, t := range l.tasks {
		if want[id] != nil && t.task != nil {
			ask = append(ask, t.inputs...)
		}
	}
	if len(ask) == 0 {
		return kept, nil
	}
	committed, err := l.session.Committed(ctx, ask)
	if err != nil {
		return nil, E(Retry, "read committed offsets", err)
	}
	for id, t := range l.tasks {
		if want[id] == nil || t.task == nil {
			continue
		}
		same := true
		for tp, at := range t.task.Positions() {
			c, ok := committed[tp]
			m, known := DecodeOffsetMeta(c.Metadata)
			same = same && ok && known && c.Offset == at && m.Lane == l.name
		}
		if same {
			kept[id] = true
		}
	}
	return kept, nil
}

// inputs are the partitions that task p of a sub-topology reads.
func (s *SubTopology) inputs(p Partition) []TopicPartition {
	var tps []TopicPartition
	for _, src := range s.Sources {
		for _, topic := range src.Topics {
			if tp := (TopicPartition{topic, p}); !slices.Contains(tps, tp) {
				tps = append(tps, tp)
			}
		}
	}
	return tps
}

// startRestore hands a task to the worker's restore pool.
func (l *lane) startRestore(ctx context.Context, t *laneTask) {
	t.restored = make(chan restored, 1)
	if len(t.sub.StoreSpecs()) == 0 {
		t.restored <- restored{recovery: Recovery{Kind: "none"}}
		return
	}
	ctx, t.cancel = context.WithCancel(ctx)
	l.w.restore(ctx, t.sub, t.id.Partition, t.restored)
}

// openRestored opens tasks whose state is there, from offsets that fit it.
func (l *lane) openRestored(ctx context.Context) error {
	for _, id := range l.order {
		t := l.tasks[id]
		if t.task != nil || t.restored == nil {
			continue
		}
		select {
		case r := <-t.restored:
			t.restored = nil // nothing more comes: drop must not wait for it
			if r.err != nil {
				return r.err
			}
			if err := l.open(ctx, t, r); err != nil {
				if r.lease.Lease != nil {
					r.lease.Abandon()
				}
				return err
			}
		default:
		}
	}
	return nil
}

// open makes the task and sets where it goes on.
func (l *lane) open(ctx context.Context, lt *laneTask, r restored) error {
	t, err := NewTask(l.w.topo, lt.sub, lt.id.Partition, r.lease.Lease, TaskEnv{
		Lane: l.name, Txn: l.session.TransactionalID(), Tasks: l.w.plan.tasks[lt.sub.ID],
		Partitions: l.w.partitions, Limits: l.w.limits, Now: l.w.now,
		Log: l.log.With("task", lt.id.String()),
	})
	if err != nil {
		return err
	}
	committed, err := l.session.Committed(ctx, lt.inputs)
	if err != nil {
		return E(Retry, "read committed offsets", err)
	}
	stateOffsets, stateful := r.recovery.StateOffsets()
	now := l.w.now()
	pos := map[TopicPartition]Offset{}
	var fresh []TopicPartition
	for _, tp := range lt.inputs {
		c, ok := committed[tp]
		if !ok {
			c.Offset = -1
		}
		at, err := l.w.startAt(tp, c.Offset, stateOffsets, stateful, r.lease.Lease != nil)
		if err != nil {
			return err
		}
		meta, _ := DecodeOffsetMeta(c.Metadata)
		if own, ok := stateOffsets[tp]; ok && at == own && at != c.Offset {
			// The group's watermark belongs to its offset, the state's to this one.
			meta = OffsetMeta{Watermark: MinTime}
			l.log.Warn("going on from the state's offset", "input", fmt.Sprintf("%s/%d", tp.Topic, tp.Partition), "offset", at, "group", c.Offset)
		}
		if at < 0 {
			if at, err = l.w.startOffset(ctx, lt.sub, tp); err != nil {
				return err
			}
			fresh = append(fresh, tp)
		}
		t.Take(tp, at, meta, now)
		pos[tp] = at
	}
	if err := t.Recovered(r.recovery, now); err != nil {
		return err
	}
	for tp, at := range pos {
		t.Seek(tp, at)
	}
	if len(fresh) > 0 {
		t.Touch() // the first transaction commits the exact start
	}
	if t.Merges() || t.ReadsTables() && len(fresh) > 0 {
		if err := l.tellEnds(ctx, t, fresh); err != nil {
			return err
		}
	}
	lt.task = t
	for tp := range pos {
		delete(l.dropped, tp)
	}
	l.w.opened(t)
	l.session.SetPositions(pos)
	l.session.Resume(lt.inputs)
	return nil
}

// tellEnds tells a new task what there is to wait for: where its inputs end
// now, and which of them are new to the group.
func (l *lane) tellEnds(ctx context.Context, t *Task, fresh []TopicPartition) error {
	high, err := l.session.HighWatermarks(ctx, t.Inputs())
	if err != nil {
		return E(Retry, "ask where inputs end", err)
	}
	for tp, at := range high {
		t.Ends(tp, at)
		if slices.Contains(fresh, tp) {
			t.ReadFirst(tp, at)
		}
	}
	return nil
}

// startAt decides where an input goes on, comparing the offsets that the state
// has seen with the group's. -1: at the source's start.
func (w *Worker) startAt(tp TopicPartition, group Offset, states map[TopicPartition]Offset, known, stateful bool) (Offset, error) {
	at, inState := states[tp]
	switch {
	case !stateful || (!known && group <= 0):
		return group, nil
	case w.opts.Trust == TrustOffsets && group >= 0:
		return group, nil
	case known && inState && (group == at || group < 0 || w.opts.Trust == TrustState):
		return at, nil
	case known && inState && w.topo.Guarantee == AtLeastOnce && at > group:
		return at, nil // outputs and changelog were flushed before the offsets
	case known && !inState:
		return group, nil // the state was made before the task read it: an edit
	}
	seen := "the task has no state"
	if inState {
		seen = fmt.Sprintf("the state was made from rows up to offset %d", at)
	}
	return 0, E(Incompatible, fmt.Sprintf("resume %s/%d", tp.Topic, tp.Partition), fmt.Errorf(
		"the group's committed offset is %d, but %s: rows would be counted twice or lost. "+
			"Choose: --trust-state (go on from the state), --trust-offsets (go on from the group), or leat reset", group, seen))
}

// drop gives a task back: what was committed goes to Pebble, the lease to
// whoever comes next.
func (l *lane) drop(t *laneTask) {
	delete(l.tasks, t.id)
	if t.cancel != nil {
		t.cancel()
	}
	if t.task == nil {
		// The pool sees the cancelled context and gives the lease back itself;
		// what it had finished already is given back here.
		if t.restored != nil {
			select {
			case r := <-t.restored:
				if r.lease.Lease != nil {
					r.lease.Abandon()
				}
			default:
				l.w.discard(t.restored)
			}
		}
		return
	}
	l.w.closed(t.task)
	if lease := t.task.Lease(); lease != nil {
		lease.Rollback()
		if err := lease.Release(); err != nil {
			l.log.Warn("give back state", "task", t.id.String(), "err", err)
		}
	}
}

func (l *lane) dropAll() {
	for _, t := range l.tasks {
		l.drop(t)
	}
	l.order, l.byInput, l.dropped = nil, map[TopicPartition]*laneTask{}, map[TopicPartition]bool{}
}

// Seek sets an input's position, keeping its time.
func (t *Task) Seek(tp TopicPartition, at Offset) {
	if f := t.feed(tp); f != nil {
		f.seek(at)
		f.saved = at
	}
}

// restoreRetry is the pause between tries for a lease that a sibling lane
// still holds.
const restoreRetry = 50 * time.Millisecond
