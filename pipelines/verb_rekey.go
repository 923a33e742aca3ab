package pipelines

import (
	"github.com/leatstream/leat/engine"
)

// rekeyStep gives rows a new key.
type rekeyStep struct {
	single
	Key []Group
}

func readRekey(l *loader, _ *Transform, f *fields) step {
	if v := f.get("key"); v != nil && v.kind == sequenceNode && len(v.items) == 0 {
		l.fail(v, "value", "", "a key needs at least one column")
	}
	return &rekeyStep{Key: l.groups(f.get("key"))}
}

// derive adds the computed key columns and moves rows to their new key.
func (s *rekeyStep) derive(c *compiler, _ *Transform, d *derivation) {
	in := d.in[0]
	types := c.groups(s.Key, in, d)
	if len(types) != len(s.Key) {
		return
	}
	for i, f := range in.schema.Fields {
		d.columns = append(d.columns, mapColumn{field: engine.Field{Name: f.Name, Type: f.Type}, from: i})
	}
	var key []string
	for i, g := range d.group {
		if g.from >= 0 {
			key = append(key, in.schema.Fields[g.from].Name)
			continue
		}
		if in.schema.Lookup(g.name) >= 0 {
			c.l.fail(s.Key[i].Name.node, "duplicate-name", "choose another name", "there is a column %q already", g.name)
			continue
		}
		if c.takesReserved(s.Key[i].Name, -1, in) {
			continue
		}
		d.columns = append(d.columns, mapColumn{field: engine.Field{Name: g.name, Type: types[i]}, from: -1, expr: g.expr})
		key = append(key, g.name)
	}
	d.out.schema = schemaOf(d.columns)
	d.out.key, d.out.wire, d.out.record = key, key, false
	if !in.grouped {
		d.out.group, d.out.grouped = key, true
	}
	d.reshard = true
}

func (s *rekeyStep) needs(d *derivation, need map[string]bool, want func(*stream, string)) {
	needsOf(d, need, want)
}

// build computes the new key and sends rows to their new partition.
func (s *rekeyStep) build(b *builder, d *derivation, at []place) (place, error) {
	keep := map[string]bool{}
	for name := range b.need[d.out] {
		keep[name] = true
	}
	for _, name := range d.out.key {
		keep[name] = true
	}
	next, err := b.project(d.out.id(), d.out, d.in[0], d.columns, at[0], "rekey", keep)
	if err != nil {
		return place{}, err
	}
	return b.repartition(d.out, d.in[0], arrival{label: d.out.id()}, next, d.out.key), nil
}
