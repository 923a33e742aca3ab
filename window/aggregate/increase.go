package aggregate

const increaseDoc = "How much a counter x grew from the first row to the last by event time, of the type of x; null of fewer than two rows. " +
	"Where x falls, the counter was reset and has counted up from 0. Nothing is extrapolated to the bounds of the window. " +
	"A row that arrives after one before it and one behind it in time is not looked at: it matters only where a reset was between them. " +
	"Over a hopping window the steps between panes count too. An increase beyond the range of its type makes the row an error."

func newIncrease(args []Type) (Aggregate, error) {
	s, err := newSeries("increase", args)
	if err != nil {
		return nil, err
	}
	return increase{s}, nil
}

type increase struct{ series }

func (i increase) Append(acc []uint64, _ Heap, out *Column, row int32) {
	if acc[seriesRows] < 2 {
		out.SetNull(row)
		return
	}
	i.put(acc[seriesSum], out, row)
}
