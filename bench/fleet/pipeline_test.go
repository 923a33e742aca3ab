//go:build synctests

package fleet

import (
	"testing"
	"time"

	"github.com/leatstream/leat/connectors/codec"
	"github.com/leatstream/leat/connectors/kafka"
	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/operators"
	"github.com/leatstream/leat/operators/expr"
	"github.com/leatstream/leat/window"
	"github.com/leatstream/leat/window/aggregate"
)

// variant is one form of the pipeline under test:
//
//	in ─▶ [repartition by another column] ─▶ count, sum per group and hopping window ─▶ out
type variant struct {
	name     string
	group    string        // column that is grouped by
	through  bool          // behind a repartition topic
	update   bool          // emit: update
	throttle time.Duration // of updates
	again    bool          // at least once: rows may count twice
}

var variants = []variant{
	{name: "keyed", group: "k"},
	{name: "regrouped", group: "g", through: true},
	{name: "updates", group: "k", update: true},
	{name: "throttled", group: "g", through: true, update: true, throttle: 700 * time.Millisecond},
}

// The windows and the time of every variant, in milliseconds.
const (
	size     = 10_000
	advance  = 4_000
	disorder = 2_000
)

// topology builds a variant by hand, so that this test needs no YAML.
func topology(t testing.TB, v variant) *engine.Topology {
	t.Helper()
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	schema := engine.NewSchema(engine.Field{Name: "id", Type: engine.Int}, engine.Field{Name: "k", Type: engine.String},
		engine.Field{Name: "g", Type: engine.String}, engine.Field{Name: "ts", Type: engine.Timestamp}, engine.Field{Name: "n", Type: engine.Int})
	decoder, err := codec.JSON(schema, codec.Options{})
	must(err)
	n, err := expr.Compile("n", expr.Env{Schema: schema})
	must(err)
	column := func(name string, types []aggregate.Type, args ...*expr.Program) operators.AggregateColumn {
		kind, _ := aggregate.Lookup(name)
		fn, err := kind.New(types, nil)
		must(err)
		return operators.AggregateColumn{Name: name, Fn: fn, Args: args, Text: name}
	}
	fields := []engine.Field{{Name: v.group, Type: engine.String}, {Name: "window_start", Type: engine.Timestamp}, {Name: "window_end", Type: engine.Timestamp},
		{Name: "count", Type: engine.Int}, {Name: "sum", Type: engine.Int}}
	if v.update {
		fields = append(fields, engine.Field{Name: "final", Type: engine.Bool})
	}
	out := engine.NewSchema(fields...)
	spec := operators.AggregateSpec{In: schema, Out: out, Group: []operators.GroupColumn{{Name: v.group, From: schema.Lookup(v.group)}},
		Window: window.Spec{Kind: "hopping", Size: size, Advance: advance}, Update: v.update, Throttle: v.throttle,
		Aggregates: []operators.AggregateColumn{column("count", nil), column("sum", []aggregate.Type{aggregate.Int}, n)}}

	late := engine.ErrorPolicy{Topic: "late", IncludeValue: true, Stages: map[engine.Stage]engine.Policy{engine.StageLate: engine.DeadLetter}}
	in := &engine.SourceSpec{Name: "in", Topics: []engine.Topic{"in"}, Schema: schema, KeyColumns: []string{"k"}, NewDecoder: decoder, EventTime: 3,
		Watermark: engine.WatermarkSpec{MaxOutOfOrderness: disorder * time.Millisecond}}
	sums := &engine.NodeSpec{Name: "sums", Kind: "aggregate", Inputs: []int{-1}, Schema: out, Table: v.update,
		Stores: operators.AggregateStores("sums", spec), New: operators.Aggregate(spec), Errors: late}
	sink := &engine.NodeSpec{Name: "out", Kind: "sink:kafka", Inputs: []int{0}, Schema: out,
		New: kafka.Sink(kafka.SinkSpec{Topic: "out", Schema: out, Key: []int{0}}), Outputs: []engine.TopicSpec{{Topic: "out"}}}
	topo := &engine.Topology{Pipeline: "p", Generation: 1, Fingerprint: v.name}
	if v.again {
		topo.Guarantee = engine.AtLeastOnce
	}
	if !v.through {
		topo.Subs = []*engine.SubTopology{{Sources: []*engine.SourceSpec{in}, Nodes: []*engine.NodeSpec{sums, sink}}}
		return topo
	}
	between := engine.Topic("p.1.sums.repartition")
	move := &engine.NodeSpec{Name: "sums", Kind: "repartition", Inputs: []int{-1}, Schema: schema,
		New: engine.Repartition(between, schema, []int{schema.Lookup(v.group)}, advance*time.Millisecond), Outputs: []engine.TopicSpec{{Topic: between}}}
	again := &engine.SourceSpec{Name: "sums", Topics: []engine.Topic{between}, Repartition: true, Schema: schema, NewDecoder: engine.RepartitionDecoder()}
	topo.Subs = []*engine.SubTopology{
		{ID: 0, Sources: []*engine.SourceSpec{in}, Nodes: []*engine.NodeSpec{move}},
		{ID: 1, Sources: []*engine.SourceSpec{again}, Nodes: []*engine.NodeSpec{sums, sink}}}
	return topo
}
