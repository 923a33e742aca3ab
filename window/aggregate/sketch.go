package aggregate

import (
	"math"

	"github.com/DataDog/sketches-go/ddsketch/mapping"
)

// sketch is a DDSketch: how many values fell into each of the bins, whose
// bounds are 2% apart. It is what quantile, median and histogram share. Bins
// are kept in the order of values, only those that have any; of more than
// sketchBins those nearest to 0 count as 0. So the same values give the same
// bytes in whatever order they came. (The library's own store collapses the
// lowest bins of each sign, and holds a float for every bin between two.)
//
//	accumulator  │ rows │ form, bins │ reference │
//	bin          │ key u32 │ count u64 │
//	key          0: -Inf … negative bins … sketchZero: 0 … positive bins … +Inf, NaN
type sketch struct{ ints bool }

const (
	sketchAccuracy = 0.01
	sketchBins     = 2048
	binBytes       = 12

	sketchZero = 1 << 31
	// The library's numbers of bins are from -35418 to 35488: doubles have no
	// more at this accuracy. This makes them positive.
	sketchShift = 1 << 20
	sketchInf   = math.MaxUint32 - 1
	sketchNaN   = math.MaxUint32

	// The form of the bins, in the highest byte. A change of the encoding gets
	// a new number.
	sketchForm  = 1 << 56
	sketchCount = 1<<56 - 1
)

// bins gives doubles their bins: │ln(x)/ln(1.0202)│, with no state of its own.
var bins = newBins()

func newBins() *mapping.LogarithmicMapping {
	m, err := mapping.NewLogarithmicMapping(sketchAccuracy)
	if err != nil {
		panic(err) // the accuracy is a constant between 0 and 1
	}
	return m
}

func newSketch(name string, args []Type) (sketch, error) {
	t, err := number(name, args)
	return sketch{ints: t == Int}, err
}

func (sketch) Words() int   { return 3 }
func (sketch) Blobs() []int { return blobAt2 }

func (s sketch) key(c *Column, row int32) uint32 {
	if s.ints {
		return binKey(float64(c.Ints[row]))
	}
	return binKey(c.Doubles[row])
}

func binKey(v float64) uint32 {
	switch {
	case v != v:
		return sketchNaN
	case v > math.MaxFloat64:
		return sketchInf
	case v < -math.MaxFloat64:
		return 0
	case v > bins.MinIndexableValue():
		return sketchZero + sketchShift + uint32(bins.Index(min(v, bins.MaxIndexableValue())))
	case v < -bins.MinIndexableValue():
		return sketchZero - sketchShift - uint32(bins.Index(min(-v, bins.MaxIndexableValue())))
	}
	return sketchZero
}

// binValue is a value within 1% of all that are in a bin.
func binValue(key uint32) float64 {
	switch {
	case key == 0:
		return math.Inf(-1)
	case key == sketchInf:
		return math.Inf(1)
	case key == sketchNaN:
		return math.NaN()
	case key > sketchZero:
		return bins.Value(int(key) - sketchZero - sketchShift)
	case key < sketchZero:
		return -bins.Value(sketchZero - sketchShift - int(key))
	}
	return 0
}

// binBound is the upper bound of a bin.
func binBound(key uint32) float64 {
	switch {
	case key > sketchZero && key < sketchInf:
		return min(bins.LowerBound(int(key)-sketchZero-sketchShift+1), math.MaxFloat64)
	case key < sketchZero && key > 0:
		return -bins.LowerBound(sketchZero - sketchShift - int(key))
	}
	return binValue(key)
}

func (s sketch) Add(acc []uint64, args []Column, row int32, h Heap) error {
	x := &args[0]
	if x.Null(row) {
		return nil
	}
	acc[0]++
	key := s.key(x, row)
	b, n := get(h, acc[2]), int(acc[1]&sketchCount)
	at := searchBin(b, n, key)
	if at < n && le.Uint32(b[binBytes*at:]) == key {
		acc[2], b = edit(h, acc[2], len(b))
		plusBin(b, at, 1)
		return nil
	}
	acc[2], b = edit(h, acc[2], max(room(binBytes*(n+1)), len(b)))
	copy(b[binBytes*(at+1):], b[binBytes*at:binBytes*n])
	setBin(b, at, key, 1)
	acc[1] = sketchForm | uint64(shrink(b, n+1))
	return nil
}

