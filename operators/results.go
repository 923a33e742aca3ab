package operators

import (
	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/state"
	"github.com/leatstream/leat/window/aggregate"
)

// resultRows is how many results go downstream at a time.
const resultRows = 1024

// results builds batches of result rows: it merges the panes of a key and
// window and writes the columns.
type results struct {
	a      *aggregator
	end    int64
	final  bool // the window closes
	emit   engine.Emit
	batch  engine.Batch
	n      int32
	sel    []int32
	ops    []engine.Op
	finals []bool
	acc    []uint64
	heap   aggregate.Scratch
	sent   *state.Pane
	first  int // position of the first aggregate in the schema
	start  int64
	// The columns of the aggregates, as these see them: new rows and old ones.
	cols, olds []aggregate.Column
}

func newResults(a *aggregator) *results {
	r := &results{a: a, acc: make([]uint64, a.fold.words), first: len(a.spec.Group)}
	if a.windowed {
		r.first += 2
	}
	if a.ends >= 0 {
		r.first-- // window_start is one of the group
	}
	b := &r.batch
	b.Schema = a.spec.Out
	b.Cols = make([]engine.Column, len(b.Schema.Fields))
	if a.update {
		b.Old = make([]engine.Column, len(b.Schema.Fields))
	}
	for i := range resultRows {
		r.sel = append(r.sel, int32(i))
	}
	b.Time, b.Stamp = make([]int64, resultRows), make([]int64, resultRows)
	r.ops, r.finals = make([]engine.Op, resultRows), make([]bool, resultRows)
	r.heap.Base = a.table
	return r
}

// begin starts the results of one window; flush ends them.
func (r *results) begin(end int64, final bool, emit engine.Emit) {
	r.end, r.final, r.emit, r.sent = end, final, emit, nil
	if r.a.windowed {
		r.start = r.a.assign.Start(end)
	}
	if r.a.update {
		if final {
			r.sent = r.a.table.Pane(state.Sent, end)
		} else {
			r.sent = r.a.table.Open(state.Sent, end)
		}
	}
	r.reset()
}

func (r *results) reset() {
	r.n = 0
	for c, f := range r.batch.Schema.Fields {
		r.batch.Cols[c].Reset(f.Type, resultRows)
		if r.a.update {
			r.batch.Old[c].Reset(f.Type, resultRows)
		}
	}
	r.cols, r.olds = r.cols[:0], r.olds[:0]
	for k := range r.a.spec.Aggregates {
		r.cols = append(r.cols, columnOf(&r.batch.Cols[r.first+k]))
		if r.a.update {
			r.olds = append(r.olds, columnOf(&r.batch.Old[r.first+k]))
		}
	}
	r.heap.Reset()
}

func (r *results) rowBytes() int { return 64 + 16*len(r.batch.Schema.Fields) }

// slot merges the panes of one key and adds its row.
func (r *results) slot(slot state.Slot, panes []*state.Pane) error {
	clear(r.acc)
	for _, p := range panes {
		if acc := p.Read(slot); acc != nil {
			if err := r.merge(acc); err != nil {
				return r.overflowed(r.a.table.Key(slot), err)
			}
		}
	}
	return r.row(r.a.table.Key(slot), slot, true)
}

// key does the same for a key that need not be in memory.
func (r *results) key(key string, panes []*state.Pane, acc func(id int64) []uint64) error {
	clear(r.acc)
	for _, p := range panes {
		if a := acc(p.End()); a != nil {
			if err := r.merge(a); err != nil {
				return r.overflowed(key, err)
			}
		}
	}
	if !r.a.update {
		return r.row(key, 0, false)
	}
	slot, ok, err := r.a.table.Find(key)
	if err != nil {
		return err
	}
	return r.row(key, slot, ok)
}

func (r *results) merge(from []uint64) error { return r.a.fold.merge(r.acc, from, &r.heap) }

// overflowed reports a window whose panes fit one by one and not together: it
// is an error row that carries the group and the window.
func (r *results) overflowed(key string, err error) error {
	clear(r.acc)
	b := &r.batch
	b.N, b.Op, b.Final = resultRows, nil, nil
	b.Time[r.n], b.Stamp[r.n] = r.time(), r.time()
	r.write(b.Cols, r.cols, key, r.acc, &r.heap, r.final)
	return r.a.ctx.Bad(engine.StageAggregate, b, r.n, err)
}

