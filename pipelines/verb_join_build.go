package pipelines

import (
	"fmt"
	"slices"

	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/operators"
)

// build brings both sides to one place and joins them there.
//
//	left  ─▶ (version) ─▶ (repartition) ─┐
//	                                     ├▶ join ─▶ (repartition ─▶ settle) ─▶ map
//	right ─────────────▶ (repartition) ──┘  └1,2▶ map ─▶ union: late rows
func (s *joinStep) build(b *builder, d *derivation, at []place) (place, error) {
	left, right := d.in[0], d.in[1]
	name := d.out.id()
	from := at[0]
	if s.form == foreignKey {
		from = b.version(d, from)
	}
	table := at[1]
	if s.form == streamTable && right.history > 0 && right.source != nil && !s.other.reshard {
		table.port = 1 // of a versioned table: versions that came out of order, too
	}
	keep := only(b.need[left], left.schema)
	if s.form == foreignKey {
		keep = append(keep, operators.VersionColumn)
	}
	l, err := b.arrive(d.out, arrival{in: left, label: name + "-left", reshard: s.left.reshard, by: s.left.by, names: s.left.names, group: d.group, keep: keep, schema: from.schema, nulls: s.Kind != operators.InnerJoin}, from)
	if err != nil {
		return place{}, err
	}
	r, err := b.arrive(d.out, arrival{in: right, label: name + "-right", reshard: s.other.reshard, by: s.other.by, names: s.other.names, whole: s.form == streamTable && right.timeless, copies: s.other.copies, group: s.right, keep: only(b.need[right], right.schema), nulls: s.Kind == operators.OuterJoin}, table)
	if err != nil {
		return place{}, err
	}
	places := b.meet([]place{l.at, r.at})
	n, schema := s.node(b, d, l, r)
	next := b.addTo(places, d.out, n.Kind, n)
	lateStage(n, s.Late)
	b.keyed(d, n)
	for _, side := range d.sides {
		if b.places[side], err = s.buildLate(b, side, next, l.at, r.at); err != nil {
			return place{}, err
		}
	}
	next.schema, next.lists = schema, s.joined.lists
	if s.form == foreignKey {
		if next, err = b.settle(d, next); err != nil {
			return place{}, err
		}
	}
	out, cols, err := b.columns(s.joined, s.result.columns, next, b.need[d.out])
	if err != nil {
		return place{}, err
	}
	m := &engine.NodeSpec{Schema: out, Table: d.out.table, New: operators.Map(out, cols)}
	last := b.add(next, d.out, "map", m)
	m.Name, m.Identity = name+".set", ""
	return last, nil
}

// node makes the join's operator; the schema is what it puts out.
func (s *joinStep) node(b *builder, d *derivation, l, r arrived) (*engine.NodeSpec, *engine.Schema) {
	left, right := d.in[0], d.in[1]
	spec := operators.JoinSpec{
		Kind: s.Kind,
		Left: operators.JoinSide{Schema: l.at.schema, Key: groupColumns(l.group)}, Right: operators.JoinSide{Schema: r.at.schema, Key: groupColumns(r.group)},
	}
	var fields []engine.Field
	out := func(name string) bool { return true }
	if s.LateAs.Given() { // what only late rows are read for is not kept
		reads := s.read(b.need[d.out])
		out = func(name string) bool { return reads[name] }
	}
	for i, f := range l.at.schema.Fields {
		if left.schema.Lookup(f.Name) >= 0 && out(f.Name) || f.Name == operators.VersionColumn {
			fields, spec.Columns = append(fields, f), append(spec.Columns, operators.JoinColumn{Column: i})
		}
	}
	for i, f := range r.at.schema.Fields {
		if right.schema.Lookup(f.Name) >= 0 && out(s.Other.Text+"."+f.Name) {
			fields = append(fields, engine.Field{Name: s.Other.Text + "." + f.Name, Type: f.Type})
			spec.Columns = append(spec.Columns, operators.JoinColumn{Right: true, Column: i})
		}
	}
	spec.Out = engine.NewSchema(fields...)
	n := &engine.NodeSpec{Schema: spec.Out, Kind: "join", Table: s.form >= tableTable}
	name := d.out.id()
	switch s.form {
	case streamStream:
		ss := operators.StreamStreamSpec{JoinSpec: spec, Before: s.Before.Milliseconds(), After: s.After.Milliseconds(), Grace: s.Grace.Milliseconds(), LateSide: s.LateAs.Given()}
		n.Stores, n.New = operators.StreamStreamStores(name, ss), operators.StreamStream(ss)
		n.Notes = []string{s.Kind.String() + " join of two streams"}
	case streamTable:
		st := operators.StreamTableSpec{JoinSpec: spec, History: right.history}
		n.Stores, n.New = operators.StreamTableStores(name, st), operators.StreamTable(st)
		n.Notes = []string{s.Kind.String() + " join of a stream with a table"}
	case tableTable:
		tt := operators.TableTableSpec{JoinSpec: spec, TTL: s.TTL}
		n.Stores, n.New = operators.TableTableStores(name, tt), operators.TableTable(tt)
		n.Notes = []string{s.Kind.String() + " join of two tables"}
	default:
		fk := operators.ForeignKeySpec{JoinSpec: spec}
		for _, k := range left.identity() {
			fk.LeftKey = append(fk.LeftKey, l.at.schema.Lookup(k))
		}
		n.Stores, n.New = operators.ForeignKeyStores(name, fk), operators.ForeignKey(fk)
		n.Notes = []string{s.Kind.String() + " join of two tables by a foreign key"}
	}
	return n, spec.Out
}