// shrink brings n bins down to sketchBins, that of 0 among them: those nearest
// to 0 go into it.
func shrink(b []byte, n int) int {
	for n >= sketchBins {
		zero := searchBin(b, n, sketchZero)
		behind := zero
		if zero < n && le.Uint32(b[binBytes*zero:]) == sketchZero {
			behind++
		}
		if n-(behind-zero) < sketchBins {
			break
		}
		at := behind
		if zero > 0 && (behind == n || sketchZero-le.Uint32(b[binBytes*(zero-1):]) <= le.Uint32(b[binBytes*behind:])-sketchZero) {
			at = zero - 1
		}
		if behind == zero {
			le.PutUint32(b[binBytes*at:], sketchZero)
			continue
		}
		plusBin(b, zero, le.Uint64(b[binBytes*at+4:]))
		n = cutBin(b, at, n)
	}
	return n
}

// cutBin takes a bin out.
func cutBin(b []byte, at, n int) int {
	copy(b[binBytes*at:], b[binBytes*(at+1):binBytes*n])
	clear(b[binBytes*(n-1) : binBytes*n])
	return n - 1
}

func setBin(b []byte, at int, key uint32, count uint64) {
	le.PutUint32(b[binBytes*at:], key)
	le.PutUint64(b[binBytes*at+4:], count)
}

func plusBin(b []byte, at int, n uint64) {
	le.PutUint64(b[binBytes*at+4:], le.Uint64(b[binBytes*at+4:])+n)
}

// searchBin finds the first of n bins whose key is not less.
func searchBin(b []byte, n int, key uint32) int {
	lo, hi := 0, n
	for lo < hi {
		mid := (lo + hi) / 2
		if le.Uint32(b[binBytes*mid:]) < key {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

// Merge is of two lists in order, from the end on.
func (sketch) Merge(acc, from []uint64, h Heap) error {
	n, m := int(acc[1]&sketchCount), int(from[1]&sketchCount)
	if m == 0 {
		return nil
	}
	ref, b := edit(h, acc[2], max(room(binBytes*(n+m)), len(get(h, acc[2]))))
	other := get(h, from[2])
	i, j, into := n, m, n+m
	for j > 0 {
		y, count := le.Uint32(other[binBytes*(j-1):]), le.Uint64(other[binBytes*(j-1)+4:])
		if i > 0 {
			x := le.Uint32(b[binBytes*(i-1):])
			if x >= y {
				i--
				into--
				copy(b[binBytes*into:], b[binBytes*i:binBytes*(i+1)])
				if x == y {
					j--
					plusBin(b, into, count)
				}
				continue
			}
		}
		j--
		into--
		setBin(b, into, y, count)
	}
	// What is left of acc's own is in place; equal ones left a gap behind it.
	copy(b[binBytes*i:], b[binBytes*into:binBytes*(n+m)])
	total := i + n + m - into
	clear(b[binBytes*total : binBytes*(n+m)])
	acc[0] += from[0]
	acc[1], acc[2] = sketchForm|uint64(shrink(b, total)), ref
	return nil
}

func (s sketch) Subtract(acc []uint64, args []Column, row int32, h Heap) error {
	if x := &args[0]; !x.Null(row) {
		takeBin(acc, s.key(x, row), h)
	}
	return nil
}

// takeBin takes a value out of its bin, or out of that of 0 where it has none:
// it has gone into that.
func takeBin(acc []uint64, key uint32, h Heap) {
	for _, key := range [2]uint32{key, sketchZero} {
		b, n := get(h, acc[2]), int(acc[1]&sketchCount)
		at := searchBin(b, n, key)
		if at == n || le.Uint32(b[binBytes*at:]) != key {
			continue
		}
		have := le.Uint64(b[binBytes*at+4:])
		acc[0]--
		if have == 1 && n == 1 {
			drop(h, acc[2])
			clear(acc[:3])
			return
		}
		acc[2], b = edit(h, acc[2], len(b))
		if have == 1 {
			acc[1] = sketchForm | uint64(cutBin(b, at, n))
		} else {
			le.PutUint64(b[binBytes*at+4:], have-1)
		}
		return
	}
}

// quantile is the value that stands at q of the way from the first to the last
// in order; ok is false of nothing.
func (sketch) quantile(acc []uint64, q float64, h Heap) (v float64, ok bool) {
	n := int(acc[1] & sketchCount)
	if n == 0 {
		return 0, false
	}
	rank := uint64(float64(q * float64(acc[0]-1)))
	b, below := h.Get(acc[2]), uint64(0)
	k := 0
	for ; k < n-1; k++ {
		if below += le.Uint64(b[binBytes*k+4:]); below > rank {
			break
		}
	}
	return binValue(le.Uint32(b[binBytes*k:])), true
}

func (s sketch) appendQuantile(acc []uint64, q float64, h Heap, out *Column, row int32) {
	v, ok := s.quantile(acc, q, h)
	if !ok {
		out.SetNull(row)
		return
	}
	out.setDouble(row, v)
}
