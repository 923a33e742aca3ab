package kafka

import (
	"context"
	"fmt"
	"slices"

	"github.com/leatstream/leat/engine"
	"github.com/twmb/franz-go/pkg/kgo"
)

// membership is what the group says, written by callbacks on kgo's goroutines.
// The lane sees a change when it calls Assignment; until then nothing it does
// counts, because it does it for an assignment that is gone.
//
//	        joining, revoked, lost, error          assigned
//	owned ────────────────────────────────▶ none ───────────▶ owned'
//	 gen n                                  gen n+1            gen n+2
//
// Rebalancing is eager, so an assignment is always the whole of it.
type membership struct {
	gen   int64
	owned []engine.TopicPartition
	// The member id and generation owned belongs to: what a commit must carry.
	member     string
	generation int32

	seen  int64 // gen at the lane's last Assignment
	stale bool  // a change since the client's last End: it needs one, even an empty one
	wake  func()
}

// part is the lane's view of one partition it owns.
type part struct {
	at      engine.Offset // the lane's position: behind what Poll gave, markers and all
	epochs  [2]epoch      // leader epochs of the last rows, newest first
	set     bool          // the lane gave a position since the last change or abort
	applied bool          // and the client has taken it over
	resumed bool          // the lane wants rows
	running bool          // the client fetches
}

// epoch says that records from an offset on were written under a leader epoch.
type epoch struct {
	from   engine.Offset
	leader int32
}

// void records that nothing is assigned any more.
func (s *Session) void(why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.group.stale = true
	if s.group.owned == nil {
		return
	}
	s.cfg.Logger.Debug("kafka: assignment ended", "why", why, "partitions", len(s.group.owned))
	s.group.gen++
	s.group.owned = nil
	s.group.wake()
}

// assigned records a new assignment and holds its partitions back until the
// lane has set their positions.
func (s *Session) assigned(m map[string][]int32) {
	<-s.ready
	s.cl.PauseFetchPartitions(m)
	owned := make([]engine.TopicPartition, 0, len(m))
	for topic, ps := range m {
		for _, p := range ps {
			owned = append(owned, engine.TopicPartition{Topic: engine.Topic(topic), Partition: engine.Partition(p)})
		}
	}
	slices.SortFunc(owned, func(a, b engine.TopicPartition) int {
		if a.Partition != b.Partition {
			return int(a.Partition) - int(b.Partition)
		}
		if a.Topic < b.Topic {
			return -1
		}
		return 1
	})
	member, generation := s.cl.GroupMetadata()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.group.gen++
	s.group.owned = owned
	s.group.member, s.group.generation = member, generation
	s.group.wake()
}

// groupErrors hears of every error that ends a group session. The lost callback
// alone would not do: the transactional session swallows repeated ones.
type groupErrors struct{ s *Session }

func (g groupErrors) OnGroupManageError(err error) {
	g.s.cfg.Logger.Warn("kafka: group session ended", "group", g.s.sc.Group, "err", err)
	g.s.void("error")
}

// exactOffsets replaces "no committed offset" by a number before the client
// fetches. Otherwise it would remember the symbol, and an abort before the first
// commit would rewind to offset 0, whatever the source's start says. Leader
// epochs go, as with them the client starts only after another request, and a
// position set meanwhile would be lost.
func (s *Session) exactOffsets(ctx context.Context, offsets map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
	<-s.ready
	for topic, ps := range offsets {
		for p, o := range ps {
			tp := engine.TopicPartition{Topic: engine.Topic(topic), Partition: engine.Partition(p)}
			at := engine.Offset(o.EpochOffset().Offset)
			if at < 0 {
				var err error
				if at, err = s.startOf(ctx, tp); err != nil {
					return nil, fmt.Errorf("find where %s/%d starts: %w", topic, p, err)
				}
			}
			ps[p] = kgo.NewOffset().At(int64(at)).WithEpoch(-1)
		}
	}
	return offsets, nil
}

func (s *Session) startOf(ctx context.Context, tp engine.TopicPartition) (engine.Offset, error) {
	if s.sc.Start != nil {
		at, err := s.sc.Start(tp)
		if err == nil && at < 0 {
			err = fmt.Errorf("start %d is no offset", at)
		}
		return at, err
	}
	got, err := listOffsets(ctx, s.cl, []engine.TopicPartition{tp}, -2)
	return got[tp], err
}

