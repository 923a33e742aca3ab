package operators

import (
	"fmt"

	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/state"
	"github.com/leatstream/leat/window"
	"github.com/leatstream/leat/window/aggregate"
)

// slider is the aggregate over sliding windows: those that follow the rows of
// a key, [t-size, t], and with mode exact [t+1, t+1+size] as well. A row is in
// very many of them, so it is kept once, folded alone, and a window is the
// merge of the rows within it, made when it closes (or has an update to send).
//
//	key ─▶ bucket 10:00 [ rows │ bytes │ sent │ ref ] ─▶ row row row    half of size long
//	       bucket 10:30 [ … ]                            in order of arrival, only appended
//
// A row is written as sliding_row.go says: with its time, the aggregates' words
// and late, which is 0, or horizon - t + 1: windows that end before the horizon had closed
// when the row came. So what a window holds does not depend on when it closes.
//
// Sent is how many rows the last update knew: what a window was is the merge of
// those, so that nothing is kept per window.
//
// Windows have one length, so a key's are known by their ends. Rows with
// 0 <= t < size have the left window [0, size], as in Kafka Streams.
type slider struct {
	*follow
	size, width int64
	exact       bool
	perRow      bool // a result for each row: trailing, with emit: close
	far         int64
	span        *span // windows of many rows

	pane    *state.Pane // of the last row
	from    int64       // it holds [from, end)
	end     int64
	panes   []*state.Pane // all there are
	current bool          // panes is
	lowest  int64         // end of the first of them

	acc, was []uint64
	row      aggregate.Scratch
	packed   []byte   // a row
	blobs    []uint64 // of it
	rows     []slid
	accs     []uint64 // of rows, in their order
	partly   bool     // one of rows is late for something
	near     nearby
	moved    []uint64
	ends     []int64
	is, had  outcome // of the row at hand
	touched  byte
}

// nearby is where the rows of the last window that was asked for are: windows
// are asked for in order.
type nearby struct {
	end    int64
	lo, hi int
}

// slid is a row of the key at hand.
type slid struct {
	t, horizon int64 // MinTime: late for nothing
	seq        int32 // among rows of its bucket, by arrival
	sent       bool
}

// The words of a bucket.
const (
	bucketRows = iota
	bucketBytes
	bucketSent
	bucketRef
	bucketWords
)

func slidingStore(name string, s AggregateSpec) state.Spec {
	spec := state.Spec{Name: name, Fingerprint: s.print("sliding/2", s.Update)}
	spec.Families[state.Panes] = state.FamilySpec{Words: bucketWords, Blobs: []int{bucketRef}}
	return spec
}

func newSlider(spec AggregateSpec) func(*engine.Context) (engine.Operator, error) {
	return func(ctx *engine.Context) (engine.Operator, error) {
		w := spec.Window
		s := &slider{size: w.Size, width: max(1, w.Size/2), exact: w.Mode == window.Exact, far: engine.MaxTime - 8*(w.Size+w.Grace)}
		s.perRow = !s.exact && !spec.Update
		f, err := newFollow(ctx, spec, s, true)
		if err != nil {
			return nil, err
		}
		f.reaches = s.perRow
		s.follow, s.acc, s.was, s.span = f, make([]uint64, f.fold.words), make([]uint64, f.fold.words), newSpan(f.fold)
		s.row.Base = f.table
		return s, nil
	}
}

func (s *slider) take(b *engine.Batch, i int32, slot state.Slot, out engine.Emit) error {
	t := b.Time[i]
	if t > s.far || t < -s.far {
		return s.ctx.Bad(engine.StageAggregate, b, i, fmt.Errorf("the event time %d is beyond what windows can hold", t))
	}
	byOrigin, horizon := s.horizon(b, i)
	if t+s.size < horizon {
		return s.late.add(b, i, t+s.size >= byOrigin)
	}
	clear(s.acc)
	s.row.Reset()
	if err := s.fold.row(s.acc, s.now.arguments, i, false, &s.row); err != nil {
		return s.ctx.Bad(engine.StageAggregate, b, i, err)
	}
	late := uint64(0)
	if horizon >= t && horizon != engine.MinTime {
		late = uint64(horizon-t) + 1
		if horizon > t && (!s.exact || s.leftEnd(t) < horizon) {
			s.ctx.Count("late_partly", 1)
		}
	}
	if s.pane == nil || t < s.from || t >= s.end {
		s.from = floorDiv(t, s.width) * s.width
		s.end = s.from + s.width
		if s.pane = s.table.Pane(state.Panes, s.end); s.pane == nil {
			s.pane, s.current = s.table.Open(state.Panes, s.end), false
		}
	}
	acc, _ := s.pane.Write(slot)
	s.append(acc, s.from, t, late)
	if s.perRow && (t < s.closedTo || s.cursor.on && t == s.cursor.end && s.table.Key(slot) <= s.cursor.after) {
		if late > 1 {
			return nil
		}
		// The watermark is at the row already: its result comes at once.
		return s.atOnce(slot, t, out)
	}
	s.due.set(max(t, s.closedTo), slot)
	s.await(slot)
	return nil
}

