package expr

import (
	"errors"
	"slices"
)

// What one row may cost. Without loops only list functions and text that
// grows can cost more than the expression is long.
const (
	maxSteps     = 1 << 20 // list elements visited per row
	maxTextValue = 1 << 20 // bytes of one text or list
)

var (
	errTooManySteps = errors.New("the expression visits more than 1048576 list elements")
	errTooLong      = errors.New("a text or list is longer than 1 MiB")
)

// step counts n list elements for row i and tells whether it may go on.
func (f *frame) step(i int32, n int) bool {
	i = f.root(i)
	for len(f.steps) < f.b.N {
		f.steps = append(f.steps, 0)
	}
	if int(f.steps[i])+n > maxSteps {
		return false
	}
	f.steps[i] += int32(n)
	return true
}

func sortFailures(fails []failure) {
	slices.SortStableFunc(fails, func(a, b failure) int { return int(a.row) - int(b.row) })
}
