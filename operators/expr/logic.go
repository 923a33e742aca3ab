package expr

import (
	"github.com/expr-lang/expr/ast"

	"github.com/leatstream/leat/engine"
)

// asBool lets null stand for an unknown bool.
func asBool(n *node, what string) error {
	if n.t == tBool || n.t.null() {
		return nil
	}
	hint := ""
	if n.t.any() {
		hint = "bool(x) converts"
	}
	return n.at.errorf(hint, "%s needs a bool, not %s", what, n.t)
}

func (c *compiler) not(x *node) (*node, error) {
	if x.t != tBool && !x.t.null() {
		return nil, x.at.errorf("not binds tightly: write not (a == b)", "not needs a bool, not %s", x.t)
	}
	var s scratch
	n := &node{t: tBool, fails: x.fails, eval: func(f *frame, sel []int32) *engine.Column {
		in := x.eval(f, sel)
		out := s.reset(engine.Bool, f.n)
		if in.Type != engine.Bool {
			return s.allNull(sel, f.n)
		}
		for _, i := range sel {
			out.Bools[i] = !in.Bools[i]
		}
		s.nullsOf(in, sel, f.n)
		return out
	}}
	return fold(n, x), nil
}

// allNull makes every row of sel null.
func (s *scratch) allNull(sel []int32, n int) *engine.Column {
	for _, i := range sel {
		s.setNull(i, n)
	}
	return &s.Column
}

// logic is and, or: three-valued, the right side computed only for the rows
// that the left does not decide.
//
//	and    true  false null        or     true  false null
//	true   true  false null        true   true  true  true
//	false  false false false       false  true  false null
//	null   null  false null        null   true  null  null
func (c *compiler) logic(or bool, x, y *node) (*node, error) {
	word := "and"
	if or {
		word = "or"
	}
	for _, n := range []*node{x, y} {
		if err := asBool(n, word); err != nil {
			return nil, err
		}
	}
	var s scratch
	var buf rowsBuf
	n := &node{t: tBool, fails: x.fails || y.fails}
	n.eval = func(f *frame, sel []int32) *engine.Column {
		a := x.eval(f, sel)
		out := s.reset(engine.Bool, f.n)
		open := buf.take(len(sel))
		for _, i := range sel {
			switch {
			case a.Type != engine.Bool || a.Null(i):
				s.setNull(i, f.n)
				open = append(open, i)
			case a.Bools[i] == or:
				out.Bools[i] = or
			default:
				out.Bools[i] = !or
				open = append(open, i)
			}
		}
		buf = open
		if len(open) == 0 {
			return out
		}
		b := y.eval(f, open)
		for _, i := range open {
			switch {
			case b.Type != engine.Bool || b.Null(i):
				s.setNull(i, f.n)
			case b.Bools[i] == or:
				out.Bools[i] = or
				if s.Nulls != nil {
					s.Nulls[i] = false
				}
			}
		}
		return out
	}
	if !or && !y.fails {
		// A row whose left is null can only become null or false, so a filter
		// need not look at its right, which could not fail either.
		n.keep = func(f *frame, sel, out []int32) []int32 {
			out = x.filter(f, sel, out)
			return y.filter(f, out, out)
		}
	}
	return fold(n, x, y), nil
}

// conditional is c ? a : b; a null condition takes b.
func (c *compiler) conditional(n *ast.ConditionalNode) (*node, error) {
	cond, err := c.compile(n.Cond)
	if err != nil {
		return nil, err
	}
	if err := asBool(cond, "a condition"); err != nil {
		return nil, err
	}
	x, err := c.compile(n.Exp1)
	if err != nil {
		return nil, err
	}
	y, err := c.compile(n.Exp2)
	if err != nil {
		return nil, err
	}
	t, ok := unify(x.t, y.t)
	if !ok {
		return nil, y.at.errorf("", "the two branches differ: %s and %s", x.t, y.t)
	}
	if t.null() {
		return constant(Value{}), nil
	}
	var s scratch
	var yes, no rowsBuf
	out := &node{t: t, fails: cond.fails || x.fails || y.fails, eval: func(f *frame, sel []int32) *engine.Column {
		p := cond.eval(f, sel)
		a, b := yes.take(len(sel)), no.take(len(sel))
		for _, i := range sel {
			if p.Type == engine.Bool && p.Bools[i] && !p.Null(i) {
				a = append(a, i)
			} else {
				b = append(b, i)
			}
		}
		yes, no = a, b
		s.reset(t.k, f.n)
		if len(a) > 0 {
			s.copy(f, t, x, x.eval(f, a), a)
		}
		if len(b) > 0 {
			s.copy(f, t, y, y.eval(f, b), b)
		}
		return &s.Column
	}}
	return fold(out, cond, x, y), nil
}

