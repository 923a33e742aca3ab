package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/leatstream/leat/engine"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// SessionConfig is what one lane adds to Config.
type SessionConfig struct {
	Group  string
	Topics []engine.Topic // all co-partitioned inputs; they must exist
	// TransactionalID names the lane's producer, stable over restarts. Needed
	// for ExactlyOnce, ignored for AtLeastOnce.
	TransactionalID string
	Guarantee       engine.Guarantee
	Lane            string // for the broker's logs: the client id's suffix
	// InstanceID makes the member static: it may restart within SessionTimeout
	// without a rebalance. "": dynamic.
	InstanceID string
	// Start gives the exact offset where a partition without a committed one
	// begins. It is called on a goroutine of the client, while the group waits.
	// nil: the log's start.
	Start func(engine.TopicPartition) (engine.Offset, error)
	// CommitNumber reads the commit number out of an offset's metadata, -1 where
	// there is none. nil: comparing the whole metadata has to do.
	CommitNumber func(metadata string) int64
	// Writer reads the transactional id of the writer out of an offset's
	// metadata, "" where there is none. The leader of the group fences writers
	// that are no members. nil: it goes by the members it has seen.
	Writer func(metadata string) string
	// OnVanished hears of transactional ids that were members and are not; they
	// have been fenced. Called on a goroutine of the client, must not block.
	OnVanished func(ids []string)
	// Fence replaces InitProducerId for vanished ids (tests). nil: that.
	Fence func(ctx context.Context, ids []string) error
	// Behind are members of the group that former sessions of this lane could not
	// take out of it, as no broker answered. A group waits SessionTimeout for such
	// a member before it gives its partitions to anybody: they are taken out now.
	Behind []string
	// OnBehind hears of this session's member where Close could not take it out.
	OnBehind func(member string)
	// GiveUp is how long the outcome of a transaction is looked for. Default 30s.
	GiveUp time.Duration
}

// Session is one lane's place in the group with its producer. It implements
// engine.Session; all methods are called from the lane's goroutine.
type Session struct {
	cfg Config
	sc  SessionConfig
	cl  *kgo.Client
	adm *kadm.Client
	txn *kgo.GroupTransactSession // nil: at least once

	// Only the lane's goroutine uses these.
	parts     map[engine.TopicPartition]*part // of the assignment the lane has seen
	open      bool                            // the client is in a transaction
	out       *output                         // what was produced since Begin
	outs      outputs
	done      map[engine.TopicPartition]engine.Offset // Produced
	pending   error                                   // a fetch error that waits for the rows before it to be delivered
	passed    map[engine.TopicPartition]engine.Offset // positions behind holes, to be told by the next Poll
	delivered bool                                    // rows were given in this turn
	lent      []*rowsBuf                              // handed out, not known to be processed
	free      []*rowsBuf
	spare     []*rowsBuf // free from the next Poll on
	rows      []*engine.Rows
	dead      error // why this session must be replaced

	ready chan struct{} // closed when the client is set: callbacks come earlier
	stop  func()        // ends the client's context: nothing more is sent or waited for

	mu    sync.Mutex
	group membership
}

// NewSession joins the group. With ExactlyOnce it first claims the
// transactional id, which aborts what a predecessor of the same name left open.
func NewSession(cfg Config, sc SessionConfig) (*Session, error) {
	cfg = cfg.withDefaults()
	if sc.GiveUp == 0 {
		sc.GiveUp = 30 * time.Second
	}
	op := fmt.Sprintf("join group %q", sc.Group)
	if sc.Group == "" || len(sc.Topics) == 0 {
		return nil, engine.E(engine.Fatal, "join group", errors.New("a session needs a group and topics"))
	}
	if sc.Guarantee == engine.ExactlyOnce && sc.TransactionalID == "" {
		return nil, engine.E(engine.Fatal, op, errors.New("exactly once needs a transactional id"))
	}
	if sc.Lane != "" {
		cfg.ClientID += "-" + sc.Lane
	}
	s := &Session{cfg: cfg, sc: sc, parts: make(map[engine.TopicPartition]*part), done: make(map[engine.TopicPartition]engine.Offset), ready: make(chan struct{})}
	s.group.wake = func() {}
	opts, err := cfg.options()
	if err != nil {
		return nil, engine.E(engine.Environment, op, err)
	}
	alive, stop := context.WithCancel(context.Background())
	s.stop = stop
	opts = append(opts, kgo.WithContext(alive))
	opts = append(opts, s.groupOptions()...)
	if sc.Guarantee == engine.ExactlyOnce {
		opts = append(opts, kgo.TransactionalID(sc.TransactionalID), kgo.TransactionTimeout(cfg.TransactionTimeout))
		s.txn, err = kgo.NewGroupTransactSession(opts...)
		if err == nil {
			s.cl = s.txn.Client()
		}
	} else {
		s.cl, err = kgo.NewClient(opts...)
	}
	if err != nil {
		stop()
		return nil, engine.E(engine.Environment, op, err)
	}
	s.adm = kadm.NewClient(s.cl)
	close(s.ready)
	if s.txn != nil {
		ctx, cancel := context.WithTimeout(context.Background(), sc.GiveUp)
		defer cancel()
		if _, _, err := s.cl.ProducerID(ctx); err != nil {
			s.Close(true)
			return nil, cfg.fail(fmt.Sprintf("claim transactional id %q", sc.TransactionalID), err)
		}
	}
	if len(sc.Behind) > 0 {
		ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
		defer cancel()
		if err := s.takeOut(ctx, sc.Behind); err != nil {
			cfg.Logger.Warn("kafka: take former members out of the group", "group", sc.Group, "err", err)
		}
	}
	return s, nil
}

