package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/leatstream/leat/engine"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// StartOffsets resolves where a source begins to exact offsets. A timestamp
// beyond the log's end gives the end.
func (c *Cluster) StartOffsets(ctx context.Context, topic engine.Topic, start engine.Start) (map[engine.Partition]engine.Offset, error) {
	list := c.adm.ListStartOffsets
	switch {
	case start.At > 0:
		list = func(ctx context.Context, topics ...string) (kadm.ListedOffsets, error) {
			return c.adm.ListOffsetsAfterMilli(ctx, start.At, topics...)
		}
	case start.Latest:
		list = c.adm.ListEndOffsets
	}
	return c.listed(ctx, topic, list)
}

// EndOffsets gives the high watermarks (read uncommitted).
func (c *Cluster) EndOffsets(ctx context.Context, topic engine.Topic) (map[engine.Partition]engine.Offset, error) {
	return c.listed(ctx, topic, c.adm.ListEndOffsets)
}

func (c *Cluster) listed(ctx context.Context, topic engine.Topic, list func(context.Context, ...string) (kadm.ListedOffsets, error)) (map[engine.Partition]engine.Offset, error) {
	op := fmt.Sprintf("list offsets of %q", topic)
	ls, err := list(ctx, string(topic))
	if err != nil {
		return nil, c.cfg.fail(op, err)
	}
	out := make(map[engine.Partition]engine.Offset, len(ls[string(topic)]))
	for p, l := range ls[string(topic)] {
		if l.Err != nil {
			return nil, c.cfg.fail(op, l.Err)
		}
		out[engine.Partition(p)] = engine.Offset(l.Offset)
	}
	if len(out) == 0 {
		return nil, c.cfg.fail(op, ErrTopicMissing)
	}
	return out, nil
}

// LogStart is the first offset of the partition.
func (c *Cluster) LogStart(ctx context.Context, tp engine.TopicPartition) (engine.Offset, error) {
	got, err := listOffsets(ctx, c.cl, []engine.TopicPartition{tp}, -2)
	if err != nil {
		return 0, c.cfg.fail(fmt.Sprintf("ask for the log start of %s/%d", tp.Topic, tp.Partition), err)
	}
	return got[tp], nil
}

// listOffsets asks the leaders for one kind of offset (-2 the log's start, -1
// its end, read uncommitted) of some partitions.
func listOffsets(ctx context.Context, cl *kgo.Client, tps []engine.TopicPartition, kind int64) (map[engine.TopicPartition]engine.Offset, error) {
	req := kmsg.NewPtrListOffsetsRequest()
	req.ReplicaID = -1
	at := make(map[engine.Topic]int)
	for _, tp := range tps {
		i, ok := at[tp.Topic]
		if !ok {
			i = len(req.Topics)
			at[tp.Topic] = i
			t := kmsg.NewListOffsetsRequestTopic()
			t.Topic = string(tp.Topic)
			req.Topics = append(req.Topics, t)
		}
		p := kmsg.NewListOffsetsRequestTopicPartition()
		p.Partition, p.CurrentLeaderEpoch, p.Timestamp = int32(tp.Partition), -1, kind
		req.Topics[i].Partitions = append(req.Topics[i].Partitions, p)
	}
	resp, err := req.RequestWith(ctx, cl)
	if err != nil {
		return nil, err
	}
	out := make(map[engine.TopicPartition]engine.Offset, len(tps))
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				return nil, fmt.Errorf("%s/%d: %w", t.Topic, p.Partition, err)
			}
			out[engine.TopicPartition{Topic: engine.Topic(t.Topic), Partition: engine.Partition(p.Partition)}] = engine.Offset(p.Offset)
		}
	}
	for _, tp := range tps {
		if _, ok := out[tp]; !ok {
			return nil, fmt.Errorf("%s/%d: %w", tp.Topic, tp.Partition, kerr.UnknownTopicOrPartition)
		}
	}
	return out, nil
}

// GroupOffsets reads all committed offsets of a group, waiting for pending
// transactions. A group that does not exist has none.
func (c *Cluster) GroupOffsets(ctx context.Context, group string) (map[engine.TopicPartition]engine.Committed, error) {
	got, err := stableOffsets(ctx, c.adm, group)
	if err != nil {
		return nil, c.cfg.fail(fmt.Sprintf("read the offsets of group %q", group), err)
	}
	return got, nil
}

// Members counts the members of a group. A group that does not exist has none.
func (c *Cluster) Members(ctx context.Context, group string) (int, error) {
	got, err := c.adm.DescribeGroups(ctx, group)
	if err == nil {
		err = got[group].Err
	}
	if errors.Is(err, kerr.GroupIDNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, c.cfg.fail(fmt.Sprintf("ask for the members of group %q", group), err)
	}
	return len(got[group].Members), nil
}