// coalesce is a ?? b: b for the rows where a is null.
func (c *compiler) coalesce(x, y *node, at span) (*node, error) {
	t, ok := unify(x.t, y.t)
	if !ok {
		return nil, at.errorf("", "?? has %s on the left, %s on the right", x.t, y.t)
	}
	if t.null() {
		return constant(Value{}), nil
	}
	var s scratch
	var buf rowsBuf
	out := &node{t: t, fails: x.fails || y.fails, eval: func(f *frame, sel []int32) *engine.Column {
		a := x.eval(f, sel)
		if a.Nulls == nil && a.Type == t.k {
			return a
		}
		s.reset(t.k, f.n)
		s.copy(f, t, x, a, sel)
		rest := buf.take(len(sel))
		for _, i := range sel {
			if a.Null(i) {
				rest = append(rest, i)
			}
		}
		buf = rest
		if len(rest) > 0 {
			s.copy(f, t, y, y.eval(f, rest), rest)
		}
		return &s.Column
	}}
	return fold(out, x, y), nil
}

// copy takes the rows of sel from the values of x, as type t.
func (s *scratch) copy(f *frame, t typ, x *node, in *engine.Column, sel []int32) {
	switch {
	case x.t.null():
		s.allNull(sel, f.n)
		return
	case t.k == engine.Double && in.Type == engine.Int:
		for _, i := range sel {
			s.Doubles[i] = float64(in.Ints[i])
		}
	case t.k == engine.Any && in.Type != engine.Any:
		for _, i := range sel {
			if !in.Null(i) {
				s.Strs[i] = f.keep(engine.AppendJSON(f.bytes(32), in, i, engine.ValueStyle{}))
			}
		}
	case t.k == engine.Int || t.k == engine.Timestamp:
		for _, i := range sel {
			s.Ints[i] = in.Ints[i]
		}
	case t.k == engine.Double:
		for _, i := range sel {
			s.Doubles[i] = in.Doubles[i]
		}
	case t.k == engine.Bool:
		for _, i := range sel {
			s.Bools[i] = in.Bools[i]
		}
	default:
		for _, i := range sel {
			s.Strs[i] = in.Strs[i]
		}
	}
	for _, i := range sel {
		if in.Null(i) {
			s.setNull(i, f.n)
		} else if s.Nulls != nil {
			s.Nulls[i] = false
		}
	}
}

// let computes its value for all rows at hand before its body, like expr does.
func (c *compiler) let(n *ast.VariableDeclaratorNode, at span) (*node, error) {
	if c.env.Schema != nil && c.env.Schema.Lookup(n.Name) >= 0 {
		return nil, at.errorf("", "let %s: a column has this name", n.Name)
	}
	for _, v := range c.scope {
		if v.name == n.Name {
			return nil, at.errorf("", "let %s: the name is taken", n.Name)
		}
	}
	x, err := c.compile(n.Value)
	if err != nil {
		return nil, err
	}
	var now *engine.Column
	c.scope = append(c.scope, variable{n.Name, x, c.depth, &now})
	body, err := c.compile(n.Expr)
	c.scope = c.scope[:len(c.scope)-1]
	if err != nil {
		return nil, err
	}
	return &node{t: body.t, fails: x.fails || body.fails, eval: func(f *frame, sel []int32) *engine.Column {
		now = x.eval(f, sel)
		return body.eval(f, sel)
	}}, nil
}
