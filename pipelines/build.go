package pipelines

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/operators"
	"github.com/leatstream/leat/operators/expr"
)

// Options are what a topology needs beside the pipeline.
type Options struct {
	// Generation is part of the names of internal topics: that of the plan in
	// force, which grows with a reset. 0: the first.
	Generation int
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
		need: map[*stream]map[string]bool{}, places: map[*stream]place{}, upstream: map[*engine.SourceSpec]*engine.SubTopology{}, topo: &engine.Topology{
			Pipeline: p.Name.Text, Generation: max(1, o.Generation), Description: p.Description, Guarantee: p.Guarantee,
			Parts: map[string]engine.Part{},
		}}
	if p.Errors != nil {
		b.topo.MaxRate = p.Errors.MaxRate
	}
	b.needs()
	if err := b.nodes(); err != nil {
		return nil, fmt.Errorf("build pipeline %q: %w", p.Name.Text, err)
	}
	b.number()
	b.topo.Dashboard = dashboardJSON(p)
	for _, o := range p.Outboxes() {
		if o.Kind == "web_push" {
			b.topo.Alerts = append(b.topo.Alerts, o.Sink)
		}
	}
	for i := range b.topo.Views {
		b.topo.Views[i].Dashboard = b.topo.Dashboard
	}
	b.topo.Fingerprint = b.fingerprint()
	b.storeParts()
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

	places   map[*stream]place
	upstream map[*engine.SourceSpec]*engine.SubTopology // who writes a repartition topic
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
		d := b.derived[out.name]
		for _, side := range d.sides {
			if b.need[side] != nil {
				want(out) // built for the side's sake
			}
		}
		if b.need[out] == nil {
			continue
		}
		for _, in := range d.in {
			want(in)
		}
		for name := range d.reads {
			want(d.in[0])[name] = true
		}
		for _, s := range append([]*stream{out}, d.sides...) {
			d.t.Step.needs(d, b.need[s], func(in *stream, column string) { want(in)[column] = true })
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
		if !slices.Contains(in.hidden, f.Name) && !slices.ContainsFunc(drop, func(w Word) bool { return w.Text == f.Name }) {
			names = append(names, f.Name)
		}
	}
	return names
}

// place is where a stream's rows are in the topology under construction.
type place struct {
	sub    *engine.SubTopology
	node   int // input number for NodeSpec.Inputs
	port   int // which of its outputs
	schema *engine.Schema
	lists  map[string]engine.Type // as stream.lists
	record bool
}

// ports is what NodeSpec.Ports says of one input.
func (p place) ports() []int {
	if p.port == 0 {
		return nil
	}
	return []int{p.port}
}

// nodes builds sources, transforms and sinks, inputs before their users.
func (b *builder) nodes() error {
	for _, s := range b.p.Sources {
		in := b.streams[s.Name.Text]
		if b.need[in] == nil {
			continue
		}
		if err := b.source(s, in); err != nil {
			return fmt.Errorf("source %q: %w", s.Name.Text, err)
		}
	}
	for _, out := range b.order {
		if b.need[out] == nil {
			continue
		}
		d := b.derived[out.name]
		var at []place
		for _, in := range d.in {
			at = append(at, b.places[in])
		}
		next, err := d.t.Step.build(b, d, at)
		if err != nil {
			return fmt.Errorf("transform %q: %w", out.name, err)
		}
		b.places[out] = next
	}
	for _, s := range b.p.Sinks {
		in := b.sinks[s]
		if in == nil {
			continue
		}
		if err := b.sink(s, in, b.places[in]); err != nil {
			return fmt.Errorf("sink %q: %w", s.Name.Text, err)
		}
	}
	return nil
}

