package engine

import (
	"context"
	"time"
)

// noteEnds notes where the source topics end now: --until-end reads to there.
func (w *Worker) noteEnds(ctx context.Context) error {
	w.ends = map[TopicPartition]Offset{}
	for _, topic := range w.topo.SourceTopics() {
		offs, err := w.broker.Cluster().EndOffsets(ctx, topic)
		if err != nil {
			return err
		}
		for p, at := range offs {
			w.ends[TopicPartition{topic, p}] = at
		}
	}
	return nil
}

// watchEnds waits until, by the group's committed offsets, every source
// partition of the pipeline is at its noted end, and then, without
// --close-windows, every repartition partition at its own.
func (w *Worker) watchEnds(ctx context.Context) error {
	const every = 100 * time.Millisecond
	for Sleep(ctx, every) {
		done, err := w.allRead(ctx)
		if err != nil {
			if ctx.Err() == nil {
				w.log.Warn("watch the end of input", "err", err)
			}
			continue
		}
		if !done {
			continue
		}
		w.drained.Store(true)
		if w.opts.CloseWindows {
			if done, err = w.allClosed(ctx); err != nil || !done {
				continue
			}
		}
		w.over.Store(true)
		return nil
	}
	return nil
}

// allClosed tells whether time past everything has been committed for every
// input partition of the pipeline, by whichever worker holds it.
func (w *Worker) allClosed(ctx context.Context) (bool, error) {
	offs, err := w.broker.Cluster().GroupOffsets(ctx, w.topo.Group())
	if err != nil {
		return false, err
	}
	for topic, n := range w.inputPartitions() {
		for p := range Partition(n) {
			// Not the watermark: a task closes its windows over several commits, and
			// may move between them, when no lane has it to ask.
			if m, _ := DecodeOffsetMeta(offs[TopicPartition{topic, p}].Metadata); !m.Closed {
				return false, nil
			}
		}
	}
	return true, nil
}

func (w *Worker) inputPartitions() map[Topic]int {
	m := map[Topic]int{}
	for _, topic := range w.topo.inputTopics() {
		m[topic] = w.plan.Partitions[topic]
	}
	return m
}

func (w *Worker) allRead(ctx context.Context) (bool, error) {
	offs, err := w.broker.Cluster().GroupOffsets(ctx, w.topo.Group())
	if err != nil {
		return false, err
	}
	for tp, end := range w.ends {
		c, ok := offs[tp]
		if end > 0 && (!ok || c.Offset < end) {
			return false, nil
		}
	}
	if w.opts.CloseWindows {
		return true, nil
	}
	for _, sub := range w.topo.Subs {
		for _, s := range sub.Sources {
			if !s.Repartition {
				continue
			}
			for _, topic := range s.Topics {
				ends, err := w.broker.Cluster().EndOffsets(ctx, topic)
				if err != nil {
					return false, err
				}
				for p, end := range ends {
					c, ok := offs[TopicPartition{topic, p}]
					if end > 0 && (!ok || c.Offset < end) {
						return false, nil
					}
				}
			}
		}
	}
	return true, nil
}

// reachedEnd is called by a lane before it prepares a task's commit: with
// --until-end positions that only passed markers are committed too, and once
// all is read --close-windows moves time past the last window.
func (w *Worker) reachedEnd(t *Task) {
	if !w.opts.UntilEnd {
		return
	}
	for _, f := range t.feeds {
		if f.position != f.saved {
			t.changed = true
		}
	}
	if w.opts.CloseWindows && w.drained.Load() {
		if !t.Finished() {
			t.CloseAll()
		}
		t.changed = t.changed || !t.closedAll()
	}
}

// atEnd tells a lane that it has read all that --until-end asks of it, with
// something to commit: nothing is worth waiting for until the interval is over.
// A lane with repartition topics waits, as others still write them.
func (l *lane) atEnd() bool {
	if !l.w.opts.UntilEnd {
		return false
	}
	changed := false
	for _, t := range l.tasks {
		if t.task == nil || t.task.closing {
			return false
		}
		for _, f := range t.task.feeds {
			if end, known := l.w.ends[f.tp]; !known || end > 0 && f.position < end {
				return false
			}
		}
		changed = changed || t.task.changed
	}
	return changed
}

// finished tells a lane that all is done: read, and with --close-windows all
// of its tasks closed and committed.
func (w *Worker) finished(l *lane) bool {
	if !w.opts.UntilEnd || !w.over.Load() || l.generation < 0 {
		return false
	}
	for _, t := range l.tasks {
		if t.task == nil || t.task.closing || t.task.changed {
			return false
		}
		if w.opts.CloseWindows && !t.task.closedAll() {
			return false
		}
	}
	return true
}

// closedAll tells that time past everything has gone through every operator
// and been committed.
func (t *Task) closedAll() bool {
	for _, n := range t.nodes {
		if n.ctx.savedDown != MaxTime {
			return false
		}
	}
	return t.closes()
}

// closes tells that time past everything has gone through every operator; the
// next commit says so.
func (t *Task) closes() bool {
	for _, in := range t.inputs {
		if in.watermark() != MaxTime {
			return false
		}
	}
	for _, n := range t.nodes {
		if n.down != MaxTime {
			return false
		}
	}
	return true
}
