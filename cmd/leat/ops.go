package main

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/leatstream/leat/connectors/sse"
	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/pipelines"
)

// opsStatus is what GET /v1/ops says: how the workers of the fleet are.
type opsStatus struct {
	Node      string        `json:"node"` // the one that was asked
	At        int64         `json:"at"`   // its clock, epoch ms
	Nodes     []opsNode     `json:"nodes"`
	Pipelines []opsPipeline `json:"pipelines"`
}

type opsPipeline struct {
	Pipeline    string           `json:"pipeline"`
	Generation  int              `json:"generation"`
	Guarantee   string           `json:"guarantee"`
	Tasks       []opsTask        `json:"tasks"`
	DeadLetters *opsDeadLetters  `json:"dead_letters,omitempty"`
	Topology    string           `json:"topology"` // Mermaid
	Graph       *pipelines.Graph `json:"graph,omitempty"`
}

type opsTask struct {
	engine.TaskStatus
	Node string `json:"node"`
}

type opsDeadLetters struct {
	Topic  string          `json:"topic"`
	Count  int64           `json:"count"` // in the topic, all partitions; retention takes old ones
	Recent []opsDeadLetter `json:"recent"`
}

// opsDeadLetter is a dead letter's headers: never its value, which may be
// anything.
type opsDeadLetter struct {
	At        int64  `json:"at"` // epoch ms
	Stage     string `json:"stage"`
	Reason    string `json:"reason"`
	Topic     string `json:"topic"`
	Partition int64  `json:"partition"`
	Offset    int64  `json:"offset"`
	Key       string `json:"key,omitempty"`
}

const (
	maxLetters   = 50
	maxLetterKey = 200 // bytes shown
	lettersEvery = 5 * time.Second
	lettersLimit = 3 * time.Second // for asking the brokers
)

// ops knows how the workers of this process are. The dead letters are asked for
// at most every 5 s, however many pages are open.
type ops struct {
	node, role string
	jobs       []*job
	cluster    engine.Cluster
	mu         sync.Mutex
	at         time.Time
	by         map[engine.Topic]*opsDeadLetters
}

// mine is this node's record.
func (o *ops) mine(ctx context.Context) opsRecord {
	now := time.Now().UnixMilli()
	r := opsRecord{Node: o.node, Role: o.role, Pipelines: []opsPipeline{}}
	letters := o.letters(ctx)
	for _, j := range o.jobs {
		p := opsPipeline{Pipeline: j.topo.Pipeline, Generation: j.topo.Generation, Guarantee: j.topo.Guarantee.String(), Tasks: []opsTask{}, Topology: j.drawn, Graph: j.graph}
		for _, t := range j.worker.Tasks(now) {
			p.Tasks = append(p.Tasks, opsTask{t, o.node})
		}
		if topics := deadLetterTopics(j.topo); len(topics) > 0 {
			p.DeadLetters = letters[topics[0]]
		}
		r.Pipelines = append(r.Pipelines, p)
	}
	return r
}

// deadLetterTopics are a pipeline's, sorted.
func deadLetterTopics(topo *engine.Topology) []engine.Topic {
	var topics []engine.Topic
	for _, sub := range topo.Subs {
		for _, s := range sub.Sources {
			topics = append(topics, s.Errors.Topic)
		}
		for _, n := range sub.Nodes {
			topics = append(topics, n.Errors.Topic)
		}
	}
	slices.Sort(topics)
	return slices.DeleteFunc(slices.Compact(topics), func(t engine.Topic) bool { return t == "" })
}

func (o *ops) letters(ctx context.Context) map[engine.Topic]*opsDeadLetters {
	o.mu.Lock()
	defer o.mu.Unlock()
	if time.Since(o.at) < lettersEvery {
		return o.by
	}
	ctx, cancel := context.WithTimeout(ctx, lettersLimit)
	defer cancel()
	by := map[engine.Topic]*opsDeadLetters{}
	for _, j := range o.jobs {
		for _, topic := range deadLetterTopics(j.topo) {
			if by[topic] != nil {
				continue
			}
			d, err := recentLetters(ctx, o.cluster, topic)
			if err != nil {
				if d = o.by[topic]; d == nil {
					d = &opsDeadLetters{Topic: string(topic), Recent: []opsDeadLetter{}}
				}
			}
			by[topic] = d
		}
	}
	o.at, o.by = time.Now(), by
	return by
}

// recentLetters reads the ends of a dead-letter topic's partitions.
func recentLetters(ctx context.Context, cluster engine.Cluster, topic engine.Topic) (*opsDeadLetters, error) {
	d := &opsDeadLetters{Topic: string(topic), Recent: []opsDeadLetter{}}
	starts, err := cluster.StartOffsets(ctx, topic, engine.Start{})
	if err != nil {
		return nil, err
	}
	ends, err := cluster.EndOffsets(ctx, topic)
	if err != nil {
		return nil, err
	}
	reader, ok := cluster.(sse.Rewinder)
	if !ok {
		return d, nil
	}
	at := map[engine.Partition]engine.Offset{}
	for p, end := range ends {
		d.Count += int64(end - starts[p])
		if end > starts[p] {
			at[p] = max(starts[p], end-maxLetters)
		}
	}
	for len(at) > 0 {
		rows, err := reader.Fetch(ctx, topic, at)
		if err != nil {
			return nil, err
		}
		moved := map[engine.Partition]engine.Offset{}
		for _, r := range rows {
			for i := range r.Len() {
				d.Recent = append(d.Recent, letterOf(r, i))
			}
			if next := max(r.Next, at[r.Partition]); next < ends[r.Partition] && next > at[r.Partition] {
				moved[r.Partition] = next
			}
		}
		at = moved
	}
	slices.SortStableFunc(d.Recent, func(a, b opsDeadLetter) int { return int(b.At - a.At) })
	d.Recent = d.Recent[:min(len(d.Recent), maxLetters)]
	return d, nil
}

func letterOf(r *engine.Rows, i int) opsDeadLetter {
	l := opsDeadLetter{At: r.Times[i], Key: string(r.Keys[i][:min(len(r.Keys[i]), maxLetterKey)])}
	if r.Headers == nil {
		return l
	}
	number := func(b []byte) int64 {
		n, _ := strconv.ParseInt(string(b), 10, 64) // ours; 0 where somebody else wrote
		return n
	}
	for _, h := range r.Headers(i) {
		switch h.Key {
		case "leat.error.stage":
			l.Stage = string(h.Value)
		case "leat.error.reason":
			l.Reason = string(h.Value)
		case "leat.error.topic":
			l.Topic = string(h.Value)
		case "leat.error.partition":
			l.Partition = number(h.Value)
		case "leat.error.offset":
			l.Offset = number(h.Value)
		}
	}
	return l
}
