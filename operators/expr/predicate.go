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
		return out.setList(f, i, &f.elems, n, func(e int32) int32 {
			if isTrue(body, e) {
				return e
			}
			return -1
		})
	}},
	"map": {false, func(_, body typ) typ { return listOf(elemType(body)) }, func(f *frame, body *engine.Column, n int, out *scratch, i int32) error {
		return out.setList(f, i, body, n, func(e int32) int32 { return e })
	}},
	"reduce": {},
	"sortBy": {},
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

// setList sets row i to the JSON list of a column's entries: at each of the n
// places the one that at gives, none where it is negative.
func (s *scratch) setList(f *frame, i int32, c *engine.Column, n int, at func(place int32) int32) error {
	buf := append(f.bytes(64), '[')
	for p := range int32(n) {
		e := at(p)
		if e < 0 {
			continue
		}
		if len(buf) > 1 {
			buf = append(buf, ',')
		}
		if buf = appendElem(buf, c, e); len(buf) > maxTextValue {
			return errTooLong
		}
	}
	if err := f.build(0, len(buf)); err != nil {
		return err
	}
	s.Strs[i] = f.keep(append(buf, ']'))
	return nil
}

// overList compiles a list function whose second argument is a predicate.
func (c *compiler) overList(name string, p predicate, args []ast.Node, at span) (*node, error) {
	switch name {
	case "sortBy":
		return c.sortBy(args)
	case "reduce":
		return c.reduce(args)
	}
	x, err := c.listArg(name, args[0])
	if err != nil || x.t.null() {
		return x, err
	}
	body, cost, err := c.body(x, args[1], nil)
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
	n := listFn(p.t(x.t, body.t), x, cost, func(f *frame, _ *engine.Column, n int, out *scratch, i int32) error {
		return p.do(f, body.eval(f, upTo(&buf, n)), n, out, i)
	})
	return n, nil
}

// listArg compiles the list of a function with a predicate, or null.
func (c *compiler) listArg(name string, arg ast.Node) (*node, error) {
	x, err := c.compile(arg)
	if err != nil {
		return nil, err
	}
	if x.t.null() {
		return constant(Value{}), nil
	}
	if !x.t.list() && !x.t.any() {
		return nil, x.at.errorf("", "%s() needs a list, not %s", name, x.t)
	}
	return x, nil
}

// body compiles a predicate over the elements of x. Its cost is in steps per
// element.
func (c *compiler) body(x *node, arg ast.Node, acc *accumulator) (n *node, cost int, err error) {
	before := c.nodes
	c.depth++
	c.elems, c.accs = append(c.elems, elemOf(x.t)), append(c.accs, acc)
	n, err = c.compile(arg.(*ast.PredicateNode).Node)
	c.depth--
	c.elems, c.accs = c.elems[:len(c.elems)-1], c.accs[:len(c.accs)-1]
	return n, 1 + c.nodes - before, err
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
				s.Ints[i] = int64(f.base + i)
			}
			return &s.Column
		}}, nil
	case "acc":
		acc := c.accs[len(c.accs)-1]
		if acc == nil {
			return nil, at.errorf("reduce(list, #acc + #, 0)", "#acc is known only in the expression of reduce()")
		}
		return acc.node(), nil
	}
	return nil, at.errorf("# is the element, #index its place, #acc what reduce() has so far", "unknown #%s", n.Name)
}
