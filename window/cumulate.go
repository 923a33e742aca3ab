package window

import (
	"errors"
	"fmt"
)

const cumulateDoc = "Windows [start, start+step·k) up to size, then again from the next start: a total that grows by steps. Each closes by itself."

// Cumulate is windows that share a start and grow by steps:
//
//	[──)
//	[─────)
//	[────────)            size = 3 steps
//	         [──)
//	         [─────) …
//
// A pane is a step; the windows of one start are told apart by their ends.
type Cumulate struct {
	size, step           int64
	sizePhase, stepPhase int64
}

var _ Assigner = (*Cumulate)(nil)

func checkCumulate(s Spec) error {
	switch {
	case s.Size == 0:
		return errors.New("a cumulate window needs a size greater than zero")
	case s.Step == 0:
		return errors.New("a cumulate window needs a step greater than zero")
	case s.Zone != "":
		return checkCalendar(s, s.Step, s.StepUnit, "step")
	case s.Size%s.Step != 0:
		return fmt.Errorf("size %s must be a multiple of step %s", Format(s.Size), Format(s.Step))
	case s.Offset >= s.Size:
		return fmt.Errorf("offset %s must be less than size %s", Format(s.Offset), Format(s.Size))
	}
	return nil
}

func newCumulate(s Spec) Assigner {
	if s.Zone != "" {
		return newCalendar(s)
	}
	return &Cumulate{size: s.Size, step: s.Step, sizePhase: s.Offset, stepPhase: s.Offset % s.Step}
}

// PaneWidth is a step.
func (c *Cumulate) PaneWidth() int64 { return c.step }

// PaneStart is the last step at or before t.
func (c *Cumulate) PaneStart(t int64) int64 { return minus(t, since(t, c.step, c.stepPhase)) }

// PaneEnd is the next step.
func (c *Cumulate) PaneEnd(t int64) int64 { return plus(t, c.step-since(t, c.step, c.stepPhase)) }

// FirstEnd is the next step.
func (c *Cumulate) FirstEnd(t int64) int64 { return c.PaneEnd(t) }

// LastEnd is the end of the greatest window.
func (c *Cumulate) LastEnd(t int64) int64 { return plus(t, c.size-since(t, c.size, c.sizePhase)) }

// NextEnd is one step on.
func (c *Cumulate) NextEnd(end int64) int64 { return plus(end, c.step) }

// Start is the start that holds what is just before end.
func (c *Cumulate) Start(end int64) int64 {
	return minus(end, 1+since(minus(end, 1), c.size, c.sizePhase))
}

// EndsAfter is the next step.
func (c *Cumulate) EndsAfter(t int64) int64 { return c.PaneEnd(t) }

// Overlap is the number of steps.
func (c *Cumulate) Overlap() int64 { return c.size / c.step }
