package operators

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/operators/expr"
	"github.com/leatstream/leat/state"
	"github.com/leatstream/leat/window"
	"github.com/leatstream/leat/window/aggregate"
)

// AggregateColumn is one entry of aggregates: a function over expressions,
// with the condition of the long form.
type AggregateColumn struct {
	Name  string
	Fn    aggregate.Aggregate
	Args  []*expr.Program
	Where *expr.Program // nil: every row
	Text  string        // as written, for the fingerprint
	Time  bool          // Fn takes the event time as one more argument (aggregate.Kind)
}

// AggregateSpec describes an aggregate transform. Out is: the group columns,
// window_start and window_end where there is a window but count, the
// aggregates, and final (bool) for windows, but count, with updates.
//
// The window same asks for window_start and window_end in In. Sliding, session
// and count windows take no TableInput.
type AggregateSpec struct {
	In, Out    *engine.Schema
	Group      []GroupColumn
	Window     window.Spec // Kind "": unwindowed
	Aggregates []AggregateColumn
	Having     *expr.Program // over Out; nil: all
	Update     bool          // emit: update (always so without a window, and for count)
	Throttle   time.Duration // of updates; 0: at each commit
	// TableInput: rows are changes, and old ones are taken back. Under a window
	// the rows must have one themselves (window_end): an old row is then in the
	// window of the new one.
	TableInput bool
	LateSide   bool // late rows go to Context.Side(1, …) as they came
	// TTL deletes a key's row once the watermark passes the time of its newest
	// row by so much (no window only); 0: never.
	TTL time.Duration

	// plain merges all panes of a window whenever one is asked for, as the judge
	// of what is quicker.
	plain bool
}

// The columns of windowed rows.
const (
	windowStart = "window_start"
	windowEnd   = "window_end"
)

// An accumulator of a key and pane:
//
//	word 0   rows folded        word 1   greatest event time of them
//	word 2…  the aggregates' words, one after the other
const (
	accRows = 0
	accTime = 1
	accHead = 2
)

// AggregateStores lists the one store of an aggregate.
func AggregateStores(name string, s AggregateSpec) []state.Spec {
	spec := aggregateStore(name, s)
	spec.Reads = func(was string) bool { return bytesOf(was) == bytesOf(spec.Fingerprint) }
	return []state.Spec{spec}
}

func aggregateStore(name string, s AggregateSpec) state.Spec {
	switch s.Window.Kind {
	case "sliding":
		return slidingStore(name, s)
	case "session":
		return sessionStore(name, s)
	case "count":
		return countStore(name, s)
	}
	s = s.same()
	f := state.FamilySpec{Words: accHead}
	update := s.Update || s.Window.Kind == ""
	for _, a := range s.Aggregates {
		for _, w := range a.Fn.Blobs() {
			f.Blobs = append(f.Blobs, f.Words+w)
		}
		f.Words += a.Fn.Words()
	}
	spec := state.Spec{Name: name, Fingerprint: s.print("aggregate/1", update)}
	spec.Families[state.Panes] = f
	if update {
		spec.Families[state.Sent] = f
	}
	return spec
}

// bytesOf is what a fingerprint of print says of the bytes alone: without the
// names of aggregates, which are in no accumulator, and without the grace: what
// has closed stays closed, what is open closes when the new grace says.
func bytesOf(print string) string {
	lines := strings.Split(print, "\n")
	if before, after, ok := strings.Cut(lines[0], " Grace:"); ok {
		lines[0] = before + strings.TrimLeft(after, "0123456789")
	}
	for i := 1; i < len(lines); i++ {
		if at := strings.IndexAny(lines[i], "=:"); at >= 0 && lines[i][at] == '=' {
			lines[i] = lines[i][at:]
		}
	}
	return strings.Join(lines, "\n")
}

// print is what must stay the same for stored accumulators to be read.
func (s AggregateSpec) print(format string, update bool) string {
	print := []string{fmt.Sprintf("%s %s update=%v", format, s.Window, update)}
	for i, g := range s.Group {
		print = append(print, g.Name+":"+s.Out.Fields[i].Type.String())
	}
	for _, a := range s.Aggregates {
		// The types of the arguments, too: the words of sum(x) are others when x
		// has become a double.
		text := a.Name + "=" + a.Text
		for _, arg := range a.Args {
			text += " " + arg.Type().String()
		}
		if l, ok := a.Fn.(aggregate.Layouter); ok {
			text += fmt.Sprintf(" layout %d", l.Layout())
		}
		if a.Where != nil {
			text += " where " + a.Where.String()
		}
		print = append(print, text)
	}
	return strings.Join(print, "\n")
}

