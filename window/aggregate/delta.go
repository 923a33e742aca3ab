package aggregate

import "math"

const deltaDoc = "The last x by event time less the first, of the type of x; null of fewer than two rows. " +
	"It is for gauges: a fall is a fall, not a reset (that is increase). Of rows with the same time the order is that of arrival. " +
	"A difference beyond the range of an int is the end of the range."

func newDelta(args []Type) (Aggregate, error) {
	s, err := newSeries("delta", args)
	if err != nil {
		return nil, err
	}
	return delta{s}, nil
}

// delta keeps the ends of a series alone.
type delta struct{ series }

func (delta) Words() int { return seriesSum }

func (d delta) Add(acc []uint64, args []Column, row int32, _ Heap) error {
	x, at := &args[0], &args[1]
	if x.Null(row) || at.Null(row) {
		return nil
	}
	v := uint64(0)
	if d.ints {
		v = uint64(x.Ints[row])
	} else {
		v = math.Float64bits(x.Doubles[row])
	}
	t := uint64(at.Ints[row])
	return d.Merge(acc, []uint64{1, t, v, t, v}, nil)
}

func (d delta) Merge(acc, from []uint64, _ Heap) error {
	switch {
	case from[seriesRows] == 0:
		return nil
	case acc[seriesRows] == 0:
		copy(acc, from)
		return nil
	}
	acc[seriesRows] += from[seriesRows]
	if int64(from[seriesTo]) >= int64(acc[seriesTo]) {
		acc[seriesTo], acc[seriesLast] = from[seriesTo], from[seriesLast]
	}
	if int64(from[seriesFrom]) < int64(acc[seriesFrom]) {
		acc[seriesFrom], acc[seriesFirst] = from[seriesFrom], from[seriesFirst]
	}
	return nil
}

func (d delta) Append(acc []uint64, _ Heap, out *Column, row int32) {
	if acc[seriesRows] < 2 {
		out.SetNull(row)
		return
	}
	if !d.ints {
		out.setDouble(row, math.Float64frombits(acc[seriesLast])-math.Float64frombits(acc[seriesFirst]))
		return
	}
	a, b := int64(acc[seriesFirst]), int64(acc[seriesLast])
	v := b - a
	switch {
	case b >= a && v < 0:
		v = math.MaxInt64
	case b < a && v > 0:
		v = math.MinInt64
	}
	out.setInt(row, v)
}
