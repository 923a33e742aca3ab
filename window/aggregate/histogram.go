package aggregate

import "strconv"

const histogramDoc = "How the values of x are spread: a list of {\"le\": bound, \"count\": n} in the order of bounds, an empty list of nothing. " +
	"n is how many values are at most le and greater than the bin before can hold; counts are per bin, not summed up. " +
	"Bins are 2% wide (DDSketch), and only those with values are listed: at most 2048, of more the values nearest to 0 count as 0. " +
	"The bounds of infinities and NaN are the texts \"-Inf\", \"+Inf\" and \"NaN\"."

func newHistogram(args []Type) (Aggregate, error) {
	s, err := newSketch("histogram", args)
	if err != nil {
		return nil, err
	}
	return histogram{s}, nil
}

type histogram struct{ sketch }

func (histogram) Result() Type { return Any }
func (histogram) Elem() Type   { return Any }

func (histogram) Append(acc []uint64, h Heap, out *Column, row int32) {
	b := get(h, acc[2])
	dst := []byte{'['}
	for k := range int(acc[1] & sketchCount) {
		if k > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"le":`...)
		switch key := le.Uint32(b[binBytes*k:]); key {
		case 0:
			dst = append(dst, `"-Inf"`...)
		case sketchInf:
			dst = append(dst, `"+Inf"`...)
		case sketchNaN:
			dst = append(dst, `"NaN"`...)
		default:
			dst = appendDouble(dst, binBound(key))
		}
		dst = append(dst, `,"count":`...)
		dst = strconv.AppendUint(dst, le.Uint64(b[binBytes*k+4:]), 10)
		dst = append(dst, '}')
	}
	out.setStr(row, string(append(dst, ']')))
}
