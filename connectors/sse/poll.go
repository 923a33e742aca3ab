package sse

import (
	"fmt"
	"net/http"
	"time"
)

// pollFor is how long a poll waits for news. Proxies cut silent answers after
// 30 s and more.
const pollFor = 20 * time.Second

// servePoll is GET /live/{pipeline}/{sink}/poll: the stream's events as one
// JSON array, for clients behind proxies that hold streams back. It is a stream
// that ends with its first news and is forgotten: what is known of the client
// is in its cursor. Without a cursor the answer is a snapshot, at once; with
// one, what changed since, when something has; 204 where nothing did, or for
// windows, which go by themselves, the newest mark.
func (h *Hub) servePoll(w http.ResponseWriter, r *http.Request) {
	v, f, ok := h.wanted(w, r)
	if !ok {
		return
	}
	viewer := ViewerOf(r.Context())
	draining, leave, why := h.enter(viewer)
	if why != "" {
		h.metrics.Rejected(v.name, why)
		h.later(w, h.between(20*time.Second, 60*time.Second), "no more clients here: "+why)
		return
	}
	defer leave()
	defer h.presence.watch(v.name, viewer)()
	limit := time.NewTimer(pollFor)
	defer limit.Stop()
	out := &gathered{}
	c := &conn{hub: h, view: v, ctx: r.Context(), out: out}
	ready, gone := v.doors()
	c.gone = gone
	select {
	case <-ready:
	case <-c.ctx.Done():
		return
	case <-limit.C:
	case <-gone:
	case <-draining:
	}
	select {
	case <-ready:
	default:
		h.later(w, time.Second, "this node is still reading the view; ask again in a second")
		return
	}
	if c.group = v.join(f); c.poll(cursorOf(r), draining, gone, limit.C, h.expiry(viewer)) {
		out.mark, out.watchers = c.group.markNow(), v.watchers.Load()
	}
	v.leave(c.group)
	// Windows go with time alone: who polls must hear how far it is.
	timely := v.spec.Windowed && out.mark != nil
	out.answer(w, h.opts.WriteTimeout, c.news || timely)
}

// poll brings the client to the present, or waits for news; false: there are
// none.
func (c *conn) poll(cursor string, draining, gone <-chan struct{}, limit, expired <-chan time.Time) bool {
	c.start(cursor)
	for !c.news {
		b := c.group.beat.Load()
		if c.follow(b); c.news {
			break
		}
		select {
		case <-b.next:
			continue
		case <-limit:
		case <-expired:
		case <-draining:
		case <-gone:
		case <-c.ctx.Done():
		}
		return false
	}
	return true
}

// later refuses with a status that clients of polls understand, unlike those
// of streams.
func (h *Hub) later(w http.ResponseWriter, wait time.Duration, message string) {
	w.Header().Set("Retry-After", fmt.Sprint(int((wait + time.Second - 1).Seconds())))
	refuse(w, http.StatusServiceUnavailable, message)
}

// gathered is the transport of a poll: it keeps the blocks until there is
// news; of marks and cursors only the newest counts.
type gathered struct {
	blocks       []*block
	mark, cursor *block
	watchers     *block
	last         string // id of blocks
}

func (g *gathered) write(b *block) bool {
	switch b.kind() {
	case "mark":
		g.mark = b
	case "presence": // no news by itself: nobody knows what the client was told
	case "":
		g.cursor = b
	default:
		g.blocks = append(g.blocks, b)
		if id := b.id(); id != "" {
			g.cursor, g.last = nil, id // it is newer
		}
	}
	return true
}

func (g *gathered) idle(string) bool { return true }

// answer writes what was gathered, each block with a deadline of its own.
func (g *gathered) answer(w http.ResponseWriter, timeout time.Duration, news bool) {
	rc := http.NewResponseController(w)
	_ = rc.SetWriteDeadline(time.Now().Add(timeout)) // the server's own may be over
	w.Header().Set("Cache-Control", "no-store, no-transform")
	if !news {
		if g.cursor != nil {
			w.Header().Set("Leat-Cursor", g.cursor.id())
		}
		w.WriteHeader(http.StatusNoContent)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	sep := byte('[')
	blocks := g.blocks
	if g.watchers != nil {
		blocks = append(blocks, g.watchers)
	}
	blocks = append(blocks, g.mark)
	if g.cursor != nil && g.cursor.id() != g.last {
		blocks = append(blocks, g.cursor)
	}
	for _, b := range blocks {
		_ = rc.SetWriteDeadline(time.Now().Add(timeout))
		if _, err := w.Write(append([]byte{sep}, b.message()...)); err != nil {
			return
		}
		sep = ','
	}
	_, _ = w.Write([]byte("]\n"))
}
