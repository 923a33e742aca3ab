package sse

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/leatstream/leat/engine"
)

// conn is one client's stream over any transport; its handler's goroutine
// does everything.
type conn struct {
	hub   *Hub
	view  *view
	group *group
	ctx   context.Context
	out   transport
	gone  <-chan struct{}

	version  uint64 // of the table, as the client has it
	seq      uint64 // of the last mark written
	watchers *block // the last presence written
	news     bool   // a frame with rows, or a snapshot, was written

	batch []*block // to be written next, together
	size  int      // bytes of batch
}

// Why a stream ends, or does not begin: the reason of its drain event.
const (
	endLife      = "life"       // it is old enough: resume, perhaps on another node
	endShutdown  = "shutdown"   // this node leaves
	endReplaced  = "replaced"   // the view is another one now, or gone
	endExpired   = "expired"    // the viewer's token has expired
	endCapacity  = "capacity"   // this node has too many streams
	endDraining  = "draining"   // this node is leaving already
	endViewerCap = "viewer_cap" // the viewer has too many streams
)

// serveLive is GET /live/{pipeline}/{sink}.
func (h *Hub) serveLive(w http.ResponseWriter, r *http.Request) {
	rc := http.NewResponseController(w)
	if p, ok := r.Context().Value(probeKey{}).(*probe); ok {
		p.reached, p.err = true, writable(rc)
		return
	}
	v, f, ok := h.wanted(w, r)
	if !ok {
		return
	}
	if err := writable(rc); err != nil {
		h.log.Error("serve a live view: a middleware hides the connection", "err", err)
		refuse(w, http.StatusInternalServerError, "this server cannot stream: "+err.Error())
		return
	}
	out := newEventStream(w, r, h.opts.WriteTimeout)
	if r.Method != http.MethodHead { // which would never hear an end
		h.streamEvents(r, v, f, out)
	}
}

// wanted is the view that a request asks for and which of its rows; where ok
// is false it has answered.
func (h *Hub) wanted(w http.ResponseWriter, r *http.Request) (v *view, f filter, ok bool) {
	v, right := h.admitted(w, r)
	if v == nil {
		return nil, filter{}, false
	}
	f, err := h.filterOf(r, v, right)
	if err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return nil, filter{}, false
	}
	format := "json"
	if q := r.URL.Query(); q.Has("format") {
		format = q.Get("format")
	}
	switch format {
	case "json":
	case "json-patch":
		f.patch = true
		f.canon += "\x03patch"
	default:
		refuse(w, http.StatusBadRequest, fmt.Sprintf("format=%s: a stream has the formats json and json-patch", format))
		return nil, filter{}, false
	}
	past, wrong := h.pastOf(r)
	if wrong != nil {
		refuseParam(w, wrong)
		return nil, filter{}, false
	}
	if past != nil && cursorOf(r) == pastDone {
		w.WriteHeader(http.StatusNoContent) // there is no more: an EventSource does not come again
		return nil, filter{}, false
	}
	return v, f, true
}

// stream serves a client over a transport until either is done. It gives the
// reason where the end is ours, which the client was told; "": it is gone.
func (h *Hub) stream(r *http.Request, v *view, f filter, out transport) (why string) {
	viewer := ViewerOf(r.Context())
	c := &conn{hub: h, view: v, ctx: r.Context(), out: out}
	draining, leave, why := h.enter(viewer)
	if why != "" {
		// A status other than 200 would stop an EventSource for good; evicting
		// another client in its favour would make a storm.
		h.metrics.Rejected(v.name, why)
		return c.drain(why, 20*time.Second, 60*time.Second)
	}
	defer leave()
	h.metrics.Connections(v.name, 1)
	defer h.metrics.Connections(v.name, -1)
	defer h.presence.watch(v.name, viewer)()
	retry := h.between(2*time.Second, 5*time.Second).Milliseconds()
	if !out.write(&block{text: fmt.Appendf(nil, "retry: %d\n\n", retry)}) {
		return ""
	}
	if past, _ := h.pastOf(r); past != nil {
		return c.replay(f, past, draining, h.expiry(viewer))
	}
	return c.serve(f, cursorOf(r), draining, h.expiry(viewer))
}

