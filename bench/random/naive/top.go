package naive

import (
	"fmt"
	"maps"
	"slices"
	"sort"
)

// top keeps the rows of each group, and window, that come first.
func (r *run) top(s *Step, in *Relation) (*Relation, error) {
	own := s.Window != nil && s.Window.Type != "same"
	out := &Relation{Grouped: true, PartKey: behind(s.Group, in), Windowed: s.Window != nil, Table: in.Table || s.Window == nil}
	if in.Table {
		r.result.Loose[s.Name] = true
	}
	for _, c := range in.Cols {
		if !own || c.Name != "window_start" && c.Name != "window_end" && c.Name != "final" {
			out.Cols = append(out.Cols, c)
		}
	}
	if own {
		out.Cols = append(out.Cols, Col{"window_start", Time}, Col{"window_end", Time})
		out.window = s.Window
	} else if s.Window != nil && !out.Table {
		out.window = in.window
	}
	out.Cols = append(out.Cols, Col{"rank", Int})
	out.Group = s.topKey(in, out)
	type ranked struct {
		row Row
		by  any
		seq int
	}
	type list struct {
		start, end int64
		rows       []ranked
	}
	lists := map[string]*list{}
	for i, row := range in.Rows {
		g := r.group(s, s.Group, row)
		if g == nil {
			continue
		}
		by, err := s.By.Eval(row.V)
		if err != nil {
			r.bad(s.Name, "expression")
			continue
		}
		windows := [][2]int64{{0, 0}}
		if own {
			windows = slices.DeleteFunc(s.Window.bounds(row.Time), func(w [2]int64) bool { return s.Window.late(w[1], row.Origin) })
		} else if s.Window != nil {
			windows = [][2]int64{{row.V["window_start"].(int64), row.V["window_end"].(int64)}}
		}
		for _, w := range windows {
			key := fmt.Sprintf("%s%d %d", keyText(g, names(s.Group)), w[0], w[1])
			if lists[key] == nil {
				lists[key] = &list{start: w[0], end: w[1]}
			}
			lists[key].rows = append(lists[key].rows, ranked{row, by, i})
		}
	}
	keys := slices.Sorted(maps.Keys(lists))
	sort.SliceStable(keys, func(i, j int) bool { return lists[keys[i]].end < lists[keys[j]].end })
	for _, key := range keys {
		l := lists[key]
		order := func(a, b ranked) int {
			return nullsLast(a.by, b.by, s.Ascending)
		}
		sort.SliceStable(l.rows, func(i, j int) bool {
			a, b := l.rows[i], l.rows[j]
			if c := order(a, b); c != 0 {
				return c < 0
			}
			for _, k := range in.Identity() {
				if c := nullsLast(a.row.V[k], b.row.V[k], true); c != 0 {
					return c < 0
				}
			}
			return a.seq < b.seq
		})
		rank := 0
		for i, x := range l.rows {
			tie := s.Ties && i > 0 && order(x, l.rows[i-1]) == 0
			if !tie {
				rank = i + 1
			}
			if rank > s.K || i >= s.K && !tie {
				break
			}
			row := x.row
			row.V = maps.Clone(row.V)
			row.V["rank"] = int64(rank)
			if own {
				delete(row.V, "final")
				row.V["window_start"], row.V["window_end"] = l.start, l.end
			}
			if s.Window != nil {
				row.Time = l.end - 1
			}
			row.Origin = Never
			out.Rows = append(out.Rows, row)
		}
	}
	return out, nil
}

// Identity is the columns that tell two rows apart.
func (r *Relation) Identity() []string {
	if !r.Grouped || r.Group == nil {
		return nil
	}
	if r.Windowed {
		return append(slices.Clone(r.Group), "window_start", "window_end")
	}
	return r.Group
}

// topKey is the columns that tell the rows of a top apart, but for the window.
func (s *Step) topKey(in, out *Relation) []string {
	key := []string{}
	add := func(name string) {
		if !slices.Contains(key, name) && out.Type(name) != "" && name != "window_start" && name != "window_end" {
			key = append(key, name)
		}
	}
	for _, g := range s.Group {
		if g.Expr.Op == "col" {
			add(g.Expr.Name)
		}
	}
	if !in.Table {
		add("rank")
		return key
	}
	for _, k := range in.Group {
		add(k)
	}
	return key
}

// nullsLast orders two values, nulls last whichever way round.
func nullsLast(x, y any, ascending bool) int {
	switch {
	case x == nil && y == nil:
		return 0
	case x == nil:
		return 1
	case y == nil:
		return -1
	case ascending:
		return Compare(x, y)
	}
	return Compare(y, x)
}
