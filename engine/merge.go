package engine

import (
	"cmp"
	"slices"
)

// A task in which rows of several partitions meet takes them in order of event
// time: of the heads of its feeds the smallest goes next, and with it the rows
// behind it that are smaller than the next feed's head.
//
//	orders/3     10:01 10:02 10:07      ─┐
//	users/3      10:04                  ─┼─▶ 10:01 10:02 │ 10:04 │ 10:07
//	payments/3   (empty, known to have more: wait 250 ms for it)
//
//   - Equal times go by topic, partition, offset; where several sources read one
//     partition, by their order in the sub-topology.
//   - A feed without rows is waited for while it is known to have more, at most
//     maxWait; one that has been read to its end, or is idle, is not.
//   - A table that is new to the group is first read to where it ended then,
//     before any row of a stream, however long that takes.
//   - So is one behind a repartition topic (SourceSpec.Whole): until all tasks
//     that write it have stamped, which they do when they have read it so far.
//   - What waits is not processed: not its offset, not its watermark, not its
//     errors and not its stamps. After a rollback it is read again.
//
// Tasks with one input, and those in whose graph no node has several, do none
// of this: their rows go straight through.

// maxWait is how long the rows of others wait for a feed's, ms.
const maxWait = 250

// turn is how far a feed may go on.
type turn struct {
	time  int64  // of the next feed's head
	equal bool   // rows of that time, too
	until Offset // of tables that are being read: to here; 0: no bound
}

func (u turn) after(at int64) bool { return at < u.time || u.equal && at == u.time }

// setMerge decides whether the task merges its inputs.
func (t *Task) setMerge() {
	meet, ways := t.meet()
	t.single = ways
	if len(t.inputs) < 2 || !meet {
		return
	}
	t.merged = slices.Clone(t.feeds)
	slices.SortFunc(t.merged, func(a, b *feed) int {
		return cmp.Or(cmp.Compare(a.tp.Topic, b.tp.Topic), cmp.Compare(a.tp.Partition, b.tp.Partition))
	})
	for _, in := range t.inputs {
		in.lazy = true
	}
}

// merge processes all rows whose turn it is.
func (t *Task) merge() error {
	for {
		next, limit, err := t.next()
		if err != nil {
			return err
		}
		if next == nil {
			return t.rate.check(t.topo.MaxRate)
		}
		if err := next.run(t, limit); err != nil {
			return err
		}
	}
}

// next is the feed whose turn it is, and how far it may go; nil: none's.
func (t *Task) next() (next *feed, limit turn, err error) {
	reading := false
	for _, f := range t.merged {
		if _, err := f.head(t); err != nil {
			return nil, limit, err
		}
		reading = reading || f.reading()
	}
	limit.time = MaxTime
	least := MaxTime
	for _, f := range t.merged {
		if len(f.queue) == 0 || reading && !f.reading() {
			continue
		}
		switch at := f.time(); {
		case next == nil:
			next, least = f, at
		case at < least:
			next, limit.time, limit.equal, least = f, least, false, at
		case at < limit.time:
			limit.time, limit.equal = at, true // it comes behind in the order of ties
		}
	}
	if next == nil || t.waits(reading) {
		return nil, limit, nil
	}
	if limit.time == MaxTime {
		limit.equal = true
	}
	if reading && !next.unheard() {
		limit.until = next.first
	}
	return next, limit, nil
}

// waits tells whether there is an empty feed that is worth waiting for.
func (t *Task) waits(reading bool) bool {
	now, wait := t.env.Now(), false
	for _, f := range t.merged {
		if len(f.queue) > 0 || reading && !f.reading() || !reading && f.next >= f.end {
			continue
		}
		if !f.waited {
			f.waited, f.since = true, now
		}
		wait = wait || now-f.since < maxWait
	}
	return wait
}

// Next is the offset of the next row that Process takes: behind what waits.
func (t *Task) Next(tp TopicPartition) Offset {
	f := t.feed(tp)
	if f == nil {
		return -1
	}
	if t.merged == nil {
		return f.position
	}
	return f.next
}

