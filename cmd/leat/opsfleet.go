package main

import (
	"cmp"
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/leatstream/leat/engine"
)

// Operators see the whole fleet on any node: each tells the others how its
// workers are, one record every few seconds, which replaces its last.
//
//	mine ──▶ every 3 s a record ──▶ leat.ops ──▶ others ──▶ GET /v1/ops
//	  └─────────────────── fresh ──────────────────────────────┘
//
// A node that is silent for 15 s is gone: it is listed as such for ten minutes,
// and of its tasks those that no other node has. One that ends in order takes
// its record back.
const (
	opsEvery     = 3 * time.Second
	opsGone      = 15 * time.Second
	opsForgotten = lineKept
	toldLetters  = 10 // dead letters told to others
)

// opsRecord is what a node tells of itself.
type opsRecord struct {
	Node      string        `json:"node"`
	Role      string        `json:"role"` // run, or serve: it has no workers
	Pipelines []opsPipeline `json:"pipelines"`
}

// opsNode is a node in opsStatus.
type opsNode struct {
	Node string `json:"node"`
	Role string `json:"role"`
	Age  int64  `json:"age_ms"` // since it was heard
	Gone bool   `json:"gone"`
}

// opsLine is how nodes tell each other; fleet is one.
type opsLine interface {
	Publish(ctx context.Context, key string, value []byte) error
	hear(ctx context.Context, fn func(key string, value []byte, at time.Time)) error
}

// opsFleet is what is known of all nodes.
type opsFleet struct {
	node string
	line opsLine // nil: this node is alone
	mine func(context.Context) opsRecord
	log  *slog.Logger

	mu     sync.Mutex
	others map[string]heardRecord
}

type heardRecord struct {
	opsRecord
	at time.Time
}

// status is sse.Options.Ops.
func (f *opsFleet) status(ctx context.Context) any {
	mine := f.mine(ctx)
	now := time.Now()
	f.mu.Lock()
	defer f.mu.Unlock()
	all := []heardRecord{{mine, now}}
	for _, node := range slices.Sorted(maps.Keys(f.others)) {
		if r := f.others[node]; now.Sub(r.at) < opsForgotten {
			all = append(all, r)
		} else {
			delete(f.others, node)
		}
	}
	return merged(all, now)
}

// heard takes what a node told; nil: it has ended.
func (f *opsFleet) heard(node string, value []byte, at time.Time) {
	var r opsRecord
	if node == f.node || value != nil && (json.Unmarshal(value, &r) != nil || r.Node != node) {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if value == nil {
		delete(f.others, node)
		return
	}
	f.others[node] = heardRecord{r, at}
}

// run listens and tells until ctx ends, and takes this node's record back.
func (f *opsFleet) run(ctx context.Context) {
	if f.line == nil {
		return
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		for ctx.Err() == nil {
			if err := f.line.hear(ctx, f.heard); err != nil && ctx.Err() == nil {
				f.log.Warn("operators' page: listening to the other nodes again in a moment", "err", err)
			}
			engine.Sleep(ctx, opsEvery)
		}
	})
	for engine.Sleep(ctx, opsEvery) {
		r := f.mine(ctx)
		for i := range r.Pipelines {
			if d := r.Pipelines[i].DeadLetters; d != nil {
				short := *d
				short.Recent = d.Recent[:min(len(d.Recent), toldLetters)]
				r.Pipelines[i].DeadLetters = &short
			}
		}
		b, _ := json.Marshal(r) // plain fields: cannot fail
		f.publish(ctx, b)
	}
	f.publish(context.WithoutCancel(ctx), nil)
}

func (f *opsFleet) publish(ctx context.Context, value []byte) {
	ctx, cancel := context.WithTimeout(ctx, opsEvery)
	defer cancel()
	if err := f.line.Publish(ctx, f.node, value); err != nil && ctx.Err() == nil {
		f.log.Warn("operators' page: the other nodes were not told", "err", err)
	}
}

// told is a pipeline as one node tells it.
type told struct {
	opsPipeline
	node string
	age  time.Duration
}

func (t told) gone() bool { return t.age >= opsGone }

// merged puts the records of nodes together; the first is the node that was
// asked.
func merged(all []heardRecord, now time.Time) opsStatus {
	s := opsStatus{Node: all[0].Node, At: now.UnixMilli(), Pipelines: []opsPipeline{}}
	by := map[string][]told{}
	for _, r := range all {
		age := max(0, now.Sub(r.at))
		s.Nodes = append(s.Nodes, opsNode{r.Node, r.Role, age.Milliseconds(), age >= opsGone})
		for _, p := range r.Pipelines {
			by[p.Pipeline] = append(by[p.Pipeline], told{p, r.Node, age})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(by)) {
		s.Pipelines = append(s.Pipelines, mergedPipeline(by[name]))
	}
	return s
}

// mergedPipeline goes by the newest generation among the nodes that live, else
// among those that are gone. A task that moves is for a moment told by two: who
// spoke last has it.
func mergedPipeline(tellers []told) opsPipeline {
	slices.SortStableFunc(tellers, func(a, b told) int {
		if a.gone() != b.gone() {
			if a.gone() {
				return 1
			}
			return -1
		}
		return cmp.Or(cmp.Compare(b.Generation, a.Generation), cmp.Compare(a.age, b.age))
	})
	p := tellers[0].opsPipeline
	p.Tasks = []opsTask{}
	had := map[string]bool{}
	for _, t := range tellers {
		if t.Generation != p.Generation {
			continue
		}
		if p.DeadLetters == nil {
			p.DeadLetters = t.DeadLetters
		}
		for _, task := range t.Tasks {
			if had[task.Task] {
				continue
			}
			had[task.Task] = true
			if task.Node = t.node; t.gone() {
				task.State, task.Restore = "gone", nil
			}
			p.Tasks = append(p.Tasks, task)
		}
	}
	slices.SortFunc(p.Tasks, func(a, b opsTask) int { return slices.Compare(taskNumbers(a.Task), taskNumbers(b.Task)) })
	return p
}

// taskNumbers orders tasks, "sub-topology/partition".
func taskNumbers(task string) []int {
	sub, part, _ := strings.Cut(task, "/")
	a, _ := strconv.Atoi(sub) // ours; 0 where it is not
	b, _ := strconv.Atoi(part)
	return []int{a, b}
}

var _ opsLine = (*fleet)(nil)
