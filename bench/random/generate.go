package random

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sort"
	"strings"

	"github.com/leatstream/leat/bench/random/naive"
	"github.com/leatstream/leat/engine"
)

// epoch is about when rows happen, ms: no window begins before 1970.
const epoch = 1_000_000_000

// maker makes random cases.
type maker struct {
	r      *rand.Rand
	c      *Case
	scale  int64 // ms: distances in time are small multiples of it
	begin  int64 // about when rows happen, ms
	zone   string
	names  int
	quiet  bool   // sources fall silent, and the clock moves time on
	many   bool   // more values than count_distinct counts exactly
	lulled bool   // there was a silence between two rows
	whole  bool   // no null in k, n and u: joins that keep rows without a key lose those that move
	only   string // kinds of steps to try; "": all that run
}

// Generate makes the case of a seed. only names a kind of step that must be in
// it, or calendar: windows of a calendar; or idle: sources fall
// silent; or distinct: count_distinct of many values; "": any.
func Generate(seed uint64, only string) *Case {
	m := &maker{r: rand.New(rand.NewPCG(seed, 7)), only: only}
	m.c = &Case{Seed: seed, Spec: &naive.Spec{}, Records: map[string][]naive.Record{}}
	m.c.Partitions = []int{1, 1, 2, 3, 4}[m.r.IntN(5)]
	m.scale, m.begin = []int64{1, 10, 1000}[m.r.IntN(3)], epoch
	if m.one(12) && only != "idle" && only != "distinct" || only == "calendar" {
		m.calendar()
	}
	if only == "calendar" {
		m.only = "aggregate"
	}
	if m.quiet = m.zone == "" && m.one(4) && only != "distinct" || only == "idle"; m.quiet {
		m.scale = []int64{1, 10, 100}[m.r.IntN(3)]
	}
	if only == "idle" || only == "distinct" {
		m.only = ""
	}
	if m.many = m.zone == "" && !m.quiet && m.one(100) || only == "distinct"; m.many {
		m.distinct()
	} else {
		m.pipeline()
	}
	m.whole = slices.ContainsFunc(m.c.Spec.Steps, func(s *naive.Step) bool { return s.Type == "join" && (s.Kind != "inner" || s.Late != "") })
	m.silences()
	for _, s := range m.c.Spec.Sources {
		m.c.Records[s.Name] = m.rows(s)
	}
	m.c.number()
	m.rest()
	m.ways()
	return m.c
}

func (m *maker) one(in int) bool { return m.r.IntN(in) == 0 }

func pick[T any](m *maker, list ...T) T { return list[m.r.IntN(len(list))] }

// span is a small multiple of the scale, sometimes a millisecond off.
func (m *maker) span(from, to int64) int64 {
	t := (from + m.r.Int64N(to-from+1)) * m.scale
	if m.scale > 1 && m.one(6) {
		t += m.r.Int64N(3) - 1
	}
	return max(t, 1)
}

func (m *maker) name(kind string) string {
	m.names++
	return fmt.Sprintf("%s%d", kind, m.names)
}

// ways chooses how leat runs the case: always once plainly.
func (m *maker) ways() {
	m.c.Ways = []Way{{Batch: 1000, Chunks: 1}}
	for range 2 {
		w := Way{Batch: pick(m, 1, 2, 3, 7, 50), Chunks: pick(m, 1, 1, 2, 4), Again: m.one(3)}
		if m.many {
			w.Batch = 50
		}
		if len(m.c.Spec.Sources) > 1 {
			w.Chunks = 1 // of several inputs all rows are there before the run
		}
		if m.one(2) {
			w.Unruly = m.r.Uint64() | 1
		}
		if m.quiet {
			w.Before, w.After = m.one(3), m.one(3)
			if m.one(2) {
				w.Nap = m.span(1, 60)
			}
		}
		m.c.Ways = append(m.c.Ways, w)
	}
}

// The columns of sources, all of which most have.
var streamCols = []naive.Col{
	{Name: "id", Type: naive.Int}, {Name: "k", Type: naive.String}, {Name: "u", Type: naive.String}, {Name: "n", Type: naive.Int},
	{Name: "a", Type: naive.Int}, {Name: "d", Type: naive.Double}, {Name: "b", Type: naive.Bool}, {Name: "ts", Type: naive.Time},
}

