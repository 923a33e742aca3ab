package aggregate

import "math"

const varianceDoc = "The sample variance of x (divided by n - 1, as SQL's VARIANCE) over the rows where x is not null: " +
	"a double, null of fewer than two. Of ints it is exact. With NaN or an infinity among them it is NaN. " +
	"A double so far from the others that its square is beyond the range of a double makes the row an error."

func newVariance(args []Type) (Aggregate, error) {
	t, err := number("variance", args)
	if err != nil {
		return nil, err
	}
	if t == Int {
		return varianceInt{}, nil
	}
	return variance{}, nil
}

// variance is that of doubles. It keeps the count, the mean and the sum of squared distances from the
// mean (Welford); two are merged by the formula of Chan et al. Unlike sums of
// squares these lose no digits where the mean is far from zero.
//
//	│ tally │ mean │ sum of squares │     of the finite ones
type variance struct{}

func (variance) Words() int   { return 3 }
func (variance) Blobs() []int { return nil }
func (variance) Result() Type { return Double }

func (variance) Add(acc []uint64, args []Column, row int32, _ Heap) error {
	c := &args[0]
	if c.Null(row) {
		return nil
	}
	x := c.Doubles[row]
	if !finite(x) {
		acc[0] = join(acc[0], odd(x))
		return nil
	}
	mean := math.Float64frombits(acc[1])
	delta := x - mean
	mean += delta / float64(finiteOnes(acc[0])+1)
	return setMoments(acc, acc[0]+1, mean, math.Float64frombits(acc[2])+delta*(x-mean))
}

func (variance) Subtract(acc []uint64, args []Column, row int32, _ Heap) error {
	c := &args[0]
	if c.Null(row) {
		return nil
	}
	x := c.Doubles[row]
	if !finite(x) {
		return unmergeMoments(acc, odd(x), 0)
	}
	return unmergeMoments(acc, 1, x)
}

func (variance) Merge(acc, from []uint64, _ Heap) error {
	a, b := float64(finiteOnes(acc[0])), float64(finiteOnes(from[0]))
	mean, squares := math.Float64frombits(acc[1]), math.Float64frombits(acc[2])
	if b > 0 {
		delta := math.Float64frombits(from[1]) - mean
		mean += delta * (b / (a + b))
		squares += math.Float64frombits(from[2]) + delta*delta*(a*b/(a+b))
	}
	return setMoments(acc, join(acc[0], from[0]), mean, squares)
}

// noise is what rounding leaves where a sum of squares is taken from one like
// it, as a part of that: some units in the last place.
const noise = 0x1p-48

// unmergeMoments is Merge, of one value, solved for what was there before it.
func unmergeMoments(acc []uint64, t tally, x float64) error {
	mean, squares := math.Float64frombits(acc[1]), math.Float64frombits(acc[2])
	rest := part(acc[0], t)
	a, b := float64(finiteOnes(rest)), float64(finiteOnes(t))
	switch {
	case a == 0:
		mean, squares = 0, 0 // nothing is left: neither is rounding
	case b > 0:
		mean += (mean - x) * (b / a)
		left := squares - (mean-x)*(mean-x)*(a*b/(a+b))
		if a == 1 || left < noise*squares {
			left = 0 // no more than rounding left there, whose root would show
		}
		squares = left
	}
	return setMoments(acc, rest, mean, squares)
}

func setMoments(acc []uint64, t tally, mean, squares float64) error {
	if !finite(mean) || !finite(squares) {
		return ErrOverflow
	}
	acc[0], acc[1], acc[2] = t, math.Float64bits(mean), math.Float64bits(squares)
	return nil
}

func (variance) Append(acc []uint64, _ Heap, out *Column, row int32) {
	if v, ok := sampleVariance(acc); ok {
		out.setDouble(row, v)
		return
	}
	out.SetNull(row)
}

func sampleVariance(acc []uint64) (v float64, ok bool) {
	n := acc[0] & tallyAll
	if n < 2 {
		return 0, false
	}
	if _, odd := special(acc[0]); odd {
		return math.NaN(), true
	}
	return math.Float64frombits(acc[2]) / float64(n-1), true
}