// cursorOf is where a client was. A browser that reconnects by itself repeats
// its first URL: the header is the newer of the two.
func cursorOf(r *http.Request) string {
	if cursor := r.Header.Get("Last-Event-ID"); cursor != "" {
		return cursor
	}
	return r.URL.Query().Get("cursor")
}

// expiry fires when a viewer is no longer who they say; nil: never.
func (h *Hub) expiry(v *Viewer) <-chan time.Time {
	if v == nil || v.Expires.IsZero() {
		return nil
	}
	return time.After(v.Expires.Sub(h.opts.Now()))
}

// serve runs the stream: wait for the table, say hello, bring the client to
// the present, then follow.
func (c *conn) serve(f filter, cursor string, draining <-chan struct{}, expired <-chan time.Time) (why string) {
	life := time.NewTimer(c.hub.between(c.hub.opts.MinLife, c.hub.opts.MaxLife))
	defer life.Stop()
	beats := time.NewTicker(c.hub.opts.Heartbeat)
	defer beats.Stop()
	ready, gone := c.view.doors()
	c.gone = gone
	for open := false; !open; {
		select {
		case <-ready:
			open = true
		case <-beats.C:
			if !c.out.idle("catching up") {
				return ""
			}
		case <-gone:
			return c.drain(endReplaced, 0, 2*time.Second)
		case <-draining:
			return c.drain(endShutdown, 0, 2*time.Second)
		case <-life.C:
			return c.drain(endLife, 0, 2*time.Second)
		case <-expired:
			return c.drain(endExpired, 0, 2*time.Second)
		case <-c.ctx.Done():
			return ""
		}
	}
	c.group = c.view.join(f)
	defer c.view.leave(c.group)
	if !c.start(cursor) {
		return ""
	}
	var leave <-chan time.Time // set when draining: our turn in the grace period
	for {
		b := c.group.beat.Load()
		if !c.follow(b) {
			return ""
		}
		select {
		case <-b.next:
		case <-beats.C:
			if !c.out.idle("still here") {
				return ""
			}
		case <-life.C:
			return c.drain(endLife, 0, 2*time.Second)
		case <-expired:
			return c.drain(endExpired, 0, 2*time.Second)
		case <-draining:
			draining = nil
			t := time.NewTimer(c.hub.turn())
			defer t.Stop()
			leave = t.C
		case <-leave:
			return c.drain(endShutdown, 0, 1500*time.Millisecond)
		case <-gone:
			return c.drain(endReplaced, 0, 2*time.Second)
		case <-c.ctx.Done():
			return ""
		}
	}
}

// start writes hello and the client's first frame: what changed since its
// cursor, or everything.
func (c *conn) start(cursor string) bool {
	fr, reason := c.group.resume(cursor)
	if reason == reasonAhead {
		fr, reason = c.await(cursor)
	}
	resumed := fr != nil
	if !resumed {
		fr = c.group.snapshot()
		if reason != reasonNone {
			c.hub.metrics.Resync(c.view.name, reason)
		}
	}
	if !c.put(c.hello(resumed, reason)) || !c.frame(fr) {
		return false
	}
	if resumed {
		c.put(eventBlock("ready", []byte("{}")))
	}
	return c.flush()
}

// await gives this node a moment to reach what the client has seen on
// another: showing it the past would be a partial resume.
func (c *conn) await(cursor string) (fr *frame, reason string) {
	limit := time.NewTimer(5 * time.Second)
	defer limit.Stop()
	for {
		b := c.group.beat.Load()
		if fr, reason = c.group.resume(cursor); reason != reasonAhead {
			return fr, reason
		}
		select {
		case <-b.next:
		case <-limit.C:
			return nil, reason
		case <-c.gone:
			return nil, reason
		case <-c.ctx.Done():
			return nil, reason
		}
	}
}

// follow writes what a beat has for this client, at once.
func (c *conn) follow(b *beat) bool {
	if c.version < b.version {
		fr := b.frame
		if fr == nil || fr.from > c.version || fr.to <= c.version {
			fr = c.group.from(c.version)
		}
		if !c.frame(fr) {
			return false
		}
	}
	if b.seq == c.seq {
		return c.flush()
	}
	c.seq = b.seq
	c.put(b.mark)
	if w := c.view.watchers.Load(); w != nil && w != c.watchers {
		c.watchers = w
		c.put(w)
	}
	if c.version == b.version {
		// Marks move offsets too: let the cursor follow, unless the client is
		// already beyond this beat.
		c.put(b.cursor)
	}
	return c.flush()
}

