package naive

import (
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"
)

// entry is a row of an aggregate: its group, its event time and the arguments
// of each aggregate (nil: its where does not hold).
type entry struct {
	row   Row
	group map[string]any
	key   string
	args  [][]any
	seq   int // place in the order of arrival
}

// keyText tells groups apart.
func keyText(v map[string]any, names []string) string {
	var b strings.Builder
	for _, n := range names {
		x := v[n]
		if f, ok := x.(float64); ok && f == 0 {
			x = 0.0 // -0 is 0
		}
		fmt.Fprintf(&b, "%T %v\x00", x, x)
	}
	return b.String()
}

func names(list []Assign) []string {
	out := []string{}
	for _, a := range list {
		out = append(out, a.Name)
	}
	return out
}

// grouped computes a row's group; nil where a column of it is null.
func grouped(list []Assign, v map[string]any) (map[string]any, error) {
	g, err := assign(list, v)
	if err != nil || len(g) < len(list) {
		return nil, err
	}
	return g, nil
}

// group is a row's group by the columns of a step; nil: it has none, as one of
// them is null or went wrong, which is counted.
func (r *run) group(s *Step, list []Assign, row Row) map[string]any {
	g, err := grouped(list, row.V)
	if err != nil {
		r.bad(s.Name, "expression")
	}
	return g
}

// entries computes groups and arguments; rows that go wrong are counted.
func (r *run) entries(s *Step, in *Relation) []entry {
	var out []entry
	group := names(s.Group)
rows:
	for _, row := range in.Rows {
		g := r.group(s, s.Group, row)
		if g == nil {
			continue
		}
		e := entry{row: row, group: g, key: keyText(g, group)}
		for _, a := range s.Aggs {
			args, err := a.arguments(row.V)
			if err != nil {
				r.bad(s.Name, "expression")
				continue rows
			}
			e.args = append(e.args, args)
		}
		e.seq = len(out)
		out = append(out, e)
	}
	return out
}

func (a *Agg) arguments(v map[string]any) ([]any, error) {
	if a.Where != nil {
		ok, err := a.Where.Eval(v)
		if err != nil || ok != true {
			return nil, err
		}
	}
	args := []any{}
	for _, e := range a.Args {
		x, err := e.Eval(v)
		if err != nil {
			return nil, err
		}
		args = append(args, x)
	}
	return args, nil
}

// AggregateCols are the columns of an aggregate's result.
func AggregateCols(s *Step) []Col {
	var cols []Col
	for _, g := range s.Group {
		cols = append(cols, Col{g.Name, g.Expr.Type})
	}
	if s.framed() {
		cols = append(cols, Col{"window_start", Time}, Col{"window_end", Time})
	}
	for _, a := range s.Aggs {
		cols = append(cols, Col{a.Name, a.Result()})
	}
	if s.framed() && s.Update {
		cols = append(cols, Col{"final", Bool})
	}
	return cols
}

// bucket is what one result row is made of.
type bucket struct {
	group      map[string]any
	start, end int64
	rows       []entry
	inclusive  bool // the end belongs to the window
}

