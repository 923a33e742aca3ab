package aggregate

import "math"

const stddevDoc = "The sample standard deviation of x (divided by n - 1, as SQL's STDDEV) over the rows where x is not null: " +
	"a double, null of fewer than two. Of ints its square is exact. With NaN or an infinity among them it is NaN. " +
	"A double so far from the others that its square is beyond the range of a double makes the row an error."

func newStddev(args []Type) (Aggregate, error) {
	t, err := number("stddev", args)
	if err != nil {
		return nil, err
	}
	if t == Int {
		return stddevInt{}, nil
	}
	return stddev{}, nil
}

// stddev is the square root of variance, on the same accumulator.
type stddev struct{ variance }

func (stddev) Append(acc []uint64, _ Heap, out *Column, row int32) {
	if v, ok := sampleVariance(acc); ok {
		out.setDouble(row, math.Sqrt(v))
		return
	}
	out.SetNull(row)
}