// same makes a grouping of what the window of the input's rows asks for: their
// window_start is a group column, and the window that ends at their window_end
// has one pane.
func (s AggregateSpec) same() AggregateSpec {
	if s.Window.Kind == "same" {
		s.Group = append(slices.Clip(s.Group), GroupColumn{Name: windowStart, From: s.In.Lookup(windowStart)})
	}
	return s
}

// Aggregate is the keyed aggregation: rows are folded into panes, and a
// window is the merge of its panes.
//
//	rows ─▶ group key ─▶ slot ─▶ pane accumulator        Process
//	watermark ─▶ windows that end ─▶ merged rows         Advance (close)
//	commit ─▶ windows that changed ─▶ old row, new row   Flush (update)
func Aggregate(s AggregateSpec) func(*engine.Context) (engine.Operator, error) {
	switch s.Window.Kind {
	case "sliding":
		return newSlider(s)
	case "session":
		return newSessions(s)
	case "count":
		return newCounter(s)
	}
	return func(ctx *engine.Context) (engine.Operator, error) {
		s, own := s.same(), s.Window
		if own.Kind == "same" {
			if s.In.Lookup(windowStart) < 0 || s.In.Lookup(windowEnd) < 0 {
				return nil, errors.New("the window of the input's rows is asked for, and they have none")
			}
			own = window.Spec{Kind: "tumbling", Size: 1}
		}
		assign, err := window.New(own)
		if err != nil {
			return nil, err
		}
		if s.TableInput && s.Window.Kind != "" && s.In.Lookup(windowEnd) < 0 {
			return nil, errors.New("a window over a table needs rows that have a window themselves: else nothing says when an old row was")
		}
		a := &aggregator{spec: s, ctx: ctx, table: ctx.Tables[0], assign: assign, closedTo: engine.MinTime,
			now: newSide(s), fold: newFold(s.Aggregates), windowed: s.Window.Kind != "",
			update: s.Update || s.Window.Kind == "", ends: -1}
		a.bad = func(row int32, err error) error { return ctx.Bad(engine.StageExpression, a.batch, row, err) }
		if s.TableInput {
			a.before = newSide(s)
		}
		a.splits = 1
		if a.windowed {
			// How many windows a row can be in: the room for partly late rows.
			a.splits = assign.Overlap()
			last := assign.LastEnd(0)
			a.far = engine.MaxTime/(a.splits+1) - 4*(last-assign.Start(last))
		}
		if own != s.Window {
			a.ends = s.In.Lookup(windowEnd)
		}
		a.late = newLateRows(ctx, s.LateSide)
		if a.ttl = s.TTL.Milliseconds(); a.ttl < 0 || a.ttl > 0 && a.windowed {
			return nil, errors.New("a ttl is for aggregates without a window")
		}
		a.due.table = a.table
		a.out, a.ring = newResults(a), newRing(a)
		if s.Having != nil {
			op, err := Filter(s.Having)(ctx)
			if err != nil {
				return nil, err
			}
			a.having = op
		}
		return a, nil
	}
}

type aggregator struct {
	spec     AggregateSpec
	ctx      *engine.Context
	table    *state.Table
	assign   window.Assigner
	windowed bool
	update   bool
	// splits is the number of windows that hold a pane. A row that is late for
	// the first k of them goes to the pane's k-th part, which those windows do
	// not take; its id in the table is end*splits + k.
	splits int64
	far    int64 // no event time is further from 0: ids are ends times splits
	ends   int   // the column that has the windows' ends (same), or -1
	times  []int64
	same   []int64 // scratch of timesOf
	late   *lateRows
	ttl    int64 // ms; 0: rows live for ever
	due    due   // of the ttl
	quiet  bool  // the other side of the change tells that it is late

	now    *side
	before *side // of changes of a table; else nil
	fold   *fold
	having engine.Operator
	out    *results
	ring   *ring
	batch  *engine.Batch            // at hand
	bad    func(int32, error) error // reports a row of it

	closedTo int64 // windows with an end at or before it are closed
	cursor   cursor
	pane     paneCache
	pending  pending
	flushed  int64 // ctx.Now of the last update
	kept     int64 // flushed, as of the last commit
	active   []state.Slot
	changed  slotSet
}

