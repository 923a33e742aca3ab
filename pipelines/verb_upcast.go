package pipelines

import (
	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/operators"
	"github.com/leatstream/leat/operators/expr"
)

// upcastStep lifts rows of old versions to the newest.
type upcastStep struct {
	single
	Version *Expr
	Steps   []upcastItem

	version *expr.Program
}

type upcastItem struct {
	From int
	Set  []Assign
	Drop []Word
	node *node

	sets []*expr.Program
}

func readUpcast(l *loader, _ *Transform, f *fields) step {
	s := &upcastStep{Version: l.expr(f.get("version"))}
	const most = 1 << 30
	for _, item := range l.list(f.get("steps"), "steps") {
		k := l.fields(item, mustKind("upcast step", ""))
		if k == nil {
			continue
		}
		one := upcastItem{node: item, Set: l.assigns(k.get("set"), false), Drop: l.columns(k.get("drop"))}
		ok := false
		if v := k.get("from"); v != nil {
			one.From, ok = l.whole(v, 0, most)
		}
		k.done()
		if ok {
			s.Steps = append(s.Steps, one)
		}
	}
	return s
}

func (s *upcastStep) derive(c *compiler, t *Transform, d *derivation) {
	in := d.in[0]
	if s.version = c.compile(s.Version, in.scope(), d); s.version == nil {
		return
	}
	spec, err := operators.NewUpcast(in.schema, s.version)
	if err != nil {
		c.l.failAt(s.Version.node, s.Version.offset, "type", "", "%s", err)
		return
	}
	lists := without(in.lists, "")
	for i := range s.Steps {
		item := &s.Steps[i]
		step := operators.UpcastStep{From: int64(item.From)}
		// What a step reads may be a column that an earlier one made.
		reads := &derivation{reads: map[string]bool{}}
		for _, a := range item.Set {
			p := c.compile(a.Expr, scope{spec.Work, lists, in.record}, reads)
			item.sets = append(item.sets, p)
			if p == nil || c.takesReserved(a.Column, -1, in) {
				return
			}
			step.Set = append(step.Set, operators.UpcastSet{Name: a.Column.Text, Expr: p})
			if p.Elem() != engine.Invalid {
				lists[a.Column.Text] = p.Elem()
			}
		}
		for _, w := range item.Drop {
			step.Drop = append(step.Drop, w.Text)
		}
		for name := range reads.reads {
			if in.schema.Lookup(name) >= 0 {
				d.reads[name] = true
			}
		}
		if err := spec.AddStep(step); err != nil {
			c.l.fail(item.node, "value", "", "%s", err)
			return
		}
	}
	if err := spec.Done(); err != nil {
		c.l.fail(t.node, "value", "", "%s", err)
		return
	}
	out := d.out
	out.schema, out.lists = spec.Out, lists
	kept := map[string]string{}
	for _, f := range spec.Out.Fields {
		kept[f.Name] = f.Name
	}
	for i := range s.Steps {
		for _, a := range s.Steps[i].Set {
			delete(kept, a.Column.Text)
		}
	}
	out.key = rename(in.key, kept)
	if in.grouped {
		if out.group = rename(in.group, kept); out.group == nil && in.group != nil {
			out.lostGroup = t.Name.Text
		}
	}
}

func (s *upcastStep) needs(d *derivation, need map[string]bool, want func(*stream, string)) {
	passOn(d.in[0], need, want)
	for _, item := range s.Steps { // that a later step drops, too
		for _, w := range item.Drop {
			if d.in[0].schema.Lookup(w.Text) >= 0 {
				want(d.in[0], w.Text)
			}
		}
		for _, a := range item.Set {
			if d.in[0].schema.Lookup(a.Column.Text) >= 0 {
				want(d.in[0], a.Column.Text)
			}
		}
	}
}

func (s *upcastStep) build(b *builder, d *derivation, at []place) (place, error) {
	version, err := b.again(s.version, at[0])
	if err != nil {
		return place{}, err
	}
	spec, err := operators.NewUpcast(at[0].schema, version)
	if err != nil {
		return place{}, err
	}
	for _, item := range s.Steps {
		step := operators.UpcastStep{From: int64(item.From)}
		work := at[0]
		work.schema, work.lists = spec.Work, d.out.lists
		for i, a := range item.Set {
			p, err := b.again(item.sets[i], work)
			if err != nil {
				return place{}, err
			}
			step.Set = append(step.Set, operators.UpcastSet{Name: a.Column.Text, Expr: p})
		}
		for _, w := range item.Drop {
			step.Drop = append(step.Drop, w.Text)
		}
		if err := spec.AddStep(step); err != nil {
			return place{}, err
		}
	}
	if err := spec.Done(); err != nil {
		return place{}, err
	}
	return b.add(at[0], d.out, "upcast", &engine.NodeSpec{Schema: spec.Out, Table: d.out.table, New: operators.Upcast(spec)}), nil
}
