package expr

import (
	"fmt"
	"strconv"

	"github.com/expr-lang/expr/ast"

	"github.com/leatstream/leat/engine"
)

// lists builds a list of what each puts in for every element of its arguments.
func lists(k call, elem engine.Type, each func(elem string, add func(elem string)) error) *node {
	return rowwise(listOf(elem), k.args, func(f *frame, i int32, in []*engine.Column, out *engine.Column) error {
		size, count := 2, 0
		for _, c := range in {
			size += len(c.Strs[i])
		}
		if size > maxTextValue {
			return errTooLong
		}
		buf := append(f.bytes(size), '[')
		var wrong error
		for _, c := range in {
			if !elements(c.Strs[i], func(e string) bool {
				wrong = each(e, func(e string) {
					if count++; count > 1 {
						buf = append(buf, ',')
					}
					buf = append(buf, e...)
				})
				return wrong == nil
			}) {
				return fmt.Errorf("%s() of %s", k.name, jsonKind(c.Strs[i]))
			}
		}
		switch {
		case wrong != nil:
			return wrong
		case !f.step(i, count):
			return errTooManySteps
		}
		out.Strs[i] = f.keep(append(buf, ']'))
		return nil
	})
}

// concatenate is concat(list, …): one list of all elements.
func concatenate(_ *compiler, k call) (*node, error) {
	elem := tNull
	for i, a := range k.args {
		if err := k.listArg(i); err != nil {
			return nil, err
		}
		if a.konst != nil && len(a.konst.items) == 0 {
			continue // [] is a list of anything
		}
		u, ok := unify(elem, elemOf(a.t))
		if !ok {
			u = tAny
		}
		elem = u
	}
	return lists(k, elemType(elem), func(e string, add func(string)) error {
		add(e)
		return nil
	}), nil
}

// flatten is flatten(list): the elements of the lists in it, whatever their depth.
func flatten(_ *compiler, k call) (*node, error) {
	if err := k.listArg(0); err != nil {
		return nil, err
	}
	const most = 100 // lists in lists: the walk is recursive
	var walk func(e string, add func(string), depth int) error
	walk = func(e string, add func(string), depth int) (err error) {
		if depth > most {
			return fmt.Errorf("flatten(): more than %d lists in lists", most)
		}
		if !elements(e, func(e string) bool { err = walk(e, add, depth+1); return err == nil }) {
			add(e)
		}
		return err
	}
	return lists(k, elemOf(k.args[0].t).k, func(e string, add func(string)) error { return walk(e, add, 1) }), nil
}

// numberRange is a..b, the ints from a to b, both included; none where b is below a.
func (c *compiler) numberRange(n *ast.BinaryNode) (*node, error) {
	var ends [2]*node
	for i, e := range []ast.Node{n.Left, n.Right} {
		x, err := c.compile(e)
		if err != nil {
			return nil, err
		}
		if x.t.null() {
			return constant(Value{}), nil
		}
		if x.t != tInt {
			return nil, x.at.errorf("", "the ends of a range are ints, not %s", x.t)
		}
		ends[i] = x
	}
	// Not folded: a constant range of a million is better made when needed.
	return rowwise(listOf(engine.Int), ends[:], func(f *frame, i int32, in []*engine.Column, out *engine.Column) error {
		from, to := in[0].Ints[i], in[1].Ints[i]
		if from > to {
			out.Strs[i] = "[]"
			return nil
		}
		span, ok := subInts(to, from)
		if !ok || span >= maxSteps || !f.step(i, int(span)+1) {
			return errTooManySteps
		}
		buf := append(f.bytes(2*int(span)+4), '[')
		for v := from; ; v++ {
			buf = strconv.AppendInt(buf, v, 10)
			if v == to {
				break
			}
			buf = append(buf, ',')
		}
		if len(buf) > maxTextValue {
			return errTooLong
		}
		out.Strs[i] = f.keep(append(buf, ']'))
		return nil
	}), nil
}
