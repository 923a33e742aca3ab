package outbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/leatstream/leat/engine"
)

// Config is what a Sender needs. Pipeline, Sink, Topic, Deliver are needed,
// the rest has defaults.
type Config struct {
	Pipeline, Sink string
	Topic          engine.Topic
	Group          string // default <pipeline>.<sink>.sender
	Deliver        Deliver
	Retry          Retry
	// Errors.Of("send") says what becomes of a note that is given up:
	// dead_letter, skip, or, where nothing is said (fail), it holds its
	// partition and is tried for ever, each Retry.Max.
	Errors         engine.ErrorPolicy
	DeadPartitions int // of Errors.Topic
	// InFlight bounds the attempts under way. Default 8.
	InFlight int
	// Grace is how long an attempt that is under way may take when the sender
	// ends. Default 5s.
	Grace   time.Duration
	Metrics Metrics
	Log     *slog.Logger
	Random  func() float64 // [0, 1); default math/rand
}

// Broker is what a sender needs of a cluster; engine.Broker has it.
type Broker interface {
	Session(ctx context.Context, r engine.SessionRequest) (engine.Session, error)
	Cluster() engine.Cluster
}

// Metrics is what a sender counts, by pipeline and sink; called from many
// goroutines.
type Metrics interface {
	Sent(pipeline, sink string)                // notes delivered
	Failed(pipeline, sink string)              // attempts that failed
	Retried(pipeline, sink string)             // of them, those followed by another
	Dead(pipeline, sink, what string)          // given up: dead_letter or skipped
	Oldest(pipeline, sink string, age float64) // seconds that the oldest note here has waited; 0: none waits
}

type noMetrics struct{}

func (noMetrics) Sent(string, string)            {}
func (noMetrics) Failed(string, string)          {}
func (noMetrics) Retried(string, string)         {}
func (noMetrics) Dead(string, string, string)    {}
func (noMetrics) Oldest(string, string, float64) {}

// Sender sends the notes of one outbox. Make it with New, start it with Run.
type Sender struct {
	c        Config
	log      *slog.Logger
	slots    chan struct{}
	draining chan struct{} // closed when Run's ctx has ended
	waker    atomic.Pointer[context.CancelFunc]
}

