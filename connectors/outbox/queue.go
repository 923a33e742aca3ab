package outbox

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/leatstream/leat/engine"
)

// room is how many notes of a partition wait in memory before it is paused.
const room = 64

// queue is one owned partition: notes in order, and the goroutine that sends
// them one after the other.
type queue struct {
	s         *Sender
	tp        engine.TopicPartition
	in        chan *Note
	stop      context.CancelFunc // ends an attempt that is under way
	ended     chan struct{}
	backlog   []*Note       // did not fit into in; the loop's
	paused    bool          // the loop's
	read      engine.Offset // next to be polled; the loop's
	from      engine.Offset // where it began; the loop's
	committed engine.Offset // what the group holds; the loop's

	mu      sync.Mutex
	at      engine.Offset // everything before it is done
	waiting []int64       // when the notes were written that are not done
	letters []engine.Record
}

// open starts the queue of a partition at an offset.
func (s *Sender) open(ctx context.Context, tp engine.TopicPartition, at, committed engine.Offset) *queue {
	ctx, stop := context.WithCancel(ctx)
	q := &queue{s: s, tp: tp, in: make(chan *Note, room), stop: stop, ended: make(chan struct{}), read: at, from: at, committed: committed, at: at}
	go func() {
		defer close(q.ended)
		q.run(ctx)
	}()
	return q
}

// close ends the queue's goroutine and waits for it.
func (q *queue) close() {
	q.stop()
	<-q.ended
}

// take adds what was polled.
func (q *queue) take(rows *engine.Rows) {
	list := notes(rows)
	next := rows.Next
	if next == 0 && len(list) > 0 {
		next = list[len(list)-1].next
	}
	q.read = max(q.read, next)
	q.mu.Lock()
	for _, n := range list {
		q.waiting = append(q.waiting, n.Time)
	}
	if len(q.waiting) == 0 {
		q.at = q.read // markers only
	}
	q.mu.Unlock()
	if len(list) > 0 {
		list[len(list)-1].next = q.read
	}
	q.backlog = append(q.backlog, list...)
	q.feed()
}

// feed hands over what fits.
func (q *queue) feed() {
	for len(q.backlog) > 0 {
		select {
		case q.in <- q.backlog[0]:
			q.backlog = q.backlog[1:]
		default:
			return
		}
	}
	q.backlog = nil
}

// run sends notes until ctx ends or the sender drains.
func (q *queue) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-q.s.draining:
			return
		case n := <-q.in:
			if !q.send(ctx, n) {
				return
			}
		}
	}
}

// send tries until a note is done with; false when there is no more time.
func (q *queue) send(ctx context.Context, n *Note) bool {
	s := q.s
	for n.Attempt = 1; ; n.Attempt++ {
		select {
		case s.slots <- struct{}{}:
		case <-ctx.Done():
			return false
		case <-s.draining:
			return false
		}
		err := s.attempt(ctx, n)
		<-s.slots
		if err == nil {
			s.c.Metrics.Sent(s.c.Pipeline, s.c.Sink)
			q.done(n, nil)
			return true
		}
		if ctx.Err() != nil {
			return false // we ended it ourselves: no news of the receiver
		}
		f := failureOf(err)
		s.c.Metrics.Failed(s.c.Pipeline, s.c.Sink)
		why := s.c.Retry.enough(f, n.Attempt, time.Since(time.UnixMilli(n.Time)))
		policy := s.c.Errors.Of(engine.StageSend)
		switch {
		case why == "":
			s.log.Warn("alert not sent, trying again", "id", n.ID, "attempt", n.Attempt, "err", err)
		case policy == engine.DeadLetter:
			s.log.Error("alert not sent: to the dead letters", "id", n.ID, "why", why, "err", err)
			s.c.Metrics.Dead(s.c.Pipeline, s.c.Sink, "dead_letter")
			letter := s.letter(n, fmt.Sprintf("%v (%s)", err, why))
			q.done(n, &letter)
			return true
		case policy == engine.Skip:
			s.log.Error("alert not sent: left out", "id", n.ID, "why", why, "err", err)
			s.c.Metrics.Dead(s.c.Pipeline, s.c.Sink, "skipped")
			q.done(n, nil)
			return true
		default:
			// Nobody said where to put it. It stays at the head of its partition.
			s.log.Error("alert not sent, and there is no dead-letter topic: its partition waits", "id", n.ID, "why", why, "partition", q.tp.Partition, "err", err)
			f.After = max(f.After, s.c.Retry.Max)
		}
		s.c.Metrics.Retried(s.c.Pipeline, s.c.Sink)
		if !q.pause(ctx, s.c.Retry.wait(n.Attempt, f.After, s.c.Random)) {
			return false
		}
	}
}

// attempt is one call of Deliver; a panic of it is a failed attempt, not the
// end of the process.
func (s *Sender) attempt(ctx context.Context, n *Note) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = errors.Join(err, fmt.Errorf("deliver %s: panic: %v", n.ID, p))
		}
	}()
	return s.c.Deliver(ctx, n)
}

// pause waits, unless there is no more time.
func (q *queue) pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
	case <-q.s.draining:
	}
	return false
}

// done notes that everything before n.next is done with.
func (q *queue) done(n *Note, letter *engine.Record) {
	q.mu.Lock()
	q.at = max(q.at, n.next)
	q.waiting = q.waiting[1:]
	if letter != nil {
		q.letters = append(q.letters, *letter)
	}
	q.mu.Unlock()
	q.s.wake()
}

// dirty tells whether there is something to commit.
func (q *queue) dirty(at engine.Offset) bool { return at > q.committed && at > q.from }

// state is where the queue stands, and how long its oldest note has waited.
func (q *queue) state(now time.Time) (at engine.Offset, letters []engine.Record, oldest time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 {
		q.at = max(q.at, q.read)
	} else {
		oldest = max(0, now.Sub(time.UnixMilli(q.waiting[0])))
	}
	return q.at, q.letters, oldest
}

// settled forgets letters that are written.
func (q *queue) settled(n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.letters = append([]engine.Record(nil), q.letters[n:]...)
}

// shorten leaves the values out of letters that the broker refuses.
func (q *queue) shorten() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := range q.letters {
		q.letters[i] = short(q.letters[i])
	}
}
