package random

import (
	"slices"
	"sort"
	"strings"

	"github.com/leatstream/leat/bench/random/naive"
)

// makers add a step of a type that reads in; false: it cannot read that.
var makers = map[string]func(m *maker, s *naive.Step, in *naive.Relation) bool{
	"filter":    (*maker).filter,
	"map":       (*maker).mapping,
	"rekey":     (*maker).rekey,
	"aggregate": (*maker).aggregate,
	"flat_map":  (*maker).flatMap,
	"branch":    (*maker).branch,
	"union":     (*maker).union,
	"dedupe":    (*maker).dedupe,
	"reduce":    (*maker).reduce,
	"top":       (*maker).top,
	"join":      (*maker).join,
	"upcast":    (*maker).upcast,
	"detect":    (*maker).detect,
}

// running are the types of steps that leat runs, as often as they are to come.
var running = []string{"filter", "map", "rekey", "aggregate", "aggregate", "aggregate", "flat_map", "branch", "union", "dedupe", "reduce", "top", "join", "join", "upcast", "detect"}

// step adds a random step.
func (m *maker) step() {
	m.add(pick(m, running...))
}

// require adds steps of the kind asked for until there is one.
func (m *maker) require() {
	for range 20 {
		if slices.ContainsFunc(m.c.Spec.Steps, func(s *naive.Step) bool { return s.Type == m.only }) {
			return
		}
		m.add(m.only)
	}
}

