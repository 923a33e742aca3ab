package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/leatstream/leat/connectors/generate"
	"github.com/leatstream/leat/connectors/kafka"
	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/pipelines"
	"github.com/spf13/cobra"
)

func demoCommand() *cobra.Command {
	f := runFlags{set: func(string) bool { return false }}
	var seed uint64
	cmd := &cobra.Command{
		Use: "demo", Short: "Show it all: embedded broker, a believable stream, a pipeline, a live dashboard",
		Long: "Starts the embedded broker in a temporary folder, sends sensor readings (with disorder, late\n" +
			"rows, a burst, a sensor that goes silent and a bad record now and then), runs the demo's\n" +
			"pipeline and serves its dashboard. Stop with ctrl-C.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			set, found := pipelines.LoadBytes("demo.yaml", pipelines.Demo, os.LookupEnv)
			if err := found.Write(cmd.ErrOrStderr(), colored(cmd.ErrOrStderr())); err != nil {
				return err
			}
			if found.Errors() > 0 {
				return coded{exitInvalid, nil}
			}
			if f.stateDir == "" {
				dir, err := os.MkdirTemp("", "leat-demo-")
				if err != nil {
					return coded{exitEnvironment, err}
				}
				defer os.RemoveAll(dir)
				f.stateDir = dir
			}
			topic := engine.Topic("")
			for _, s := range set.Pipelines[0].Sources {
				topic = engine.Topic(s.Topics[0].Text)
			}
			return run(cmd.Context(), set, f, func(ctx context.Context, b *kafka.Broker) error { return feedDemo(ctx, b, topic, seed) })
		},
	}
	cmd.Flags().StringVar(&f.stateDir, "state-dir", "", "keep broker and state in this folder (default: a temporary one)")
	cmd.Flags().StringVar(&f.brokers, "brokers", "", "use these brokers instead of the embedded one")
	cmd.Flags().StringVar(&f.on.http, "http", "", "address of the dashboard")
	cmd.Flags().StringVar(&f.on.admin, "admin", "", "address of metrics and health")
	cmd.Flags().Uint64Var(&seed, "seed", 1, "seed of the stream")
	return cmd
}

// feedDemo sends readings at the pace of the clock, after some minutes of
// past, so that the charts begin with something to see.
func feedDemo(ctx context.Context, b *kafka.Broker, topic engine.Topic, seed uint64) error {
	const past = 20 * time.Minute // "what happened ten minutes ago" has an answer from the first second
	info, err := b.Cluster().Topics(ctx, topic)
	if err != nil {
		return err
	}
	partitions := info[topic].Partitions
	fmt.Fprintf(os.Stderr, "leat: demo: sending sensor readings to topic %s\n", topic)
	g := generate.NewReadings(seed, time.Now().Add(-past), generate.ReadingsOptions{})
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	var held *engine.Record
	var due time.Time
	for {
		var recs []engine.Record
		for now := time.Now(); len(recs) < 10_000; {
			if held == nil {
				key, value, at := g.Next()
				held = &engine.Record{Topic: topic, Partition: engine.PartitionOf(key, partitions), Key: append([]byte{}, key...), Value: append([]byte{}, value...), Time: at.UnixMilli()}
				due = at
			}
			if due.After(now) {
				break
			}
			recs = append(recs, *held)
			held = nil
		}
		if len(recs) > 0 {
			if err := b.Cluster().Produce(ctx, recs); err != nil {
				if ctx.Err() != nil {
					return nil
				}
				return err
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
