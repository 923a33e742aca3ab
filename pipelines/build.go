package pipelines

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/operators"
	"github.com/leatstream/leat/operators/expr"
)

// generation is 1 until a reset or an accepted incompatible plan; it is part
// of the names of internal topics.
const generation = 1

// Options are what a topology needs beside the pipeline.
type Options struct {
	// Secret resolves secret("NAME") in expressions; nil: there are none.
	Secret func(name string) (string, bool)
}

// Build makes the topology of a pipeline that Load found no errors in.
//
//	source ─▶ filter ─▶ map ─▶ repartition                 sub-topology 0
//	                              ╎ <pipeline>.1.<transform>.repartition
//	                              ▼
//	                           aggregate ─▶ sinks          sub-topology 1
//
// Only columns that something reads are decoded and passed on. It is cut where
// a key needs rows of other partitions. What no sink reads is not built.
func Build(p *Pipeline, o Options) (*engine.Topology, error) {
	if p.checked == nil {
		return nil, errors.New("build topology: the pipeline was not loaded")
	}
	b := &builder{p: p, checked: p.checked, o: o, vars: newCompiler(nil, p, nil).vars,
		need: map[*stream]map[string]bool{}, topo: &engine.Topology{
			Pipeline: p.Name.Text, Generation: generation, Description: p.Description, Guarantee: p.Guarantee,
		}}
	if p.Errors != nil {
		b.topo.MaxRate = p.Errors.MaxRate
	}
	b.needs()
	for _, s := range p.Sources {
		in := b.streams[s.Name.Text]
		if b.need[in] == nil {
			continue
		}
		if err := b.source(s, in); err != nil {
			return nil, fmt.Errorf("build pipeline %q: %w", p.Name.Text, err)
		}
	}
	b.topo.Dashboard = dashboardJSON(p)
	for i := range b.topo.Views {
		b.topo.Views[i].Dashboard = b.topo.Dashboard
	}
	b.topo.Fingerprint = b.fingerprint()
	return b.topo, nil
}

type builder struct {
	*checked
	p     *Pipeline
	o     Options
	vars  map[string]expr.Value
	topo  *engine.Topology
	need  map[*stream]map[string]bool // columns that something reads; nil: no sink reads the stream
	parts []string                    // of the fingerprint
}

// needs computes which columns of each stream something reads, from the sinks
// upwards.
func (b *builder) needs() {
	want := func(s *stream) map[string]bool {
		if b.need[s] == nil {
			b.need[s] = map[string]bool{}
		}
		return b.need[s]
	}
	for _, s := range b.p.Sinks {
		if in := b.sinks[s]; in != nil {
			for _, name := range written(s, in) {
				want(in)[name] = true
			}
		}
	}
	for i := len(b.order) - 1; i >= 0; i-- {
		out := b.order[i]
		if b.need[out] == nil {
			continue
		}
		d, columns := b.derived[out.name], want(out.input)
		for name := range d.reads {
			columns[name] = true
		}
		switch {
		case out.step.Filter != nil:
			for name := range b.need[out] {
				columns[name] = true
			}
		case out.step.Aggregate == nil:
			for _, c := range d.columns {
				if c.from >= 0 && b.need[out][c.field.Name] {
					columns[out.input.schema.Fields[c.from].Name] = true
				}
			}
		}
	}
}

// written is which columns a sink reads: all that it does not drop, and what
// makes its key and chooses its partition.
func written(s *Sink, in *stream) []string {
	names := in.identity()
	var drop []Word
	if s.Kafka != nil {
		key, group := kafkaKey(s.Kafka, in)
		names, drop = append(append(names, key...), group...), s.Kafka.Drop
	}
	for _, f := range in.schema.Fields {
		if !slices.ContainsFunc(drop, func(w Word) bool { return w.Text == f.Name }) {
			names = append(names, f.Name)
		}
	}
	return names
}

// place is where a stream's rows are in the topology under construction.
type place struct {
	sub    *engine.SubTopology
	node   int // input number for NodeSpec.Inputs
	schema *engine.Schema
	record bool
}

// source starts a sub-topology at a source.
func (b *builder) source(s *Source, in *stream) error {
	var fields []engine.Field
	for _, f := range in.schema.Fields {
		if b.need[in][f.Name] || f.Name == s.EventTime.Text || s.Format.Text != "json" {
			fields = append(fields, f)
		}
	}
	schema := engine.NewSchema(fields...)
	decoder, err := sourceDecoder(s, schema)
	if err != nil {
		return fmt.Errorf("source %q: %w", s.Name.Text, err)
	}
	spec := &engine.SourceSpec{
		Name: s.Name.Text, Schema: schema, KeyColumns: in.key, NewDecoder: decoder, EventTime: -1,
		Start: s.Start, Watermark: s.Watermark, Errors: policyOf(s.Errors, b.p.Errors),
	}
	if s.EventTime.Given() {
		spec.EventTime = schema.Lookup(s.EventTime.Text)
	}
	for _, w := range s.Topics {
		spec.Topics = append(spec.Topics, engine.Topic(w.Text))
	}
	sub := b.newSub(spec)
	return b.users(in, place{sub: sub, node: ^0, schema: schema, record: true})
}

