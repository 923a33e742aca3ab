package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/leatstream/leat/engine"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// End ends the transaction: the only place that does.
//
//	flush ─▶ offsets, exactly ours ─▶ EndTxn ─▶ Done
//	  │            │                    │
//	  │ refused    │ stale member       │ no answer
//	  ▼            ▼                    ▼
//	abort        abort               heal, then ask the group whose commit it holds
//	Aborted      LostLease           ours: Done; not ours: Aborted
//
// Its time is bounded by half the transaction timeout, which leaves the broker's
// patience for healing, and by GiveUp where the outcome has to be found out;
// ctx's end does not cut it short, as that would make the outcome unknown. It
// must run every turn, idle or not. An idle one is free.
func (s *Session) End(ctx context.Context, commit bool, number int64, offsets []engine.OffsetCommit) (engine.Outcome, error) {
	if s.dead != nil {
		return engine.LostLease, s.dead
	}
	if err := s.Begin(); err != nil {
		return engine.LostLease, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.TransactionTimeout/2)
	defer cancel()
	if s.out.used == 0 && len(offsets) == 0 {
		return s.endIdle(ctx, commit)
	}
	if !s.current() {
		return s.abort(ctx, engine.LostLease, nil)
	}
	if !commit {
		return s.abort(ctx, engine.Aborted, nil)
	}
	if len(offsets) == 0 {
		return s.abort(ctx, engine.Aborted, engine.E(engine.Fatal, "commit",
			errors.New("records without an offset: the group could not tell a lane that lost its tasks from one that owns them")))
	}
	if answered, err := s.flush(ctx); err != nil {
		if !answered {
			s.out = s.outs.take() // its records may still be answered
		}
		return s.abort(ctx, engine.Aborted, err)
	}
	if s.txn == nil {
		return s.endPlain(ctx, number, offsets)
	}
	ok, err := s.txn.End(kgo.PreTxnCommitFnContext(ctx, func(req *kmsg.TxnOffsetCommitRequest) error {
		return s.exactCommit(req, offsets)
	}), kgo.TryCommit)
	switch {
	case ok:
		s.open = false
		return s.committed(offsets)
	case err == nil, errors.Is(err, errStaleMember):
		s.open = false
		return s.aborted(ctx, nil)
	}
	return s.resolve(number, offsets, err)
}

// endIdle ends a turn in which nothing happened. The client's transaction stays
// open, as it has sent nothing, unless the group has changed.
func (s *Session) endIdle(ctx context.Context, commit bool) (engine.Outcome, error) {
	if err := s.refresh(ctx); err != nil {
		return engine.LostLease, err
	}
	if !s.current() {
		return engine.LostLease, nil
	}
	clear(s.done)
	if !commit {
		s.unset()
		return engine.Aborted, nil
	}
	return engine.Done, nil
}

// refresh runs the empty End that the client's session needs after a change of
// the group: without it the session swallows the next revoke, and aborts the
// next transaction for the last one. Nothing is in the transaction.
func (s *Session) refresh(ctx context.Context) error {
	if !s.takeStale() || s.txn == nil {
		return nil
	}
	if _, err := s.txn.End(ctx, kgo.TryAbort); err != nil {
		return s.die("end an empty transaction", err)
	}
	s.open = false
	s.rewind()
	return nil
}

// takeStale tells whether the group changed since the last call.
func (s *Session) takeStale() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	stale := s.group.stale
	s.group.stale = false
	return stale
}

// exactCommit makes the client commit our offsets and nothing else: not what it
// has polled. It refuses to do so as a member or in a generation that the
// lane's assignment does not belong to.
func (s *Session) exactCommit(req *kmsg.TxnOffsetCommitRequest, offsets []engine.OffsetCommit) error {
	s.mu.Lock()
	g := s.group
	s.mu.Unlock()
	if g.seen != g.gen || req.MemberID != g.member || req.Generation != g.generation {
		return errStaleMember
	}
	ids := make(map[string][16]byte, len(req.Topics))
	for _, t := range req.Topics {
		ids[t.Topic] = t.TopicID
	}
	req.Topics = req.Topics[:0]
	at := make(map[engine.Topic]int, 2)
	for i := range offsets {
		o := &offsets[i]
		n, ok := at[o.Topic]
		if !ok {
			n = len(req.Topics)
			at[o.Topic] = n
			t := kmsg.NewTxnOffsetCommitRequestTopic()
			t.Topic, t.TopicID = string(o.Topic), ids[string(o.Topic)]
			req.Topics = append(req.Topics, t)
		}
		p := kmsg.NewTxnOffsetCommitRequestTopicPartition()
		p.Partition, p.Offset, p.LeaderEpoch, p.Metadata = int32(o.Partition), int64(o.Offset), s.epochOf(o), &o.Metadata
		req.Topics[n].Partitions = append(req.Topics[n].Partitions, p)
	}
	return nil
}

