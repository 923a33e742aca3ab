package window

import (
	"errors"
	"fmt"
	"time"
	_ "time/tzdata" // a worker's machine need not have the zones
)

// Calendar is tumbling, hopping and cumulate windows whose bounds are those of
// a time zone's civil calendar. Two grids of instants make them: cells, whose
// spans are the panes, and starts, some of the cells' bounds.
//
//	cells    │ │ │ │ │ │ │ │ │       hours, days or months of the zone
//	starts   │       │       │       every advance
//	window   [──── span ────)        so many cells; of a cumulate: up to the next start
//
// A day of a zone has 23, 24 or 25 hours, so panes have no common length.
type Calendar struct {
	cells, starts grid
	span          int64 // cells of a window; 0: cumulate
	overlap       int64
}

var _ Assigner = (*Calendar)(nil)

// grid is an endless row of instants.
type grid interface {
	// before is the last instant at or before t, after the first one behind it.
	before(t int64) int64
	after(t int64) int64
	// steps goes n instants on from b, which is one, or back.
	steps(b, n int64) int64
}

const dayMs = 24 * 60 * 60 * 1000

// checkCalendar checks windows with a time_zone; by is the advance or step.
func checkCalendar(s Spec, by int64, unit Unit, name string) error {
	if _, err := time.LoadLocation(s.Zone); err != nil || s.Zone == "Local" {
		return fmt.Errorf("unknown time_zone %q: a name such as Europe/Berlin is wanted", s.Zone)
	}
	if s.Size > 1<<20 && s.SizeUnit != Millis || by > 1<<20 && unit != Millis {
		return errors.New("a window of so many units of the calendar is too long")
	}
	size, step := lengthOf(s.Size, s.SizeUnit), lengthOf(by, unit)
	switch {
	case step.kind < size.kind && !(step.kind == hours && size.kind == days) && s.Kind == "hopping":
		return fmt.Errorf("%s in %s does not go with size in %s: give both in days, or both in months", name, unit, s.SizeUnit)
	case step.kind > size.kind:
		return fmt.Errorf("%s %d%s is longer than size", name, by, unit)
	case step.kind == hours && dayMs%step.n != 0:
		return fmt.Errorf("with a time_zone %s %s must divide a day", name, Format(step.n))
	case step.kind == hours && size.kind == hours && size.n%step.n != 0, step.kind == days && size.kind == days && s.Kind != "hopping" && size.n%step.n != 0,
		step.kind == months && size.n%step.n != 0 && s.Kind != "hopping":
		return fmt.Errorf("size must be a multiple of %s", name)
	case step.kind == hours && size.kind == hours && s.Kind == "cumulate" && dayMs%size.n != 0:
		return fmt.Errorf("with a time_zone size %s must divide a day", Format(size.n))
	case step.kind == days && size.kind == months && step.n != 1:
		return fmt.Errorf("%s must be one day where size is in months", name)
	case step.kind == hours && size.kind == months:
		return fmt.Errorf("%s must be days or more where size is in months", name)
	case step.kind == hours && size.kind == hours && s.Offset >= step.n, step.kind == days && size.kind == days && s.Offset >= size.n*dayMs,
		size.kind == months && s.Offset >= 28*dayMs:
		return fmt.Errorf("offset %s is too long", Format(s.Offset))
	case size.kind == step.kind && step.n > size.n:
		return fmt.Errorf("%s is greater than size: rows between the windows would be lost", name)
	}
	return nil
}

// length is a span in the smallest unit of its kind.
type length struct {
	kind lengthKind
	n    int64 // ms, days or months
	week bool  // a number of weeks
}

type lengthKind int

const (
	hours lengthKind = iota
	days
	months
)

func lengthOf(n int64, u Unit) length {
	switch u {
	case Days:
		return length{days, n, false}
	case Weeks:
		return length{days, 7 * n, true}
	case Months:
		return length{months, n, false}
	case Years:
		return length{months, 12 * n, false}
	}
	if n%dayMs == 0 {
		return length{days, n / dayMs, false} // 24h
	}
	return length{hours, n, false}
}

// newCalendar makes the windows of a spec that passes Check.
func newCalendar(s Spec) Assigner {
	loc, err := time.LoadLocation(s.Zone)
	if err != nil {
		panic("window: " + err.Error()) // Check knows better
	}
	size, by := lengthOf(s.Size, s.SizeUnit), lengthOf(s.Advance, s.AdvanceUnit)
	if s.Kind == "cumulate" {
		by = lengthOf(s.Step, s.StepUnit)
	}
	c := &Calendar{starts: newGrid(by, by.n, s.Offset, loc)}
	if s.Kind == "cumulate" {
		c.cells, c.starts = c.starts, newGrid(size, size.n, s.Offset, loc)
		c.overlap = most(size)/least(by) + 25*60*60*1000/least(by) + 2
		return c
	}
	switch {
	case by.kind == hours:
		c.cells, c.span = c.starts, size.n/by.n
		if size.kind == days {
			c.span = size.n * dayMs / by.n
		}
		c.overlap = c.span
	default:
		cell := gcd(size.n, by.n)
		c.cells, c.span = newGrid(by, cell, s.Offset, loc), size.n/cell
		c.overlap = (size.n + by.n - 1) / by.n
	}
	return c
}

