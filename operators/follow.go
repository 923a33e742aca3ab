package operators

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/state"
	"github.com/leatstream/leat/window"
	"github.com/leatstream/leat/window/aggregate"
)

// follow is what aggregates over windows that follow rows have in common: how
// rows come in, how windows close in order of their ends, and how updates are
// sent. What there is per key, and which windows it makes, is a follower's.
//
//	rows ─▶ group key ─▶ slot ─▶ follower.take         Process
//	watermark ─▶ due keys ─▶ follower.closings ─▶ rows Advance
//	commit ─▶ changed keys ─▶ follower.update ─▶ rows  Flush
type follow struct {
	own    follower
	spec   AggregateSpec
	ctx    *engine.Context
	table  *state.Table
	now    *side
	fold   *fold
	out    *emitter
	late   *lateRows
	batch  *engine.Batch
	bad    func(int32, error) error
	behind int64 // how far what goes downstream is behind the watermark, ms
	// reaches: windows close when the watermark reaches their ends, not only
	// when it passes them.
	reaches bool
	forever bool // nothing closes
	// outlive is Advance where nothing closes and keys have a ttl.
	outlive func(w int64, budget *engine.Budget, out engine.Emit) (int64, bool, error)

	closedTo int64 // windows with an end before it are closed
	cursor   cursor
	due      due
	pending  slotSet
	active   []state.Slot
	flushed  int64 // ctx.Now of the last update
	kept     int64 // flushed, as of the last commit

	events []closing
	order  []closingPlace
	places []uint64          // scratch of inOrder
	keys   int               // to be looked at together
	words  []uint64          // the accumulators of events
	heap   aggregate.Scratch // and their bytes
	taken  []dueSlot         // keys at hand, with when they are due again
}

// follower is the state of keys, and their windows.
type follower interface {
	// ahead reads what closings and update will of some keys, so that the misses
	// of the caches overlap. It changes nothing.
	ahead(slots []dueSlot)
	// take takes row i in, whose key has this slot.
	take(b *engine.Batch, i int32, slot state.Slot, out engine.Emit) error
	// closings adds the key's windows that end in [from, to) to follow.events,
	// and gives when it may be due again: at the end of the next window.
	closings(slot state.Slot, from, to int64) (next int64, err error)
	// emit writes the row of a window that closes.
	emit(c *closing) error
	// update writes what has changed in the key's open windows since the last
	// time, and notes it as sent.
	update(slot state.Slot) error
	// unsent tells whether there is anything for update.
	unsent(slot state.Slot) bool
	// passed drops what no window to come needs; restored: right after a restart.
	passed(closedTo int64, restored bool)
	// forget drops what is derived from the tables.
	forget()
}

// closing is a window that closes. Its accumulators are in follow.words.
type closing struct {
	start, end int64
	slot       state.Slot
	ordinal    int64 // of a session
	acc, was   int   // was: as it had been sent; -1: it had not
}

// closingPlace is a window's place in the order in which windows close: by
// their ends, those of one end by keys.
type closingPlace struct {
	end  int64
	slot state.Slot
	n    int32 // in follow.events
}

func (a closingPlace) compare(b closingPlace) int {
	if a.end != b.end {
		return cmp.Compare(a.end, b.end)
	}
	if a.slot != b.slot {
		return cmp.Compare(a.slot, b.slot)
	}
	return int(a.n - b.n)
}

func newFollow(ctx *engine.Context, s AggregateSpec, own follower, windowed bool) (*follow, error) {
	if err := s.Window.Check(); err != nil {
		return nil, err
	}
	if s.TableInput {
		return nil, fmt.Errorf("a %s window over a table is not possible: its rows are taken back, and nothing says from where", s.Window.Kind)
	}
	f := &follow{own: own, spec: s, ctx: ctx, table: ctx.Tables[0], now: newSide(s), fold: newFold(s.Aggregates),
		late: newLateRows(ctx, s.LateSide), closedTo: engine.MinTime, behind: s.Window.Grace, keys: closeKeys}
	f.due.table, f.heap.Base = f.table, f.table
	f.bad = func(row int32, err error) error { return ctx.Bad(engine.StageExpression, f.batch, row, err) }
	out, err := newEmitter(ctx, &f.spec, f.fold, f.now.group, windowed, s.Update)
	f.out = out
	return f, err
}