// source adds a source, to the sub-topology that reads one of its topics
// already, if there is one: a topic is read once.
func (b *builder) source(s *Source, in *stream) error {
	var fields []engine.Field
	for _, f := range in.schema.Fields {
		if b.need[in][f.Name] || f.Name == s.EventTime.Text || isValue(s.Format.Text) || s.table && slices.Contains(in.key, f.Name) {
			fields = append(fields, f)
		}
	}
	if s.wire.envelope != "" && !slices.ContainsFunc(fields, func(f engine.Field) bool { return !slices.Contains(in.hidden, f.Name) }) {
		fields = append(fields, s.Columns[0].Field) // an envelope has a row
	}
	schema := engine.NewSchema(fields...)
	decoder, err := sourceDecoder(s, schema)
	if err != nil {
		return err
	}
	spec := &engine.SourceSpec{
		Name: s.Name.Text, Schema: schema, KeyColumns: in.key, NewDecoder: decoder, EventTime: -1, Table: s.table, Timeless: in.timeless,
		Start: s.Start, Watermark: s.Watermark, Errors: policyOf(s.Errors, b.p.Errors),
	}
	if s.EventTime.Given() {
		spec.EventTime = schema.Lookup(s.EventTime.Text)
	}
	for _, w := range s.Topics {
		spec.Topics = append(spec.Topics, engine.Topic(w.Text))
	}
	sub := b.reader(spec.Topics)
	if sub == nil {
		sub = b.newSub(spec)
	} else {
		sub.Sources = append(sub.Sources, spec)
	}
	at := place{sub: sub, node: ^(len(sub.Sources) - 1), schema: schema, lists: in.lists, record: !s.table}
	if s.table {
		at = b.table(s, in, at)
	}
	b.places[in] = at
	return nil
}

// table adds the node that makes changes of a table's rows.
func (b *builder) table(s *Source, in *stream, at place) place {
	spec := operators.TableSpec{Schema: at.schema, History: s.History}
	for _, name := range in.key {
		spec.Key = append(spec.Key, at.schema.Lookup(name))
	}
	n := &engine.NodeSpec{Schema: at.schema, Table: true, Stores: operators.TableStores(in.name, spec), New: operators.Table(spec)}
	next := b.add(at, in, "table", n)
	lateStage(n, Word{})
	b.stored(n)
	b.part(in, engine.RowsPart(in.name), fmt.Sprintf("table %s of %s by %v", in.name, s.Topics[0].Text, in.key))
	return next
}

// stored notes for the fingerprint what the stores of a node hold.
func (b *builder) stored(n *engine.NodeSpec) {
	for _, s := range n.Stores {
		b.parts = append(b.parts, fmt.Sprintf("store %s: %s", s.Name, s.Fingerprint))
	}
}

// part notes what must stay the same of what the step behind s leaves on the
// cluster.
func (b *builder) part(s *stream, name, text string) {
	p := engine.Part{Step: s.id(), Text: text}
	if s.name0() != p.Step {
		p.Name = s.name0()
	}
	b.parts, b.topo.Parts[name] = append(b.parts, text), p
}

// storeParts notes the stores of all nodes.
func (b *builder) storeParts() {
	for _, sub := range b.topo.Subs {
		for _, n := range sub.Nodes {
			p := engine.Part{Step: n.Step}
			if n.Identity != "" {
				p.Step, p.Name = n.Identity, n.Step
			}
			for _, s := range n.Stores {
				p.Text = s.Fingerprint
				b.topo.Parts[engine.StorePart(s.Name)] = p
			}
		}
	}
}

// reader is the sub-topology that reads one of topics, or nil. Where several
// do, they become one.
func (b *builder) reader(topics []engine.Topic) *engine.SubTopology {
	var found *engine.SubTopology
	for _, sub := range slices.Clone(b.topo.Subs) {
		reads := slices.ContainsFunc(sub.Sources, func(s *engine.SourceSpec) bool {
			return slices.ContainsFunc(s.Topics, func(t engine.Topic) bool { return slices.Contains(topics, t) })
		})
		switch {
		case !reads:
		case found == nil:
			found = sub
		default:
			b.merge(found, sub)
		}
	}
	return found
}

func (b *builder) newSub(source *engine.SourceSpec) *engine.SubTopology {
	sub := &engine.SubTopology{Sources: []*engine.SourceSpec{source}}
	b.topo.Subs = append(b.topo.Subs, sub)
	return sub
}

// merge makes one sub-topology of two, whose rows meet: what was in c is in a.
func (b *builder) merge(a, c *engine.SubTopology) {
	if a == c {
		return
	}
	sources, nodes := len(a.Sources), len(a.Nodes)
	shift := func(in int) int {
		if in < 0 {
			return ^(^in + sources)
		}
		return in + nodes
	}
	for _, n := range c.Nodes {
		for i := range n.Inputs {
			n.Inputs[i] = shift(n.Inputs[i])
		}
	}
	a.Sources, a.Nodes = append(a.Sources, c.Sources...), append(a.Nodes, c.Nodes...)
	for s, at := range b.places {
		if at.sub == c {
			at.sub, at.node = a, shift(at.node)
			b.places[s] = at
		}
	}
	for spec, sub := range b.upstream {
		if sub == c {
			b.upstream[spec] = a
		}
	}
	b.topo.Subs = slices.DeleteFunc(b.topo.Subs, func(s *engine.SubTopology) bool { return s == c })
}

