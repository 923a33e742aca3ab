package engine_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/leatstream/leat/engine"
)

// fake is a broker with one group for workers of one lane, whose script says
// when things go wrong. Its session is as strict as the real one: a partition
// is fetched only after SetPositions and Resume, and any change of the
// assignment takes both away.
type fake struct {
	mu         sync.Mutex
	logs       map[engine.TopicPartition][]engine.Record
	group      map[engine.TopicPartition]engine.Committed
	partitions map[engine.Topic]int
	configs    map[engine.Topic]map[string]string
	generation int64
	sessions   int
	purged     map[engine.TopicPartition]engine.Offset
	members    int

	// The script. All are called with mu held; nil does nothing.
	join  func() error
	end   func(s *fakeSession, offsets []engine.OffsetCommit) (engine.Outcome, error)
	read  func(tp engine.TopicPartition) error
	pause func(on bool)
	// withhold: topics whose rows no poll returns.
	withhold map[engine.Topic]bool
	// pace is how long a poll takes.
	pace time.Duration
}

func newFake(partitions map[engine.Topic]int) *fake {
	return &fake{logs: map[engine.TopicPartition][]engine.Record{}, group: map[engine.TopicPartition]engine.Committed{}, partitions: partitions,
		configs: map[engine.Topic]map[string]string{}, purged: map[engine.TopicPartition]engine.Offset{}}
}

// feed appends a record.
func (f *fake) feed(r engine.Record) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.append(r)
}

func (f *fake) append(r engine.Record) engine.Offset {
	tp := engine.TopicPartition{Topic: r.Topic, Partition: r.Partition}
	if r.Time == 0 {
		r.Time = time.Now().UnixMilli()
	}
	r.Key, r.Value = slices.Clone(r.Key), slices.Clone(r.Value)
	f.logs[tp] = append(f.logs[tp], r)
	return engine.Offset(len(f.logs[tp]))
}

// topic gives all records of a topic.
func (f *fake) topic(topic engine.Topic) []engine.Record {
	f.mu.Lock()
	defer f.mu.Unlock()
	var recs []engine.Record
	for p := range f.partitions[topic] {
		recs = append(recs, f.logs[engine.TopicPartition{Topic: topic, Partition: engine.Partition(p)}]...)
	}
	return recs
}

func (f *fake) rows(tp engine.TopicPartition, from, to int) *engine.Rows {
	rows := &engine.Rows{Topic: tp.Topic, Partition: tp.Partition, End: engine.Offset(len(f.logs[tp]))}
	for i, r := range f.logs[tp][from:to] {
		rows.Keys, rows.Values = append(rows.Keys, r.Key), append(rows.Values, r.Value)
		rows.Times, rows.Offsets = append(rows.Times, r.Time), append(rows.Offsets, int64(from+i))
	}
	return rows
}

// Cluster and Session make it an engine.Broker.
func (f *fake) Cluster() engine.Cluster { return fakeCluster{f} }

func (f *fake) Session(_ context.Context, r engine.SessionRequest) (engine.Session, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.join != nil {
		if err := f.join(); err != nil {
			return nil, err
		}
	}
	f.sessions++
	f.generation++
	s := &fakeSession{fake: f, request: r, pos: map[engine.TopicPartition]engine.Offset{}, run: map[engine.TopicPartition]bool{}}
	for _, topic := range r.Topics {
		for p := range f.partitions[topic] {
			s.owned = append(s.owned, engine.TopicPartition{Topic: topic, Partition: engine.Partition(p)})
		}
	}
	return s, nil
}

type fakeSession struct {
	*fake
	request engine.SessionRequest
	owned   []engine.TopicPartition
	seen    int64
	pos     map[engine.TopicPartition]engine.Offset
	run     map[engine.TopicPartition]bool
	pending []engine.Record
	done    map[engine.TopicPartition]engine.Offset
}

func (s *fakeSession) Assignment() (int64, []engine.TopicPartition) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seen != s.generation {
		s.seen = s.generation
		clear(s.pos)
		clear(s.run)
	}
	return s.generation, s.owned
}

func (s *fakeSession) Poll(ctx context.Context, most int, wait time.Duration) ([]*engine.Rows, error) {
	if s.pace > 0 {
		time.Sleep(s.pace)
	}
	s.mu.Lock()
	var all []*engine.Rows
	for _, tp := range s.owned {
		at, ok := s.pos[tp]
		if end := engine.Offset(len(s.logs[tp])); ok && !s.withhold[tp.Topic] && s.run[tp] && at < end && s.seen == s.generation {
			to := min(end, at+engine.Offset(most))
			all = append(all, s.rows(tp, int(at), int(to)))
			s.pos[tp] = to
			most -= int(to - at)
		}
		if most == 0 {
			break
		}
	}
	s.mu.Unlock()
	if all == nil {
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
	return all, nil
}

func (s *fakeSession) Begin() error { return nil }

func (s *fakeSession) Produce(recs []engine.Record) { s.pending = append(s.pending, recs...) }

func (s *fakeSession) End(_ context.Context, commit bool, _ int64, offsets []engine.OffsetCommit) (engine.Outcome, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	recs := s.pending
	s.pending, s.done = nil, map[engine.TopicPartition]engine.Offset{}
	undone := func(o engine.Outcome, err error) (engine.Outcome, error) {
		clear(s.pos)
		return o, err
	}
	if !commit {
		return undone(engine.Aborted, nil)
	}
	if s.end != nil {
		if o, err := s.end(s, offsets); o != engine.Done || err != nil {
			return undone(o, err)
		}
	}
	for _, r := range recs {
		s.done[engine.TopicPartition{Topic: r.Topic, Partition: r.Partition}] = s.append(r)
	}
	for _, o := range offsets {
		s.group[o.TopicPartition] = engine.Committed{Offset: o.Offset, Metadata: o.Metadata}
	}
	return engine.Done, nil
}

func (s *fakeSession) Produced() map[engine.TopicPartition]engine.Offset { return s.done }

func (s *fakeSession) SetPositions(pos map[engine.TopicPartition]engine.Offset) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seen == s.generation {
		maps.Copy(s.pos, pos)
	}
}

