package sse

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/leatstream/leat/engine"
)

// Presence: who is watching which view, right across the fleet.
//
//	streams ─▶ counts of this node ──▶ every 5 s a record per view ─▶ leat.presence
//	               └──▶ sum ◀── counts of other nodes, heard within 15 s ◀───┘
//	                     └──▶ event presence, at most each second, where it changed
//
// There is never a record per client, and none for a view that nobody watches.

// Presence is how nodes tell each other; cmd/leat has one over a topic. Without
// it each node knows its own viewers only.
type Presence interface {
	// Publish tells the other nodes; key is what the next record replaces.
	Publish(ctx context.Context, key string, value []byte) error
	// Tail calls fn with what any node tells from now on, until ctx ends or
	// something is wrong; value is nil where a key was deleted.
	Tail(ctx context.Context, fn func(key string, value []byte)) error
}

const (
	presenceEvery = 5 * time.Second
	presenceGone  = 15 * time.Second // so long silent, a node is taken for gone
	maxPrincipals = 100              // names told of one node and view
)

// watching is a node's record of a view. A viewer counts once a node, however
// many streams they have; of nobody in particular each stream counts.
type watching struct {
	View       string   `json:"view"`
	Node       string   `json:"node"`
	Count      int      `json:"count"`
	Principals []string `json:"principals,omitempty"` // only where names are shown
	heard      time.Time
}

// watched is who watches a view.
type watched struct {
	View       string        `json:"view,omitempty"`
	Count      int           `json:"count"`
	Principals []string      `json:"principals,omitempty"`
	Nodes      []watchedNode `json:"nodes,omitzero"`
	At         int64         `json:"at,omitempty"`
}

type watchedNode struct {
	Node       string   `json:"node"`
	Count      int      `json:"count"`
	Principals []string `json:"principals,omitempty"`
}

// presence is what a hub knows of viewers; mu guards it.
type presence struct {
	hub   *Hub
	mu    sync.Mutex
	here  map[string]map[string]int       // streams here, by view and viewer; "" is nobody in particular
	away  map[string]map[string]*watching // other nodes', by view and node
	told  map[string]bool                 // views of which the others know that somebody watches
	shown map[string]string               // what the clients of a view were told last
}

func newPresence(h *Hub) *presence {
	return &presence{hub: h, here: map[string]map[string]int{}, away: map[string]map[string]*watching{}, told: map[string]bool{}, shown: map[string]string{}}
}

// watch counts a stream in; it calls leave when it ends.
func (p *presence) watch(view string, v *Viewer) (leave func()) {
	name := ""
	if v != nil {
		name = v.Name
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.here[view] == nil {
		p.here[view] = map[string]int{}
	}
	p.here[view][name]++
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.here[view][name]--; p.here[view][name] == 0 {
			delete(p.here[view], name)
		}
	}
}

// mine is this node's record of a view; mu is held.
func (p *presence) mine(view string) watching {
	w := watching{View: view, Node: p.hub.opts.Node}
	for _, name := range slices.Sorted(maps.Keys(p.here[view])) {
		if name == "" {
			w.Count += p.here[view][""]
			continue
		}
		w.Count++
		if p.hub.opts.PresenceNames && len(w.Principals) < maxPrincipals {
			w.Principals = append(w.Principals, name)
		}
	}
	return w
}

// sum is who watches a view anywhere; mu is held. Where names are shown,
// somebody on two nodes counts once.
func (p *presence) sum(view string) watched {
	s := watched{View: view, At: p.hub.opts.Now().UnixMilli()}
	all := []watching{}
	if m := p.mine(view); m.Count > 0 {
		all = append(all, m)
	}
	for _, node := range slices.Sorted(maps.Keys(p.away[view])) {
		if w := p.away[view][node]; p.hub.opts.Now().Sub(w.heard) < presenceGone {
			all = append(all, *w)
		} else {
			delete(p.away[view], node)
		}
	}
	names := map[string]bool{}
	for _, w := range all {
		s.Count += w.Count
		for _, name := range w.Principals {
			if names[name] {
				s.Count--
			}
			names[name] = true
		}
		s.Nodes = append(s.Nodes, watchedNode{w.Node, w.Count, w.Principals})
	}
	s.Principals = slices.Sorted(maps.Keys(names))
	return s
}

// heard takes another node's record.
func (p *presence) heard(value []byte) {
	var w watching
	if json.Unmarshal(value, &w) != nil || w.View == "" || w.Node == p.hub.opts.Node || w.Count < 0 {
		return
	}
	if !p.hub.opts.PresenceNames {
		w.Principals = nil
	}
	w.heard = p.hub.opts.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.away[w.View] == nil {
		p.away[w.View] = map[string]*watching{}
	}
	if w.Count == 0 {
		delete(p.away[w.View], w.Node)
		return
	}
	p.away[w.View][w.Node] = &w
}

// run tells the clients each second, where something changed, and the other
// nodes every 5 s, until ctx ends.
func (p *presence) run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	if o := p.hub.opts.Presence; o != nil {
		wg.Go(func() {
			for ctx.Err() == nil {
				if err := o.Tail(ctx, func(_ string, value []byte) { p.heard(value) }); err != nil && ctx.Err() == nil {
					p.hub.log.Warn("presence: listening again in 5 s", "err", err)
				}
				engine.Sleep(ctx, presenceEvery)
			}
		})
		wg.Go(func() {
			t := time.NewTicker(presenceEvery)
			defer t.Stop()
			for {
				select {
				case <-ctx.Done():
					return
				case <-t.C:
					p.publish(ctx)
				}
			}
		})
	}
	engine.Sleep(ctx, 500*time.Millisecond) // half-way between marks, which carry it on
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			p.tell()
		}
	}
}

// tell hands the clients of each view what has changed, with their next mark.
func (p *presence) tell() {
	for _, name := range p.hub.names() {
		p.mu.Lock()
		s := p.sum(name)
		s.View, s.Nodes, s.At = "", nil, 0
		b, _ := json.Marshal(s) // plain fields: cannot fail
		changed := p.shown[name] != string(b) && (p.shown[name] != "" || s.Count > 0)
		if changed {
			p.shown[name] = string(b)
		}
		p.mu.Unlock()
		if v := p.hub.view(name); v != nil && changed {
			v.watchers.Store(eventBlock("presence", b))
		}
	}
}

// publish tells the other nodes of the views that are watched here, and once
// of those that no longer are.
func (p *presence) publish(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, presenceEvery)
	defer cancel()
	for _, name := range p.hub.names() {
		p.mu.Lock()
		w := p.mine(name)
		tell := w.Count > 0 || p.told[name]
		p.told[name] = w.Count > 0
		p.mu.Unlock()
		if !tell {
			continue
		}
		b, _ := json.Marshal(w) // plain fields: cannot fail
		if err := p.hub.opts.Presence.Publish(ctx, w.Node+" "+name, b); err != nil && ctx.Err() == nil {
			p.hub.log.Warn("presence: the other nodes were not told", "err", err)
			return
		}
	}
}

// servePresence is GET /v1/presence/{pipeline}/{sink}.
func (h *Hub) servePresence(w http.ResponseWriter, r *http.Request) {
	v, _ := h.admitted(w, r)
	if v == nil {
		return
	}
	h.presence.mu.Lock()
	s := h.presence.sum(v.name)
	h.presence.mu.Unlock()
	if s.Nodes == nil {
		s.Nodes = []watchedNode{}
	}
	answer(w, s)
}
