package main

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/leatstream/leat/connectors/sse"
	"github.com/leatstream/leat/engine"
)

// presenceTopic is where nodes tell each other who watches: one partition, as
// there is a record per node, watched view and 5 s, and nothing old matters.
const presenceTopic engine.Topic = "leat.presence"

func presenceConfigs() map[string]string {
	return map[string]string{"cleanup.policy": "compact,delete", "message.timestamp.type": "LogAppendTime", "retention.ms": "3600000", "segment.ms": "600000"}
}

// fleet is sse.Presence over a topic. Where the topic cannot be made, each node
// goes on by itself, and says so once.
type fleet struct {
	cluster engine.Cluster
	log     *slog.Logger
	there   atomic.Bool
}

// Publish writes a record; before the topic is there it does nothing.
func (f *fleet) Publish(ctx context.Context, key string, value []byte) error {
	if !f.there.Load() {
		return nil
	}
	return f.cluster.Produce(ctx, []engine.Record{{Topic: presenceTopic, Key: []byte(key), Value: value}})
}

// Tail makes the topic and reads it from its present end.
func (f *fleet) Tail(ctx context.Context, fn func(key string, value []byte)) error {
	if _, err := f.cluster.CreateTopics(ctx, []engine.TopicSpec{{Topic: presenceTopic, Partitions: 1, Configs: presenceConfigs()}}); err != nil && !f.there.Load() {
		f.log.Warn("presence: each node counts its own viewers only", "topic", string(presenceTopic), "err", err)
		<-ctx.Done()
		return nil
	}
	ends, err := f.cluster.EndOffsets(ctx, presenceTopic)
	if err != nil {
		return err
	}
	f.there.Store(true)
	return f.cluster.Tail(ctx, presenceTopic, ends, func(rows []*engine.Rows, _ map[engine.Partition]engine.Offset) error {
		now := time.Now().UnixMilli()
		for _, r := range rows {
			for i := range r.Len() {
				if now-r.Times[i] < time.Minute.Milliseconds() {
					fn(string(r.Keys[i]), r.Values[i])
				}
			}
		}
		return nil
	})
}

var _ sse.Presence = (*fleet)(nil)
