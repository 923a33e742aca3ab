package random

import (
	"slices"

	"github.com/leatstream/leat/bench/random/naive"
)

// This file makes what changes what is written: upcast, and the aggregates of
// replicas.

// upcast makes one to three steps from versions that rows have.
func (m *maker) upcast(s *naive.Step, in *naive.Relation) bool {
	ints := slices.DeleteFunc(columnsOf(in, naive.Int), func(c naive.Col) bool {
		return c.Name == "id" || c.Name == "rank" || slices.Contains(in.Group, c.Name)
	})
	if len(ints) == 0 {
		return false
	}
	version := naive.ColOf(pick(m, ints...))
	if in.Type("n") != "" && m.one(2) {
		version = naive.ColOf(naive.Col{Name: "n", Type: naive.Int})
	}
	if version.Name == "n" && (slices.Contains(in.Group, "n") || slices.Contains(in.PartKey, "n") || m.one(3)) {
		version = naive.Call("+", naive.Int, version, naive.Lit(int64(0))) // a version that is no column stays as it is
	}
	s.Version = version
	keep := append([]string{"window_start", "window_end", "final", "id", "k", "n", "u", "ts", "rank", version.Name}, in.Group...)
	work := slices.Clone(in.Cols)
	from := m.r.Int64N(2)
	for range 1 + m.r.IntN(3) {
		l := naive.Lift{From: from}
		env := &naive.Relation{Cols: slices.Clone(work)}
		for range m.r.IntN(3) {
			a := naive.Assign{Name: m.name("w"), Expr: m.safe(env, m.one(5))}
			if cols := columnsOf(env, naive.Int, naive.Double, naive.Bool, naive.String); m.one(2) && len(cols) > 0 {
				if c := pick(m, cols...); c.Type == a.Expr.Type && !slices.Contains(keep, c.Name) && !slices.ContainsFunc(l.Set, func(a naive.Assign) bool { return a.Name == c.Name }) {
					a.Name = c.Name
				}
			}
			l.Set = append(l.Set, a)
			if env.Type(a.Name) == "" {
				work = append(work, naive.Col{Name: a.Name, Type: a.Expr.Type})
			}
		}
		if i := m.r.IntN(len(work)); m.one(3) && !slices.Contains(keep, work[i].Name) && !slices.ContainsFunc(l.Set, func(a naive.Assign) bool { return a.Name == work[i].Name }) {
			l.Drop = append(l.Drop, work[i].Name)
			work = slices.Delete(work, i, i+1)
		}
		s.Lifts = append(s.Lifts, l)
		if from += 1 + m.r.Int64N(2); from > 2 {
			break
		}
	}
	return true
}

// written chooses the arguments of an aggregate of what replicas write.
func (m *maker) written(a *naive.Agg, in *naive.Relation) bool {
	col := func(types ...string) *naive.Expr {
		cols := slices.DeleteFunc(columnsOf(in, types...), func(c naive.Col) bool { return c.Name == "id" })
		if len(cols) == 0 {
			return naive.Lit("x")
		}
		return naive.ColOf(pick(m, cols...))
	}
	number := func() *naive.Expr {
		e := col(naive.Int, naive.Double)
		if e.Op == "lit" {
			e = naive.Lit(int64(1))
		}
		if e.Type == naive.Int {
			e = small(e)
		}
		return e
	}
	actor := func() *naive.Expr { return col(naive.String) }
	ts := func() *naive.Expr {
		e := col(naive.Int, naive.Time)
		if e.Op == "lit" {
			e = naive.Lit(int64(1))
		}
		return e
	}
	switch a.Fn {
	case "g_counter", "pn_counter":
		a.Args = []*naive.Expr{number(), actor()}
	case "lww":
		a.Args = []*naive.Expr{col(naive.Int, naive.Double, naive.String), ts(), actor()}
	case "or_set":
		op := naive.Call("?:", naive.String, m.condition(in, false), naive.Lit("add"), naive.Lit("remove"))
		a.Args = []*naive.Expr{op, col(naive.Int, naive.String), col(naive.String)}
	case "lww_map":
		a.Args = []*naive.Expr{col(naive.String), col(naive.Int, naive.Double, naive.String), ts(), actor()}
	case "top_k":
		a.Args, a.Param = []*naive.Expr{col(naive.String)}, 1+m.r.IntN(4) // few values: it is exact
	}
	return true
}
