package engine

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Plan is what a topology becomes on a cluster: how many tasks there are, how
// many partitions each topic has. The plan in force is kept in the compacted
// topic <pipeline>.meta; a worker whose plan does not fit it does not start.
type Plan struct {
	Version     int               `json:"v"`
	Fingerprint string            `json:"fingerprint"`
	Generation  int               `json:"generation"`
	Tasks       map[string]int    `json:"tasks"`            // by sub-topology, named by its first source
	Partitions  map[Topic]int     `json:"partitions"`       // of every topic read or written
	Stores      map[string]string `json:"stores"`           // name to form: single
	Prints      map[string]string `json:"prints,omitempty"` // store to fingerprint
	Parts       map[string]Part   `json:"parts,omitempty"`  // what state and internal topics were made for
	Subs        []PlanSub         `json:"subs,omitempty"`   // those that keep state
	Void        bool              `json:"void,omitempty"`   // reset: the next start begins the generation
	Views       []ViewSpec        `json:"views,omitempty"`
	Alerts      []string          `json:"alerts,omitempty"` // sinks that push to browsers
	Dashboard   json.RawMessage   `json:"dashboard,omitempty"`

	tasks  []int // by sub-topology id
	create []TopicSpec
	limits map[Topic]Limits
}

// MetaTopic is the pipeline's meta topic.
func (t *Topology) MetaTopic() Topic { return metaTopic(t.Pipeline) }

func metaTopic(pipeline string) Topic { return Topic(pipeline + ".meta") }

// PlanInForce is the plan of a pipeline that has run on the cluster; nil: it
// has not.
func PlanInForce(ctx context.Context, pipeline string, c Cluster) (*Plan, error) {
	meta := metaTopic(pipeline)
	infos, err := c.Topics(ctx, meta)
	if err != nil || !infos[meta].Exists {
		return nil, err
	}
	return ReadPlan(ctx, meta, c)
}

// planKey is the key of the plan in the meta topic.
const planKey = "plan"

// ErrNoTopic marks a source topic that does not exist.
var ErrNoTopic = errors.New("topic does not exist")

// MakePlan looks at the cluster and plans: it changes nothing. Source topics
// must exist; what is missing of the others is in Missing.
func MakePlan(ctx context.Context, topo *Topology, c Cluster) (*Plan, error) {
	p := &Plan{Version: 1, Fingerprint: topo.Fingerprint, Generation: topo.Generation, Tasks: map[string]int{}, Partitions: map[Topic]int{},
		Stores: map[string]string{}, Prints: map[string]string{}, Parts: topo.Parts, Views: topo.Views, Alerts: topo.Alerts, Dashboard: topo.Dashboard, limits: map[Topic]Limits{}}
	names := topo.topics()
	infos, err := c.Topics(ctx, names...)
	if err != nil {
		return nil, err
	}
	if err := topo.Check(); err != nil {
		return nil, err
	}
	p.tasks = make([]int, len(topo.Subs))
	for i, sub := range topo.Subs {
		for _, s := range sub.Sources {
			for _, topic := range s.Topics {
				if s.Repartition {
					continue
				}
				info := infos[topic]
				if !info.Exists {
					return nil, missingTopic(ctx, c, topic)
				}
				p.Partitions[topic] = info.Partitions
				if n := p.tasks[i]; n != 0 && n != info.Partitions {
					return nil, E(Incompatible, fmt.Sprintf("plan source %q", s.Name),
						fmt.Errorf("topic %s has %d partitions where its sibling has %d: inputs of one transform must have equal counts", topic, info.Partitions, n))
				}
				p.tasks[i] = info.Partitions
			}
		}
	}
	p.inner(topo)
	for i, sub := range topo.Subs {
		p.Tasks[sub.Sources[0].Name] = p.tasks[i]
		p.outputs(topo, sub, p.tasks[i], infos)
		if specs := sub.StoreSpecs(); len(specs) > 0 {
			var kept PlanSub
			for _, s := range specs {
				kept.Stores = append(kept.Stores, s.Name)
			}
			p.Subs = append(p.Subs, kept)
		}
	}
	for _, spec := range p.create {
		if spec.MustExist {
			return nil, notCreated(ctx, c, spec)
		}
	}
	return p, p.check(infos)
}