// Process takes one batch in.
func (f *follow) Process(b *engine.Batch, out engine.Emit) error {
	if b.Op != nil {
		return errors.New("changes of a table reached an aggregate over a stream")
	}
	if err := f.due.follow(f.closedTo); err != nil {
		return err
	}
	f.batch = b
	sel, nulls, err := f.now.rows(f.table, b, b.Cols, b.Sel, f.bad)
	if err != nil {
		return err
	}
	if nulls > 0 {
		f.ctx.Count("null_keys", nulls)
	}
	for _, i := range sel {
		if err := f.own.take(b, i, f.now.slots[i], out); err != nil {
			return err
		}
	}
	return f.late.send(b)
}

// horizon is the time before which windows are late for row i: by its origin,
// and by that and by what has closed here.
func (f *follow) horizon(b *engine.Batch, i int32) (byOrigin, all int64) {
	byOrigin = window.Behind(rowOrigin(b, i), f.behind)
	all = max(byOrigin, f.closedTo)
	if f.cursor.on {
		all = max(all, f.cursor.end+1) // it has given rows away already
	}
	if f.reaches && all > engine.MinTime && all < engine.MaxTime && all > byOrigin {
		all-- // what the watermark is at is not late
	}
	return byOrigin, all
}

// await notes that a key has changes to be sent.
func (f *follow) await(slot state.Slot) {
	if f.spec.Update && f.pending.add(slot) && f.spec.Throttle > 0 {
		f.table.Pin(slot)
	}
}

// Advance closes the windows that the watermark has passed.
func (f *follow) Advance(w int64, budget *engine.Budget, out engine.Emit) (int64, bool, error) {
	if f.forever && f.outlive == nil {
		return w, true, nil
	}
	if err := f.due.follow(f.closedTo); err != nil {
		return 0, false, err
	}
	if f.forever {
		return f.outlive(w, budget, out)
	}
	limit := window.Behind(w, f.behind)
	to := limit
	if f.reaches && to < engine.MaxTime && to > engine.MinTime {
		to++
	}
	f.out.begin(out, true)
	for to > f.closedTo && f.due.peek() < to {
		done, err := f.closeSome(to, budget)
		if err = errors.Join(err, f.out.flush()); err != nil {
			return 0, false, err
		}
		if !done {
			return f.closedTo - 1, false, nil
		}
	}
	if to > f.closedTo {
		f.closedTo, f.cursor = to, cursor{}
		f.own.passed(to, false)
	}
	return limit, true, nil
}

// Keys are looked at together, to bring their windows in order: the more of
// them the better, as each is then looked at once for all that it has to close;
// so as many as give about closeWindows, and no fewer than closeKeys.
const (
	closeKeys    = 1024
	closeWindows = 16 << 10
)

// aheadKeys is how many keys are brought into the caches at once: few enough
// to stay there.
const aheadKeys = 64

