package window

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// Zones with clocks that go forth and back: by an hour at night, by half an
// hour, at midnight, in Ramadan, by a whole day, or never.
var calendarZones = []struct{ zone, about string }{
	{"Europe/Berlin", "2026-03-29"}, {"Europe/Berlin", "2026-10-25"},
	{"America/New_York", "2026-03-08"}, {"America/New_York", "2026-11-01"},
	{"Australia/Lord_Howe", "2026-04-05"}, {"Australia/Lord_Howe", "2026-10-04"},
	{"America/Sao_Paulo", "2018-11-04"}, {"America/Sao_Paulo", "2018-02-18"},
	{"America/Havana", "2026-11-01"}, {"Africa/Casablanca", "2026-02-15"}, {"Pacific/Apia", "2011-12-30"},
	{"Asia/Kolkata", "2026-01-01"}, {"Asia/Kathmandu", "1986-01-01"}, {"UTC", "1970-01-01"}, {"Europe/Berlin", "1969-12-28"},
}

// TestCalendarAgainstClock: a clock of the zone that is read every quarter of an hour
// says where the bounds are.
func TestCalendarAgainstClock(t *testing.T) {
	r := random(t)
	n := 150
	if testing.Short() {
		n = 30
	}
	for range n {
		z := calendarZones[r.IntN(len(calendarZones))]
		s := randomCalendar(r, z.zone)
		a, err := New(s)
		if err != nil {
			t.Fatalf("%s: %v", s, err)
		}
		about, _ := time.Parse(time.DateOnly, z.about)
		checkClock(t, r, s, a, about.UnixMilli())
	}
}

func randomCalendar(r *rand.Rand, zone string) Spec {
	hour := int64(time.Hour / time.Millisecond)
	s := Spec{Kind: "tumbling", Zone: zone}
	switch r.IntN(7) {
	case 0: // hours
		step := []int64{hour / 4, hour / 2, hour, 2 * hour, 6 * hour, 12 * hour}[r.IntN(6)]
		s.Size, s.Offset = step, r.Int64N(step/(hour/4))*(hour/4)
	case 1: // hours that hop
		step := []int64{hour / 2, hour, 6 * hour}[r.IntN(3)]
		s.Kind, s.Advance, s.Size = "hopping", step, step*(1+r.Int64N(5))
		if r.IntN(2) == 0 {
			s.Size, s.SizeUnit = 1, Days
		}
	case 2: // days and weeks
		s.Size, s.SizeUnit = 1+r.Int64N(4), []Unit{Days, Weeks}[r.IntN(2)]
		s.Offset = r.Int64N(24) * hour
	case 3: // days that hop
		s.Kind, s.SizeUnit, s.AdvanceUnit, s.Advance = "hopping", Days, Days, 1+r.Int64N(4)
		s.Size = s.Advance + r.Int64N(8)
		if r.IntN(3) == 0 {
			s.AdvanceUnit, s.Advance, s.SizeUnit, s.Size = Weeks, 1, Weeks, 1+r.Int64N(3)
		}
	case 4: // months and years
		s.Size, s.SizeUnit = 1+r.Int64N(3), []Unit{Months, Years}[r.IntN(2)]
		s.Offset = r.Int64N(28*24) * hour
	case 5:
		s.Kind, s.Advance, s.AdvanceUnit, s.Size, s.SizeUnit = "hopping", 1+r.Int64N(2), Months, 2+r.Int64N(3), Months
	default:
		s.Kind = "cumulate"
		switch r.IntN(3) {
		case 0:
			s.Size, s.SizeUnit, s.Step = 1, Days, []int64{hour / 2, hour, 6 * hour}[r.IntN(3)]
		case 1:
			s.Size, s.SizeUnit, s.Step, s.StepUnit = 1, []Unit{Weeks, Months, Years}[r.IntN(3)], 1, Days
		default:
			s.Size, s.SizeUnit, s.Step, s.StepUnit = 1, Years, 1, Months
		}
	}
	return s
}

// bound is an instant at which the n-th cell of a grid begins.
type bound struct{ n, at int64 }

// bounds reads the clock over a span of time.
func bounds(loc *time.Location, n int64, unit Unit, offset, from, to int64) (all []bound) {
	const tick = 15 * 60 * 1000
	if unit == Millis && n%dayMs == 0 {
		n, unit = n/dayMs, Days
	}
	show := func(t int64) int64 {
		_, off := time.UnixMilli(t).In(loc).Zone()
		return t + int64(off)*1000 - offset
	}
	cell := func(local int64) int64 {
		day := floor(local, dayMs)
		date := time.Unix(day*24*60*60, 0).UTC()
		switch unit {
		case Days:
			return floor(day, n)
		case Weeks:
			return floor(day-4, 7*n)
		case Months:
			return floor(int64(date.Year())*12+int64(date.Month())-1-1970*12, n)
		case Years:
			return floor(int64(date.Year())-1970, n)
		}
		return floor(local, n)
	}
	last := cell(show(from - tick))
	count := int64(0)
	for t := from; t < to; t += tick {
		is, was := show(t), show(t-tick)
		if unit == Millis {
			// The clock shows a multiple, or jumped over one.
			if is%n == 0 || is > was+tick && floor(is, n) != floor(was+tick-1, n) {
				all = append(all, bound{count, t})
				count++
			}
			continue
		}
		for c := cell(is); last < c; {
			last++
			all = append(all, bound{last, t})
		}
	}
	return all
}

