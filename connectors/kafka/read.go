package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/leatstream/leat/engine"
	"github.com/twmb/franz-go/pkg/kadm"
)

// errDone ends a Read that has reached its end.
var errDone = errors.New("done")

// stallGrace is what Read waits beyond the transaction timeout before it names
// what holds it up.
const stallGrace = 5 * time.Second

// Read reads [from, end) of a partition, read committed, where end is the high
// watermark (read uncommitted) asked for now, and gives the position it ended
// at, which is at least end.
//
// The last stable offset is no end: after a commit the offsets' marker may be
// visible before the changelog's, and stopping there loses the last transaction
// (KAFKA-10167). Waiting for it is the point. A position outside the log is
// ErrOffsetOutOfRange. fn's rows are its own.
func (c *Cluster) Read(ctx context.Context, tp engine.TopicPartition, from engine.Offset, fn func(*engine.Rows) error) (engine.Offset, error) {
	op := fmt.Sprintf("read %s/%d", tp.Topic, tp.Partition)
	cl, err := c.reader()
	if err != nil {
		return from, c.cfg.fail(op, err)
	}
	defer c.release(cl)

	ends, err := listOffsets(ctx, cl, []engine.TopicPartition{tp}, -1)
	if err != nil {
		return from, c.cfg.fail(op, err)
	}
	starts, err := listOffsets(ctx, cl, []engine.TopicPartition{tp}, -2)
	if err != nil {
		return from, c.cfg.fail(op, err)
	}
	start, end := starts[tp], ends[tp]
	if from < 0 {
		from = start
	}
	if from < start || from > end {
		return from, &engine.Error{Kind: engine.Fatal, Op: "read", Topic: tp.Topic, Partition: tp.Partition, Offset: from,
			Err: fmt.Errorf("%w: the log is [%d, %d)", ErrOffsetOutOfRange, start, end)}
	}
	if from >= end {
		return from, nil
	}

	p := int32(tp.Partition)
	f := newFollower(&c.cfg, cl, tp.Topic)
	f.pos[p] = int64(from)
	moved := time.Now()
	patience := c.cfg.TransactionTimeout + stallGrace
	stalled := func() error {
		if time.Since(moved) < patience {
			return nil
		}
		return engine.E(engine.Retry, op, c.blame(ctx, tp, engine.Offset(f.pos[p]), end))
	}
	err = f.run(ctx, time.Second, stalled, func(ch chunk) error {
		moved = time.Now()
		for _, rows := range ch.rows {
			if err := fn(rows); err != nil {
				return err
			}
		}
		moved = time.Now() // the time fn took is not a stall
		if ch.pos[p] >= int64(end) {
			f.pos[p] = ch.pos[p]
			return errDone
		}
		return nil
	})
	if errors.Is(err, errDone) {
		err = nil
	}
	return engine.Offset(f.pos[p]), c.cfg.fail(op, err)
}

// blame says why a partition does not move on: the producer of the open
// transaction that holds back its last stable offset, where the broker tells.
func (c *Cluster) blame(ctx context.Context, tp engine.TopicPartition, at, end engine.Offset) error {
	stuck := fmt.Errorf("no progress at offset %d of %d", at, end)
	var set kadm.TopicsSet
	set.Add(string(tp.Topic), int32(tp.Partition))
	topics, err := c.adm.DescribeProducers(ctx, set)
	if err != nil {
		return stuck
	}
	var open *kadm.DescribedProducer
	topics.EachProducer(func(p kadm.DescribedProducer) {
		if p.CurrentTxnStartOffset >= 0 && (open == nil || p.CurrentTxnStartOffset < open.CurrentTxnStartOffset) {
			open = &p
		}
	})
	if open == nil {
		return stuck
	}
	name := ""
	if txns, err := c.adm.ListTransactions(ctx, []int64{open.ProducerID}, nil); err == nil {
		for _, t := range txns {
			if t.ProducerID == open.ProducerID {
				name = fmt.Sprintf(" (transactional id %q)", t.TxnID)
			}
		}
	}
	return fmt.Errorf("%w: producer %d epoch %d%s has an open transaction since offset %d",
		stuck, open.ProducerID, open.ProducerEpoch, name, open.CurrentTxnStartOffset)
}

// Tail reads all partitions of a topic, read committed, from the given offsets
// (missing: the log's start) until ctx ends or fn fails. fn is called from this
// goroutine with what came and with all positions reached; rows are its own,
// the map is not. Brokers that go away are waited for.
func (c *Cluster) Tail(ctx context.Context, topic engine.Topic, from map[engine.Partition]engine.Offset, fn func([]*engine.Rows, map[engine.Partition]engine.Offset) error) error {
	op := fmt.Sprintf("tail %q", topic)
	starts, err := c.StartOffsets(ctx, topic, engine.Start{})
	if err != nil {
		return err
	}
	cl, err := c.reader()
	if err != nil {
		return c.cfg.fail(op, err)
	}
	defer c.release(cl)
	f := newFollower(&c.cfg, cl, topic)
	reached := make(map[engine.Partition]engine.Offset, len(starts))
	for p, o := range starts {
		if at, ok := from[p]; ok && at >= 0 {
			o = at
		}
		f.pos[int32(p)], reached[p] = int64(o), o
	}
	err = f.run(ctx, 0, nil, func(ch chunk) error {
		for p, o := range ch.pos {
			reached[engine.Partition(p)] = engine.Offset(o)
		}
		return fn(ch.rows, reached)
	})
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return ctx.Err()
	}
	return c.cfg.fail(op, err)
}
