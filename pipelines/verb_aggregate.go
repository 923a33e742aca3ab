package pipelines

import (
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/operators"
	"github.com/leatstream/leat/operators/expr"
	"github.com/leatstream/leat/window"
	"github.com/leatstream/leat/window/aggregate"
)

// aggregateStep aggregates rows per group and window.
type aggregateStep struct {
	GroupBy    []Group
	Window     *Window // nil: all rows so far
	Aggregates []*AggregateColumn
	Having     *Expr
	Update     bool
	Throttle   time.Duration
	Late       Word // drop or dead_letter
	LateAs     Word // late rows are a stream of this name
	TTL        time.Duration
}

// readAggregate reads the keys of an aggregate transform.
func readAggregate(l *loader, _ *Transform, f *fields) step {
	a := &aggregateStep{GroupBy: l.groups(f.get("group_by"))}
	if v := f.get("window"); v != nil {
		a.Window = l.window(v)
	}
	for _, pr := range l.pairs(f.get("aggregates"), "aggregates") {
		if c := l.aggregateColumn(pr); c != nil {
			a.Aggregates = append(a.Aggregates, c)
		}
	}
	if v := f.get("aggregates"); v != nil && v.kind == mappingNode && len(v.pairs) == 0 {
		l.fail(v, "value", "for example n: count()", "at least one aggregate is needed")
	}
	if v := f.get("having"); v != nil {
		a.Having = l.expr(v)
	}
	l.emit(a, f)
	a.Late, a.LateAs = l.late(f.get("late"))
	a.TTL = l.span(f.get("ttl"), time.Millisecond)
	if a.Window != nil && a.Window.Spec.Kind == "count" {
		a.Update = true
	}
	return a
}

// derive computes group columns, aggregates and having.
func (a *aggregateStep) derive(c *compiler, t *Transform, d *derivation) {
	in := d.in[0]
	types := c.groups(a.GroupBy, in, d)
	complete := len(types) == len(a.GroupBy) && !t.broken
	var fields []engine.Field
	taken := map[string]bool{}
	for i, g := range d.group {
		w := g.word
		if windowNames[g.name] && (a.framed() || g.from < 0 || in.schema.Fields[g.from].Name != g.name) {
			c.l.fail(w.node, "reserved", "give the column another name: {name: …}", "%q is a reserved name", g.name)
		}
		taken[g.name] = true
		fields = append(fields, engine.Field{Name: g.name, Type: types[i]})
	}
	if a.framed() {
		fields = append(fields, engine.Field{Name: windowStart, Type: engine.Timestamp}, engine.Field{Name: windowEnd, Type: engine.Timestamp})
	}
	if a.Window != nil && !a.overWindow(c, in) {
		return
	}
	for _, col := range a.Aggregates {
		if windowNames[col.Name.Text] {
			c.l.fail(col.Name.node, "reserved", "choose another name", "%q is a reserved name", col.Name.Text)
			continue
		}
		if taken[col.Name.Text] {
			c.l.fail(col.Name.node, "duplicate-name", "choose another name", "there is a group column %q already", col.Name.Text)
			continue
		}
		taken[col.Name.Text] = true
		f, ok := c.function(col, in, d)
		if !ok {
			continue
		}
		d.functions = append(d.functions, f)
		fields = append(fields, engine.Field{Name: col.Name.Text, Type: f.result})
	}
	if a.framed() && a.Update {
		fields = append(fields, engine.Field{Name: finalColumn, Type: engine.Bool})
	}
	out := d.out
	out.schema = engine.NewSchema(fields...)
	out.lists = groupLists(in, d.group)
	for _, f := range d.functions {
		if l, ok := f.fn.(aggregate.Lister); ok {
			out.lists[f.name] = engine.Type(l.Elem())
		}
	}
	if complete && len(d.functions) == len(a.Aggregates) {
		rows := &derivation{reads: map[string]bool{}}
		d.having = c.condition(a.Having, scope{schema: out.schema, lists: out.lists}, rows)
	}
	if !complete {
		return
	}
	for _, late := range []Word{a.Late, a.LateAs} {
		if !a.framed() && late.Given() && late.Text != "drop" {
			c.l.fail(late.node, "value", "remove it", "without a window of time no row is late")
		}
	}
	d.reshard = !covered(in, d.group)
	d.keyed()
	out.windowed = a.framed()
	if a.framed() {
		out.window = &a.Window.Spec
		if a.Window.Spec.Kind == "same" {
			out.window = in.window
		}
	}
	// Trailing results are one for each row, of the same bounds at times.
	out.results = a.Window == nil || a.Window.Spec.Mode != window.Trailing
	out.table, out.update = a.Update, a.Update && a.framed()
	if a.LateAs.Given() {
		side := d.side(a.LateAs)
		side.record = in.record && !d.reshard
		side.key, side.wire = settled(in, d)
		side.results = false
	}
}

