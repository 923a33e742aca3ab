package operators

import (
	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/operators/expr"
)

// Filter keeps the rows where the expression is true; null counts as false.
// Over a table a row that no longer passes is a delete downstream, sent only
// if the old row had passed.
func Filter(where *expr.Program) func(*engine.Context) (engine.Operator, error) {
	return func(ctx *engine.Context) (engine.Operator, error) {
		f := &filter{now: where.New(), before: where.New()}
		f.bad = func(row int32, err error) error { return ctx.Bad(engine.StageExpression, f.in, row, err) }
		return f, nil
	}
}

type filter struct {
	now, before *expr.Eval
	in          *engine.Batch            // at hand
	bad         func(int32, error) error // reports a row of it
	out         engine.Batch
	sel, old    []int32
	news, olds  []int32
	passed      []bool // per row: the old row passed
	passes      []bool // per row: the new row passes
	ops         []engine.Op
}

// Process filters one batch.
func (f *filter) Process(b *engine.Batch, out engine.Emit) error {
	f.in = b
	if b.Op == nil {
		sel, err := f.now.Filter(b, b.Cols, b.Sel, f.sel, f.bad)
		if err != nil {
			return err
		}
		f.sel, f.out = sel, *b
		f.out.Sel = sel
		return out(&f.out)
	}
	return f.changes(b, out)
}

// changes filters a table's changes: what matters is whether the old row
// passed and whether the new one does.
func (f *filter) changes(b *engine.Batch, out engine.Emit) error {
	f.passed, f.passes = reset(f.passed, b.N), reset(f.passes, b.N)
	news, olds := f.news[:0], f.olds[:0]
	for _, i := range b.Sel {
		if b.Op[i] != engine.Delete {
			news = append(news, i)
		}
		if b.Op[i] != engine.Insert {
			olds = append(olds, i)
		}
	}
	f.news, f.olds = news, olds
	var err error
	if f.sel, err = f.now.Filter(b, b.Cols, news, f.sel, f.bad); err != nil {
		return err
	}
	for _, i := range f.sel {
		f.passes[i] = true
	}
	// An old row that fails to evaluate never passed; it was reported then.
	quiet := func(int32, error) error { return nil }
	if f.old, err = f.before.Filter(b, b.Old, olds, f.old, quiet); err != nil {
		return err
	}
	for _, i := range f.old {
		f.passed[i] = true
	}
	f.out = *b
	f.ops = append(f.ops[:0], b.Op...)
	sel := f.sel[:0]
	for _, i := range b.Sel {
		switch {
		case f.passes[i] && f.passed[i]:
			f.ops[i] = engine.Update
		case f.passes[i]:
			f.ops[i] = engine.Insert
		case f.passed[i]:
			f.ops[i] = engine.Delete
		default:
			continue
		}
		sel = append(sel, i)
	}
	f.sel = sel
	f.out.Sel, f.out.Op = sel, f.ops
	return out(&f.out)
}

func reset[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	s = s[:n]
	clear(s)
	return s
}
