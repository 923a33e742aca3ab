package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/leatstream/leat/engine"
	"github.com/twmb/franz-go/pkg/kerr"
)

// Offsets are pending between TxnOffsetCommit and the marker that ends their
// transaction, and whoever asks for stable ones waits. Three things end it:
//
//	the writer's EndTxn        milliseconds; it is a member that commits
//	a new epoch for its id     the next session of the same lane, or somebody who fences it
//	transaction.timeout.ms     with the broker's look every 10 s: up to 20 s by default
//
// The second is not left to chance here: our own id is claimed again where the
// client was to do so later, and ids of the group whose lanes are in it no more
// are fenced.

const (
	pendingStep     = 20 * time.Millisecond // between two asks
	pendingPatience = 500 * time.Millisecond
	pendingAgain    = 2 * time.Second // between two looks at who it is
)

// stable reads the group's offsets of partitions; those that a pending
// transaction may still change are asked for again until ctx ends.
func (s *Session) stable(ctx context.Context, tps []engine.TopicPartition) (map[engine.TopicPartition]engine.Committed, error) {
	began := time.Now()
	look := began.Add(pendingPatience)
	for first := true; ; first = false {
		out, err := offsetsOf(ctx, s.cl, s.sc.Group, tps)
		if !errors.Is(err, kerr.UnstableOffsetCommit) {
			if waited := time.Since(began); waited > pendingPatience && err == nil {
				s.cfg.Logger.Info("kafka: waited for pending offsets", "group", s.sc.Group, "took", waited.Round(time.Millisecond))
			}
			return out, err
		}
		if first {
			s.reclaim(ctx)
		}
		if now := time.Now(); now.After(look) {
			look = now.Add(pendingAgain)
			s.endPending(ctx)
		}
		if !engine.Sleep(ctx, pendingStep) {
			return nil, fmt.Errorf("a transaction with pending offsets does not end: %w", err)
		}
	}
}

// reclaim ends what is left of our own transaction. Where the client could not
// reach the broker it takes an abort for done and means to claim its id again
// with the next transaction; until then the old one is open, and a lane that
// waits for stable offsets before it begins would wait for itself. It costs
// nothing where the client has nothing to claim.
func (s *Session) reclaim(ctx context.Context) {
	if s.txn == nil {
		return
	}
	if _, _, err := s.cl.ProducerID(ctx); err != nil && ctx.Err() == nil {
		s.cfg.Logger.Warn("kafka: claim a transactional id again", "transactional_id", s.sc.TransactionalID, "err", err)
	}
}

// endPending looks who has transactions open, says so, and fences those whose
// lane is not in the group: nobody else would end them. It does so only while
// the group is stable, as only then the broker tells all members' ids; in a
// rebalance its leader fences the dead.
func (s *Session) endPending(ctx context.Context) {
	family := familyOf(s.sc.TransactionalID)
	if family == "" {
		return
	}
	open, err := s.openIn(ctx, family)
	if err != nil {
		s.cfg.Logger.Warn("kafka: look whose offsets are pending", "group", s.sc.Group, "err", err)
		return
	}
	present, known := s.lanesInGroup(ctx)
	var living, dead []string
	for _, id := range open {
		if !known || slices.Contains(present, id) || id == s.sc.TransactionalID {
			living = append(living, id)
		} else {
			dead = append(dead, id)
		}
	}
	s.cfg.Logger.Warn("kafka: offsets are pending", "group", s.sc.Group, "open_transactions_of_members", living, "of_lanes_that_are_gone", dead)
	if len(dead) == 0 {
		return
	}
	fence := s.sc.Fence
	if fence == nil {
		fence = func(ctx context.Context, ids []string) error { return s.cfg.fence(ctx, s.cl, ids) }
	}
	ctx, cancel := context.WithTimeout(ctx, fenceTimeout)
	defer cancel()
	if err := fence(ctx, dead); err != nil {
		s.cfg.Logger.Warn("kafka: fence transactions of dead lanes; they end by timeout instead", "ids", dead, "err", err)
		return
	}
	if s.sc.OnVanished != nil {
		s.sc.OnVanished(dead)
	}
}

// openIn lists the transactional ids of a family that have a transaction open.
func (s *Session) openIn(ctx context.Context, family string) ([]string, error) {
	txns, err := s.adm.ListTransactions(ctx, nil, []string{"Ongoing"})
	if err != nil {
		return nil, err
	}
	var ids []string
	for id, t := range txns {
		if t.State == "Ongoing" && familyOf(id) == family { // old brokers do not filter
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids, nil
}

// lanesInGroup are the transactional ids of the group's members; known is false
// where the broker does not tell them all.
func (s *Session) lanesInGroup(ctx context.Context) (ids []string, known bool) {
	groups, err := s.adm.DescribeGroups(ctx, s.sc.Group)
	g := groups[s.sc.Group]
	if err != nil || g.Err != nil || g.State != "Stable" {
		return nil, false
	}
	for _, m := range g.Members {
		meta, ok := m.Join.AsConsumer()
		if !ok {
			return nil, false
		}
		if id := idIn(meta.UserData); id != "" {
			ids = append(ids, id)
		}
	}
	return ids, true
}

// familyOf is the part of a transactional id, <pipeline>.<generation>.<worker
// id>.<lane>, that all lanes of a group share; "" where it has no such form.
func familyOf(id string) string {
	for range 2 {
		i := strings.LastIndexByte(id, '.')
		if i < 0 {
			return ""
		}
		id = id[:i]
	}
	return id
}