func (b *builder) newSub(source *engine.SourceSpec) *engine.SubTopology {
	sub := &engine.SubTopology{ID: len(b.topo.Subs), Sources: []*engine.SourceSpec{source}}
	b.topo.Subs = append(b.topo.Subs, sub)
	return sub
}

// users builds everything that reads a stream.
func (b *builder) users(in *stream, at place) error {
	for _, out := range b.order {
		if out.input != in || b.need[out] == nil {
			continue
		}
		if err := b.transform(out, at); err != nil {
			return fmt.Errorf("transform %q: %w", out.name, err)
		}
	}
	for _, s := range b.p.Sinks {
		if b.sinks[s] != in {
			continue
		}
		if err := b.sink(s, in, at); err != nil {
			return fmt.Errorf("sink %q: %w", s.Name.Text, err)
		}
	}
	return nil
}

func (b *builder) transform(out *stream, at place) error {
	d := b.derived[out.name]
	switch {
	case out.step.Filter != nil:
		where, err := b.again(d.where, at)
		if err != nil {
			return err
		}
		return b.users(out, b.add(at, out, "filter", &engine.NodeSpec{Schema: at.schema, Table: out.table, New: operators.Filter(where)}))
	case out.step.Map != nil:
		next, err := b.mapping(out.name, out, d.columns, at, "map", b.need[out])
		if err != nil {
			return err
		}
		return b.users(out, next)
	case out.step.Rekey != nil:
		return b.rekey(out, d, at)
	}
	return b.aggregate(out, d, at)
}

// again compiles an expression against the columns that are left.
func (b *builder) again(p *expr.Program, at place) (*expr.Program, error) {
	if p == nil {
		return nil, nil
	}
	q, err := expr.Compile(p.String(), expr.Env{Schema: at.schema, Vars: b.vars, Record: at.record, Secret: b.o.Secret})
	if err != nil {
		return nil, fmt.Errorf("compile %q: %w", p.String(), err)
	}
	return q, nil
}

// add appends a node that reads at and gives the place behind it.
func (b *builder) add(at place, s *stream, kind string, n *engine.NodeSpec) place {
	n.Name, n.Kind, n.Inputs, n.Errors = s.name, kind, []int{at.node}, policyOf(s.step.Errors, b.p.Errors)
	at.sub.Nodes = append(at.sub.Nodes, n)
	at.node, at.schema = len(at.sub.Nodes)-1, n.Schema
	return at
}

// mapping adds a map that makes the columns in keep (nil: all).
func (b *builder) mapping(name string, s *stream, columns []mapColumn, at place, kind string, keep map[string]bool) (place, error) {
	var out []engine.Field
	var cols []operators.MapColumn
	for _, c := range columns {
		if c.from >= 0 {
			if keep != nil && !keep[c.field.Name] {
				continue
			}
			from := at.schema.Lookup(s.input.schema.Fields[c.from].Name)
			if from < 0 {
				return at, fmt.Errorf("column %q is not there", s.input.schema.Fields[c.from].Name)
			}
			cols = append(cols, operators.MapColumn{From: from})
		} else {
			p, err := b.again(c.expr, at)
			if err != nil {
				return at, err
			}
			cols = append(cols, operators.MapColumn{From: -1, Expr: p})
		}
		out = append(out, c.field)
	}
	schema := engine.NewSchema(out...)
	if kind != "map" || s.step.Map == nil {
		if schemaText(schema) == schemaText(at.schema) && !slices.ContainsFunc(cols, func(c operators.MapColumn) bool { return c.From < 0 }) {
			return at, nil // nothing to compute before a repartition
		}
	}
	n := &engine.NodeSpec{Schema: schema, Table: s.input.table, New: operators.Map(schema, cols)}
	next := b.add(at, s, kind, n)
	n.Name = name
	return next, nil
}

// rekey computes the new key and sends rows to their new partition.
func (b *builder) rekey(out *stream, d *derivation, at place) error {
	keep := map[string]bool{}
	for name := range b.need[out] {
		keep[name] = true
	}
	for _, name := range out.key {
		keep[name] = true
	}
	next, err := b.mapping(out.name, out, d.columns, at, "rekey", keep)
	if err != nil {
		return err
	}
	return b.users(out, b.repartition(out, next, out.key))
}

