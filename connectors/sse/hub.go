package sse

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/leatstream/leat/engine"
)

// Tailer is where a view's records come from; engine.Cluster is one.
type Tailer interface {
	// Tail reads all partitions of a topic from the given offsets (missing: the
	// log's start) until ctx ends, and calls fn from one goroutine with each
	// fetch and the positions reached. fn copies what it keeps.
	Tail(ctx context.Context, topic engine.Topic, from map[engine.Partition]engine.Offset,
		fn func(rows []*engine.Rows, pos map[engine.Partition]engine.Offset) error) error
}

// A Tailer that is also an ender tells the ends of the log, up to which a
// view must have read before it is shown; without it a view is shown at once.
type ender interface {
	EndOffsets(ctx context.Context, topic engine.Topic) (map[engine.Partition]engine.Offset, error)
}

// A Tailer that is also a describer tells topics' ids, so that a topic that
// was deleted and created again is known for another one.
type describer interface {
	Topics(ctx context.Context, names ...engine.Topic) (map[engine.Topic]engine.TopicInfo, error)
}

// Options are the hub's. The zero value serves on loopback names.
type Options struct {
	// Hosts are the names under which this server may be asked, beside
	// localhost and IP addresses; "*" allows all. A page on another name that
	// was rebound to our address is refused (421).
	Hosts []string
	// FrameAncestors are other sites whose pages may show ours in a frame, as
	// CSP sources ("https://wall.example.org"); default: none.
	FrameAncestors []string
	// Gate decides who may look; default: anybody.
	Gate Gate
	// Compile makes filters of expressions; default: there are none.
	Compile Compile
	// MaxConnections bounds live streams; default 10000 (about 300 MB). Above
	// it a client is told to come back in 20 to 60 s.
	MaxConnections int
	// MinLife and MaxLife are the ends of a connection's random life; default
	// 5 and 10 minutes. It resumes where it was, perhaps on another node.
	MinLife, MaxLife time.Duration
	// MaxReplays bounds the streams that show the past; default 8. Each reads the
	// brokers for itself, and has a table of its own.
	MaxReplays int
	// Node is this node's name among the others; default random.
	Node string
	// Presence is how nodes tell each other who watches; default: they do not.
	Presence Presence
	// PresenceNames shows viewers' names to others who may see the same view;
	// default: how many there are.
	PresenceNames bool
	// Ops describes the workers for operators, as JSON; nil: there are none.
	Ops func(ctx context.Context) any
	// Heartbeat is the time between comment lines, which keep proxies from
	// closing a stream; default 15 s.
	Heartbeat time.Duration
	// WriteTimeout is how long one write to a client may take, or up to a
	// quarter less; default 10 s.
	WriteTimeout time.Duration
	// Metrics counts; default: nobody does.
	Metrics Metrics
	// Log is for what an operator should see; default slog.Default.
	Log *slog.Logger
	// Now is the clock of rows and marks; default time.Now.
	Now func() time.Time
	// Random gives numbers in [0, 1) for jitter; default math/rand.
	Random func() float64
}

// Hub serves live views and their pages from this node. Make it with NewHub,
// give it views with Add, start it with Run.
type Hub struct {
	opts    Options
	log     *slog.Logger
	metrics Metrics

	mu      sync.Mutex
	views   map[string]*served
	caught  bool                    // every view was caught up with once, since Run began
	boards  map[string]*board       // by pipeline
	start   func(*served)           // set while Run runs
	extra   map[string]http.Handler // routes of others, by pattern
	conns   int
	empty   chan struct{}             // closed when the last stream has gone, while draining
	drain   chan struct{}             // closed when draining
	until   time.Time                 // by when streams should have gone
	node    string                    // random: tells this hub's versions from another's
	taken   map[*eventStream]struct{} // whose connections the server does not know any longer
	stopped bool                      // Run has ended: none is taken
	scans   chan struct{}             // places for queries that copy a whole table

	source   Tailer // while Run runs
	replays  int    // running
	presence *presence
}

// served is a view and what runs it.
type served struct {
	*view
	cancel context.CancelFunc // nil: not started
}

