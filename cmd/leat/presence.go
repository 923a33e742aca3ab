package main

import (
	"context"
	"log/slog"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/leatstream/leat/connectors/sse"
	"github.com/leatstream/leat/engine"
)

// Nodes tell each other things over topics of one partition, each node under
// keys of its own: who watches, and how its workers are. There are few records,
// and nothing old matters.
const (
	presenceTopic engine.Topic = "leat.presence"
	opsTopic      engine.Topic = "leat.ops"
)

// lineKept is how long what nodes tell is kept: for those that start later.
const lineKept = 10 * time.Minute

// fleet is one such topic; it is sse.Presence. Where the topic cannot be made,
// each node goes on by itself, and says so once.
type fleet struct {
	cluster engine.Cluster
	log     *slog.Logger
	topic   engine.Topic // default: who watches
	past    bool         // hear what was told before, too
	there   atomic.Bool
}

func (f *fleet) name() engine.Topic {
	if f.topic == "" {
		return presenceTopic
	}
	return f.topic
}

// Publish writes a record; before the topic is there it does nothing.
func (f *fleet) Publish(ctx context.Context, key string, value []byte) error {
	if !f.there.Load() {
		return nil
	}
	return f.cluster.Produce(ctx, []engine.Record{{Topic: f.name(), Key: []byte(key), Value: value}})
}

// Tail is hear, for those who do not ask when.
func (f *fleet) Tail(ctx context.Context, fn func(key string, value []byte)) error {
	return f.hear(ctx, func(key string, value []byte, _ time.Time) { fn(key, value) })
}

// hear makes the topic and reads it; at is when something was told: for what
// was there before by the brokers' clock, else now by ours.
func (f *fleet) hear(ctx context.Context, fn func(key string, value []byte, at time.Time)) error {
	kept := strconv.FormatInt(lineKept.Milliseconds(), 10)
	configs := map[string]string{"cleanup.policy": "compact,delete", "message.timestamp.type": "LogAppendTime", "retention.ms": kept, "segment.ms": kept}
	if _, err := f.cluster.CreateTopics(ctx, []engine.TopicSpec{{Topic: f.name(), Partitions: 1, Configs: configs}}); err != nil && !f.there.Load() {
		f.log.Warn("each node knows of itself only: a topic that tells of the others cannot be made", "topic", string(f.name()), "err", err)
		<-ctx.Done()
		return nil
	}
	ends, err := f.cluster.EndOffsets(ctx, f.name())
	if err != nil {
		return err
	}
	from := ends
	if f.past {
		from = nil
	}
	f.there.Store(true)
	return f.cluster.Tail(ctx, f.name(), from, func(rows []*engine.Rows, _ map[engine.Partition]engine.Offset) error {
		now := time.Now()
		for _, r := range rows {
			for i := range r.Len() {
				at := now
				if told := time.UnixMilli(r.Times[i]); r.Offsets[i] < int64(ends[r.Partition]) && told.Before(now) {
					at = told
				}
				if now.Sub(time.UnixMilli(r.Times[i])) < lineKept {
					fn(string(r.Keys[i]), r.Values[i], at)
				}
			}
		}
		return nil
	})
}

var _ sse.Presence = (*fleet)(nil)
