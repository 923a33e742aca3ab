package kafka

import (
	"context"
	"errors"
	"time"

	"github.com/leatstream/leat/engine"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// settleStep is how often Poll looks whether the client can take positions; it
// does only between an assignment and the answer to the client's offset fetch.
const settleStep = 5 * time.Millisecond

// Poll returns the next rows, at most max, waiting at most wait for the first.
// It blocks rebalances until AllowRebalance. It returns at once, with nothing,
// while the assignment is not the one the lane has seen.
//
// The slices of a Rows are used again only after an End that was Done with an
// offset behind all its rows; rows a lane has buffered beyond stay untouched.
func (s *Session) Poll(ctx context.Context, max int, wait time.Duration) ([]*engine.Rows, error) {
	if s.dead != nil {
		return nil, s.dead
	}
	for _, b := range s.spare {
		b.drop()
	}
	s.free, s.spare = append(s.free, s.spare...), s.spare[:0]
	if err := s.pending; err != nil {
		s.pending = nil
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	if !s.wakeWith(cancel) {
		return nil, nil
	}
	defer s.wakeWith(func() {})
	if len(s.passed) > 0 {
		return s.overHoles(), nil
	}
	for {
		var fetches kgo.Fetches
		if s.settle() {
			fetches = s.cl.PollRecords(ctx, max)
		} else {
			step, stop := context.WithTimeout(ctx, settleStep)
			fetches = s.cl.PollRecords(step, max)
			stop()
		}
		if !s.current() {
			return nil, nil // what came belongs to nobody; positions will be set
		}
		rows, err := s.convert(fetches)
		if len(rows) > 0 {
			s.pending, s.delivered = err, true
			return rows, nil
		}
		if err != nil || ctx.Err() != nil {
			return nil, err
		}
		if !s.delivered {
			s.cl.AllowRebalance() // the turn has nothing yet to protect
		}
	}
}

// wakeWith has the next change of the assignment call f. It is refused when
// there has been one that the lane has not seen.
func (s *Session) wakeWith(f func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.group.wake = f
	return s.group.seen == s.group.gen
}

// convert turns the client's fetches into rows, without an allocation per
// record, and moves the positions on.
func (s *Session) convert(fetches kgo.Fetches) ([]*engine.Rows, error) {
	var failed error
	s.rows = s.rows[:0]
	for fi := range fetches {
		for ti := range fetches[fi].Topics {
			t := &fetches[fi].Topics[ti]
			for pi := range t.Partitions {
				fp := &t.Partitions[pi]
				tp := engine.TopicPartition{Topic: engine.Topic(t.Topic), Partition: engine.Partition(fp.Partition)}
				if fp.Err != nil && failed == nil {
					failed = s.fetchError(tp, fp.Err)
				}
				p := s.parts[tp]
				if p == nil || !p.applied || len(fp.Records) == 0 {
					continue
				}
				if b := s.take(tp, p, fp.Records); b != nil {
					b.End = readable(fp)
					s.rows = append(s.rows, &b.Rows)
				}
			}
		}
	}
	return s.rows, failed
}

// readable is where the records end that a fetch could have read: the last
// stable offset, or, from brokers that tell none, the high watermark.
func readable(p *kgo.FetchPartition) engine.Offset {
	if p.LastStableOffset >= 0 {
		return engine.Offset(min(p.LastStableOffset, p.HighWatermark))
	}
	return engine.Offset(p.HighWatermark)
}

// take puts the records of one partition into a buffer of rows; markers only
// move its Next. nil where the lane has passed them all.
func (s *Session) take(tp engine.TopicPartition, p *part, recs []*kgo.Record) *rowsBuf {
	for len(recs) > 0 && engine.Offset(recs[0].Offset) < p.at {
		recs = recs[1:]
	}
	if len(recs) == 0 {
		return nil
	}
	b := s.borrow()
	b.start(tp.Topic, tp.Partition, len(recs))
	for _, r := range recs {
		if !r.Attrs.IsControl() {
			b.add(r)
		}
	}
	p.sawEpoch(recs[0])
	p.sawEpoch(recs[len(recs)-1])
	p.at = engine.Offset(recs[len(recs)-1].Offset) + 1
	b.Next = p.at
	s.lent = append(s.lent, b)
	for _, r := range recs {
		r.Recycle() // its bytes stay
	}
	return b
}

// overHoles tells the lane of positions that moved on without a record.
func (s *Session) overHoles() []*engine.Rows {
	s.rows = s.rows[:0]
	for tp, at := range s.passed {
		if p := s.parts[tp]; p != nil && p.applied && at > p.at {
			p.at = at
			s.rows = append(s.rows, &engine.Rows{Topic: tp.Topic, Partition: tp.Partition, Next: at})
		}
	}
	clear(s.passed)
	return s.rows
}

// sawEpoch remembers under which leader epochs the last rows were written.
func (p *part) sawEpoch(r *kgo.Record) {
	if p.epochs[0].leader != r.LeaderEpoch || p.epochs[0].from == 0 {
		p.epochs[1] = p.epochs[0]
		p.epochs[0] = epoch{from: engine.Offset(r.Offset) + 1, leader: r.LeaderEpoch}
	}
}

// epochAt is the leader epoch of the record before an offset, -1 if unknown.
func (p *part) epochAt(at engine.Offset) int32 {
	for _, e := range p.epochs {
		if e.from > 0 && at >= e.from {
			return e.leader
		}
	}
	return -1
}

func (s *Session) borrow() *rowsBuf {
	if n := len(s.free); n > 0 {
		b := s.free[n-1]
		s.free = s.free[:n-1]
		return b
	}
	return new(rowsBuf)
}

// giveBack takes back the buffers that a commit proves processed: all their
// rows lie below the committed offset of their partition. They are used again
// from the next Poll on, as the lane's apply may still look at them.
func (s *Session) giveBack(offsets []engine.OffsetCommit) {
	keep := s.lent[:0]
	for _, b := range s.lent {
		if processed(b, offsets) {
			s.spare = append(s.spare, b)
		} else {
			keep = append(keep, b)
		}
	}
	clear(s.lent[len(keep):])
	s.lent = keep
}

func processed(b *rowsBuf, offsets []engine.OffsetCommit) bool {
	for i := range offsets {
		if o := &offsets[i]; o.Topic == b.Topic && o.Partition == b.Partition {
			return b.Next <= o.Offset
		}
	}
	return false
}

// dropLent forgets buffers of a partition whose position was set: the lane may
// hold on to them, so they are left to the garbage collector.
func (s *Session) dropLent(tp engine.TopicPartition) {
	keep := s.lent[:0]
	for _, b := range s.lent {
		if b.Topic != tp.Topic || b.Partition != tp.Partition {
			keep = append(keep, b)
		}
	}
	clear(s.lent[len(keep):])
	s.lent = keep
}

// fetchError says what a fetch's error means to a lane; nil where the client
// goes on by itself.
func (s *Session) fetchError(tp engine.TopicPartition, err error) error {
	var (
		loss    *kgo.ErrDataLoss
		session *kgo.ErrGroupSession
	)
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return nil
	case errors.As(err, &session):
		// The client joins again, and the assignment is void. Only what will not
		// heal is worth stopping for.
		if kind, why := s.cfg.classify(session.Err); kind == engine.Environment && !unreachable(session.Err) {
			return engine.E(kind, "stay in the group", why)
		}
		return nil
	case errors.As(err, &loss):
		err = errors.Join(ErrTruncated, err)
	case kerr.IsRetriable(err):
		s.cfg.Logger.Warn("kafka: fetch", "topic", tp.Topic, "partition", tp.Partition, "err", err)
		return nil
	}
	at := engine.Offset(-1)
	if p := s.parts[tp]; p != nil {
		at = p.at
	}
	kind, why := s.cfg.classify(err)
	return &engine.Error{Kind: kind, Op: "fetch", Topic: tp.Topic, Partition: tp.Partition, Offset: at, Err: why}
}
