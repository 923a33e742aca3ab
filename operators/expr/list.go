package expr

import (
	"fmt"
	"sort"
	"strings"

	"github.com/expr-lang/expr/ast"

	"github.com/leatstream/leat/engine"
)

// list is a literal [a, b]; of constants it is one.
func (c *compiler) list(n *ast.ArrayNode) (*node, error) {
	items := make([]*node, len(n.Nodes))
	consts := make([]Value, 0, len(items))
	elem := tNull
	for i, e := range n.Nodes {
		x, err := c.compile(e)
		if err != nil {
			return nil, err
		}
		if x.t == tBytes {
			return nil, x.at.errorf("", "a list does not hold bytes")
		}
		if x.konst != nil {
			consts = append(consts, *x.konst)
		}
		items[i] = x
		u, ok := unify(elem, typ{k: x.t.k})
		if !ok {
			u = tAny
		}
		elem = u
	}
	if size := textSize(consts); len(consts) == len(items) && size < smallText {
		return constant(ListValue(consts...)), nil
	}
	return jsonNode(listOf(elemType(elem)), nil, items), nil
}

// textSize is the bytes of all texts among constants.
func textSize(consts []Value) int {
	size := 0
	for _, v := range consts {
		size += len(v.text)
	}
	return size
}

// elemType is the element type of a list of ts.
func elemType(t typ) engine.Type {
	if t.null() || t == tBytes {
		return engine.Any
	}
	return t.k
}

// object is a literal {a: x}; its keys are texts.
func (c *compiler) object(n *ast.MapNode) (*node, error) {
	keys := make([]string, len(n.Pairs))
	items := make([]*node, len(n.Pairs))
	for i, p := range n.Pairs {
		pair := p.(*ast.PairNode)
		key, ok := pair.Key.(*ast.StringNode)
		if !ok {
			return nil, c.src.of(pair.Key).errorf("", "the key of an object is a name or a constant text")
		}
		keys[i] = key.Value
		x, err := c.compile(pair.Value)
		if err != nil {
			return nil, err
		}
		if x.t == tBytes {
			return nil, x.at.errorf("", "an object does not hold bytes")
		}
		items[i] = x
	}
	return fold(jsonNode(tAny, keys, items), items...), nil
}

// jsonNode builds the JSON of a list of values or, with keys, of an object.
func jsonNode(t typ, keys []string, items []*node) *node {
	var s scratch
	open, end := byte('['), byte(']')
	if keys != nil {
		open, end = '{', '}'
	}
	cols := make([]*engine.Column, len(items))
	return &node{t: t, fails: true, eval: func(f *frame, sel []int32) *engine.Column {
		for k, x := range items {
			cols[k] = x.eval(f, sel)
		}
		out := s.reset(engine.Any, f.n)
		for _, i := range sel {
			buf := append(f.bytes(64), open)
			for k, c := range cols {
				if k > 0 {
					buf = append(buf, ',')
				}
				if keys != nil {
					buf = append(engine.AppendString(buf, keys[k]), ':')
				}
				if buf = appendElem(buf, c, i); len(buf) > maxTextValue {
					break
				}
			}
			err := error(nil)
			if len(buf) > maxTextValue {
				err = errTooLong
			} else if f.parent != nil || len(buf) > smallText {
				err = f.build(i, len(buf))
			}
			if err != nil {
				s.failed(f, i, err)
				continue
			}
			out.Strs[i] = f.keep(append(buf, end))
		}
		return out
	}}
}

// appendElem appends a row as JSON; of an always-null column too.
func appendElem(dst []byte, c *engine.Column, i int32) []byte {
	if c.Type == engine.Invalid {
		return append(dst, "null"...)
	}
	return engine.AppendJSON(dst, c, i, engine.ValueStyle{})
}

// listArg checks that argument i is a list, or any that may hold one.
func (k call) listArg(i int) error {
	if t := k.args[i].t; !t.list() && !t.any() {
		return k.args[i].at.errorf(k.usage, "%s() needs a list, not %s", k.name, t)
	}
	return nil
}

// elemOf is the type of a list's elements; those of JSON are any.
func elemOf(t typ) typ {
	if t.list() {
		return typ{k: t.elem}
	}
	return tAny
}

// load takes a list apart into the frame's elements.
func (f *frame) load(s *scratch, json string, t engine.Type) error {
	if kindOf(json) != '[' {
		return fmt.Errorf("there is %s where a list is needed", jsonKind(json))
	}
	f.n = countElements(json)
	s.reset(t, f.n)
	i, bad := int32(0), ""
	elements(json, func(e string) bool {
		v, ok := elemValue(e, t)
		if !ok {
			bad = e
		}
		s.set(i, v, f.n)
		i++
		return ok
	})
	f.elems = s.Column
	if bad != "" {
		return fmt.Errorf("the list has %s, not %s", jsonKind(bad), t)
	}
	return nil
}

