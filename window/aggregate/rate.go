package aggregate

import "math"

const rateDoc = "How much a counter x grew per second: its increase divided by the seconds from the first row to the last by event time, " +
	"a double; null of fewer than two rows, and where all have the same time. Resets are taken as in increase. " +
	"Nothing is extrapolated to the bounds of the window."

func newRate(args []Type) (Aggregate, error) {
	s, err := newSeries("rate", args)
	if err != nil {
		return nil, err
	}
	return rate{s}, nil
}

type rate struct{ series }

func (rate) Result() Type { return Double }

func (r rate) Append(acc []uint64, _ Heap, out *Column, row int32) {
	from, to := int64(acc[seriesFrom]), int64(acc[seriesTo])
	if acc[seriesRows] < 2 || from == to {
		out.SetNull(row)
		return
	}
	v := math.Float64frombits(acc[seriesSum])
	if r.ints {
		v = float64(int64(acc[seriesSum]))
	}
	out.setDouble(row, v/((float64(to)-float64(from))/1000))
}
