package pipelines

import (
	"fmt"
	"strings"
	"time"

	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/operators"
	"github.com/leatstream/leat/operators/expr"
)

// repartition sends rows of in through a topic, for the transform s, as a says;
// what comes behind it begins a sub-topology.
func (b *builder) repartition(s, in *stream, a arrival, at place, key []string) place {
	label := a.label
	every := b.stampEvery(s)
	notes := []string{"rows move to the partition of " + keyNote(key)}
	if a.copies {
		notes = []string{"a copy of each row goes to every partition"}
	}
	if every > 0 {
		notes = append(notes, "watermark stamps every "+formatDuration(every))
	}
	topic := engine.Topic(fmt.Sprintf("%s.%d.%s.repartition", b.p.Name.Text, b.topo.Generation, label))
	var cols []int
	for _, name := range key {
		cols = append(cols, at.schema.Lookup(name))
	}
	errors := b.policy(s)
	at.sub.Nodes = append(at.sub.Nodes, &engine.NodeSpec{
		Name: string(topic), Step: s.name0(), Kind: "repartition", Inputs: []int{at.node}, Ports: at.ports(), Schema: at.schema, Table: in.table,
		New:     repartitioner(topic, at.schema, cols, every, a),
		Outputs: []engine.TopicSpec{{Topic: topic, Configs: repartitionConfigs()}},
		Errors:  errors,
		Notes:   notes,
	})
	part := fmt.Sprintf("repartition %s by %v: %s", label, key, schemaText(at.schema))
	if a.copies {
		part += ", to all"
	}
	b.part(s, engine.RepartitionPart(label), part)
	spec := &engine.SourceSpec{
		Name: label + ".repartition", Topics: []engine.Topic{topic}, Repartition: true,
		Schema: at.schema, KeyColumns: key, Table: in.table, Timeless: in.timeless, NewDecoder: repartitionDecoder(in.table), EventTime: -1,
		Whole: a.whole, Copies: a.copies,
		Watermark: engine.WatermarkSpec{IdleTimeout: defaultIdleTimeout, MaxFuture: defaultMaxFuture},
		Errors:    errors,
	}
	b.upstream[spec] = at.sub
	return place{sub: b.newSub(spec), node: ^0, schema: at.schema, lists: at.lists}
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
		w, ok := other.step.Step.(interface{ stride() time.Duration })
		if !ok || !other.from(s) {
			continue
		}
		if d := w.stride(); d > 0 && (least == 0 || d < least) {
			least = d
		}
	}
	return least
}

// arrival is how rows come to the partition of their key: what a keyed kind
// reads of them there.
type arrival struct {
	in       *stream
	label    string // of the repartition topic, if there is one
	reshard  bool
	group    []groupColumn
	programs []argument
	keep     []string       // columns that come along whatever the programs read
	by       []int          // which of the group decide the partition; nil: all
	names    []string       // of these, on the wire; nil: as they are
	whole    bool           // a table that is to be there before the rows that meet it
	copies   bool           // all of it in every partition
	nulls    bool           // rows without a key come along
	schema   *engine.Schema // what is there, where that is more than the input's columns
}

// argument is an expression that is evaluated at the key's partition, or, where
// it asks for the record behind the row, before the rows move. A nil program
// stays nil.
type argument struct {
	name   string // unique
	p      *expr.Program
	record bool
}

// arrived is what became of an arrival.
type arrived struct {
	at       place
	group    []groupColumn
	programs []*expr.Program
}

// arrive compiles group and programs where the rows are, or sends these
// through a repartition topic first.
func (b *builder) arrive(s *stream, a arrival, at place) (arrived, error) {
	if a.reshard {
		return b.moved(s, a, at)
	}
	r := arrived{at: at}
	for _, g := range a.group {
		if g.from >= 0 {
			g.from = at.schema.Lookup(a.in.schema.Fields[g.from].Name)
		} else {
			var err error
			if g.expr, err = b.again(g.expr, at); err != nil {
				return r, err
			}
		}
		r.group = append(r.group, g)
	}
	for _, arg := range a.programs {
		p, err := b.again(arg.p, at)
		if err != nil {
			return r, err
		}
		r.programs = append(r.programs, p)
	}
	return r, nil
}

// moved sends rows through a repartition topic. What must be computed before
// (key expressions, and what asks for the record behind the row) goes with them
// as columns; their names cannot be written by users.
func (b *builder) moved(s *stream, a arrival, at place) (arrived, error) {
	in := a.in
	var computed []mapColumn
	compute := func(name string, p *expr.Program) string {
		t := p.Type()
		if t == engine.Invalid { // an always-null condition
			t = engine.Bool
		}
		computed = append(computed, mapColumn{field: engine.Field{Name: name, Type: t}, from: -1, expr: p})
		return name
	}
	var key []string
	for _, g := range a.group {
		if g.from >= 0 {
			key = append(key, in.schema.Fields[g.from].Name)
		} else {
			key = append(key, compute("~key."+g.name, g.expr))
		}
	}
	keep := map[string]bool{}
	for _, k := range append(key, a.keep...) {
		keep[k] = true
	}
	for _, arg := range a.programs {
		switch {
		case arg.p == nil:
		case arg.record:
			compute("~arg."+arg.name, arg.p)
		default:
			for _, c := range arg.p.Columns() {
				keep[in.schema.Fields[c].Name] = true
			}
		}
	}
	if a.schema != nil {
		wide := *in
		wide.schema = a.schema
		in = &wide
	}
	var columns []mapColumn
	for i, f := range in.schema.Fields {
		if keep[f.Name] {
			columns = append(columns, mapColumn{field: engine.Field{Name: f.Name, Type: f.Type}, from: i})
		}
	}
	before, err := b.project(a.label+".key", s, in, append(columns, computed...), at, "map", nil)
	if err != nil {
		return arrived{}, err
	}
	to := key
	if a.by != nil {
		to = []string{}
		for _, i := range a.by {
			to = append(to, key[i])
		}
	}
	r := arrived{at: b.repartition(s, in, a, before, to)}
	for i, g := range a.group {
		r.group = append(r.group, groupColumn{name: g.name, from: r.at.schema.Lookup(key[i])})
	}
	for _, arg := range a.programs {
		p, err := b.again(arg.p, r.at)
		if arg.p != nil && arg.record {
			p, err = expr.Compile(fmt.Sprintf("$env[%q]", "~arg."+arg.name), expr.Env{Schema: r.at.schema, Lists: r.at.lists})
		}
		if err != nil {
			return r, err
		}
		r.programs = append(r.programs, p)
	}
	return r, nil
}

// tidy leaves out what moved only computed for the operator that has read it
// now: the rows go on under the input's columns.
func (b *builder) tidy(s *stream, at place) place {
	var fields []engine.Field
	var cols []operators.MapColumn
	for i, f := range at.schema.Fields {
		if !strings.HasPrefix(f.Name, "~") {
			fields, cols = append(fields, f), append(cols, operators.MapColumn{From: i})
		}
	}
	if len(fields) == len(at.schema.Fields) {
		return at
	}
	schema := engine.NewSchema(fields...)
	n := &engine.NodeSpec{Schema: schema, Table: s.table, New: operators.Map(schema, cols)}
	next := b.add(at, s, "map", n)
	n.Name, n.Identity, next.lists = s.name+".out", "", at.lists
	return next
}

func groupColumns(group []groupColumn) []operators.GroupColumn {
	var out []operators.GroupColumn
	for _, g := range group {
		out = append(out, operators.GroupColumn{Name: g.name, From: g.from, Expr: g.expr})
	}
	return out
}
