package pipelines

import (
	"fmt"
	"slices"

	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/operators"
)

// mapStep changes columns.
type mapStep struct {
	single
	Set    []Assign
	Select []Assign // nil: all columns stay
	Drop   []Word

	hide map[string]bool // columns that go on by select only (join)
}

func readMap(l *loader, _ *Transform, f *fields) step {
	m := l.mapping(f)
	if n := f.node; !n.has("set") && !n.has("select") && !n.has("drop") {
		l.fail(n, "missing-key", "", "a map transform needs set, select or drop")
	}
	return m
}

// mapping reads set, select and drop.
func (l *loader) mapping(f *fields) *mapStep {
	m := &mapStep{
		Set:    l.assigns(f.get("set"), false),
		Select: l.assigns(f.get("select"), true),
		Drop:   l.columns(f.get("drop")),
	}
	n := f.node
	switch {
	case n.has("select") && n.has("drop"):
		l.fail(n.get("drop"), "value", "leave the column out of select", "select and drop exclude each other")
	case n.has("select") && n.has("set"):
		l.fail(n.get("set"), "value", "write the new columns into select", "select and set exclude each other")
	}
	return m
}

// derive computes set, select and drop.
func (m *mapStep) derive(c *compiler, t *Transform, d *derivation) {
	in := d.in[0]
	dropped := map[string]bool{}
	for _, w := range m.Drop {
		if in.schema.Lookup(w.Text) < 0 {
			c.unknownColumn(w, in)
			continue
		}
		dropped[w.Text] = true
	}
	assigned := map[string]mapColumn{}
	var order []string
	assigns := m.Set
	if m.Select != nil {
		assigns = m.Select
	}
	for _, a := range assigns {
		p := c.compile(a.Expr, in.scope(), d)
		if p == nil {
			continue
		}
		col := mapColumn{field: engine.Field{Name: a.Column.Text, Type: p.Type()}, from: -1, expr: p}
		if i := plainColumn(in.schema, a.Expr); i >= 0 {
			col.from, col.expr, col.field.Type = i, nil, in.schema.Fields[i].Type
		} else if col.field.Type == engine.Invalid {
			c.l.failAt(a.Expr.node, a.Expr.offset, "expression", "leave the column out, or give it a type: false ? 0 : nil", "this is always null: the column %q has no type", a.Column.Text)
			continue
		}
		if c.takesReserved(a.Column, col.from, in) || c.clashes(a.Column, assigned, in, m.Select == nil) {
			continue
		}
		if dropped[a.Column.Text] {
			c.l.fail(a.Column.node, "value", "", "column %q is both set and dropped", a.Column.Text)
		}
		assigned[a.Column.Text] = col
		order = append(order, a.Column.Text)
	}
	if m.Select == nil {
		for i, f := range in.schema.Fields {
			if dropped[f.Name] || m.hide[f.Name] {
				continue
			}
			if a, ok := assigned[f.Name]; ok {
				d.columns = append(d.columns, a)
			} else {
				d.columns = append(d.columns, mapColumn{field: engine.Field{Name: f.Name, Type: f.Type}, from: i})
			}
		}
	}
	for _, name := range order {
		if m.Select != nil || in.schema.Lookup(name) < 0 {
			d.columns = append(d.columns, assigned[name])
		}
	}
	if len(d.columns) == 0 && !t.broken {
		c.l.fail(t.node, "value", "", "no column is left")
	}
	d.out.schema = schemaOf(d.columns)
	d.out.show(assigned)
	renamed := renames(d.columns, in.schema)
	d.out.key = rename(in.key, renamed)
	if in.grouped {
		if d.out.group = rename(in.group, renamed); d.out.group == nil && in.group != nil {
			d.out.lostGroup = t.Name.Text
		}
	}
	d.out.windowed = in.windowed && d.out.schema.Lookup(windowStart) >= 0 && d.out.schema.Lookup(windowEnd) >= 0
	d.out.lists = map[string]engine.Type{}
	for _, col := range d.columns {
		if col.from >= 0 {
			if elem, list := in.lists[in.schema.Fields[col.from].Name]; list {
				d.out.lists[col.field.Name] = elem
			}
		} else if col.expr.Elem() != engine.Invalid {
			d.out.lists[col.field.Name] = col.expr.Elem()
		}
	}
}

func (m *mapStep) needs(d *derivation, need map[string]bool, want func(*stream, string)) {
	needsOf(d, need, want)
}

// needsOf wants the columns behind the output's that are read, and all that
// expressions read.
func needsOf(d *derivation, need map[string]bool, want func(*stream, string)) {
	for _, c := range d.columns {
		if c.from >= 0 && need[c.field.Name] {
			want(d.in[0], d.in[0].schema.Fields[c.from].Name)
		}
	}
}

func (m *mapStep) build(b *builder, d *derivation, at []place) (place, error) {
	schema, cols, err := b.columns(d.in[0], d.columns, at[0], b.need[d.out])
	if err != nil {
		return place{}, err
	}
	n := &engine.NodeSpec{Schema: schema, Table: d.in[0].table, New: operators.Map(schema, cols)}
	return b.add(at[0], d.out, "map", n), nil
}

// columns compiles the columns in keep (nil: all) against those that are left.
func (b *builder) columns(in *stream, columns []mapColumn, at place, keep map[string]bool) (*engine.Schema, []operators.MapColumn, error) {
	var out []engine.Field
	var cols []operators.MapColumn
	for _, c := range columns {
		if c.from >= 0 {
			if keep != nil && !keep[c.field.Name] {
				continue
			}
			from := at.schema.Lookup(in.schema.Fields[c.from].Name)
			if from < 0 {
				return nil, nil, fmt.Errorf("column %q is not there", in.schema.Fields[c.from].Name)
			}
			cols = append(cols, operators.MapColumn{From: from})
		} else {
			p, err := b.again(c.expr, at)
			if err != nil {
				return nil, nil, err
			}
			cols = append(cols, operators.MapColumn{From: -1, Expr: p})
		}
		out = append(out, c.field)
	}
	return engine.NewSchema(out...), cols, nil
}

// project adds a map before a repartition, where there is something to compute
// or to leave out.
func (b *builder) project(name string, s, in *stream, columns []mapColumn, at place, kind string, keep map[string]bool) (place, error) {
	schema, cols, err := b.columns(in, columns, at, keep)
	if err != nil {
		return at, err
	}
	if schemaText(schema) == schemaText(at.schema) && !slices.ContainsFunc(cols, func(c operators.MapColumn) bool { return c.From < 0 }) {
		return at, nil
	}
	n := &engine.NodeSpec{Schema: schema, Table: in.table, New: operators.Map(schema, cols)}
	next := b.add(at, s, kind, n)
	n.Name, n.Identity, next.lists = name, "", map[string]engine.Type{}
	for c, elem := range at.lists {
		next.lists[c] = elem
	}
	for _, c := range columns {
		if c.expr != nil && c.expr.Elem() != engine.Invalid {
			next.lists[c.field.Name] = c.expr.Elem()
		}
	}
	return next, nil
}