// inner counts the tasks of sub-topologies that read repartition topics only,
// as many as the largest that writes them has, and the partitions of all
// repartition topics: as many as their reader has tasks. Sub-topologies may
// write to each other in a circle.
func (p *Plan) inner(topo *Topology) {
	for counted := true; counted; {
		counted = false
		for _, whole := range []bool{true, false} { // first those all of whose writers are counted
			for i, sub := range topo.Subs {
				if p.tasks[i] != 0 || counted && !whole {
					continue
				}
				n, all := 0, true
				for _, s := range sub.Sources {
					if s.Copies {
						continue // it fits any number
					}
					n = max(n, p.tasks[s.Upstream])
					all = all && p.tasks[s.Upstream] != 0
				}
				if n > 0 && (all || !whole) {
					p.tasks[i], counted = n, true
				}
			}
		}
	}
	for i, sub := range topo.Subs {
		for _, s := range sub.Sources {
			for _, topic := range s.Topics {
				if s.Repartition {
					p.Partitions[topic] = p.tasks[i]
				}
			}
		}
	}
}

// outputs plans the topics that a sub-topology of n tasks writes.
func (p *Plan) outputs(topo *Topology, sub *SubTopology, n int, infos map[Topic]TopicInfo) {
	add := func(spec TopicSpec) {
		if spec.Topic == "" {
			return
		}
		if at, ok := p.Partitions[spec.Topic]; ok && strings.HasSuffix(string(spec.Topic), ".repartition") {
			spec.Partitions = at // its reader's
		} else if spec.Partitions == 0 {
			spec.Partitions = n
		}
		if info := infos[spec.Topic]; info.Exists {
			// An internal topic must have what the plan says; a sink's has what it has.
			if !internalTopic(spec.Topic) {
				spec.Partitions = info.Partitions
			}
			p.Partitions[spec.Topic] = spec.Partitions
			p.limits[spec.Topic] = limitsOf(info)
			return
		}
		if i := slices.IndexFunc(p.create, func(s TopicSpec) bool { return s.Topic == spec.Topic }); i >= 0 {
			p.create[i].MustExist = p.create[i].MustExist || spec.MustExist
			return
		}
		p.Partitions[spec.Topic] = spec.Partitions
		p.create = append(p.create, spec)
	}
	for _, s := range sub.Sources {
		add(TopicSpec{Topic: s.Errors.Topic})
	}
	for _, node := range sub.Nodes {
		for _, spec := range node.Outputs {
			if !spec.Topic.IsLocal() {
				add(spec)
			}
		}
		add(TopicSpec{Topic: node.Errors.Topic})
		for _, st := range node.Stores {
			p.Stores[st.Name], p.Prints[st.Name] = "single", st.Fingerprint
			add(TopicSpec{Topic: topo.ChangelogTopic(st.Name), Partitions: n, Configs: ChangelogConfigs()})
		}
	}
}

// check compares internal topics that exist with what the plan needs.
func (p *Plan) check(infos map[Topic]TopicInfo) error {
	for topic, info := range infos {
		if !info.Exists || !internalTopic(topic) {
			continue
		}
		s, want := string(topic), p.Partitions[topic]
		if info.Partitions != want {
			if strings.HasSuffix(s, ".view") {
				return E(Incompatible, "plan", fmt.Errorf("the topic of a live view, %s, has %d partitions and the plan needs %d: the source's partition count has changed; delete the topic, its rows are made anew", topic, info.Partitions, want))
			}
			return E(Incompatible, "plan", fmt.Errorf("%w: internal topic %s has %d partitions and the plan needs %d: the source's partition count has changed"+WayOut, ErrOtherState, topic, info.Partitions, want))
		}
		if strings.HasSuffix(s, ".changelog") && info.Configs["cleanup.policy"] != "" && info.Configs["cleanup.policy"] != "compact" {
			return E(Incompatible, "plan", fmt.Errorf("changelog %s has cleanup.policy=%s, state would delete itself; it must be compact", topic, info.Configs["cleanup.policy"]))
		}
	}
	return nil
}

func internalTopic(t Topic) bool {
	s := string(t)
	return strings.HasSuffix(s, ".changelog") || strings.HasSuffix(s, ".view") || strings.HasSuffix(s, ".repartition")
}