// countOf is count(list), of a list of bools: how many are true.
func countOf(_ *compiler, k call) (*node, error) {
	if k.args[0].t != listOf(engine.Bool) {
		return nil, k.args[0].at.errorf("len(list) counts all elements, count(list, # > 1) those that match", "count() needs a condition, or a list of bools, not %s", k.args[0].t)
	}
	return listFn(tInt, k.args[0], 1, func(_ *frame, elems *engine.Column, n int, out *scratch, i int32) error {
		out.Ints[i] = int64(holding(elems, n))
		return nil
	}), nil
}

// listFn makes a function that sees a row's list as a column of elements.
func listFn(t typ, x *node, cost int, do func(f *frame, elems *engine.Column, n int, out *scratch, i int32) error) *node {
	var s, loaded scratch
	var inner frame
	elem := elemOf(x.t).k
	return &node{t: t, fails: true, eval: func(f *frame, sel []int32) *engine.Column {
		in := x.eval(f, sel)
		s.reset(t.k, f.n)
		for _, i := range sel {
			if in.Null(i) {
				s.setNull(i, f.n)
				continue
			}
			inner = frame{run: f.run, parent: f, row: i}
			err := f.read(i, in.Strs[i])
			if err == nil && !f.step(i, cost*countElements(in.Strs[i])) {
				err = errTooManySteps
			}
			if err == nil {
				err = inner.load(&loaded, in.Strs[i], elem)
			}
			if err == nil {
				err = do(&inner, &inner.elems, inner.n, &s, i)
			}
			if err != nil {
				s.failed(f, i, err)
			}
		}
		return &s.Column
	}}
}

// sum is sum(list) or sum(list, expression over #); of no elements it is 0.
func sum(_ *compiler, k call) (*node, error) {
	return overElements(k, func(c *engine.Column, n int, _ []int32) (Value, error) { return sumOf(c, n) })
}

// sumOf adds up the first n entries; those of nulls are 0.
func sumOf(c *engine.Column, n int) (Value, error) {
	if c.Type == engine.Int {
		total := int64(0)
		for _, v := range c.Ints[:n] {
			next, ok := addInts(total, v)
			if !ok {
				return Value{}, overflow(total, "+", v)
			}
			total = next
		}
		return IntValue(total), nil
	}
	total := 0.0
	for _, v := range c.Doubles[:n] {
		total += v
	}
	return DoubleValue(total), nil
}

func mean(_ *compiler, k call) (*node, error) {
	return overElements(k, func(c *engine.Column, _ int, sel []int32) (Value, error) {
		if len(sel) == 0 {
			return Value{}, errNull
		}
		total := 0.0
		for _, i := range sel {
			total += doubleAt(c, i)
		}
		return DoubleValue(total / float64(len(sel))), nil
	})
}

func median(_ *compiler, k call) (*node, error) {
	return overElements(k, func(c *engine.Column, _ int, sel []int32) (Value, error) {
		if len(sel) == 0 {
			return Value{}, errNull
		}
		all := make([]float64, 0, len(sel))
		for _, i := range sel {
			all = append(all, doubleAt(c, i))
		}
		sort.Float64s(all)
		m := len(all) / 2
		if len(all)%2 == 1 {
			return DoubleValue(all[m]), nil
		}
		return DoubleValue((all[m-1] + all[m]) / 2), nil
	})
}

func doubleAt(c *engine.Column, i int32) float64 {
	if c.Type == engine.Int {
		return float64(c.Ints[i])
	}
	return c.Doubles[i]
}

// overElements makes a number of a list's numbers, nulls left out.
func overElements(k call, do func(c *engine.Column, n int, notNull []int32) (Value, error)) (*node, error) {
	if err := k.listArg(0); err != nil {
		return nil, err
	}
	t := elemOf(k.args[0].t)
	if !t.num() {
		return nil, k.args[0].at.errorf("map(list, float(#)) makes numbers", "%s() needs a list of numbers, not %s", k.name, k.args[0].t)
	}
	result := t
	if k.name != "sum" {
		result = tDouble
	}
	var buf rowsBuf
	return listFn(result, k.args[0], 1, func(_ *frame, elems *engine.Column, n int, out *scratch, i int32) error {
		v, err := do(elems, n, dropNulls(elems, upTo(&buf, n)))
		if err == nil {
			out.set(i, v, 0)
		}
		return err
	}), nil
}

// extremeOf is min(list) and max(list).
func extremeOf(k call, sign int) (*node, error) {
	t := typ{k: k.args[0].t.elem}
	if !t.num() && t != tString && t != tTimestamp {
		return nil, k.wrong(0)
	}
	return listFn(t, k.args[0], 1, func(_ *frame, elems *engine.Column, n int, out *scratch, i int32) error {
		best := Value{}
		for e := range int32(n) {
			v := valueAt(elems, e, t)
			if v.Null() {
				continue
			}
			if best.Null() {
				best = v
			} else if c, _ := compareValues(v, best); c*sign > 0 {
				best = v
			}
		}
		if best.Null() {
			return errNull
		}
		out.set(i, best, 0)
		return nil
	}), nil
}