// takeOut removes members from the group. One that is not there is no error.
func (s *Session) takeOut(ctx context.Context, members []string) error {
	req := kmsg.NewPtrLeaveGroupRequest()
	req.Group, req.MemberID = s.sc.Group, members[0] // before version 3 it is one
	for _, id := range members {
		m := kmsg.NewLeaveGroupRequestMember()
		m.MemberID = id
		req.Members = append(req.Members, m)
	}
	resp, err := req.RequestWith(ctx, s.cl)
	if err == nil {
		err = kerr.ErrorForCode(resp.ErrorCode)
	}
	if errors.Is(err, kerr.UnknownMemberID) {
		return nil
	}
	return err
}

func (s *Session) groupOptions() []kgo.Opt {
	id := ""
	if s.sc.Guarantee == engine.ExactlyOnce {
		id = s.sc.TransactionalID
	}
	b := &balancer{
		GroupBalancer:   kgo.RangeBalancer(),
		transactionalID: id,
		joining:         func() { s.void("joining") },
		writers: func(ctx context.Context) ([]string, error) {
			<-s.ready
			if s.sc.Writer == nil || id == "" {
				return nil, nil
			}
			offsets, err := groupOffsets(ctx, s.adm, s.sc.Group)
			return writersOf(offsets, s.sc.Writer), err
		},
		fence: s.sc.Fence,
		vanished: func(ids []string) {
			if s.sc.OnVanished != nil {
				s.sc.OnVanished(ids)
			}
		},
		log: s.cfg.Logger.Warn,
	}
	if b.fence == nil {
		b.fence = func(ctx context.Context, ids []string) error { return s.cfg.fence(ctx, s.cl, ids) }
	}
	opts := []kgo.Opt{
		kgo.ConsumerGroup(s.sc.Group),
		kgo.ConsumeTopics(topicStrings(s.sc.Topics)...),
		kgo.Balancers(b),
		kgo.SessionTimeout(s.cfg.SessionTimeout),
		kgo.HeartbeatInterval(s.cfg.HeartbeatInterval),
		kgo.RebalanceTimeout(s.cfg.RebalanceTimeout),
		kgo.BlockRebalanceOnPoll(),
		kgo.DisableAutoCommit(),
		kgo.WithPools(new(recordPool)),
		kgo.AdjustFetchOffsetsFn(s.exactOffsets),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, m map[string][]int32) { s.assigned(m) }),
		kgo.OnPartitionsRevoked(func(context.Context, *kgo.Client, map[string][]int32) { s.void("revoked") }),
		kgo.OnPartitionsLost(func(context.Context, *kgo.Client, map[string][]int32) { s.void("lost") }),
		kgo.WithHooks(groupErrors{s}),
	}
	if s.sc.InstanceID != "" {
		opts = append(opts, kgo.InstanceID(s.sc.InstanceID))
	}
	return opts
}

// TransactionalID names the producer; "" when at least once.
func (s *Session) TransactionalID() string {
	if s.txn == nil {
		return ""
	}
	return s.sc.TransactionalID
}

// Begin starts a transaction; nothing is sent. It is refused, with Kind Fenced,
// once the session cannot go on.
func (s *Session) Begin() error {
	if s.dead != nil {
		return s.dead
	}
	if s.out == nil {
		s.out = s.outs.take()
	}
	if s.txn == nil || s.open {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), s.cfg.TransactionTimeout/2)
	defer cancel()
	if err := s.refresh(ctx); err != nil {
		return err
	}
	if err := s.txn.Begin(); err != nil {
		return s.die("begin transaction", err)
	}
	s.open = true
	return nil
}

// die remembers that the session must be replaced.
func (s *Session) die(op string, err error) error {
	s.dead = engine.E(engine.Fenced, op, err)
	return s.dead
}

// AllowRebalance lets a pending rebalance run; the end of every turn.
func (s *Session) AllowRebalance() {
	s.delivered = false
	s.cl.AllowRebalance()
}

