package naive

import (
	"maps"
	"slices"
	"sort"
)

// reduce folds the rows of a key, one after the other, into its state.
func (r *run) reduce(s *Step, in *Relation) (*Relation, error) {
	out := &Relation{Group: names(s.Group), Grouped: true, Table: true, PartKey: behind(s.Group, in)}
	for _, g := range s.Group {
		out.Cols = append(out.Cols, Col{g.Name, g.Expr.Type})
	}
	out.Cols = append(out.Cols, s.State...)
	rows := slices.Clone(in.Rows)
	if s.ByTime {
		sort.SliceStable(rows, func(i, j int) bool { return rows[i].Time < rows[j].Time })
	}
	states, groups := map[string]map[string]any{}, map[string]map[string]any{}
	newest, came, part := map[string]int64{}, map[string]int64{}, map[string]int{}
	out.Fading = s.TTL > 0
	for _, row := range rows {
		g := r.group(s, s.Group, row)
		if g == nil {
			continue
		}
		key := keyText(g, out.Group)
		groups[key], part[key], came[key] = g, row.Part, row.Origin
		passed := row.Time
		if !s.ByTime {
			passed = max(passed, row.Origin)
		}
		if s.TTL > 0 && states[key] != nil && passed > newest[key]+s.TTL {
			delete(states, key)
		}
		if states[key] == nil {
			newest[key] = row.Time
		}
		newest[key] = max(newest[key], row.Time)
		now, keep, err := s.fold(row.V, states[key])
		switch {
		case err != nil:
			r.bad(s.Name, "expression")
		case keep:
			states[key] = now
		default:
			delete(states, key)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(states)) {
		if states[key] == nil {
			continue
		}
		v := maps.Clone(groups[key])
		maps.Copy(v, states[key])
		row := Row{V: v, Origin: Never}
		if s.TTL > 0 {
			gone, maybe := r.faded(s, in, newest[key], came[key], part[key])
			if gone {
				continue
			}
			row.Maybe = maybe
		}
		out.Rows = append(out.Rows, row)
	}
	return out, nil
}

// fold gives the state after a row; state nil is none.
func (s *Step) fold(row, state map[string]any) (now map[string]any, keep bool, err error) {
	before := state
	if before == nil {
		if before, err = assign(s.Init, row); err != nil {
			return nil, false, err
		}
		s.typed(before)
	}
	env := maps.Clone(row)
	for k, v := range before {
		env["state."+k] = v
	}
	for _, f := range s.Folds {
		if f.When != nil {
			ok, err := f.When.Eval(env)
			if err != nil {
				return nil, false, err
			}
			if ok != true {
				continue
			}
		}
		if f.Delete {
			return nil, false, nil
		}
		set, err := assign(f.Set, env)
		if err != nil {
			return nil, false, err
		}
		now = maps.Clone(before)
		for _, a := range f.Set {
			delete(now, a.Name)
		}
		s.typed(set)
		maps.Copy(now, set)
		return now, true, nil
	}
	return state, state != nil, nil
}

// typed makes doubles of ints where the state's column is one.
func (s *Step) typed(v map[string]any) {
	for _, c := range s.State {
		if n, ok := v[c.Name].(int64); ok && c.Type == Double {
			v[c.Name] = float64(n)
		}
	}
}
