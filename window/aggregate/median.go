package aggregate

const medianDoc = "The middle value of x, that is quantile(x, 0.5): a double within 1% of it (DDSketch), null of nothing. Of an even number of values it is the lower of the two in the middle."

func newMedian(args []Type) (Aggregate, error) {
	s, err := newSketch("median", args)
	if err != nil {
		return nil, err
	}
	return median{s}, nil
}

type median struct{ sketch }

func (median) Result() Type { return Double }

func (m median) Append(acc []uint64, h Heap, out *Column, row int32) {
	m.appendQuantile(acc, 0.5, h, out, row)
}
