package operators

import (
	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/operators/expr"
)

// Branch sends each row to the first case whose condition is true; null counts
// as false. Case n is output n of the operator (see engine.Context.Side; output
// 0 is the first case), and output len(whens) takes the rows of no case: the
// default, where somebody reads it. A row whose condition fails, before a case
// had taken it, is left out of all.
//
// Over a table a row that moves from one case to another is a delete in the
// one, and then an insert in the other: in this order also where both come
// together again.
func Branch(whens []*expr.Program) func(*engine.Context) (engine.Operator, error) {
	return func(ctx *engine.Context) (engine.Operator, error) {
		f := &brancher{ctx: ctx, outs: make([]branchOut, len(whens)+1)}
		for _, w := range whens {
			f.now, f.before = append(f.now, w.New()), append(f.before, w.New())
		}
		return f, nil
	}
}

type brancher struct {
	ctx         *engine.Context
	now, before []*expr.Eval
	outs        []branchOut
	is, was     []int32 // per row: the case of the new row, of the old one; -1: none
	sel, taken  []int32
	rest        []int32
	failed      []bool
}

type branchOut struct {
	b   engine.Batch
	sel []int32
	ops []engine.Op
	del bool // there is a delete among sel
}

// Process splits one batch.
func (f *brancher) Process(b *engine.Batch, out engine.Emit) error {
	bad := func(row int32, err error) error { return f.ctx.Bad(engine.StageExpression, b, row, err) }
	f.clear()
	var err error
	if b.Op == nil {
		if f.is, err = f.cases(b, b.Cols, b.Sel, f.now, f.is, bad); err != nil {
			return err
		}
		for _, i := range b.Sel {
			if n := f.is[i]; n >= 0 {
				f.outs[n].sel = append(f.outs[n].sel, i)
			}
		}
		return f.send(b, out)
	}
	if f.is, err = f.cases(b, b.Cols, changed(b, engine.Delete, &f.sel), f.now, f.is, bad); err != nil {
		return err
	}
	// An old row that fails now failed then, too: it was never sent.
	quiet := func(int32, error) error { return nil }
	if f.was, err = f.cases(b, b.Old, changed(b, engine.Insert, &f.sel), f.before, f.was, quiet); err != nil {
		return err
	}
	for n := range f.outs {
		f.outs[n].ops = append(f.outs[n].ops[:0], b.Op...)
	}
	for _, i := range b.Sel {
		is, was := f.is[i], f.was[i]
		if is == was && is >= 0 {
			f.outs[is].put(i, engine.Update)
			continue
		}
		if was >= 0 {
			f.outs[was].put(i, engine.Delete)
			f.outs[was].del = true
		}
		if is >= 0 {
			if f.deletes(is) {
				if err := f.send(b, out); err != nil {
					return err
				}
				f.clear()
			}
			f.outs[is].put(i, engine.Insert)
		}
	}
	return f.send(b, out)
}

func (f *brancher) clear() {
	for n := range f.outs {
		f.outs[n].sel, f.outs[n].del = f.outs[n].sel[:0], false
	}
}

// deletes tells whether an output other than n waits to be sent a delete: it
// may be of the row that is inserted in n.
func (f *brancher) deletes(n int32) bool {
	for o := range f.outs {
		if f.outs[o].del && o != int(n) {
			return true
		}
	}
	return false
}

func (o *branchOut) put(i int32, op engine.Op) { o.sel, o.ops[i] = append(o.sel, i), op }

// changed gives the rows of a table's changes whose op is not the one given: not
// Delete has a new row, not Insert an old one. buf is its memory.
func changed(b *engine.Batch, not engine.Op, buf *[]int32) []int32 {
	sel := (*buf)[:0]
	for _, i := range b.Sel {
		if b.Op[i] != not {
			sel = append(sel, i)
		}
	}
	*buf = sel
	return sel
}

// cases finds the case of each row of sel; the rows of no case have the last
// one, and all others, and those that fail, -1.
func (f *brancher) cases(b *engine.Batch, in []engine.Column, sel []int32, whens []*expr.Eval, to []int32, bad func(int32, error) error) ([]int32, error) {
	to, f.failed = reset(to, b.N), reset(f.failed, b.N)
	for i := range to {
		to[i] = -1
	}
	fail := func(row int32, err error) error {
		f.failed[row] = true
		return bad(row, err)
	}
	for n, when := range whens {
		var err error
		if f.taken, err = when.Filter(b, in, sel, f.taken, fail); err != nil {
			return to, err
		}
		for _, i := range f.taken {
			to[i] = int32(n)
		}
		rest := f.rest[:0] // sel may be in it: what is left moves to the front
		for _, i := range sel {
			if to[i] < 0 && !f.failed[i] {
				rest = append(rest, i)
			}
		}
		f.rest, sel = rest, rest
	}
	for _, i := range sel {
		to[i] = int32(len(whens))
	}
	return to, nil
}

// send hands each output its rows.
func (f *brancher) send(b *engine.Batch, out engine.Emit) error {
	for n := range f.outs {
		o := &f.outs[n]
		if len(o.sel) == 0 {
			continue
		}
		o.b = *b
		o.b.Sel = o.sel
		if b.Op != nil {
			o.b.Op = o.ops // an op is not changed again before it is sent
		}
		err := error(nil)
		if n == 0 {
			err = out(&o.b)
		} else {
			err = f.ctx.Side(n, &o.b)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
