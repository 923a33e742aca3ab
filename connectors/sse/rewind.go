package sse

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/leatstream/leat/engine"
)

// rewind is a view's table as it was, moved on by advance. One replay's
// goroutine owns it. Its memory is that of a view: at most max_keys rows a
// partition, and a fetch of each partition that is not due yet.
type rewind struct {
	view    *view
	src     Rewinder
	filter  filter
	epoch   string
	lag     time.Duration // the topic is not compacted for so long
	waiting func() bool   // called while the log is read; false: nobody wants it any more

	table *table
	held  *held
	shown uint64 // the table's version, as held has it
	floor int64  // the table's, as the client knows it
	parts []rewindPart
	now   int64 // the clock, epoch ms
	cut   int64 // rows left out, as they would have been too many
}

// rewindPart is a partition's place.
type rewindPart struct {
	at, end engine.Offset
	rows    *engine.Rows // read, not due yet; nil: none
	next    int          // of rows
	time    int64        // of the record there; append times only grow
	dry     int          // fetches that gave nothing
}

// maxDry is how many fetches may give nothing before the end is taken to be
// here: an open transaction lies behind, and who knows when it ends.
const maxDry = 3

func newRewind(v *view, src Rewinder, f filter) *rewind {
	v.mu.Lock()
	defer v.mu.Unlock()
	return &rewind{view: v, src: src, filter: f, epoch: v.epoch, lag: v.replay}
}

// exact tells whether a frame of that time is as it was.
func (w *rewind) exact(at int64) bool {
	return w.cut == 0 && at >= w.view.now().Add(-w.lag).UnixMilli()
}

// open reads what there was at the beginning, and of the log before it only what
// may still have counted then:
//
//	windows    rows that were not gone: written at most reach before their window's end
//	streams    the newest max_rows of each partition
//	tables     all of it: a row may have changed last at any time
func (w *rewind) open(ctx context.Context, p *past) error {
	spec := w.view.spec
	starts, err := w.src.StartOffsets(ctx, spec.Topic, engine.Start{})
	if err != nil {
		return fmt.Errorf("find the start of %s: %w", spec.Topic, err)
	}
	ends, err := w.offsetsAfter(ctx, p.to)
	if err != nil {
		return err
	}
	w.parts = make([]rewindPart, len(starts))
	for i := range w.parts {
		part := engine.Partition(i)
		w.parts[i].at, w.parts[i].end = starts[part], max(starts[part], ends[part])
	}
	w.table = newTable(spec)
	w.table.grow(len(w.parts))
	switch {
	case spec.Windowed:
		err = w.skipWindows(ctx, p.from)
	case spec.Stream:
		err = w.skipStream(ctx, p.from)
	}
	if err != nil {
		return err
	}
	return w.advance(ctx, p.from)
}

// offsetsAfter gives the first offsets whose records were appended after an
// instant: all records before them were appended by then.
func (w *rewind) offsetsAfter(ctx context.Context, at int64) (map[engine.Partition]engine.Offset, error) {
	offsets, err := w.src.StartOffsets(ctx, w.view.spec.Topic, engine.Start{At: max(1, at+1)})
	if err != nil {
		return nil, fmt.Errorf("find %d in %s: %w", at, w.view.spec.Topic, err)
	}
	return offsets, nil
}

// skipWindows drops the windows that were gone at an instant, and passes what of
// the log was written before any other could be.
func (w *rewind) skipWindows(ctx context.Context, at int64) error {
	spec := w.view.spec
	floor, marks, err := w.floorAt(ctx, at)
	if err != nil {
		return err
	}
	if marks == nil && w.exact(at) {
		return nil // some task has been silent for long: what it said last is somewhere
	}
	// Compaction keeps one mark of each task: without the floor of then, all
	// windows that the log still has would be folded.
	w.table.expire(floor)
	reach := spec.Reach.Milliseconds()
	if reach == 0 || floor <= reach || floor > at { // not known; or event time is ahead of the clock
		return nil
	}
	offsets, err := w.offsetsAfter(ctx, floor-reach-1)
	if err != nil {
		return err
	}
	for i := range w.parts {
		p := &w.parts[i]
		p.at = max(p.at, min(p.end, offsets[engine.Partition(i)]))
	}
	if marks != nil {
		w.table.marks = marks
	}
	return nil
}