// aggregate adds the aggregation, behind a repartition where it needs one.
func (b *builder) aggregate(out *stream, d *derivation, at place) error {
	compile := b.keyed
	if d.reshard {
		compile = b.reshard
	}
	in, err := compile(out, d, at)
	if err != nil {
		return err
	}
	at = in.at
	a := out.step.Aggregate
	spec := operators.AggregateSpec{
		In: at.schema, Out: out.schema, Having: d.having,
		Update: a.Update, Throttle: a.Throttle, TableInput: out.input.table,
	}
	if a.Window != nil {
		spec.Window = a.Window.Spec
	}
	for _, g := range in.groups {
		spec.Group = append(spec.Group, operators.GroupColumn{Name: g.name, From: g.from, Expr: g.expr})
	}
	var notes []string
	for _, f := range in.functions {
		spec.Aggregates = append(spec.Aggregates, operators.AggregateColumn{Name: f.name, Fn: f.fn, Args: f.args, Where: f.where, Text: f.text})
		if !f.kind.OrderFree {
			notes = append(notes, fmt.Sprintf("%s: %s depends on the order of arrival", f.name, f.kind.Name))
		}
	}
	if spec.Having, err = b.again(d.having, place{schema: out.schema}); err != nil {
		return err
	}
	n := &engine.NodeSpec{Schema: out.schema, Table: out.table, Stores: operators.AggregateStores(out.name, spec), New: operators.Aggregate(spec), Notes: notes}
	at = b.add(at, out, "aggregate", n)
	n.Errors.Stages[engine.StageLate] = engine.Skip
	if a.Late.Text == "dead_letter" {
		n.Errors.Stages[engine.StageLate] = engine.DeadLetter
	}
	for _, s := range n.Stores {
		b.parts = append(b.parts, fmt.Sprintf("store %s: %s", s.Name, s.Fingerprint))
	}
	b.parts = append(b.parts, fmt.Sprintf("aggregate %s of %s: %s", out.name, b.origin(out), groupText(d, out)))
	return b.users(out, place{sub: at.sub, node: at.node, schema: out.schema})
}

// keyedRows is what an aggregate reads, compiled against the columns there.
type keyedRows struct {
	at        place
	groups    []groupColumn
	functions []function
}

// keyed compiles group columns and functions where rows are in their
// partition already.
func (b *builder) keyed(out *stream, d *derivation, at place) (keyedRows, error) {
	r := keyedRows{at: at}
	for _, g := range d.group {
		if g.from >= 0 {
			g.from = at.schema.Lookup(out.input.schema.Fields[g.from].Name)
		} else {
			var err error
			if g.expr, err = b.again(g.expr, at); err != nil {
				return r, err
			}
		}
		r.groups = append(r.groups, g)
	}
	for _, f := range d.functions {
		f, err := b.functionAgain(f, at)
		if err != nil {
			return r, err
		}
		r.functions = append(r.functions, f)
	}
	return r, nil
}

func (b *builder) functionAgain(f function, at place) (function, error) {
	var args []*expr.Program
	for _, a := range f.args {
		p, err := b.again(a, at)
		if err != nil {
			return f, err
		}
		args = append(args, p)
	}
	f.args = args
	var err error
	f.where, err = b.again(f.where, at)
	return f, err
}

// origin names what an aggregate's rows come from: sources by their topics.
func (b *builder) origin(s *stream) string {
	for s = s.input; s.step != nil && s.step.Aggregate == nil; s = s.input {
	}
	if s.source == nil {
		return s.name
	}
	var topics []string
	for _, w := range s.source.Topics {
		topics = append(topics, w.Text)
	}
	sort.Strings(topics)
	return strings.Join(topics, ",")
}

// groupText is what a key is made of, for the fingerprint.
func groupText(d *derivation, out *stream) string {
	var parts []string
	for _, g := range d.group {
		if g.from >= 0 {
			parts = append(parts, g.name+"="+out.input.schema.Fields[g.from].Name)
		} else {
			parts = append(parts, g.name+"="+g.expr.String())
		}
	}
	return strings.Join(parts, ", ")
}

func schemaText(s *engine.Schema) string {
	var parts []string
	for _, f := range s.Fields {
		parts = append(parts, f.Name+" "+f.Type.String())
	}
	return strings.Join(parts, ", ")
}

// fingerprint is of what makes state and internal topics compatible: stores,
// keys, repartitions. Filters, maps and sinks may change freely.
func (b *builder) fingerprint() string {
	sort.Strings(b.parts)
	sum := sha256.Sum256([]byte(strings.Join(b.parts, "\n")))
	return hex.EncodeToString(sum[:8])
}

// policyOf fills the gaps of the nearest policies from the pipeline's.
func policyOf(near, far *Errors) engine.ErrorPolicy {
	p := engine.ErrorPolicy{IncludeValue: true, Stages: map[engine.Stage]engine.Policy{}}
	for _, e := range []*Errors{far, near} {
		if e == nil {
			continue
		}
		if e.Topic != "" {
			p.Topic, p.IncludeValue = e.Topic, !e.ExcludeValue
		}
		if e.All != nil {
			for _, stage := range []engine.Stage{engine.StageDecode, engine.StageEventTime, engine.StageExpression, engine.StageAggregate, engine.StageProduce} {
				p.Stages[stage] = *e.All
			}
		}
		for stage, policy := range e.Policy {
			p.Stages[stage] = policy
		}
	}
	return p
}