// cursor is where the close of a huge window stands.
type cursor struct {
	on    bool
	end   int64
	after string
}

// paneCache remembers the pane of the last row: rows come nearly in order.
type paneCache struct {
	from, end   int64 // the pane [from, end)
	first, last int64 // ends of the windows that hold it
	id          int64
	pane        *state.Pane // nil: nothing cached
}

// Process folds one batch.
func (a *aggregator) Process(b *engine.Batch, out engine.Emit) error {
	a.batch, a.times = b, a.timesOf(b)
	if a.ring.on && a.table.Spilled() {
		a.ring.drop() // slots mean other keys
	}
	if a.ttl > 0 {
		if err := a.due.follow(engine.MinTime); err != nil {
			return err
		}
	}
	if b.Op != nil {
		if err := a.changes(b); err != nil {
			return err
		}
		return a.late.send(b)
	}
	sel, nulls, err := a.now.rows(a.table, b, b.Cols, b.Sel, a.bad)
	if err != nil {
		return err
	}
	if nulls > 0 {
		a.ctx.Count("null_keys", nulls)
	}
	for _, i := range sel {
		if err := a.row(b, i, a.now, false); err != nil {
			return err
		}
	}
	return a.late.send(b)
}

// timesOf gives the times by which rows have their windows: their event times,
// or, for the windows that they have, just before these end.
func (a *aggregator) timesOf(b *engine.Batch) []int64 {
	if a.ends < 0 {
		return b.Time
	}
	if cap(a.same) < b.N {
		a.same = make([]int64, b.N)
	}
	a.same = a.same[:b.N]
	for _, i := range b.Sel {
		cols := b.Cols
		if b.Op != nil && b.Op[i] == engine.Delete {
			cols = b.Old
		}
		a.same[i] = cols[a.ends].Ints[i] - 1
	}
	return a.same
}

// changes folds the changes of a table in their order: a batch may change one
// row several times, and what is taken back must have been added before.
func (a *aggregator) changes(b *engine.Batch) error {
	if a.before == nil {
		return errors.New("changes of a table reached an aggregate over a stream")
	}
	before, now := a.before, a.now
	before.split, now.split = before.split[:0], now.split[:0]
	for _, i := range b.Sel {
		if b.Op[i] != engine.Insert {
			before.split = append(before.split, i)
		}
		if b.Op[i] != engine.Delete {
			now.split = append(now.split, i)
		}
	}
	quiet := func(int32, error) error { return nil } // it was never added
	olds, _, err := before.rows(a.table, b, b.Old, before.split, quiet)
	if err != nil {
		return err
	}
	news, nulls, err := now.rows(a.table, b, b.Cols, now.split, a.bad)
	if err != nil {
		return err
	}
	if nulls > 0 {
		a.ctx.Count("null_keys", nulls)
	}
	for _, i := range b.Sel {
		if len(olds) > 0 && olds[0] == i {
			a.quiet = b.Op[i] == engine.Update
			if err := a.row(b, i, before, true); err != nil {
				return err
			}
			a.quiet = false
			olds = olds[1:]
		}
		if len(news) > 0 && news[0] == i {
			if err := a.row(b, i, now, false); err != nil {
				return err
			}
			news = news[1:]
		}
	}
	return nil
}

// row folds row i of a side, or takes it back.
func (a *aggregator) row(b *engine.Batch, i int32, s *side, back bool) error {
	pane, id := a.pane.pane, a.pane.id
	if t := a.times[i]; pane == nil || t < a.pane.from || t >= a.pane.end || b.Origin != nil && window.Behind(b.Origin[i], a.spec.Window.Grace) >= a.pane.first {
		var err error
		if pane, id, err = a.place(b, i); pane == nil {
			return err // nil where the row is late: that is reported
		}
	}
	slot := s.slots[i]
	acc, _ := pane.Write(slot)
	if a.ttl > 0 && !back && acc[accRows] > 0 && reached(b, i) > after(int64(acc[accTime]), a.ttl) {
		pane.Remove(slot)
		acc, _ = pane.Write(slot)
	}
	if back && acc[accRows] == 0 {
		// It had overflowed and was not added.
		pane.Remove(slot)
		return nil
	}
	if err := a.fold.row(acc, s.arguments, i, back, a.table); err != nil {
		if acc[accRows] == 0 {
			pane.Remove(slot)
		}
		return a.ctx.Bad(engine.StageAggregate, b, i, err)
	}
	fresh := acc[accRows] == 0
	if back {
		acc[accRows]--
	} else {
		acc[accRows]++
	}
	if fresh || b.Time[i] > int64(acc[accTime]) {
		acc[accTime] = uint64(b.Time[i])
	}
	if a.ttl > 0 {
		a.lives(acc, slot)
	}
	if a.update {
		a.await(id, slot)
	}
	return nil
}

