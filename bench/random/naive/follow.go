package naive

import (
	"fmt"
	"slices"
	"sort"
)

// This file holds the windows that follow the rows: session, sliding, count.

// inclusive tells whether a row that came at origin is late for a window with
// an inclusive end.
func (w *Window) inclusive(end, origin int64) bool { return origin != Never && end < origin-w.Grace }

// byKey gives the entries of each group, in order of arrival.
func byKey(entries []entry) (keys []string, of map[string][]entry) {
	of = map[string][]entry{}
	for _, e := range entries {
		if of[e.key] == nil {
			keys = append(keys, e.key)
		}
		of[e.key] = append(of[e.key], e)
	}
	return keys, of
}

// sessions puts the rows of a key together that are at most gap apart. A row
// meets the sessions that its own partition has not closed; judged with them
// it may be late.
func (r *run) sessions(s *Step, entries []entry) (out []*bucket, late []entry) {
	w := s.Window
	keys, of := byKey(entries)
	for _, key := range keys {
		var all []*bucket
		for _, e := range of[key] {
			t := e.row.Time
			now := &bucket{group: e.group, start: t, end: t, inclusive: true, rows: []entry{e}}
			var rest []*bucket
			for _, b := range all {
				if t < b.start-w.Gap || t > b.end+w.Gap || w.inclusive(b.end+w.Gap, e.row.Origin) {
					rest = append(rest, b)
					continue
				}
				now.start, now.end = min(now.start, b.start), max(now.end, b.end)
				now.rows = append(now.rows, b.rows...)
			}
			if w.inclusive(now.end+w.Gap, e.row.Origin) {
				late = append(late, e)
				continue
			}
			sort.SliceStable(now.rows, func(i, j int) bool { return now.rows[i].seq < now.rows[j].seq })
			all = append(rest, now)
		}
		out = append(out, all...)
	}
	sort.SliceStable(out, func(i, j int) bool { return out[i].end < out[j].end })
	return out, late
}

// sliding makes the windows [t-size, t] of all rows and, where they are not
// empty, [t+1, t+1+size]; trailing makes the first kind once for each row.
func (r *run) sliding(s *Step, entries []entry) (out []*bucket, late []entry) {
	w := s.Window
	keys, of := byKey(entries)
	for _, key := range keys {
		var rows []entry
		for _, e := range of[key] {
			if w.inclusive(e.row.Time+w.Size, e.row.Origin) {
				late = append(late, e)
				continue
			}
			rows = append(rows, e)
		}
		if w.Trailing && !s.Update {
			out = append(out, s.trailing(rows)...)
			continue
		}
		var ends []int64
		for _, e := range rows {
			// A row that is late for its own window makes none.
			if left := max(e.row.Time, w.Size); !w.inclusive(left, e.row.Origin) {
				ends = append(ends, left)
			}
			if !w.Trailing {
				ends = append(ends, e.row.Time+1+w.Size)
			}
		}
		slices.Sort(ends)
		ends = slices.Compact(ends)
		for _, end := range ends {
			b := &bucket{start: end - w.Size, end: end, inclusive: true}
			for _, e := range rows {
				if e.row.Time >= b.start && e.row.Time <= b.end && !w.inclusive(end, e.row.Origin) {
					b.group, b.rows = e.group, append(b.rows, e)
				}
			}
			if len(b.rows) > 0 {
				out = append(out, b)
			}
		}
	}
	sort.SliceStable(out, func(i, j int) bool { return out[i].end < out[j].end })
	return out, late
}

// trailing makes the window [t-size, t] of each row, as it comes once the
// watermark is at t: a row that comes when it is there already has a result of
// its own at once, and is in none before it.
func (s *Step) trailing(rows []entry) (out []*bucket) {
	w := s.Window
	closed := func(e entry) int64 { // windows that end before it are closed for the row
		if e.row.Origin == Never {
			return Never
		}
		return e.row.Origin - w.Grace
	}
	for _, own := range rows {
		end := own.row.Time
		if closed(own) > end {
			continue
		}
		b := &bucket{group: own.group, start: end - w.Size, end: end, inclusive: true}
		for _, e := range rows {
			at := closed(e) == end && e.row.Time == end && e.seq <= own.seq
			if e.row.Time >= b.start && e.row.Time <= end && (closed(e) < end || at) {
				b.rows = append(b.rows, e)
			}
		}
		out = append(out, b)
	}
	return out
}

// counts takes the last rows of a key as of the last result that was due.
func (r *run) counts(s *Step, entries []entry) (out []*bucket) {
	w := s.Window
	every := max(1, w.Every)
	keys, of := byKey(entries)
	for _, key := range keys {
		rows := of[key]
		n := len(rows) / every * every
		if n == 0 || w.Full && n < w.Rows {
			continue
		}
		out = append(out, &bucket{group: rows[0].group, rows: rows[max(0, n-w.Rows):n]})
	}
	return out
}

// same takes the windows that rows carry.
func (r *run) same(entries []entry) []*bucket {
	found := map[string]*bucket{}
	for _, e := range entries {
		start, _ := e.row.V["window_start"].(int64)
		end, _ := e.row.V["window_end"].(int64)
		k := fmt.Sprintf("%s%d %d", e.key, start, end)
		if found[k] == nil {
			found[k] = &bucket{group: e.group, start: start, end: end}
		}
		found[k].rows = append(found[k].rows, e)
	}
	return ordered(found)
}
