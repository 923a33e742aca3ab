package operators

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/leatstream/leat/engine"
)

// detectTrial makes patterns of random steps. The model follows each row that
// may begin a match by itself to where it ends, then takes the matches in the
// order in which they are complete and leaves out those that skip forbids.
func detectTrial(x *verbTrial) {
	type step struct {
		kind   string // a row's, or any
		above  int    // it is greater than the row of this step; -1: none
		times  int
		absent bool
	}
	within := 2 + x.r.Int64N(15)
	var steps []step
	var pattern []string
	for n := range 1 + x.r.IntN(4) {
		s := step{kind: x.one("a", "b", "c", "any"), above: -1, times: 1 + max(0, x.r.IntN(5)-2), absent: n > 0 && x.r.IntN(3) == 0}
		text := fmt.Sprintf("s%d", n)
		if s.absent {
			s.times = 1
			text += " absent"
		} else {
			text += fmt.Sprintf(" %d times", s.times)
		}
		var where []string
		if s.kind != "any" {
			where = append(where, fmt.Sprintf("kind == %q", s.kind))
		}
		if before := x.r.IntN(n + 1); before < n && !steps[before].absent {
			s.above = before
			where = append(where, fmt.Sprintf("v > s%d.v", before))
		}
		if len(where) > 0 {
			text += " where " + strings.Join(where, " and ")
		}
		steps, pattern = append(steps, s), append(pattern, text)
	}
	overlap := x.r.IntN(2) == 0
	x.keys = map[string]string{"in": "u string, kind string, v int", "group": "u", "pattern": strings.Join(pattern, "; "), "within": fmt.Sprintf("%dms", within),
		"select": "u = u; from = started_at; first = s0.v"}
	if overlap {
		x.keys["skip"] = "none"
	}
	x.gen = func() []string { return []string{x.one("x", "y", "-"), x.one("a", "b", "c"), x.number(4)} }
	type match struct {
		key         string
		begin, last int // rows
		at          int64
		row         bool // complete with a row; else with its deadline
		from        int64
		first       string
	}
	x.model = func(past []happening) (out []string) {
		mark := engine.MinTime
		var rows []happening
		for _, h := range past {
			if h.watermark {
				mark = max(mark, h.time)
			} else if h.time >= max(h.origin, mark) && h.row[0] != "-" {
				rows = append(rows, h)
			}
		}
		slices.SortStableFunc(rows, func(a, b happening) int { return cmp.Compare(a.time, b.time) })
		rows = slices.DeleteFunc(rows, func(h happening) bool { return h.time >= mark })
		is := func(s step, h happening, had map[int]happening) bool {
			if s.kind != "any" && h.row[1] != s.kind {
				return false
			}
			if s.above < 0 {
				return true
			}
			v, isV := num(h.row[2])
			w, isW := num(had[s.above].row[2])
			return isV && isW && v > w
		}
		var all []match
		for b, h := range rows {
			m := match{key: h.row[0], begin: b, last: b, from: h.time}
			if !is(steps[0], h, nil) {
				continue
			}
			had := map[int]happening{0: h}
			at, count := 0, 1
			if steps[0].times == 1 {
				at, count = 1, 0
			}
			ended, over := false, false
			for i := b + 1; at < len(steps) && !ended && !over; i++ {
				if over = i == len(rows) || rows[i].time > h.time+within; over {
					// Its time is over: only absence may be left.
					ended = mark <= h.time+within || slices.ContainsFunc(steps[at:], func(s step) bool { return !s.absent })
					m.at = h.time + within
					break
				}
				if rows[i].row[0] != m.key {
					continue
				}
				next := at
				for next < len(steps) && steps[next].absent {
					next++
				}
				if next < len(steps) && is(steps[next], rows[i], had) {
					if next != at {
						at, count = next, 0
					}
					had[at], m.last = rows[i], i
					if count++; count == steps[at].times {
						at, count = at+1, 0
					}
					continue
				}
				for _, s := range steps[at:next] {
					ended = ended || is(s, rows[i], had)
				}
			}
			if at == len(steps) {
				m.at, m.row = rows[m.last].time, true
			}
			if !ended {
				m.first = shown(had[0].row[2])
				all = append(all, m)
			}
		}
		slices.SortStableFunc(all, func(a, b match) int {
			if c := cmp.Compare(a.at, b.at); c != 0 {
				return c
			}
			if a.row != b.row { // a deadline is behind the rows of its time
				return map[bool]int{true: -1, false: 1}[a.row]
			}
			if a.row {
				return cmp.Or(cmp.Compare(a.last, b.last), cmp.Compare(a.begin, b.begin))
			}
			return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(a.begin, b.begin))
		})
		cut := map[string]int{}
		for _, m := range all {
			if c, ok := cut[m.key]; ok && !overlap && m.begin <= c {
				continue
			}
			cut[m.key] = m.last
			out = append(out, "u="+m.key+" from="+seconds(m.from)+" first="+m.first+" @"+seconds(m.at)+" stamp "+seconds(m.at))
		}
		return out
	}
}
