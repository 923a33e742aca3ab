package engine_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/leatstream/leat/connectors/codec"
	"github.com/leatstream/leat/connectors/file"
	"github.com/leatstream/leat/connectors/kafka"
	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/operators"
	"github.com/leatstream/leat/operators/expr"
	"github.com/leatstream/leat/window"
	"github.com/leatstream/leat/window/aggregate"
)

// shape says what a pipeline of these tests is:
//
//	topics ─▶ [repartition by group] ─▶ count, sum(n) per group and window ─▶ out
type shape struct {
	topics        []string // default in
	group         string   // k (the record key's column) or g
	through       bool     // behind a repartition topic
	size, advance time.Duration
	grace         time.Duration
	update        bool
	throttle      time.Duration
	disorder      time.Duration // max_out_of_orderness
	idle          time.Duration // idle_timeout; 0: never
	closeAfter    time.Duration // close_after_idle
	future        time.Duration // max_future
	stamp         time.Duration // smallest movement of the watermark worth a stamp
	maxRate       float64
	generation    int
	policies      map[engine.Stage]engine.Policy
	includeValue  bool
	stdout        bool // a stdout sink in place of kafka's
	file          bool // a file sink
}

// rowSchema is what every source of these tests reads.
var rowSchema = engine.NewSchema(engine.Field{Name: "id", Type: engine.Int}, engine.Field{Name: "k", Type: engine.String},
	engine.Field{Name: "g", Type: engine.String}, engine.Field{Name: "ts", Type: engine.Timestamp}, engine.Field{Name: "n", Type: engine.Int})

// topology builds the pipeline by hand.
func (s shape) topology(t testing.TB) *engine.Topology {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	if s.topics == nil {
		s.topics = []string{"in"}
	}
	if s.group == "" {
		s.group = "k"
	}
	decoder, err := codec.JSON(rowSchema, codec.Options{})
	must(err)
	n, err := expr.Compile("n", expr.Env{Schema: rowSchema})
	must(err)
	column := func(name string, types []aggregate.Type, args ...*expr.Program) operators.AggregateColumn {
		kind, _ := aggregate.Lookup(name)
		fn, err := kind.New(types, nil)
		must(err)
		return operators.AggregateColumn{Name: name, Fn: fn, Args: args, Text: name}
	}
	fields := []engine.Field{{Name: s.group, Type: engine.String}}
	spec := operators.AggregateSpec{In: rowSchema, Group: []operators.GroupColumn{{Name: s.group, From: rowSchema.Lookup(s.group)}}, Update: s.update, Throttle: s.throttle,
		Aggregates: []operators.AggregateColumn{column("count", nil), column("sum", []aggregate.Type{aggregate.Int}, n)}}
	if s.size > 0 {
		fields = append(fields, engine.Field{Name: "window_start", Type: engine.Timestamp}, engine.Field{Name: "window_end", Type: engine.Timestamp})
		spec.Window = window.Spec{Kind: "tumbling", Size: s.size.Milliseconds(), Grace: s.grace.Milliseconds()}
		if s.advance > 0 {
			spec.Window.Kind, spec.Window.Advance = "hopping", s.advance.Milliseconds()
		}
	}
	fields = append(fields, engine.Field{Name: "count", Type: engine.Int}, engine.Field{Name: "sum", Type: engine.Int})
	if s.update && s.size > 0 {
		fields = append(fields, engine.Field{Name: "final", Type: engine.Bool})
	}
	out := engine.NewSchema(fields...)
	spec.Out = out
	policy := engine.ErrorPolicy{Topic: "dead", IncludeValue: s.includeValue, Stages: s.policies}
	source := &engine.SourceSpec{Name: "in", Schema: rowSchema, NewDecoder: decoder, EventTime: 3, KeyColumns: []string{"k"}, Errors: policy,
		Watermark: engine.WatermarkSpec{MaxOutOfOrderness: s.disorder, IdleTimeout: s.idle, CloseAfterIdle: s.closeAfter, MaxFuture: s.future}}
	for _, topic := range s.topics {
		source.Topics = append(source.Topics, engine.Topic(topic))
	}
	sums := &engine.NodeSpec{Name: "sums", Kind: "aggregate", Inputs: []int{-1}, Schema: out, Table: s.update || s.size == 0, Errors: policy,
		Stores: operators.AggregateStores("sums", spec), New: operators.Aggregate(spec)}
	sink := &engine.NodeSpec{Name: "out", Kind: "sink:kafka", Inputs: []int{0}, Schema: out, Errors: policy,
		New: kafka.Sink(kafka.SinkSpec{Topic: "out", Schema: out, Key: []int{0}}), Outputs: []engine.TopicSpec{{Topic: "out"}}}
	if s.stdout {
		sink.New, sink.Outputs = file.Stdout("out", out, []int{0}, false), []engine.TopicSpec{{Topic: engine.StdoutTopic("out")}}
	}
	if s.file {
		sink.New, sink.Outputs = file.File("out", out, []int{0}, false), []engine.TopicSpec{{Topic: engine.FileTopic("out")}}
	}
	topo := &engine.Topology{Pipeline: "p", Generation: max(s.generation, 1), MaxRate: s.maxRate}
	if !s.through {
		topo.Subs = []*engine.SubTopology{{Sources: []*engine.SourceSpec{source}, Nodes: []*engine.NodeSpec{sums, sink}}}
		return topo
	}
	between := engine.Topic(fmt.Sprintf("p.%d.sums.repartition", topo.Generation))
	move := &engine.NodeSpec{Name: "sums", Kind: "repartition", Inputs: []int{-1}, Schema: rowSchema,
		New: engine.Repartition(between, rowSchema, []int{rowSchema.Lookup(s.group)}, s.stamp), Outputs: []engine.TopicSpec{{Topic: between}}}
	again := &engine.SourceSpec{Name: "sums", Topics: []engine.Topic{between}, Repartition: true, Schema: rowSchema, NewDecoder: engine.RepartitionDecoder()}
	topo.Subs = []*engine.SubTopology{
		{ID: 0, Sources: []*engine.SourceSpec{source}, Nodes: []*engine.NodeSpec{move}},
		{ID: 1, Sources: []*engine.SourceSpec{again}, Nodes: []*engine.NodeSpec{sums, sink}}}
	return topo
}

