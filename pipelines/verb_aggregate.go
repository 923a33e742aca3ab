package pipelines

import (
	"fmt"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/operators"
	"github.com/leatstream/leat/operators/expr"
)

// aggregateStep aggregates rows per group and window.
type aggregateStep struct {
	single
	GroupBy    []Group
	Window     *Window // nil: all rows so far
	Aggregates []*AggregateColumn
	Having     *Expr
	Update     bool
	Throttle   time.Duration
	Late       Word // drop or dead_letter
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
	l.late(a, f.get("late"))
	l.unsupported(f.get("ttl"), "ttl")
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
		if windowNames[g.name] && (a.Window != nil || g.from < 0 || in.schema.Fields[g.from].Name != g.name) {
			c.l.fail(w.node, "reserved", "give the column another name: {name: …}", "%q is a reserved name", g.name)
		}
		taken[g.name] = true
		fields = append(fields, engine.Field{Name: g.name, Type: types[i]})
	}
	if a.Window != nil {
		fields = append(fields, engine.Field{Name: windowStart, Type: engine.Timestamp}, engine.Field{Name: windowEnd, Type: engine.Timestamp})
		if in.table {
			c.l.fail(a.Window.node, "unsupported", "let the rows come as facts: emit: close before it", "a window over a table is not supported yet")
		}
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
	if a.Window != nil && a.Update {
		fields = append(fields, engine.Field{Name: finalColumn, Type: engine.Bool})
	}
	out := d.out
	out.schema = engine.NewSchema(fields...)
	out.lists = map[string]bool{}
	if complete && len(d.functions) == len(a.Aggregates) {
		rows := &derivation{reads: map[string]bool{}}
		d.having = c.condition(a.Having, out.schema, false, rows)
	}
	if !complete {
		return
	}
	if a.Window == nil && a.Late.Text == "dead_letter" {
		c.l.fail(a.Late.node, "value", "remove it", "without a window no row is late")
	}
	d.reshard = !covered(in, d.group)
	out.key = keyBehind(in, d)
	out.group, out.grouped, out.lostGroup = []string{}, true, ""
	for _, g := range d.group {
		out.group = append(out.group, g.name)
	}
	out.record, out.window, out.windowed = false, nil, a.Window != nil
	if a.Window != nil {
		out.window = &a.Window.Spec
	}
	out.results = true
	out.table, out.update = a.Update, a.Update && a.Window != nil
}

// stride is how finely time matters to the windows.
func (a *aggregateStep) stride() time.Duration {
	if a.Window == nil {
		return 0
	}
	span := a.Window.Spec.Advance
	if span == 0 {
		span = a.Window.Spec.Size
	}
	return time.Duration(span) * time.Millisecond
}

// lateRows is what happens to late rows.
func (a *aggregateStep) lateRows() Word { return a.Late }

// lint warns of what is rarely meant.
func (a *aggregateStep) lint(k *checker, d *derivation) {
	if a.Window == nil && len(a.GroupBy) > 0 {
		k.warn(d.t.Name.node, "unbounded", "a window forgets what has closed", "the state of %q grows with its keys: without a window they are kept for ever", d.out.name)
	}
	for i, f := range d.functions {
		if d.reshard && !f.kind.OrderFree {
			k.warn(a.Aggregates[i].Name.node, "order", "", "%s depends on the order of arrival, which a repartition mixes", f.kind.Name)
		}
	}
	if a.Window != nil && !a.Update {
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

func (a *aggregateStep) needs(*derivation, map[string]bool, func(*stream, string)) {}

// build adds the aggregation, behind a repartition where it needs one.
func (a *aggregateStep) build(b *builder, d *derivation, from []place) (place, error) {
	out, in := d.out, d.in[0]
	var args []argument
	for _, f := range d.functions {
		for i, p := range append(append([]*expr.Program{}, f.args...), f.where) {
			args = append(args, argument{name: f.name + "." + strconv.Itoa(i), p: p, record: f.record})
		}
	}
	r, err := b.arrive(out, arrival{in: in, label: out.name, reshard: d.reshard, group: d.group, programs: args}, from[0])
	if err != nil {
		return place{}, err
	}
	at := r.at
	spec := operators.AggregateSpec{
		In: at.schema, Out: out.schema, Group: groupColumns(r.group),
		Update: a.Update, Throttle: a.Throttle, TableInput: in.table,
	}
	if a.Window != nil {
		spec.Window = a.Window.Spec
	}
	var notes []string
	programs := r.programs
	for _, f := range d.functions {
		n := len(f.args)
		spec.Aggregates = append(spec.Aggregates, operators.AggregateColumn{Name: f.name, Fn: f.fn, Args: programs[:n:n], Where: programs[n], Text: f.text})
		programs = programs[n+1:]
		if !f.kind.OrderFree {
			notes = append(notes, fmt.Sprintf("%s: %s depends on the order of arrival", f.name, f.kind.Name))
		}
	}
	if spec.Having, err = b.again(d.having, place{schema: out.schema}); err != nil {
		return place{}, err
	}
	n := &engine.NodeSpec{Schema: out.schema, Table: out.table, Stores: operators.AggregateStores(out.name, spec), New: operators.Aggregate(spec), Notes: notes}
	at = b.add(at, out, "aggregate", n)
	n.Errors.Stages[engine.StageLate] = engine.Skip
	if a.Late.Text == "dead_letter" {
		n.Errors.Stages[engine.StageLate] = engine.DeadLetter
	}
	b.keyed(d, n)
	return at, nil
}

// keyed notes for the fingerprint what the state of a node holds, and of what.
func (b *builder) keyed(d *derivation, n *engine.NodeSpec) {
	for _, s := range n.Stores {
		b.parts = append(b.parts, fmt.Sprintf("store %s: %s", s.Name, s.Fingerprint))
	}
	b.parts = append(b.parts, fmt.Sprintf("%s %s of %s: %s", d.t.Kind, d.out.name, b.origin(d.out), groupText(d)))
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
