package main

import (
	"context"
	"flag"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const partitions = 4

// loadChild writes a workload's rows to its topic: four partitions by murmur2
// of the key, lz4, timestamps as the rows' event times.
func loadChild(args []string) error {
	flags := flag.NewFlagSet("child-load", flag.ExitOnError)
	brokers := flags.String("brokers", "", "")
	name := flags.String("workload", "", "")
	topic := flags.String("topic", "", "")
	n := flags.Int("rows", 0, "")
	flags.Parse(args)

	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	cl, err := kgo.NewClient(kgo.SeedBrokers(*brokers), kgo.DefaultProduceTopic(*topic),
		kgo.ProducerBatchCompression(kgo.Lz4Compression()), kgo.MaxBufferedRecords(100_000))
	if err != nil {
		return fmt.Errorf("load %s: %w", *topic, err)
	}
	defer cl.Close()
	made, err := kadm.NewClient(cl).CreateTopic(ctx, partitions, 1, nil, *topic)
	if err == nil {
		err = made.Err
	}
	if err != nil {
		return fmt.Errorf("create topic %s: %w", *topic, err)
	}
	err = rows(*name, *n, func(key, value []byte, ts int64) error {
		record := &kgo.Record{Key: append([]byte(nil), key...), Value: append([]byte(nil), value...), Timestamp: unixMilli(ts)}
		cl.Produce(ctx, record, func(_ *kgo.Record, err error) {
			if err != nil {
				cancel(err)
			}
		})
		return context.Cause(ctx)
	})
	if err != nil {
		return fmt.Errorf("load %s: %w", *topic, err)
	}
	if err := cl.Flush(ctx); err != nil {
		return fmt.Errorf("load %s: %w", *topic, context.Cause(ctx))
	}
	return context.Cause(ctx)
}
