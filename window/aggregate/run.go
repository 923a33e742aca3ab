package aggregate

import "math"

// Runner is an Aggregate without blobs that merges many accumulators at once:
// the same as Merge of one after the other, for less.
type Runner interface {
	// MergeRun merges n accumulators, which begin at from[0], from[stride] and so
	// on, into acc. After ErrOverflow acc has some of them.
	MergeRun(acc, from []uint64, stride, n int) error
}

var (
	_ Runner = count{}
	_ Runner = sumInt{}
	_ Runner = sumDouble{}
	_ Runner = extremeInt{}
	_ Runner = greatest{}
)

func (count) MergeRun(acc, from []uint64, stride, n int) error {
	rows := acc[0]
	for at := 0; n > 0; n-- {
		rows += from[at]
		at += stride
	}
	acc[0] = rows
	return nil
}

func (sumInt) MergeRun(acc, from []uint64, stride, n int) error {
	rows, sum := acc[0], int64(acc[1])
	for at := 0; n > 0; n-- {
		v := int64(from[at+1])
		s := sum + v
		if (s < sum) != (v < 0) {
			return ErrOverflow
		}
		rows, sum = rows+from[at], s
		at += stride
	}
	acc[0], acc[1] = rows, uint64(sum)
	return nil
}

func (sumDouble) MergeRun(acc, from []uint64, stride, n int) error {
	tally, sum := acc[0], math.Float64frombits(acc[1])
	for at := 0; n > 0; n-- {
		if sum += math.Float64frombits(from[at+1]); !finite(sum) {
			return ErrOverflow
		}
		tally = join(tally, from[at])
		at += stride
	}
	acc[0], acc[1] = tally, math.Float64bits(sum)
	return nil
}

func (extremeInt) MergeRun(acc, from []uint64, stride, n int) error {
	any, rank := acc[0], acc[1]
	for at := 0; n > 0; n-- {
		any |= from[at]
		rank = max(rank, from[at+1])
		at += stride
	}
	acc[0], acc[1] = any, rank
	return nil
}

func (greatest) MergeRun(acc, from []uint64, stride, n int) error {
	rank := acc[0]
	for at := 0; n > 0; n-- {
		rank = max(rank, from[at])
		at += stride
	}
	acc[0] = rank
	return nil
}