// place finds the pane of row i, or nil where the row is late for all its
// windows, or has gone wrong.
func (a *aggregator) place(b *engine.Batch, i int32) (*state.Pane, int64, error) {
	t := a.times[i]
	c := &a.pane
	if !a.windowed {
		*c = paneCache{from: engine.MinTime, end: engine.MaxTime, first: engine.MaxTime, id: engine.MaxTime, pane: a.table.Open(state.Panes, engine.MaxTime)}
		return c.pane, c.id, nil
	}
	if c.pane == nil || t < c.from || t >= c.end {
		if t > a.far || t < -a.far {
			return nil, 0, a.ctx.Bad(engine.StageAggregate, b, i, fmt.Errorf("the event time %d is beyond what windows can hold", t))
		}
		end := a.assign.PaneEnd(t)
		*c = paneCache{from: a.assign.PaneStart(t), end: end, first: a.assign.FirstEnd(t), last: a.assign.LastEnd(t), id: end * a.splits}
	}
	byOrigin := window.Behind(rowOrigin(b, i), a.spec.Window.Grace)
	horizon := max(byOrigin, a.closedTo)
	if a.cursor.on {
		horizon = max(horizon, a.cursor.end) // it has given rows away already
	}
	if c.first > horizon {
		if c.pane == nil {
			c.pane = a.table.Open(state.Panes, c.id)
		}
		return c.pane, c.id, nil
	}
	if c.last <= horizon {
		if a.quiet {
			return nil, 0, nil
		}
		// Where its own partition is not past the window idleness was assumed.
		return nil, 0, a.late.add(b, i, c.last > byOrigin)
	}
	id := c.id
	for end := range window.Ends(a.assign, t) {
		if end > horizon {
			break
		}
		id++
	}
	if !a.quiet {
		a.ctx.Count("late_partly", 1)
	}
	return a.table.Open(state.Panes, id), id, nil
}

// Advance closes the windows that end at or before the watermark less grace.
func (a *aggregator) Advance(w int64, budget *engine.Budget, out engine.Emit) (int64, bool, error) {
	if !a.windowed {
		if a.ttl > 0 {
			return a.outlive(w, budget, out)
		}
		return w, true, nil
	}
	limit := window.Behind(w, a.spec.Window.Grace)
	for {
		end, ok := a.next(limit)
		if !ok {
			break
		}
		done, err := a.close(end, budget, out)
		if err != nil || !done {
			return a.closedTo, false, err
		}
		a.closedTo = end
		a.expire(end)
	}
	if limit > a.closedTo {
		a.closedTo, a.pane = limit, paneCache{}
	}
	return limit, true, nil
}

// next is the end of the next window to close, skipping those with no pane.
func (a *aggregator) next(limit int64) (int64, bool) {
	if a.cursor.on {
		return a.cursor.end, true
	}
	if limit <= a.closedTo {
		return 0, false
	}
	ids := a.table.Ends(state.Panes)
	if len(ids) == 0 {
		return 0, false
	}
	pane := floorDiv(ids[0], a.splits)
	end := a.assign.FirstEnd(pane - 1)
	if a.closedTo != engine.MinTime {
		end = max(end, a.assign.EndsAfter(a.closedTo))
	}
	return end, end <= limit && end != engine.MaxTime
}

// expire drops the panes that no window to come holds, and what was sent of
// the window that closed.
func (a *aggregator) expire(end int64) {
	upTo := a.assign.Start(a.assign.NextEnd(end))*a.splits + a.splits - 1
	a.ring.leave(upTo)
	a.table.Expire(state.Panes, upTo)
	if a.update {
		a.table.Expire(state.Sent, end)
	}
	a.pane = paneCache{}
}

