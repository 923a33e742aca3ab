package expr

import "fmt"

// bitwise makes a function of the bits of two ints.
func bitwise(do func(a, b int64) int64) func(*compiler, call) (*node, error) {
	return shiftable(func(a, b int64) (int64, error) { return do(a, b), nil })
}

// shifts makes a function that moves bits; by less than nothing is an error.
func shifts(do func(a int64, by uint64) int64) func(*compiler, call) (*node, error) {
	return shiftable(func(a, by int64) (int64, error) {
		if by < 0 {
			return 0, fmt.Errorf("a shift by %d bits", by)
		}
		return do(a, uint64(by)), nil
	})
}

func shiftable(do func(a, b int64) (int64, error)) func(*compiler, call) (*node, error) {
	return func(_ *compiler, k call) (*node, error) {
		for i, a := range k.args {
			if a.t != tInt {
				return nil, k.wrong(i)
			}
		}
		return fn2(tInt, k.args[0], k.args[1], ints, ints, ints, do), nil
	}
}

func bitNot(_ *compiler, k call) (*node, error) {
	if k.args[0].t != tInt {
		return nil, k.wrong(0)
	}
	return safe(fn1(tInt, k.args[0], ints, ints, func(a int64) (int64, error) { return ^a, nil }), k.args[0]), nil
}
