package pipelines

import (
	"time"

	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/operators"
)

// dedupeStep lets the first row of a key and span of time pass.
type dedupeStep struct {
	single
	Key    []Group
	Within time.Duration
}

func readDedupe(l *loader, _ *Transform, f *fields) step {
	s := &dedupeStep{Key: l.groups(f.get("key")), Within: l.span(f.get("within"), time.Millisecond)}
	if v := f.get("key"); v != nil && v.kind == sequenceNode && len(v.items) == 0 {
		l.fail(v, "value", "", "a key needs at least one column")
	}
	return s
}

func (s *dedupeStep) derive(c *compiler, t *Transform, d *derivation) {
	in := d.in[0]
	if in.table {
		c.l.fail(t.node, "type", "a table has one row per key already", "dedupe needs a stream, and %q is a table", in.name)
		return
	}
	if types := c.groups(s.Key, in, d); len(types) != len(s.Key) {
		return
	}
	d.reshard = !covered(in, d.group)
	d.out.key, d.out.wire = settled(in, d)
	d.out.record = in.record && !d.reshard
}

func (s *dedupeStep) needs(d *derivation, need map[string]bool, want func(*stream, string)) {
	passOn(d.in[0], need, want)
}

func (s *dedupeStep) build(b *builder, d *derivation, at []place) (place, error) {
	r, err := b.arrive(d.out, arrival{in: d.in[0], label: d.out.id(), reshard: d.reshard, group: d.group, keep: only(b.need[d.out], d.in[0].schema)}, at[0])
	if err != nil {
		return place{}, err
	}
	spec := operators.DedupeSpec{In: r.at.schema, Key: groupColumns(r.group), Within: s.Within}
	n := &engine.NodeSpec{Schema: r.at.schema, Stores: operators.DedupeStores(d.out.id(), spec), New: operators.Dedupe(spec)}
	next := b.add(r.at, d.out, "dedupe", n)
	lateStage(n, Word{})
	b.keyed(d, n)
	return b.tidy(d.out, next), nil
}

// stride: what is forgotten is forgotten by the watermark.
func (s *dedupeStep) stride() time.Duration { return s.Within }
