package operators

import (
	"time"

	"github.com/leatstream/leat/operators/expr"
)

// Quiet says when people are not told, and what becomes of what they would have
// been told. Whether it is quiet is decided by the event time of the row, never
// by the clock: a replay decides as the first run did.
type Quiet struct {
	Spans []QuietSpan
	// Drop: what begins and ends while it is quiet is not told at all. Else it
	// waits for the end.
	Drop bool
	// Through are rows that are told all the same; nil: those of FromLevel and
	// above (0 < FromLevel), or none.
	Through   *expr.Program
	FromLevel int // of AlertLevels
}

// QuietSpan is a span of each day's civil time.
type QuietSpan struct {
	From, To time.Duration // since midnight; To at or before From: of the day after
	Days     [7]bool       // the days on which it begins, by time.Weekday
	Zone     *time.Location
}

// around gives the end of the span that t lies in, epoch ms; false: in none.
func (s QuietSpan) around(t int64) (end int64, ok bool) {
	at := time.UnixMilli(t).In(s.Zone)
	for _, back := range []int{0, 1} { // of today, and of yesterday's evening
		day := time.Date(at.Year(), at.Month(), at.Day()-back, 12, 0, 0, 0, s.Zone)
		if !s.Days[day.Weekday()] {
			continue
		}
		over := 0
		if s.To <= s.From {
			over = 1
		}
		if begin, end := clockTime(day, 0, s.From), clockTime(day, over, s.To); begin <= t && t < end {
			return end, true
		}
	}
	return 0, false
}

// clockTime is when clocks show a time of a day, epoch ms: across a change of
// clocks it is what time.Date makes of it.
func clockTime(day time.Time, more int, since time.Duration) int64 {
	minutes := int(since / time.Minute)
	return time.Date(day.Year(), day.Month(), day.Day()+more, minutes/60, minutes%60, 0, 0, day.Location()).UnixMilli()
}

// longestQuiet is what spans one after the other may come to: above it they
// never end.
const longestQuiet = int64(8 * 24 * time.Hour / time.Millisecond)

// End tells whether t is quiet, and until when: spans that touch are one.
func (q *Quiet) End(t int64) (end int64, quiet bool) {
	if q == nil {
		return t, false
	}
	for end = t; end-t < longestQuiet; {
		next := end
		for _, s := range q.Spans {
			if e, ok := s.around(end); ok {
				next = max(next, e)
			}
		}
		if next == end {
			break
		}
		end, quiet = next, true
	}
	return end, quiet
}

// Endless tells whether the spans leave no time at all.
func (q *Quiet) Endless() bool {
	monday := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()
	end, _ := q.End(monday)
	return end-monday >= longestQuiet
}
