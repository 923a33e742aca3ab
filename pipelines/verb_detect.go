package pipelines

import (
	"time"

	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/operators"
	"github.com/leatstream/leat/operators/expr"
)

// detectStep finds sequences of rows.
type detectStep struct {
	single
	GroupBy []Group
	Pattern []patternStep
	Within  time.Duration
	Select  []Assign
	Overlap bool

	selects []*expr.Program
}

type patternStep struct {
	As     Word
	Where  *Expr
	Times  int
	Absent bool
	node   *node

	where *expr.Program
}

func readDetect(l *loader, _ *Transform, f *fields) step {
	s := &detectStep{GroupBy: l.groups(f.get("group_by")), Within: l.span(f.get("within"), time.Millisecond), Select: l.assigns(f.get("select"), true)}
	const most = 1_000_000
	for _, item := range l.list(f.get("pattern"), "steps") {
		k := l.fields(item, mustKind("pattern step", ""))
		if k == nil {
			continue
		}
		one := patternStep{node: item, As: l.name(k.get("as"))}
		if v := k.get("where"); v != nil {
			one.Where = l.expr(v)
		}
		if v := k.get("times"); v != nil {
			one.Times, _ = l.whole(v, 1, most)
		}
		if v := k.get("absent"); v != nil {
			one.Absent, _ = l.bool(v)
		}
		k.done()
		s.Pattern = append(s.Pattern, one)
	}
	if v := f.get("skip"); v != nil {
		skip, _ := l.oneOf(v, "past_last", "none")
		s.Overlap = skip == "none"
	}
	return s
}

func (s *detectStep) derive(c *compiler, t *Transform, d *derivation) {
	in, out := d.in[0], d.out
	if in.table {
		c.l.fail(t.node, "type", "take the rows as facts: emit: close before it", "detect reads facts, and %q is a table, whose rows change", in.name)
		return
	}
	if types := c.groups(s.GroupBy, in, d); len(types) != len(s.GroupBy) {
		return
	}
	spec := operators.NewDetect(in.schema, groupColumns(d.group), s.Within, s.Overlap)
	reads := &derivation{reads: map[string]bool{}}
	lists := without(in.lists, "")
	for i := range s.Pattern {
		one := &s.Pattern[i]
		one.where = c.condition(one.Where, scope{schema: spec.Env, lists: lists}, reads)
		if one.Where != nil && one.where == nil {
			return
		}
		if err := spec.AddStep(operators.DetectStep{As: one.As.Text, Where: one.where, Times: one.Times, Absent: one.Absent}); err != nil {
			c.l.fail(one.node, "value", "", "%s", err)
			return
		}
		if !one.Absent {
			for name, elem := range in.lists {
				lists[one.As.Text+"."+name] = elem
			}
		}
	}
	var columns []operators.DetectColumn
	out.lists = map[string]engine.Type{}
	env := scope{schema: spec.SelectEnv(), lists: lists}
	for _, a := range s.Select {
		p := c.compile(a.Expr, env, reads)
		s.selects = append(s.selects, p)
		if p == nil || c.takesReserved(a.Column, -1, in) {
			return
		}
		columns = append(columns, operators.DetectColumn{Name: a.Column.Text, Expr: p})
		if p.Elem() != engine.Invalid {
			out.lists[a.Column.Text] = p.Elem()
		}
	}
	if err := spec.Done(columns); err != nil {
		c.l.fail(t.node, "value", "", "%s", err)
		return
	}
	for name := range reads.reads {
		for _, one := range s.Pattern { // a.amount reads amount
			if n := len(one.As.Text); len(name) > n+1 && name[:n+1] == one.As.Text+"." {
				name = name[n+1:]
				break
			}
		}
		if in.schema.Lookup(name) >= 0 {
			d.reads[name] = true
		}
	}
	d.reshard = !covered(in, d.group)
	d.keyed()
	out.schema = spec.Out
	for _, g := range d.group {
		if out.schema.Lookup(g.name) < 0 {
			out.group, out.lostGroup = nil, t.Name.Text
			out.key, out.wire = nil, nil
			break
		}
	}
}

func (s *detectStep) needs(*derivation, map[string]bool, func(*stream, string)) {}

func (s *detectStep) build(b *builder, d *derivation, at []place) (place, error) {
	in := d.in[0]
	r, err := b.arrive(d.out, arrival{in: in, label: d.out.id(), reshard: d.reshard, group: d.group, keep: only(d.reads, in.schema)}, at[0])
	if err != nil {
		return place{}, err
	}
	spec := operators.NewDetect(r.at.schema, groupColumns(r.group), s.Within, s.Overlap)
	lists := without(in.lists, "")
	for _, one := range s.Pattern {
		for name, elem := range in.lists {
			lists[one.As.Text+"."+name] = elem
		}
	}
	for _, one := range s.Pattern {
		where, err := b.again(one.where, place{schema: spec.Env, lists: lists})
		if err != nil {
			return place{}, err
		}
		if err := spec.AddStep(operators.DetectStep{As: one.As.Text, Where: where, Times: one.Times, Absent: one.Absent}); err != nil {
			return place{}, err
		}
	}
	var columns []operators.DetectColumn
	for i, a := range s.Select {
		p, err := b.again(s.selects[i], place{schema: spec.SelectEnv(), lists: lists})
		if err != nil {
			return place{}, err
		}
		columns = append(columns, operators.DetectColumn{Name: a.Column.Text, Expr: p})
	}
	if err := spec.Done(columns); err != nil {
		return place{}, err
	}
	n := &engine.NodeSpec{Schema: spec.Out, Stores: operators.DetectStores(d.out.id(), spec), New: operators.Detect(spec)}
	next := b.add(r.at, d.out, "detect", n)
	lateStage(n, Word{})
	b.keyed(d, n)
	return next, nil
}

func (s *detectStep) stride() time.Duration { return s.Within }

// lint warns of what is rarely meant.
func (s *detectStep) lint(k *checker, d *derivation) { k.lintIdle(d.t.node, d.in[0]) }
