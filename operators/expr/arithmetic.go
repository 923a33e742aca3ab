package expr

import (
	"errors"
	"fmt"
	"math"
	"math/bits"

	"github.com/leatstream/leat/engine"
)

var errDivision = errors.New("division by zero")

func overflow(a int64, op string, b int64) error {
	return fmt.Errorf("int overflow: %d %s %d", a, op, b)
}

func addInts(a, b int64) (int64, bool) {
	c := a + b
	return c, (a^c)&(b^c) >= 0
}

func subInts(a, b int64) (int64, bool) {
	c := a - b
	return c, (a^b)&(a^c) >= 0
}

func mulInts(a, b int64) (int64, bool) {
	if int64(int32(a)) == a && int64(int32(b)) == b {
		return a * b, true
	}
	hi, lo := bits.Mul64(uint64(a), uint64(b))
	// The signed high word: the unsigned one less the other side for each sign.
	h := int64(hi) - (a>>63)&b - (b>>63)&a
	return int64(lo), h == int64(lo)>>63
}

var intOps = map[string]func(a, b int64) (int64, bool){"+": addInts, "-": subInts, "*": mulInts}

func (c *compiler) arithmetic(op string, x, y *node, at span) (*node, error) {
	if op == "^" {
		op = "**"
	}
	if x.t.null() || y.t.null() {
		return constant(Value{}), nil
	}
	ts := engine.Timestamp
	switch {
	case x.t.num() && y.t.num():
		return numbers(op, x, y, at)
	case op == "+" && x.t == tString && y.t == tString:
		return concat(x, y), nil
	case op == "-" && x.t.k == ts && y.t.k == ts:
		return checked(tInt, op, x, y), nil
	case (op == "-" || op == "+") && x.t.k == ts && y.t == tInt, op == "+" && x.t == tInt && y.t.k == ts:
		return checked(tTimestamp, op, x, y), nil
	}
	hint := ""
	switch {
	case op == "+" && (x.t == tString || y.t == tString):
		hint = "string(x) makes text"
	case x.t == tString || y.t == tString:
		hint = "int(s) and float(s) make numbers"
	case x.t.any() || y.t.any():
		hint = "int(x), float(x) and string(x) convert"
	}
	return nil, at.errorf(hint, "%s does not take %s and %s", op, x.t, y.t)
}

func numbers(op string, x, y *node, at span) (*node, error) {
	bothInt := x.t == tInt && y.t == tInt
	switch op {
	case "+", "-", "*":
		if bothInt {
			return checked(tInt, op, x, y), nil
		}
		return float(op, x, y), nil
	case "%":
		if !bothInt {
			return nil, at.errorf("", "%% needs ints, not %s and %s", x.t, y.t)
		}
		return fn2(tInt, x, y, ints, ints, ints, func(a, b int64) (int64, error) {
			switch b {
			case 0:
				return 0, errDivision
			case -1:
				return 0, nil
			}
			return a % b, nil
		}), nil
	case "/":
		return fn2(tDouble, toDouble(x), toDouble(y), doubles, doubles, doubles, func(a, b float64) (float64, error) {
			if b == 0 {
				return 0, errDivision
			}
			return a / b, nil
		}), nil
	}
	n := fn2(tDouble, toDouble(x), toDouble(y), doubles, doubles, doubles, func(a, b float64) (float64, error) {
		return math.Pow(a, b), nil
	})
	n.fails = x.fails || y.fails
	return n, nil
}

// checked is + - * of ints (and timestamps), an error where it overflows.
func checked(t typ, op string, x, y *node) *node {
	var s scratch
	do := intOps[op]
	return &node{t: t, fails: true, eval: func(f *frame, sel []int32) *engine.Column {
		a, b := x.eval(f, sel), y.eval(f, sel)
		out := s.reset(t.k, f.n)
		av, bv, cv := a.Ints, b.Ints, out.Ints
		ok := true
		switch op {
		case "+":
			for _, i := range sel {
				v, fits := addInts(av[i], bv[i])
				cv[i] = v
				ok = ok && fits
			}
		case "-":
			for _, i := range sel {
				v, fits := subInts(av[i], bv[i])
				cv[i] = v
				ok = ok && fits
			}
		case "*":
			for _, i := range sel {
				v, fits := mulInts(av[i], bv[i])
				cv[i] = v
				ok = ok && fits
			}
		}
		s.nullsOf(a, sel, f.n)
		s.nullsOf(b, sel, f.n)
		if ok {
			return out
		}
		for _, i := range sel { // rare: find out which
			if _, fits := do(av[i], bv[i]); !fits && !out.Null(i) {
				s.failed(f, i, overflow(av[i], op, bv[i]))
			}
		}
		return out
	}}
}

// float is + - * of doubles.
func float(op string, x, y *node) *node {
	x, y = toDouble(x), toDouble(y)
	var s scratch
	return &node{t: tDouble, fails: x.fails || y.fails, eval: func(f *frame, sel []int32) *engine.Column {
		a, b := x.eval(f, sel), y.eval(f, sel)
		out := s.reset(engine.Double, f.n)
		av, bv, cv := a.Doubles, b.Doubles, out.Doubles
		switch op {
		case "+":
			for _, i := range sel {
				cv[i] = av[i] + bv[i]
			}
		case "-":
			for _, i := range sel {
				cv[i] = av[i] - bv[i]
			}
		case "*":
			for _, i := range sel {
				cv[i] = av[i] * bv[i]
			}
		}
		s.nullsOf(a, sel, f.n)
		s.nullsOf(b, sel, f.n)
		return out
	}}
}

// toDouble makes an int a double.
func toDouble(x *node) *node {
	if x.t != tInt {
		return x
	}
	if x.konst != nil {
		return constant(DoubleValue(float64(x.konst.num)))
	}
	var s scratch
	return &node{at: x.at, t: tDouble, fails: x.fails, eval: func(f *frame, sel []int32) *engine.Column {
		a := x.eval(f, sel)
		out := s.reset(engine.Double, f.n)
		for _, i := range sel {
			out.Doubles[i] = float64(a.Ints[i])
		}
		s.nullsOf(a, sel, f.n)
		return out
	}}
}

func (c *compiler) negate(x *node, at span) (*node, error) {
	switch x.t {
	case tNull:
		return constant(Value{}), nil
	case tInt:
		return fold(fn1(tInt, x, ints, ints, func(v int64) (int64, error) {
			if v == math.MinInt64 {
				return 0, overflow(0, "-", v)
			}
			return -v, nil
		}), x), nil
	case tDouble:
		n := fn1(tDouble, x, doubles, doubles, func(v float64) (float64, error) { return -v, nil })
		n.fails = x.fails
		return fold(n, x), nil
	}
	return nil, at.errorf("", "- needs a number, not %s", x.t)
}
