package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/leatstream/leat/engine"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
)

// A follower reads partitions of one topic with plain Fetch requests. kgo's own
// consumer never shows a fetch without records, and with it neither the holes
// that compaction leaves at a log's end nor how far a position has passed them;
// "read until the high watermark" would wait for ever behind such a hole.
//
//	leader 1 ──┐
//	leader 2 ──┼─▶ chunks ─▶ the caller's goroutine: fn(rows, positions)
//	leader 3 ──┘             (while it works, each leader fetches one ahead)
type follower struct {
	cfg    *Config
	cl     *kgo.Client
	topic  string
	id     [16]byte        // of the topic, where the broker has one
	pos    map[int32]int64 // what fn has been given
	decomp kgo.Decompressor
}

func newFollower(cfg *Config, cl *kgo.Client, topic engine.Topic) *follower {
	return &follower{cfg: cfg, cl: cl, topic: string(topic), pos: make(map[int32]int64), decomp: kgo.DefaultDecompressor()}
}

// chunk is what one fetch gave.
type chunk struct {
	rows []*engine.Rows
	pos  map[int32]int64 // positions after it
	err  error           // the reader of this leader has ended
}

// errMoved ends the readers so that leaders are looked up again.
var errMoved = errors.New("partition leaders moved")

// reader takes an idle client or makes one; release gives it back.
func (c *Cluster) reader() (*kgo.Client, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, kgo.ErrClientClosed
	}
	if n := len(c.readers); n > 0 {
		r := c.readers[n-1]
		c.readers = c.readers[:n-1]
		return r, nil
	}
	opts, err := c.cfg.options()
	if err != nil {
		return nil, err
	}
	// From v13 on Fetch names topics by id, which not every broker has.
	versions := kversion.Stable()
	versions.SetMaxKeyVersion(int16(kmsg.Fetch), 12)
	return kgo.NewClient(append(opts, kgo.MaxVersions(versions))...)
}

func (c *Cluster) release(r *kgo.Client) {
	c.mu.Lock()
	if !c.closed && len(c.readers) < keptReaders {
		c.readers = append(c.readers, r)
		r = nil
	}
	c.mu.Unlock()
	if r != nil {
		r.Close()
	}
}

// run calls fn with what is read until fn or ctx ends it. Broken connections
// and moved leaders are retried for ever; tick, when given, is called every
// so often while nothing comes, and may end it too.
func (f *follower) run(ctx context.Context, every time.Duration, tick func() error, fn func(chunk) error) error {
	fails := 0
	for {
		err := f.round(ctx, every, tick, func(ch chunk) error {
			fails = 0
			return fn(ch)
		})
		if !errors.Is(err, errMoved) {
			return err
		}
		fails++
		if !engine.Sleep(ctx, backoff(fails)) {
			return ctx.Err()
		}
		if tick != nil {
			if err := tick(); err != nil {
				return err
			}
		}
	}
}