// skipStream passes what lies before the newest max_rows rows of each partition
// at an instant. Rows share the log with marks, which are not rows, so it looks
// back further and further.
func (w *rewind) skipStream(ctx context.Context, at int64) error {
	upto, err := w.offsetsAfter(ctx, at)
	if err != nil {
		return err
	}
	most := w.view.spec.MaxRows
	begin := make([]engine.Offset, len(w.parts)) // of each partition, so far
	rows := make([]int, len(w.parts))            // from there on
	for i := range begin {
		begin[i] = min(w.parts[i].end, upto[engine.Partition(i)])
	}
	look := &rewind{view: w.view, src: w.src, waiting: w.waiting, parts: make([]rewindPart, len(w.parts))}
	for back := engine.Offset(2 * most); ; back *= 4 {
		short := false
		for i := range w.parts {
			p, first := &look.parts[i], w.parts[i].at
			*p = rewindPart{at: begin[i], end: begin[i]} // nothing to read
			if rows[i] < most && begin[i] > first {
				short = true
				begin[i] = max(first, begin[i]-back)
				p.at = begin[i]
			}
		}
		if !short {
			break
		}
		if err := look.read(ctx, at, func(part int32, r *engine.Rows, i int) {
			if !strings.HasPrefix(string(r.Keys[i]), markPrefix) && flat(r.Values[i]) != nil {
				rows[part]++
			}
		}); err != nil {
			return err
		}
	}
	for i := range w.parts {
		w.parts[i].at = begin[i]
	}
	return nil
}

// floorAt finds out which windows were gone at an instant: by the tasks' marks of
// the ten minutes before it, which it gives, too; else, with no marks, by the clock.
func (w *rewind) floorAt(ctx context.Context, at int64) (floor int64, marks []mark, err error) {
	spec := w.view.spec
	clock := at - spec.History.Milliseconds()
	if !w.exact(at) {
		return clock, nil, nil
	}
	ends, err := w.offsetsAfter(ctx, at)
	if err != nil {
		return 0, nil, err
	}
	for _, back := range []time.Duration{5 * time.Second, time.Minute, 10 * time.Minute} {
		starts, err := w.offsetsAfter(ctx, at-back.Milliseconds()-1)
		if err != nil {
			return 0, nil, err
		}
		look := &rewind{view: w.view, src: w.src, waiting: w.waiting, table: newTable(engine.ViewSpec{Tasks: spec.Tasks}), parts: make([]rewindPart, len(w.parts))}
		look.table.grow(len(w.parts))
		for i := range look.parts {
			p := engine.Partition(i)
			look.parts[i].at, look.parts[i].end = starts[p], max(starts[p], ends[p])
		}
		if err := look.read(ctx, at, func(part int32, r *engine.Rows, i int) {
			if key := string(r.Keys[i]); strings.HasPrefix(key, markPrefix) {
				look.table.mark(key, r.Values[i])
			}
		}); err != nil {
			return 0, nil, err
		}
		if m := look.table.watermark(); m != engine.MinTime {
			return floorOf(m, spec), look.table.marks, nil
		}
	}
	return clock, nil, nil
}

// advance moves the clock: all records appended until then are applied.
func (w *rewind) advance(ctx context.Context, to int64) error {
	limit := w.view.spec.MaxKeys * len(w.parts)
	n := 0
	err := w.read(ctx, to, func(part int32, r *engine.Rows, i int) {
		key := string(r.Keys[i])
		if r.Values[i] != nil && !strings.HasPrefix(key, markPrefix) && w.table.live >= limit && w.table.rows[key] == nil {
			w.cut++
			return
		}
		w.table.record(part, r.Offsets[i], w.parts[part].time, to, key, r.Values[i])
		if n++; n%4096 == 0 {
			w.table.forget(to)
		}
	})
	if err != nil {
		return err
	}
	w.now = to
	w.table.forget(to)
	if w.view.spec.Windowed && !w.exact(to) {
		w.table.expire(to - w.view.spec.History.Milliseconds()) // few marks are left to go by
	}
	return nil
}