// split is split(s, sep) or split(s, sep, n): at most n parts; splitAfter
// leaves the separators.
func split(cut func(s, sep string, n int) []string) func(*compiler, call) (*node, error) {
	return func(_ *compiler, k call) (*node, error) {
		for i, a := range k.args {
			if i < 2 && a.t != tString || i == 2 && a.t != tInt {
				return nil, k.wrong(i)
			}
		}
		return rowwise(listOf(engine.String), k.args, func(f *frame, i int32, in []*engine.Column, out *engine.Column) error {
			s, sep, most := in[0].Strs[i], in[1].Strs[i], -1
			if len(in) == 3 {
				most = int(in[2].Ints[i])
			}
			if !f.step(i, strings.Count(s, sep)+1) {
				return errTooManySteps
			}
			buf := append(f.bytes(len(s)+16), '[')
			for p, part := range cut(s, sep, most) {
				if p > 0 {
					buf = append(buf, ',')
				}
				if buf = engine.AppendString(buf, part); len(buf) > maxTextValue {
					return errTooLong
				}
			}
			out.Strs[i] = f.keep(append(buf, ']'))
			return nil
		}), nil
	}
}

// join is join(list, sep), of a list of strings.
func join(_ *compiler, k call) (*node, error) {
	if err := k.listArg(0); err != nil {
		return nil, err
	}
	if elemOf(k.args[0].t) != tString {
		return nil, k.args[0].at.errorf("map(list, string(#)) makes strings", "join() needs a list of strings, not %s", k.args[0].t)
	}
	sep := ""
	if len(k.args) == 2 {
		if k.args[1].konst == nil || k.args[1].t != tString {
			return nil, k.args[1].at.errorf("", "the separator is a constant text")
		}
		sep = k.args[1].konst.text
	}
	return listFn(tString, k.args[0], 1, func(f *frame, elems *engine.Column, n int, out *scratch, i int32) error {
		size := 0
		for e := range int32(n) {
			size += len(elems.Strs[e]) + len(sep)
		}
		if size > maxTextValue {
			return errTooLong
		}
		buf := f.bytes(size)
		for e := range int32(n) {
			if e > 0 {
				buf = append(buf, sep...)
			}
			buf = append(buf, elems.Strs[e]...)
		}
		out.Strs[i] = f.keep(buf)
		return nil
	}), nil
}

// first and last are an end of a list, null of an empty one.
func first(_ *compiler, k call) (*node, error) { return end(k, 0) }
func last(_ *compiler, k call) (*node, error)  { return end(k, -1) }

func end(k call, i int64) (*node, error) {
	if err := k.listArg(0); err != nil {
		return nil, err
	}
	x := k.args[0]
	if x.t.any() {
		return fn1(tAny, x, strs, strs, func(s string) (string, error) { return present(elementOf(s, i)) }), nil
	}
	return element(x, constant(IntValue(i))), nil
}

// take is take(list, n): the first n.
func take(_ *compiler, k call) (*node, error) {
	if err := k.listArg(0); err != nil {
		return nil, err
	}
	if k.args[1].t != tInt {
		return nil, k.wrong(1)
	}
	return fn2(k.args[0].t, k.args[0], k.args[1], strs, ints, strs, func(s string, n int64) (string, error) {
		if n < 0 || kindOf(s) != '[' {
			return "", fmt.Errorf("take(%s, %d)", jsonKind(s), n)
		}
		return sliceList(s, 0, n, false), nil
	}), nil
}

// arrange makes a function that puts a list's elements in another order or
// leaves some out.
func arrange(do func(elems []string)) func(*compiler, call) (*node, error) {
	return func(_ *compiler, k call) (*node, error) {
		return k.rearranged(func(elems []string) ([]string, error) {
			do(elems)
			return elems, nil
		})
	}
}

func (k call) rearranged(do func(elems []string) ([]string, error)) (*node, error) {
	if err := k.listArg(0); err != nil {
		return nil, err
	}
	return rowwise(k.args[0].t, k.args[:1], func(f *frame, i int32, in []*engine.Column, out *engine.Column) error {
		var elems []string
		if !elements(in[0].Strs[i], func(e string) bool { elems = append(elems, e); return true }) {
			return fmt.Errorf("%s() of %s", k.name, jsonKind(in[0].Strs[i]))
		}
		if !f.step(i, len(elems)) {
			return errTooManySteps
		}
		elems, err := do(elems)
		if err == nil {
			out.Strs[i] = "[" + strings.Join(elems, ",") + "]"
		}
		return err
	}), nil
}

// uniq leaves the first of equal elements.
func uniq(_ *compiler, k call) (*node, error) {
	return k.rearranged(func(elems []string) ([]string, error) {
		seen := make(map[string]bool, len(elems))
		out := elems[:0]
		for _, e := range elems {
			if key := keyOf(e); !seen[key] {
				seen[key] = true
				out = append(out, e)
			}
		}
		return out, nil
	})
}
