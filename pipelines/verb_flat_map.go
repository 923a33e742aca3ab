package pipelines

import (
	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/operators"
	"github.com/leatstream/leat/operators/expr"
)

// flatMapStep makes a row of each element of a list.
type flatMapStep struct {
	single
	Unnest *Expr
	As     Word

	list *expr.Program
}

func readFlatMap(l *loader, _ *Transform, f *fields) step {
	s := &flatMapStep{Unnest: l.expr(f.get("unnest"))}
	if v := f.get("as"); v != nil {
		s.As, _ = l.columnName(v)
	}
	return s
}

func (s *flatMapStep) derive(c *compiler, t *Transform, d *derivation) {
	in := d.in[0]
	if in.table {
		c.l.fail(t.node, "type", "take the rows as facts: emit: close before it", "flat_map needs a stream, and %q is a table, whose rows change", in.name)
		return
	}
	s.list = c.compile(s.Unnest, in.scope(), d)
	if s.list == nil || !s.As.Given() || c.takesReserved(s.As, -1, in) {
		return
	}
	spec, err := operators.NewFlatMap(in.schema, s.list, s.As.Text)
	if err != nil {
		c.l.failAt(s.Unnest.node, s.Unnest.offset, "type", "for example split(tags, \",\")", "%s", err)
		return
	}
	out := d.out
	out.schema, out.record, out.lists = spec.Out, false, without(in.lists, s.As.Text)
	if contains(in.key, []string{s.As.Text}) {
		out.key = nil
	}
	if contains(in.group, []string{s.As.Text}) {
		out.group, out.lostGroup = nil, t.Name.Text
	}
	out.results = false // several rows of one identity
}

func (s *flatMapStep) needs(d *derivation, need map[string]bool, want func(*stream, string)) {
	passOn(d.in[0], need, want)
}

func (s *flatMapStep) build(b *builder, d *derivation, at []place) (place, error) {
	list, err := b.again(s.list, at[0])
	if err != nil {
		return place{}, err
	}
	spec, err := operators.NewFlatMap(at[0].schema, list, s.As.Text)
	if err != nil {
		return place{}, err
	}
	return b.add(at[0], d.out, "flat_map", &engine.NodeSpec{Schema: spec.Out, New: operators.FlatMap(spec)}), nil
}

func without(lists map[string]engine.Type, name string) map[string]engine.Type {
	out := map[string]engine.Type{}
	for k, v := range lists {
		if k != name {
			out[k] = v
		}
	}
	return out
}
