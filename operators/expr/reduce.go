package expr

import (
	"github.com/expr-lang/expr/ast"

	"github.com/leatstream/leat/engine"
)

// accumulator is #acc while a reduce goes over its elements.
type accumulator struct {
	t   typ
	now Value
}

// node reads it; the frame has one element.
func (a *accumulator) node() *node {
	var s scratch
	var all rowsBuf
	return &node{t: a.t, eval: func(f *frame, _ []int32) *engine.Column {
		a.now.fill(&s, f.n)
		if a.now.Null() {
			s.reset(a.t.k, f.n)
			s.allNull(upTo(&all, f.n), f.n)
		}
		return &s.Column
	}}
}

// as gives the value as type t, which unify found for it.
func (v Value) as(t typ) Value {
	switch {
	case v.Null():
		return v
	case t.k == engine.Double && v.Type == engine.Int:
		return DoubleValue(float64(v.num))
	case t.k == engine.Any && v.Type != engine.Any:
		return Value{Type: engine.Any, text: v.String()}
	}
	return v
}

// reduce is reduce(list, expression over # and #acc, start), one element after
// the other; without a start that is the first element, and of no elements
// the result is null.
//
//	reduce(qty, #acc + #, 0)        0 ─▶ 0+q0 ─▶ (0+q0)+q1 ─▶ …
//
// The body is computed in frames of one element: each needs the one before.
func (c *compiler) reduce(args []ast.Node) (*node, error) {
	x, err := c.listArg("reduce", args[0])
	if err != nil || x.t.null() {
		return x, err
	}
	var start *node
	acc := &accumulator{t: elemOf(x.t)}
	if len(args) == 3 {
		if start, err = c.compile(args[2]); err != nil {
			return nil, err
		}
		acc.t = start.t
	}
	body, cost, err := c.body(x, args[1], acc)
	if err != nil {
		return nil, err
	}
	// An int start of doubles: once more, with the type of both.
	if t, ok := unify(acc.t, body.t); ok && t != acc.t {
		acc.t = t
		if body, cost, err = c.body(x, args[1], acc); err != nil {
			return nil, err
		}
	}
	if t, ok := unify(acc.t, body.t); !ok || t != acc.t {
		return nil, body.at.errorf("", "reduce() starts with %s and goes on with %s", acc.t, body.t)
	}
	if acc.t.null() {
		return constant(Value{}), nil
	}
	var starts *engine.Column
	zero := [1]int32{}
	over := listFn(acc.t, x, cost, func(f *frame, elems *engine.Column, n int, out *scratch, i int32) error {
		one := frame{run: f.run, parent: f.parent, row: f.row, n: 1}
		switch {
		case start != nil:
			acc.now = valueAt(starts, i, start.t).as(acc.t)
		case n == 0:
			return errNull
		default:
			acc.now = valueAt(elems, 0, elemOf(x.t)).as(acc.t)
			one.base = 1
		}
		for ; one.base < n; one.base++ {
			one.elems = oneEntry(elems, one.base)
			acc.now = valueAt(body.eval(&one, zero[:]), 0, body.t).as(acc.t)
		}
		if acc.now.Null() {
			return errNull
		}
		out.set(i, acc.now, f.parent.n)
		return nil
	})
	if start == nil {
		return over, nil
	}
	return &node{t: acc.t, fails: true, eval: func(f *frame, sel []int32) *engine.Column {
		starts = start.eval(f, sel)
		return over.eval(f, sel)
	}}, nil
}

// oneEntry is the column of entry i alone.
func oneEntry(c *engine.Column, i int) engine.Column {
	out := engine.Column{Type: c.Type}
	if c.Nulls != nil {
		out.Nulls = c.Nulls[i : i+1]
	}
	switch c.Type {
	case engine.Int, engine.Timestamp:
		out.Ints = c.Ints[i : i+1]
	case engine.Double:
		out.Doubles = c.Doubles[i : i+1]
	case engine.Bool:
		out.Bools = c.Bools[i : i+1]
	default:
		out.Strs = c.Strs[i : i+1]
	}
	return out
}
