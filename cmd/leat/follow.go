package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/leatstream/leat/connectors/sse"
	"github.com/leatstream/leat/connectors/sse/access"
	"github.com/leatstream/leat/engine"
)

// lookAgain is how often the plans in force are looked at: so long it takes
// until a new pipeline, or a new view of one, is served.
const lookAgain = 5 * time.Second

// shows is what the follower does with views; a hub is one.
type shows interface {
	Add(v engine.ViewSpec, dashboard []byte, title string)
	Remove(name string)
	Alerts(pipeline, title string, sinks []string)
}

// follower finds out which views there are: those of the plans that leat run
// keeps in the topics <pipeline>.meta. It looks at the ends of those topics and
// reads one again when its end has moved.
type follower struct {
	cluster engine.Cluster
	hub     shows
	check   func(engine.ViewSpec) error // what is wrong with a view's row filter
	only    []string                    // pipelines; nil: all of the cluster
	log     *slog.Logger

	seen map[engine.Topic]metaSeen

	mu      sync.Mutex
	missing []string // why this node does not know all views yet
}

// metaSeen is a meta topic as it was read.
type metaSeen struct {
	id    string
	end   engine.Offset
	views []string
}

func newFollower(c engine.Cluster, hub shows, gate *access.Gate, only []string, log *slog.Logger) *follower {
	return &follower{cluster: c, hub: hub, check: func(v engine.ViewSpec) error { return checkRows(gate, v) }, only: only, log: log,
		seen: map[engine.Topic]metaSeen{}, missing: []string{"plans: not read yet"}}
}

// hubShows is a hub for the follower.
type hubShows struct {
	hub  *sse.Hub
	push *push // nil: no web push
	log  *slog.Logger
}

func (h hubShows) Add(v engine.ViewSpec, dashboard []byte, title string) {
	h.hub.Add(v, dashboard, title)
}
func (h hubShows) Remove(name string) { h.hub.Remove(name) }

// Alerts gives a pipeline whose alerts are pushed a page on which browsers ask for
// them, also where it has no view; without sinks the page goes.
func (h hubShows) Alerts(pipeline, title string, sinks []string) {
	switch {
	case h.push != nil:
		h.push.keep(pipeline, sinks)
		h.hub.AddAlerts(pipeline, title, sinks)
	case len(sinks) > 0:
		h.log.Warn("nobody can ask for these alerts here: web push needs alerts.push in leat.yaml, as leat run has it", "pipeline", pipeline, "sinks", strings.Join(sinks, " "))
	}
}

// run looks until ctx ends.
func (f *follower) run(ctx context.Context) error {
	t := time.NewTicker(lookAgain)
	defer t.Stop()
	for {
		if err := f.look(ctx); err != nil && ctx.Err() == nil {
			f.log.Warn("look for views: again in a moment", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
	}
}

// lacks says why not all views are known yet; nil: they are.
func (f *follower) lacks() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.missing
}

// look reads the plans that have changed.
func (f *follower) look(ctx context.Context) error {
	topics, err := f.topics(ctx)
	if err != nil {
		return err
	}
	infos, err := f.cluster.Topics(ctx, topics...)
	if err != nil {
		return fmt.Errorf("describe the meta topics: %w", err)
	}
	var missing []string
	var failed error
	for _, topic := range topics {
		name := strings.TrimSuffix(string(topic), metaSuffix)
		info := infos[topic]
		if !info.Exists {
			f.forget(topic, nil)
			missing = append(missing, name+": no plan: leat run has not started it here")
			continue
		}
		if info.Partitions != 1 {
			continue // somebody else's topic of such a name
		}
		found, err := f.read(ctx, topic, name, info.ID)
		failed = errors.Join(failed, err)
		if err != nil || !found && f.only != nil {
			missing = append(missing, name+": its plan was not read yet")
		}
	}
	for topic := range f.seen {
		if !slices.Contains(topics, topic) {
			f.forget(topic, nil)
		}
	}
	if len(topics) == 0 {
		missing = append(missing, "no pipeline has run on this cluster yet")
	}
	f.mu.Lock()
	f.missing = missing
	f.mu.Unlock()
	return failed
}

const metaSuffix = ".meta"

func (f *follower) topics(ctx context.Context) ([]engine.Topic, error) {
	var topics []engine.Topic
	for _, name := range f.only {
		topics = append(topics, engine.Topic(name+metaSuffix))
	}
	if f.only != nil {
		return topics, nil
	}
	all, err := f.cluster.AllTopics(ctx)
	if err != nil {
		return nil, fmt.Errorf("list topics: %w", err)
	}
	for _, t := range all {
		if strings.HasSuffix(string(t), metaSuffix) {
			topics = append(topics, t)
		}
	}
	return topics, nil
}

// read takes a pipeline's plan over, where it has changed.
func (f *follower) read(ctx context.Context, topic engine.Topic, name, id string) (found bool, err error) {
	ends, err := f.cluster.EndOffsets(ctx, topic)
	if err != nil {
		return false, fmt.Errorf("read the end of %s: %w", topic, err)
	}
	seen, known := f.seen[topic]
	if known && seen.id == id && seen.end == ends[0] {
		return true, nil
	}
	plan, err := engine.ReadPlan(ctx, topic, f.cluster)
	if err != nil {
		return false, err
	}
	if plan == nil {
		f.seen[topic] = metaSeen{id: id, end: ends[0], views: seen.views}
		return false, nil
	}
	title := (&engine.Topology{Pipeline: name, Dashboard: plan.Dashboard}).Title()
	var views []string
	for _, v := range plan.Views {
		if !ofPipeline(v, name) {
			f.log.Error("a plan names a view that is not its own: left out", "topic", string(topic), "view", v.Name, "view_topic", string(v.Topic))
			continue
		}
		if err := f.check(v); err != nil {
			f.log.Error("nobody sees a row of this view until its row filter is mended", "view", v.Name, "err", err)
		}
		f.hub.Add(v, plan.Dashboard, title)
		views = append(views, v.Name)
	}
	f.forget(topic, views)
	f.hub.Alerts(name, title, plan.Alerts)
	f.seen[topic] = metaSeen{id: id, end: ends[0], views: views}
	f.log.Info("views of a pipeline", "pipeline", name, "generation", plan.Generation, "views", strings.Join(views, " "), "alerts", strings.Join(plan.Alerts, " "))
	return true, nil
}

// ofPipeline: who may write to one meta topic must not be able to show other
// topics, nor to put rows under another pipeline's name and so under the rules
// for those who may read it.
func ofPipeline(v engine.ViewSpec, pipeline string) bool {
	return v.Pipeline == pipeline && v.Name == pipeline+"/"+v.Sink && string(v.Topic) == pipeline+"."+v.Sink+".view"
}

// forget stops serving the views of a pipeline that are not kept.
func (f *follower) forget(topic engine.Topic, kept []string) {
	for _, name := range f.seen[topic].views {
		if !slices.Contains(kept, name) {
			f.log.Info("a view is gone", "view", name)
			f.hub.Remove(name)
		}
	}
	if _, known := f.seen[topic]; known && kept == nil {
		f.hub.Alerts(strings.TrimSuffix(string(topic), metaSuffix), "", nil)
	}
	delete(f.seen, topic)
}