// Longest bounds the distance from a row to the end of a window that it is in, in
// ms: the size, or a session's gap, behind whose last row it ends. 0 where windows
// are not of time, or are those of the input (same).
func (s Spec) Longest() int64 {
	if s.Kind == "" || s.Kind == "count" || s.Kind == "same" {
		return 0
	}
	if s.Zone == "" {
		return max(s.Size, s.Gap)
	}
	return most(lengthOf(s.Size, s.SizeUnit)) + dayMs/24*2 // clocks change within it
}

// most and least bound how long a span of the calendar is, in ms.
func most(l length) int64 {
	return l.n * [...]int64{1, dayMs, 31 * dayMs}[l.kind]
}

func least(l length) int64 {
	return max(1, l.n*[...]int64{1, dayMs, 28 * dayMs}[l.kind])
}

// newGrid makes the grid of every n-th unit of l, aligned as l is.
func newGrid(l length, n, offset int64, loc *time.Location) grid {
	switch l.kind {
	case hours:
		return &hourGrid{loc: loc, step: n, phase: offset % n}
	case days:
		first := int64(0)
		if l.week {
			first = 4 // 1970-01-05 was a Monday
		}
		return &dayGrid{loc: loc, step: n, first: first + offset/dayMs, clock: offset % dayMs}
	}
	return &dayGrid{loc: loc, step: n, months: true, first: offset / dayMs, clock: offset % dayMs}
}

// PaneWidth is 0: panes differ.
func (c *Calendar) PaneWidth() int64 { return 0 }

// PaneStart is the last bound of a cell at or before t.
func (c *Calendar) PaneStart(t int64) int64 { return c.cells.before(within(t)) }

// PaneEnd is the next bound of a cell.
func (c *Calendar) PaneEnd(t int64) int64 {
	if t > calendarEnd {
		return MaxTime
	}
	return c.cells.after(within(t))
}

// FirstEnd is the first end after t.
func (c *Calendar) FirstEnd(t int64) int64 { return c.EndsAfter(t) }

// LastEnd is the end of the window with the last start at or before t.
func (c *Calendar) LastEnd(t int64) int64 {
	if t > calendarEnd {
		return MaxTime
	}
	return c.end(c.starts.before(within(t)))
}

// end is the last end of the windows that begin at start.
func (c *Calendar) end(start int64) int64 {
	if c.span == 0 {
		return c.starts.after(start)
	}
	if g, ok := c.starts.(*dayGrid); ok {
		// By the number of the start: where a zone left a day out, its instant is
		// that of the next day, too.
		cells := c.cells.(*dayGrid)
		return cells.at(g.index(start)*(g.step/cells.step) + c.span)
	}
	return c.cells.steps(start, c.span)
}

// NextEnd is the end of the window behind the one that ends at end.
func (c *Calendar) NextEnd(end int64) int64 { return c.EndsAfter(end) }

// Start is the start of the window that ends at end.
func (c *Calendar) Start(end int64) int64 {
	if end > calendarEnd {
		return minus(end, calendarEnd)
	}
	end = within(end)
	if c.span == 0 {
		return c.starts.before(minus(end, 1))
	}
	if g, ok := c.starts.(*dayGrid); ok {
		cells := c.cells.(*dayGrid)
		return cells.at(cells.startOf(end, c.span, g.step/cells.step))
	}
	return c.cells.steps(end, -c.span)
}

// EndsAfter is the smallest end greater than t.
func (c *Calendar) EndsAfter(t int64) int64 {
	if t > calendarEnd {
		return MaxTime
	}
	t = within(t)
	if c.span == 0 {
		return c.cells.after(t)
	}
	start := c.starts.before(c.cells.steps(c.cells.before(t), -c.span))
	for {
		if end := c.end(start); end > t {
			return end
		}
		start = c.starts.after(start)
	}
}

// Overlap is how many windows hold a pane, at most.
func (c *Calendar) Overlap() int64 { return c.overlap }

// The calendar is computed for a million years; beyond it all is one time.
const calendarEnd = 1_000_000 * 365 * dayMs

func within(t int64) int64 { return max(min(t, calendarEnd), -calendarEnd) }

// zoneAt is the offset of the zone at t, and the span of time it holds for, in
// ms: MinTime and MaxTime where it always did or will.
func zoneAt(loc *time.Location, t int64) (offset, from, to int64) {
	at := time.UnixMilli(t).In(loc)
	_, seconds := at.Zone()
	start, end := at.ZoneBounds()
	from, to = MinTime, MaxTime
	if !start.IsZero() {
		from = start.UnixMilli()
	}
	if !end.IsZero() {
		to = end.UnixMilli()
	}
	return int64(seconds) * 1000, from, to
}