func (s *slider) refresh() {
	if s.current {
		return
	}
	s.panes, s.current, s.lowest = s.panes[:0], true, engine.MaxTime
	for _, end := range s.table.Ends(state.Panes) {
		s.panes = append(s.panes, s.table.Pane(state.Panes, end))
		s.lowest = min(s.lowest, end)
	}
}

// leftEnd is the end of the left window of a row at t.
func (s *slider) leftEnd(t int64) int64 {
	if s.exact && t >= 0 && t < s.size {
		return s.size
	}
	return t
}

// windows fills s.ends with the ends in [from, to) of the windows that the rows
// make, in order, and gives the first end from to on.
func (s *slider) windows(from, to int64) (next int64) {
	s.ends, next = s.ends[:0], engine.MaxTime
	add := func(end int64) {
		switch n := len(s.ends); {
		case end < from:
		case end >= to:
			next = min(next, end)
		case n == 0 || s.ends[n-1] < end:
			s.ends = append(s.ends, end)
		}
	}
	rows, right := s.rows, 0
	for i := range rows {
		end := s.leftEnd(rows[i].t)
		right = s.rights(right, end, from, add)
		if end >= rows[i].horizon {
			add(end)
		}
	}
	s.rights(right, engine.MaxTime, from, add)
	return next
}

// rights adds the right windows of the rows from i on that end at or before
// upTo, where they hold anything, and gives the row to go on with.
func (s *slider) rights(i int, upTo, from int64, add func(int64)) int {
	if !s.exact {
		return i
	}
	for ; i < len(s.rows); i++ {
		end := s.rows[i].t + 1 + s.size
		if end > upTo {
			break
		}
		if end >= from && s.holds(i+1, end) {
			add(end)
		}
	}
	return i
}

// holds tells whether the window that ends at end, and begins behind row i-1,
// has a row.
func (s *slider) holds(i int, end int64) bool {
	for ; i < len(s.rows) && s.rows[i].t <= end; i++ {
		if s.rows[i].t >= end-s.size && s.rows[i].horizon <= end {
			return true
		}
	}
	return false
}

// counts tells whether row r is in the window that ends at end; by is the row
// whose window it is, where rows have windows of their own.
func (s *slider) counts(r *slid, end int64, by int32) bool {
	if s.perRow {
		return r.horizon < end || r.horizon == end && r.t == end && r.seq <= by
	}
	return r.horizon <= end
}

// merge merges the rows of a window into s.acc and gives their number.
func (s *slider) merge(end int64, sentOnly bool, by int32) (rows int, err error) {
	clear(s.acc)
	lo, hi := s.between(end)
	if !sentOnly && !s.partly && !s.perRow && !s.spec.plain {
		return hi - lo, s.run(s.acc, lo, hi)
	}
	for i := lo; i < hi; i++ {
		r := &s.rows[i]
		if sentOnly && !r.sent || !s.counts(r, end, by) {
			continue
		}
		rows++
		if err := s.fold.merge(s.acc, s.rowAcc(i), &s.heap); err != nil {
			return rows, err
		}
	}
	return rows, nil
}

// both merges the rows of a window into s.acc, and, where it had been sent
// (existed), those that were into s.was; same tells that they are all.
func (s *slider) both(end int64, existed bool) (rows int, wasSent, same bool, err error) {
	if s.partly || existed && (s.fold.blobs || s.spec.plain) {
		if existed {
			was, err := s.merge(end, true, 0)
			if wasSent = err == nil && was > 0; wasSent {
				copy(s.was, s.acc)
			}
			rows, err = s.merge(end, false, 0)
			return rows, wasSent, rows == was, err
		}
		rows, err = s.merge(end, false, 0)
		return rows, false, false, err
	}
	// Up to the first row that was not sent the two are one.
	lo, hi := s.between(end)
	news := lo
	for news < hi && s.rows[news].sent {
		news++
	}
	clear(s.acc)
	if err := s.run(s.acc, lo, news); err != nil {
		return hi - lo, false, false, err
	}
	if existed && news < hi {
		copy(s.was, s.acc)
		wasSent = news > lo
		for i := news + 1; i < hi; i++ {
			if s.rows[i].sent {
				if err := s.fold.merge(s.was, s.rowAcc(i), &s.heap); err != nil {
					wasSent = false // it was an error, and not sent
					break
				}
				wasSent = true
			}
		}
	} else {
		wasSent = existed && news > lo
	}
	return hi - lo, wasSent, news == hi, s.run(s.acc, news, hi)
}

