package pipelines

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/operators/expr"
)

// repartition ends the sub-topology with a topic that the next one reads.
func (b *builder) repartition(s *stream, at place, key []string) place {
	every := b.stampEvery(s)
	notes := []string{"rows move to the partition of " + keyNote(key)}
	if every > 0 {
		notes = append(notes, "watermark stamps every "+formatDuration(every))
	}
	topic := engine.Topic(fmt.Sprintf("%s.%d.%s.repartition", b.p.Name.Text, generation, s.name))
	var cols []int
	for _, name := range key {
		cols = append(cols, at.schema.Lookup(name))
	}
	at.sub.Nodes = append(at.sub.Nodes, &engine.NodeSpec{
		Name: string(topic), Kind: "repartition", Inputs: []int{at.node}, Schema: at.schema, Table: s.input.table,
		New:     repartitioner(topic, at.schema, cols, every),
		Outputs: []engine.TopicSpec{{Topic: topic, Configs: repartitionConfigs()}},
		Errors:  policyOf(s.step.Errors, b.p.Errors),
		Notes:   notes,
	})
	b.parts = append(b.parts, fmt.Sprintf("repartition %s by %v: %s", s.name, key, schemaText(at.schema)))
	sub := b.newSub(&engine.SourceSpec{
		Name: s.name + ".repartition", Topics: []engine.Topic{topic}, Repartition: true, Upstream: at.sub.ID,
		Schema: at.schema, KeyColumns: key, Table: s.input.table, NewDecoder: repartitionDecoder(), EventTime: -1,
		Watermark: engine.WatermarkSpec{IdleTimeout: defaultIdleTimeout, MaxFuture: defaultMaxFuture},
		Errors:    policyOf(s.step.Errors, b.p.Errors),
	})
	return place{sub: sub, node: ^0, schema: at.schema}
}

func keyNote(key []string) string {
	if len(key) == 0 {
		return "the one group: a single partition does this work"
	}
	return strings.Join(key, ", ")
}

// stampEvery is the finest advance of a window that s or anything below it
// has; 0 where there is none.
func (b *builder) stampEvery(s *stream) time.Duration {
	least := time.Duration(0)
	for _, other := range b.order {
		if other.step.Aggregate == nil || other.step.Aggregate.Window == nil || !below(other, s) {
			continue
		}
		spec := other.step.Aggregate.Window.Spec
		span := spec.Advance
		if span == 0 {
			span = spec.Size
		}
		if d := time.Duration(span) * time.Millisecond; least == 0 || d < least {
			least = d
		}
	}
	return least
}

func below(s, top *stream) bool {
	for ; s != nil; s = s.input {
		if s == top {
			return true
		}
	}
	return false
}

// reshard sends rows through a repartition topic. What must be computed before
// (key expressions, and arguments that ask for the record behind the row) goes
// with them as columns; their names cannot be written by users.
func (b *builder) reshard(out *stream, d *derivation, at place) (keyedRows, error) {
	in := out.input
	computed := map[string]*expr.Program{}
	var order []string
	compute := func(name string, p *expr.Program) string {
		computed[name] = p
		order = append(order, name)
		return name
	}
	var key []string
	for _, g := range d.group {
		if g.from >= 0 {
			key = append(key, in.schema.Fields[g.from].Name)
		} else {
			key = append(key, compute("~key."+g.name, g.expr))
		}
	}
	keep := map[string]bool{}
	for _, k := range key {
		keep[k] = true
	}
	for _, f := range d.functions {
		for i, p := range append(append([]*expr.Program{}, f.args...), f.where) {
			switch {
			case p == nil:
			case f.record:
				compute(argumentName(f.name, i), p)
			default:
				for _, c := range p.Columns() {
					keep[in.schema.Fields[c].Name] = true
				}
			}
		}
	}
	var columns []mapColumn
	for i, f := range in.schema.Fields {
		if keep[f.Name] {
			columns = append(columns, mapColumn{field: engine.Field{Name: f.Name, Type: f.Type}, from: i})
		}
	}
	for _, name := range order {
		p := computed[name]
		t := p.Type()
		if t == engine.Invalid { // an always-null condition
			t = engine.Bool
		}
		columns = append(columns, mapColumn{field: engine.Field{Name: name, Type: t}, from: -1, expr: p})
	}
	before, err := b.mapping(out.name+".key", out, columns, at, "map", nil)
	if err != nil {
		return keyedRows{}, err
	}
	r := keyedRows{at: b.repartition(out, before, key)}
	for i, g := range d.group {
		r.groups = append(r.groups, groupColumn{name: g.name, from: r.at.schema.Lookup(key[i])})
	}
	for _, f := range d.functions {
		if f, err = b.functionBehind(f, r.at); err != nil {
			return r, err
		}
		r.functions = append(r.functions, f)
	}
	return r, nil
}

func argumentName(function string, i int) string { return "~arg." + function + "." + strconv.Itoa(i) }

// functionBehind is functionAgain behind a repartition: what was computed
// before is a column now.
func (b *builder) functionBehind(f function, at place) (function, error) {
	if !f.record {
		return b.functionAgain(f, at)
	}
	column := func(i int) (*expr.Program, error) {
		return expr.Compile(fmt.Sprintf("$env[%q]", argumentName(f.name, i)), expr.Env{Schema: at.schema})
	}
	args := make([]*expr.Program, len(f.args))
	for i := range f.args {
		var err error
		if args[i], err = column(i); err != nil {
			return f, err
		}
	}
	f.args = args
	if f.where != nil {
		var err error
		if f.where, err = column(len(f.args)); err != nil {
			return f, err
		}
	}
	return f, nil
}