// board is a pipeline's dashboard.
type board struct {
	title     string
	dashboard json.RawMessage
	alerts    []string // sinks that push to browsers: who may have one of them may see the page
}

// NewHub makes a hub without views.
func NewHub(o Options) *Hub {
	set := func(d *time.Duration, to time.Duration) {
		if *d <= 0 {
			*d = to
		}
	}
	set(&o.MinLife, 5*time.Minute)
	set(&o.MaxLife, max(10*time.Minute, o.MinLife))
	set(&o.Heartbeat, 15*time.Second)
	set(&o.WriteTimeout, 10*time.Second)
	if o.MaxConnections <= 0 {
		o.MaxConnections = 10000
	}
	if o.MaxReplays <= 0 {
		o.MaxReplays = 8
	}
	if o.Gate == nil {
		o.Gate = open{}
	}
	if o.Metrics == nil {
		o.Metrics = noMetrics{}
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Random == nil {
		o.Random = rand.Float64
	}
	node := strconv.FormatUint(rand.Uint64(), 36)
	if o.Node == "" {
		o.Node = node
	}
	h := &Hub{opts: o, log: o.Log, metrics: o.Metrics, views: map[string]*served{}, boards: map[string]*board{},
		drain: make(chan struct{}), empty: make(chan struct{}), node: node, scans: make(chan struct{}, maxScans), taken: map[*eventStream]struct{}{}}
	h.presence = newPresence(h)
	return h
}

// Add serves a view, and gives its pipeline a dashboard (JSON; nil: one is
// drawn from the view's columns) and a title. It may be called at any time
// from any goroutine; a view added again with other columns or another
// generation starts anew.
func (h *Hub) Add(spec engine.ViewSpec, dashboard json.RawMessage, title string) {
	if spec.Name == "" {
		spec.Name = spec.Pipeline + "/" + spec.Sink
	}
	if spec.Topic == "" {
		spec.Topic = topicOf(spec)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if b := h.boards[spec.Pipeline]; b == nil || len(dashboard) > 0 || title != "" {
		next := &board{title: title, dashboard: dashboard}
		if b != nil {
			next.alerts = b.alerts
		}
		h.boards[spec.Pipeline] = next
	}
	if old := h.views[spec.Name]; old != nil {
		if reflect.DeepEqual(old.spec, defaults(spec)) {
			return
		}
		if old.cancel != nil {
			old.cancel()
		}
		old.end()
	}
	s := &served{view: newView(spec, &h.opts)}
	h.views[spec.Name] = s
	if h.start != nil {
		h.start(s)
	}
}

// AddAlerts gives a pipeline a page from which browsers can ask for its alerts,
// also where it has no views. Without sinks such a page goes.
func (h *Hub) AddAlerts(pipeline, title string, sinks []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	next := board{title: title}
	if b := h.boards[pipeline]; b != nil {
		next = *b
	}
	next.alerts = sinks
	if len(sinks) == 0 && !h.hasViews(pipeline) {
		delete(h.boards, pipeline)
		return
	}
	h.boards[pipeline] = &next
}

// Remove stops serving a view: its clients are told that it was replaced, and
// find none when they come back. The dashboard goes with a pipeline's last
// view, unless it has alerts.
func (h *Hub) Remove(name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	old := h.views[name]
	if old == nil {
		return
	}
	delete(h.views, name)
	if old.cancel != nil {
		old.cancel()
	}
	old.end()
	if b := h.boards[old.spec.Pipeline]; !h.hasViews(old.spec.Pipeline) && (b == nil || len(b.alerts) == 0) {
		delete(h.boards, old.spec.Pipeline)
	}
}

// hasViews tells whether a pipeline has views here; mu is held.
func (h *Hub) hasViews(pipeline string) bool {
	for _, s := range h.views {
		if s.spec.Pipeline == pipeline {
			return true
		}
	}
	return false
}

// Handle serves a route of somebody else's behind the same gate and headers; it
// is called before Handler, with patterns of http.ServeMux.
func (h *Hub) Handle(pattern string, handler http.Handler) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.extra == nil {
		h.extra = map[string]http.Handler{}
	}
	h.extra[pattern] = handler
}

// Run reads the views' topics until ctx ends, and returns when all its
// goroutines have: two for each view, and Tail's own. Event streams that are
// still open then are closed.
func (h *Hub) Run(ctx context.Context, tailer Tailer) error {
	var wg sync.WaitGroup
	h.mu.Lock()
	if h.start != nil {
		h.mu.Unlock()
		return errors.New("run hub: it is running already")
	}
	h.source, h.stopped, h.caught = tailer, false, false
	h.start = func(s *served) {
		var one context.Context
		one, s.cancel = context.WithCancel(ctx)
		wg.Go(func() {
			defer s.cancel()
			s.run(one, tailer)
		})
	}
	for _, name := range slices.Sorted(maps.Keys(h.views)) {
		h.start(h.views[name])
	}
	h.mu.Unlock()
	wg.Go(func() { h.presence.run(ctx) })

	<-ctx.Done()
	h.mu.Lock()
	h.start, h.source = nil, nil
	h.mu.Unlock()
	h.hangUp()
	wg.Wait()
	return nil
}

// Ready tells whether all views have caught up with their topics and the hub
// takes clients: what /readyz says. A view that comes later, or is read anew,
// does not take the node away from the others' clients: its own wait for it.
func (h *Hub) Ready() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.start == nil || h.isDraining() {
		return false
	}
	if h.caught {
		return true
	}
	for _, s := range h.views {
		ready, _ := s.doors()
		select {
		case <-ready:
		default:
			return false
		}
	}
	h.caught = len(h.views) > 0
	return true
}