// source makes a stream's source.
func (m *maker) source(name string) *naive.Source {
	s := &naive.Source{Name: name, EventTime: "ts", Disorder: m.r.Int64N(6) * m.scale}
	for _, c := range streamCols {
		if c.Name == "b" && m.one(2) {
			continue
		}
		s.Cols = append(s.Cols, c)
	}
	if m.one(3) {
		s.Cols = append(s.Cols, naive.Col{Name: "l", Type: naive.Ints})
	}
	if m.one(10) {
		s.EventTime = ""
	}
	switch {
	case m.one(3) && !m.quiet: // else the clock would have to move for days
		s.Disorder = 2 * naive.Calm
	case m.one(3):
		s.Tidy = true
	}
	switch m.r.IntN(5) {
	case 0, 1:
		s.Key = []string{"k"}
	case 2:
		s.Key = []string{"k", "n"}
	}
	return s
}

// table makes a table's source, keyed by k, n or both.
func (m *maker) table(name string, key ...string) *naive.Source {
	s := &naive.Source{Name: name, Table: true, Key: key, Broadcast: m.one(4)}
	if m.one(4) {
		s.History = m.span(1, 60)
	}
	s.Cols = append(s.Cols, naive.Col{Name: "k", Type: naive.String}, naive.Col{Name: "n", Type: naive.Int}, naive.Col{Name: "x", Type: naive.Int}, naive.Col{Name: "w", Type: naive.String})
	return s
}

var (
	keys  = []string{"a", "b", "c", "ü☃", "", "a b", "{\"k\":1}", "日本"}
	words = []string{"x", "y", "", "zß"}
)

// rows makes the records of a source: ties, disorder within and beyond what is
// declared, nulls, records that are wrong.
func (m *maker) rows(s *naive.Source) []naive.Record {
	n := 1 + m.r.IntN(40)
	if m.one(12) {
		n = 100 + m.r.IntN(200)
	}
	if m.many {
		n = 900 + m.r.IntN(2000)
	}
	kinds := 1 + m.r.IntN(len(keys))
	now := m.begin + m.r.Int64N(50)*m.scale
	newest := int64(0)
	var out []naive.Record
	for i := range n {
		now += pick[int64](m, 0, 0, 1, 1, 2, 5) * m.scale
		if m.one(25) {
			now += 40 * m.scale
		}
		lull := m.lull(s, i)
		newest += lull
		if s.Tidy || !m.one(3) { // else rows are late that come when time has moved on
			now += lull
		}
		at := now
		switch m.r.IntN(8) {
		case 0:
			at -= m.r.Int64N(min(s.Disorder, 6*m.scale) + m.scale + 1)
		case 1:
			at -= m.r.Int64N(2*min(s.Disorder, 6*m.scale) + 12*m.scale)
		case 2:
			at += m.r.Int64N(3) - 1
		}
		if m.one(4) { // on a boundary
			at -= at % (10 * m.scale)
		}
		if s.Tidy {
			at = max(at, newest-s.Disorder)
			newest = max(newest, at)
		}
		r := naive.Record{Time: at, Lull: lull, Part: m.r.IntN(m.c.Partitions), Value: map[string]any{}}
		for _, c := range s.Cols {
			if v, there := m.value(c, int64(i), at, kinds); there {
				r.Value[c.Name] = v
			}
		}
		if s.Table {
			m.keepKey(s, &r, kinds)
		}
		switch m.r.IntN(150) {
		case 0:
			r.Bad = true
		case 1:
			r.Value = nil
		case 2:
			if s.EventTime != "" {
				r.Value[s.EventTime] = at + naive.MaxFuture + m.r.Int64N(2)
				if s.Tidy || m.quiet {
					r.Value[s.EventTime] = at + naive.MaxFuture + 1
				}
			}
		case 3:
			if s.EventTime != "" {
				r.Value[s.EventTime] = -1 - m.r.Int64N(3) // 0 is a record without a timestamp
			}
		}
		m.key(s, &r)
		if s.Table && m.one(6) {
			r.Value = nil
		}
		out = append(out, r)
	}
	return out
}

// keepKey gives a table's row the key that it is under.
func (m *maker) keepKey(s *naive.Source, r *naive.Record, kinds int) {
	for _, k := range s.Key {
		if k == "n" {
			r.Value[k] = m.r.Int64N(4) - 1
		} else {
			r.Value[k] = keys[m.r.IntN(kinds)]
		}
	}
	r.KeyV = map[string]any{}
	for _, k := range s.Key {
		r.KeyV[k] = r.Value[k]
	}
}

