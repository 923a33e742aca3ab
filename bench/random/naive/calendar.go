package naive

import (
	"fmt"
	"time"
	_ "time/tzdata" // as the machine's may be missing
)

// This file holds windows whose bounds are those of a zone's civil calendar. The
// calendar is walked minute by minute, as a person with a clock would.

const minute = int64(60_000)

// Span is so many hours, days, weeks, months or years of a calendar.
type Span struct {
	N    int64
	Unit string // h, d, w, mo, y
}

func (s Span) String() string { return fmt.Sprintf("%d%s", s.N, s.Unit) }

// shown is what the zone's clock shows at t, as if it were UTC.
func shown(loc *time.Location, t int64) int64 {
	_, seconds := time.UnixMilli(t).In(loc).Zone()
	return t + int64(seconds)*1000
}

const day = 24 * 60 * minute

// instants remembers when clocks showed what: walking is slow.
var instants = map[string]int64{}

// first is the first moment at which the zone's clock shows local, or later
// where it jumps over that.
func first(loc *time.Location, local int64) int64 {
	key := fmt.Sprint(loc, local)
	if t, ok := instants[key]; ok {
		return t
	}
	t := local - 16*60*minute
	for shown(loc, t) < local {
		t += minute
	}
	if len(instants) > 100_000 {
		clear(instants)
	}
	instants[key] = t
	return t
}

// number is which day or month since 1970 begins windows of a span: the i-th.
func (s Span) local(i, offset int64) int64 {
	switch s.Unit {
	case "d":
		return i*s.N*day + offset
	case "w":
		return (4+i*s.N*7)*day + offset // from Monday, 1970-01-05
	case "y":
		return time.Date(1970+int(i*s.N), 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli() + offset
	}
	return time.Date(1970, 1+time.Month(i*s.N), 1, 0, 0, 0, 0, time.UTC).UnixMilli() + offset
}

// grid is the instants at which spans begin, from before t to behind it.
func (s Span) grid(loc *time.Location, offset, t, before, after int64) (out []int64) {
	if s.Unit == "h" {
		return s.hours(loc, offset, t-before-2*day, t+after+2*day)
	}
	length := map[string]int64{"d": day, "w": 7 * day, "mo": 28 * day, "y": 365 * day}[s.Unit] * s.N
	i := (t - before - 4*day) / length
	for i > 0 && first(loc, s.local(i, offset)) > t-before {
		i--
	}
	for ; ; i++ {
		at := first(loc, s.local(i, offset))
		if len(out) == 0 || at > out[len(out)-1] {
			out = append(out, at)
		}
		if at > t+after {
			return out
		}
	}
}

// walked remembers the grids of hours.
var walked = map[string][]int64{}

// hours is the moments at which the clock shows a multiple of the span, or
// jumps over one.
func (s Span) hours(loc *time.Location, offset, from, to int64) (out []int64) {
	from, to = from/(7*day)*7*day, (to/(7*day)+1)*7*day
	key := fmt.Sprint(loc, s, offset, from, to)
	if out, ok := walked[key]; ok {
		return out
	}
	step := s.N * 60 * minute
	was := shown(loc, from-minute)
	for t := from; t < to; t += minute {
		now := shown(loc, t)
		on := floor(now-offset, step)*step + offset // the last multiple
		if on == now || now > was && on > was {
			out = append(out, t)
		}
		was = now
	}
	walked[key] = out
	return out
}

// civil are the windows of a calendar that hold t.
func (w *Window) civil(t int64) (out [][2]int64) {
	loc, err := time.LoadLocation(w.Zone)
	if err != nil {
		panic(err)
	}
	reach := map[string]int64{"h": 60 * minute, "d": day, "w": 7 * day, "mo": 31 * day, "y": 366 * day}
	long := w.CivilSize.N*reach[w.CivilSize.Unit] + 3*day
	add := func(start, end int64) {
		if start <= t && t < end {
			out = append(out, [2]int64{start, end})
		}
	}
	sizes := w.CivilSize.grid(loc, w.Offset, t, long, 2*long)
	switch w.Type {
	case "tumbling":
		for i := range sizes[:len(sizes)-1] {
			add(sizes[i], sizes[i+1])
		}
	case "cumulate":
		steps := w.CivilBy.grid(loc, w.Offset, t, long, 2*long)
		for i := range sizes[:len(sizes)-1] {
			for _, end := range steps {
				if end > sizes[i] && end <= sizes[i+1] {
					add(sizes[i], end)
				}
			}
		}
	case "hopping":
		by := w.CivilBy
		if by.Unit == "h" { // so many steps of the clock
			n := w.CivilSize.N / by.N
			if w.CivilSize.Unit == "d" {
				n = w.CivilSize.N * 24 / by.N
			}
			cells := by.grid(loc, w.Offset, t, long, 2*long)
			for i := range cells[:len(cells)-int(n)] {
				add(cells[i], cells[i+int(n)])
			}
			break
		}
		length := reach[by.Unit] * by.N
		last := t/length + 3
		if by.Unit == "mo" {
			last = t/(28*day*by.N) + 3
		}
		for i := last; i >= 0; i-- {
			local := by.local(i, w.Offset)
			start := first(loc, local)
			if start < t-2*long {
				break
			}
			add(start, first(loc, w.CivilSize.behind(local)))
		}
	}
	return out
}

// behind is what the clock shows a span later.
func (s Span) behind(local int64) int64 {
	switch s.Unit {
	case "d":
		return local + s.N*day
	case "w":
		return local + 7*s.N*day
	case "y":
		return time.UnixMilli(local).UTC().AddDate(int(s.N), 0, 0).UnixMilli()
	}
	return time.UnixMilli(local).UTC().AddDate(0, int(s.N), 0).UnixMilli()
}
