package aggregate

import (
	"bytes"
	"fmt"
	"math"
)

// min and max of fixed-width values are the greatest rank: an uint64 in the
// order of the values, with all bits flipped for min. So an accumulator of
// zeros is below everything, and folding is one comparison.

// rankInt orders ints and timestamps.
func rankInt(v int64) uint64   { return uint64(v) ^ 1<<63 }
func unrankInt(r uint64) int64 { return int64(r ^ 1<<63) }

// rankDouble orders doubles: -Inf … -0, 0 … +Inf, NaN. All NaN are one. No
// rank is all zeros or all ones, as only other NaNs would have these.
func rankDouble(v float64) uint64 {
	if v != v {
		return math.Float64bits(math.NaN()) | 1<<63
	}
	b := math.Float64bits(v)
	if b>>63 != 0 {
		return ^b
	}
	return b | 1<<63
}

func unrankDouble(r uint64) float64 {
	if r>>63 != 0 {
		return math.Float64frombits(r &^ (1 << 63))
	}
	return math.Float64frombits(^r)
}

// rankBool orders false before true; neither rank is all zeros or all ones.
func rankBool(v bool) uint64 {
	if v {
		return 2
	}
	return 1
}

// newExtreme makes min (flip is all ones) or max (flip is 0).
func newExtreme(name string, args []Type, flip uint64) (Aggregate, error) {
	t, err := one(name, args)
	if err != nil {
		return nil, err
	}
	switch t {
	case Int, Timestamp:
		return extremeInt{t, flip}, nil
	case Double:
		return extremeDouble{greatest{flip}}, nil
	case Bool:
		return extremeBool{greatest{flip}}, nil
	case Any:
		return nil, fmt.Errorf("%s needs values that have an order, not any: convert them, as in %s(float(x))", name, name)
	}
	return extremeStr{t, flip != 0}, nil
}

// extremeInt is of ints and timestamps, where every rank is a value.
//
//	│ 1 if there is one │ rank │
type extremeInt struct {
	t    Type
	flip uint64
}

func (extremeInt) Words() int     { return 2 }
func (extremeInt) Blobs() []int   { return nil }
func (e extremeInt) Result() Type { return e.t }

func (e extremeInt) Add(acc []uint64, args []Column, row int32, _ Heap) error {
	if c := &args[0]; !c.Null(row) {
		acc[0] = 1
		acc[1] = max(acc[1], rankInt(c.Ints[row])^e.flip)
	}
	return nil
}

func (extremeInt) Merge(acc, from []uint64, _ Heap) error {
	acc[0] |= from[0]
	acc[1] = max(acc[1], from[1])
	return nil
}

func (e extremeInt) Append(acc []uint64, _ Heap, out *Column, row int32) {
	if acc[0] == 0 {
		out.SetNull(row)
		return
	}
	out.setInt(row, unrankInt(acc[1]^e.flip))
}

// greatest is what doubles and bools share: a rank of 0 is none.
//
//	│ rank │
type greatest struct{ flip uint64 }

func (greatest) Words() int   { return 1 }
func (greatest) Blobs() []int { return nil }

func (greatest) Merge(acc, from []uint64, _ Heap) error {
	acc[0] = max(acc[0], from[0])
	return nil
}

type extremeDouble struct{ greatest }

func (extremeDouble) Result() Type { return Double }

func (e extremeDouble) Add(acc []uint64, args []Column, row int32, _ Heap) error {
	if c := &args[0]; !c.Null(row) {
		acc[0] = max(acc[0], rankDouble(c.Doubles[row])^e.flip)
	}
	return nil
}

func (e extremeDouble) Append(acc []uint64, _ Heap, out *Column, row int32) {
	if acc[0] == 0 {
		out.SetNull(row)
		return
	}
	out.setDouble(row, unrankDouble(acc[0]^e.flip))
}

type extremeBool struct{ greatest }

func (extremeBool) Result() Type { return Bool }

func (e extremeBool) Add(acc []uint64, args []Column, row int32, _ Heap) error {
	if c := &args[0]; !c.Null(row) {
		acc[0] = max(acc[0], rankBool(c.Bools[row])^e.flip)
	}
	return nil
}

func (e extremeBool) Append(acc []uint64, _ Heap, out *Column, row int32) {
	if acc[0] == 0 {
		out.SetNull(row)
		return
	}
	out.setBool(row, acc[0]^e.flip == rankBool(true))
}

// extremeStr is of strings and bytes, compared byte by byte.
//
//	│ 1 if there is one │ reference │
type extremeStr struct {
	t     Type
	least bool
}

func (extremeStr) Words() int     { return 2 }
func (extremeStr) Blobs() []int   { return blobAt1 }
func (e extremeStr) Result() Type { return e.t }

func (e extremeStr) Add(acc []uint64, args []Column, row int32, h Heap) error {
	if c := &args[0]; !c.Null(row) {
		e.fold(acc, bytesOf(c.Strs[row]), h)
	}
	return nil
}

func (e extremeStr) Merge(acc, from []uint64, h Heap) error {
	if from[0] != 0 {
		e.fold(acc, get(h, from[1]), h)
	}
	return nil
}

func (e extremeStr) fold(acc []uint64, b []byte, h Heap) {
	if acc[0] != 0 {
		if c := bytes.Compare(b, get(h, acc[1])); c == 0 || (c < 0) != e.least {
			return
		}
	}
	keep(acc, b, h)
}

func (extremeStr) Append(acc []uint64, h Heap, out *Column, row int32) { appendStr(acc, h, out, row) }
