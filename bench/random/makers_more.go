package random

import (
	"maps"
	"slices"
	"sort"
	"strings"

	"github.com/leatstream/leat/bench/random/naive"
)

func (m *maker) flatMap(s *naive.Step, in *naive.Relation) bool {
	if in.Table {
		return false
	}
	if s.Unnest = m.list(in, m.one(4)); s.Unnest == nil {
		return false
	}
	s.As = m.name("e")
	if s.Unnest.Op == "col" && m.one(4) {
		s.As = s.Unnest.Name
	} else if s.Unnest.Op == "split" && s.Unnest.Args[0].Op == "col" && m.one(2) {
		// A column of texts in place of another, never null.
		if as := s.Unnest.Args[0].Name; !slices.Contains(in.Group, as) && !strings.Contains(as, ".") {
			s.As = as
		}
	}
	return true
}

// list makes an expression of a list; nil: there is nothing to make one of.
// risky ones may fail.
func (m *maker) list(in *naive.Relation, risky bool) *naive.Expr {
	leaf := func() *naive.Expr {
		lists := columnsOf(in, naive.Ints, naive.Strs)
		if len(lists) > 0 && !m.one(4) {
			return naive.ColOf(pick(m, lists...))
		}
		texts, ints := columnsOf(in, naive.String), columnsOf(in, naive.Int)
		switch {
		case len(texts) > 0 && m.one(2):
			return naive.Call("split", naive.Strs, naive.ColOf(pick(m, texts...)), naive.Lit(pick(m, " ", "a", ":", "ü☃")))
		case in.Type("n") == naive.Int && m.one(3):
			return naive.Call("..", naive.Ints, naive.Lit(m.r.Int64N(3)-2), naive.ColOf(naive.Col{Name: "n", Type: naive.Int}))
		case len(ints) > 0:
			return naive.Call("list", naive.Ints, naive.ColOf(pick(m, ints...)), naive.Lit(m.r.Int64N(5)), naive.ColOf(pick(m, ints...)))
		}
		return nil
	}
	l := leaf()
	if l == nil || m.one(3) {
		return l
	}
	elem := naive.Col{Name: naive.Element, Type: naive.Elem(l.Type)}
	env := &naive.Relation{Cols: append(slices.Clone(in.Cols), elem, elem, elem)} // an element more often than another column
	switch m.r.IntN(7) {
	case 0:
		return naive.Call("filter", l.Type, l, m.condition(env, risky))
	case 1:
		body := m.safe(env, risky)
		if body.Type == naive.Time {
			return l
		}
		return naive.Call("map", "["+body.Type+"]", l, body)
	case 2:
		return naive.Call("take", l.Type, l, naive.Lit(m.r.Int64N(3)))
	case 3:
		return naive.Call("reverse", l.Type, l)
	case 4:
		return naive.Call("uniq", l.Type, l)
	}
	other := leaf()
	if other == nil || other.Type != l.Type {
		return l
	}
	return naive.Call(pick(m, "concat", "??"), l.Type, l, other)
}

// distinct makes a pipeline that counts more different values than are counted
// exactly, at times in windows that are put together of several.
func (m *maker) distinct() {
	in := m.source("s1")
	m.c.Spec.Sources = []*naive.Source{in}
	s := &naive.Step{Name: m.name("t"), Type: "aggregate", Input: in.Name, Group: []naive.Assign{}, Update: true}
	if m.one(3) {
		s.Group = []naive.Assign{{Name: "n", Expr: naive.ColOf(naive.Col{Name: "n", Type: naive.Int})}}
	}
	if size := m.span(800, 4000); m.one(2) {
		s.Update, s.Window = m.one(3), &naive.Window{Type: "tumbling", Size: size}
		if m.one(2) {
			s.Window = &naive.Window{Type: "hopping", Size: size, Advance: size / 4}
		}
	}
	s.Aggs = []naive.Agg{{Name: m.name("v"), Fn: "count_distinct", Args: []*naive.Expr{naive.ColOf(naive.Col{Name: "id", Type: naive.Int})}, Many: true}}
	m.c.Spec.Steps = []*naive.Step{s}
	m.c.Spec.Sinks = []*naive.Sink{{Name: m.name("out"), Input: s.Name}}
}

func (m *maker) branch(s *naive.Step, in *naive.Relation) bool {
	for range 1 + m.r.IntN(2) {
		s.Cases = append(s.Cases, naive.Case{When: m.condition(in, m.one(5)), As: m.name("b")})
	}
	if m.one(2) {
		s.Default = m.name("b")
	}
	return true
}

