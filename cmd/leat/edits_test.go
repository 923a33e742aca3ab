package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/pipelines"
)

// TestEdits is what becomes of state when a pipeline is edited between two runs:
// testdata/edits.txt, on the embedded broker.
//
//	topic name=orders            makes a topic of two partitions
//	rows topic=orders            writes JSON rows, by their country
//	run [rebuild] [fresh]        leat run --until-end; fresh: with an empty state folder
//	plan                         leat plan: what becomes of steps, and what is refused
//	reset                        leat reset
//	newest topic=totals          the newest value of each key
//	member group=g topic=orders  joins a group, until leave
func TestEdits(t *testing.T) {
	addrs, broker := startBroker(t, nil)
	ctx, c := context.Background(), broker.Cluster()
	const partitions = 2
	dir := t.TempDir()
	var member engine.Session
	datadriven.RunTest(t, "testdata/edits.txt", func(t *testing.T, d *datadriven.TestData) string {
		var name engine.Topic
		for _, key := range []string{"name", "topic"} {
			var s string
			if d.MaybeScanArgs(t, key, &s); s != "" {
				name = engine.Topic(s)
			}
		}
		switch d.Cmd {
		case "topic":
			if _, err := c.CreateTopics(ctx, []engine.TopicSpec{{Topic: name, Partitions: partitions}}); err != nil {
				return err.Error()
			}
			return "ok\n"
		case "rows":
			var recs []engine.Record
			for line := range strings.Lines(d.Input) {
				var row struct {
					Country string `json:"country"`
					Time    int64  `json:"at"`
				}
				if err := json.Unmarshal([]byte(line), &row); err != nil {
					t.Fatal(err)
				}
				key := []byte(row.Country)
				recs = append(recs, engine.Record{Topic: name, Partition: engine.PartitionOf(key, partitions), Key: key, Value: []byte(strings.TrimSpace(line)), Time: row.Time})
			}
			if err := c.Produce(ctx, recs); err != nil {
				t.Fatal(err)
			}
			return fmt.Sprintf("%d rows\n", len(recs))
		case "newest":
			return newest(t, c, name)
		case "member":
			var group string
			d.ScanArgs(t, "group", &group)
			var err error
			if member, err = broker.Session(ctx, engine.SessionRequest{Group: group, Topics: []engine.Topic{name}, Lane: "other/0", Guarantee: engine.AtLeastOnce, CommitNumber: engine.CommitNumber,
				Writer: func(string) string { return "" }, Start: func(context.Context, engine.TopicPartition) (engine.Offset, error) { return 0, nil }, Log: slog.New(slog.DiscardHandler)}); err != nil {
				t.Fatal(err)
			}
			for n := 0; n == 0; n, err = c.Members(ctx, group) {
				if _, perr := member.Poll(ctx, 1, 50*time.Millisecond); err != nil || perr != nil {
					t.Fatal(err, perr)
				}
				member.AllowRebalance()
			}
			return ""
		case "leave":
			member.Close(true)
			return ""
		}
		set, diags := pipelines.LoadBytes("p.yaml", []byte(d.Input), nil)
		if diags.Errors() > 0 {
			return diags[0].String()
		}
		switch d.Cmd {
		case "run":
			if d.HasArg("fresh") {
				dir = t.TempDir()
			}
			f := runFlags{brokers: strings.Join(addrs, ","), stateDir: dir, untilEnd: true, rebuild: d.HasArg("rebuild"), set: func(string) bool { return false }}
			if err := run(ctx, set, f, nil); err != nil {
				return fmt.Sprintf("%v\nexit %d\n", err, exitCode(err))
			}
			return "ran\n"
		case "plan":
			r, err := reviewOf(ctx, set.Pipelines[0], c)
			if err != nil {
				t.Fatal(err)
			}
			r.Tasks, r.Topics, r.Keys = nil, nil, nil // see plan.txt
			var out strings.Builder
			if err := r.write(&out, "text"); err != nil {
				t.Fatal(err)
			}
			return out.String()
		case "reset":
			n, err := engine.Reset(ctx, set.Pipelines[0].Name.Text, c)
			if err != nil {
				return fmt.Sprintf("%v\nexit %d\n", err, exitCode(err))
			}
			return fmt.Sprintf("generation %d\n", n)
		}
		t.Fatalf("unknown command %q", d.Cmd)
		return ""
	})
}

// newest lists the newest value of each key of a topic.
func newest(t *testing.T, c engine.Cluster, topic engine.Topic) string {
	infos, err := c.Topics(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]string{}
	for p := range engine.Partition(infos[topic].Partitions) {
		_, err := c.Read(t.Context(), engine.TopicPartition{Topic: topic, Partition: p}, -1, func(r *engine.Rows) error {
			for i := range r.Len() {
				values[string(r.Keys[i])] = string(r.Values[i])
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	var out strings.Builder
	for _, key := range slices.Sorted(maps.Keys(values)) {
		fmt.Fprintf(&out, "%s %s\n", key, values[key])
	}
	return out.String()
}
