package expr

import (
	"fmt"
	"slices"

	"github.com/expr-lang/expr/ast"

	"github.com/leatstream/leat/engine"
)

// direction reads the order of a sort: 1 for "asc", -1 for "desc".
func direction(o *node) (int, error) {
	switch {
	case o.konst != nil && o.konst.text == "asc":
		return 1, nil
	case o.konst != nil && o.konst.text == "desc":
		return -1, nil
	}
	return 0, o.at.errorf("", `the order is "asc" or "desc"`)
}

// compareKeys orders two sort keys; nulls stand last in either direction.
func compareKeys(a, b Value, sign int) (c int, err error) {
	switch {
	case a.Null() && b.Null():
		return 0, nil
	case a.Null():
		return 1, nil
	case b.Null():
		return -1, nil
	}
	c, ok := compareValues(a, b)
	if !ok || c == unordered {
		return 0, fmt.Errorf("%s and %s have no order", describe(a), describe(b))
	}
	return c * sign, nil
}

// sorted is sort(list), ascending, or sort(list, "desc").
func sorted(_ *compiler, k call) (*node, error) {
	sign := 1
	if len(k.args) == 2 {
		var err error
		if sign, err = direction(k.args[1]); err != nil {
			return nil, err
		}
	}
	return k.rearranged(func(elems []string) ([]string, error) {
		var wrong error
		slices.SortStableFunc(elems, func(a, b string) int {
			c, err := compareKeys(scalar(a), scalar(b), sign)
			if err != nil {
				wrong = err
			}
			return c
		})
		return elems, wrong
	})
}

// sortBy is sortBy(list, key over #) or with a direction: stable, the keys
// computed once per element.
func (c *compiler) sortBy(args []ast.Node) (*node, error) {
	sign := 1
	if len(args) == 3 {
		o, err := c.compile(args[2])
		if err != nil {
			return nil, err
		}
		if sign, err = direction(o); err != nil {
			return nil, err
		}
	}
	x, err := c.listArg("sortBy", args[0])
	if err != nil || x.t.null() {
		return x, err
	}
	key, cost, err := c.body(x, args[1], nil)
	if err != nil {
		return nil, err
	}
	if key.t.list() || key.t == tBytes || key.t == tBool {
		return nil, key.at.errorf("", "%s has no order", key.t)
	}
	var rows rowsBuf
	return listFn(x.t, x, cost, func(f *frame, elems *engine.Column, n int, out *scratch, i int32) error {
		keys := key.eval(f, upTo(&rows, n))
		order := make([]int32, n)
		values := make([]Value, n)
		for e := range order {
			order[e] = int32(e)
			if keys.Type != engine.Invalid {
				values[e] = anyAt(keys, int32(e))
			}
		}
		var wrong error
		slices.SortStableFunc(order, func(a, b int32) int {
			c, err := compareKeys(values[a], values[b], sign)
			if err != nil {
				wrong = err
			}
			return c
		})
		if wrong != nil {
			return wrong
		}
		return out.setList(f, i, elems, n, func(at int32) int32 { return order[at] })
	}), nil
}