// meet brings places into one sub-topology.
func (b *builder) meet(at []place) []place {
	at = slices.Clone(at)
	for i := 1; i < len(at); i++ {
		if at[i].sub == at[0].sub {
			continue
		}
		into, from := at[0].sub, at[i].sub
		sources, nodes := len(into.Sources), len(into.Nodes)
		b.merge(into, from)
		for j := range at {
			if at[j].sub != from {
				continue
			}
			at[j].sub = into
			if at[j].node < 0 {
				at[j].node = ^(^at[j].node + sources)
			} else {
				at[j].node += nodes
			}
		}
	}
	return at
}

// number gives sub-topologies their ids, writers before readers where they do
// not go round.
func (b *builder) number() {
	var order []*engine.SubTopology
	state := map[*engine.SubTopology]bool{}
	var visit func(s *engine.SubTopology)
	visit = func(s *engine.SubTopology) {
		if state[s] {
			return
		}
		state[s] = true
		for _, spec := range s.Sources {
			if up := b.upstream[spec]; up != nil {
				visit(up)
			}
		}
		order = append(order, s)
	}
	for _, s := range b.topo.Subs {
		visit(s)
	}
	for i, s := range order {
		s.ID = i
		for _, spec := range s.Sources {
			if up := b.upstream[spec]; up != nil {
				spec.Watermark.CloseAfterIdle = closesAfter(up)
			}
		}
	}
	b.topo.Subs = order
	for spec, up := range b.upstream {
		spec.Upstream = up.ID
	}
}

// closesAfter is how long it takes until the clock moves the time of all that a
// sub-topology reads; 0 where it does not move all of it.
func closesAfter(sub *engine.SubTopology) (d time.Duration) {
	for _, timeless := range []bool{false, true} { // tables count where there is nothing else
		some := false
		for _, s := range sub.Sources {
			if s.Timeless != timeless {
				continue
			}
			if some = true; s.Watermark.CloseAfterIdle == 0 {
				return 0
			}
			d = max(d, s.Watermark.CloseAfterIdle)
		}
		if some {
			break
		}
	}
	return d
}

// again compiles an expression against the columns that are left.
func (b *builder) again(p *expr.Program, at place) (*expr.Program, error) {
	if p == nil {
		return nil, nil
	}
	q, err := expr.Compile(p.String(), expr.Env{Schema: at.schema, Vars: b.vars, Lists: at.lists, Record: at.record, Secret: b.o.Secret})
	if err != nil {
		return nil, fmt.Errorf("compile %q: %w", p.String(), err)
	}
	return q, nil
}

// add appends a node that reads at and gives the place behind it.
func (b *builder) add(at place, s *stream, kind string, n *engine.NodeSpec) place {
	return b.addTo([]place{at}, s, kind, n)
}

// addTo appends a node with several inputs, whose places have met.
func (b *builder) addTo(at []place, s *stream, kind string, n *engine.NodeSpec) place {
	n.Name, n.Step, n.Kind, n.Errors = s.name0(), s.name0(), kind, b.policy(s)
	if s.step != nil && len(n.Stores) > 0 {
		n.Hold = holdOf(s.step.Step)
	}
	if id := s.id(); id != n.Name {
		n.Identity = id
	}
	ports := false
	for _, p := range at {
		n.Inputs, n.Ports = append(n.Inputs, p.node), append(n.Ports, p.port)
		ports = ports || p.port != 0
	}
	if !ports {
		n.Ports = nil
	}
	sub := at[0].sub
	sub.Nodes = append(sub.Nodes, n)
	return place{sub: sub, node: len(sub.Nodes) - 1, schema: n.Schema, lists: s.lists, record: at[0].record && s.record}
}

// policy is what happens to what goes wrong in the step behind a stream.
func (b *builder) policy(s *stream) engine.ErrorPolicy {
	if s.step == nil {
		return policyOf(s.source.Errors, b.p.Errors)
	}
	return policyOf(s.step.Errors, b.p.Errors)
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
			for _, stage := range []engine.Stage{engine.StageDecode, engine.StageEventTime, engine.StageExpression, engine.StageAggregate, engine.StageProduce, engine.StageSend} {
				p.Stages[stage] = *e.All
			}
		}
		for stage, policy := range e.Policy {
			p.Stages[stage] = policy
		}
	}
	return p
}
