package outbox

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/leatstream/leat/engine"
)

// room is how many notes of a partition wait in memory before it is paused: so
// far ahead a higher priority is seen.
const room = 256

// queue is one owned partition: notes that wait, and the goroutine that sends
// them one after the other. Higher priorities go first, else the order is that of
// the partition; notes of one key never change their order:
//
//	waiting   a:low  b:low  a:urgent  c:low
//	sent      a:low  a:urgent  b:low  c:low      the first a goes with the urgency of the second
type queue struct {
	s         *Sender
	tp        engine.TopicPartition
	news      chan struct{}      // something came
	stop      context.CancelFunc // ends an attempt that is under way
	ended     chan struct{}
	paused    bool          // the loop's
	read      engine.Offset // next to be polled; the loop's
	from      engine.Offset // where it began; the loop's
	committed engine.Offset // what the group holds; the loop's
	asked     time.Time     // the receiver wants nothing before; the goroutine's

	mu      sync.Mutex
	at      engine.Offset // everything before it is done
	waiting []*Note       // not done, by offset
	letters []engine.Record
}

// open starts the queue of a partition at an offset.
func (s *Sender) open(ctx context.Context, tp engine.TopicPartition, at, committed engine.Offset) *queue {
	ctx, stop := context.WithCancel(ctx)
	q := &queue{s: s, tp: tp, news: make(chan struct{}, 1), stop: stop, ended: make(chan struct{}), read: at, from: at, committed: committed, at: at}
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
		next = list[len(list)-1].Offset + 1
	}
	q.read = max(q.read, next)
	q.mu.Lock()
	q.waiting = append(q.waiting, list...)
	if len(q.waiting) == 0 {
		q.at = q.read // markers only
	}
	q.mu.Unlock()
	select {
	case q.news <- struct{}{}:
	default:
	}
}

// full tells whether enough waits.
func (q *queue) full() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting) > room
}

// next is the note to be sent next; nil: none waits.
func (q *queue) next() *Note {
	q.mu.Lock()
	defer q.mu.Unlock()
	type chain struct {
		first *Note
		level int
	}
	chains := make(map[string]int, len(q.waiting))
	var all []chain // of each key, by the offset of its first note
	for _, n := range q.waiting {
		i, ok := chains[string(n.Key)]
		if !ok {
			i = len(all)
			chains[string(n.Key)], all = i, append(all, chain{n, 0})
		}
		all[i].level = max(all[i].level, n.level)
	}
	var best *chain
	for i := range all {
		if best == nil || all[i].level > best.level {
			best = &all[i]
		}
	}
	if best == nil {
		return nil
	}
	return best.first
}

// run sends notes until ctx ends or the sender drains. What is waited for, a note
// or the time of the next attempt, is asked anew when something comes: a higher
// priority does not wait for the retries of a lower one, unless the receiver
// asked for quiet.
func (q *queue) run(ctx context.Context) {
	for {
		n, wait := q.next(), time.Duration(forever)
		if n != nil {
			wait = max(time.Until(n.from), time.Until(q.asked))
		}
		switch {
		case wait > 0:
			if !q.pause(ctx, wait) {
				return
			}
		case !q.send(ctx, n):
			return
		}
	}
}

const forever = 1 << 62

// pause waits, at most until something comes; false when there is no more time.
func (q *queue) pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-q.news:
		return true
	case <-ctx.Done():
	case <-q.s.draining:
	}
	return false
}

// send tries once; false when there is no more time.
func (q *queue) send(ctx context.Context, n *Note) bool {
	s := q.s
	select {
	case <-s.draining:
		return false
	default:
	}
	select {
	case s.slots <- struct{}{}:
	case <-ctx.Done():
		return false
	case <-s.draining:
		return false
	}
	n.Attempt++
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
	least := f.After
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
		least = max(least, s.c.Retry.Max)
	}
	s.c.Metrics.Retried(s.c.Pipeline, s.c.Sink)
	n.from = time.Now().Add(s.c.Retry.wait(n.Attempt, least, s.c.Random))
	if f.After > 0 {
		q.asked = time.Now().Add(f.After)
	}
	return true
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

// done notes that a note is done with.
func (q *queue) done(n *Note, letter *engine.Record) {
	q.mu.Lock()
	if i := slices.Index(q.waiting, n); i >= 0 {
		q.waiting = slices.Delete(q.waiting, i, i+1)
	}
	if len(q.waiting) > 0 {
		q.at = max(q.at, q.waiting[0].Offset)
	} else {
		q.at = max(q.at, n.Offset+1) // state has the rest: markers
	}
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
		oldest = max(0, now.Sub(time.UnixMilli(q.waiting[0].Time)))
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