func (s *Session) epochOf(o *engine.OffsetCommit) int32 {
	if p := s.parts[o.TopicPartition]; p != nil {
		return p.epochAt(o.Offset)
	}
	return -1
}

// committed closes the books of a transaction that is written.
func (s *Session) committed(offsets []engine.OffsetCommit) (engine.Outcome, error) {
	clear(s.done)
	maps.Copy(s.done, s.out.offsets)
	s.finish()
	s.giveBack(offsets)
	return engine.Done, nil
}

// finish makes the output ready for the next transaction.
func (s *Session) finish() {
	s.outs.giveBack(s.out)
	s.out = nil
}

// abort ends the transaction without a trace, as outcome says.
func (s *Session) abort(ctx context.Context, outcome engine.Outcome, cause error) (engine.Outcome, error) {
	// The bound of End may be used up, and aborting must not fail for that.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.sc.GiveUp)
	defer cancel()
	if s.txn == nil {
		if answered, _ := s.flush(ctx); !answered {
			s.out = s.outs.take()
		}
		if outcome == engine.Aborted {
			return s.aborted(ctx, cause)
		}
		s.finish()
		s.unset()
		return outcome, cause
	}
	if err := s.heal(ctx); err != nil {
		s.unset()
		return engine.LostLease, s.die("abort transaction", errors.Join(cause, err))
	}
	if outcome == engine.Aborted {
		return s.aborted(ctx, cause)
	}
	s.finish()
	s.unset()
	return outcome, cause
}

// aborted closes the books of a transaction that is not written: it finds out
// whether the lane still has its partitions.
func (s *Session) aborted(ctx context.Context, cause error) (engine.Outcome, error) {
	s.finish()
	s.unset()
	if !s.current() {
		return engine.LostLease, cause
	}
	if member, err := s.isMember(ctx); member || err != nil {
		return engine.Aborted, cause // with no answer, the next commit will tell
	}
	s.evicted()
	return engine.LostLease, cause
}

// heal aborts whatever the client has open, until it is ready for the next
// transaction: at the latest attempt with a new epoch, which makes the broker
// abort or complete a transaction whose end it did not answer.
func (s *Session) heal(ctx context.Context) error {
	for {
		_, err := s.txn.End(ctx, kgo.TryAbort)
		if err == nil {
			s.open = false
			return nil
		}
		if fatal(err) {
			return err
		}
		s.cfg.Logger.Warn("kafka: abort transaction", "transactional_id", s.sc.TransactionalID, "err", err)
		if !engine.Sleep(ctx, 100*time.Millisecond) {
			return err
		}
	}
}

// fatal tells errors that no retry with this producer will mend.
func fatal(err error) bool {
	for _, f := range []error{kerr.ProducerFenced, kerr.InvalidProducerEpoch, kerr.InvalidProducerIDMapping, kerr.InvalidTxnState,
		kerr.TransactionalIDAuthorizationFailed, kerr.FencedInstanceID, kgo.ErrClientClosed} {
		if errors.Is(err, f) {
			return true
		}
	}
	return false
}

// resolve finds out what became of a transaction whose end was not answered:
// it makes the broker end it, one way or the other, and then compares what the
// group holds with what was to be committed. The client's own idea is wrong
// where the commit was written and only its answer was lost.
func (s *Session) resolve(number int64, offsets []engine.OffsetCommit, cause error) (engine.Outcome, error) {
	ctx, cancel := context.WithTimeout(context.Background(), s.sc.GiveUp)
	defer cancel()
	s.cfg.Logger.Warn("kafka: outcome of a transaction unknown, asking the group", "transactional_id", s.sc.TransactionalID, "err", cause)
	healErr := s.heal(ctx)
	if healErr != nil && !fatal(healErr) {
		return engine.LostLease, s.giveUp(cause, healErr)
	}
	for {
		ours, err := s.holds(ctx, number, offsets)
		switch {
		case err == nil && ours && healErr == nil:
			s.rewind()
			return s.committed(offsets)
		case err == nil && ours:
			// Written, but this producer is finished: the next Begin says so.
			outcome, _ := s.committed(offsets)
			_ = s.die("go on after a commit", healErr)
			return outcome, nil
		case err == nil && healErr != nil:
			return engine.LostLease, s.giveUp(cause, healErr)
		case err == nil:
			return s.aborted(ctx, nil)
		}
		s.cfg.Logger.Warn("kafka: read the group's offsets", "group", s.sc.Group, "err", err)
		if !engine.Sleep(ctx, 100*time.Millisecond) {
			return engine.LostLease, s.giveUp(cause, err)
		}
	}
}

