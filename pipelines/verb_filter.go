package pipelines

import (
	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/operators"
)

// filterStep keeps rows.
type filterStep struct {
	single
	Where *Expr
}

func readFilter(l *loader, _ *Transform, f *fields) step {
	return &filterStep{Where: l.expr(f.get("where"))}
}

func (s *filterStep) derive(c *compiler, _ *Transform, d *derivation) {
	d.where = c.condition(s.Where, d.in[0].scope(), d)
}

func (s *filterStep) needs(d *derivation, need map[string]bool, want func(*stream, string)) {
	passOn(d.in[0], need, want)
}

func (s *filterStep) build(b *builder, d *derivation, at []place) (place, error) {
	where, err := b.again(d.where, at[0])
	if err != nil {
		return place{}, err
	}
	return b.add(at[0], d.out, "filter", &engine.NodeSpec{Schema: at[0].schema, Table: d.out.table, New: operators.Filter(where)}), nil
}