// value makes a value of a column; there is false where the column is missing.
func (m *maker) value(c naive.Col, i, at int64, kinds int) (v any, there bool) {
	switch c.Name {
	case "id":
		return i, true
	case "ts":
		return at, true
	}
	if m.one(14) && !(m.whole && (c.Name == "k" || c.Name == "n" || c.Name == "u")) {
		return nil, m.one(2)
	}
	switch c.Name {
	case "k":
		return keys[m.r.IntN(kinds)], true
	case "u", "w":
		return pick(m, words...), true
	case "n":
		return m.r.Int64N(4) - 1, true
	}
	switch c.Type {
	case naive.Int:
		if m.one(60) {
			return pick[int64](m, math.MaxInt64, math.MinInt64, math.MaxInt64-1, 1<<53+1), true
		}
		return m.r.Int64N(21) - 8, true
	case naive.Double:
		return float64(m.r.IntN(33)-12) / 4, true
	case naive.Bool:
		return m.one(2), true
	case naive.Ints:
		list := []any{}
		for range m.r.IntN(4) {
			if m.one(8) {
				list = append(list, nil)
				continue
			}
			list = append(list, m.r.Int64N(9)-3)
		}
		return list, true
	case naive.Strs:
		list := []any{}
		for range m.r.IntN(4) {
			list = append(list, pick(m, words...))
		}
		return list, true
	}
	panic("no value for " + c.Type)
}

// key gives a record its key, and the partition that follows from it.
func (m *maker) key(s *naive.Source, r *naive.Record) {
	if s.Key == nil {
		switch m.r.IntN(3) {
		case 0:
			key := pick(m, keys...)
			r.Key = &key
		}
		return
	}
	value := r.Value
	if s.Table {
		value = r.KeyV
	} else if value == nil || r.Bad {
		value = map[string]any{}
		for _, k := range s.Key {
			value[k], _ = m.value(naive.Col{Name: k}, 0, 0, len(keys))
		}
	}
	key, ok := naive.WireKey(value, s.Key)
	if !ok {
		return
	}
	r.Key = &key
	r.Part = int(engine.PartitionOf([]byte(key), m.c.Partitions))
}

// columnsOf lists the columns of a relation that have one of the types.
func columnsOf(in *naive.Relation, types ...string) []naive.Col {
	var out []naive.Col
	for _, c := range in.Cols {
		if slices.Contains(types, c.Type) && c.Name != "final" {
			out = append(out, c)
		}
	}
	return out
}

// condition makes an expression that is true, false or null. risky ones may
// fail.
func (m *maker) condition(in *naive.Relation, risky bool) *naive.Expr {
	compare := []string{"==", "!=", "<", "<=", ">", ">="}
	switch m.r.IntN(8) {
	case 0:
		return naive.Call("and", naive.Bool, m.condition(in, risky), m.condition(in, risky))
	case 1:
		return naive.Call("or", naive.Bool, m.condition(in, risky), m.condition(in, risky))
	case 2:
		return naive.Call("not", naive.Bool, m.condition(in, risky))
	case 3:
		if cols := columnsOf(in, naive.Int, naive.String, naive.Double, naive.Bool); len(cols) > 0 {
			return naive.Call(pick(m, "==", "!="), naive.Bool, naive.ColOf(pick(m, cols...)), &naive.Expr{Op: "lit"})
		}
	case 4:
		if cols := columnsOf(in, naive.String); len(cols) > 0 {
			return naive.Call(pick(m, compare...), naive.Bool, naive.ColOf(pick(m, cols...)), naive.Lit(pick(m, "a", "x", "b", "")))
		}
	case 5:
		if cols := columnsOf(in, naive.Bool); len(cols) > 0 {
			return naive.ColOf(pick(m, cols...))
		}
	}
	return naive.Call(pick(m, compare...), naive.Bool, m.number(in, risky), m.number(in, false))
}

