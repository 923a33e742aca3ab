package naive

import (
	"maps"
	"slices"
)

// Lift is one step of an upcast.
type Lift struct {
	From int64
	Set  []Assign
	Drop []string
}

// lifted are the columns of an upcast's rows, while it works and behind it.
func (s *Step) lifted(cols []Col) (work, out []Col) {
	work = slices.Clone(cols)
	dropped := map[string]bool{}
	for _, l := range s.Lifts {
		for _, a := range l.Set {
			delete(dropped, a.Name)
			if !slices.ContainsFunc(work, func(c Col) bool { return c.Name == a.Name }) {
				work = append(work, Col{a.Name, a.Expr.Type})
			}
		}
		for _, name := range l.Drop {
			dropped[name] = true
		}
	}
	return work, slices.DeleteFunc(slices.Clone(work), func(c Col) bool { return dropped[c.Name] })
}

// upcast lifts rows of old versions to the newest, version by version.
func (r *run) upcast(s *Step, in *Relation) (*Relation, error) {
	out := *in
	_, cols := s.lifted(in.Cols)
	out.Cols, out.Rows = cols, nil
	kept := map[string]string{}
	for _, c := range cols {
		kept[c.Name] = c.Name
	}
	for _, l := range s.Lifts {
		for _, a := range l.Set {
			delete(kept, a.Name)
		}
	}
	if s.Version.Op == "col" {
		delete(kept, s.Version.Name)
	}
	out.PartKey = renames(in.PartKey, kept)
	newest := s.Lifts[len(s.Lifts)-1].From + 1
rows:
	for _, row := range in.Rows {
		x, err := s.Version.Eval(row.V)
		version, ok := x.(int64)
		known := version == newest || slices.ContainsFunc(s.Lifts, func(l Lift) bool { return l.From == version })
		if err != nil || !ok || !known {
			r.bad(s.Name, "expression")
			continue
		}
		v := maps.Clone(row.V)
		for _, l := range s.Lifts {
			if version > l.From {
				continue
			}
			set, err := assign(l.Set, v)
			if err != nil {
				r.bad(s.Name, "expression")
				continue rows
			}
			for _, a := range l.Set {
				delete(v, a.Name)
			}
			maps.Copy(v, set)
		}
		if s.Version.Op == "col" {
			v[s.Version.Name] = newest
		}
		row.V = map[string]any{}
		for _, c := range cols {
			if x := v[c.Name]; x != nil {
				row.V[c.Name] = x
			}
		}
		out.Rows = append(out.Rows, row)
	}
	return &out, nil
}