// run merges rows lo … hi-1 into acc.
func (s *slider) run(acc []uint64, lo, hi int) error {
	return s.fold.mergeRun(acc, s.accs[lo*s.fold.words:], hi-lo, &s.heap)
}

// between are the rows, lo … hi-1, whose times are within the window that ends
// at end.
func (s *slider) between(end int64) (lo, hi int) {
	if end < s.near.end {
		s.near = nearby{end: engine.MinTime}
	}
	lo, hi = s.near.lo, s.near.hi
	for lo < len(s.rows) && s.rows[lo].t < end-s.size {
		lo++
	}
	for hi = max(lo, hi); hi < len(s.rows) && s.rows[hi].t <= end; hi++ {
	}
	s.near = nearby{end, lo, hi}
	return lo, hi
}

// rowAcc is the accumulator of row i.
func (s *slider) rowAcc(i int) []uint64 {
	w := s.fold.words
	return s.accs[i*w : (i+1)*w]
}

// search is the first row at or after t.
func (s *slider) search(t int64) int {
	lo, hi := 0, len(s.rows)
	for lo < hi {
		if m := (lo + hi) / 2; s.rows[m].t < t {
			lo = m + 1
		} else {
			hi = m
		}
	}
	return lo
}

// existed tells whether the rows that were sent made the window that ends at
// end: one of the last within it, as their left window, or one just before it,
// as its right.
func (s *slider) existed(end int64) bool {
	lo, hi := s.between(end)
	for i := hi - 1; i >= lo && s.leftEnd(s.rows[i].t) == end; i-- {
		if r := &s.rows[i]; r.sent && r.horizon <= end {
			return true
		}
	}
	if s.exact {
		for i := lo - 1; i >= 0 && s.rows[i].t+1+s.size == end; i-- {
			if s.rows[i].sent {
				return true
			}
		}
	}
	return false
}

// news tells whether the window that ends at end has a row that was not sent.
func (s *slider) news(end int64) bool {
	lo, hi := s.between(end)
	for i := lo; i < hi; i++ {
		if r := &s.rows[i]; !r.sent && r.horizon <= end {
			return true
		}
	}
	return false
}

func (s *slider) closings(slot state.Slot, from, to int64) (int64, error) {
	if err := s.load(slot, from); err != nil {
		return 0, err
	}
	next := s.windows(from, to)
	if s.perRow {
		return next, s.each(slot)
	}
	s.span.reset()
	swift := !s.spec.Update && !s.spec.plain && len(s.ends) > spanWindows && len(s.rows) > spanLeast
	for _, end := range s.ends {
		c := closing{start: end - s.size, end: end, slot: slot, was: -1}
		rows, err := 0, error(nil)
		wasSent, same := false, false
		switch {
		case s.spec.Update && !s.out.forgotten:
			rows, wasSent, same, err = s.both(end, s.existed(end))
		case swift:
			rows, err = s.swift(end)
		default:
			rows, err = s.merge(end, false, 0)
		}
		if err != nil {
			if err := s.overflowed(slot, end, err); err != nil {
				return 0, err
			}
			continue
		}
		if rows == 0 {
			continue
		}
		c.acc = s.follow.store(s.acc)
		if wasSent && same {
			c.was = c.acc
		} else if wasSent {
			c.was = s.follow.store(s.was)
		}
		s.events = append(s.events, c)
	}
	return next, nil
}

// swift is merge for windows of many rows, asked for in order.
func (s *slider) swift(end int64) (int, error) {
	lo, hi := s.between(end)
	for i := lo; s.partly && i < hi; i++ {
		if s.rows[i].horizon > end {
			return s.merge(end, false, 0) // not all of them count
		}
	}
	return hi - lo, s.span.window(lo, hi, s.rowAcc, s.acc, &s.heap)
}

// each makes a result for every row whose time is in s.ends.
func (s *slider) each(slot state.Slot) error {
	for _, end := range s.ends {
		shared := -1 // rows of one time share a result, but for odd ones
		for i := s.search(end); i < len(s.rows) && s.rows[i].t == end; i++ {
			r := &s.rows[i]
			if r.horizon > end {
				continue
			}
			at := shared
			if at < 0 || r.horizon == end {
				if _, err := s.merge(end, false, r.seq); err != nil {
					if err := s.overflowed(slot, end, err); err != nil {
						return err
					}
					continue
				}
				at = s.follow.store(s.acc)
				if !s.odd(i) {
					shared = at
				}
			}
			s.events = append(s.events, closing{start: end - s.size, end: end, slot: slot, acc: at, was: -1})
		}
	}
	return nil
}