func checkClock(t *testing.T, r *rand.Rand, s Spec, a Assigner, about int64) {
	loc, _ := time.LoadLocation(s.Zone)
	reach := map[Unit]int64{Millis: 4, Days: 30, Weeks: 90, Months: 800, Years: 2500}[max(s.SizeUnit, s.AdvanceUnit)] * dayMs
	if s.SizeUnit <= Days && s.AdvanceUnit == Millis && s.Kind != "cumulate" {
		reach = 12 * dayMs
	}
	from, to := about-reach, about+reach
	unit, step := s.SizeUnit, s.Size
	switch s.Kind {
	case "hopping":
		unit, step = s.AdvanceUnit, s.Advance
	case "cumulate":
		unit, step = s.StepUnit, s.Step
	}
	starts := bounds(loc, step, unit, s.Offset, from, to)
	cells, span := starts, int64(1)
	if s.Kind == "hopping" {
		if unit == Millis {
			if span = s.Size / s.Advance; s.SizeUnit == Days {
				span = dayMs / s.Advance
			}
		} else if g := gcd(s.Size, s.Advance); true {
			span = s.Size / g
			cells = bounds(loc, g, unit, s.Offset, from, to)
		}
	}
	// All windows, by their ends; of two that end together the one that holds more.
	windows := map[int64]int64{}
	add := func(start, end int64) {
		if was, ok := windows[end]; (!ok || start < was) && start < end {
			windows[end] = start
		}
	}
	if s.Kind == "cumulate" {
		cycles := bounds(loc, s.Size, s.SizeUnit, s.Offset, from, to)
		for i := range cycles[:len(cycles)-1] {
			for _, c := range cells {
				if c.at > cycles[i].at && c.at <= cycles[i+1].at {
					add(cycles[i].at, c.at)
				}
			}
		}
	} else {
		for i, st := range starts {
			if i+1 < len(starts) && starts[i+1].at == st.at {
				continue // a day that was left out begins nothing
			}
			first := slices.IndexFunc(cells, func(b bound) bool { return b.at == st.at })
			for first+1 < len(cells) && cells[first+1].at == st.at {
				first++
			}
			if unit != Millis { // by number: a day left out counts
				first = slices.IndexFunc(cells, func(b bound) bool { return b.n == st.n*(step/gcd(s.Size, step)) })
			}
			if end := first + int(span); end < len(cells) {
				add(st.at, cells[end].at)
			}
		}
	}
	for range 40 {
		at := about + r.Int64N(reach) - reach/2
		if r.IntN(2) == 0 {
			at = cells[r.IntN(len(cells))].at + r.Int64N(3) - 1
		}
		if at < about-reach/2 || at > about+reach/2 {
			continue
		}
		i := len(cells) - 1
		for cells[i].at > at {
			i--
		}
		if got, want := a.PaneStart(at), cells[i].at; got != want {
			t.Fatalf("%s: the pane of %s begins at %s, want %s", s, clock(loc, at), clock(loc, got), clock(loc, want))
		}
		if got, want := a.PaneEnd(at), cells[i+1].at; got != want {
			t.Fatalf("%s: the pane of %s ends at %s, want %s", s, clock(loc, at), clock(loc, got), clock(loc, want))
		}
		var want []int64
		for end, start := range windows {
			if start <= at && at < end {
				want = append(want, end)
			}
		}
		slices.Sort(want)
		got := slices.Collect(Ends(a, at))
		if !slices.Equal(got, want) {
			t.Fatalf("%s: %s is in windows to %v, want %v", s, clock(loc, at), got, want)
		}
		if int64(len(got)) > a.Overlap() {
			t.Fatalf("%s: %s is in %d windows, at most %d expected", s, clock(loc, at), len(got), a.Overlap())
		}
		for _, end := range got {
			if start := a.Start(end); start != windows[end] {
				t.Fatalf("%s: the window to %s begins at %s, want %s", s, clock(loc, end), clock(loc, start), clock(loc, windows[end]))
			}
		}
	}
}

func clock(loc *time.Location, t int64) string { return time.UnixMilli(t).In(loc).Format(time.RFC3339) }
