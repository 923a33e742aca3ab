package naive

import (
	"fmt"
	"maps"
	"slices"
	"sort"
)

// MaxFuture is how far ahead of its record's timestamp a row's event time may
// be by default, ms.
const MaxFuture = 30 * 60_000

// Calm is a disorder, ms, that no generated row exceeds.
const Calm = 24 * 60 * 60_000

// run is one computation: what names stand for so far, and what went wrong.
type run struct {
	spec      *Spec
	relations map[string]*Relation
	result    *Result
	latest    int64 // no watermark gets further, before the end of input
}

// steps are the functions of the transforms.
var steps = map[string]func(*run, *Step, *Relation) (*Relation, error){
	"filter":    (*run).filter,
	"map":       (*run).mapped,
	"rekey":     (*run).rekey,
	"aggregate": (*run).aggregate,
	"flat_map":  (*run).flatMap,
	"branch":    (*run).branch,
	"union":     (*run).union,
	"dedupe":    (*run).dedupe,
	"reduce":    (*run).reduce,
	"top":       (*run).top,
	"join":      (*run).join,
	"upcast":    (*run).upcast,
	"detect":    (*run).detect,
}

// Run computes what the sinks must end up with: records are those of each
// source, in offset order per partition.
func Run(spec *Spec, records map[string][]Record) (*Result, error) {
	r := &run{spec: spec, latest: Never, relations: map[string]*Relation{}, result: &Result{Sinks: map[string]*Output{}, Dead: map[string]int{}, Loose: map[string]bool{}}}
	if err := r.all(records); err != nil {
		return nil, err
	}
	for _, s := range spec.Sinks {
		in := r.relations[s.Input]
		if in == nil {
			return nil, fmt.Errorf("sink %s reads %q, which is not there", s.Name, s.Input)
		}
		r.result.Sinks[s.Name] = r.sink(s, in)
	}
	return r.result, nil
}

// all computes what every name stands for.
func (r *run) all(records map[string][]Record) error {
	for _, s := range r.spec.Sources {
		r.relations[s.Name] = r.source(s, records[s.Name])
	}
	for _, s := range r.spec.Steps {
		step, ok := steps[s.Type]
		if !ok {
			return fmt.Errorf("no step of type %q", s.Type)
		}
		in := r.relations[s.Input]
		if in == nil && s.Type != "union" {
			return fmt.Errorf("step %s reads %q, which is not there", s.Name, s.Input)
		}
		// How often a changing row fails is a matter of batches.
		r.result.Loose[s.Name] = in != nil && in.Table
		out, err := step(r, s, in)
		if err != nil {
			return fmt.Errorf("step %s: %w", s.Name, err)
		}
		if out != nil {
			r.relations[s.Name] = out
		}
	}
	return nil
}

// bad counts a row of a step that went wrong.
func (r *run) bad(step, stage string) { r.result.Dead[step+"/"+stage]++ }

// source reads the records of a source: what decodes and has a time.
func (r *run) source(s *Source, records []Record) *Relation {
	if s.Table {
		return r.table(s, records)
	}
	out := &Relation{Cols: s.Cols, Record: true, PartKey: s.Key, Ordered: true, Calm: s.Tidy || s.Disorder > Calm}
	water, greatest := map[int]int64{}, map[int]int64{}
	records = slices.Clone(records)
	sort.SliceStable(records, func(i, j int) bool { return records[i].Part < records[j].Part })
	for _, rec := range records {
		if w, heard := water[rec.Part]; heard && s.CloseAfter > 0 && rec.Lull >= s.CloseAfter {
			water[rec.Part] = max(w, greatest[rec.Part]-s.Disorder+rec.Lull)
		}
		if rec.Bad {
			r.bad(s.Name, "decode")
			continue
		}
		if rec.Value == nil {
			continue
		}
		at := rec.Time
		if s.EventTime != "" {
			v, ok := rec.Value[s.EventTime].(int64)
			if !ok || v < 0 || v > rec.Time+MaxFuture {
				r.bad(s.Name, "event_time")
				continue
			}
			at = v
		}
		origin, heard := water[rec.Part]
		if !heard {
			origin = Never
		}
		if w := at - s.Disorder; !heard || w > origin {
			water[rec.Part] = w
		}
		if before, heard := greatest[rec.Part]; !heard || at > before {
			greatest[rec.Part] = at
		}
		out.Rows = append(out.Rows, Row{V: noNulls(rec.Value), Time: at, Origin: origin, Stamp: at, Part: rec.Part, Off: rec.Off, Key: rec.Key})
	}
	if s.CloseAfter > 0 && r.spec.Rest >= s.CloseAfter {
		for p, w := range water {
			water[p] = max(w, greatest[p]-s.Disorder+r.spec.Rest)
		}
	}
	out.Water = water
	for _, w := range water {
		r.latest = max(r.latest, w)
	}
	return out
}