// framed tells whether rows carry window_start and window_end.
func (a *aggregateStep) framed() bool { return a.Window != nil && a.Window.Spec.Kind != "count" }

// overWindow checks that the window fits what the input's rows have.
func (a *aggregateStep) overWindow(c *compiler, in *stream) bool {
	kind := a.Window.Spec.Kind
	switch {
	case a.TTL != 0 && kind != "count":
		c.l.fail(a.Window.node, "value", "remove ttl", "ttl is for aggregates without a window: a window forgets what has closed")
	case kind == "same" && !in.windowed:
		c.l.fail(a.Window.node, "type", "give it a window of its own", "window: same needs rows of windows, and %q has none", in.name)
	case kind == "same" && in.window != nil && slices.Contains([]string{"session", "sliding"}, in.window.Kind):
		c.l.fail(a.Window.node, "type", "", "window: same needs windows that keys share, and those of %q are of type %s", in.name, in.window.Kind)
	case in.table && kind != "same":
		c.l.fail(a.Window.node, "type", "use window: same, or let the rows come as facts: emit: close before it", "%s window cuts facts, and %q is a table, whose rows change", article(kind), in.name)
	default:
		return true
	}
	return false
}

// stride is how finely time matters to the windows.
func (a *aggregateStep) stride() time.Duration {
	if a.Window == nil {
		return 0
	}
	return stride(a.Window.Spec)
}

func (*aggregateStep) inputs() []Word { return nil }

func (a *aggregateStep) sides() []Word {
	if a.LateAs.Given() {
		return []Word{a.LateAs}
	}
	return nil
}

// lateRows is what happens to late rows.
func (a *aggregateStep) lateRows() Word { return a.Late }

// lint warns of what is rarely meant.
func (a *aggregateStep) lint(k *checker, d *derivation) {
	if (a.Window == nil || a.Window.Spec.Kind == "count") && len(a.GroupBy) > 0 && a.TTL == 0 && !d.in[0].table {
		k.warn(d.t.Name.node, "unbounded", "give it a ttl or a window of time", "the state of %q grows with its keys: without a window they are kept for ever", d.out.name)
	}
	a.lintOrder(k, d)
	a.lintAny(k, d)
	k.lintOneGroup(d.t.Name.node, d)
	if a.framed() && !a.Update {
		k.lintIdle(a.Window.node, d.in[0])
	}
}

// lintIdle warns where the last windows of a quiet source do not come out.
func (k *checker) lintIdle(at *node, in *stream) {
	for in.source == nil {
		in = in.input()
	}
	if in.source.Watermark.CloseAfterIdle == 0 && in.source.Name.Given() && !in.table {
		k.warn(at, "idle", "set watermark: {close_after_idle: …} on the source", "when %q goes quiet its last windows do not come out", in.name)
	}
}

func (a *aggregateStep) needs(d *derivation, need map[string]bool, want func(*stream, string)) {
	if a.Window != nil && a.Window.Spec.Kind == "same" {
		want(d.in[0], windowStart)
		want(d.in[0], windowEnd)
	}
	if a.LateAs.Given() {
		for name := range need {
			if d.sides[0].schema.Lookup(name) >= 0 {
				want(d.in[0], name)
			}
		}
	}
}

