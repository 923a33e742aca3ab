package expr

import (
	"cmp"
	"math"

	"github.com/leatstream/leat/engine"
)

type order uint8

const (
	eq order = iota
	ne
	lt
	le
	gt
	ge
)

var orders = map[string]order{"==": eq, "!=": ne, "<": lt, "<=": le, ">": gt, ">=": ge}

// swapped is the order with the sides exchanged.
func (o order) swapped() order { return [...]order{eq, ne, gt, ge, lt, le}[o] }

// of tells whether the order holds for sides that compare as c.
func (o order) of(c int) bool {
	switch o {
	case eq:
		return c == 0
	case ne:
		return c != 0
	case lt:
		return c < 0
	case le:
		return c <= 0
	case gt:
		return c > 0
	}
	return c >= 0
}

func (c *compiler) compare(op string, x, y *node, at span) (*node, error) {
	o := orders[op]
	if o <= ne && (x.t.null() || y.t.null()) {
		if x.t.null() {
			x, y = y, x
		}
		return nullTest(x, o == eq), nil
	}
	if x.t.null() || y.t.null() {
		return constant(Value{}), nil
	}
	if x.konst != nil {
		x, y, o = y, x, o.swapped()
	}
	switch {
	case x.t == tBool && y.t == tBool && o <= ne:
		return compareBools(o, x, y), nil
	case x.t == tInt && y.t == tInt, x.t == tTimestamp && y.t == tTimestamp:
		return compareOrdered(o, x, y, ints), nil
	case x.t == tDouble && y.t == tDouble:
		return compareOrdered(o, x, y, doubles), nil
	case x.t == tString && y.t == tString, x.t == tBytes && y.t == tBytes:
		return compareOrdered(o, x, y, strs), nil
	case x.t == tInt && y.t == tDouble:
		return compareMixed(o, x, y), nil
	case x.t == tDouble && y.t == tInt:
		return compareMixed(o.swapped(), y, x), nil
	case x.t.k == engine.Any || y.t.k == engine.Any:
		return compareAny(o, x, y, at)
	}
	hint := ""
	switch {
	case x.t == tTimestamp && y.t == tString || x.t == tString && y.t == tTimestamp:
		hint = "parse_time(text) makes a timestamp"
	case x.t == tTimestamp && y.t.num() || x.t.num() && y.t == tTimestamp:
		hint = "int(timestamp) is its epoch milliseconds"
	case x.t == tString && y.t.num() || x.t.num() && y.t == tString:
		hint = "string(n), int(s) and float(s) convert"
	}
	return nil, at.errorf(hint, "%s does not compare %s with %s", op, x.t, y.t)
}

// nullTest is x == nil (or != nil): never null itself.
func nullTest(x *node, isNull bool) *node {
	var s scratch
	n := &node{t: tBool, fails: x.fails, eval: func(f *frame, sel []int32) *engine.Column {
		in := x.eval(f, sel)
		out := s.reset(engine.Bool, f.n)
		for _, i := range sel {
			out.Bools[i] = in.Null(i) == isNull
		}
		return out
	}}
	return fold(n, x)
}

// compareOrdered compares values of one type. A literal on the right, the
// commonest case, has loops of its own.
func compareOrdered[T cmp.Ordered](o order, x, y *node, get func(*engine.Column) []T) *node {
	var s scratch
	n := &node{t: tBool, fails: x.fails || y.fails}
	if y.konst != nil {
		k := get(y.eval(&frame{run: &run{}, n: 1}, nil))[0]
		n.eval = func(f *frame, sel []int32) *engine.Column {
			a := x.eval(f, sel)
			out := s.reset(engine.Bool, f.n)
			orderConst(o, get(a), k, out.Bools, sel)
			s.nullsOf(a, sel, f.n)
			return out
		}
		n.keep = func(f *frame, sel, out []int32) []int32 {
			a := x.eval(f, sel)
			return dropNulls(a, keepConst(o, get(a), k, sel, out))
		}
		return n
	}
	n.eval = func(f *frame, sel []int32) *engine.Column {
		a, b := x.eval(f, sel), y.eval(f, sel)
		out := s.reset(engine.Bool, f.n)
		orderColumns(o, get(a), get(b), out.Bools, sel)
		s.nullsOf(a, sel, f.n)
		s.nullsOf(b, sel, f.n)
		if f.parent != nil && textual(a.Type) {
			for _, i := range sel {
				if err := f.read(i, a.Strs[i]); err != nil {
					s.failed(f, i, err)
				}
			}
		}
		return out
	}
	n.keep = func(f *frame, sel, out []int32) []int32 {
		a, b := x.eval(f, sel), y.eval(f, sel)
		return dropNulls(b, dropNulls(a, keepColumns(o, get(a), get(b), sel, out)))
	}
	return n
}

