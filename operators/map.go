package operators

import (
	"slices"

	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/operators/expr"
)

// MapColumn is one column that a map puts out: input column From, or, where
// From is negative, an expression over the row as it came in.
type MapColumn struct {
	From int
	Expr *expr.Program
}

// Map makes rows of schema out from the columns named (set, select and drop of
// the language come down to this list). A row whose expression fails is left
// out; over a table its old row is deleted downstream, and a change that nothing
// is left of is not sent.
func Map(out *engine.Schema, cols []MapColumn) func(*engine.Context) (engine.Operator, error) {
	return func(ctx *engine.Context) (engine.Operator, error) {
		m := &mapper{ctx: ctx, cols: cols}
		m.out.Schema = out
		for _, c := range cols {
			var n, o *expr.Eval
			if c.Expr != nil {
				n, o = c.Expr.New(), c.Expr.New()
			}
			m.now, m.before = append(m.now, n), append(m.before, o)
		}
		return m, nil
	}
}

type mapper struct {
	ctx         *engine.Context
	cols        []MapColumn
	now, before []*expr.Eval
	out         engine.Batch
	cs, os      []engine.Column
	ops         []engine.Op
	sel         []int32
}

// Process maps one batch.
func (m *mapper) Process(b *engine.Batch, out engine.Emit) error {
	schema := m.out.Schema
	m.out = *b
	m.out.Schema = schema
	bad := func(row int32, err error) error { return m.ctx.Bad(engine.StageExpression, b, row, err) }
	if b.Op == nil {
		var err error
		m.cs, m.out.Sel, err = m.side(b, b.Cols, b.Sel, m.now, m.cs, bad)
		if err != nil {
			return err
		}
		m.out.Cols = m.cs
		return out(&m.out)
	}
	var news, olds []int32
	for _, i := range b.Sel {
		if b.Op[i] != engine.Delete {
			news = append(news, i)
		}
		if b.Op[i] != engine.Insert {
			olds = append(olds, i)
		}
	}
	var err error
	if m.cs, news, err = m.side(b, b.Cols, news, m.now, m.cs, bad); err != nil {
		return err
	}
	// An old row that fails now failed then, too: it was never sent.
	quiet := func(int32, error) error { return nil }
	if m.os, olds, err = m.side(b, b.Old, olds, m.before, m.os, quiet); err != nil {
		return err
	}
	m.ops = append(m.ops[:0], b.Op...)
	m.sel = m.sel[:0]
	for _, i := range b.Sel {
		_, isNew := slices.BinarySearch(news, i)
		_, wasOld := slices.BinarySearch(olds, i)
		switch {
		case isNew && wasOld:
			// What changed may be gone now. The last row of a window goes on.
			if (b.Final == nil || !b.Final[i]) && sameRow(m.cs, m.os, i) {
				continue
			}
			m.ops[i] = engine.Update
		case isNew:
			m.ops[i] = engine.Insert
		case wasOld:
			m.ops[i] = engine.Delete
		default:
			continue
		}
		m.sel = append(m.sel, i)
	}
	m.out.Cols, m.out.Old, m.out.Op, m.out.Sel = m.cs, m.os, m.ops, m.sel
	return out(&m.out)
}

// sameRow tells whether row i is the same in both sets of columns.
func sameRow(a, b []engine.Column, i int32) bool {
	for c := range a {
		if !equal(&a[c], &b[c], i) {
			return false
		}
	}
	return true
}

// side evaluates one side (new or old rows) of a batch.
func (m *mapper) side(b *engine.Batch, in []engine.Column, sel []int32, evals []*expr.Eval, cols []engine.Column, bad func(int32, error) error) ([]engine.Column, []int32, error) {
	cols = cols[:0]
	for k, c := range m.cols {
		if c.From >= 0 {
			cols = append(cols, in[c.From])
			continue
		}
		col, rest, err := evals[k].Column(b, in, sel, bad)
		if err != nil {
			return cols, nil, err
		}
		sel = rest
		cols = append(cols, *col)
	}
	return cols, sel, nil
}