func (m *maker) union(s *naive.Step, _ *naive.Relation) bool {
	all := m.relations()
	for _, t := range m.c.Spec.Steps { // what a branch has parted of a table is one again
		if t.Type == "branch" && all[t.Cases[0].As].Table && len(all[t.Cases[0].As].Group) > 0 && m.one(2) {
			for _, c := range t.Cases {
				s.Inputs = append(s.Inputs, c.As)
			}
			if t.Default != "" {
				s.Inputs = append(s.Inputs, t.Default)
			}
			m.r.Shuffle(len(s.Inputs), func(i, j int) { s.Inputs[i], s.Inputs[j] = s.Inputs[j], s.Inputs[i] })
			if s.Input = ""; m.one(2) {
				s.SourceName = m.name("src")
			}
			return len(s.Inputs) > 1
		}
	}
	var names []string
	for name, in := range all {
		if !in.Table && !in.Moved && in.Type("rank") == "" {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	m.r.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	types := map[string]string{}
	for _, name := range names {
		mine := map[string]string{}
		fits := true
		for _, c := range all[name].Cols {
			mine[c.Name] = c.Type
			if t := types[c.Name]; t != "" && t != c.Type {
				fits = false
			}
		}
		if fits && len(s.Inputs) < 3 {
			s.Inputs = append(s.Inputs, name)
			maps.Copy(types, mine)
		}
	}
	if len(s.Inputs) < 2 {
		return false
	}
	s.Input = ""
	if m.one(2) {
		s.SourceName = m.name("src")
	}
	return true
}

func (m *maker) dedupe(s *naive.Step, in *naive.Relation) bool {
	s.Key = m.plainGroups(in, 1)
	s.Within = m.span(1, 15)
	return !in.Table && len(s.Key) > 0 && m.inOrder(s.Key, in) && !in.Joined
}

func (m *maker) reduce(s *naive.Step, in *naive.Relation) bool {
	s.Group = m.groups(in, 0, m.one(6))
	if in.Table || !m.inOrder(s.Group, in) {
		return false
	}
	s.ByTime = in.Calm && m.one(3)
	if m.fades(s.Group, in) {
		s.TTL = m.span(1, 20)
	}
	if m.one(5) {
		s.Throttle = 500
	}
	s.State = []naive.Col{{Name: m.name("x"), Type: naive.Int}, {Name: m.name("y"), Type: naive.String}, {Name: m.name("z"), Type: naive.Double}}[:1+m.r.IntN(3)]
	env := &naive.Relation{Cols: slices.Clone(in.Cols)}
	for _, c := range s.State {
		env.Cols = append(env.Cols, naive.Col{Name: "state." + c.Name, Type: c.Type})
	}
	set := func(in *naive.Relation, c naive.Col) naive.Assign {
		cols := columnsOf(in, c.Type)
		if c.Type == naive.Double {
			cols = columnsOf(in, naive.Int, naive.Double)
		}
		e := map[string]*naive.Expr{naive.Int: naive.Lit(int64(1)), naive.String: naive.Lit("i"), naive.Double: naive.Lit(0.5)}[c.Type]
		if len(cols) > 0 && !m.one(4) {
			x := naive.ColOf(pick(m, cols...))
			switch {
			case m.one(2):
				e = x
			case c.Type == naive.Int && x.Type == naive.Int:
				e = naive.Call("??", naive.Int, naive.Call("+", naive.Int, x, e), e)
			case c.Type == naive.Double && x.Type == naive.Double:
				e = naive.Call("+", naive.Double, x, e)
			default:
				e = x
			}
		}
		return naive.Assign{Name: c.Name, Expr: e}
	}
	for _, c := range s.State {
		if m.one(2) {
			s.Init = append(s.Init, set(in, c))
		}
	}
	n := 1 + m.r.IntN(3)
	for i := range n {
		f := naive.Fold{}
		if i < n-1 || m.one(2) {
			f.When = m.condition(env, m.one(5))
		}
		if m.one(5) {
			f.Delete = true
		} else {
			for _, c := range s.State {
				if f.Set == nil || m.one(2) {
					f.Set = append(f.Set, set(env, c))
				}
			}
		}
		s.Folds = append(s.Folds, f)
	}
	return true
}

func (m *maker) top(s *naive.Step, in *naive.Relation) bool {
	if in.Type("rank") != "" {
		return false
	}
	if !m.one(4) {
		s.Group = m.plainGroups(in, 1)
	}
	s.K, s.Ascending, s.Ties = 1+m.r.IntN(4), m.one(3), m.one(4)
	if w := in.WindowType(); (w == "tumbling" || w == "hopping" || w == "cumulate") && m.one(2) {
		s.Window = &naive.Window{Type: "same"}
	} else if !in.Table && m.one(2) && !in.Joined {
		s.Window = &naive.Window{Type: "tumbling", Size: m.span(1, 20)}
		if m.one(2) {
			s.Window = &naive.Window{Type: "hopping", Size: m.span(2, 20), Advance: m.scale}
		}
	}
	s.Ties = s.Ties && (in.Table || s.Window != nil)
	s.By = m.number(in, m.one(5))
	if s.By.Op == "lit" {
		return false
	}
	if in.Table {
		return len(in.Group) > 0 && !in.Windowed
	}
	if m.inOrder(s.Group, in) {
		return true
	}
	// No two rows are equal.
	s.By = naive.ColOf(naive.Col{Name: "id", Type: naive.Int})
	return in.Type("id") == naive.Int && in.Record && !in.Moved
}

func (m *maker) join(s *naive.Step, left *naive.Relation) bool {
	all := m.relations()
	var names []string
	for name := range all {
		names = append(names, name)
	}
	sort.Strings(names)
	m.r.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	for _, name := range names {
		if name == s.Input || m.uses(s.Input, name) || m.uses(name, s.Input) {
			continue
		}
		if m.joinWith(s, left, name, all[name]) {
			return true
		}
	}
	return false
}

// uses tells whether one name is made of another: what meets itself comes in
// an order of its own.
func (m *maker) uses(name, other string) bool {
	if name == other {
		return true
	}
	for _, t := range m.c.Spec.Steps {
		mine := t.Name == name || t.Late == name || t.Default == name || slices.ContainsFunc(t.Cases, func(c naive.Case) bool { return c.As == name })
		if !mine {
			continue
		}
		for _, in := range append([]string{t.Input, t.Right}, t.Inputs...) {
			if in != "" && m.uses(in, other) {
				return true
			}
		}
	}
	return false
}

func (m *maker) joinWith(s *naive.Step, left *naive.Relation, name string, right *naive.Relation) bool {
	s.Right, s.RightIsTable = name, right.Table
	s.Key, s.RightKey, s.Set, s.Select, s.Late = nil, nil, nil, nil, ""
	if left.Table && !right.Table || right.Fading {
		return false
	}
	key := func(l, r string) bool {
		if left.Type(l) == "" || left.Type(l) != right.Type(r) {
			return false
		}
		s.Key = append(s.Key, naive.Assign{Name: r, Expr: naive.ColOf(naive.Col{Name: l, Type: left.Type(l)})})
		s.RightKey = append(s.RightKey, r)
		return true
	}
	switch {
	case right.Table && !left.Table:
		// A table that is read; one that is made changes while rows look.
		s.Kind = pick(m, "inner", "left")
		if m.c.Spec.SourceOf(name) == nil {
			return false
		}
		for _, k := range right.Group {
			if !key(k, k) {
				return false
			}
		}
	case right.Table:
		s.Kind = pick(m, "inner", "left")
		if m.one(3) {
			s.Kind = "outer"
		}
		if right.Windowed || left.Windowed || right.Group == nil || left.Group == nil || len(right.Group) == 0 {
			return false
		}
		if slices.Equal(left.Group, right.Group) {
			for _, k := range right.Group {
				if !key(k, k) {
					return false
				}
			}
			break
		}
		if s.Kind == "outer" { // a foreign key
			s.Kind = "left"
		}
		for _, k := range right.Group {
			if !key(k, k) {
				return false
			}
		}
		sorted := func(s []string) []string { return sortedStrings(slices.Clone(s)) }
		if slices.Equal(sorted(left.Group), sorted(right.Group)) {
			return false
		}
	default:
		s.Kind = pick(m, "inner", "left", "outer")
		if left.Joined || right.Joined || left.Windowed || right.Windowed {
			return false
		}
		k := pick(m, "k", "n", "u")
		if !key(k, k) || m.one(3) && !key("n", "n") && k == "" {
			return false
		}
		if len(s.Key) == 2 && s.RightKey[0] == s.RightKey[1] {
			s.Key, s.RightKey = s.Key[:1], s.RightKey[:1]
		}
		s.Before = m.span(0, 8)
		s.After = s.Before
		if m.one(3) {
			s.Before, s.After = (m.r.Int64N(6))*m.scale, (m.r.Int64N(6))*m.scale
		}
		if m.one(3) {
			s.Grace = m.span(1, 8)
		}
		s.Late = pick(m, "", "", "dead_letter")
		if m.one(4) {
			s.Late = m.name("late")
		}
	}
	cols := naive.JoinColumns(s, left, right)
	theirs := slices.DeleteFunc(slices.Clone(cols.Cols), func(c naive.Col) bool {
		return !slices.ContainsFunc(right.Cols, func(r naive.Col) bool { return c.Name == name+"."+r.Name })
	})
	s.Set = []naive.Assign{}
	for range 1 + m.r.IntN(3) {
		s.Set = append(s.Set, naive.Assign{Name: m.name("j"), Expr: naive.ColOf(pick(m, theirs...))})
	}
	return true
}

// plainGroups are groups of columns: what is computed for a key before rows
// move stays behind as a column of dedupe and top.
func (m *maker) plainGroups(in *naive.Relation, least int) []naive.Assign {
	return slices.DeleteFunc(m.groups(in, least, false), func(a naive.Assign) bool { return a.Expr.Op != "col" })
}