// add adds a step of a type to something that it can read.
func (m *maker) add(kind string) {
	all := m.relations()
	var names []string
	for name, in := range all {
		if in != nil {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	s := &naive.Step{Name: m.name("t"), Type: kind}
	s.Input = pick(m, names...)
	if n := len(m.c.Spec.Steps); n > 0 && all[m.c.Spec.Steps[n-1].Name] != nil && !m.one(3) {
		s.Input = m.c.Spec.Steps[n-1].Name
	}
	if all[s.Input].Fading && !slices.Contains([]string{"filter", "map", "branch", "upcast"}, kind) {
		return // when its rows go is a matter of how far time is
	}
	if makers[kind](m, s, all[s.Input]) {
		m.c.Spec.Steps = append(m.c.Spec.Steps, s)
	}
}

func (m *maker) filter(s *naive.Step, in *naive.Relation) bool {
	s.Where = m.condition(in, m.one(4))
	return true
}

func (m *maker) mapping(s *naive.Step, in *naive.Relation) bool {
	// What a sink's key is made of stays.
	keep := append([]string{"window_start", "window_end", "final"}, in.Group...)
	risky := m.one(4)
	if m.one(3) {
		for _, c := range in.Cols {
			if strings.Contains(c.Name, ".") {
				continue // of a path the last part is the name, which may be there
			}
			if !m.one(4) || slices.Contains(keep, c.Name) || c.Name == "id" {
				s.Select = append(s.Select, naive.Assign{Name: c.Name, Expr: naive.ColOf(c)})
			}
		}
		s.Select = append(s.Select, naive.Assign{Name: m.name("m"), Expr: m.safe(in, risky)})
		return true
	}
	s.Set = []naive.Assign{}
	for range 1 + m.r.IntN(2) {
		name := m.name("m")
		if cols := columnsOf(in, naive.Int, naive.Double); len(cols) > 0 && m.one(3) {
			name = pick(m, cols...).Name
		}
		if name == "id" || name == "n" || name == "rank" || slices.ContainsFunc(s.Set, func(a naive.Assign) bool { return a.Name == name }) || slices.Contains(in.Group, name) {
			continue
		}
		s.Set = append(s.Set, naive.Assign{Name: name, Expr: m.safe(in, risky)})
	}
	if len(s.Set) == 0 {
		return false
	}
	if m.one(4) && !in.Table {
		for _, c := range in.Cols {
			if m.one(5) && !slices.Contains(keep, c.Name) && c.Name != "id" && !slices.ContainsFunc(s.Set, func(a naive.Assign) bool { return a.Name == c.Name }) {
				s.Drop = append(s.Drop, c.Name)
			}
		}
	}
	return true
}

func (m *maker) rekey(s *naive.Step, in *naive.Relation) bool {
	if in.Table {
		// By columns that a row never changes: else its delete and its insert come
		// from two tasks, in any order.
		var cols []naive.Col
		for _, name := range in.Group {
			cols = append(cols, naive.Col{Name: name, Type: in.Type(name)})
		}
		if len(cols) == 0 {
			return false
		}
		in = &naive.Relation{Cols: cols}
	}
	s.Key = m.groups(in, 1, false)
	return len(s.Key) > 0
}

// groups makes key columns: columns of in, sometimes an expression.
func (m *maker) groups(in *naive.Relation, least int, risky bool) []naive.Assign {
	cols := columnsOf(in, naive.String, naive.Int, naive.Bool)
	cols = slices.DeleteFunc(cols, func(c naive.Col) bool {
		return c.Name == "id" || c.Name == "a" || c.Name == "rank" || strings.Contains(c.Name, ".")
	})
	m.r.Shuffle(len(cols), func(i, j int) { cols[i], cols[j] = cols[j], cols[i] })
	out := []naive.Assign{}
	want := pick(m, 1, 1, 1, 2, 2, 0)
	for _, c := range cols[:min(max(want, least), len(cols))] {
		out = append(out, naive.Assign{Name: c.Name, Expr: naive.ColOf(c)})
	}
	if len(out) > 0 && m.one(5) {
		e := m.condition(in, risky)
		if e.Op != "col" {
			out[0] = naive.Assign{Name: m.name("g"), Expr: e}
		}
	}
	return out
}

func (m *maker) aggregate(s *naive.Step, in *naive.Relation) bool {
	s.Group = m.groups(in, 0, m.one(6))
	// A path would give the column its last segment's name: it gets one of its own.
	paths := slices.DeleteFunc(columnsOf(in, naive.String, naive.Int), func(c naive.Col) bool { return !strings.Contains(c.Name, ".") || strings.HasSuffix(c.Name, ".id") })
	if len(paths) > 0 && m.one(2) {
		s.Group = append(s.Group, naive.Assign{Name: m.name("g"), Expr: naive.ColOf(pick(m, paths...))})
	}
	if w := m.window(s, in); w != nil {
		s.Window = w
		switch {
		case w.Type == "count":
			s.Update = true
		case w.Type == "same":
			s.Update = m.one(2) && in.WindowType() != "cumulate"
		default:
			// Steps of cumulate share their start, and so the key of a table's record.
			s.Update = m.one(3) && w.Type != "cumulate"
			s.Late = pick(m, "", "", "dead_letter")
			if m.one(5) {
				s.Late = m.name("late")
			}
		}
	} else {
		s.Update = true
	}
	if (s.Window == nil || s.Window.Type == "count") && !in.Table && m.fades(s.Group, in) {
		s.TTL = m.span(1, 20)
	}
	if s.Update && m.one(4) {
		s.Throttle = 500
	}
	fns := m.functions(s, in)
	for range 1 + m.r.IntN(4) {
		fn := pick(m, fns...)
		a := naive.Agg{Name: m.name("v"), Fn: fn}
		if !m.arguments(&a, in) {
			continue
		}
		if m.one(6) {
			a.Where = m.condition(in, m.one(5))
		}
		s.Aggs = append(s.Aggs, a)
	}
	if len(s.Aggs) == 0 {
		s.Aggs = []naive.Agg{{Name: m.name("v"), Fn: "count"}}
	}
	if m.one(4) {
		s.Having = m.condition(&naive.Relation{Cols: without(naive.AggregateCols(s), "final")}, m.one(5))
	}
	return true
}

func without(cols []naive.Col, name string) []naive.Col {
	return slices.DeleteFunc(cols, func(c naive.Col) bool { return c.Name == name })
}

// window makes a window; nil: none.
func (m *maker) window(s *naive.Step, in *naive.Relation) *naive.Window {
	shared := slices.Contains([]string{"tumbling", "hopping", "cumulate"}, in.WindowType())
	if shared && m.one(2) {
		return &naive.Window{Type: "same"}
	}
	if in.Table || in.Joined && !in.Calm {
		return nil
	}
	w := &naive.Window{Type: pick(m, windows...)}
	if m.one(3) {
		w.Grace = m.span(1, 12)
	}
	if m.zone != "" && m.civil(w) {
		return w
	}
	switch w.Type {
	case "":
		return nil
	case "tumbling":
		w.Size = m.span(1, 20)
		if m.one(3) {
			w.Offset = m.r.Int64N(w.Size)
		}
	case "hopping":
		w.Size = m.span(2, 30)
		w.Advance = max(1, w.Size/(1+m.r.Int64N(5)))
		if m.one(3) { // size is no multiple of it
			w.Advance = min(w.Size, w.Advance+1)
		}
		if m.one(3) {
			w.Offset = m.r.Int64N(w.Advance)
		}
	case "cumulate":
		w.Step = m.span(1, 8)
		w.Size = w.Step * (1 + m.r.Int64N(5))
		if m.one(3) {
			w.Offset = m.r.Int64N(w.Step)
		}
	case "session":
		// Which sessions a row meets that comes behind time is a matter of arrival.
		if !in.Calm && !m.inOrder(s.Group, in) {
			return nil
		}
		w.Gap = m.span(1, 8)
	case "sliding":
		// Of rows at one time that come when the watermark is there, each knows
		// those before it.
		w.Size, w.Trailing = m.span(1, 20), m.one(2) && m.inOrder(s.Group, in)
	case "count":
		if !m.inOrder(s.Group, in) {
			return nil
		}
		w.Grace, w.Rows, w.Full = 0, 1+m.r.IntN(6), m.one(3)
		w.Every = 1 + m.r.IntN(w.Rows)
	}
	return w
}

// windows are the types of windows that leat runs, as often as they are to come.
var windows = []string{"", "tumbling", "tumbling", "hopping", "hopping", "cumulate", "session", "session", "sliding", "sliding", "count"}

// functions are the aggregates that may stand over in.
func (m *maker) functions(s *naive.Step, in *naive.Relation) []string {
	fns := []string{"count", "count", "sum", "avg", "variance", "stddev"}
	fns = append(fns, "bool_and", "bool_or", "median", "quantile", "histogram")
	if in.Table {
		return fns
	}
	fns = append(fns, "ema", "top_k", "g_counter", "pn_counter", "lww", "or_set", "lww_map")
	fns = append(fns, "min", "max", "count_distinct")
	// Windows that overlap are merged from panes in order of time: there what
	// comes first is the first of the earliest pane.
	if m.inOrder(s.Group, in) && (s.Window == nil || s.Window.Type == "tumbling" || s.Window.Type == "count") {
		fns = append(fns, "first", "last", "earliest", "latest", "arg_min", "arg_max", "collect", "collect_set", "delta")
		if s.Window == nil || s.Window.Type == "tumbling" {
			fns = append(fns, "increase", "rate")
		}
	}
	return fns
}

// inOrder tells whether the rows of a group come in one order in every run.
func (m *maker) inOrder(group []naive.Assign, in *naive.Relation) bool {
	if in.Merged && m.c.Partitions > 1 {
		return false
	}
	return in.Ordered && (m.c.Partitions == 1 || in.Record && naive.Covered(group, in))
}

// arguments chooses what an aggregate is computed over.
func (m *maker) arguments(a *naive.Agg, in *naive.Relation) bool {
	numbers := []string{naive.Int, naive.Double}
	choose := func(types ...string) bool {
		cols := columnsOf(in, types...)
		if len(cols) == 0 {
			return false
		}
		a.Args = []*naive.Expr{naive.ColOf(pick(m, cols...))}
		return true
	}
	switch a.Fn {
	case "count":
		return m.one(2) || choose(naive.Int, naive.String, naive.Double)
	case "ema":
		a.HalfLife = m.span(1, 20)
	case "quantile":
		a.Param = pick(m, 0.0, 0.25, 0.5, 0.75, 1.0)
	}
	switch a.Fn {
	case "g_counter", "pn_counter", "lww", "or_set", "lww_map", "top_k":
		return m.written(a, in)
	case "sum", "avg", "variance", "stddev", "quantile", "median", "histogram", "ema", "delta", "increase", "rate":
		// Small numbers: what overflows depends on how rows are put together.
		if !choose(numbers...) {
			return false
		}
		if c := a.Args[0]; c.Type == naive.Int {
			a.Args[0] = small(c)
		}
		return true
	case "min", "max":
		if m.one(4) {
			a.Args = []*naive.Expr{m.number(in, m.one(3))}
			return true
		}
		return choose(naive.Int, naive.Double, naive.String)
	case "bool_and", "bool_or":
		a.Args = []*naive.Expr{m.condition(in, m.one(5))}
		return true
	case "arg_min", "arg_max":
		if !choose(naive.Int, naive.Double, naive.String) {
			return false
		}
		a.Args = append(a.Args, naive.ColOf(pick(m, columnsOf(in, naive.Int, naive.Double, naive.String)...)))
		return true
	case "collect", "collect_set":
		a.Param = 1 + m.r.IntN(8)
		return choose(naive.Int, naive.Double, naive.String)
	case "first", "last", "earliest", "latest", "count_distinct":
		return choose(naive.Int, naive.Double, naive.String)
	}
	return false
}

// small is a column's value where it is small, else null.
func small(c *naive.Expr) *naive.Expr {
	in := naive.Call("and", naive.Bool, naive.Call(">", naive.Bool, c, naive.Lit(int64(-1_000_000_000_000_000))), naive.Call("<", naive.Bool, c, naive.Lit(int64(1_000_000_000_000_000))))
	return naive.Call("?:", naive.Int, in, c, &naive.Expr{Op: "lit"})
}
