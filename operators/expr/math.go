package expr

import "math"

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
