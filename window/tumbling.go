package window

import (
	"errors"
	"fmt"
)

const tumblingDoc = "Windows [start, start+size), one after the other, aligned to the epoch plus offset; a row belongs to exactly one."

func checkTumbling(s Spec) error {
	switch {
	case s.Size == 0:
		return errors.New("a tumbling window needs a size greater than zero")
	case s.Zone != "":
		return checkCalendar(s, s.Size, s.SizeUnit, "size")
	case s.Offset >= s.Size:
		return fmt.Errorf("offset %s must be less than size %s", Format(s.Offset), Format(s.Size))
	}
	return nil
}

// newTumbling makes the hopping window whose advance is its size: one pane a
// window, one window a row.
func newTumbling(s Spec) Assigner {
	s.Advance, s.AdvanceUnit = s.Size, s.SizeUnit
	return newHopping(s)
}
