package pipelines

import (
	"time"

	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/operators"
	"github.com/leatstream/leat/operators/expr"
)

// reduceStep folds the rows of a group into a state.
type reduceStep struct {
	single
	GroupBy  []Group
	State    []Column
	Init     []Assign
	Fold     []foldCase
	Throttle time.Duration
	TTL      time.Duration
	ByTime   bool

	inits []*expr.Program // per column of State; nil: null
	lists map[string]engine.Type
}

type foldCase struct {
	When   *Expr
	Set    []Assign
	Delete bool
	node   *node

	when *expr.Program
	sets []*expr.Program
}

func readReduce(l *loader, _ *Transform, f *fields) step {
	s := &reduceStep{GroupBy: l.groups(f.get("group_by")), TTL: l.span(f.get("ttl"), time.Millisecond)}
	declared := &Source{}
	l.columnsOf(declared, f.get("state"), "", map[string]bool{})
	s.State = declared.Columns
	if v := f.get("state"); v != nil && v.kind == mappingNode && len(v.pairs) == 0 {
		l.fail(v, "value", "for example {status: string}", "a state needs at least one column")
	}
	s.Init = l.assigns(f.get("init"), false)
	for _, item := range l.list(f.get("fold"), "cases") {
		k := l.fields(item, mustKind("fold", ""))
		if k == nil {
			continue
		}
		one := foldCase{node: item, Set: l.assigns(k.get("set"), false)}
		if v := k.get("when"); v != nil {
			one.When = l.expr(v)
		}
		if v := k.get("delete"); v != nil {
			one.Delete, _ = l.bool(v)
		}
		if item.has("set") == item.has("delete") {
			l.fail(item, "missing-key", "", "a case of fold needs set or delete, one of them")
		}
		k.done()
		s.Fold = append(s.Fold, one)
	}
	s.Throttle = l.throttle(f.get("emit"), "a state never closes: its changes are written as they come")
	if v := f.get("order"); v != nil {
		order, _ := l.oneOf(v, "arrival", "event_time")
		s.ByTime = order == "event_time"
	}
	if v := f.get("snapshot"); v != nil {
		l.fail(v, "value", "remove it", "snapshots are not needed: the newest state is kept in the changelog, and no history of rows beside it")
	}
	return s
}

func (s *reduceStep) stateFields() []engine.Field {
	var out []engine.Field
	for _, c := range s.State {
		out = append(out, c.Field)
	}
	return out
}

func (s *reduceStep) derive(c *compiler, t *Transform, d *derivation) {
	in, out := d.in[0], d.out
	if in.table {
		c.l.fail(t.node, "type", "take the rows as facts: emit: close before it", "reduce folds facts, and %q is a table, whose rows change", in.name)
		return
	}
	if types := c.groups(s.GroupBy, in, d); len(types) != len(s.GroupBy) {
		return
	}
	spec, err := operators.NewReduce(in.schema, groupColumns(d.group), s.stateFields())
	if err != nil {
		c.l.fail(t.node, "value", "", "%s", err)
		return
	}
	s.lists = without(in.lists, "")
	for _, col := range s.State {
		if col.List {
			s.lists["state."+col.Field.Name] = col.elem()
		}
	}
	reads := &derivation{reads: map[string]bool{}}
	column := func(w Word) int {
		for i, col := range s.State {
			if col.Field.Name == w.Text {
				return i
			}
		}
		c.l.fail(w.node, "unknown-column", didYouMean(w.Text, stateNames(s.State)), "the state has no column %q", w.Text)
		return -1
	}
	set := func(a Assign, in scope) *expr.Program {
		i := column(a.Column)
		p := c.compile(a.Expr, in, reads)
		if i < 0 || p == nil {
			return nil
		}
		if to := s.State[i].Field.Type; !operators.Assignable(to, p.Type()) {
			c.l.failAt(a.Expr.node, a.Expr.offset, "type", "", "the column %q of the state is %s, this is %s", a.Column.Text, article(to.String()), article(p.Type().String()))
			return nil
		}
		return p
	}
	s.inits = make([]*expr.Program, len(s.State))
	for _, a := range s.Init {
		p := set(a, scope{schema: in.schema, lists: in.lists})
		for i, col := range s.State {
			if col.Field.Name == a.Column.Text {
				s.inits[i] = p
			}
		}
	}
	env := scope{schema: spec.Env, lists: s.lists}
	for i := range s.Fold {
		one := &s.Fold[i]
		one.when = c.condition(one.When, env, reads)
		for _, a := range one.Set {
			one.sets = append(one.sets, set(a, env))
		}
		if one.When == nil && i+1 < len(s.Fold) {
			c.l.fail(s.Fold[i+1].node, "value", "give the case before it a when", "no row comes here: the case before takes all")
		}
	}
	for name := range reads.reads {
		if in.schema.Lookup(name) >= 0 {
			d.reads[name] = true
		}
	}
	d.reshard = !covered(in, d.group)
	d.keyed()
	out.schema, out.table = spec.Out, true
	out.lists = groupLists(in, d.group)
	for _, col := range s.State {
		if col.List {
			out.lists[col.Field.Name] = col.elem()
		}
	}
}

func stateNames(columns []Column) []string {
	var out []string
	for _, c := range columns {
		out = append(out, c.Field.Name)
	}
	return out
}

func (s *reduceStep) needs(*derivation, map[string]bool, func(*stream, string)) {}

func (s *reduceStep) build(b *builder, d *derivation, at []place) (place, error) {
	in := d.in[0]
	r, err := b.arrive(d.out, arrival{in: in, label: d.out.id(), reshard: d.reshard, group: d.group, keep: only(d.reads, in.schema)}, at[0])
	if err != nil {
		return place{}, err
	}
	spec, err := operators.NewReduce(r.at.schema, groupColumns(r.group), s.stateFields())
	if err != nil {
		return place{}, err
	}
	spec.Throttle, spec.TTL, spec.ByTime = s.Throttle, s.TTL, s.ByTime
	env := place{schema: spec.Env, lists: s.lists}
	for i, p := range s.inits {
		if spec.Init[i], err = b.again(p, env); err != nil {
			return place{}, err
		}
	}
	for _, one := range s.Fold {
		var c operators.ReduceCase
		if c.When, err = b.again(one.when, env); err != nil {
			return place{}, err
		}
		c.Delete = one.Delete
		for i, a := range one.Set {
			p, err := b.again(one.sets[i], env)
			if err != nil {
				return place{}, err
			}
			for k, col := range s.State {
				if col.Field.Name == a.Column.Text {
					c.Set = append(c.Set, operators.ReduceSet{Column: k, Expr: p})
				}
			}
		}
		spec.Fold = append(spec.Fold, c)
	}
	n := &engine.NodeSpec{Schema: spec.Out, Table: true, Stores: operators.ReduceStores(d.out.id(), spec), New: operators.Reduce(spec)}
	if !s.ByTime {
		n.Notes = append(n.Notes, "rows are folded in the order of arrival")
	}
	next := b.add(r.at, d.out, "reduce", n)
	lateStage(n, Word{})
	b.keyed(d, n)
	return next, nil
}

// lint warns of what is rarely meant.
func (s *reduceStep) lint(k *checker, d *derivation) {
	deletes := false
	for _, one := range s.Fold {
		deletes = deletes || one.Delete
	}
	if s.TTL == 0 && !deletes && len(s.GroupBy) > 0 {
		k.warn(d.t.Name.node, "unbounded", "give it a ttl, or a case with delete: true", "the state of %q grows with its keys: they are kept for ever", d.out.name)
	}
}