// New makes a sender. The error is for the programmer.
func New(c Config) (*Sender, error) {
	if c.Pipeline == "" || c.Sink == "" || c.Topic == "" || c.Deliver == nil {
		return nil, errors.New("make sender: pipeline, sink, topic and deliver are needed")
	}
	if c.Group == "" {
		c.Group = c.Pipeline + "." + c.Sink + ".sender"
	}
	c.Retry = c.Retry.withDefaults()
	if c.InFlight <= 0 {
		c.InFlight = 8
	}
	if c.Grace <= 0 {
		c.Grace = 5 * time.Second
	}
	if c.Metrics == nil {
		c.Metrics = noMetrics{}
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Random == nil {
		c.Random = rand.Float64
	}
	return &Sender{c: c, log: c.Log.With("pipeline", c.Pipeline, "sink", c.Sink), slots: make(chan struct{}, c.InFlight), draining: make(chan struct{})}, nil
}

// Run sends until ctx ends. It never gives up: trouble with the cluster is
// logged and waited out. At the end, attempts under way have Grace to finish,
// and what was delivered is committed.
func (s *Sender) Run(ctx context.Context, b Broker) {
	stop := context.AfterFunc(ctx, func() { close(s.draining); s.wake() })
	defer stop()
	for failures := 0; ctx.Err() == nil; failures++ {
		began := time.Now()
		err := s.session(ctx, b)
		if err == nil {
			continue
		}
		if time.Since(began) > time.Minute {
			failures = 0
		}
		wait := min(30*time.Second, time.Second<<min(failures, 5))
		s.log.Error("alerts wait: trouble with the cluster", "retry_in", wait, "err", err)
		engine.Sleep(ctx, wait)
	}
	s.c.Metrics.Oldest(s.c.Pipeline, s.c.Sink, 0)
}

// wake ends a Poll: a note is done with, and its offset should be committed.
func (s *Sender) wake() {
	if f := s.waker.Load(); f != nil {
		(*f)()
	}
}

// loop is one stay in the group.
type loop struct {
	*Sender
	ses    engine.Session
	b      Broker
	name   string // in the metadata of commits, with a number: tells ours from others'
	number int64
	gen    int64
	known  bool
	// refused: the last commit was. The client needs a Poll that waits to hear why.
	refused bool
	queues  map[engine.TopicPartition]*queue
}

// session joins the group and takes turns until ctx ends (nil) or the session
// has to be replaced.
func (s *Sender) session(ctx context.Context, b Broker) error {
	ses, err := b.Session(ctx, engine.SessionRequest{
		Group: s.c.Group, Topics: []engine.Topic{s.c.Topic}, Lane: "sender", Guarantee: engine.AtLeastOnce,
		Start: b.Cluster().LogStart, Log: s.log,
	})
	if err != nil {
		return err
	}
	l := &loop{Sender: s, ses: ses, b: b, name: fmt.Sprintf("sender/%016x", rand.Uint64()), queues: map[engine.TopicPartition]*queue{}}
	// What is under way outlives ctx by the grace.
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	for err == nil && ctx.Err() == nil {
		err = l.turn(ctx, work)
	}
	if err == nil {
		t := time.AfterFunc(s.c.Grace, stop)
		defer t.Stop()
		for _, q := range l.queues {
			<-q.ended
		}
		err = l.commit(work)
	}
	for _, q := range l.queues {
		q.close()
	}
	ses.Close(true)
	return err
}

// turn is one round: what came goes into the queues, what is done is committed.
func (l *loop) turn(ctx, work context.Context) error {
	poll, wake := context.WithTimeout(ctx, time.Second)
	l.waker.Store(&wake)
	if l.unsettled() && !l.refused {
		wake() // done before the waker was there
	}
	rows, err := l.ses.Poll(poll, 500, time.Second)
	wake()
	if err != nil {
		if err = l.lost(ctx, work, err); err != nil {
			return err
		}
	}
	if err := l.reconcile(ctx, work); err != nil {
		return err
	}
	for _, r := range rows {
		if q := l.queues[engine.TopicPartition{Topic: r.Topic, Partition: r.Partition}]; q != nil && (r.Len() == 0 || engine.Offset(r.Offsets[0]) >= q.read) {
			q.take(r)
		}
	}
	l.pace()
	if err := l.commit(ctx); err != nil {
		return err
	}
	l.ses.AllowRebalance()
	return nil
}

// unsettled tells whether there is something to commit.
func (l *loop) unsettled() bool {
	for _, q := range l.queues {
		if at, _, _ := q.state(time.Now()); q.dirty(at) {
			return true
		}
	}
	return false
}

// lost deals with an error of Poll: nil where the session can go on.
func (l *loop) lost(ctx, work context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	var e *engine.Error
	switch {
	case errors.Is(err, engine.ErrOffsetOutOfRange) && errors.As(err, &e):
		// Retention took what was not sent in time. What is left must go on.
		tp := engine.TopicPartition{Topic: e.Topic, Partition: e.Partition}
		start, startErr := l.b.Cluster().LogStart(ctx, tp)
		if startErr != nil {
			return errors.Join(err, startErr)
		}
		l.log.Error("alerts are gone from the outbox before they were sent", "partition", tp.Partition, "from", e.Offset, "to", start)
		if q := l.queues[tp]; q != nil {
			q.close()
			l.queues[tp] = l.open(work, tp, start, q.committed)
		}
		l.position()
		return nil
	case engine.KindOf(err) == engine.Retry:
		l.log.Warn("alerts wait", "err", err)
		engine.Sleep(ctx, time.Second)
		return nil
	}
	return err
}

// reconcile follows the group: it drops the queues of partitions that others
// have now, and opens those of new ones. A queue goes on where nobody else has
// had a part in its partition since.
func (l *loop) reconcile(ctx, work context.Context) error {
	gen, owned := l.ses.Assignment()
	if l.known && gen == l.gen {
		return nil
	}
	committed, err := l.ses.Committed(ctx, owned)
	if err != nil {
		if engine.KindOf(err) == engine.Retry {
			return nil // asked again next turn
		}
		return err
	}
	keep := map[engine.TopicPartition]*queue{}
	for _, tp := range owned {
		at := committed[tp].Offset
		if q := l.queues[tp]; q != nil {
			if done, _, _ := q.state(time.Now()); at == q.committed || at >= q.committed && at <= done {
				q.committed, keep[tp] = at, q
				continue
			}
		}
		from := at
		if from < 0 {
			if from, err = l.b.Cluster().LogStart(ctx, tp); err != nil {
				return err
			}
		}
		if q := l.queues[tp]; q != nil {
			q.close()
		}
		keep[tp] = l.open(work, tp, from, at)
	}
	for tp, q := range l.queues {
		if keep[tp] == nil {
			q.close()
		}
	}
	l.queues, l.gen, l.known = keep, gen, true
	l.position()
	return nil
}

// position tells the session where each partition goes on.
func (l *loop) position() {
	pos := map[engine.TopicPartition]engine.Offset{}
	var run, hold []engine.TopicPartition
	for tp, q := range l.queues {
		pos[tp] = q.read
		if q.paused {
			hold = append(hold, tp)
		} else {
			run = append(run, tp)
		}
	}
	l.ses.SetPositions(pos)
	if len(hold) > 0 {
		l.ses.Pause(hold)
	}
	if len(run) > 0 {
		l.ses.Resume(run)
	}
}

// pace pauses the partitions that have enough.
func (l *loop) pace() {
	var run, hold []engine.TopicPartition
	for tp, q := range l.queues {
		if full := q.full(); full != q.paused {
			if q.paused = full; full {
				hold = append(hold, tp)
			} else {
				run = append(run, tp)
			}
		}
	}
	if len(hold) > 0 {
		l.ses.Pause(hold)
	}
	if len(run) > 0 {
		l.ses.Resume(run)
	}
}

// commit ends the turn: dead letters, then offsets. An abort is no error: the
// next turn tries again.
func (l *loop) commit(ctx context.Context) error {
	if err := l.ses.Begin(); err != nil {
		return err
	}
	type share struct {
		q       *queue
		at      engine.Offset
		letters int
	}
	var shares []share
	var offsets []engine.OffsetCommit
	var records []engine.Record
	oldest := time.Duration(0)
	l.number++
	for tp, q := range l.queues {
		at, letters, age := q.state(time.Now())
		oldest = max(oldest, age)
		if !q.dirty(at) {
			continue
		}
		shares = append(shares, share{q, at, len(letters)})
		records = append(records, letters...)
		offsets = append(offsets, engine.OffsetCommit{TopicPartition: tp, Offset: at, Metadata: fmt.Sprintf("%s/%d", l.name, l.number)})
	}
	l.c.Metrics.Oldest(l.c.Pipeline, l.c.Sink, oldest.Seconds())
	if len(records) > 0 {
		l.ses.Produce(records)
	}
	outcome, err := l.ses.End(ctx, true, l.number, offsets)
	l.refused = outcome != engine.Done
	switch {
	case outcome == engine.Done:
		for _, s := range shares {
			s.q.committed = s.at
			s.q.settled(s.letters)
		}
		return nil
	case outcome == engine.LostLease:
		l.known = false
	}
	switch kind := engine.KindOf(err); {
	case err == nil:
	case kind == engine.BadRecord:
		l.log.Error("dead letters of alerts are refused: they go without their values", "err", err)
		for _, s := range shares {
			s.q.shorten()
		}
	case kind == engine.Retry:
		l.log.Warn("alerts: commit", "err", err)
	default:
		return err
	}
	l.position()
	return nil
}
