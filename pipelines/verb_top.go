package pipelines

import (
	"slices"
	"time"

	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/operators"
	"github.com/leatstream/leat/operators/expr"
	"github.com/leatstream/leat/window"
)

// topStep keeps the first rows of an order.
type topStep struct {
	single
	By        *Expr
	K         int
	Ascending bool
	Ties      bool
	GroupBy   []Group
	Window    *Window // nil: none; of kind same: the input's

	by     *expr.Program
	record bool
	spec   operators.TopSpec
}

func readTop(l *loader, _ *Transform, f *fields) step {
	s := &topStep{By: l.expr(f.get("by")), GroupBy: l.groups(f.get("group_by"))}
	const most = 1_000_000
	if v := f.get("k"); v != nil {
		s.K, _ = l.whole(v, 1, most)
	}
	if v := f.get("order"); v != nil {
		order, _ := l.oneOf(v, "desc", "asc")
		s.Ascending = order == "asc"
	}
	if v := f.get("ties"); v != nil {
		s.Ties, _ = l.bool(v)
	}
	if v := f.get("window"); v != nil {
		if s.Window = l.window(v); s.Window != nil && !slices.Contains([]string{"same", "tumbling", "hopping", "cumulate"}, s.Window.Spec.Kind) {
			l.fail(v, "value", "same, tumbling, hopping or cumulate", "a top has no %s windows", s.Window.Spec.Kind)
		}
	}
	return s
}

func (s *topStep) derive(c *compiler, t *Transform, d *derivation) {
	in, out := d.in[0], d.out
	types := c.groups(s.GroupBy, in, d)
	rows := &derivation{reads: d.reads}
	if s.by = c.compile(s.By, in.scope(), rows); s.by == nil || len(types) != len(s.GroupBy) {
		return
	}
	s.record = rows.useRecord
	d.reshard = !covered(in, d.group)
	spec, err := operators.NewTop(s.specOf(in, in.schema, groupColumns(d.group), s.by))
	if err != nil {
		c.l.fail(t.node, "value", "", "%s", err)
		return
	}
	for _, name := range in.identity() {
		d.reads[name] = true
	}
	s.spec = spec
	out.key, out.wire = settled(in, d)
	out.schema, out.record, out.table = spec.Out, false, !spec.Closes()
	out.windowed = s.Window != nil
	out.group, out.grouped, out.lostGroup = []string{}, true, ""
	for _, name := range spec.KeyColumns() {
		if name != windowStart && name != windowEnd {
			out.group = append(out.group, name)
		}
	}
	out.results, out.update, out.window = !s.Ties, false, nil
	switch {
	case s.Window == nil:
	case s.Window.Spec.Kind != "same":
		out.window = &s.Window.Spec
	case !out.table:
		out.window = in.window
	}
}

func (s *topStep) specOf(in *stream, schema *engine.Schema, group []operators.GroupColumn, by *expr.Program) operators.TopSpec {
	spec := operators.TopSpec{In: schema, Group: group, By: by, K: s.K, Ascending: s.Ascending, Ties: s.Ties, TableInput: in.table}
	own := in.identity()
	if s.Window != nil && s.Window.Spec.Kind == "same" {
		spec.Same, own = true, in.group
	} else if s.Window != nil {
		spec.Window = s.Window.Spec
	}
	for _, name := range own {
		if i := schema.Lookup(name); i >= 0 {
			spec.Key = append(spec.Key, i)
		}
	}
	return spec
}

func (s *topStep) needs(d *derivation, need map[string]bool, want func(*stream, string)) {
	passOn(d.in[0], need, want)
	if s.Window != nil && s.Window.Spec.Kind == "same" {
		want(d.in[0], windowStart)
		want(d.in[0], windowEnd)
	}
}

func (s *topStep) build(b *builder, d *derivation, at []place) (place, error) {
	in := d.in[0]
	keep := only(b.need[in], in.schema)
	r, err := b.arrive(d.out, arrival{in: in, label: d.out.id(), reshard: d.reshard, group: d.group, keep: keep, programs: []argument{{name: "by", p: s.by, record: s.record}}}, at[0])
	if err != nil {
		return place{}, err
	}
	spec, err := operators.NewTop(s.specOf(in, r.at.schema, groupColumns(r.group), r.programs[0]))
	if err != nil {
		return place{}, err
	}
	n := &engine.NodeSpec{Schema: spec.Out, Table: d.out.table, Stores: operators.TopStores(d.out.id(), spec), New: operators.Top(spec)}
	if len(d.group) == 0 {
		n.Notes = append(n.Notes, "one group: a single partition does this work")
	}
	next := b.add(r.at, d.out, "top", n)
	lateStage(n, Word{})
	b.keyed(d, n)
	return b.tidy(d.out, next), nil
}

func (s *topStep) stride() time.Duration {
	if s.Window == nil {
		return 0
	}
	return stride(s.Window.Spec)
}

// stride is how finely time matters to windows.
func stride(s window.Spec) time.Duration {
	for _, span := range []int64{s.Advance, s.Step, s.Size, s.Gap} {
		if s.Zone != "" {
			return time.Minute
		}
		if span > 0 && s.Kind != "count" {
			return time.Duration(span) * time.Millisecond
		}
	}
	return 0
}

// lint warns of what is rarely meant.
func (s *topStep) lint(k *checker, d *derivation) {
	k.lintOneGroup(d.t.Name.node, d)
	if d.out.table && !d.in[0].table {
		k.warn(d.t.Name.node, "unbounded", "give it a window, or aggregate before", "%q ranks all rows of a stream so far", d.out.name)
	}
}