// HighWatermarks asks the leaders for the end of partitions (read uncommitted).
// Where compaction has left nothing between the lane's position and the end,
// which the client would never tell, the next Poll moves the position on.
func (s *Session) HighWatermarks(ctx context.Context, tps []engine.TopicPartition) (map[engine.TopicPartition]engine.Offset, error) {
	ends, err := listOffsets(ctx, s.cl, tps, -1)
	if err != nil {
		return nil, s.cfg.fail("ask for high watermarks", err)
	}
	for tp, end := range ends {
		if p := s.parts[tp]; p != nil && p.applied && p.running && p.at < end {
			s.probe(ctx, tp, p.at, end)
		}
	}
	return ends, nil
}

// probe looks whether there is a hole at a position: fetches that move on
// without a record.
func (s *Session) probe(ctx context.Context, tp engine.TopicPartition, at, end engine.Offset) {
	f := newFollower(&s.cfg, s.cl, tp.Topic)
	for at < end {
		f.pos[int32(tp.Partition)] = int64(at)
		byLeader, err := f.leaders(ctx)
		if err != nil {
			return // no news; asked again with the next high watermark
		}
		next := at
		for leader, pos := range byLeader {
			ch := f.fetch(ctx, leader, pos, 0)
			if ch.err != nil || len(ch.rows) > 0 {
				return
			}
			next = max(next, engine.Offset(ch.pos[int32(tp.Partition)]))
		}
		if next == at {
			return
		}
		if s.passed == nil {
			s.passed = make(map[engine.TopicPartition]engine.Offset)
		}
		at, s.passed[tp] = next, next
	}
}

// Committed asks the group (stable) for committed offsets and metadata.
// Partitions without one have Offset -1. It makes sure afterwards that the lane
// still owned its partitions then: an answer that another lane has had a part in
// is an error of Kind Retry.
func (s *Session) Committed(ctx context.Context, tps []engine.TopicPartition) (map[engine.TopicPartition]engine.Committed, error) {
	stable, cancel := context.WithTimeout(ctx, s.cfg.TransactionTimeout)
	defer cancel()
	all, err := s.stable(stable, tps)
	if err != nil {
		return nil, s.cfg.fail("read committed offsets", err)
	}
	member, err := s.isMember(ctx)
	if err != nil {
		return nil, s.cfg.fail("read committed offsets", err)
	}
	if !member || !s.current() {
		s.evicted()
		return nil, engine.E(engine.Retry, "read committed offsets", errStaleMember)
	}
	out := make(map[engine.TopicPartition]engine.Committed, len(tps))
	for _, tp := range tps {
		c, ok := all[tp]
		if !ok {
			c.Offset = -1
		}
		out[tp] = c
	}
	return out, nil
}

// closeTimeout bounds what Close says to the brokers before it goes.
const closeTimeout = 3 * time.Second

// Close ends the session. An open transaction is aborted. With leave the member
// leaves the group, so that others get its partitions at once; without, they
// wait for SessionTimeout: for a static member, or to look like a crash.
func (s *Session) Close(leave bool) {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	if s.open && s.dead == nil {
		_, _ = s.txn.End(ctx, kgo.TryAbort) // else the transaction times out
	}
	s.cl.AllowRebalance()
	if leave {
		member, _ := s.cl.GroupMetadata()
		if s.sc.InstanceID != "" {
			_, _ = s.adm.LeaveGroup(ctx, kadm.LeaveGroup(s.sc.Group).InstanceIDs(s.sc.InstanceID))
		} else if err := s.cl.LeaveGroupContext(ctx); err != nil && member != "" && s.sc.OnBehind != nil {
			s.sc.OnBehind(member) // else the group waits for SessionTimeout
		}
	}
	// kgo's own Close would wait for a join in progress, and leave in any case.
	s.stop()
	s.cl.CloseAllowingRebalance()
	s.cl.AllowRebalance() // kgo's Close ends with a poll, which its own leaving may wait for
}

// isMember asks the coordinator whether the member that the lane's assignment
// belongs to is still one of the group's present generation. A rebalance in
// progress is a yes: the partitions wait for this member.
func (s *Session) isMember(ctx context.Context) (bool, error) {
	s.mu.Lock()
	g := s.group
	s.mu.Unlock()
	req := kmsg.NewPtrHeartbeatRequest()
	req.Group, req.MemberID, req.Generation = s.sc.Group, g.member, g.generation
	if s.sc.InstanceID != "" {
		req.InstanceID = &s.sc.InstanceID
	}
	resp, err := req.RequestWith(ctx, s.cl)
	if err != nil {
		return false, err
	}
	switch err := kerr.ErrorForCode(resp.ErrorCode); {
	case errors.Is(err, kerr.UnknownMemberID), errors.Is(err, kerr.IllegalGeneration), errors.Is(err, kerr.FencedInstanceID):
		return false, nil
	case err == nil, errors.Is(err, kerr.RebalanceInProgress):
		return true, nil
	default:
		return false, err
	}
}

// evicted acts on the news that the lane's assignment is gone. The client hears
// of it with its next heartbeat; there is no need to wait for that.
func (s *Session) evicted() {
	if s.current() {
		s.void("evicted")
	}
	s.cl.ForceRebalance()
}

var _ engine.Session = (*Session)(nil)