// Drain sends all clients to other nodes, spread over the time until ctx's
// deadline (30 s without one), and returns when they have gone or ctx ends.
// New ones are told to come back later.
func (h *Hub) Drain(ctx context.Context) {
	h.mu.Lock()
	if !h.isDraining() {
		h.until = h.opts.Now().Add(30 * time.Second)
		if d, ok := ctx.Deadline(); ok {
			h.until = d
		}
		close(h.drain)
		if h.conns == 0 {
			close(h.empty)
		}
	}
	h.mu.Unlock()
	select {
	case <-h.empty:
	case <-ctx.Done():
	}
}

func (h *Hub) isDraining() bool {
	select {
	case <-h.drain:
		return true
	default:
		return false
	}
}

// turn is when a stream leaves while draining: at random within the first
// four fifths of the grace, so that the rest is for slow goodbyes.
func (h *Hub) turn() time.Duration {
	h.mu.Lock()
	left := h.until.Sub(h.opts.Now())
	h.mu.Unlock()
	return time.Duration(h.opts.Random() * 0.8 * float64(max(0, left)))
}

// enter counts a stream in, or says why not. The stream calls leave.
func (h *Hub) enter(v *Viewer) (draining <-chan struct{}, leave func(), why string) {
	out, ok := h.opts.Gate.Enter(v)
	if !ok {
		return nil, nil, endViewerCap
	}
	if draining, why = h.count(); why != "" {
		out()
		return nil, nil, why
	}
	return draining, func() { h.leave(); out() }, ""
}

func (h *Hub) count() (draining <-chan struct{}, why string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.isDraining() {
		return nil, endDraining
	}
	if h.conns >= h.opts.MaxConnections {
		return nil, endCapacity
	}
	h.conns++
	return h.drain, ""
}

func (h *Hub) leave() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.conns--; h.conns == 0 && h.isDraining() {
		close(h.empty)
	}
}

func (h *Hub) view(name string) *view {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s := h.views[name]; s != nil {
		return s.view
	}
	return nil
}

// names lists the views, sorted.
func (h *Hub) names() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Sorted(maps.Keys(h.views))
}

func (h *Hub) noView(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("pipeline") + "/" + r.PathValue("sink")
	refuse(w, http.StatusNotFound, fmt.Sprintf("no view %q here; there are: %s", name, strings.Join(h.visible(r), ", ")))
}

func (h *Hub) between(low, high time.Duration) time.Duration {
	return low + time.Duration(h.opts.Random()*float64(high-low))
}
