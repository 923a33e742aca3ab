package operators

import (
	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/window/aggregate"
)

// emitter writes accumulators as result rows, in batches, for the windows that
// follow rows (results does it for panes).
type emitter struct {
	spec     *AggregateSpec
	fold     *fold
	group    *grouper
	windowed bool
	changes  bool // rows are changes of a table

	out        engine.Emit
	batch      engine.Batch
	n          int32
	sel        []int32
	ops        []engine.Op
	finals     []bool
	cols, olds []aggregate.Column
	idle       func() bool
	wanted     func() bool // the old rows of updates; nil: they may be
	forgotten  bool        // nobody looks at the old rows of updates
	closing    bool        // what comes is released by the watermark
	having     engine.Operator
}

// outcome is one result: of a window, or with no window of all rows.
type outcome struct {
	start, end int64
	stamp      int64 // greatest event time of its rows
	acc        []uint64
	heap       aggregate.Heap
}

func newEmitter(ctx *engine.Context, s *AggregateSpec, f *fold, g *grouper, windowed, changes bool) (*emitter, error) {
	e := &emitter{spec: s, fold: f, group: g, windowed: windowed, changes: changes, idle: ctx.Idle, wanted: ctx.Olds}
	b := &e.batch
	b.Schema = s.Out
	b.Cols = make([]engine.Column, len(s.Out.Fields))
	if changes {
		b.Old = make([]engine.Column, len(s.Out.Fields))
	}
	for i := range int32(resultRows) {
		e.sel = append(e.sel, i)
	}
	b.Time, b.Stamp = make([]int64, resultRows), make([]int64, resultRows)
	e.ops, e.finals = make([]engine.Op, resultRows), make([]bool, resultRows)
	if s.Having != nil {
		op, err := Filter(s.Having)(ctx)
		if err != nil {
			return nil, err
		}
		e.having = op
	}
	e.reset()
	return e, nil
}

// begin says where rows go until flush.
func (e *emitter) begin(out engine.Emit, closing bool) {
	e.out, e.closing = out, closing
	e.forgotten = e.changes && e.having == nil && e.wanted != nil && !e.wanted()
}

func (e *emitter) reset() {
	e.n = 0
	e.cols, e.olds = e.cols[:0], e.olds[:0]
	for c, f := range e.batch.Schema.Fields {
		e.batch.Cols[c].Reset(f.Type, resultRows)
		if e.changes {
			e.batch.Old[c].Reset(f.Type, resultRows)
		}
	}
	first := e.first()
	for k := range e.spec.Aggregates {
		e.cols = append(e.cols, columnOf(&e.batch.Cols[first+k]))
		if e.changes {
			e.olds = append(e.olds, columnOf(&e.batch.Old[first+k]))
		}
	}
}

// first is the position of the first aggregate.
func (e *emitter) first() int {
	if e.windowed {
		return len(e.spec.Group) + 2
	}
	return len(e.spec.Group)
}

func (e *emitter) rowBytes() int { return 64 + 16*len(e.batch.Schema.Fields) }

// row adds the result of a key. In a table was is what had been sent of it, nil
// for nothing, and is nil where it is gone; an unchanged row that is not final
// is not sent. Strings of key go downstream.
func (e *emitter) row(key string, was, is *outcome, final bool) error {
	b, i := &e.batch, e.n
	of := is
	if of == nil {
		of = was
	}
	b.Time[i], b.Stamp[i] = of.stamp, of.stamp
	if e.windowed {
		b.Time[i] = of.end
	}
	if is != nil {
		e.write(b.Cols, e.cols, key, is, final)
	}
	if e.changes {
		if was != nil && (is == nil || !e.forgotten) {
			e.write(b.Old, e.olds, key, was, false)
		}
		e.finals[i] = final
		switch {
		case is == nil:
			e.ops[i] = engine.Delete
		case was == nil:
			e.ops[i] = engine.Insert
		case !final && e.unchanged(i, was):
			return nil
		default:
			e.ops[i] = engine.Update
		}
	}
	e.n++
	if e.n < resultRows {
		return nil
	}
	return e.flush()
}

func (e *emitter) write(cols []engine.Column, views []aggregate.Column, key string, o *outcome, final bool) {
	i := e.n
	e.group.decode(key, cols, i)
	if e.windowed {
		g := len(e.spec.Group)
		cols[g].Ints[i], cols[g+1].Ints[i] = o.start, o.end
		if e.changes {
			cols[len(cols)-1].Bools[i] = final
		}
	}
	first := e.first()
	for n := range e.fold.steps {
		s := &e.fold.steps[n]
		s.append(o, &views[s.k], &cols[first+s.k], i)
	}
}

// unchanged compares the aggregates of the old row and the new one. An old row
// that is forgotten is written as far as it is the same.
func (e *emitter) unchanged(i int32, was *outcome) bool {
	first := e.first()
	for n := range e.fold.steps {
		s := &e.fold.steps[n]
		old := &e.batch.Old[first+s.k]
		if e.forgotten {
			s.append(was, &e.olds[s.k], old, i)
		}
		if !equal(&e.batch.Cols[first+s.k], old, i) {
			return false
		}
	}
	return true
}

// append writes the aggregate's value into row i of a column, which view shows.
func (s *step) append(o *outcome, view *aggregate.Column, col *engine.Column, i int32) {
	s.fn.Append(o.acc[s.from:s.to], o.heap, view, i)
	col.Nulls = view.Nulls
}

// failed makes a row of what went wrong with a result, to be reported: the
// group and the window, with no aggregates.
func (e *emitter) failed(key string, o *outcome) (*engine.Batch, int32) {
	acc := make([]uint64, e.fold.words)
	b := &e.batch
	b.N, b.Op, b.Final = resultRows, nil, nil
	b.Time[e.n], b.Stamp[e.n] = o.end, o.end
	e.write(b.Cols, e.cols, key, &outcome{start: o.start, end: o.end, acc: acc, heap: &aggregate.Scratch{}}, false)
	return b, e.n
}

// flush sends the rows built so far.
func (e *emitter) flush() error {
	if e.n == 0 {
		return nil
	}
	b := &e.batch
	b.N, b.Sel = int(e.n), e.sel[:e.n]
	b.Op, b.Final = nil, nil
	if e.changes {
		b.Op = e.ops[:e.n]
		if e.windowed {
			b.Final = e.finals[:e.n]
		}
	}
	b.ClosedByIdle = e.closing && e.windowed && e.idle()
	var err error
	if e.having != nil {
		err = e.having.Process(b, e.out)
	} else {
		err = e.out(b)
	}
	e.reset()
	return err
}
