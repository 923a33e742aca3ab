package window

import "iter"

// Assigner is the arithmetic of one type of window. It is immutable: tasks may
// share one. Windows are known by their ends and panes by theirs; every window
// is a whole number of panes, and windows follow each other in order of both
// start and end.
//
// A result that would lie beyond the ends of int64 is MinTime or MaxTime. An
// end of MaxTime is the only one that need not be greater than the t asked for.
type Assigner interface {
	// PaneWidth is the length of a pane in milliseconds, 0 where panes differ.
	// A window without end is one pane of MaxTime.
	PaneWidth() int64
	// PaneStart is the start of the pane that holds t.
	PaneStart(t int64) int64
	// PaneEnd is the end of the pane that holds t.
	PaneEnd(t int64) int64
	// FirstEnd is the end of the earliest window that holds t.
	FirstEnd(t int64) int64
	// LastEnd is the end of the latest window that holds t.
	LastEnd(t int64) int64
	// NextEnd is the end of the window after the one that ends at end; MaxTime
	// follows itself.
	NextEnd(end int64) int64
	// Start is the start of the window that ends at end.
	Start(end int64) int64
	// EndsAfter is the smallest end of a window that is greater than t.
	EndsAfter(t int64) int64
	// Overlap is how many windows hold a pane, at most.
	Overlap() int64
}

// Ends gives the ends of the windows that hold t, in order. It is the loop
//
//	for end, last := a.FirstEnd(t), a.LastEnd(t); ; end = a.NextEnd(end) {
//		…
//		if end >= last { break }
//	}
//
// which callers on the hot path write out. (`end <= last` as its condition
// would never end where last is MaxTime.)
func Ends(a Assigner, t int64) iter.Seq[int64] {
	return func(yield func(int64) bool) {
		last := a.LastEnd(t)
		for end := a.FirstEnd(t); yield(end) && end < last; {
			end = a.NextEnd(end)
		}
	}
}

// Panes gives the ends of the panes that make up the window that ends at end,
// in order. It is the loop
//
//	for pane := a.PaneEnd(a.Start(end)); ; pane = a.PaneEnd(pane) {
//		…
//		if pane >= end { break }
//	}
func Panes(a Assigner, end int64) iter.Seq[int64] {
	return func(yield func(int64) bool) {
		for pane := a.PaneEnd(a.Start(end)); yield(pane) && pane < end; {
			pane = a.PaneEnd(pane)
		}
	}
}