// read gives fn the records appended until an instant, of each partition in
// order. What was fetched beyond it waits in the partition.
func (w *rewind) read(ctx context.Context, to int64, fn func(part int32, r *engine.Rows, i int)) error {
	for {
		want := map[engine.Partition]engine.Offset{}
		for i := range w.parts {
			p := &w.parts[i]
			p.take(to, func(r *engine.Rows, n int) { fn(int32(i), r, n) })
			if p.rows == nil && p.at < p.end {
				want[engine.Partition(i)] = p.at
			}
		}
		if len(want) == 0 {
			return nil
		}
		got, err := w.src.Fetch(ctx, w.view.spec.Topic, want)
		if err != nil {
			return fmt.Errorf("read %s again: %w", w.view.spec.Topic, err)
		}
		if !w.waiting() {
			return context.Canceled
		}
		for _, r := range got {
			if i := int(r.Partition); i < len(w.parts) {
				delete(want, r.Partition)
				w.parts[i].got(r)
			}
		}
		for i := range want {
			if p := &w.parts[i]; p.dry < maxDry {
				p.dry++
			} else {
				p.end = p.at
			}
		}
	}
}

// got takes what a fetch brought.
func (p *rewindPart) got(r *engine.Rows) {
	p.dry = 0
	if r.Len() > 0 {
		p.rows, p.next = r, 0
		p.at = engine.Offset(r.Offsets[r.Len()-1] + 1)
		p.time = max(p.time, r.Times[0])
	}
	p.at = max(p.at, r.Next)
}

// take gives fn the rows that are due.
func (p *rewindPart) take(to int64, fn func(r *engine.Rows, n int)) {
	for p.rows != nil && p.time <= to {
		if p.rows.Offsets[p.next] < int64(p.end) {
			fn(p.rows, p.next)
		}
		if p.next++; p.next == p.rows.Len() {
			p.rows = nil
			return
		}
		p.time = max(p.time, p.rows.Times[p.next])
	}
}

// head is what goes with the rows of a frame.
func (w *rewind) head() head {
	return head{version: w.table.version, watermark: w.table.watermark(), floor: w.table.floor, cursor: fmt.Sprintf("%s%d", pastCursor, w.now)}
}

// snapshot is the whole table as the client may see it.
func (w *rewind) snapshot() *frame {
	w.held = newHeld(w.table.all())
	w.held.begin(w.filter)
	w.shown, w.floor, w.table.changes = w.table.version, w.table.floor, 0
	return encodeSnapshot(w.held.all(), w.head())
}

// frame is what has changed since the last one; of half a table, all.
func (w *rewind) frame() *frame {
	rows, fits := w.table.since(w.shown)
	if !fits || len(rows) > 64 && 2*len(rows) > w.table.live {
		return w.snapshot()
	}
	from, moved := w.shown, w.table.floor > w.floor
	w.shown, w.floor, w.table.changes = w.table.version, w.table.floor, 0
	// Windows that are gone are no changes; the client learns of them by the floor.
	return encodeDelta(w.held.apply(rows, w.filter, w.table.floor), from, w.head(), moved)
}

// mark is the truth of then: what the tasks said of themselves.
func (w *rewind) mark() *block {
	s := statusOf(w.table, w.now)
	s.Now, s.Rest = w.view.now().UnixMilli(), s.Rest+w.cut
	if w.filter.right != nil {
		s.Rows, s.Rest = len(w.held.rows), 0
	}
	return markBlock(s)
}

func (w *rewind) clockBlock() *block {
	return eventBlock("clock", fmt.Appendf(nil, `{"at":%d,"exact":%v}`, w.now, w.exact(w.now)))
}