// ChangelogConfigs are the settings of changelogs and of the meta topic: of
// each key the newest record is kept for ever.
func ChangelogConfigs() map[string]string {
	return map[string]string{"cleanup.policy": "compact", "message.timestamp.type": "LogAppendTime"}
}

// Missing lists the topics that will be created.
func (p *Plan) Missing() []TopicSpec { return p.create }

// topics lists every topic of the topology once.
func (t *Topology) topics() []Topic {
	seen := map[Topic]bool{t.MetaTopic(): true}
	for _, sub := range t.Subs {
		for _, s := range sub.Sources {
			for _, topic := range s.Topics {
				seen[topic] = true
			}
			seen[s.Errors.Topic] = true
		}
		for _, n := range sub.Nodes {
			for _, o := range n.Outputs {
				seen[o.Topic] = !o.Topic.IsLocal()
			}
			seen[n.Errors.Topic] = true
			for _, st := range n.Stores {
				seen[t.ChangelogTopic(st.Name)] = true
			}
		}
	}
	var names []Topic
	for topic, real := range seen {
		if real && topic != "" {
			names = append(names, topic)
		}
	}
	slices.Sort(names)
	return names
}

// SourceTopics lists the topics that come from outside.
func (t *Topology) SourceTopics() []Topic {
	var names []Topic
	for _, sub := range t.Subs {
		for _, s := range sub.Sources {
			if !s.Repartition {
				names = append(names, s.Topics...)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// inputTopics lists all topics that tasks read.
func (t *Topology) inputTopics() []Topic {
	var names []Topic
	for _, sub := range t.Subs {
		for _, s := range sub.Sources {
			names = append(names, s.Topics...)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func missingTopic(ctx context.Context, c Cluster, topic Topic) error {
	return E(Environment, fmt.Sprintf("read topic %q", topic), fmt.Errorf("%w%s", ErrNoTopic, similar(ctx, c, topic)))
}

// notCreated says what a topic that is missing would have been made with.
func notCreated(ctx context.Context, c Cluster, spec TopicSpec) error {
	settings := "the broker's own settings"
	if len(spec.Configs) > 0 {
		var set []string
		for _, key := range slices.Sorted(maps.Keys(spec.Configs)) {
			set = append(set, key+"="+spec.Configs[key])
		}
		settings = strings.Join(set, " ")
	}
	return E(Environment, fmt.Sprintf("write topic %q", spec.Topic), fmt.Errorf(
		"%w%s, and with create: false it is not made: it would have %d partitions and %s", ErrNoTopic, similar(ctx, c, spec.Topic), spec.Partitions, settings))
}

// similar names topics that are called much like one that does not exist.
func similar(ctx context.Context, c Cluster, topic Topic) string {
	if all, err := c.AllTopics(ctx); err == nil {
		if near := nearest(string(topic), all); len(near) > 0 {
			return " (there is " + strings.Join(near, ", ") + ")"
		}
	}
	return ""
}

// nearest lists up to three names that are like name.
func nearest(name string, all []Topic) []string {
	type scored struct {
		name string
		d    int
	}
	var near []scored
	for _, t := range all {
		if d := Distance(name, string(t)); d <= max(2, len(name)/3) {
			near = append(near, scored{string(t), d})
		}
	}
	slices.SortFunc(near, func(a, b scored) int { return cmp.Or(a.d-b.d, strings.Compare(a.name, b.name)) })
	var names []string
	for _, n := range near[:min(3, len(near))] {
		names = append(names, n.name)
	}
	return names
}

func limitsOf(info TopicInfo) Limits {
	num := func(key string) int64 {
		n, _ := strconv.ParseInt(info.Configs[key], 10, 64)
		return n
	}
	return Limits{MaxBytes: int(num("max.message.bytes")), BeforeMax: num("message.timestamp.before.max.ms"),
		AfterMax: num("message.timestamp.after.max.ms"), LogAppendTime: info.Configs["message.timestamp.type"] == "LogAppendTime"}
}

// Enforce creates what is missing, compares with the plan in force, brings state
// to where this plan looks for it, and writes the plan when it is new. A plan
// that does not fit is refused with kind Incompatible before anything changes.
func (p *Plan) Enforce(ctx context.Context, topo *Topology, c Cluster) (created []Topic, err error) {
	meta := topo.MetaTopic()
	if created, err = c.CreateTopics(ctx, []TopicSpec{{Topic: meta, Partitions: 1, Configs: ChangelogConfigs()}}); err != nil {
		return nil, err
	}
	force, err := ReadPlan(ctx, meta, c)
	if err != nil {
		return nil, err
	}
	diff, err := p.compare(ctx, topo, c, force)
	if err != nil {
		return nil, err
	}
	if len(diff.Refused) > 0 {
		return nil, E(Incompatible, fmt.Sprintf("start pipeline %q", topo.Pipeline), fmt.Errorf("%w: %s (leat plan shows what changed)", ErrOtherState, strings.Join(diff.Refused, "; ")))
	}
	if diff.Moves {
		if err := alone(ctx, topo, c); err != nil {
			return nil, err
		}
	}
	more, err := c.CreateTopics(ctx, p.create)
	if err != nil {
		return nil, err
	}
	created = append(created, more...)
	infos, err := c.Topics(ctx, topo.topics()...)
	if err != nil {
		return nil, err
	}
	for topic, info := range infos {
		if info.Exists && p.limits[topic] == (Limits{}) {
			p.limits[topic] = limitsOf(info)
		}
	}
	if err := p.checkAges(ctx, topo, c, infos, time.Now()); err != nil {
		return nil, err
	}
	if err := p.move(ctx, topo, c, diff.metas); err != nil {
		return nil, err
	}
	value, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("encode plan: %w", err)
	}
	if force != nil {
		if old, _ := json.Marshal(force); string(old) == string(value) {
			return created, nil
		}
	}
	return created, c.Produce(ctx, []Record{{Topic: meta, Key: []byte(planKey), Value: value}})
}

// checkAges refuses to write results that their topic would delete at once:
// retention counts from the timestamps of records, and those of results are
// event times. Rows still to be read that are older than the shortest
// retention are what it looks for.
func (p *Plan) checkAges(ctx context.Context, topo *Topology, c Cluster, infos map[Topic]TopicInfo, now time.Time) error {
	var shortest int64
	var sink string
	var topic Topic
	for _, sub := range topo.Subs {
		for _, n := range sub.Nodes {
			if !n.EventStamps {
				continue
			}
			for _, o := range n.Outputs {
				ms, err := strconv.ParseInt(infos[o.Topic].Configs["retention.ms"], 10, 64)
				deletes := strings.Contains(infos[o.Topic].Configs["cleanup.policy"], "delete")
				if err == nil && ms > 0 && deletes && !p.limits[o.Topic].LogAppendTime && (shortest == 0 || ms < shortest) {
					shortest, sink, topic = ms, n.Name, o.Topic
				}
			}
		}
	}
	if shortest == 0 {
		return nil
	}
	group, err := c.GroupOffsets(ctx, topo.Group())
	if err != nil {
		return err
	}
	for _, s := range topo.SourceSpecs() {
		for _, t := range s.Topics {
			from, err := c.StartOffsets(ctx, t, s.Start)
			if err != nil {
				return err
			}
			kept, err := c.StartOffsets(ctx, t, Start{At: now.UnixMilli() - shortest})
			if err != nil {
				return err
			}
			for part, at := range from {
				if g, ok := group[TopicPartition{t, part}]; ok && g.Offset >= 0 {
					at = g.Offset
				}
				if at < kept[part] {
					return E(Incompatible, fmt.Sprintf("plan sink %q", sink), fmt.Errorf(
						"topic %s keeps records for %s, and %s has older rows to read: their results would be deleted at once. "+
							"Choose: timestamp: now on the sink (event time then in a header), a longer retention.ms, or start: later", topic, time.Duration(shortest)*time.Millisecond, t))
				}
			}
		}
	}
	return nil
}

// ReadPlan reads the plan in force; nil where there is none.
func ReadPlan(ctx context.Context, meta Topic, c Cluster) (*Plan, error) {
	var newest []byte
	_, err := c.Read(ctx, TopicPartition{meta, 0}, -1, func(r *Rows) error {
		for i := range r.Len() {
			if string(r.Keys[i]) == planKey {
				newest = clone(r.Values[i])
			}
		}
		return nil
	})
	if err != nil || newest == nil {
		return nil, err
	}
	p := new(Plan)
	if err := json.Unmarshal(newest, p); err != nil {
		return nil, E(Incompatible, fmt.Sprintf("read the plan in %s", meta), err)
	}
	return p, nil
}
