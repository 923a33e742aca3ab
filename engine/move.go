package engine

import (
	"context"
	"fmt"
)

// PlanSub is what a plan remembers of the tasks of a sub-topology that keeps
// state: its stores, in their order. The meta record is in the changelog of the
// first.
type PlanSub struct {
	Stores []string `json:"stores"`
}

// compareTasks says where the tasks of the plan in force have gone. State moves
// with its task only: a task's stores stand at one place of its inputs, and two
// tasks do not become one, nor one two.
func (p *Plan) compareTasks(r *Comparison, topo *Topology, force *Plan) {
	old := map[string]int{}
	for i, sub := range force.Subs {
		for _, store := range sub.Stores {
			old[store] = i
		}
	}
	heir := map[int]int{} // who takes over the stores of an old sub-topology
	for _, sub := range topo.Subs {
		specs := sub.StoreSpecs()
		if len(specs) == 0 {
			continue
		}
		from := -1
		for _, s := range specs {
			i, kept := old[s.Name]
			if !kept {
				continue
			}
			if from >= 0 && from != i {
				r.apart(p, s.Name, "its rows now meet those of a step whose state stands at another place")
			}
			if to, taken := heir[i]; taken && to != sub.ID {
				r.apart(p, s.Name, "it was made together with the state of another step, and is alone now")
			}
			from, heir[i] = i, sub.ID
		}
		switch {
		case from < 0:
			r.metas = append(r.metas, metaMove{sub: sub})
		case force.Subs[from].Stores[0] != specs[0].Name:
			r.metas = append(r.metas, metaMove{sub: sub, from: force.Subs[from].Stores[0]})
		}
	}
	r.Moves = r.Moves || len(r.metas) > 0
}

// apart makes a store that was kept one to rebuild.
func (r *Comparison) apart(p *Plan, store, why string) {
	for i := range r.Changes {
		if ch := &r.Changes[i]; ch.Part == partStore+store && ch.Becomes != Rebuild {
			ch.Becomes, ch.Why = Rebuild, why
		}
	}
}

// move writes the meta records of tasks whose first store is another one: a
// store that begins in a pipeline that has run begins where the group is.
// Once more is as good as once.
func (p *Plan) move(ctx context.Context, topo *Topology, c Cluster, moves []metaMove) error {
	if len(moves) == 0 {
		return nil
	}
	group, err := c.GroupOffsets(ctx, topo.Group())
	if err != nil {
		return err
	}
	var recs []Record
	for _, m := range moves {
		first := topo.ChangelogTopic(m.sub.StoreSpecs()[0].Name)
		for part := range Partition(p.tasks[m.sub.ID]) {
			meta := m.sub.metaOf(part, group)
			if m.from != "" {
				if meta, err = newestMeta(ctx, c, TopicPartition{topo.ChangelogTopic(m.from), part}); err != nil {
					return err
				}
			}
			if meta != nil {
				recs = append(recs, Record{Topic: first, Partition: part, Key: []byte{changelogMeta}, Value: meta})
			}
		}
	}
	if len(recs) == 0 {
		return nil
	}
	return c.Produce(ctx, recs)
}

// newestMeta is the last meta record of a changelog; nil: none.
func newestMeta(ctx context.Context, c Cluster, tp TopicPartition) (newest []byte, err error) {
	_, err = c.Read(ctx, tp, -1, func(rows *Rows) error {
		for i := range rows.Len() {
			if key := rows.Keys[i]; len(key) > 0 && key[0] == changelogMeta {
				newest = clone(rows.Values[i])
			}
		}
		return nil
	})
	return newest, err
}

// metaOf is the meta of empty state at the group's offsets; nil where the group
// has none.
func (s *SubTopology) metaOf(p Partition, group map[TopicPartition]Committed) []byte {
	m := &taskMeta{}
	for _, src := range s.Sources {
		for _, topic := range src.Topics {
			at, ok := group[TopicPartition{topic, p}]
			if !ok || at.Offset < 0 {
				continue
			}
			om, _ := DecodeOffsetMeta(at.Metadata)
			in := inputMeta{Source: src.Name, Topic: topic, Partition: p, Offset: at.Offset, Watermark: om.Watermark, Idle: om.Idle, First: om.First}
			in.Greatest = om.Greatest[src.Name]
			if w, ok := om.Others[src.Name]; ok {
				in.Watermark = w
			}
			if om.Vector != "" {
				in.Vector = decodeVector(om.Vector)
			}
			m.Inputs = append(m.Inputs, in)
		}
	}
	if m.Inputs == nil {
		return nil
	}
	return m.encode()
}

// alone refuses while somebody runs the pipeline.
func alone(ctx context.Context, topo *Topology, c Cluster) error {
	n, err := c.Members(ctx, topo.Group())
	if err != nil {
		return err
	}
	if n > 0 {
		return E(Incompatible, fmt.Sprintf("start pipeline %q", topo.Pipeline), fmt.Errorf(
			"group %s has %d members, which run the plan in force: stop them first (one that was killed is gone after its session timeout)", topo.Group(), n))
	}
	return nil
}
