package expr

import (
	"errors"
	"slices"

	"github.com/leatstream/leat/engine"
)

// What one row may cost. Without loops only list functions and text that
// grows can cost more than the expression is long. A limit looks at one row
// alone, never at its batch: every run finds the same rows too expensive.
const (
	maxSteps     = 1 << 22  // parts of expressions computed over list elements, per row
	maxTextValue = 1 << 20  // bytes of one text or list
	maxBuilt     = 16 << 20 // bytes of the texts and lists built for a row, small ones left out

	bytesPerStep = 16      // of text that is read within a list function
	smallElement = 64      // bytes of a text that is not counted, within a list function
	smallText    = 4 << 10 // and outside of them
)

var (
	errTooManySteps = errors.New("the expression takes more than 4194304 steps over lists")
	errTooLong      = errors.New("a text or list is longer than 1 MiB")
	errTooMuch      = errors.New("the texts and lists of a row are longer than 16 MiB together")
)

// step counts n steps for row i and tells whether it may go on.
func (f *frame) step(i int32, n int) bool {
	i = f.root(i)
	for len(f.steps) < f.b.N {
		f.steps = append(f.steps, 0)
	}
	if n > maxSteps || int(f.steps[i])+n > maxSteps {
		return false
	}
	f.steps[i] += int32(n)
	return true
}

// read counts the reading of a text, once per element within a list function.
func (f *frame) read(i int32, s string) error {
	if f.parent != nil && len(s) >= bytesPerStep && !f.step(i, len(s)/bytesPerStep) {
		return errTooManySteps
	}
	return nil
}

// charge counts what row i of in cost to read and of out to build.
func (f *frame) charge(i int32, out *engine.Column, in ...*engine.Column) error {
	small, longest := smallText, maxTextValue
	if f.parent != nil {
		small = smallElement
		for _, c := range in {
			if textual(c.Type) {
				if err := f.read(i, c.Strs[i]); err != nil {
					return err
				}
			}
		}
	}
	if !textual(out.Type) || len(out.Strs[i]) <= small {
		return nil
	}
	for _, c := range in { // what came in may be any size, and may go on
		if textual(c.Type) {
			longest = max(longest, len(c.Strs[i]))
		}
	}
	if len(out.Strs[i]) > longest {
		return errTooLong
	}
	return f.build(i, len(out.Strs[i]))
}

// build counts n bytes built for row i.
func (f *frame) build(i int32, n int) error {
	i = f.root(i)
	for len(f.built) < f.b.N {
		f.built = append(f.built, 0)
	}
	if n > maxBuilt || int(f.built[i])+n > maxBuilt {
		return errTooMuch
	}
	f.built[i] += int32(n)
	return nil
}

func sortFailures(fails []failure) {
	slices.SortStableFunc(fails, func(a, b failure) int { return int(a.row) - int(b.row) })
}