// close emits the rows of the window that ends at end.
func (a *aggregator) close(end int64, budget *engine.Budget, out engine.Emit) (done bool, err error) {
	lo, hi := a.ids(end)
	panes := a.panes(end, lo, hi)
	a.out.begin(end, true, a.sink(out))
	if a.table.Spilled() {
		a.ring.drop()
	} else if !a.cursor.on {
		if a.ring.window(lo, hi, panes) && a.ring.keys() <= budget.Rows {
			if err := a.ring.rows(budget); err != nil {
				return false, err
			}
			return true, a.out.flush()
		}
		a.active = a.table.Active(state.Panes, lo, hi, a.active[:0])
		if len(a.active) <= budget.Rows {
			for _, slot := range a.active {
				if err := a.out.slot(slot, panes); err != nil {
					return false, err
				}
				budget.Take(a.out.rowBytes())
			}
			return true, a.out.flush()
		}
	}
	// A huge window, or one that is not all in memory: in the order of keys,
	// with a cursor that is committed like any other state.
	at := cursor{}
	var failed error
	err = a.table.Scan(state.Panes, lo, hi, a.cursor.after, func(key string, acc func(id int64) []uint64) bool {
		if failed = a.out.key(key, panes, acc); failed != nil {
			return false
		}
		// Not behind the empty key: after "" a scan starts at the first one.
		if !budget.Take(a.out.rowBytes()) && key != "" {
			at = cursor{on: true, end: end, after: strings.Clone(key)}
			return false
		}
		return true
	})
	if err = errors.Join(err, failed); err != nil {
		return false, err
	}
	if err := a.out.flush(); err != nil {
		return false, err
	}
	a.cursor = at
	return !at.on, nil
}

// ids are the table's ids of the panes that the window ending at end may take:
// lo < id <= hi.
func (a *aggregator) ids(end int64) (lo, hi int64) {
	if !a.windowed {
		return engine.MaxTime - 1, engine.MaxTime
	}
	return a.assign.Start(end)*a.splits + a.splits - 1, end*a.splits + a.splits - 1
}

// takes tells whether the window ending at end takes the pane of an id: the
// k-th part of a pane is left out by the first k windows that hold the pane.
func (a *aggregator) takes(end, id int64) bool {
	if !a.windowed {
		return true
	}
	pane := floorDiv(id, a.splits)
	k := id - pane*a.splits
	if k == 0 {
		return true
	}
	for e := range window.Ends(a.assign, pane-1) {
		if e >= end {
			return k <= 0
		}
		k--
	}
	return false
}

func (a *aggregator) panes(end, lo, hi int64) []*state.Pane {
	var panes []*state.Pane
	for _, id := range a.table.Ends(state.Panes) {
		if id > lo && id <= hi && a.takes(end, id) {
			if p := a.table.Pane(state.Panes, id); p != nil {
				panes = append(panes, p)
			}
		}
	}
	return panes
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// sink is where results go: through having, where there is one.
func (a *aggregator) sink(out engine.Emit) engine.Emit {
	if a.having == nil {
		return out
	}
	return func(b *engine.Batch) error { return a.having.Process(b, out) }
}

// Remember is the time that has passed and the close cursor.
func (a *aggregator) Remember() []byte { return rememberTime(a.closedTo, a.cursor) }

// Recall reads what Remember wrote.
func (a *aggregator) Recall(b []byte) error {
	closedTo, c, err := recallTime(b)
	if err == nil {
		a.closedTo, a.cursor, a.pane = closedTo, c, paneCache{}
		a.ring.drop()
	}
	return err
}

// Recovered drops restored panes whose windows have all closed, and finds the
// updates that were not sent yet.
func (a *aggregator) Recovered() error {
	if a.windowed && a.closedTo == engine.MaxTime {
		a.table.RestoreExpire(state.Panes, engine.MaxTime)
		if a.update {
			a.table.RestoreExpire(state.Sent, engine.MaxTime)
		}
		return nil
	}
	if a.windowed && a.closedTo != engine.MinTime {
		upTo := a.assign.Start(a.assign.EndsAfter(a.closedTo))
		a.table.RestoreExpire(state.Panes, upTo*a.splits+a.splits-1)
		if a.update {
			a.table.RestoreExpire(state.Sent, a.closedTo)
		}
	}
	a.findPending()
	return a.findDue()
}

func (a *aggregator) findDue() error {
	if a.ttl == 0 {
		return nil
	}
	return a.due.rebuild(engine.MinTime)
}
