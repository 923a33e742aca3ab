package pipelines

import (
	"slices"

	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/operators"
)

// unionStep merges streams, or tables.
type unionStep struct {
	Inputs     []Word
	SourceName Word
	node       *node

	spec operators.UnionSpec
}

func readUnion(l *loader, t *Transform, f *fields) step {
	s := &unionStep{node: t.node}
	seen := map[string]bool{}
	for _, item := range l.list(f.get("inputs"), "names") {
		w, ok := l.word(item)
		if !ok {
			continue
		}
		if seen[w.Text] {
			l.fail(item, "duplicate-name", "", "the input %q is named twice", w.Text)
			continue
		}
		seen[w.Text] = true
		s.Inputs = append(s.Inputs, w)
	}
	if v := f.get("inputs"); v != nil && v.kind == sequenceNode && len(v.items) < 2 {
		l.fail(v, "value", "inputs: [a, b]", "a union needs two inputs at least")
	}
	if v := f.get("source_name"); v != nil {
		s.SourceName, _ = l.columnName(v)
	}
	return s
}

func (s *unionStep) inputs() []Word { return s.Inputs }
func (*unionStep) sides() []Word    { return nil }

func (s *unionStep) derive(c *compiler, t *Transform, d *derivation) {
	if len(d.in) < 2 {
		return
	}
	names, schemas := s.of(d)
	for i, in := range d.in {
		if in.table != d.in[0].table {
			c.l.fail(s.Inputs[i].node, "type", "", "a union is of streams or of tables, and %q is %s, %q %s", in.name, in.what(), d.in[0].name, d.in[0].what())
			return
		}
	}
	var err error
	if s.spec, err = operators.NewUnion(names, schemas, s.SourceName.Text); err != nil {
		c.l.fail(t.node, "type", "change the column with a map before the union", "%s", err)
		return
	}
	out := d.out
	out.schema, out.lists = s.spec.Out, map[string]engine.Type{}
	out.results, out.window = false, nil
	for _, in := range d.in {
		for name, elem := range in.lists {
			out.lists[name] = elem
		}
		if !slices.Equal(in.key, out.key) || (in.key == nil) != (out.key == nil) {
			out.key = nil
		}
		if in.grouped != d.in[0].grouped || !slices.Equal(in.group, d.in[0].group) {
			out.grouped, out.group = false, nil
		}
		out.record = out.record && in.record
		out.hide(in)
		out.windowed = out.windowed && in.windowed
		out.update = out.update || in.update
		out.timeless = out.timeless && in.timeless
	}
	if out.table && out.identity() == nil {
		c.l.fail(t.node, "type", "", "the tables of a union need the same key")
	}
}

func (s *unionStep) of(d *derivation) (names []string, schemas []*engine.Schema) {
	for _, in := range d.in {
		names, schemas = append(names, in.name), append(schemas, in.schema)
	}
	return names, schemas
}

func (s *unionStep) needs(d *derivation, need map[string]bool, want func(*stream, string)) {
	for _, in := range d.in {
		passOn(in, need, want)
	}
}

func (s *unionStep) build(b *builder, d *derivation, at []place) (place, error) {
	at = b.meet(at)
	names, _ := s.of(d)
	var schemas []*engine.Schema
	for _, p := range at {
		schemas = append(schemas, p.schema)
	}
	spec, err := operators.NewUnion(names, schemas, s.SourceName.Text)
	if err != nil {
		return place{}, err
	}
	return b.addTo(at, d.out, "union", &engine.NodeSpec{Schema: spec.Out, Table: d.out.table, New: operators.Union(spec)}), nil
}
