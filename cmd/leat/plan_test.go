package main

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/pipelines"
)

// TestPlan is the manual of leat plan: testdata/plan.txt, against the embedded
// broker. `topic` makes one, `keys` writes a hundred keys to it as a family of
// clients spreads them, `enforce` does what leat run does at its start.
func TestPlan(t *testing.T) {
	_, broker := startBroker(t, nil)
	ctx, c := context.Background(), broker.Cluster()
	datadriven.RunTest(t, "testdata/plan.txt", func(t *testing.T, d *datadriven.TestData) string {
		var name, family string
		partitions := 4
		d.MaybeScanArgs(t, "name", &name)
		d.MaybeScanArgs(t, "partitions", &partitions)
		switch d.Cmd {
		case "topic":
			configs := map[string]string{}
			for _, setting := range strings.Fields(d.Input) {
				key, value, _ := strings.Cut(setting, "=")
				configs[key] = value
			}
			if _, err := c.CreateTopics(ctx, []engine.TopicSpec{{Topic: engine.Topic(name), Partitions: partitions, Configs: configs}}); err != nil {
				return err.Error()
			}
			return "ok\n"
		case "keys":
			d.ScanArgs(t, "family", &family)
			var recs []engine.Record
			for _, f := range engine.Partitioners {
				for i := 0; i < 100 && f.Name == family; i++ {
					key := fmt.Appendf(nil, "key-%d", i)
					recs = append(recs, engine.Record{Topic: engine.Topic(name), Partition: f.Of(key, partitions), Key: key, Value: []byte("{}")})
				}
			}
			if err := c.Produce(ctx, recs); err != nil {
				return err.Error()
			}
			return fmt.Sprintf("%d records\n", len(recs))
		case "plan", "enforce":
			set, diags := pipelines.LoadBytes("p.yaml", []byte(d.Input), nil)
			if diags.Errors() > 0 {
				return diags[0].String()
			}
			if d.Cmd == "enforce" {
				_, topo, err := pipelines.Explain(set.Pipelines[0])
				if err != nil {
					return err.Error()
				}
				plan, err := engine.MakePlan(ctx, topo, c)
				if err != nil {
					return err.Error()
				}
				created, err := plan.Enforce(ctx, topo, c)
				if err != nil {
					return err.Error()
				}
				return fmt.Sprintf("created %v\n", created)
			}
			r, err := reviewOf(ctx, set.Pipelines[0], c)
			if err != nil {
				return fmt.Sprintf("%v\nexit %d\n", err, exitCode(err))
			}
			var out strings.Builder
			if err := r.write(&out, "text"); err != nil {
				t.Fatal(err)
			}
			return out.String()
		}
		t.Fatalf("unknown command %q", d.Cmd)
		return ""
	})
}
