package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Reset makes the next start a new generation: new internal topics and a new
// group, so that all is computed anew from where the sources start. Rows of
// live views go, results in sinks' topics stay and come again. Nobody may run
// the pipeline; the topics of the old generation are left.
func Reset(ctx context.Context, pipeline string, c Cluster) (generation int, err error) {
	force, err := PlanInForce(ctx, pipeline, c)
	if err != nil {
		return 0, err
	}
	if force == nil {
		return 0, E(Environment, fmt.Sprintf("reset pipeline %q", pipeline), fmt.Errorf("it has not run here: %s has no plan", metaTopic(pipeline)))
	}
	if err := alone(ctx, &Topology{Pipeline: pipeline, Generation: force.Generation}, c); err != nil {
		return 0, err
	}
	for _, v := range force.Views {
		if err := clearView(ctx, c, v.Topic); err != nil {
			return 0, err
		}
	}
	next := *force
	next.Generation++
	next.Void, next.Fingerprint, next.Parts, next.Subs, next.Stores, next.Prints = true, "", nil, nil, nil, nil
	next.Views = slices.Clone(force.Views)
	for i := range next.Views {
		next.Views[i].Generation = next.Generation
	}
	value, err := json.Marshal(&next)
	if err != nil {
		return 0, fmt.Errorf("encode plan: %w", err)
	}
	return next.Generation, c.Produce(ctx, []Record{{Topic: metaTopic(pipeline), Key: []byte(planKey), Value: value}})
}

// clearView deletes the rows of a view, as those of the next generation need
// not have the same keys.
func clearView(ctx context.Context, c Cluster, topic Topic) error {
	infos, err := c.Topics(ctx, topic)
	if err != nil || !infos[topic].Exists {
		return err
	}
	for p := range Partition(infos[topic].Partitions) {
		rows := map[string]bool{}
		_, err := c.Read(ctx, TopicPartition{topic, p}, -1, func(r *Rows) error {
			for i := range r.Len() {
				if r.Values[i] == nil {
					delete(rows, string(r.Keys[i]))
				} else if r.Keys[i] != nil {
					rows[string(r.Keys[i])] = true
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		var recs []Record
		for key := range rows {
			recs = append(recs, Record{Topic: topic, Partition: p, Key: []byte(key)})
		}
		slices.SortFunc(recs, func(a, b Record) int { return strings.Compare(string(a.Key), string(b.Key)) })
		if len(recs) > 0 {
			if err := c.Produce(ctx, recs); err != nil {
				return err
			}
		}
	}
	return nil
}