func (s *fakeSession) Pause(tps []engine.TopicPartition) { s.set(tps, false) }

func (s *fakeSession) Resume(tps []engine.TopicPartition) { s.set(tps, true) }

func (s *fakeSession) set(tps []engine.TopicPartition, on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seen != s.generation {
		return
	}
	for _, tp := range tps {
		s.run[tp] = on
	}
	if s.pause != nil {
		s.pause(!on)
	}
}

func (s *fakeSession) HighWatermarks(_ context.Context, tps []engine.TopicPartition) (map[engine.TopicPartition]engine.Offset, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	high := map[engine.TopicPartition]engine.Offset{}
	for _, tp := range tps {
		high[tp] = engine.Offset(len(s.logs[tp]))
	}
	return high, nil
}

func (s *fakeSession) Committed(context.Context, []engine.TopicPartition) (map[engine.TopicPartition]engine.Committed, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.group), nil
}

func (s *fakeSession) AllowRebalance() {}

func (s *fakeSession) TransactionalID() string { return s.request.TransactionalID }

func (s *fakeSession) Close(bool) {}

type fakeCluster struct{ *fake }

func (c fakeCluster) Members(context.Context, string) (int, error) { return c.members, nil }

func (c fakeCluster) ID(context.Context) (string, error) { return "fake", nil }

func (c fakeCluster) Topics(_ context.Context, names ...engine.Topic) (map[engine.Topic]engine.TopicInfo, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	infos := map[engine.Topic]engine.TopicInfo{}
	for _, name := range names {
		n := c.partitions[name]
		infos[name] = engine.TopicInfo{Exists: n > 0, Partitions: n, Configs: c.configs[name]}
	}
	return infos, nil
}

func (c fakeCluster) AllTopics(context.Context) ([]engine.Topic, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Collect(maps.Keys(c.partitions)), nil
}

func (c fakeCluster) CreateTopics(_ context.Context, specs []engine.TopicSpec) ([]engine.Topic, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var created []engine.Topic
	for _, s := range specs {
		switch n := c.partitions[s.Topic]; {
		case n == 0:
			c.partitions[s.Topic], c.configs[s.Topic] = s.Partitions, s.Configs
			created = append(created, s.Topic)
		case n != s.Partitions:
			return created, engine.E(engine.Incompatible, "create topics", fmt.Errorf("%s has %d partitions, want %d", s.Topic, n, s.Partitions))
		}
	}
	return created, nil
}

func (c fakeCluster) StartOffsets(_ context.Context, topic engine.Topic, start engine.Start) (map[engine.Partition]engine.Offset, error) {
	if start.Latest {
		return c.EndOffsets(context.Background(), topic)
	}
	offs := map[engine.Partition]engine.Offset{}
	for p := range c.partitions[topic] {
		offs[engine.Partition(p)] = 0
	}
	return offs, nil
}

func (c fakeCluster) EndOffsets(_ context.Context, topic engine.Topic) (map[engine.Partition]engine.Offset, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	offs := map[engine.Partition]engine.Offset{}
	for p := range c.partitions[topic] {
		offs[engine.Partition(p)] = engine.Offset(len(c.logs[engine.TopicPartition{Topic: topic, Partition: engine.Partition(p)}]))
	}
	return offs, nil
}

func (c fakeCluster) GroupOffsets(context.Context, string) (map[engine.TopicPartition]engine.Committed, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.group), nil
}

func (c fakeCluster) Read(_ context.Context, tp engine.TopicPartition, from engine.Offset, fn func(*engine.Rows) error) (engine.Offset, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.read != nil {
		if err := c.read(tp); err != nil {
			return from, err
		}
	}
	end := engine.Offset(len(c.logs[tp]))
	if from > end {
		return from, engine.ErrOffsetOutOfRange
	}
	return end, fn(c.rows(tp, int(max(from, 0)), int(end)))
}

func (c fakeCluster) Tail(context.Context, engine.Topic, map[engine.Partition]engine.Offset, func([]*engine.Rows, map[engine.Partition]engine.Offset) error) error {
	return nil
}

func (c fakeCluster) LogStart(context.Context, engine.TopicPartition) (engine.Offset, error) {
	return 0, nil
}

func (c fakeCluster) DeleteRecords(_ context.Context, below map[engine.TopicPartition]engine.Offset) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	maps.Copy(c.purged, below)
	return nil
}

func (c fakeCluster) Produce(_ context.Context, recs []engine.Record) error {
	for _, r := range recs {
		c.feed(r)
	}
	return nil
}

func (c fakeCluster) FenceTransactionalIDs(context.Context, []string) error { return nil }

func (c fakeCluster) Close() {}

var (
	_ engine.Broker  = (*fake)(nil)
	_ engine.Cluster = fakeCluster{}
	_ engine.Session = (*fakeSession)(nil)
)