// table is the newest row per key of a topic: the one that came last, or with
// a history the one of the greatest event time.
func (r *run) table(s *Source, records []Record) *Relation {
	out := &Relation{Cols: s.Cols, Table: true, Group: s.Key, Grouped: true, PartKey: s.Key, History: s.History, Calm: true}
	newest := map[string]Row{} // without a value: the key was deleted
	parts := map[int]*memory{}
	for _, rec := range records {
		if rec.Bad {
			r.bad(s.Name, "decode")
			continue
		}
		if rec.Key == nil {
			continue
		}
		row := Row{Time: rec.Time, KeyV: rec.KeyV, Key: rec.Key}
		if rec.Value != nil {
			at := rec.Time
			if s.EventTime != "" {
				v, ok := rec.Value[s.EventTime].(int64)
				if !ok || v < 0 || v > rec.Time+MaxFuture {
					r.bad(s.Name, "event_time")
					continue
				}
				at = v
			}
			row = Row{V: noNulls(rec.Value), Time: at, Stamp: at, Origin: Never, Part: rec.Part, Off: rec.Off, Key: rec.Key}
			row.KeyV = row.V
		}
		if s.History > 0 {
			if parts[rec.Part] == nil {
				parts[rec.Part] = &memory{now: Never, before: Never, gone: map[string]int64{}}
			}
			m := parts[rec.Part]
			for _, k := range m.forget(s.History) {
				delete(newest, k)
			}
			m.now = max(m.now, row.Time)
			was, known := newest[*rec.Key]
			if !known && row.Time < m.before {
				continue // it may have been deleted
			}
			older := known && row.Time < was.Time
			if !older || !s.Broadcast { // copies are told what changes the newest row
				out.Versions = append(out.Versions, row)
			}
			if older {
				continue
			}
			delete(m.gone, *rec.Key)
			if row.V == nil {
				m.gone[*rec.Key] = row.Time
			}
		}
		newest[*rec.Key] = row
	}
	for _, k := range slices.Sorted(maps.Keys(newest)) {
		if newest[k].V != nil {
			out.Rows = append(out.Rows, newest[k])
		}
	}
	return out
}

// memory is what a partition of a table with a history knows of deletions.
type memory struct {
	now    int64            // the greatest event time so far
	before int64            // the greatest time of a deletion that was forgotten
	gone   map[string]int64 // when keys were deleted
}

// forget lets go of deletions that are older than a history.
func (m *memory) forget(history int64) (keys []string) {
	for k, at := range m.gone {
		if at <= m.now-history && m.now != Never {
			m.before = max(m.before, at)
			delete(m.gone, k)
			keys = append(keys, k)
		}
	}
	return keys
}

func noNulls(v map[string]any) map[string]any {
	out := maps.Clone(v)
	maps.DeleteFunc(out, func(_ string, x any) bool { return x == nil })
	return out
}

// with is a relation like in, with other rows.
func with(in *Relation, rows []Row) *Relation {
	out := *in
	out.Rows = rows
	return &out
}

// filter keeps the rows where the expression is true.
func (r *run) filter(s *Step, in *Relation) (*Relation, error) {
	var rows []Row
	for _, row := range in.Rows {
		v, err := s.Where.Eval(row.V)
		if err != nil {
			r.bad(s.Name, "expression")
			continue
		}
		if v == true {
			rows = append(rows, row)
		}
	}
	return with(in, rows), nil
}

// assign computes columns over a row as it came in.
func assign(list []Assign, v map[string]any) (map[string]any, error) {
	out := map[string]any{}
	for _, a := range list {
		x, err := a.Expr.Eval(v)
		if err != nil {
			return nil, err
		}
		if x != nil {
			out[a.Name] = x
		}
	}
	return out, nil
}

