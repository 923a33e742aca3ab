package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/leatstream/leat/engine"
)

// How Fetch reads: little at a time, as its caller keeps what it does not need
// yet, and without waiting long for what is not there.
const (
	rewindBytes = 256 << 10 // per partition
	rewindWait  = 100 * time.Millisecond
)

// Fetch reads once what follows the given offsets, read committed: of each
// partition some records (at most 256 KB, or one record), or none. Rows are
// the caller's own; their Next is where to go on, and may have moved although
// there are no rows (holes of compaction, markers of transactions). An offset
// below the log's start reads from there. It is how somebody reads a topic at
// their own pace, partition by partition; Tail and Read go at the broker's.
func (c *Cluster) Fetch(ctx context.Context, topic engine.Topic, at map[engine.Partition]engine.Offset) ([]*engine.Rows, error) {
	op := fmt.Sprintf("fetch from %q", topic)
	cl, err := c.reader()
	if err != nil {
		return nil, c.cfg.fail(op, err)
	}
	defer c.release(cl)
	cfg := c.cfg
	cfg.FetchMaxPartitionBytes = rewindBytes
	f := newFollower(&cfg, cl, topic)
	for p, o := range at {
		f.pos[int32(p)] = int64(o)
	}
	for moves := 0; ; {
		rows, err := f.once(ctx)
		switch {
		case err == nil:
			return rows, nil
		case errors.Is(err, ErrOffsetOutOfRange):
			// Retention has moved on since the caller asked; what lies beyond the end is
			// still its mistake.
			starts, ends, e := c.bounds(ctx, topic)
			if e != nil {
				return nil, e
			}
			moved := false
			for p, o := range f.pos {
				if o > int64(ends[engine.Partition(p)]) {
					return nil, c.cfg.fail(op, err)
				}
				if start := int64(starts[engine.Partition(p)]); o < start {
					f.pos[p], moved = start, true
				}
			}
			if !moved {
				return nil, c.cfg.fail(op, err)
			}
		case !errors.Is(err, errMoved):
			return nil, c.cfg.fail(op, err)
		default:
			moves++
			if !engine.Sleep(ctx, backoff(moves)) {
				return nil, ctx.Err()
			}
		}
	}
}

func (c *Cluster) bounds(ctx context.Context, topic engine.Topic) (starts, ends map[engine.Partition]engine.Offset, err error) {
	if starts, err = c.StartOffsets(ctx, topic, engine.Start{}); err != nil {
		return nil, nil, err
	}
	ends, err = c.EndOffsets(ctx, topic)
	return starts, ends, err
}

// once fetches from every leader once.
func (f *follower) once(ctx context.Context) ([]*engine.Rows, error) {
	byLeader, err := f.leaders(ctx)
	if err != nil {
		return nil, err
	}
	chunks := make(chan chunk, len(byLeader))
	for leader, pos := range byLeader {
		go func() { chunks <- f.fetch(ctx, leader, pos, rewindWait) }()
	}
	var rows []*engine.Rows
	for range byLeader { // all of them: nobody is left behind
		ch := <-chunks
		if ch.err != nil {
			err = errors.Join(err, ch.err)
			continue
		}
		had := map[engine.Partition]bool{}
		for _, r := range ch.rows {
			rows, had[r.Partition] = append(rows, r), true
		}
		for p, o := range ch.pos {
			if !had[engine.Partition(p)] {
				rows = append(rows, &engine.Rows{Topic: engine.Topic(f.topic), Partition: engine.Partition(p), Next: engine.Offset(o)})
			}
		}
	}
	return rows, err
}
