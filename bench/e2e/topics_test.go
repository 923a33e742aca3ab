//go:build kafka || crash

package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/leatstream/leat/bench/realkafka"
	"github.com/leatstream/leat/bench/truth"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const partitions = 4

// A cluster is what the tests do with a broker beside leat.
type cluster struct {
	t     testing.TB
	addr  string
	cl    *kgo.Client
	admin *kadm.Client
}

func connect(t testing.TB, addr string) *cluster {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.ProducerBatchCompression(kgo.Lz4Compression()),
		kgo.ProducerLinger(5*time.Millisecond), kgo.MaxBufferedRecords(100_000))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return &cluster{t, addr, cl, kadm.NewClient(cl)}
}

func (c *cluster) create(topic string) {
	c.t.Helper()
	made, err := c.admin.CreateTopic(c.t.Context(), partitions, 1, nil, topic)
	if err == nil {
		err = made.Err
	}
	if err != nil {
		c.t.Fatalf("create %s: %v", topic, err)
	}
	// The broker answers before it knows the topic itself.
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		known, err := c.admin.ListTopics(c.t.Context(), topic)
		if err == nil && known.Has(topic) && len(known[topic].Partitions) == partitions {
			return
		}
		if time.Now().After(end) {
			c.t.Fatalf("create %s: it did not appear: %v", topic, err)
		}
	}
}

// load writes the events, by the sensor's key or by none that is of use, with
// their event times as timestamps. over spreads them, so that something may
// happen meanwhile; zero is as fast as can be. It returns when all are there.
func (c *cluster) load(topic string, keyed bool, over time.Duration) error {
	ctx, cancel := context.WithCancelCause(c.t.Context())
	defer cancel(nil)
	const step = 10 * time.Millisecond
	perStep := truth.EventCount
	var tick <-chan time.Time
	if over > 0 {
		perStep = max(1, int(truth.EventCount*int64(step)/int64(over)))
		ticker := time.NewTicker(step)
		defer ticker.Stop()
		tick = ticker.C
	}
	for i, e := range truth.Events() {
		if tick != nil && i%perStep == 0 {
			<-tick
		}
		key := e.Key
		if !keyed {
			key = fmt.Sprint("row-", i)
		}
		c.cl.Produce(ctx, &kgo.Record{Topic: topic, Key: []byte(key), Value: e.Value, Timestamp: time.UnixMilli(e.TS)}, func(_ *kgo.Record, err error) {
			if err != nil {
				cancel(err)
			}
		})
	}
	if err := c.cl.Flush(ctx); err != nil {
		return fmt.Errorf("load %s: %w", topic, context.Cause(ctx))
	}
	return context.Cause(ctx)
}

// committed is how many rows of a topic a pipeline's group has behind it.
func (c *cluster) committed(pipeline, topic string) int64 {
	offsets, err := c.admin.FetchOffsetsForTopics(c.t.Context(), pipeline+".1", topic)
	if err != nil {
		return 0 // the coordinator is not there yet
	}
	var sum int64
	offsets.Each(func(o kadm.OffsetResponse) {
		if o.Err == nil && o.At > 0 {
			sum += o.At
		}
	})
	return sum
}

// await waits until a pipeline has committed n rows of a topic, while these
// processes run.
func (c *cluster) await(pipeline, topic string, n int64, patience time.Duration, running ...*process) {
	c.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		got := c.committed(pipeline, topic)
		if got >= n {
			return
		}
		for _, p := range running {
			if !p.running() {
				c.t.Fatalf("%s ended (%v) with %d rows committed, waiting for %d", p.name, p.err, got, n)
			}
		}
		if time.Now().After(deadline) {
			c.t.Fatalf("%d rows committed after %s, waiting for %d", got, patience, n)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// verify reads both outputs of a pipeline, read committed, and compares.
func (c *cluster) verify(pipeline string) error {
	for _, sink := range sinks {
		check := truth.NewCheck(answers(sink))
		if err := c.readCommitted(pipeline+"-"+sink, check.Row); err != nil {
			return err
		}
		if err := check.Done(); err != nil {
			return fmt.Errorf("%s: %w", sink, err)
		}
	}
	return nil
}

// readCommitted gives f the value of every committed record. A transaction
// that was left open must have ended, one way or the other, within its timeout.
func (c *cluster) readCommitted(topic string, f func(value []byte)) error {
	ctx, cancel := context.WithTimeout(c.t.Context(), 90*time.Second)
	defer cancel()
	ends, err := c.admin.ListEndOffsets(ctx, topic)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", topic, err)
	}
	left := map[int32]int64{}
	ends.Each(func(o kadm.ListedOffset) {
		if o.Offset > 0 {
			left[o.Partition] = o.Offset
		}
	})
	// Control records are kept to see the position move over them.
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.addr), kgo.ConsumeTopics(topic), kgo.KeepControlRecords(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.FetchMaxWait(500*time.Millisecond))
	if err != nil {
		return fmt.Errorf("read %s: %w", topic, err)
	}
	defer cl.Close()
	for len(left) > 0 {
		fetches := cl.PollFetches(ctx)
		if ctx.Err() != nil {
			return fmt.Errorf("read %s: partitions %v were not read to their ends in 90 s: an open transaction?", topic, left)
		}
		if err := fetches.Err(); err != nil {
			return fmt.Errorf("read %s: %w", topic, err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if !r.Attrs.IsControl() {
				f(r.Value)
			}
			if r.Offset+1 >= left[r.Partition] {
				delete(left, r.Partition)
			}
		})
	}
	return nil
}

// forget deletes a pipeline's topics, and the one it read.
func (c *cluster) forget(pipeline, topic string) {
	all, err := c.admin.ListTopics(c.t.Context())
	if err != nil {
		return
	}
	var mine []string
	for _, name := range all.Names() {
		if name == topic || strings.HasPrefix(name, pipeline+"-") || strings.HasPrefix(name, pipeline+".") {
			mine = append(mine, name)
		}
	}
	if len(mine) > 0 {
		c.admin.DeleteTopics(c.t.Context(), mine...)
	}
}

var sharedKafka *realkafka.Broker

// kafka is one real broker for all tests, stopped when the last has ended.
func kafka(t *testing.T) *realkafka.Broker {
	t.Helper()
	if sharedKafka == nil {
		b, err := realkafka.Start(t.Context(), realkafka.Options{})
		if err != nil {
			t.Fatal(err)
		}
		sharedKafka = b
		atEnd = append(atEnd, func() { b.Stop() })
	}
	return sharedKafka
}