// shape is the columns that set, select and drop leave of cols, and where
// columns that only changed their names come from.
func shape(s *Step, cols []Col) (out []Col, renamed map[string]string) {
	renamed = map[string]string{}
	note := func(a Assign) Col {
		if a.Expr.Op == "col" && renamed[a.Expr.Name] != a.Expr.Name {
			renamed[a.Expr.Name] = a.Name
		}
		return Col{a.Name, a.Expr.Type}
	}
	if s.Select != nil {
		for _, a := range s.Select {
			out = append(out, note(a))
		}
		return out, renamed
	}
	set := map[string]Assign{}
	for _, a := range s.Set {
		set[a.Name] = a
	}
	for _, c := range cols {
		if slices.Contains(s.Drop, c.Name) {
			continue
		}
		if a, ok := set[c.Name]; ok {
			out = append(out, note(a))
			delete(set, c.Name)
			continue
		}
		renamed[c.Name] = c.Name
		out = append(out, c)
	}
	for _, a := range s.Set {
		if _, left := set[a.Name]; left {
			out = append(out, note(a))
		}
	}
	return out, renamed
}

func renames(names []string, to map[string]string) []string {
	if names == nil {
		return nil
	}
	out := []string{}
	for _, n := range names {
		if to[n] == "" {
			return nil
		}
		out = append(out, to[n])
	}
	return out
}

// mapped computes set, select and drop.
func (r *run) mapped(s *Step, in *Relation) (*Relation, error) {
	out := *in
	cols, renamed := shape(s, in.Cols)
	out.Cols, out.PartKey, out.Rows = cols, renames(in.PartKey, renamed), nil
	if in.Grouped {
		out.Group = renames(in.Group, renamed)
	}
	out.Windowed = in.Windowed && out.Type("window_start") != "" && out.Type("window_end") != ""
	for _, row := range in.Rows {
		v, err := reshape(s, cols, row.V, row.V)
		if err != nil {
			r.bad(s.Name, "expression")
			continue
		}
		row.V = v
		out.Rows = append(out.Rows, row)
	}
	return &out, nil
}

// reshape applies set, select and drop to the columns base of a row.
func reshape(s *Step, cols []Col, base, v map[string]any) (map[string]any, error) {
	list := s.Set
	out := map[string]any{}
	if s.Select != nil {
		list = s.Select
	} else {
		for _, c := range cols {
			if x := base[c.Name]; x != nil {
				out[c.Name] = x
			}
		}
	}
	set, err := assign(list, v)
	if err != nil {
		return nil, err
	}
	for _, a := range list {
		delete(out, a.Name)
	}
	maps.Copy(out, set)
	return out, nil
}

// rekey computes a new key; rows whose key is one null column are dropped.
func (r *run) rekey(s *Step, in *Relation) (*Relation, error) {
	out := *in
	out.Rows, out.Record, out.Moved = nil, false, true
	out.Cols = slices.Clone(in.Cols)
	var key []string
	for _, a := range s.Key {
		key = append(key, a.Name)
		if a.Expr.Op != "col" {
			out.Cols = append(out.Cols, Col{a.Name, a.Expr.Type})
		}
	}
	out.PartKey = key
	if !in.Grouped {
		out.Group, out.Grouped = key, true
	}
	for _, row := range in.Rows {
		k, err := assign(s.Key, row.V)
		if err != nil {
			r.bad(s.Name, "expression")
			continue
		}
		if len(key) == 1 && k[key[0]] == nil {
			continue
		}
		row.V = maps.Clone(row.V)
		maps.Copy(row.V, k)
		row.Key = nil
		out.Rows = append(out.Rows, row)
	}
	return &out, nil
}

// sink is what a sink must end up with.
func (r *run) sink(s *Sink, in *Relation) *Output {
	out := &Output{Relation: *in}
	out.Cols = slices.DeleteFunc(slices.Clone(in.Cols), func(c Col) bool { return slices.Contains(s.Drop, c.Name) })
	if s.Key != nil {
		out.Keys, out.Moved = s.Key, true
		return out
	}
	if in.Grouped && in.Group != nil {
		out.Keys = slices.Clone(in.Group)
		if in.Table && in.Windowed {
			out.Keys = append(out.Keys, "window_start")
			if w := in.window; w == nil || w.Type == "session" || w.Type == "cumulate" {
				out.Keys = append(out.Keys, "window_end")
			}
		}
	}
	return out
}

// Shapes computes what every name stands for, without rows: columns, keys, kinds.
func Shapes(spec *Spec) (map[string]*Relation, error) {
	r := &run{spec: spec, latest: Never, relations: map[string]*Relation{}, result: &Result{Dead: map[string]int{}, Loose: map[string]bool{}}}
	return r.relations, r.all(nil)
}