// number makes an int or double expression.
func (m *maker) number(in *naive.Relation, risky bool) *naive.Expr {
	cols := columnsOf(in, naive.Int, naive.Double)
	leaf := func() *naive.Expr {
		if len(cols) == 0 || m.one(3) {
			if m.one(3) {
				return naive.Lit(float64(m.r.IntN(17)-8) / 4)
			}
			return naive.Lit(m.r.Int64N(9) - 3)
		}
		return naive.ColOf(pick(m, cols...))
	}
	if !m.one(3) {
		return leaf()
	}
	x, y := leaf(), leaf()
	typ := naive.Int
	if x.Type == naive.Double || y.Type == naive.Double {
		typ = naive.Double
	}
	switch {
	case risky && typ == naive.Int && m.one(3):
		return naive.Call("%", naive.Int, x, y)
	case risky && m.one(3):
		return naive.Call("/", naive.Double, x, y)
	case m.one(4):
		return naive.Call("??", typ, x, y)
	case risky:
		return naive.Call(pick(m, "+", "-", "*"), typ, x, y)
	}
	return naive.Call("?:", typ, m.condition(in, false), x, y)
}

// safe makes an expression of any type that cannot fail.
func (m *maker) safe(in *naive.Relation, risky bool) *naive.Expr {
	switch m.r.IntN(4) {
	case 0:
		if cols := columnsOf(in, naive.String); len(cols) > 0 {
			return naive.Call("+", naive.String, naive.ColOf(pick(m, cols...)), naive.Lit(pick(m, "-", "")))
		}
	case 1:
		return m.condition(in, risky)
	case 2:
		if cols := columnsOf(in, naive.Int, naive.String, naive.Double, naive.Time); len(cols) > 0 {
			return naive.ColOf(pick(m, cols...))
		}
	}
	return m.number(in, risky)
}

// relations gives what names stand for so far.
func (m *maker) relations() map[string]*naive.Relation {
	all, err := naive.Shapes(m.c.Spec)
	if err != nil {
		panic(fmt.Sprintf("seed %d: %v\n%s", m.c.Seed, err, YAML(m.c.Spec)))
	}
	return all
}

// pipeline makes sources, steps and sinks.
func (m *maker) pipeline() {
	spec := m.c.Spec
	spec.Sources = append(spec.Sources, m.source("s1"))
	if m.one(3) {
		spec.Sources = append(spec.Sources, m.source("s2"))
	}
	if m.one(3) {
		spec.Sources = append(spec.Sources, m.table("u1", pick(m, []string{"k"}, []string{"n"}, []string{"k", "n"})...))
	}
	if m.one(6) {
		spec.Sources = append(spec.Sources, m.table("u2", pick(m, []string{"k"}, []string{"n"})...))
	}
	for range 1 + m.r.IntN(3) {
		m.step()
	}
	if m.only != "" {
		m.require()
	}
	all := m.relations()
	used := map[string]bool{}
	for _, s := range spec.Steps {
		for _, in := range append([]string{s.Input, s.Right}, s.Inputs...) {
			used[in] = true
		}
	}
	var names []string
	for name := range all {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		risky := slices.ContainsFunc(spec.Steps, func(s *naive.Step) bool { return s.Name == name && s.Type == "map" })
		if isSource(spec, name) && (used[name] || len(spec.Steps) > 0) && !m.one(8) {
			continue
		}
		if !used[name] || risky || m.one(3) {
			in := all[name]
			s := &naive.Sink{Name: m.name("out"), Input: name}
			s.OnlyFinal = in.Update && in.Windowed && in.Type("final") != "" && m.one(3)
			m.sink(s, in)
			spec.Sinks = append(spec.Sinks, s)
		}
	}
	m.c.prune()
}

// sink chooses a key for some streams, and columns that are left out.
func (m *maker) sink(s *naive.Sink, in *naive.Relation) {
	if cols := columnsOf(in, naive.String, naive.Int, naive.Bool); !in.Table && len(cols) > 0 && m.one(6) {
		s.Key = []string{pick(m, cols...).Name}
		if c := pick(m, cols...); c.Name != s.Key[0] && m.one(2) {
			s.Key = append(s.Key, c.Name)
		}
	}
	if m.one(6) {
		for _, c := range in.Cols {
			if m.one(4) && c.Name != "id" && c.Name != "final" && !strings.Contains(c.Name, ".") {
				s.Drop = append(s.Drop, c.Name)
			}
		}
		if len(s.Drop) == len(in.Cols) {
			s.Drop = nil
		}
	}
}

func isSource(spec *naive.Spec, name string) bool { return spec.SourceOf(name) != nil }
