package aggregate

import "math"

const sumDoc = "The sum of x over the rows where x is not null: an int of ints, a double of doubles, null of nothing. " +
	"A sum beyond the range of its type makes the row an error. Doubles are added in the order of rows, so the last digits depend on it. " +
	"With NaN among them, or infinities of both signs, the sum is NaN."

func newSum(args []Type) (Aggregate, error) {
	t, err := number("sum", args)
	if err != nil {
		return nil, err
	}
	if t == Int {
		return sumInt{}, nil
	}
	return sumDouble{}, nil
}

// sumInt is the sum of ints, checked.
//
//	│ rows │ sum │
type sumInt struct{}

func (sumInt) Words() int   { return 2 }
func (sumInt) Blobs() []int { return nil }
func (sumInt) Result() Type { return Int }

func (sumInt) Add(acc []uint64, args []Column, row int32, _ Heap) error {
	if c := &args[0]; !c.Null(row) {
		return plusInt(acc, 1, c.Ints[row])
	}
	return nil
}

func (sumInt) Merge(acc, from []uint64, _ Heap) error {
	return plusInt(acc, from[0], int64(from[1]))
}

func (sumInt) Subtract(acc []uint64, args []Column, row int32, _ Heap) error {
	if c := &args[0]; !c.Null(row) {
		return minusInt(acc, 1, c.Ints[row])
	}
	return nil
}

func (sumInt) Unmerge(acc, from []uint64, _ Heap) error {
	return minusInt(acc, from[0], int64(from[1]))
}

func (sumInt) Append(acc []uint64, _ Heap, out *Column, row int32) {
	if acc[0] == 0 {
		out.SetNull(row)
		return
	}
	out.setInt(row, int64(acc[1]))
}

func plusInt(acc []uint64, rows uint64, v int64) error {
	s := int64(acc[1]) + v
	if (s < int64(acc[1])) != (v < 0) {
		return ErrOverflow
	}
	acc[0] += rows
	acc[1] = uint64(s)
	return nil
}

func minusInt(acc []uint64, rows uint64, v int64) error {
	s := int64(acc[1]) - v
	if (s > int64(acc[1])) != (v < 0) {
		return ErrOverflow
	}
	acc[0] -= rows
	acc[1] = uint64(s)
	return nil
}

// sumDouble is the sum of doubles in the order of rows.
//
//	│ tally │ sum of the finite ones │
type sumDouble struct{}

func (sumDouble) Words() int   { return 2 }
func (sumDouble) Blobs() []int { return nil }
func (sumDouble) Result() Type { return Double }

func (sumDouble) Add(acc []uint64, args []Column, row int32, _ Heap) error {
	c := &args[0]
	if c.Null(row) {
		return nil
	}
	return addDouble(acc, c.Doubles[row])
}

func addDouble(acc []uint64, v float64) error {
	if s := math.Float64frombits(acc[1]) + v; finite(s) {
		acc[0]++ // finite also says that v is
		acc[1] = math.Float64bits(s)
		return nil
	}
	if finite(v) {
		return ErrOverflow
	}
	acc[0] = join(acc[0], odd(v))
	return nil
}

func (sumDouble) Merge(acc, from []uint64, _ Heap) error {
	s := math.Float64frombits(acc[1]) + math.Float64frombits(from[1])
	if !finite(s) {
		return ErrOverflow
	}
	acc[0] = join(acc[0], from[0])
	acc[1] = math.Float64bits(s)
	return nil
}

func (sumDouble) Subtract(acc []uint64, args []Column, row int32, _ Heap) error {
	c := &args[0]
	if c.Null(row) {
		return nil
	}
	v := c.Doubles[row]
	if !finite(v) {
		return subDouble(acc, odd(v), 0)
	}
	return subDouble(acc, 1, v)
}

func subDouble(acc []uint64, t tally, v float64) error {
	s := math.Float64frombits(acc[1]) - v
	if !finite(s) {
		return ErrOverflow
	}
	acc[0] = part(acc[0], t)
	if finiteOnes(acc[0]) == 0 {
		s = 0 // nothing is left: neither is rounding
	}
	acc[1] = math.Float64bits(s)
	return nil
}

func (sumDouble) Append(acc []uint64, _ Heap, out *Column, row int32) {
	if acc[0] == 0 {
		out.SetNull(row)
		return
	}
	out.setDouble(row, totalDouble(acc))
}

// totalDouble is the sum, of what is not finite too.
func totalDouble(acc []uint64) float64 {
	if v, ok := special(acc[0]); ok {
		return v
	}
	return math.Float64frombits(acc[1])
}