// Ends tells where a partition ends now (its high watermark): rows before that
// are worth waiting for. Only tasks that merge their inputs care.
func (t *Task) Ends(tp TopicPartition, high Offset) {
	if f := t.feed(tp); f != nil {
		f.end = max(f.end, high)
	}
}

// Merges tells whether the task merges its inputs, so that Ends and Paused mean
// anything.
func (t *Task) Merges() bool { return t.merged != nil }

// ReadsTables tells whether ReadFirst means anything.
func (t *Task) ReadsTables() bool {
	return slices.ContainsFunc(t.sub.Sources, func(s *SourceSpec) bool { return s.Table })
}

// booting tells whether a table that the node's rows come from has yet to be
// read to where it ended at the start.
func (t *Task) booting(n *node) bool {
	for _, in := range t.inputs {
		if n.from[in.mark] && in.feed.reading() {
			return true
		}
	}
	return false
}

// ReadFirst tells where a partition ends that the group has no offset for: of
// a table everything before that is read before any row of a stream, here or
// behind a repartition topic (SourceSpec.Whole). A partition that streams read,
// too, is read in order of time.
func (t *Task) ReadFirst(tp TopicPartition, high Offset) {
	f := t.feed(tp)
	if f == nil || slices.ContainsFunc(f.inputs, func(in *input) bool { return !in.spec.Table }) {
		return
	}
	f.first = high
	f.end = max(f.end, high)
}

// Paused tells that so many rows of a partition wait that fetching it should
// stop: above a bound, until half of it.
func (t *Task) Paused(tp TopicPartition) bool {
	f := t.feed(tp)
	return f != nil && f.full
}

// Waiting is how many rows wait for their turn.
func (t *Task) Waiting() int {
	n := 0
	for _, f := range t.merged {
		n += f.rows - f.at
	}
	return n
}

// Rewind forgets the rows that wait: they are to come again, from Positions on.
func (t *Task) Rewind() {
	for _, f := range t.merged {
		f.seek(f.position)
	}
}

// event is what a row says apart from data: it went wrong, or it is a stamp.
type event struct {
	row   int32
	stage Stage
	err   error
	stamp *stamp
}

// decodeLazily decodes a portion of rows whose turn comes later: events wait
// with them.
func (in *input) decodeLazily(t *Task, rows *Rows) error {
	in.events, in.told, in.cursor = in.events[:0], 0, 0
	if _, err := in.decode(t, rows); err != nil {
		return err
	}
	in.sel = in.batch.Sel
	if d, ok := in.decoder.(*repartitionDecoder); ok {
		for i := range d.stamps {
			in.events = append(in.events, event{row: d.stamps[i].row, stamp: &d.stamps[i]})
		}
	}
	// Errors of decoding come before those of time.
	slices.SortStableFunc(in.events, func(a, b event) int { return cmp.Compare(a.row, b.row) })
	return nil
}

// has tells whether row i of the portion is one to process.
func (in *input) has(i int) bool { return in.cursor < len(in.sel) && in.sel[in.cursor] == int32(i) }

// observe moves the input's time on by a row.
func (in *input) observe(i int32) {
	if in.vector != nil {
		return // the row brought its origin, stamps move the time
	}
	b := &in.batch
	b.Origin[i] = in.water.Observe(b.Time[i])
	if in.spec.Timeless {
		b.Origin[i] = MinTime // never late
	}
	in.maxTime = max(in.maxTime, b.Time[i])
}

// deliver hands over the rows between two places of the portion's selection.
func (in *input) deliver(t *Task, from, to int) error {
	in.batch.Sel = in.sel[from:to]
	err := t.deliver(in, &in.batch)
	in.batch.Sel = in.sel
	return err
}

// tell does what the events of the rows before row to ask for.
func (in *input) tell(t *Task, to int) error {
	for in.told < len(in.events) && int(in.events[in.told].row) < to {
		e := &in.events[in.told]
		in.told++
		if e.stamp != nil {
			if err := in.stamp(t, e.stamp); err != nil {
				return err
			}
			continue
		}
		if err := in.reject(t, e.stage, e.row, e.err); err != nil {
			return err
		}
	}
	return nil
}
