package expr

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/expr-lang/expr/ast"

	"github.com/leatstream/leat/engine"
)

// part is x.name, x["name"] and x[i] of JSON and lists, and x[i] of text: the
// character. What is not there is null.
func (c *compiler) part(x *node, property ast.Node, at span) (*node, error) {
	if x.t.null() {
		return constant(Value{}), nil
	}
	key, err := c.compile(property)
	if err != nil {
		return nil, err
	}
	return c.partBy(x, key, at)
}

// partBy is part for a key that is compiled.
func (c *compiler) partBy(x, key *node, at span) (*node, error) {
	if key.t.null() {
		return constant(Value{}), nil
	}
	var n *node
	switch {
	case x.t.any() && key.t == tString:
		n = fn2(tAny, x, key, strs, strs, strs, func(s, k string) (string, error) {
			return present(memberOf(s, k))
		})
	case x.t.any() && key.t == tInt:
		n = fn2(tAny, x, key, strs, ints, strs, func(s string, i int64) (string, error) {
			return present(elementOf(s, i))
		})
	case x.t.list() && key.t == tInt:
		return fold(element(x, key), x, key), nil
	case x.t == tString && key.t == tInt:
		n = fn2(tString, x, key, strs, ints, strs, func(s string, i int64) (string, error) {
			if ch := slice(s, i, i+1, i == -1); ch != "" {
				return ch, nil
			}
			return "", errNull
		})
	case x.t.any() || x.t.list() || x.t == tString && key.t != tString:
		return nil, key.at.errorf("", "an index of %s is an int, not %s", x.t, key.t)
	default:
		if key.konst == nil || key.t != tString {
			return nil, at.errorf("", "%s has no parts", x.t)
		}
		return nil, at.errorf("", "%s has no part %q", x.t, key.konst.text)
	}
	n.fails = x.fails || key.fails
	return fold(n, x, key), nil
}

func present(json string) (string, error) {
	if kindOf(json) == 'n' {
		return "", errNull
	}
	return json, nil
}

// element is list[i], of the list's element type.
func element(x, index *node) *node {
	var s scratch
	t := typ{k: x.t.elem}
	return &node{t: t, fails: true, eval: func(f *frame, sel []int32) *engine.Column {
		a, b := x.eval(f, sel), index.eval(f, sel)
		s.reset(t.k, f.n)
		for _, i := range sel {
			if a.Null(i) || b.Null(i) {
				s.setNull(i, f.n)
				continue
			}
			if err := f.read(i, a.Strs[i]); err != nil {
				s.failed(f, i, err)
				continue
			}
			s.setJSON(f, i, elementOf(a.Strs[i], b.Ints[i]), t.k)
		}
		return &s.Column
	}}
}

// setJSON sets row i to a list's element.
func (s *scratch) setJSON(f *frame, i int32, elem string, t engine.Type) {
	v, ok := elemValue(elem, t)
	if !ok {
		s.failed(f, i, fmt.Errorf("the list has %s, not %s", jsonKind(elem), t))
		return
	}
	s.set(i, v, f.n)
}

// set sets row i to a value of the column's type, or null.
func (s *scratch) set(i int32, v Value, n int) {
	if v.Null() {
		s.setNull(i, n)
		return
	}
	switch s.Type {
	case engine.Int, engine.Timestamp:
		s.Ints[i] = v.num
	case engine.Double:
		s.Doubles[i] = v.dbl
	case engine.Bool:
		s.Bools[i] = v.num != 0
	default:
		s.Strs[i] = v.text
	}
	if s.Nulls != nil {
		s.Nulls[i] = false
	}
}

// compareAny compares where a side is any: by what the value is. Values of
// different types are unequal, and have no order.
func compareAny(o order, x, y *node, at span) (*node, error) {
	if o > ne && (x.t.list() || y.t.list() || x.t == tBytes || y.t == tBytes || x.t == tBool || y.t == tBool) {
		return nil, at.errorf("", "%s and %s have no order", x.t, y.t)
	}
	if x.t == tBytes || y.t == tBytes || !x.t.any() && !y.t.any() && x.t.list() != y.t.list() {
		return nil, at.errorf("", "%s does not compare with %s", x.t, y.t)
	}
	var s scratch
	return &node{t: tBool, fails: true, eval: func(f *frame, sel []int32) *engine.Column {
		a, b := x.eval(f, sel), y.eval(f, sel)
		out := s.reset(engine.Bool, f.n)
		for _, i := range sel {
			v, w := anyAt(a, i), anyAt(b, i)
			if v.Null() || w.Null() {
				s.setNull(i, f.n)
				continue
			}
			if err := f.read(i, v.text); err != nil {
				s.failed(f, i, err)
				continue
			}
			c, ok := compareValues(v, w)
			switch {
			case v.Type == engine.Any && w.Type == engine.Any && o <= ne:
				out.Bools[i] = equalJSON(v.text, w.text) == (o == eq)
			case ok:
				out.Bools[i] = o.of(c) && (c != unordered || o == ne)
			case o <= ne:
				out.Bools[i] = o == ne
			default:
				s.failed(f, i, fmt.Errorf("%s and %s have no order", describe(v), describe(w)))
			}
		}
		return out
	}}, nil
}

// anyAt reads row i; of any, what the JSON is.
func anyAt(c *engine.Column, i int32) Value {
	if c.Type == engine.Any && !c.Null(i) {
		return scalar(c.Strs[i])
	}
	return valueAt(c, i, typ{k: c.Type})
}

func describe(v Value) string {
	if v.Type == engine.Any {
		return jsonKind(v.text)
	}
	return v.Type.String()
}

// unordered is how a NaN compares: unequal to everything.
const unordered = 2

// compareValues compares scalars; ok is false where they are of different
// types or have no order. JSON's numbers compare with timestamps too.
func compareValues(a, b Value) (c int, ok bool) {
	switch {
	case a.Type == engine.String && b.Type == engine.String:
		return strings.Compare(a.text, b.text), true
	case a.Type == engine.Bool && b.Type == engine.Bool:
		return cmp.Compare(a.num, b.num), true
	case isInt(a) && isInt(b):
		return cmp.Compare(a.num, b.num), true
	case isInt(a) && b.Type == engine.Double:
		if b.dbl != b.dbl {
			return unordered, true
		}
		return compareIntDouble(a.num, b.dbl), true
	case a.Type == engine.Double && isInt(b):
		if a.dbl != a.dbl {
			return unordered, true
		}
		return -compareIntDouble(b.num, a.dbl), true
	case a.Type == engine.Double && b.Type == engine.Double:
		if a.dbl != a.dbl || b.dbl != b.dbl {
			return unordered, true
		}
		return cmp.Compare(a.dbl, b.dbl), true
	}
	return 0, false
}

func isInt(v Value) bool { return v.Type == engine.Int || v.Type == engine.Timestamp }