// build adds the aggregation, behind a repartition where it needs one.
func (a *aggregateStep) build(b *builder, d *derivation, from []place) (place, error) {
	out, in := d.out, d.in[0]
	var args []argument
	for _, f := range d.functions {
		for i, p := range append(append([]*expr.Program{}, f.args...), f.where) {
			args = append(args, argument{name: f.name + "." + strconv.Itoa(i), p: p, record: f.record})
		}
	}
	var keep []string
	if a.Window != nil && a.Window.Spec.Kind == "same" {
		keep = []string{windowStart, windowEnd}
	}
	if a.LateAs.Given() && b.need[d.sides[0]] != nil {
		keep = append(keep, only(b.need[in], in.schema)...)
	}
	r, err := b.arrive(out, arrival{in: in, label: out.id(), reshard: d.reshard, group: d.group, programs: args, keep: keep}, from[0])
	if err != nil {
		return place{}, err
	}
	at := r.at
	spec := operators.AggregateSpec{
		In: at.schema, Out: out.schema, Group: groupColumns(r.group),
		Update: a.Update, Throttle: a.Throttle, TableInput: in.table, TTL: a.TTL, LateSide: a.LateAs.Given(),
	}
	if a.Window != nil {
		spec.Window = a.Window.Spec
	}
	var notes []string
	programs := r.programs
	for _, f := range d.functions {
		n := len(f.args)
		spec.Aggregates = append(spec.Aggregates, operators.AggregateColumn{Name: f.name, Fn: f.fn, Args: programs[:n:n], Where: programs[n], Text: f.text, Time: f.kind.Time})
		programs = programs[n+1:]
		if !f.kind.OrderFree {
			notes = append(notes, fmt.Sprintf("%s: %s depends on the order of arrival", f.name, f.kind.Name))
		}
	}
	if spec.Having, err = b.again(d.having, place{schema: out.schema, lists: out.lists}); err != nil {
		return place{}, err
	}
	n := &engine.NodeSpec{Schema: out.schema, Table: out.table, Stores: operators.AggregateStores(out.id(), spec), New: operators.Aggregate(spec), Notes: notes}
	next := b.add(at, out, "aggregate", n)
	lateStage(n, a.Late)
	b.keyed(d, n)
	for _, side := range d.sides {
		p := at
		p.node, p.port = next.node, 1
		b.places[side] = b.tidy(side, p)
	}
	return next, nil
}

// keyed notes for the fingerprint what the state of a node holds, and of what.
func (b *builder) keyed(d *derivation, n *engine.NodeSpec) {
	b.stored(n)
	b.part(d.out, engine.RowsPart(d.out.id()), fmt.Sprintf("%s %s of %s: %s", d.t.Kind, d.out.id(), b.origin(d.out), groupText(d)))
}

// origin names what the rows of a keyed kind come from: sources by their topics.
func (b *builder) origin(s *stream) string {
	var names []string
	for _, in := range s.inputs {
		for in.step != nil && len(in.inputs) == 1 && len(b.derived[in.name0()].group) == 0 {
			in = in.input()
		}
		if in.source == nil {
			names = append(names, in.name)
			continue
		}
		var topics []string
		for _, w := range in.source.Topics {
			topics = append(topics, w.Text)
		}
		sort.Strings(topics)
		names = append(names, topics...)
	}
	return strings.Join(names, ",")
}

// groupText is what a key is made of, for the fingerprint.
func groupText(d *derivation) string {
	var parts []string
	for _, g := range d.group {
		if g.from >= 0 {
			parts = append(parts, g.name+"="+d.in[0].schema.Fields[g.from].Name)
		} else {
			parts = append(parts, g.name+"="+g.expr.String())
		}
	}
	return strings.Join(parts, ", ")
}
