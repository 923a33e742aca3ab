package expr

import (
	"github.com/expr-lang/expr/ast"

	"github.com/leatstream/leat/engine"
)

// predicate is a list function with an expression over #, each element:
//
//	any(tags, # startsWith "x")    filter(items, .qty > 2)
//
// Every element is computed; in a condition null counts as false. The result
// comes from the body's column over the elements.
type predicate struct {
	bool bool // the body is a condition
	t    func(list, body typ) typ
	do   func(f *frame, body *engine.Column, n int, out *scratch, i int32) error
}

var predicates = map[string]predicate{
	"all":  {true, always(tBool), quantifier(func(yes, n int) bool { return yes == n })},
	"any":  {true, always(tBool), quantifier(func(yes, n int) bool { return yes > 0 })},
	"none": {true, always(tBool), quantifier(func(yes, n int) bool { return yes == 0 })},
	"one":  {true, always(tBool), quantifier(func(yes, n int) bool { return yes == 1 })},
	"count": {true, always(tInt), func(_ *frame, body *engine.Column, n int, out *scratch, i int32) error {
		out.Ints[i] = int64(holding(body, n))
		return nil
	}},
	"find":          {true, func(list, _ typ) typ { return elemOf(list) }, found(false)},
	"findLast":      {true, func(list, _ typ) typ { return elemOf(list) }, found(true)},
	"findIndex":     {true, always(tInt), foundAt(false)},
	"findLastIndex": {true, always(tInt), foundAt(true)},
	"filter": {true, func(list, _ typ) typ { return list }, func(f *frame, body *engine.Column, n int, out *scratch, i int32) error {
		return out.setList(f, i, &f.elems, n, func(e int32) bool { return isTrue(body, e) })
	}},
	"map": {false, func(_, body typ) typ { return listOf(elemType(body)) }, func(f *frame, body *engine.Column, n int, out *scratch, i int32) error {
		return out.setList(f, i, body, n, func(int32) bool { return true })
	}},
	"sum": {false, func(_, body typ) typ { return body }, func(f *frame, body *engine.Column, n int, out *scratch, i int32) error {
		v, err := sumOf(body, n)
		if err == nil {
			out.set(i, v, 0)
		}
		return err
	}},
}

func always(t typ) func(typ, typ) typ { return func(typ, typ) typ { return t } }

func isTrue(c *engine.Column, e int32) bool {
	return c.Type == engine.Bool && !c.Null(e) && c.Bools[e]
}

func holding(c *engine.Column, n int) int {
	yes := 0
	for e := range int32(n) {
		if isTrue(c, e) {
			yes++
		}
	}
	return yes
}

func quantifier(f func(yes, n int) bool) func(*frame, *engine.Column, int, *scratch, int32) error {
	return func(_ *frame, body *engine.Column, n int, out *scratch, i int32) error {
		out.Bools[i] = f(holding(body, n), n)
		return nil
	}
}

func foundAt(fromEnd bool) func(*frame, *engine.Column, int, *scratch, int32) error {
	return func(_ *frame, body *engine.Column, n int, out *scratch, i int32) error {
		e := place(body, n, fromEnd)
		if e < 0 {
			return errNull
		}
		out.Ints[i] = int64(e)
		return nil
	}
}

func found(fromEnd bool) func(*frame, *engine.Column, int, *scratch, int32) error {
	return func(f *frame, body *engine.Column, n int, out *scratch, i int32) error {
		e := place(body, n, fromEnd)
		if e < 0 || f.elems.Null(e) {
			return errNull
		}
		out.set(i, valueAt(&f.elems, e, typ{k: f.elems.Type}), f.parent.n)
		return nil
	}
}

func place(body *engine.Column, n int, fromEnd bool) int32 {
	for k := range int32(n) {
		e := k
		if fromEnd {
			e = int32(n) - 1 - k
		}
		if isTrue(body, e) {
			return e
		}
	}
	return -1
}

// setList sets row i to the JSON list of a column's entries.
func (s *scratch) setList(f *frame, i int32, c *engine.Column, n int, keep func(e int32) bool) error {
	buf := append(f.bytes(64), '[')
	for e := range int32(n) {
		if !keep(e) {
			continue
		}
		if len(buf) > 1 {
			buf = append(buf, ',')
		}
		buf = appendElem(buf, c, e)
	}
	if len(buf) > maxTextValue {
		return errTooLong
	}
	s.Strs[i] = f.keep(append(buf, ']'))
	return nil
}

// overList compiles a list function whose second argument is a predicate.
func (c *compiler) overList(name string, p predicate, args []ast.Node, at span) (*node, error) {
	x, err := c.compile(args[0])
	if err != nil {
		return nil, err
	}
	if x.t.null() {
		return constant(Value{}), nil
	}
	if !x.t.list() && !x.t.any() {
		return nil, x.at.errorf("", "%s() needs a list, not %s", name, x.t)
	}
	c.depth++
	c.elems = append(c.elems, elemOf(x.t))
	body, err := c.compile(args[1].(*ast.PredicateNode).Node)
	c.depth--
	c.elems = c.elems[:len(c.elems)-1]
	if err != nil {
		return nil, err
	}
	if p.bool {
		if err := asBool(body, name+"()"); err != nil {
			return nil, err
		}
	}
	if name == "sum" && !body.t.num() {
		return nil, body.at.errorf("float(#) makes a number", "sum() needs numbers, not %s", body.t)
	}
	var buf rowsBuf
	n := listFn(p.t(x.t, body.t), x, func(f *frame, _ *engine.Column, n int, out *scratch, i int32) error {
		return p.do(f, body.eval(f, upTo(&buf, n)), n, out, i)
	})
	return n, nil
}

// pointer is # (or a leading point), the element, and #index.
func (c *compiler) pointer(n *ast.PointerNode, at span) (*node, error) {
	switch n.Name {
	case "":
		return &node{t: c.elems[len(c.elems)-1], eval: func(f *frame, _ []int32) *engine.Column { return &f.elems }}, nil
	case "index":
		var s scratch
		return &node{t: tInt, eval: func(f *frame, _ []int32) *engine.Column {
			s.reset(engine.Int, f.n)
			for i := range s.Ints {
				s.Ints[i] = int64(i)
			}
			return &s.Column
		}}, nil
	}
	return nil, at.errorf("# is the element, #index its place", "unknown #%s", n.Name)
}
