package expr

import (
	"math"
	"slices"

	"github.com/expr-lang/expr/ast"

	"github.com/leatstream/leat/engine"
)

// in is x in [..], x in a..b, x in a list or any of JSON.
func (c *compiler) in(n *ast.BinaryNode, at span) (*node, error) {
	x, err := c.compile(n.Left)
	if err != nil {
		return nil, err
	}
	if r, ok := n.Right.(*ast.BinaryNode); ok && r.Operator == ".." {
		return c.inRange(x, r, at)
	}
	y, err := c.compile(n.Right)
	if err != nil {
		return nil, err
	}
	if x.t.null() || y.t.null() {
		return constant(Value{}), nil
	}
	if y.t.k != engine.Any {
		return nil, y.at.errorf("", "in needs a list, not %s", y.t)
	}
	if !x.t.any() && y.t.list() {
		if x.t.k == engine.Any || x.t == tBytes {
			return nil, x.at.errorf("", "in does not look for %s", x.t)
		}
		if _, ok := unify(x.t, typ{k: y.t.elem}); !ok {
			return nil, at.errorf("", "in looks for %s in %s", x.t, y.t)
		}
	}
	if y.konst != nil {
		for _, v := range y.konst.items {
			if v.Null() {
				return nil, y.at.errorf("write x == nil or x in [..]", "in does not find nil")
			}
		}
		if out := inConst(x, y.konst.items); out != nil {
			return fold(out, x, y), nil
		}
	}
	return fold(inJSON(x, y), x, y), nil
}

// inConst looks a string or an int up in a set; nil where it cannot.
func inConst(x *node, items []Value) *node {
	switch x.t {
	case tString:
		if set, ok := setOf(items, engine.String, func(v Value) string { return v.text }); ok {
			return inSet(x, strs, set)
		}
	case tInt, tTimestamp:
		if set, ok := setOf(items, x.t.k, func(v Value) int64 { return v.num }); ok {
			return inSet(x, ints, set)
		}
	}
	if x.t == tDouble || x.t == tBool { // and ints among doubles
		return safe(rowwise(tBool, []*node{x}, func(_ *frame, i int32, in []*engine.Column, out *engine.Column) error {
			v := valueAt(in[0], i, x.t)
			out.Bools[i] = slices.ContainsFunc(items, func(it Value) bool {
				c, ok := compareValues(it, v)
				return ok && c == 0
			})
			return nil
		}), x)
	}
	return nil
}

func setOf[T comparable](items []Value, t engine.Type, get func(Value) T) ([]T, bool) {
	set := make([]T, len(items))
	for i, v := range items {
		if v.Type != t {
			return nil, false
		}
		set[i] = get(v)
	}
	return set, true
}

// Up to so many items comparing with each is faster than hashing.
const smallSet = 8

func inSet[T comparable](x *node, get func(*engine.Column) []T, items []T) *node {
	if len(items) <= smallSet {
		return safe(fn1(tBool, x, get, bools, func(v T) (bool, error) {
			for _, it := range items {
				if it == v {
					return true, nil
				}
			}
			return false, nil
		}), x)
	}
	set := make(map[T]struct{}, len(items))
	for _, it := range items {
		set[it] = struct{}{}
	}
	return safe(fn1(tBool, x, get, bools, func(v T) (bool, error) {
		_, ok := set[v]
		return ok, nil
	}), x)
}

// inJSON compares with every element of a list; of an object, with its keys.
func inJSON(x, y *node) *node {
	var s scratch
	return &node{t: tBool, fails: true, eval: func(f *frame, sel []int32) *engine.Column {
		a, b := x.eval(f, sel), y.eval(f, sel)
		out := s.reset(engine.Bool, f.n)
		for _, i := range sel {
			v := anyAt(a, i)
			if v.Null() || b.Null(i) {
				s.setNull(i, f.n)
				continue
			}
			if err := f.read(i, b.Strs[i]); err != nil {
				s.failed(f, i, err)
				continue
			}
			out.Bools[i] = holds(b.Strs[i], v)
		}
		return out
	}}
}

func holds(json string, v Value) bool {
	found := false
	if kindOf(json) == '{' {
		return v.Type == engine.String && memberOf(json, v.text) != ""
	}
	elements(json, func(e string) bool {
		if v.Type == engine.Any {
			found = equalJSON(e, v.text)
		} else {
			c, ok := compareValues(scalar(e), v)
			found = ok && c == 0
		}
		return !found
	})
	return found
}

// inRange is x in a..b, both ends inclusive.
func (c *compiler) inRange(x *node, r *ast.BinaryNode, at span) (*node, error) {
	var ends [2]int64
	for i, e := range []ast.Node{r.Left, r.Right} {
		n, err := c.compile(e)
		if err != nil {
			return nil, err
		}
		if n.konst == nil || n.t != tInt {
			return nil, n.at.errorf("write a <= x and x <= b", "the ends of a range are constant ints")
		}
		ends[i] = n.konst.num
	}
	lo, hi := ends[0], ends[1]
	switch x.t {
	case tNull:
		return constant(Value{}), nil
	case tInt:
		return fold(safe(fn1(tBool, x, ints, bools, func(v int64) (bool, error) { return lo <= v && v <= hi, nil }), x), x), nil
	case tDouble: // a range holds whole numbers
		return fold(safe(fn1(tBool, x, doubles, bools, func(v float64) (bool, error) {
			return v == math.Trunc(v) && compareIntDouble(lo, v) <= 0 && compareIntDouble(hi, v) >= 0, nil
		}), x), x), nil
	}
	return nil, at.errorf("", "in looks for %s in a range of ints", x.t)
}