// Assignment gives the partitions owned now, ordered by partition, and the
// number of this assignment. From here on the lane acts for it.
func (s *Session) Assignment() (int64, []engine.TopicPartition) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := &s.group
	if g.seen != g.gen {
		g.seen = g.gen
		clear(s.parts)
		for _, tp := range g.owned {
			s.parts[tp] = &part{at: -1}
		}
		s.lent, s.passed, s.pending = s.lent[:0], nil, nil
	}
	return g.gen, g.owned
}

// current tells whether the lane has seen the newest assignment.
func (s *Session) current() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.group.seen == s.group.gen
}

// SetPositions makes the next Poll continue exactly there. Partitions of an
// assignment that is gone are ignored: the new one needs new positions.
func (s *Session) SetPositions(pos map[engine.TopicPartition]engine.Offset) {
	if !s.current() {
		return
	}
	for tp, at := range pos {
		p := s.parts[tp]
		if p == nil {
			continue
		}
		s.dropLent(tp)
		delete(s.passed, tp)
		*p = part{at: at, set: true, resumed: p.resumed, running: p.running}
	}
	s.pending = nil
	s.settle()
}

// settle hands positions to the client once it can take them, and lets it fetch
// what has one. The client knows a partition only after it has fetched the
// group's offsets, some time after the assignment; it tells whether all is
// settled.
func (s *Session) settle() bool {
	if !s.current() {
		return true
	}
	settled := true
	var known map[string]map[int32]kgo.EpochOffset
	var set map[string]map[int32]kgo.EpochOffset
	for tp, p := range s.parts {
		if !p.set || p.applied {
			continue
		}
		if known == nil {
			known = s.cl.CommittedOffsets()
		}
		_, ok := known[string(tp.Topic)][int32(tp.Partition)]
		if leader, _, err := s.cl.PartitionLeader(string(tp.Topic), int32(tp.Partition)); !ok || leader < 0 && err == nil {
			settled = false
			continue
		}
		p.applied = true
		set = addOffset(set, tp, p.at)
	}
	s.cl.SetOffsets(set)
	var run map[string][]int32
	for tp, p := range s.parts {
		if p.applied && p.resumed && !p.running {
			p.running = true
			run = addPartition(run, tp)
		}
	}
	if run != nil {
		s.cl.ResumeFetchPartitions(run)
	}
	return settled
}

// unset takes all positions back: after an End that was not Done the client has
// rewound, and the lane will say where to go on. Until then nothing is fetched.
func (s *Session) unset() {
	var hold map[string][]int32
	for tp, p := range s.parts {
		p.set, p.applied = false, false
		if p.running {
			p.running = false
			hold = addPartition(hold, tp)
		}
	}
	if hold != nil {
		s.cl.PauseFetchPartitions(hold)
	}
	s.lent, s.passed, s.pending = s.lent[:0], nil, nil
}

// Pause stops fetching; what was fetched and not polled is fetched again later.
func (s *Session) Pause(tps []engine.TopicPartition) {
	var hold map[string][]int32
	for _, tp := range tps {
		if p := s.parts[tp]; p != nil && s.current() {
			p.resumed = false
			if p.running {
				p.running = false
				hold = addPartition(hold, tp)
			}
		}
	}
	if hold != nil {
		s.cl.PauseFetchPartitions(hold)
	}
}

// Resume restarts fetching, for partitions that have a position.
func (s *Session) Resume(tps []engine.TopicPartition) {
	if !s.current() {
		return
	}
	for _, tp := range tps {
		if p := s.parts[tp]; p != nil {
			p.resumed = true
		}
	}
	s.settle()
}

func addPartition(m map[string][]int32, tp engine.TopicPartition) map[string][]int32 {
	if m == nil {
		m = make(map[string][]int32)
	}
	m[string(tp.Topic)] = append(m[string(tp.Topic)], int32(tp.Partition))
	return m
}

func addOffset(m map[string]map[int32]kgo.EpochOffset, tp engine.TopicPartition, at engine.Offset) map[string]map[int32]kgo.EpochOffset {
	if m == nil {
		m = make(map[string]map[int32]kgo.EpochOffset)
	}
	if m[string(tp.Topic)] == nil {
		m[string(tp.Topic)] = make(map[int32]kgo.EpochOffset)
	}
	m[string(tp.Topic)][int32(tp.Partition)] = kgo.EpochOffset{Epoch: -1, Offset: int64(at)}
	return m
}
