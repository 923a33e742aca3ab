package engine_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/leatstream/leat/connectors/codec"
	"github.com/leatstream/leat/engine"
)

// parseGraph reads a topology of test operators:
//
//	source a [topic=x] [disorder=1s] [idle=30s]   a stream; its topic is its name
//	table users [topic=x] [key=k,g] [untimed]     a table, timeless; untimed: no event time column
//	repartition r [from=0] [timeless]             what move r wrote
//	repartition r [from=0] whole [copies]         what whole r or copy r wrote: a table
//	split s: a             rows by n modulo 3: to its first output, s.1, s.2
//	pass p: a              rows as they are
//	probe x: a s.1 users   one input per port; says which rows came to which, in order
//	clock x: a users       says when time has moved, and when its sources fall idle
//	move r: a              to the repartition topic r, by g
//	whole r: users         a table that is to be there first, by g
//	copy r: users          the same, each row to all partitions
//	sub                    what follows is another sub-topology
func parseGraph(t testing.TB, text string) *engine.Topology {
	t.Helper()
	topo := &engine.Topology{Pipeline: "p", Generation: 1}
	var sub *engine.SubTopology
	var inputs map[string]int
	next := func() {
		sub, inputs = &engine.SubTopology{ID: len(topo.Subs)}, map[string]int{}
		topo.Subs = append(topo.Subs, sub)
	}
	next()
	for line := range strings.Lines(text) {
		head, rest, _ := strings.Cut(strings.TrimSpace(line), ":")
		words := strings.Fields(head)
		if len(words) == 0 {
			continue
		}
		if words[0] == "sub" {
			next()
			continue
		}
		kind, name := words[0], words[1]
		switch kind {
		case "source", "table", "repartition":
			inputs[name] = ^len(sub.Sources)
			sub.Sources = append(sub.Sources, parseSource(t, kind, name, words[2:]))
			continue
		}
		n := &engine.NodeSpec{Name: name, Kind: kind, Schema: rowSchema}
		for _, in := range strings.Fields(rest) {
			from, port, sided := strings.Cut(in, ".")
			at, ok := inputs[from]
			if !ok {
				t.Fatalf("%s: there is no %q", line, from)
			}
			n.Inputs = append(n.Inputs, at)
			k := 0
			if sided {
				k = int(number(t, port))
			}
			n.Ports = append(n.Ports, k)
		}
		switch kind {
		case "split":
			n.New = func(ctx *engine.Context) (engine.Operator, error) { return &split{ctx: ctx}, nil }
		case "pass":
			n.New = func(*engine.Context) (engine.Operator, error) { return pass{}, nil }
		case "probe", "clock":
			n.New = func(ctx *engine.Context) (engine.Operator, error) {
				return &probe{ctx: ctx, clock: kind == "clock"}, nil
			}
			n.Outputs = []engine.TopicSpec{{Topic: "seen"}}
		case "move":
			topic := engine.Topic("p.1." + name + ".repartition")
			n.New = engine.Repartition(topic, rowSchema, []int{rowSchema.Lookup("g")}, 0)
			n.Outputs = []engine.TopicSpec{{Topic: topic}}
		case "whole", "copy":
			topic := engine.Topic("p.1." + name + ".repartition")
			by := map[string]string{"whole": "g", "copy": "k"}[kind]
			n.New = engine.RepartitionWhole(topic, rowSchema, []int{rowSchema.Lookup(by)}, nil, 0, kind == "copy")
			n.Outputs = []engine.TopicSpec{{Topic: topic}}
		default:
			t.Fatalf("%s: what is %s", line, kind)
		}
		inputs[name] = len(sub.Nodes)
		sub.Nodes = append(sub.Nodes, n)
	}
	return topo
}

