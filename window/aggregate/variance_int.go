package aggregate

import (
	"math"
	"math/bits"
)

// varianceInt is the variance of ints, exact in any order and after anything
// was taken back: the sums of x and of x² are kept whole.
//
//	│ rows │ sum: 2 words, low first │ sum of squares: 3 words │
//
// n(n-1)·variance = n·Σx² - (Σx)²: 256 bits hold both sides.
type varianceInt struct{}

func (varianceInt) Words() int   { return 6 }
func (varianceInt) Blobs() []int { return nil }
func (varianceInt) Result() Type { return Double }

// Layout: 1 had the words of variance.
func (varianceInt) Layout() int { return 2 }

func (varianceInt) Add(acc []uint64, args []Column, row int32, _ Heap) error {
	if c := &args[0]; !c.Null(row) {
		one := squareWide(c.Ints[row])
		plusSquares(acc, one[:])
	}
	return nil
}

func (varianceInt) Merge(acc, from []uint64, _ Heap) error {
	plusSquares(acc, from)
	return nil
}

func (varianceInt) Subtract(acc []uint64, args []Column, row int32, _ Heap) error {
	if c := &args[0]; !c.Null(row) {
		one := squareWide(c.Ints[row])
		minusSquares(acc, one[:])
	}
	return nil
}

func (varianceInt) Unmerge(acc, from []uint64, _ Heap) error {
	minusSquares(acc, from)
	return nil
}

func (varianceInt) Append(acc []uint64, _ Heap, out *Column, row int32) {
	if v, ok := exactVariance(acc); ok {
		out.setDouble(row, v)
		return
	}
	out.SetNull(row)
}

// stddevInt is the square root of varianceInt, on the same accumulator.
type stddevInt struct{ varianceInt }

func (stddevInt) Append(acc []uint64, _ Heap, out *Column, row int32) {
	if v, ok := exactVariance(acc); ok {
		out.setDouble(row, math.Sqrt(v))
		return
	}
	out.SetNull(row)
}

// squareWide is the accumulator of one row.
func squareWide(v int64) (acc [6]uint64) {
	lo, hi := wide(v)
	size := magnitude(lo, hi)[0]
	acc = [6]uint64{1, lo, hi}
	acc[4], acc[3] = bits.Mul64(size, size)
	return acc
}

func plusSquares(acc, from []uint64) {
	var carry uint64
	plusWide(acc, from[0], from[1], from[2])
	acc[3], carry = bits.Add64(acc[3], from[3], 0)
	acc[4], carry = bits.Add64(acc[4], from[4], carry)
	acc[5], _ = bits.Add64(acc[5], from[5], carry)
}

func minusSquares(acc, from []uint64) {
	var borrow uint64
	minusWide(acc, from[0], from[1], from[2])
	acc[3], borrow = bits.Sub64(acc[3], from[3], 0)
	acc[4], borrow = bits.Sub64(acc[4], from[4], borrow)
	acc[5], _ = bits.Sub64(acc[5], from[5], borrow)
}

// magnitude is the size of a signed number of 128 bits, low word first.
func magnitude(lo, hi uint64) [2]uint64 {
	if int64(hi) < 0 {
		var borrow uint64
		lo, borrow = bits.Sub64(0, lo, 0)
		hi, _ = bits.Sub64(0, hi, borrow)
	}
	return [2]uint64{lo, hi}
}

func exactVariance(acc []uint64) (v float64, ok bool) {
	n := acc[0]
	if n < 2 {
		return 0, false
	}
	sum := magnitude(acc[1], acc[2])
	all, square := product([]uint64{n}, acc[3:6]), product(sum[:], sum[:])
	var borrow uint64
	for i := range all {
		all[i], borrow = bits.Sub64(all[i], square[i], borrow)
	}
	for i := len(all) - 1; i >= 0; i-- {
		v += math.Ldexp(float64(all[i]), 64*i)
	}
	return v / float64(n) / float64(n-1), true
}

// product multiplies two numbers, low words first, that together have at most
// 256 bits.
func product(a, b []uint64) (p [4]uint64) {
	for i, x := range a {
		var over uint64
		for k, y := range b {
			hi, lo := bits.Mul64(x, y)
			var carry uint64
			lo, carry = bits.Add64(lo, over, 0)
			hi += carry
			p[i+k], carry = bits.Add64(p[i+k], lo, 0)
			over = hi + carry
		}
		if top := i + len(b); top < len(p) {
			p[top] = over
		}
	}
	return p
}