func dropNulls(c *engine.Column, sel []int32) []int32 {
	if c.Nulls == nil {
		return sel
	}
	k := 0
	for _, i := range sel {
		sel[k] = i
		if !c.Nulls[i] {
			k++
		}
	}
	return sel[:k]
}

func orderConst[T cmp.Ordered](o order, a []T, k T, out []bool, sel []int32) {
	switch o {
	case eq:
		for _, i := range sel {
			out[i] = a[i] == k
		}
	case ne:
		for _, i := range sel {
			out[i] = a[i] != k
		}
	case lt:
		for _, i := range sel {
			out[i] = a[i] < k
		}
	case le:
		for _, i := range sel {
			out[i] = a[i] <= k
		}
	case gt:
		for _, i := range sel {
			out[i] = a[i] > k
		}
	case ge:
		for _, i := range sel {
			out[i] = a[i] >= k
		}
	}
}

func orderColumns[T cmp.Ordered](o order, a, b []T, out []bool, sel []int32) {
	switch o {
	case eq:
		for _, i := range sel {
			out[i] = a[i] == b[i]
		}
	case ne:
		for _, i := range sel {
			out[i] = a[i] != b[i]
		}
	case lt:
		for _, i := range sel {
			out[i] = a[i] < b[i]
		}
	case le:
		for _, i := range sel {
			out[i] = a[i] <= b[i]
		}
	case gt:
		for _, i := range sel {
			out[i] = a[i] > b[i]
		}
	case ge:
		for _, i := range sel {
			out[i] = a[i] >= b[i]
		}
	}
}

// keepConst writes every row and moves on past those that hold: no branch to
// mispredict. out may be sel's own memory, as a row is written behind the
// place it is read from.
func keepConst[T cmp.Ordered](o order, a []T, k T, sel, out []int32) []int32 {
	out = out[:len(sel)]
	n := 0
	switch o {
	case eq:
		for _, i := range sel {
			out[n] = i
			if a[i] == k {
				n++
			}
		}
	case ne:
		for _, i := range sel {
			out[n] = i
			if a[i] != k {
				n++
			}
		}
	case lt:
		for _, i := range sel {
			out[n] = i
			if a[i] < k {
				n++
			}
		}
	case le:
		for _, i := range sel {
			out[n] = i
			if a[i] <= k {
				n++
			}
		}
	case gt:
		for _, i := range sel {
			out[n] = i
			if a[i] > k {
				n++
			}
		}
	case ge:
		for _, i := range sel {
			out[n] = i
			if a[i] >= k {
				n++
			}
		}
	}
	return out[:n]
}

func keepColumns[T cmp.Ordered](o order, a, b []T, sel, out []int32) []int32 {
	out = out[:len(sel)]
	n := 0
	for _, i := range sel {
		out[n] = i
		v, w := a[i], b[i]
		var ok bool
		switch o {
		case eq:
			ok = v == w
		case ne:
			ok = v != w
		case lt:
			ok = v < w
		case le:
			ok = v <= w
		case gt:
			ok = v > w
		case ge:
			ok = v >= w
		}
		if ok {
			n++
		}
	}
	return out[:n]
}

func compareBools(o order, x, y *node) *node {
	var s scratch
	return &node{t: tBool, fails: x.fails || y.fails, eval: func(f *frame, sel []int32) *engine.Column {
		a, b := x.eval(f, sel), y.eval(f, sel)
		out := s.reset(engine.Bool, f.n)
		for _, i := range sel {
			out.Bools[i] = (a.Bools[i] == b.Bools[i]) == (o == eq)
		}
		s.nullsOf(a, sel, f.n)
		s.nullsOf(b, sel, f.n)
		return out
	}}
}

// compareMixed compares ints with doubles exactly; where a NaN takes part only
// != holds.
func compareMixed(o order, x, y *node) *node {
	n := fn2(tBool, x, y, ints, doubles, bools, func(a int64, b float64) (bool, error) {
		if b != b {
			return o == ne, nil
		}
		return o.of(compareIntDouble(a, b)), nil
	})
	n.fails = x.fails || y.fails
	return n
}

// compareIntDouble compares exactly. d is not NaN.
func compareIntDouble(i int64, d float64) int {
	const two63 = 1 << 63
	switch {
	case d >= two63:
		return -1
	case d < -two63:
		return 1
	}
	// The whole part of d fits an int64; its fraction decides where equal.
	whole := math.Trunc(d)
	if c := cmp.Compare(i, int64(whole)); c != 0 {
		return c
	}
	return cmp.Compare(whole, d)
}