// instant is when the zone's clock shows local (ms, as if it were UTC) for the
// first time; where it never does, the moment it jumps over it.
func instant(loc *time.Location, local int64) int64 {
	before, _, _ := zoneAt(loc, local-dayMs)
	after, _, _ := zoneAt(loc, local+dayMs)
	if before == after {
		if off, _, _ := zoneAt(loc, local-before); off == before {
			return local - before
		}
	}
	if off, _, _ := zoneAt(loc, local-before); off == before {
		return local - before
	}
	if off, _, _ := zoneAt(loc, local-after); off == after {
		return local - after
	}
	_, from, _ := zoneAt(loc, local-before)
	return from
}

// dayGrid is every step-th day, or month, of a zone, at a time of the day.
//
//	instant i = the zone's day first + i·step, or the day first of its month i·step, at clock
type dayGrid struct {
	loc    *time.Location
	months bool
	step   int64
	first  int64 // days since 1970-01-01, or since a month's first
	clock  int64 // ms since midnight, as the clock shows them
}

func (g *dayGrid) at(i int64) int64 {
	day := g.first + i*g.step
	if g.months {
		day = monthDay(i*g.step) + g.first
	}
	return instant(g.loc, day*dayMs+g.clock)
}

// index is the greatest i whose instant is at or before t.
func (g *dayGrid) index(t int64) int64 {
	off, _, _ := zoneAt(g.loc, t)
	local := t + off - g.clock - g.first*dayMs
	i := floor(local, g.step*dayMs)
	if g.months {
		i = floor(monthOf(floor(local, dayMs)), g.step)
	}
	for g.at(i) > t {
		i--
	}
	for g.at(i+1) <= t {
		i++
	}
	return i
}

func (g *dayGrid) before(t int64) int64 { return g.at(g.index(t)) }
func (g *dayGrid) after(t int64) int64  { return g.at(g.index(t) + 1) }

// steps counts a day that a zone left out as one of no length: from an end
// back over it, so that the window that holds more is meant.
func (g *dayGrid) steps(b, n int64) int64 {
	i := g.index(b)
	for n < 0 && g.at(i-1) == b {
		i--
	}
	return g.at(i + n)
}

// startOf is the start, span before end, of the window that ends there: the
// earliest that is a multiple of every, where instants of several days are one.
func (g *dayGrid) startOf(end, span, every int64) int64 {
	last := g.index(end) - span
	start := last
	for i := last; g.at(i+span) == end; i-- {
		if i%every == 0 {
			start = i
		}
	}
	return start
}

// hourGrid is the instants at which the zone's clock shows, or jumps over, a
// multiple of step, which divides a day. An hour that comes twice is two.
type hourGrid struct {
	loc         *time.Location
	step, phase int64
}

func (g *hourGrid) before(t int64) int64 {
	for {
		off, from, _ := zoneAt(g.loc, t)
		at := t - since(t+off, g.step, g.phase)
		if from == MinTime || at >= from {
			return at
		}
		if g.jumps(from, off) {
			return from
		}
		t = from - 1
	}
}

// jumps tells whether a multiple of step lies in what the clock skips at the
// transition from, behind which the offset is off.
func (g *hourGrid) jumps(from, off int64) bool {
	was, _, _ := zoneAt(g.loc, from-1)
	last := from + off - since(from+off, g.step, g.phase)
	return last == from+off || was < off && last >= from+was
}

func (g *hourGrid) after(t int64) int64 {
	for {
		off, _, to := zoneAt(g.loc, t)
		at := t + g.step - since(t+off, g.step, g.phase)
		if to == MaxTime || at < to {
			return at
		}
		next, _, _ := zoneAt(g.loc, to)
		if g.jumps(to, next) {
			return to
		}
		t = to
	}
}

func (g *hourGrid) steps(b, n int64) int64 {
	// Most days nothing happens to the clock.
	if _, from, to := zoneAt(g.loc, b); b+n*g.step >= from && b+n*g.step < to {
		if off, _, _ := zoneAt(g.loc, b); since(b+off, g.step, g.phase) == 0 {
			return b + n*g.step
		}
	}
	for ; n > 0; n-- {
		b = g.after(b)
	}
	for ; n < 0; n++ {
		b = g.before(b - 1)
	}
	return b
}

func floor(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// monthDay is the day since 1970-01-01 on which a month begins, counted from
// January 1970.
func monthDay(month int64) int64 {
	y, m := 1970+floor(month, 12), month-12*floor(month, 12)
	return time.Date(int(y), time.Month(m+1), 1, 0, 0, 0, 0, time.UTC).Unix() / (24 * 60 * 60)
}

// monthOf is the month of a day, both counted from January 1970.
func monthOf(day int64) int64 {
	y, m, _ := time.Unix(day*24*60*60, 0).UTC().Date()
	return (int64(y)-1970)*12 + int64(m) - 1
}