// closeSome closes the windows of the keys that are due first, up to where the
// next key is due, or the budget ends.
func (f *follow) closeSome(to int64, budget *engine.Budget) (bool, error) {
	f.taken, f.events, f.words = f.taken[:0], f.events[:0], f.words[:0]
	f.heap.Reset()
	for last := engine.MinTime; ; {
		at := f.due.peek()
		if at >= to || len(f.taken) >= f.keys && at > last {
			break
		}
		slot, found, ok, err := f.due.next(to)
		if err != nil {
			return false, err
		}
		if !ok {
			break
		}
		last = at
		if found {
			f.taken = append(f.taken, dueSlot{slot: slot})
		}
	}
	upTo := min(to, f.due.peek())
	slices.SortFunc(f.taken, func(a, b dueSlot) int { return cmp.Compare(a.slot, b.slot) }) // as they lie in memory
	for n := range f.taken {
		if n%aheadKeys == 0 {
			f.own.ahead(f.taken[n:min(n+aheadKeys, len(f.taken))])
		}
		next, err := f.own.closings(f.taken[n].slot, f.closedTo, upTo)
		if err != nil {
			return false, err
		}
		f.taken[n].at = next
	}
	switch n := len(f.events); {
	case n > closeWindows:
		f.keys = max(closeKeys, f.keys/2)
	case n < closeWindows/2 && len(f.taken) >= f.keys:
		f.keys *= 2
	}
	f.inOrder()
	done, err := f.emitAll(budget)
	if err != nil {
		return false, err
	}
	for _, k := range f.taken {
		switch {
		case !done:
			f.due.set(f.closedTo, k.slot)
		case k.at < engine.MaxTime:
			f.due.set(k.at, k.slot)
		}
	}
	if done {
		f.closedTo, f.cursor = upTo, cursor{}
		f.own.passed(upTo, false)
	}
	return done, nil
}

// inOrder brings the events in the order in which windows close. They come by
// slots, so that of one end the first to come is the first.
func (f *follow) inOrder() {
	f.order, f.places = f.order[:0], f.places[:0]
	first, last := engine.MaxTime, engine.MinTime
	for n := range f.events {
		first, last = min(first, f.events[n].end), max(last, f.events[n].end)
	}
	const numbers = 24 // bits of an event's number
	if len(f.events) >= 1<<numbers || uint64(last)-uint64(first) >= 1<<(64-numbers) {
		for n := range f.events {
			f.order = append(f.order, closingPlace{f.events[n].end, f.events[n].slot, int32(n)})
		}
		slices.SortFunc(f.order, closingPlace.compare)
		return
	}
	for n := range f.events {
		f.places = append(f.places, (uint64(f.events[n].end)-uint64(first))<<numbers|uint64(n))
	}
	slices.Sort(f.places) // numbers sort faster than structs
	for _, p := range f.places {
		n := int32(p & (1<<numbers - 1))
		f.order = append(f.order, closingPlace{f.events[n].end, f.events[n].slot, n})
	}
}

// emitAll writes the windows at hand, end by end. Where the budget ends it
// stops: behind a whole end, or, where more windows have one end than the
// budget has rows, in the order of keys, with a cursor.
func (f *follow) emitAll(budget *engine.Budget) (bool, error) {
	for rest := f.order; len(rest) > 0; {
		end, n := rest[0].end, 1
		for n < len(rest) && rest[n].end == end {
			n++
		}
		group := rest[:n]
		rest = rest[n:]
		byKey := n > budget.Rows || f.cursor.on && f.cursor.end == end
		if byKey {
			slices.SortStableFunc(group, func(a, b closingPlace) int { return strings.Compare(f.table.Key(a.slot), f.table.Key(b.slot)) })
		}
		more := true
		for i := range group {
			key := f.table.Key(group[i].slot)
			if f.cursor.on && end == f.cursor.end && key <= f.cursor.after {
				continue
			}
			if err := f.own.emit(&f.events[group[i].n]); err != nil {
				return false, err
			}
			more = budget.Take(f.out.rowBytes())
			// A key's windows of one end come together; and not behind the empty
			// key, as "" means from the first one.
			if !more && byKey && key != "" && i+1 < len(group) && group[i+1].slot != group[i].slot {
				f.cursor = cursor{on: true, end: end, after: strings.Clone(key)}
				f.closedTo = end
				return false, nil
			}
		}
		if !more && len(rest) > 0 {
			f.closedTo, f.cursor = end+1, cursor{}
			return false, nil
		}
	}
	return true, nil
}

