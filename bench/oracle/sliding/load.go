package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const partitions = 4

// fill writes the rows to their topic: by murmur2 of the key, lz4, timestamps
// as the rows' event times.
func (b *bench) fill(ctx context.Context) error {
	if err := b.create(ctx, topic); err != nil {
		return err
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(b.brokers, ",")...), kgo.DefaultProduceTopic(topic), kgo.ProducerBatchCompression(kgo.Lz4Compression()))
	if err != nil {
		return fmt.Errorf("load the rows: %w", err)
	}
	defer cl.Close()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	for _, r := range b.rows {
		cl.Produce(ctx, &kgo.Record{Key: []byte(r.key), Value: []byte(r.value), Timestamp: time.UnixMilli(r.time)}, func(_ *kgo.Record, err error) {
			if err != nil {
				cancel(err)
			}
		})
	}
	if err := cl.Flush(ctx); err != nil {
		return fmt.Errorf("load the rows: %w", context.Cause(ctx))
	}
	return context.Cause(ctx)
}

func (b *bench) create(ctx context.Context, name string) error {
	cl, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(b.brokers, ",")...))
	if err != nil {
		return fmt.Errorf("create topic %s: %w", name, err)
	}
	defer cl.Close()
	made, err := kadm.NewClient(cl).CreateTopic(ctx, partitions, 1, nil, name)
	if err == nil {
		err = made.Err
	}
	if err != nil {
		return fmt.Errorf("create topic %s: %w", name, err)
	}
	return nil
}
