package aggregate

import "errors"

const quantileDoc = "The value that q (0 to 1) of the values of x are below, as quantile(x, 0.95): a double within 1% of it (DDSketch), null of nothing. " +
	"It is that of the value at q of the way from the least to the greatest, rounded down; it does not depend on the order of rows. " +
	"NaN is greater than every number. Bins are 2% wide and at most 2048, enough for values over 17 powers of ten; where there would be more, the values nearest to 0 count as 0."

var quantileParams = []Param{{Name: "q", Type: Double, Doc: "from 0, the least, to 1, the greatest"}}

func newQuantile(args []Type, params []Value) (Aggregate, error) {
	s, err := newSketch("quantile", args)
	if err != nil {
		return nil, err
	}
	v, ok := constant(quantileParams[0], params, 0)
	if !ok || !(v.Double >= 0 && v.Double <= 1) || len(params) > 1 {
		return nil, errors.New("quantile takes x and a q from 0 to 1, as in quantile(x, 0.95)")
	}
	return quantile{s, v.Double}, nil
}

type quantile struct {
	sketch
	q float64
}

func (quantile) Result() Type { return Double }

func (q quantile) Append(acc []uint64, h Heap, out *Column, row int32) {
	q.appendQuantile(acc, q.q, h, out, row)
}