// parseShape reads the arguments of a pipeline command.
func parseShape(t testing.TB, d *datadriven.TestData) (s shape, partitions int) {
	t.Helper()
	partitions, s.includeValue = 1, true
	s.policies = map[engine.Stage]engine.Policy{engine.StageLate: engine.DeadLetter}
	for _, a := range d.CmdArgs {
		value := ""
		if len(a.Vals) > 0 {
			value = a.Vals[0]
		}
		span := func() time.Duration {
			v, err := time.ParseDuration(value)
			if err != nil {
				d.Fatalf(t, "%s: %v", a.Key, err)
			}
			return v
		}
		switch a.Key {
		case "partitions":
			partitions = int(number(t, value))
		case "topics":
			s.topics = a.Vals
		case "group":
			s.group = value
		case "repartition":
			s.through = true
		case "size":
			s.size = span()
		case "advance":
			s.advance = span()
		case "grace":
			s.grace = span()
		case "update":
			s.update = true
		case "throttle":
			s.throttle = span()
		case "disorder":
			s.disorder = span()
		case "idle":
			s.idle = span()
		case "close-after":
			s.closeAfter = span()
		case "stamp":
			s.stamp = span()
		case "max-future":
			s.future = span()
		case "max-rate":
			v, err := strconv.ParseFloat(value, 64)
			if err != nil {
				d.Fatalf(t, "%v", err)
			}
			s.maxRate = v
		case "no-value":
			s.includeValue = false
		case "fail", "skip", "dead-letter":
			for _, stage := range a.Vals {
				s.policies[engine.Stage(stage)] = map[string]engine.Policy{"fail": engine.Fail, "skip": engine.Skip, "dead-letter": engine.DeadLetter}[a.Key]
			}
		default:
			d.Fatalf(t, "unknown argument %s", a.Key)
		}
	}
	return s, partitions
}

func number(t testing.TB, s string) int64 {
	t.Helper()
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// epoch is where event time starts in these tests: a multiple of every window.
const epoch = int64(1_700_000_400_000 / 3_600_000 * 3_600_000)

// parseRow reads a record of a text file:
//
//	p1 a@12s                    partition 1, k "a", ts 12 s after the epoch, n 1
//	b p1 a@12s n=5 g=x at=3s    topic b; the record's own timestamp
//	p0 null a                   a tombstone with key a
//	p0 raw {"broken h=x:1       these bytes; a header
//	key=a                       the record key, where it is not k
func parseRow(t testing.TB, line string, id int64) engine.Record {
	t.Helper()
	fields := strings.Fields(line)
	r := engine.Record{Topic: "in"}
	row := map[string]string{}
	raw, null, keyed := "", false, ""
	for i := 0; i < len(fields); i++ {
		f := fields[i]
		name, value, assigned := strings.Cut(f, "=")
		key, at, timed := strings.Cut(f, "@")
		switch {
		case f == "raw":
			i++
			raw = fields[i]
		case f == "null":
			i++
			null, keyed = true, fields[i]
		case assigned && name == "at":
			r.Time = epoch + millis(t, value)
		case assigned && name == "key":
			keyed = value
		case assigned && name == "h":
			k, v, _ := strings.Cut(value, ":")
			r.Headers = append(r.Headers, engine.Header{Key: k, Value: []byte(v)})
		case assigned:
			row[name] = value
		case timed:
			row["k"] = strconv.Quote(key)
			row["ts"] = "null"
			keyed = key
			if at != "null" {
				ms := epoch + millis(t, at)
				row["ts"] = strconv.FormatInt(ms, 10)
				if r.Time == 0 {
					r.Time = ms
				}
			}
		case len(f) > 1 && f[0] == 'p' && f[1] >= '0' && f[1] <= '9':
			r.Partition = engine.Partition(number(t, f[1:]))
		default:
			r.Topic = engine.Topic(f)
		}
	}
	r.Key = []byte(keyed)
	if keyed == "none" {
		r.Key = nil
	}
	switch {
	case null:
		return r
	case raw != "":
		r.Value = []byte(raw)
		return r
	}
	if row["n"] == "" {
		row["n"] = "1"
	}
	if g, ok := row["g"]; ok {
		row["g"] = strconv.Quote(g)
	} else {
		row["g"] = "null"
	}
	r.Value = fmt.Appendf(nil, `{"id":%d,"k":%s,"g":%s,"ts":%s,"n":%s}`, id, row["k"], row["g"], row["ts"], row["n"])
	return r
}

func millis(t testing.TB, s string) int64 {
	t.Helper()
	d, err := time.ParseDuration(s)
	if err != nil {
		t.Fatal(err)
	}
	return d.Milliseconds()
}