// store keeps an accumulator in f.words and tells where.
func (f *follow) store(acc []uint64) int {
	f.words = append(f.words, acc...)
	return len(f.words) - len(acc)
}

func (f *follow) stored(at int) []uint64 { return f.words[at : at+f.fold.words] }

// Flush sends what changed since the last time, at most once per throttle.
func (f *follow) Flush(now int64, all bool, out engine.Emit) error {
	since := now - f.flushed
	if !f.spec.Update || !all && since >= 0 && since < f.spec.Throttle.Milliseconds() {
		return nil
	}
	f.active = f.pending.slots(f.active[:0])
	if len(f.active) == 0 {
		return nil
	}
	f.flushed = now
	f.out.begin(out, false)
	for n, slot := range f.active {
		if n%aheadKeys == 0 {
			f.taken = f.taken[:0]
			for _, slot := range f.active[n:min(n+aheadKeys, len(f.active))] {
				f.taken = append(f.taken, dueSlot{slot: slot})
			}
			f.own.ahead(f.taken)
		}
		f.words = f.words[:0]
		f.heap.Reset()
		if err := f.own.update(slot); err != nil {
			return err
		}
	}
	f.sent()
	return f.out.flush()
}

// sent forgets what was pending.
func (f *follow) sent() {
	if f.spec.Throttle > 0 {
		f.active = f.pending.slots(f.active[:0])
		for _, slot := range f.active {
			f.table.Unpin(slot)
		}
	}
	clear(f.pending)
	f.pending = f.pending[:0]
}

// Committed keeps when updates were sent; what is pending stays pending.
func (f *follow) Committed() {
	f.kept = f.flushed
	if f.due.keys != nil {
		f.due.keys.committed()
	}
}

// RolledBack finds again what is due and what is pending.
func (f *follow) RolledBack() {
	f.flushed = f.kept
	f.own.forget()
	// A scan that fails leaves the table in error: the next commit tells.
	_ = f.find()
}

// Recovered drops what has passed and finds what is due and pending.
func (f *follow) Recovered() error {
	f.own.forget()
	if !f.forever && f.closedTo != engine.MinTime {
		f.own.passed(f.closedTo, true)
	}
	return f.find()
}

func (f *follow) find() error {
	f.sent()
	if !f.forever || f.outlive != nil {
		if err := f.due.rebuild(f.closedTo); err != nil {
			return err
		}
	}
	if f.spec.Update {
		f.active = f.table.Active(state.Panes, engine.MinTime, engine.MaxTime, f.active[:0])
		for _, slot := range f.active {
			if f.own.unsent(slot) {
				f.await(slot)
			}
		}
	}
	return nil
}

// Remember is the time that has passed and the close cursor.
func (f *follow) Remember() []byte { return rememberTime(f.closedTo, f.cursor) }

// Recall reads what Remember wrote.
func (f *follow) Recall(b []byte) error {
	closedTo, c, err := recallTime(b)
	if err == nil {
		f.closedTo, f.cursor = closedTo, c
		f.own.forget()
	}
	return err
}

// What an aggregate remembers: [1][closed to][end of the cursor, key of it].
func rememberTime(closedTo int64, c cursor) []byte {
	b := binary.AppendVarint([]byte{1}, closedTo)
	if c.on {
		b = binary.AppendVarint(b, c.end)
		b = append(b, c.after...)
	}
	return b
}

var errCursor = errors.New("the aggregate's cursor does not decode")

func recallTime(b []byte) (closedTo int64, c cursor, err error) {
	if len(b) == 0 || b[0] != 1 {
		return 0, c, errCursor
	}
	b = b[1:]
	closedTo, n := binary.Varint(b)
	if n <= 0 {
		return 0, c, errCursor
	}
	if b = b[n:]; len(b) > 0 {
		end, n := binary.Varint(b)
		if n <= 0 {
			return 0, c, errCursor
		}
		c = cursor{on: true, end: end, after: string(b[n:])}
	}
	return closedTo, c, nil
}