// round reads with one idea of who leads what, until that is wrong (errMoved).
func (f *follower) round(ctx context.Context, every time.Duration, tick func() error, fn func(chunk) error) error {
	byLeader, err := f.leaders(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	chunks := make(chan chunk)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	for leader, pos := range byLeader {
		wg.Go(func() { f.read(ctx, leader, pos, chunks) })
	}
	var ticks <-chan time.Time
	if tick != nil {
		t := time.NewTicker(every)
		defer t.Stop()
		ticks = t.C
	}
	for {
		select {
		case ch := <-chunks:
			if ch.err != nil {
				return ch.err
			}
			if err := fn(ch); err != nil {
				return err
			}
			for p, o := range ch.pos {
				f.pos[p] = o
			}
		case <-ticks:
			if err := tick(); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// leaders groups the positions by the broker that leads each partition.
func (f *follower) leaders(ctx context.Context) (map[int32]map[int32]int64, error) {
	req := kmsg.NewPtrMetadataRequest()
	t := kmsg.NewMetadataRequestTopic()
	t.Topic = &f.topic
	req.Topics = append(req.Topics, t)
	resp, err := req.RequestWith(ctx, f.cl)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		f.cfg.Logger.Warn("kafka: look up leaders", "topic", f.topic, "err", err)
		return nil, errMoved
	}
	if len(resp.Topics) != 1 {
		return nil, errMoved
	}
	if err := kerr.ErrorForCode(resp.Topics[0].ErrorCode); err != nil {
		if kerr.IsRetriable(err) && !errors.Is(err, kerr.UnknownTopicOrPartition) {
			return nil, errMoved
		}
		return nil, err
	}
	f.id = resp.Topics[0].TopicID
	out := make(map[int32]map[int32]int64)
	found := 0
	for _, p := range resp.Topics[0].Partitions {
		o, ok := f.pos[p.Partition]
		if !ok {
			continue
		}
		found++
		if p.Leader < 0 {
			return nil, errMoved
		}
		if out[p.Leader] == nil {
			out[p.Leader] = make(map[int32]int64)
		}
		out[p.Leader][p.Partition] = o
	}
	if found < len(f.pos) {
		return nil, fmt.Errorf("%w: it has fewer partitions than are read", kerr.UnknownTopicOrPartition)
	}
	return out, nil
}

// read fetches from one leader until ctx ends or something is wrong. pos is its
// own copy; the caller of run goes by what it was given.
func (f *follower) read(ctx context.Context, leader int32, pos map[int32]int64, to chan<- chunk) {
	for {
		ch := f.fetch(ctx, leader, pos, f.cfg.FetchMaxWait)
		if ch.err == nil && len(ch.pos) == 0 {
			continue // the broker waited FetchMaxWait for nothing
		}
		for p, o := range ch.pos {
			pos[p] = o
		}
		select {
		case to <- ch:
		case <-ctx.Done():
			return
		}
		if ch.err != nil {
			return
		}
	}
}

// fetch is one Fetch request, decoded.
func (f *follower) fetch(ctx context.Context, leader int32, pos map[int32]int64, wait time.Duration) (ch chunk) {
	req := kmsg.NewPtrFetchRequest()
	req.ReplicaID = -1
	req.MaxWaitMillis = int32(wait.Milliseconds())
	req.MinBytes = 1
	req.MaxBytes = f.cfg.FetchMaxBytes
	req.IsolationLevel = 1 // read committed
	req.SessionEpoch = -1  // no fetch session
	t := kmsg.NewFetchRequestTopic()
	t.Topic, t.TopicID = f.topic, f.id
	for p, o := range pos {
		rp := kmsg.NewFetchRequestTopicPartition()
		rp.Partition, rp.FetchOffset = p, o
		rp.CurrentLeaderEpoch, rp.LastFetchedEpoch, rp.LogStartOffset = -1, -1, -1
		rp.PartitionMaxBytes = f.cfg.FetchMaxPartitionBytes
		t.Partitions = append(t.Partitions, rp)
	}
	req.Topics = append(req.Topics, t)
	kresp, err := f.cl.Broker(int(leader)).Request(ctx, req)
	if err != nil {
		if ctx.Err() != nil {
			return chunk{err: ctx.Err()}
		}
		f.cfg.Logger.Warn("kafka: fetch", "topic", f.topic, "broker", leader, "err", err)
		return chunk{err: errMoved}
	}
	resp := kresp.(*kmsg.FetchResponse)
	if resp.ErrorCode != 0 {
		return chunk{err: errMoved}
	}
	ch.pos = make(map[int32]int64)
	for _, rt := range resp.Topics {
		for i := range rt.Partitions {
			rp := &rt.Partitions[i]
			at, ours := pos[rp.Partition]
			if !ours {
				continue
			}
			rows, next, err := f.decode(rp, at)
			if err != nil {
				return chunk{err: err}
			}
			if rows != nil {
				ch.rows = append(ch.rows, rows)
			}
			if next > at {
				ch.pos[rp.Partition] = next
			}
		}
	}
	return ch
}

// decode turns one partition of a response into rows and the next position.
func (f *follower) decode(rp *kmsg.FetchResponseTopicPartition, at int64) (*engine.Rows, int64, error) {
	if err := kerr.ErrorForCode(rp.ErrorCode); err != nil {
		where := &engine.Error{Op: "fetch", Topic: engine.Topic(f.topic), Partition: engine.Partition(rp.Partition), Offset: engine.Offset(at)}
		switch {
		case errors.Is(err, kerr.OffsetOutOfRange), !kerr.IsRetriable(err):
			where.Kind, where.Err = f.cfg.classify(err)
			return nil, at, where
		default:
			return nil, at, errMoved
		}
	}
	fp, next := kgo.ProcessFetchPartition(kgo.ProcessFetchPartitionOpts{
		KeepControlRecords:   true,
		DisableCRCValidation: f.cfg.SkipCRC,
		Offset:               at,
		IsolationLevel:       kgo.ReadCommitted(),
		Topic:                f.topic,
		Partition:            rp.Partition,
	}, rp, f.decomp, nil)
	if fp.Err != nil {
		return nil, at, &engine.Error{Kind: engine.Fatal, Op: "decode fetch", Topic: engine.Topic(f.topic),
			Partition: engine.Partition(rp.Partition), Offset: engine.Offset(at), Err: fp.Err}
	}
	n := 0
	for _, r := range fp.Records {
		if !r.Attrs.IsControl() {
			n++
		}
	}
	if n == 0 {
		return nil, next, nil
	}
	var b rowsBuf
	b.start(engine.Topic(f.topic), engine.Partition(rp.Partition), n)
	for _, r := range fp.Records {
		if !r.Attrs.IsControl() {
			b.add(r)
		}
	}
	b.Next = engine.Offset(next)
	return &b.Rows, next, nil
}
