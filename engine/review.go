package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Review is what a start of a topology would do to a cluster, found out without
// changing anything: leat plan.
type Review struct {
	Plan    *Plan // nil: there can be none, see Refused
	InForce *Plan // nil: the pipeline has not run here
	Infos   map[Topic]TopicInfo
	Refused []string // why a worker would not start
	Changes []Change
	Running int         // workers' lanes that must stop before a start with this plan
	Keys    []KeyReview // of inputs that must be co-partitioned
}

// KeyReview is what a sample of a topic's keys says of who partitioned it.
type KeyReview struct {
	Topic   Topic   `json:"topic"`
	Family  string  `json:"partitioner,omitempty"` // "": not known
	Samples int     `json:"samples"`
	Wrong   float64 `json:"wrong"` // share of the sample that is elsewhere
}

// MakeReview looks at the cluster. What keeps a worker from starting is in
// Refused; an error is that the cluster could not be asked.
func MakeReview(ctx context.Context, topo *Topology, c Cluster) (*Review, error) {
	r := &Review{}
	var err error
	if r.Infos, err = c.Topics(ctx, topo.topics()...); err != nil {
		return nil, err
	}
	if r.Plan, err = MakePlan(ctx, topo, c); err != nil {
		if !isKind(err, Incompatible) {
			return nil, err
		}
		r.Plan, r.Refused = nil, append(r.Refused, err.Error())
		return r, nil
	}
	if r.InForce, err = PlanInForce(ctx, topo.Pipeline, c); err != nil {
		return nil, err
	}
	diff, err := r.Plan.compare(ctx, topo, c, r.InForce)
	if err != nil {
		return nil, err
	}
	r.Changes, r.Refused = diff.Changes, append(r.Refused, diff.Refused...)
	if diff.Moves {
		if r.Running, err = c.Members(ctx, topo.Group()); err != nil {
			return nil, err
		}
	}
	if err := r.Plan.checkAges(ctx, topo, c, r.Infos, time.Now()); isKind(err, Incompatible) {
		r.Refused = append(r.Refused, err.Error())
	} else if err != nil {
		return nil, err
	}
	keys, apart, err := ReviewKeys(ctx, topo, c)
	r.Keys, r.Refused = keys, append(r.Refused, apart...)
	return r, err
}

func isKind(err error, k Kind) bool {
	var e *Error
	return errors.As(err, &e) && e.Kind == k
}

// ReviewKeys samples the topics that meet others in one sub-topology: equal
// counts do not help where their writers spread keys in different ways. apart
// says which do.
func ReviewKeys(ctx context.Context, topo *Topology, c Cluster) (keys []KeyReview, apart []string, err error) {
	for _, sub := range topo.Subs {
		if len(sub.Sources) < 2 {
			continue
		}
		first := ""
		var firstTopic Topic
		for _, s := range sub.Sources {
			if s.Copies {
				continue // it is everywhere
			}
			for _, topic := range s.Topics {
				k := KeyReview{Topic: topic, Family: Partitioners[0].Name}
				if !s.Repartition {
					m, err := sampleKeys(ctx, c, topic)
					if err != nil {
						return nil, nil, err
					}
					k.Family, k.Samples, k.Wrong = m.Family, m.Samples, m.Wrong
					keys = append(keys, k)
				}
				const enough = 20 // fewer agree with a family by chance
				if k.Family == "" || !s.Repartition && k.Samples < enough {
					continue
				}
				if first != "" && first != k.Family {
					apart = append(apart, fmt.Sprintf("%s and %s meet in one transform, and their writers spread keys in different ways (%s, %s): put a rekey before one of them", firstTopic, topic, first, k.Family))
				}
				if first == "" {
					first, firstTopic = k.Family, topic
				}
			}
		}
	}
	return keys, apart, nil
}

// sampleKeys reads the newest records of some partitions.
func sampleKeys(ctx context.Context, c Cluster, topic Topic) (PartitionerMatch, error) {
	const mostPartitions, mostRecords = 8, 200
	ends, err := c.EndOffsets(ctx, topic)
	if err != nil {
		return PartitionerMatch{}, err
	}
	starts, err := c.StartOffsets(ctx, topic, Start{})
	if err != nil {
		return PartitionerMatch{}, err
	}
	var samples []KeySample
	for i, p := range slices.Sorted(maps.Keys(ends)) {
		if i == mostPartitions {
			break
		}
		from := max(ends[p]-mostRecords, starts[p])
		if from >= ends[p] {
			continue
		}
		_, err := c.Read(ctx, TopicPartition{topic, p}, from, func(rows *Rows) error {
			for _, key := range rows.Keys {
				samples = append(samples, KeySample{Key: clone(key), Partition: p, Of: len(ends)})
			}
			return nil
		})
		if err != nil {
			return PartitionerMatch{}, err
		}
	}
	return MatchPartitioner(samples), nil
}
