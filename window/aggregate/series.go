package aggregate

import "math"

// series is a span of numbers in the order of event time: what delta, increase
// and rate share. It keeps both ends of the span and the increase between
// them, so a row that falls between others cannot be counted any more.
//
//	│ rows │ first time │ first value │ last time │ last value │ increase │
type series struct{ ints bool }

const (
	seriesRows = iota
	seriesFrom
	seriesFirst
	seriesTo
	seriesLast
	seriesSum
	seriesWords
)

func newSeries(name string, args []Type) (series, error) {
	t, err := number(name, args)
	return series{ints: t == Int}, err
}

func (series) Words() int   { return seriesWords }
func (series) Blobs() []int { return nil }

func (s series) Result() Type {
	if s.ints {
		return Int
	}
	return Double
}

func (s series) Add(acc []uint64, args []Column, row int32, _ Heap) error {
	x, at := &args[0], &args[1]
	if x.Null(row) || at.Null(row) {
		return nil
	}
	var one [seriesWords]uint64
	one[seriesRows] = 1
	one[seriesFrom] = uint64(at.Ints[row])
	one[seriesTo] = one[seriesFrom]
	if s.ints {
		one[seriesFirst] = uint64(x.Ints[row])
	} else {
		one[seriesFirst] = math.Float64bits(x.Doubles[row])
	}
	one[seriesLast] = one[seriesFirst]
	return s.Merge(acc, one[:], nil)
}

// Merge joins two spans with the step between them. Where they overlap, what
// from has within acc's span is left out.
func (s series) Merge(acc, from []uint64, _ Heap) error {
	switch {
	case from[seriesRows] == 0:
		return nil
	case acc[seriesRows] == 0:
		copy(acc, from)
		return nil
	}
	sum, err := acc[seriesSum], error(nil)
	late, early := int64(from[seriesTo]) >= int64(acc[seriesTo]), int64(from[seriesFrom]) < int64(acc[seriesFrom])
	if late {
		if int64(from[seriesFrom]) >= int64(acc[seriesTo]) {
			sum, err = s.step(sum, acc[seriesLast], from[seriesFirst])
			if err == nil {
				sum, err = s.plus(sum, from[seriesSum])
			}
		} else {
			sum, err = s.step(sum, acc[seriesLast], from[seriesLast])
		}
	}
	if early && err == nil {
		if int64(from[seriesTo]) < int64(acc[seriesFrom]) {
			sum, err = s.step(sum, from[seriesLast], acc[seriesFirst])
			if err == nil {
				sum, err = s.plus(sum, from[seriesSum])
			}
		} else {
			sum, err = s.step(sum, from[seriesFirst], acc[seriesFirst])
		}
	}
	if err != nil {
		return err
	}
	acc[seriesRows] += from[seriesRows]
	acc[seriesSum] = sum
	if late {
		acc[seriesTo], acc[seriesLast] = from[seriesTo], from[seriesLast]
	}
	if early {
		acc[seriesFrom], acc[seriesFirst] = from[seriesFrom], from[seriesFirst]
	}
	return nil
}

// step adds the increase of a counter from a to b. One that fell was reset,
// and has counted up to b since.
func (s series) step(sum, a, b uint64) (uint64, error) {
	if s.ints {
		d := int64(b)
		if int64(b) >= int64(a) {
			if d = int64(b) - int64(a); d < 0 {
				return 0, ErrOverflow
			}
		}
		return s.plus(sum, uint64(d))
	}
	x, y := math.Float64frombits(a), math.Float64frombits(b)
	d := y
	if y >= x {
		d = y - x
	}
	if !finite(d) && finite(x) && finite(y) {
		return 0, ErrOverflow
	}
	return s.plus(sum, math.Float64bits(d))
}

func (s series) plus(a, b uint64) (uint64, error) {
	if s.ints {
		sum := int64(a) + int64(b)
		if (sum < int64(a)) != (int64(b) < 0) {
			return 0, ErrOverflow
		}
		return uint64(sum), nil
	}
	x, y := math.Float64frombits(a), math.Float64frombits(b)
	if sum := x + y; finite(sum) || !finite(x) || !finite(y) {
		return math.Float64bits(sum), nil
	}
	return 0, ErrOverflow
}

// put writes a word of the accumulator, a value.
func (s series) put(v uint64, out *Column, row int32) {
	if s.ints {
		out.setInt(row, int64(v))
		return
	}
	out.setDouble(row, math.Float64frombits(v))
}