func parseSource(t testing.TB, kind, name string, args []string) *engine.SourceSpec {
	t.Helper()
	decoder, err := codec.JSON(rowSchema, codec.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s := &engine.SourceSpec{Name: name, Topics: []engine.Topic{engine.Topic(name)}, Schema: rowSchema, NewDecoder: decoder, EventTime: rowSchema.Lookup("ts"),
		KeyColumns: []string{"k"}, Errors: engine.ErrorPolicy{Topic: "dead", IncludeValue: true}}
	s.Watermark.MaxFuture = time.Hour
	switch kind {
	case "table":
		s.Table, s.Timeless = true, true
	case "repartition":
		s.Repartition, s.NewDecoder = true, engine.RepartitionDecoder()
		s.Topics[0] = engine.Topic("p.1." + name + ".repartition")
	}
	for _, a := range args {
		key, value, _ := strings.Cut(a, "=")
		switch key {
		case "topic":
			s.Topics = []engine.Topic{engine.Topic(value)}
		case "from":
			s.Upstream = int(number(t, value))
		case "disorder":
			s.Watermark.MaxOutOfOrderness = time.Duration(millis(t, value)) * time.Millisecond
		case "idle":
			s.Watermark.IdleTimeout = time.Duration(millis(t, value)) * time.Millisecond
		case "key":
			s.KeyColumns = strings.Split(value, ",")
		case "timeless":
			s.Timeless = true
		case "whole":
			s.Whole, s.Table, s.Timeless, s.NewDecoder = true, true, true, engine.RepartitionTableDecoder()
		case "copies":
			s.Copies = true
		case "untimed":
			s.EventTime = -1
		default:
			t.Fatalf("source %s: unknown argument %s", name, a)
		}
	}
	return s
}

// split sends rows to its outputs by n modulo 3.
type split struct {
	ctx *engine.Context
	sel [3][]int32
}

func (s *split) Process(b *engine.Batch, out engine.Emit) error {
	for k := range s.sel {
		s.sel[k] = s.sel[k][:0]
	}
	n := b.Col("n")
	for _, i := range b.Sel {
		k := n.Ints[i] % 3
		s.sel[k] = append(s.sel[k], i)
	}
	for k, sel := range s.sel {
		side := *b
		side.Sel = sel
		var err error
		if k == 0 {
			err = out(&side)
		} else {
			err = s.ctx.Side(k, &side)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

type pass struct{}

func (pass) Process(b *engine.Batch, out engine.Emit) error { return out(b) }

// probe writes a line for each row that comes, with the port where it came.
type probe struct {
	ctx   *engine.Context
	clock bool
	idle  bool
}

func (p *probe) Process(*engine.Batch, engine.Emit) error {
	return fmt.Errorf("probe %s was not told a port", p.ctx.Name)
}

func (p *probe) ProcessPort(port int, b *engine.Batch, _ engine.Emit) error {
	for _, i := range b.Sel {
		cols, op := b.Cols, ""
		if b.Op != nil {
			op = [...]string{"", "update ", "delete "}[b.Op[i]]
			if b.Op[i] == engine.Delete {
				cols = b.Old
			}
		}
		line := fmt.Sprintf("%d: %s", port, op)
		for c, name := range rowSchema.Names() {
			if name != "ts" && !cols[c].Null(i) {
				line += fmt.Sprintf("%s=%s ", name, engine.AppendText(nil, &cols[c], i))
			}
		}
		line += "@" + since(b.Time[i])
		if b.Origin[i] > b.Time[i] {
			line += " behind" // its partition's watermark
		}
		p.say(line)
	}
	return nil
}

func (p *probe) Advance(w int64, _ *engine.Budget, _ engine.Emit) (int64, bool, error) {
	if p.clock {
		at := since(w)
		if w == engine.MaxTime {
			at = "over"
		}
		p.say("time is " + at)
	}
	return w, true, nil
}

func (p *probe) Flush(int64, bool, engine.Emit) error {
	if idle := p.ctx.Idle(); p.clock && idle != p.idle {
		p.idle = idle
		p.say(fmt.Sprint("idle ", idle))
	}
	return nil
}

func (p *probe) say(line string) {
	p.ctx.Produce(engine.Record{Topic: "seen", Partition: engine.Partition(p.ctx.Task), Key: []byte(p.ctx.Name), Value: []byte(line)})
}

// TestGraphs runs testdata/graphs: where rows go, in which order, and what time
// it is there.
//
//	graph [partitions=2]   the lines of parseGraph
//	rows …                 as TestManual has them
func TestGraphs(t *testing.T) {
	datadriven.Walk(t, "testdata/graphs", func(t *testing.T, path string) {
		var m *manual
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			if d.Cmd != "graph" {
				return m.run(t, d)
			}
			o := engine.DriverOptions{Now: epoch, Restarts: true, Partitions: 1}
			d.MaybeScanArgs(t, "partitions", &o.Partitions)
			m = new(manual)
			o.Result = func(topic engine.Topic, r engine.Record) {
				if topic == "seen" {
					m.out = append(m.out, fmt.Sprintf("%s/%d %s", r.Key, r.Partition, r.Value))
				} else {
					m.out = append(m.out, describe(topic, r))
				}
			}
			var err error
			if m.d, err = engine.NewDriver(parseGraph(t, d.Input), o); err != nil {
				return "error: " + err.Error() + "\n"
			}
			return m.said()
		})
	})
}

// TestPlanCounts: a repartition topic has as many partitions as its reader has
// tasks, which are those of the topics beside it, else of the largest that
// writes to it; also where sub-topologies write to each other.
func TestPlanCounts(t *testing.T) {
	f := newFake(map[engine.Topic]int{"a": 3, "users": 5})
	topo := parseGraph(t, `
source a
repartition back from=1
move there: a
probe x: a back
sub
repartition there from=0
table users
move back: there
move on: there users
sub
repartition on from=1
repartition again from=2
move again: on`)
	plan, err := engine.MakePlan(t.Context(), topo, f.Cluster())
	if err != nil {
		t.Fatal(err)
	}
	for topic, want := range map[engine.Topic]int{"p.1.there.repartition": 5, "p.1.back.repartition": 3, "p.1.on.repartition": 5, "p.1.again.repartition": 5} {
		if got := plan.Partitions[topic]; got != want {
			t.Errorf("%s has %d partitions, want %d", topic, got, want)
		}
	}
	if plan.Tasks["a"] != 3 || plan.Tasks["there"] != 5 || plan.Tasks["on"] != 5 {
		t.Errorf("tasks: %v", plan.Tasks)
	}
	f.partitions["p.1.back.repartition"] = 3
	if _, err := plan.Enforce(t.Context(), topo, f.Cluster()); err != nil || f.partitions["p.1.there.repartition"] != 5 {
		t.Errorf("%v, partitions made: %v", err, f.partitions)
	}
}

// TestTopicOfTwo: a topic that two sub-topologies read is an error of the plan.
func TestTopicOfTwo(t *testing.T) {
	f := newFake(map[engine.Topic]int{"a": 1})
	topo := parseGraph(t, "source a\nprobe x: a\nsub\nsource b topic=a\nprobe y: b")
	if _, err := engine.MakePlan(t.Context(), topo, f.Cluster()); err == nil || !strings.Contains(err.Error(), `read topic "a"`) {
		t.Errorf("the plan says %v", err)
	}
}
