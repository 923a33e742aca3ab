package pipelines

import (
	"cmp"
	"fmt"
	"sort"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/leatstream/leat/engine"
)

// TestBuild shows what topology a pipeline becomes: testdata/build.
func TestBuild(t *testing.T) {
	datadriven.Walk(t, "testdata/build", func(t *testing.T, path string) {
		prints := map[string]string{}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			set, diags := LoadBytes("p.yaml", []byte(document(t, d)), testEnv)
			if diags.Errors() > 0 {
				return diags[0].String()
			}
			topo, err := set.Pipelines[0].build(t)
			if err != nil {
				return err.Error()
			}
			if d.HasArg("dashboard") {
				return strings.ReplaceAll(string(topo.Dashboard), `},{`, "},\n  {") + "\n"
			}
			if d.HasArg("fingerprint") { // the first case with a fingerprint gives it a letter
				if prints[topo.Fingerprint] == "" {
					prints[topo.Fingerprint] = string(rune('A' + len(prints)))
				}
				return prints[topo.Fingerprint] + "\n"
			}
			return describeTopology(topo)
		})
	})
}

func (p *Pipeline) build(t *testing.T) (*engine.Topology, error) {
	t.Helper()
	return Build(p, Options{Secret: func(string) (string, bool) { return "s", true }})
}

func describeTopology(topo *engine.Topology) string {
	var b strings.Builder
	for _, sub := range topo.Subs {
		fmt.Fprintf(&b, "sub-topology %d\n", sub.ID)
		for _, s := range sub.Sources {
			fmt.Fprintf(&b, "  source %s of %v: %s", s.Name, s.Topics, schemaText(s.Schema))
			if s.EventTime >= 0 {
				fmt.Fprintf(&b, "; event time %s", s.Schema.Fields[s.EventTime].Name)
			}
			if len(s.KeyColumns) > 0 {
				fmt.Fprintf(&b, "; key %v", s.KeyColumns)
			}
			if s.Repartition {
				fmt.Fprintf(&b, "; from sub-topology %d", s.Upstream)
			}
			b.WriteString(table(s.Table) + "\n" + policies(s.Errors))
		}
		for i, n := range sub.Nodes {
			from := "source"
			if in := n.Inputs[0]; in >= 0 {
				from = sub.Nodes[in].Name
			}
			fmt.Fprintf(&b, "  %d %s %s ◀─ %s: %s%s\n", i, n.Kind, n.Name, from, schemaText(n.Schema), table(n.Table))
			for _, s := range n.Stores {
				fmt.Fprintf(&b, "      store %s\n", s.Name)
			}
			for _, o := range n.Outputs {
				fmt.Fprintf(&b, "      writes %s %s\n", o.Topic, configs(o.Configs))
			}
			for _, note := range n.Notes {
				fmt.Fprintf(&b, "      note: %s\n", note)
			}
			b.WriteString(policies(n.Errors))
		}
	}
	for _, v := range topo.Views {
		fmt.Fprintf(&b, "view %s key %v windowed %v stream %v history %s reach %s\n", v.Name, v.KeyColumns, v.Windowed, v.Stream, formatDuration(v.History), formatDuration(v.Reach))
	}
	return b.String()
}

func table(is bool) string {
	if is {
		return " (table)"
	}
	return ""
}

func configs(m map[string]string) string {
	var out []string
	for k, v := range m {
		out = append(out, k+"="+v)
	}
	sort.Strings(out)
	return strings.Join(out, " ")
}

// policies prints what is not the default.
func policies(p engine.ErrorPolicy) string {
	var out []string
	if p.Topic != "" {
		out = append(out, "dead letters to "+string(p.Topic))
	}
	if !p.IncludeValue {
		out = append(out, "without values")
	}
	for _, stage := range []engine.Stage{engine.StageDecode, engine.StageEventTime, engine.StageExpression, engine.StageAggregate, engine.StageLate, engine.StageProduce} {
		if policy, ok := p.Stages[stage]; ok && !(stage == engine.StageLate && policy == engine.Skip) {
			out = append(out, string(stage)+"="+[]string{"fail", "skip", "dead_letter"}[policy])
		}
	}
	if len(out) == 0 {
		return ""
	}
	return "      errors: " + strings.Join(out, ", ") + "\n"
}

// TestSteps: errors call each node by the name of the step that a person wrote.
func TestSteps(t *testing.T) {
	set, diags := Load([]string{"examples"}, testEnv)
	if diags.Errors() > 0 {
		t.Fatal(diags)
	}
	inner := 0
	for _, p := range set.Pipelines {
		names := map[string]bool{}
		for _, s := range p.Sources {
			names[s.Name.Text] = true
		}
		for _, s := range p.Transforms {
			names[s.Name.Text] = true
		}
		for _, s := range p.Sinks {
			names[s.Name.Text] = true
		}
		topo, err := p.build(t)
		if err != nil {
			t.Fatal(err)
		}
		for _, sub := range topo.Subs {
			for _, n := range sub.Nodes {
				if step := cmp.Or(n.Step, n.Name); !names[step] {
					t.Errorf("%s: errors of the node %s name %q", p.Name.Text, n.Name, step)
				}
				if n.Step != "" && n.Step != n.Name {
					inner++
				}
			}
		}
	}
	if inner == 0 {
		t.Error("no step of several nodes was among them")
	}
}

// TestKeyError: the dead letter of a row whose key cannot be computed, before it
// moves, names the aggregate.
func TestKeyError(t *testing.T) {
	set, diags := LoadBytes("p.yaml", []byte(`version: 1
name: p
sources:
  orders: {topic: orders, key: [id], schema: {id: string, n: int}}
transforms:
  - {name: halves, type: aggregate, group_by: [{half: 'div(10, n)'}], aggregates: {n: count()}, ttl: 1d}
sinks:
  - {name: out, type: kafka, topic: out}
errors: {dead_letter: {topic: dlq}}
`), testEnv)
	if diags.Errors() > 0 {
		t.Fatal(printed(diags))
	}
	topo, err := set.Pipelines[0].build(t)
	if err != nil {
		t.Fatal(err)
	}
	d, err := NewMemoryDriver(topo, DriverOptions{Partitions: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = d.Close() }()
	if err := d.Feed("orders", Fed{Key: []byte("a"), HasKey: true, Value: []byte(`{"id": "a", "n": 0}`), Time: testStart.UnixMilli()}); err != nil {
		t.Fatal(err)
	}
	letters := d.DeadLetters()
	if len(letters) != 1 {
		t.Fatalf("%d dead letters", len(letters))
	}
	for _, h := range letters[0].Headers {
		if h.Key == "leat.error.transform" && string(h.Value) != "halves" {
			t.Errorf("it names the transform %q", h.Value)
		}
	}
}
