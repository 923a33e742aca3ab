package expr

import (
	"cmp"
	"fmt"
	"math"
)

// number checks that argument i is a number.
func (k call) number(i int) error {
	if !k.args[i].t.num() {
		return k.wrong(i)
	}
	return nil
}

func abs(_ *compiler, k call) (*node, error) {
	switch x := k.args[0]; x.t {
	case tInt:
		return fn1(tInt, x, ints, ints, func(v int64) (int64, error) {
			if v == math.MinInt64 {
				return 0, overflow(0, "-", v)
			}
			return max(v, -v), nil
		}), nil
	case tDouble:
		return safe(fn1(tDouble, x, doubles, doubles, func(v float64) (float64, error) { return math.Abs(v), nil }), x), nil
	}
	return nil, k.wrong(0)
}

// realFn makes a function of one double; one that gives an error says for which
// values it is not defined.
func realFn(f func(float64) float64, defined func(float64) bool) func(*compiler, call) (*node, error) {
	return func(_ *compiler, k call) (*node, error) {
		if err := k.number(0); err != nil {
			return nil, err
		}
		x := toDouble(k.args[0])
		n := fn1(tDouble, x, doubles, doubles, func(v float64) (float64, error) {
			if defined != nil && !defined(v) {
				return 0, fmt.Errorf("%s(%v) is not defined", k.name, v)
			}
			return f(v), nil
		})
		if defined == nil {
			safe(n, x)
		}
		return n, nil
	}
}

func positive(v float64) bool    { return !(v <= 0) }
func notNegative(v float64) bool { return !(v < 0) }

// round is round(x) or round(x, digits): halves away from zero; negative
// digits round before the point.
func round(c *compiler, k call) (*node, error) {
	if len(k.args) == 1 {
		return realFn(math.Round, nil)(c, k)
	}
	if err := k.number(0); err != nil {
		return nil, err
	}
	if k.args[1].t != tInt {
		return nil, k.wrong(1)
	}
	x := toDouble(k.args[0])
	return safe(fn2(tDouble, x, k.args[1], doubles, ints, doubles, func(v float64, digits int64) (float64, error) {
		return roundTo(v, digits), nil
	}), x, k.args[1]), nil
}

func roundTo(v float64, digits int64) float64 {
	const enough = 17 // decimal digits of a double
	if digits > 300 || math.IsNaN(v) || math.IsInf(v, 0) {
		return v
	}
	if digits < -308 {
		return 0
	}
	if digits < 0 {
		p := math.Pow10(int(-digits))
		return math.Round(v/p) * p
	}
	p := math.Pow10(int(digits))
	if math.Abs(v)*p >= math.Pow10(enough) {
		return v
	}
	return math.Round(v*p) / p
}

// div is int division, truncated like Go's and Java's.
func div(_ *compiler, k call) (*node, error) {
	for i := range k.args {
		if k.args[i].t != tInt {
			return nil, k.wrong(i)
		}
	}
	return fn2(tInt, k.args[0], k.args[1], ints, ints, ints, func(a, b int64) (int64, error) {
		switch {
		case b == 0:
			return 0, errDivision
		case b == -1 && a == math.MinInt64:
			return 0, overflow(a, "/", b)
		}
		return a / b, nil
	}), nil
}

// least and greatest are min and max, of arguments or of one list; of an empty
// list null.
func least(c *compiler, k call) (*node, error)    { return extreme(c, k, -1) }
func greatest(c *compiler, k call) (*node, error) { return extreme(c, k, 1) }

func extreme(_ *compiler, k call, sign int) (*node, error) {
	if x := k.args[0]; len(k.args) == 1 && x.t.list() {
		return extremeOf(k, sign)
	}
	t := k.args[0].t
	for i, x := range k.args {
		u, ok := unify(t, x.t)
		if !ok {
			return nil, x.at.errorf("", "%s() does not compare %s with %s", k.name, t, x.t)
		}
		if t = u; !t.num() && t != tTimestamp && t != tString {
			return nil, k.wrong(i)
		}
	}
	out := k.args[0]
	for _, y := range k.args[1:] {
		out = extremeOfTwo(t, out, y, sign)
	}
	if len(k.args) == 1 {
		return out, nil
	}
	return safe(out, k.args...), nil
}

func extremeOfTwo(t typ, x, y *node, sign int) *node {
	switch t {
	case tInt, tTimestamp:
		return fn2(t, x, y, ints, ints, ints, pick[int64](sign))
	case tString:
		return fn2(t, x, y, strs, strs, strs, pick[string](sign))
	}
	return fn2(t, toDouble(x), toDouble(y), doubles, doubles, doubles, pick[float64](sign))
}

func pick[T cmp.Ordered](sign int) func(a, b T) (T, error) {
	return func(a, b T) (T, error) {
		if cmp.Compare(b, a)*sign > 0 {
			return b, nil
		}
		return a, nil
	}
}

// logarithm is log(x), natural, or log(x, base).
func logarithm(c *compiler, k call) (*node, error) {
	if len(k.args) == 1 {
		return realFn(math.Log, positive)(c, k)
	}
	for i := range k.args {
		if err := k.number(i); err != nil {
			return nil, err
		}
	}
	return fn2(tDouble, toDouble(k.args[0]), toDouble(k.args[1]), doubles, doubles, doubles, func(v, base float64) (float64, error) {
		if !positive(v) || !positive(base) || base == 1 {
			return 0, fmt.Errorf("log(%v, %v) is not defined", v, base)
		}
		switch base {
		case 2:
			return math.Log2(v), nil
		case 10:
			return math.Log10(v), nil
		}
		return math.Log(v) / math.Log(base), nil
	}), nil
}