// aggregate computes one row per group, and window where there is one.
func (r *run) aggregate(s *Step, in *Relation) (*Relation, error) {
	if in.Table {
		r.result.Loose[s.Name] = true
	}
	out := &Relation{Cols: AggregateCols(s), Group: names(s.Group), Grouped: true, Table: !s.framed() || s.Update,
		Windowed: s.framed(), Update: s.Update && s.framed(), window: s.Window}
	if s.Window != nil && s.Window.Type == "same" {
		out.window = in.window
	}
	out.PartKey = behind(s.Group, in)
	out.Calm = true
	entries := r.entries(s, in)
	var newest, came map[string]int64
	if s.TTL > 0 {
		entries, newest, came = s.alive(entries)
		out.Fading = true
	}
	buckets, late := r.buckets(s, entries)
	r.late(s, in, late)
	for _, b := range buckets {
		v := maps.Clone(b.group)
		time := Never
		for _, e := range b.rows {
			time = max(time, e.row.Time)
		}
		for i, a := range s.Aggs {
			var args []arg
			for n, e := range b.rows {
				if e.args[i] != nil {
					args = append(args, arg{e.args[i], e.row.Time, n})
				}
			}
			x, err := a.compute(args)
			if err != nil {
				return nil, fmt.Errorf("aggregate %s: %w", a.Name, err)
			}
			if x != nil {
				v[a.Name] = x
			}
		}
		row := Row{V: v, Time: time, Stamp: time, Origin: Never}
		if s.TTL > 0 {
			gone, maybe := r.faded(s, in, newest[b.rows[0].key], came[b.rows[0].key], b.rows[0].row.Part)
			if gone {
				continue
			}
			row.Maybe = maybe
		}
		if s.framed() {
			v["window_start"], v["window_end"] = b.start, b.end
			row.Time = b.end - 1
			if b.inclusive {
				row.Time = b.end
			}
			if s.Update {
				v["final"] = true
			}
		}
		if s.Having != nil {
			// Of a table it may fail on the way to what comes out.
			r.result.Loose[s.Name] = r.result.Loose[s.Name] || out.Table
			ok, err := s.Having.Eval(v)
			if err != nil {
				r.bad(s.Name, "expression")
				continue
			}
			if ok != true {
				continue
			}
		}
		out.Rows = append(out.Rows, row)
	}
	return out, nil
}

// late does with late rows what the step asks for.
func (r *run) late(s *Step, in *Relation, late []entry) {
	switch s.Late {
	case "":
	case "dead_letter":
		for range late {
			r.bad(s.Name, "late")
		}
	default:
		out := *in
		out.Rows, out.Ordered, out.Moved = nil, false, true
		out.Record = in.Record && Covered(s.Group, in)
		out.PartKey = behind(s.Group, in)
		for _, e := range late {
			if !out.Record {
				e.row.Key = nil
			}
			out.Rows = append(out.Rows, e.row)
		}
		r.relations[s.Late] = &out
	}
}

// framed tells whether results carry the bounds of windows.
func (s *Step) framed() bool { return s.Window != nil && s.Window.Type != "count" }

// behind is which columns decide a result's partition.
func behind(group []Assign, in *Relation) []string {
	if Covered(group, in) {
		key := []string{}
		for _, g := range group {
			if slices.Contains(in.PartKey, g.Expr.Name) {
				key = append(key, g.Name)
			}
		}
		return key
	}
	return names(group)
}

// Covered tells whether all rows of a group are in one partition already.
func Covered(group []Assign, in *Relation) bool {
	if in.PartKey == nil {
		return false
	}
	for _, k := range in.PartKey {
		if !slices.ContainsFunc(group, func(g Assign) bool { return g.Expr.Op == "col" && g.Expr.Name == k }) {
			return false
		}
	}
	return true
}

// buckets puts entries into groups and windows; the late ones are given beside.
func (r *run) buckets(s *Step, entries []entry) (out []*bucket, late []entry) {
	if s.Window != nil {
		switch s.Window.Type {
		case "session":
			return r.sessions(s, entries)
		case "sliding":
			return r.sliding(s, entries)
		case "count":
			return r.counts(s, entries), nil
		case "same":
			return r.same(entries), nil
		}
	}
	found := map[string]*bucket{}
	add := func(e entry, start, end int64) {
		k := fmt.Sprintf("%s%d %d", e.key, start, end)
		b := found[k]
		if b == nil {
			b = &bucket{group: e.group, start: start, end: end}
			found[k] = b
		}
		b.rows = append(b.rows, e)
	}
	for _, e := range entries {
		if s.Window == nil {
			add(e, 0, 0)
			continue
		}
		n, all := 0, s.Window.bounds(e.row.Time)
		for _, w := range all {
			if s.Window.late(w[1], e.row.Origin) {
				n++
				continue
			}
			add(e, w[0], w[1])
		}
		if n == len(all) {
			late = append(late, e)
		}
	}
	return ordered(found), late
}

// ordered gives buckets in order of window end, then of their keys.
func ordered(found map[string]*bucket) []*bucket {
	keys := slices.Sorted(maps.Keys(found))
	sort.SliceStable(keys, func(i, j int) bool { return found[keys[i]].end < found[keys[j]].end })
	var out []*bucket
	for _, k := range keys {
		out = append(out, found[k])
	}
	return out
}
