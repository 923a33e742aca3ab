package aggregate

import (
	"math"
	"math/bits"
)

const avgDoc = "The average of x over the rows where x is not null: a double, null of nothing. " +
	"Ints are summed exactly, doubles in the order of rows; a sum beyond the range of a double makes the row an error. " +
	"With NaN among them, or infinities of both signs, it is NaN."

func newAvg(args []Type) (Aggregate, error) {
	t, err := number("avg", args)
	if err != nil {
		return nil, err
	}
	if t == Int {
		return avgInt{}, nil
	}
	return avgDouble{}, nil
}

// avgDouble shares the accumulator of sumDouble.
type avgDouble struct{ sumDouble }

func (avgDouble) Append(acc []uint64, _ Heap, out *Column, row int32) {
	if acc[0] == 0 {
		out.SetNull(row)
		return
	}
	out.setDouble(row, totalDouble(acc)/float64(acc[0]&tallyAll))
}

// avgInt is the average of ints, with a sum of 128 bits: exact in any order,
// and no count of rows makes it overflow.
//
//	│ rows │ low word of the sum │ high word │
type avgInt struct{}

func (avgInt) Words() int   { return 3 }
func (avgInt) Blobs() []int { return nil }
func (avgInt) Result() Type { return Double }

func (avgInt) Add(acc []uint64, args []Column, row int32, _ Heap) error {
	if c := &args[0]; !c.Null(row) {
		lo, hi := wide(c.Ints[row])
		plusWide(acc, 1, lo, hi)
	}
	return nil
}

func (avgInt) Merge(acc, from []uint64, _ Heap) error {
	plusWide(acc, from[0], from[1], from[2])
	return nil
}

func (avgInt) Subtract(acc []uint64, args []Column, row int32, _ Heap) error {
	if c := &args[0]; !c.Null(row) {
		lo, hi := wide(c.Ints[row])
		minusWide(acc, 1, lo, hi)
	}
	return nil
}

func (avgInt) Unmerge(acc, from []uint64, _ Heap) error {
	minusWide(acc, from[0], from[1], from[2])
	return nil
}

func (avgInt) Append(acc []uint64, _ Heap, out *Column, row int32) {
	if acc[0] == 0 {
		out.SetNull(row)
		return
	}
	lo, hi, sign := acc[1], acc[2], 1.0
	if int64(hi) < 0 {
		var borrow uint64
		lo, borrow = bits.Sub64(0, lo, 0)
		hi, _ = bits.Sub64(0, hi, borrow)
		sign = -1
	}
	out.setDouble(row, sign*(math.Ldexp(float64(hi), 64)+float64(lo))/float64(acc[0]))
}

// wide extends the sign of v to 128 bits.
func wide(v int64) (lo, hi uint64) { return uint64(v), uint64(v >> 63) }

func plusWide(acc []uint64, rows, lo, hi uint64) {
	var carry uint64
	acc[0] += rows
	acc[1], carry = bits.Add64(acc[1], lo, 0)
	acc[2], _ = bits.Add64(acc[2], hi, carry)
}

func minusWide(acc []uint64, rows, lo, hi uint64) {
	var borrow uint64
	acc[0] -= rows
	acc[1], borrow = bits.Sub64(acc[1], lo, 0)
	acc[2], _ = bits.Sub64(acc[2], hi, borrow)
}