// send writes a frame.
func (c *conn) send(fr *frame) bool { return c.frame(fr) && c.flush() }

// frame puts a frame's blocks.
func (c *conn) frame(fr *frame) bool {
	size := 0
	for _, b := range fr.blocks {
		if !c.put(b) {
			return false
		}
		size += len(b.text)
	}
	c.version = fr.to
	c.news = c.news || !fr.empty
	if size > 0 {
		c.hub.metrics.Frame(c.view.name, size)
	}
	return true
}

// put adds a block to what is written next, and writes it where that is much:
// each write has its deadline.
func (c *conn) put(b *block) bool {
	c.batch = append(c.batch, b)
	if c.size += len(b.text); c.size < maxBlock/2 {
		return true
	}
	return c.flush()
}

// flush writes what was put.
func (c *conn) flush() bool {
	if len(c.batch) == 0 {
		return true
	}
	ok := true
	if out, can := c.out.(joiner); can {
		ok = out.writeAll(c.batch)
	} else {
		for _, b := range c.batch {
			ok = ok && c.out.write(b)
		}
	}
	clear(c.batch) // a client that waits holds no old frame
	c.batch, c.size = c.batch[:0], 0
	return ok
}

// drain tells the client to come back between from and to, to any node, and why.
func (c *conn) drain(reason string, from, to time.Duration) string {
	c.out.write(drainBlock(reason, c.hub.between(from, to)))
	return reason
}

func drainBlock(reason string, wait time.Duration) *block {
	ms := wait.Milliseconds()
	return &block{text: fmt.Appendf(nil, "retry: %d\nevent: drain\ndata: {\"retry_ms\":%d,\"reason\":%q}\n\n", ms, ms, reason)}
}

// hello is what a client must know to read the rest.
type hello struct {
	View        string              `json:"view"`
	Epoch       string              `json:"epoch"`
	Schema      []engine.ViewColumn `json:"schema"`
	Key         []string            `json:"key"`
	Windowed    bool                `json:"windowed"`
	Stream      bool                `json:"stream"`
	HistoryMS   int64               `json:"history_ms"`
	RefreshMS   int64               `json:"refresh_ms"`
	MaxRows     int                 `json:"max_rows,omitempty"`
	HeartbeatMS int64               `json:"heartbeat_ms"`
	Now         int64               `json:"now"` // this node's clock, epoch ms
	Resumed     bool                `json:"resumed"`
	Reason      string              `json:"reason,omitempty"`
	ReplayMS    int64               `json:"replay_ms,omitempty"` // how far back frames can be shown as they were; 0: no past
}

func (c *conn) hello(resumed bool, reason string) *block {
	b, _ := json.Marshal(c.greeting(c.group.epoch, resumed, reason)) // plain fields: cannot fail; JSON has no raw line ends
	return eventBlock("hello", b)
}

func (c *conn) greeting(epoch string, resumed bool, reason string) hello {
	s := c.view.spec
	m := hello{View: s.Name, Epoch: epoch, Schema: s.Columns, Key: s.KeyColumns, Windowed: s.Windowed, Stream: s.Stream,
		HistoryMS: s.History.Milliseconds(), RefreshMS: s.Refresh.Milliseconds(), HeartbeatMS: c.hub.opts.Heartbeat.Milliseconds(),
		Now: c.hub.opts.Now().UnixMilli(), Resumed: resumed, Reason: reason}
	if s.Stream {
		m.MaxRows = s.MaxRows
	}
	if c.hub.rewinder() != nil {
		m.ReplayMS = c.view.reach().Milliseconds()
	}
	return m
}

func refuse(w http.ResponseWriter, status int, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	b := append([]byte(`{"status":`), strconv.Itoa(status)...)
	b = engine.AppendString(append(b, `,"error":`...), message)
	_, _ = w.Write(append(b, "}\n"...))
}