// buildLate brings the late rows of both sides together, which the join sends
// by its outputs 1 (left) and 2 (right) as they came to it.
func (s *joinStep) buildLate(b *builder, side *stream, join, left, right place) (place, error) {
	if b.need[side] == nil {
		return join, nil
	}
	var at []place
	var schemas []*engine.Schema
	for i, from := range []place{left, right} {
		prefix := ""
		if i == 1 {
			prefix = s.Other.Text + "."
		}
		var fields []engine.Field
		var cols []operators.MapColumn
		for c, f := range from.schema.Fields {
			if b.need[side][prefix+f.Name] {
				fields = append(fields, engine.Field{Name: prefix + f.Name, Type: f.Type})
				cols = append(cols, operators.MapColumn{From: c})
			}
		}
		from.node, from.port, from.sub = join.node, 1+i, join.sub
		schema := engine.NewSchema(fields...)
		n := &engine.NodeSpec{Schema: schema, New: operators.Map(schema, cols)}
		next := b.add(from, side, "map", n)
		n.Name, n.Identity = side.name+[]string{".left", ".right"}[i], ""
		at, schemas = append(at, next), append(schemas, schema)
	}
	spec, err := operators.NewUnion([]string{"left", "right"}, schemas, "")
	if err != nil {
		return place{}, err
	}
	n := &engine.NodeSpec{Schema: spec.Out, New: operators.Union(spec)}
	last := b.addTo(at, side, "union", n)
	n.Name, n.Identity = side.name, ""
	return last, nil
}

// version numbers the changes of the left of a join by foreign key, so that
// they can be put in order again behind it.
func (b *builder) version(d *derivation, at place) place {
	out := engine.NewSchema(append(slices.Clone(at.schema.Fields), engine.Field{Name: operators.VersionColumn, Type: engine.Int})...)
	spec := operators.VersionSpec{In: at.schema, Out: out}
	n := &engine.NodeSpec{Schema: out, Table: true, Stores: operators.VersionStores(d.out.id() + "-version"), New: operators.Version(spec)}
	next := b.add(at, d.out, "version", n)
	n.Name, n.Identity, next.lists = d.out.id()+"-version", "", at.lists
	return next
}

// settle brings the results of a join by foreign key back to the left's key,
// the newest version of each row winning.
func (b *builder) settle(d *derivation, at place) (place, error) {
	left := d.in[0]
	back := b.repartition(d.out, &stream{table: true, timeless: left.timeless && d.in[1].timeless}, arrival{label: d.out.id() + "-back"}, at, left.group)
	version := back.schema.Lookup(operators.VersionColumn)
	if version < 0 {
		return at, fmt.Errorf("the column %q is not there", operators.VersionColumn)
	}
	out := engine.NewSchema(slices.DeleteFunc(slices.Clone(back.schema.Fields), func(f engine.Field) bool { return f.Name == operators.VersionColumn })...)
	spec := operators.SettleSpec{In: back.schema, Out: out, Version: version}
	for _, k := range left.identity() {
		spec.Key = append(spec.Key, back.schema.Lookup(k))
	}
	n := &engine.NodeSpec{Schema: out, Table: true, Stores: operators.SettleStores(d.out.id()+"-back", spec), New: operators.Settle(spec)}
	next := b.add(back, d.out, "settle", n)
	n.Name, n.Identity, next.lists = d.out.id()+"-back", "", at.lists
	return next, nil
}