// stableOffsets reads a group's offsets; those that a pending transaction may
// still change are asked for again until ctx ends.
func stableOffsets(ctx context.Context, adm *kadm.Client, group string) (map[engine.TopicPartition]engine.Committed, error) {
	for {
		out, err := groupOffsets(kadm.RequireStable(ctx), adm, group)
		if !errors.Is(err, kerr.UnstableOffsetCommit) {
			return out, err
		}
		if !engine.Sleep(ctx, 50*time.Millisecond) {
			return nil, fmt.Errorf("a transaction with pending offsets does not end: %w", err)
		}
	}
}

// groupOffsets reads a group's offsets as they are. It is not told of partitions
// without a committed offset, and so of none whose first one is pending: where
// the partitions are known, ask with offsetsOf.
func groupOffsets(ctx context.Context, adm *kadm.Client, group string) (map[engine.TopicPartition]engine.Committed, error) {
	out := make(map[engine.TopicPartition]engine.Committed)
	rs, err := adm.FetchOffsets(ctx, group)
	if errors.Is(err, kerr.GroupIDNotFound) {
		return out, nil
	}
	if err != nil {
		return nil, err
	}
	for topic, ps := range rs {
		for p, r := range ps {
			if r.Err != nil {
				return nil, fmt.Errorf("%s/%d: %w", topic, p, r.Err)
			}
			if r.At >= 0 {
				tp := engine.TopicPartition{Topic: engine.Topic(topic), Partition: engine.Partition(p)}
				out[tp] = engine.Committed{Offset: engine.Offset(r.At), Metadata: r.Metadata}
			}
		}
	}
	return out, nil
}

// offsetsOf reads a group's stable offsets of partitions, asked for by name: a
// first offset that is pending is UnstableOffsetCommit, too.
func offsetsOf(ctx context.Context, cl *kgo.Client, group string, tps []engine.TopicPartition) (map[engine.TopicPartition]engine.Committed, error) {
	out := make(map[engine.TopicPartition]engine.Committed, len(tps))
	if len(tps) == 0 {
		return out, nil // a request that names none asks for all
	}
	g := kmsg.NewOffsetFetchRequestGroup()
	g.Group = group
	at := make(map[engine.Topic]int)
	for _, tp := range tps {
		i, ok := at[tp.Topic]
		if !ok {
			i = len(g.Topics)
			at[tp.Topic] = i
			t := kmsg.NewOffsetFetchRequestGroupTopic()
			t.Topic = string(tp.Topic)
			g.Topics = append(g.Topics, t)
		}
		g.Topics[i].Partitions = append(g.Topics[i].Partitions, int32(tp.Partition))
	}
	req := kmsg.NewPtrOffsetFetchRequest()
	req.RequireStable = true
	req.Groups = append(req.Groups, g)
	resp, err := req.RequestWith(ctx, cl)
	if err == nil {
		err = kerr.ErrorForCode(resp.ErrorCode)
	}
	if err == nil && len(resp.Groups) != 1 {
		err = fmt.Errorf("the answer is for %d groups", len(resp.Groups))
	}
	if err == nil {
		err = kerr.ErrorForCode(resp.Groups[0].ErrorCode)
	}
	if errors.Is(err, kerr.GroupIDNotFound) {
		return out, nil
	}
	if err != nil {
		return nil, err
	}
	told := 0
	for _, t := range resp.Groups[0].Topics {
		for _, p := range t.Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				return nil, fmt.Errorf("%s/%d: %w", t.Topic, p.Partition, err)
			}
			told++
			if p.Offset >= 0 {
				c := engine.Committed{Offset: engine.Offset(p.Offset)}
				if p.Metadata != nil {
					c.Metadata = *p.Metadata
				}
				out[engine.TopicPartition{Topic: engine.Topic(t.Topic), Partition: engine.Partition(p.Partition)}] = c
			}
		}
	}
	if told < len(tps) { // or a partition would start over
		return nil, fmt.Errorf("the answer has %d partitions of %d", told, len(tps))
	}
	return out, nil
}

// DeleteRecords purges partitions below an offset.
func (c *Cluster) DeleteRecords(ctx context.Context, below map[engine.TopicPartition]engine.Offset) error {
	if len(below) == 0 {
		return nil
	}
	var os kadm.Offsets
	for tp, o := range below {
		os.AddOffset(string(tp.Topic), int32(tp.Partition), int64(o), -1)
	}
	rs, err := c.adm.DeleteRecords(ctx, os)
	if err == nil {
		err = rs.Error()
	}
	return c.cfg.fail("delete records", err)
}
