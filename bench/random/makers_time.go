package random

import (
	"slices"
	"time"

	"github.com/leatstream/leat/bench/random/naive"
)

// This file makes what goes by time: calendars, ttl, detect.

// changes of clocks: the zone and about when, in UTC.
var changes = []struct{ zone, at string }{
	{"Europe/Berlin", "2024-03-31T01:00:00Z"},
	{"Europe/Berlin", "2024-10-27T01:00:00Z"},
	{"America/New_York", "2023-03-12T07:00:00Z"},
	{"America/New_York", "2023-11-05T06:00:00Z"},
	{"America/Sao_Paulo", "2018-11-04T03:00:00Z"},   // midnight is left out
	{"America/Sao_Paulo", "2018-02-18T02:00:00Z"},   // midnight is 23:00 again
	{"Australia/Lord_Howe", "2024-04-06T15:00:00Z"}, // by half an hour
	{"Asia/Kathmandu", "2024-01-01T00:00:00Z"},      // of a quarter, and no change
	{"UTC", "2024-02-29T00:00:00Z"},
}

// calendar lets rows happen about a change of a zone's clock, hours apart.
func (m *maker) calendar() {
	change := pick(m, changes...)
	at, err := time.Parse(time.RFC3339, change.at)
	if err != nil {
		panic(err)
	}
	m.zone, m.scale = change.zone, 60*60*1000
	m.begin = at.UnixMilli() - m.r.Int64N(80)*m.scale
}

// civil makes a window of the calendar; false: of what is given.
func (m *maker) civil(w *naive.Window) bool {
	span := func(n int64, unit string) naive.Span { return naive.Span{N: n, Unit: unit} }
	type pair [2]naive.Span
	switch w.Type {
	case "tumbling":
		w.CivilSize = pick(m, span(1, "h"), span(2, "h"), span(6, "h"), span(12, "h"), span(1, "d"), span(1, "d"), span(2, "d"), span(1, "w"), span(1, "mo"), span(1, "y"))
		w.CivilBy = w.CivilSize
	case "hopping":
		p := pick(m, pair{span(1, "d"), span(6, "h")}, pair{span(1, "d"), span(1, "h")}, pair{span(6, "h"), span(3, "h")}, pair{span(2, "d"), span(1, "d")},
			pair{span(3, "d"), span(2, "d")}, pair{span(1, "w"), span(1, "d")}, pair{span(2, "w"), span(1, "w")}, pair{span(2, "mo"), span(1, "mo")})
		w.CivilSize, w.CivilBy = p[0], p[1]
	case "cumulate":
		p := pick(m, pair{span(1, "d"), span(1, "h")}, pair{span(1, "d"), span(6, "h")}, pair{span(12, "h"), span(3, "h")}, pair{span(1, "w"), span(1, "d")},
			pair{span(1, "mo"), span(1, "d")}, pair{span(1, "y"), span(1, "mo")})
		w.CivilSize, w.CivilBy = p[0], p[1]
	default:
		return false
	}
	w.Zone = m.zone
	if m.one(3) {
		w.Offset = 30 * 60_000
		if w.CivilBy.Unit != "h" {
			w.Offset = pick[int64](m, 1, 6, 13) * m.scale
		}
	}
	return true
}

// fades tells whether rows of a group may have a ttl, now and then: where they
// come in one order.
func (m *maker) fades(group []naive.Assign, in *naive.Relation) bool {
	return !in.Joined && m.inOrder(group, in) && m.one(3)
}

// detect makes a pattern of one to four steps.
func (m *maker) detect(s *naive.Step, in *naive.Relation) bool {
	s.Group = m.plainGroups(in, 0)
	if in.Table || in.Joined || !m.inOrder(s.Group, in) {
		return false
	}
	s.Within, s.SkipNone = m.span(1, 30), m.one(2)
	for i := range 1 + m.r.IntN(4) {
		p := naive.Pattern{As: m.name("p"), Times: 1}
		p.Where = m.condition(in, m.one(6))
		cols := columnsOf(in, naive.Int, naive.Double)
		if len(cols) > 0 && m.one(2) { // what many rows are
			p.Where = naive.Call(pick(m, "<=", ">"), naive.Bool, naive.ColOf(pick(m, cols...)), naive.Lit(m.r.Int64N(5)-1))
		}
		if before := slices.DeleteFunc(slices.Clone(s.Patterns), func(p naive.Pattern) bool { return p.Absent }); i > 0 && len(cols) > 0 && m.one(2) {
			c := pick(m, cols...)
			earlier := naive.ColOf(naive.Col{Name: pick(m, before...).As + "." + c.Name, Type: c.Type})
			p.Where = naive.Call(pick(m, "<", "<=", "==", "!=", ">", ">="), naive.Bool, naive.ColOf(pick(m, cols...)), earlier)
		}
		switch {
		case i > 0 && m.one(4):
			p.Absent = true
		case m.one(4):
			p.Times = 2 + m.r.IntN(2)
		}
		s.Patterns = append(s.Patterns, p)
	}
	if m.one(2) {
		cols := s.MatchCols(in.Cols)
		for i, c := range cols[:len(s.Group)+2] { // a sink needs the group
			if i < len(s.Group) || !m.one(5) {
				s.Select = append(s.Select, naive.Assign{Name: c.Name, Expr: naive.ColOf(c)})
			}
		}
		for range 1 + m.r.IntN(3) {
			s.Select = append(s.Select, naive.Assign{Name: m.name("q"), Expr: naive.ColOf(pick(m, cols...))})
		}
	}
	return true
}
