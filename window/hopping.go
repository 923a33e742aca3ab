package window

import (
	"errors"
	"fmt"
)

const hoppingDoc = "Windows [start, start+size) with a start at every multiple of advance, plus offset, since the epoch; " +
	"a row belongs to every window that holds it. size need not be a multiple of advance."

// Hopping is windows of one size at every advance. A tumbling window is one
// whose advance is its size.
//
//	start(k) = offset + k·advance        end(k) = start(k) + size
//
// Both are multiples of the pane width, gcd(size, advance), away from offset,
// so windows are cut at the boundaries of panes and nowhere else.
type Hopping struct {
	size, advance int64
	width         int64
	// Where the grids lie, each in [0, step of the grid): starts and ends of
	// windows modulo advance, boundaries of panes modulo width.
	startPhase, endPhase, panePhase int64
}

var _ Assigner = (*Hopping)(nil)

func checkHopping(s Spec) error {
	switch {
	case s.Size == 0:
		return errors.New("a hopping window needs a size greater than zero")
	case s.Advance == 0:
		return errors.New("a hopping window needs an advance greater than zero: without one the window is type tumbling")
	case s.Zone != "":
		return checkCalendar(s, s.Advance, s.AdvanceUnit, "advance")
	case s.Advance > s.Size:
		return fmt.Errorf("advance %s is greater than size %s: rows between the windows would be lost", Format(s.Advance), Format(s.Size))
	case s.Offset >= s.Advance:
		return fmt.Errorf("offset %s must be less than advance %s", Format(s.Offset), Format(s.Advance))
	}
	return nil
}

func newHopping(s Spec) Assigner {
	if s.Zone != "" {
		return newCalendar(s)
	}
	w := gcd(s.Size, s.Advance)
	return &Hopping{
		size: s.Size, advance: s.Advance, width: w,
		startPhase: s.Offset % s.Advance,
		endPhase:   (s.Offset + s.Size) % s.Advance,
		panePhase:  s.Offset % w,
	}
}

// PaneWidth is gcd(size, advance).
func (h *Hopping) PaneWidth() int64 { return h.width }

// PaneStart is the start of the pane that holds t.
func (h *Hopping) PaneStart(t int64) int64 { return minus(t, since(t, h.width, h.panePhase)) }

// PaneEnd is the end of the pane that holds t.
func (h *Hopping) PaneEnd(t int64) int64 { return plus(t, h.width-since(t, h.width, h.panePhase)) }

// FirstEnd is the first end after t: as advance <= size, that window has
// started.
func (h *Hopping) FirstEnd(t int64) int64 { return h.EndsAfter(t) }

// LastEnd is the end of the window with the last start at or before t.
func (h *Hopping) LastEnd(t int64) int64 { return plus(t, h.size-since(t, h.advance, h.startPhase)) }

// NextEnd is one advance on.
func (h *Hopping) NextEnd(end int64) int64 { return plus(end, h.advance) }

// Start is one size back.
func (h *Hopping) Start(end int64) int64 { return minus(end, h.size) }

// EndsAfter is the smallest end greater than t.
func (h *Hopping) EndsAfter(t int64) int64 {
	return plus(t, h.advance-since(t, h.advance, h.endPhase))
}

// Overlap is size / advance: where that is no whole number, some rows are in
// one window more.
func (h *Hopping) Overlap() int64 { return (h.size + h.advance - 1) / h.advance }

// since is the distance from the last point of the grid {phase + k·step} at or
// before t to t: in [0, step), also for negative t.
func since(t, step, phase int64) int64 {
	r := t%step - phase // in (-2·step, step)
	if r < 0 {
		r += step
	}
	if r < 0 {
		r += step
	}
	return r
}

func gcd(a, b int64) int64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
