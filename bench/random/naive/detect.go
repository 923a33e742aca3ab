package naive

import (
	"maps"
	"slices"
	"sort"
)

// attempt is a sequence that has begun: the rows that its steps have taken.
type attempt struct {
	step, count   int
	start, last   int // places in the order of rows
	at            int64
	taken         map[string]map[string]any // of each step, its last row
	done, dropped bool
}

// DetectCols are what the conditions of a pattern may read once the steps have
// taken rows: the row's columns, and each step's behind its name.
func DetectCols(cols []Col, steps []Pattern) []Col {
	out := slices.Clone(cols)
	for _, p := range steps {
		if p.Absent {
			continue
		}
		for _, c := range cols {
			out = append(out, Col{p.As + "." + c.Name, c.Type})
		}
	}
	return out
}

// MatchCols are what select may read.
func (s *Step) MatchCols(cols []Col) []Col {
	var out []Col
	for _, g := range s.Group {
		out = append(out, Col{g.Name, g.Expr.Type})
	}
	out = append(out, Col{"started_at", Time}, Col{"matched_at", Time})
	return append(out, DetectCols(cols, s.Patterns)[len(cols):]...)
}

// detect finds sequences in the rows of each group, in order of event time.
func (r *run) detect(s *Step, in *Relation) (*Relation, error) {
	out := &Relation{Group: names(s.Group), Grouped: true, PartKey: behind(s.Group, in), Calm: true, Water: in.Water}
	if s.Select == nil {
		out.Cols = s.MatchCols(in.Cols)[:len(s.Group)+2]
	}
	for _, a := range s.Select {
		out.Cols = append(out.Cols, Col{a.Name, a.Expr.Type})
	}
	rows := slices.Clone(in.Rows)
	sort.SliceStable(rows, func(i, j int) bool { return rows[i].Time < rows[j].Time })
	of, groups := map[string][]Row{}, map[string]map[string]any{}
rows:
	for _, row := range rows {
		if row.Origin != Never && row.Time < row.Origin {
			continue // late
		}
		g := r.group(s, s.Group, row)
		if g == nil {
			continue
		}
		for _, p := range s.Patterns {
			// A condition that reads only the row is asked once.
			if _, err := p.Where.Eval(row.V); err != nil {
				r.bad(s.Name, "expression")
				continue rows
			}
		}
		key := keyText(g, out.Group)
		of[key], groups[key] = append(of[key], row), g
	}
	for _, key := range slices.Sorted(maps.Keys(of)) {
		for _, m := range s.matches(of[key]) {
			env := maps.Clone(groups[key])
			env["started_at"], env["matched_at"] = of[key][m.start].Time, m.at
			for as, v := range m.taken {
				for c, x := range v {
					env[as+"."+c] = x
				}
			}
			row := Row{V: env, Time: m.at, Stamp: m.at, Origin: Never}
			if s.Select != nil {
				v, err := assign(s.Select, env)
				if err != nil {
					r.bad(s.Name, "expression")
					continue
				}
				row.V = v
			} else {
				row.V = map[string]any{}
				for _, c := range out.Cols {
					if x := env[c.Name]; x != nil {
						row.V[c.Name] = x
					}
				}
			}
			out.Rows = append(out.Rows, row)
		}
	}
	for _, g := range out.Group {
		if out.Type(g) == "" {
			out.Group, out.PartKey = nil, nil
			break
		}
	}
	return out, nil
}

// matches are the sequences in the rows of one group, which are in order.
func (s *Step) matches(rows []Row) (found []*attempt) {
	var all []*attempt
	// end ends those whose time is over before t: what waits for nothing but
	// absence has happened.
	end := func(over func(start int64) bool) {
		for _, a := range all {
			if a.done || a.dropped || !over(rows[a.start].Time) {
				continue
			}
			a.dropped = true
			if slices.ContainsFunc(s.Patterns[a.step:], func(p Pattern) bool { return !p.Absent }) {
				continue
			}
			a.done, a.at = true, rows[a.start].Time+s.Within
			found = append(found, a)
			if !s.SkipNone {
				for _, o := range all {
					if !o.done && o.start <= a.last {
						o.dropped = true
					}
				}
			}
		}
	}
	for i, row := range rows {
		end(func(start int64) bool { return start+s.Within < row.Time })
		begun := all
		complete := false
		for _, a := range begun {
			if a.done || a.dropped {
				continue
			}
			s.offer(a, i, row)
			if !a.done {
				continue
			}
			a.at = row.Time
			found = append(found, a)
			if !s.SkipNone {
				complete = true
				break
			}
		}
		if complete {
			for _, o := range all {
				o.dropped = true
			}
			continue
		}
		if !s.takes(&s.Patterns[0], row, nil) {
			continue
		}
		a := &attempt{start: i, taken: map[string]map[string]any{}}
		s.put(a, 0, i, row)
		if a.done {
			a.at = row.Time
			found = append(found, a)
			if !s.SkipNone {
				continue
			}
		}
		all = append(all, a)
	}
	end(func(int64) bool { return true })
	return found
}

// takes tells whether a step takes a row, seeing what those before have taken.
func (s *Step) takes(p *Pattern, row Row, taken map[string]map[string]any) bool {
	env := maps.Clone(row.V)
	for as, v := range taken {
		for c, x := range v {
			env[as+"."+c] = x
		}
	}
	v, err := p.Where.Eval(env)
	return err == nil && v == true
}

// offer gives a row to an attempt: to the next step that is not absent, else to
// the absent ones before it, which end it.
func (s *Step) offer(a *attempt, i int, row Row) {
	next := a.step
	for next < len(s.Patterns) && s.Patterns[next].Absent {
		next++
	}
	if next < len(s.Patterns) && s.takes(&s.Patterns[next], row, a.taken) {
		s.put(a, next, i, row)
		return
	}
	for k := a.step; k < next; k++ {
		if s.takes(&s.Patterns[k], row, a.taken) {
			a.dropped = true
		}
	}
}

// put makes a row one of a step's.
func (s *Step) put(a *attempt, k, i int, row Row) {
	if a.step != k {
		a.step, a.count = k, 0
	}
	a.count++
	a.last = i
	a.taken[s.Patterns[k].As] = row.V
	if a.count >= max(1, s.Patterns[k].Times) {
		a.step, a.count = k+1, 0
	}
	a.done = a.step == len(s.Patterns)
}
