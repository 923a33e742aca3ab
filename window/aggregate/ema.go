package aggregate

import (
	"errors"
	"math"
)

const emaDoc = "The average of x where a row's weight halves with every half_life of event time that the newest row is ahead of it: a double, null of nothing. " +
	"The order of arrival does not matter, and equal times weigh the same. With NaN among them, or infinities of both signs, it is NaN. " +
	"A sum beyond the range of a double makes the row an error."

var emaParams = []Param{{Name: "half_life", Type: Timestamp, Doc: "how much older a row is when it weighs half: a duration above 0"}}

func newEma(args []Type, params []Value) (Aggregate, error) {
	t, err := number("ema", args)
	if err != nil {
		return nil, err
	}
	v, ok := constant(emaParams[0], params, 0)
	if !ok || v.Int <= 0 || len(params) > 1 {
		return nil, errors.New("ema takes x and a half_life, a duration above 0, as in ema(price, 30s)")
	}
	return ema{ints: t == Int, halfLife: float64(v.Int)}, nil
}

// ema keeps sums as of the time of the newest row, which weighs 1.
//
//	│ tally │ newest time │ sum of weights times x │ sum of weights │     of the finite ones
type ema struct {
	ints     bool
	halfLife float64 // ms
}

func (ema) Words() int   { return 4 }
func (ema) Blobs() []int { return nil }
func (ema) Result() Type { return Double }

func (e ema) Add(acc []uint64, args []Column, row int32, _ Heap) error {
	x, at := &args[0], &args[1]
	if x.Null(row) || at.Null(row) {
		return nil
	}
	v := 0.0
	if e.ints {
		v = float64(x.Ints[row])
	} else {
		v = x.Doubles[row]
	}
	if !finite(v) {
		acc[0] = join(acc[0], odd(v))
		return nil
	}
	return e.join(acc, 1, at.Ints[row], v, 1)
}

func (e ema) Merge(acc, from []uint64, _ Heap) error {
	if finiteOnes(from[0]) == 0 {
		acc[0] = join(acc[0], from[0])
		return nil
	}
	return e.join(acc, from[0], int64(from[1]), math.Float64frombits(from[2]), math.Float64frombits(from[3]))
}

// join adds sums as of the time at.
func (e ema) join(acc []uint64, t tally, at int64, sum, weight float64) error {
	sum0, weight0 := math.Float64frombits(acc[2]), math.Float64frombits(acc[3])
	newest := int64(acc[1])
	switch {
	case weight0 == 0:
		newest = at
	case at > newest:
		fade := e.fade(newest, at)
		sum0, weight0, newest = sum0*fade, weight0*fade, at
	default:
		fade := e.fade(at, newest)
		sum, weight = sum*fade, weight*fade
	}
	if sum += sum0; !finite(sum) {
		return ErrOverflow
	}
	acc[0] = join(acc[0], t)
	acc[1], acc[2], acc[3] = uint64(newest), math.Float64bits(sum), math.Float64bits(weight+weight0)
	return nil
}

// fade is what is left of a weight from one time to a later one.
func (e ema) fade(from, to int64) float64 {
	return math.Exp2((float64(from) - float64(to)) / e.halfLife)
}

func (ema) Append(acc []uint64, _ Heap, out *Column, row int32) {
	if acc[0] == 0 {
		out.SetNull(row)
		return
	}
	v, ok := special(acc[0])
	if !ok {
		v = math.Float64frombits(acc[2]) / math.Float64frombits(acc[3])
	}
	out.setDouble(row, v)
}