func (s *Session) giveUp(cause, err error) error {
	s.unset()
	return s.die("find out the outcome of a transaction", fmt.Errorf("%w; then %w", cause, err))
}

// holds tells whether the group holds exactly this commit. One partition that
// differs is enough for no: a transaction is written as a whole.
func (s *Session) holds(ctx context.Context, number int64, offsets []engine.OffsetCommit) (bool, error) {
	// One answer may take as long as the coordinator needs to load; the loop
	// around has the patience.
	ctx, cancel := context.WithTimeout(ctx, s.cfg.TransactionTimeout)
	defer cancel()
	tps := make([]engine.TopicPartition, len(offsets))
	for i := range offsets {
		tps[i] = offsets[i].TopicPartition
	}
	all, err := s.stable(ctx, tps)
	if err != nil {
		return false, err
	}
	for i := range offsets {
		o := &offsets[i]
		got, ok := all[o.TopicPartition]
		if !ok || got.Offset != o.Offset || got.Metadata != o.Metadata {
			return false, nil
		}
		if s.sc.CommitNumber != nil && s.sc.CommitNumber(got.Metadata) != number {
			return false, nil
		}
	}
	return true, nil
}

// rewind puts the client back to where it had polled to, after it has rewound
// itself for an abort that was none.
func (s *Session) rewind() {
	if !s.current() {
		return
	}
	var set map[string]map[int32]kgo.EpochOffset
	for tp, p := range s.parts {
		if p.applied {
			set = addOffset(set, tp, p.at)
		}
	}
	s.cl.SetOffsets(set)
}

// endPlain is the at-least-once commit: everything produced is acknowledged, now
// the offsets. Where the answer is lost the group is asked, as above.
func (s *Session) endPlain(ctx context.Context, number int64, offsets []engine.OffsetCommit) (engine.Outcome, error) {
	err := s.commitPlain(ctx, offsets)
	if err == nil {
		return s.committed(offsets)
	}
	if kind, _ := s.cfg.classify(err); kind == engine.Environment && !unreachable(err) {
		s.finish()
		s.unset()
		return engine.Aborted, s.cfg.fail("commit offsets", err)
	}
	if !gone(err) {
		s.cfg.Logger.Warn("kafka: outcome of a commit unknown, asking the group", "err", err)
		rctx, cancel := context.WithTimeout(context.Background(), s.sc.GiveUp)
		defer cancel()
		if ours, err := s.holds(rctx, number, offsets); err == nil && ours {
			return s.committed(offsets)
		}
		ctx = rctx
	}
	return s.aborted(ctx, nil)
}

// gone tells answers of a group that has moved on without this member.
func gone(err error) bool {
	return errors.Is(err, errStaleMember) || errors.Is(err, kerr.UnknownMemberID) || errors.Is(err, kerr.IllegalGeneration) ||
		errors.Is(err, kerr.RebalanceInProgress) || errors.Is(err, kerr.FencedInstanceID)
}

func (s *Session) commitPlain(ctx context.Context, offsets []engine.OffsetCommit) error {
	var exact map[string]map[int32]kgo.EpochOffset
	metadata := make(map[engine.TopicPartition]*string, len(offsets))
	for i := range offsets {
		o := &offsets[i]
		exact = addOffset(exact, o.TopicPartition, o.Offset)
		exact[string(o.Topic)][int32(o.Partition)] = kgo.EpochOffset{Epoch: s.epochOf(o), Offset: int64(o.Offset)}
		metadata[o.TopicPartition] = &o.Metadata
	}
	ctx = kgo.PreCommitFnContext(ctx, func(req *kmsg.OffsetCommitRequest) error {
		s.mu.Lock()
		g := s.group
		s.mu.Unlock()
		if g.seen != g.gen || req.MemberID != g.member || req.Generation != g.generation {
			return errStaleMember
		}
		for i := range req.Topics {
			t := &req.Topics[i]
			for j := range t.Partitions {
				p := &t.Partitions[j]
				p.Metadata = metadata[engine.TopicPartition{Topic: engine.Topic(t.Topic), Partition: engine.Partition(p.Partition)}]
			}
		}
		return nil
	})
	var failed error
	s.cl.CommitOffsetsSync(ctx, exact, func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, resp *kmsg.OffsetCommitResponse, err error) {
		if failed = err; err != nil {
			return
		}
		for _, t := range resp.Topics {
			for _, p := range t.Partitions {
				if err := kerr.ErrorForCode(p.ErrorCode); err != nil && failed == nil {
					failed = fmt.Errorf("%s/%d: %w", t.Topic, p.Partition, err)
				}
			}
		}
	})
	return failed
}