// row writes the merged accumulator as a row. In update mode it goes with its
// old row, and what was sent is kept.
func (r *results) row(key string, slot state.Slot, resident bool) error {
	a, i := r.a, r.n
	rows := r.acc[accRows]
	var before []uint64
	if r.sent != nil && resident {
		before = r.sent.Read(slot)
	}
	if rows == 0 && !a.windowed {
		// The group of a table is empty.
		if p := a.table.Pane(state.Panes, engine.MaxTime); p != nil {
			p.Remove(slot)
		}
	}
	if rows == 0 && before == nil {
		return nil // nothing there, nothing sent (a late part that the window leaves out)
	}
	b := &r.batch
	b.Time[i], b.Stamp[i] = r.time(), int64(r.acc[accTime])
	if rows > 0 {
		r.write(b.Cols, r.cols, key, r.acc, &r.heap, r.final)
	}
	r.finals[i] = r.final
	if !a.update {
		return r.next()
	}
	if before != nil {
		r.write(b.Old, r.olds, key, before, a.table, false)
	}
	switch {
	case rows == 0:
		r.ops[i] = engine.Delete
		r.sent.Remove(slot)
		return r.next()
	case before == nil:
		r.ops[i] = engine.Insert
	default:
		r.ops[i] = engine.Update
	}
	if !r.final {
		unchanged := before != nil && r.same(i)
		r.keep(slot)
		if unchanged {
			return nil // an unchanged row is not sent
		}
	}
	return r.next()
}

// time is the event time of the row at hand.
func (r *results) time() int64 {
	if r.a.windowed {
		return r.end - 1
	}
	return int64(r.acc[accTime])
}

func (r *results) write(cols []engine.Column, views []aggregate.Column, key string, acc []uint64, h aggregate.Heap, final bool) {
	a, i := r.a, r.n
	a.now.group.decode(key, cols, i)
	if a.windowed {
		g := len(a.spec.Group)
		if a.ends < 0 {
			cols[g].Ints[i] = r.start
			g++
		}
		cols[g].Ints[i] = r.end
		if a.update {
			cols[len(cols)-1].Bools[i] = final
		}
	}
	for n := range a.fold.steps {
		s := &a.fold.steps[n]
		view := &views[s.k]
		s.fn.Append(acc[s.from:s.to], h, view, i)
		cols[r.first+s.k].Nulls = view.Nulls
	}
}

// same compares the aggregates of the old and the new row.
func (r *results) same(i int32) bool {
	for k := range r.a.spec.Aggregates {
		if !equal(&r.batch.Cols[r.first+k], &r.batch.Old[r.first+k], i) {
			return false
		}
	}
	return true
}

func equal(x, y *engine.Column, i int32) bool {
	if x.Null(i) || y.Null(i) {
		return x.Null(i) == y.Null(i)
	}
	switch x.Type {
	case engine.Int, engine.Timestamp:
		return x.Ints[i] == y.Ints[i]
	case engine.Double:
		return x.Doubles[i] == y.Doubles[i]
	case engine.Bool:
		return x.Bools[i] == y.Bools[i]
	}
	return x.Strs[i] == y.Strs[i]
}

// keep makes the merged accumulator what was sent of the key.
func (r *results) keep(slot state.Slot) {
	acc, _ := r.sent.Write(slot)
	r.a.fold.keep(acc, r.acc, r.a.table, &r.heap)
}

func (r *results) next() error {
	r.n++
	if r.n < resultRows {
		return nil
	}
	return r.flush()
}

// flush sends the rows built so far downstream.
func (r *results) flush() error {
	if r.n == 0 {
		return nil
	}
	b := &r.batch
	b.N, b.Sel = int(r.n), r.sel[:r.n]
	b.Op, b.Final = nil, nil
	if r.a.update {
		b.Op = r.ops[:r.n]
		if r.a.windowed {
			b.Final = r.finals[:r.n]
		}
	}
	old := b.Old
	if !r.a.update {
		b.Old = nil
	}
	b.ClosedByIdle = r.final && r.a.windowed && r.a.ctx.Idle()
	err := r.emit(b)
	b.Old = old
	r.reset()
	return err
}