// odd tells whether a row behind i, of its time, came when the watermark was
// there already: rows before it do not know of it.
func (s *slider) odd(i int) bool {
	for j := i + 1; j < len(s.rows) && s.rows[j].t == s.rows[i].t; j++ {
		if s.rows[j].horizon == s.rows[j].t {
			return true
		}
	}
	return false
}

// atOnce writes the result of the row of time t that came last.
func (s *slider) atOnce(slot state.Slot, t int64, out engine.Emit) error {
	s.heap.Reset()
	if err := s.load(slot, t); err != nil {
		return err
	}
	last := int32(-1)
	for i := s.search(t); i < len(s.rows) && s.rows[i].t == t; i++ {
		last = max(last, s.rows[i].seq)
	}
	s.out.begin(out, true)
	if _, err := s.merge(t, false, last); err != nil {
		return s.overflowed(slot, t, err)
	}
	if err := s.out.row(s.table.Key(slot), nil, s.outcome(&s.is, s.acc, t), false); err != nil {
		return err
	}
	return s.out.flush()
}

// outcome fills o, which is used again, as there are many.
func (s *slider) outcome(o *outcome, acc []uint64, end int64) *outcome {
	o.start, o.end, o.stamp, o.acc, o.heap = end-s.size, end, int64(acc[accTime]), acc, &s.heap
	return o
}

func (s *slider) overflowed(slot state.Slot, end int64, err error) error {
	b, i := s.out.failed(s.table.Key(slot), &outcome{start: end - s.size, end: end})
	return s.ctx.Bad(engine.StageAggregate, b, i, err)
}

func (s *slider) emit(c *closing) error {
	var was *outcome
	if c.was >= 0 {
		was = s.outcome(&s.had, s.stored(c.was), c.end)
	}
	return s.out.row(s.table.Key(c.slot), was, s.outcome(&s.is, s.stored(c.acc), c.end), s.spec.Update)
}

func (s *slider) update(slot state.Slot) error {
	if err := s.load(slot, s.closedTo); err != nil {
		return err
	}
	from := s.closedTo
	if s.cursor.on && s.table.Key(slot) <= s.cursor.after {
		from = s.cursor.end + 1
	}
	// Only the windows that a new row is in, or makes.
	to := engine.MinTime
	first := engine.MaxTime
	for i := range s.rows {
		if r := &s.rows[i]; !r.sent {
			first, to = min(first, r.t), max(to, r.t+s.size+2)
		}
	}
	s.windows(max(from, first), to)
	key := s.table.Key(slot)
	for _, end := range s.ends {
		existed := s.existed(end)
		if existed && !s.news(end) {
			continue
		}
		rows, wasSent, same, err := s.both(end, existed)
		if err != nil {
			if err := s.overflowed(slot, end, err); err != nil {
				return err
			}
			continue
		}
		if rows == 0 || wasSent && same {
			continue
		}
		var was *outcome
		if wasSent {
			was = s.outcome(&s.had, s.was, end)
		}
		if err := s.out.row(key, was, s.outcome(&s.is, s.acc, end), false); err != nil {
			return err
		}
	}
	for _, p := range s.panes {
		if acc := p.Read(slot); acc != nil && acc[bucketSent] != acc[bucketRows] {
			acc, _ = p.Write(slot)
			acc[bucketSent] = acc[bucketRows]
		}
	}
	return nil
}

func (s *slider) unsent(slot state.Slot) bool {
	s.refresh()
	for _, p := range s.panes {
		if acc := p.Read(slot); acc != nil && acc[bucketSent] != acc[bucketRows] {
			return true
		}
	}
	return false
}

// passed drops the buckets whose rows are in no window to come, and make none:
// those of times t with t + size + 1 < closedTo.
func (s *slider) passed(closedTo int64, restored bool) {
	if closedTo == engine.MinTime {
		return
	}
	upTo := engine.MaxTime - 1
	if closedTo != engine.MaxTime {
		upTo = max(closedTo, -s.far-s.size) - s.size - 1
	}
	if restored {
		s.table.RestoreExpire(state.Panes, upTo)
		s.forget()
		return
	}
	s.refresh()
	if s.lowest <= upTo {
		s.table.Expire(state.Panes, upTo)
		s.forget()
	}
}

func (s *slider) forget() { s.pane, s.current = nil, false }
