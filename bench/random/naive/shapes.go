package naive

import (
	"maps"
	"slices"
	"strings"
)

// This file holds the steps that send rows on as they are, to one place or
// another: flat_map, branch, union, dedupe.

// Elem is the type of a list's elements.
func Elem(list string) string { return strings.Trim(list, "[]") }

// flatMap makes a row of each element of a list.
func (r *run) flatMap(s *Step, in *Relation) (*Relation, error) {
	out := *in
	out.Rows, out.Record, out.Cols = nil, false, slices.Clone(in.Cols)
	elem := Col{s.As, Elem(s.Unnest.Type)}
	if i := slices.IndexFunc(out.Cols, func(c Col) bool { return c.Name == s.As }); i >= 0 {
		out.Cols[i] = elem
	} else {
		out.Cols = append(out.Cols, elem)
	}
	if slices.Contains(in.PartKey, s.As) {
		out.PartKey = nil
	}
	for _, row := range in.Rows {
		v, err := s.Unnest.Eval(row.V)
		if err != nil {
			r.bad(s.Name, "expression")
			continue
		}
		list, _ := v.([]any)
		for _, x := range list {
			one := row
			one.V, one.Key = maps.Clone(row.V), nil
			delete(one.V, s.As)
			if x != nil {
				one.V[s.As] = x
			}
			out.Rows = append(out.Rows, one)
		}
	}
	return &out, nil
}

// branch sends each row to the first case that takes it.
func (r *run) branch(s *Step, in *Relation) (*Relation, error) {
	outs := make([][]Row, len(s.Cases)+1)
rows:
	for _, row := range in.Rows {
		for i, c := range s.Cases {
			v, err := c.When.Eval(row.V)
			if err != nil {
				r.bad(s.Name, "expression")
				continue rows
			}
			if v == true {
				outs[i] = append(outs[i], row)
				continue rows
			}
		}
		outs[len(s.Cases)] = append(outs[len(s.Cases)], row)
	}
	if in.Table {
		r.result.Loose[s.Name] = true
	}
	for i, c := range s.Cases {
		r.relations[c.As] = with(in, outs[i])
	}
	if s.Default != "" {
		r.relations[s.Default] = with(in, outs[len(s.Cases)])
	}
	return nil, nil
}

// union merges its inputs; columns that one lacks are null there.
func (r *run) union(s *Step, _ *Relation) (*Relation, error) {
	first := r.relations[s.Inputs[0]]
	out := *first
	out.Rows, out.Cols, out.Ordered, out.window = nil, nil, false, nil
	for _, name := range s.Inputs {
		in := r.relations[name]
		for _, c := range in.Cols {
			if !slices.Contains(out.Cols, c) {
				out.Cols = append(out.Cols, c)
			}
		}
		if !slices.Equal(in.PartKey, out.PartKey) || (in.PartKey == nil) != (out.PartKey == nil) {
			out.PartKey = nil
		}
		if in.Grouped != first.Grouped || !slices.Equal(in.Group, first.Group) {
			out.Grouped, out.Group = false, nil
		}
		out.Record = out.Record && in.Record
		out.Windowed = out.Windowed && in.Windowed
		out.Calm = out.Calm && in.Calm
		out.Moved = true
		for _, row := range in.Rows {
			if s.SourceName != "" {
				row.V = maps.Clone(row.V)
				row.V[s.SourceName] = name
			}
			out.Rows = append(out.Rows, row)
		}
	}
	if s.SourceName != "" {
		out.Cols = append(out.Cols, Col{s.SourceName, String})
	}
	if r.merges(s) {
		out.Rows, out.Ordered, out.Merged = merge(s.Inputs, out.Rows, r.relations), true, true
	}
	return &out, nil
}

// merges tells whether the inputs of a union are sources of one partition.
func (r *run) merges(s *Step) bool {
	for _, name := range s.Inputs {
		if r.spec.SourceOf(name) == nil {
			return false
		}
		for _, row := range r.relations[name].Rows {
			if row.Part > 0 {
				return false
			}
		}
	}
	return true
}

// merge puts the rows of sources, which stand one source after the other, into
// the order in which a task takes them: of the next rows of all the earliest,
// of equal ones that of the topic whose name is first.
func merge(inputs []string, rows []Row, relations map[string]*Relation) (out []Row) {
	next := map[string][]Row{}
	for _, name := range inputs {
		n := len(relations[name].Rows)
		next[name], rows = rows[:n], rows[n:]
	}
	names := slices.Sorted(maps.Keys(next))
	for {
		first := ""
		for _, name := range names {
			if len(next[name]) > 0 && (first == "" || next[name][0].Time < next[first][0].Time) {
				first = name
			}
		}
		if first == "" {
			return out
		}
		out = append(out, next[first][0])
		next[first] = next[first][1:]
	}
}

// dedupe lets the first row per key and time span through.
func (r *run) dedupe(s *Step, in *Relation) (*Relation, error) {
	out := *in
	out.Rows, out.PartKey, out.Record = nil, behind(s.Key, in), in.Record && Covered(s.Key, in)
	passed := map[string][]int64{}
rows:
	for _, row := range in.Rows {
		g := r.group(s, s.Key, row)
		if g == nil {
			continue
		}
		if row.Origin != Never && row.Time < row.Origin-s.Within {
			continue // late
		}
		key := keyText(g, names(s.Key))
		for _, t := range passed[key] {
			if row.Time-t <= s.Within && t-row.Time <= s.Within {
				continue rows
			}
		}
		passed[key] = append(passed[key], row.Time)
		if !out.Record {
			row.Key = nil
		}
		out.Rows = append(out.Rows, row)
	}
	return &out, nil
}
