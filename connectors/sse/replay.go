package sse

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/leatstream/leat/engine"
)

// Time travel: the view's topic is read again, by append time, into a table of
// the client's own, whose clock runs at the speed asked for.
//
//	what may count       from              clock            to
//	────┬───────────────────┬──────────────────┬──────────────┬──▶ append time
//	    └ folded at once ───┘ snapshot   delta…│              done
//	          ◀── final values ──┤ now - replay ├── every frame as it was ──▶
//
// What is younger than the topic's min.compaction.lag is there record by
// record: frames are as they were. Of what is older compaction has left the
// last value of each row, at the time of its last change; the clock event says
// which. Each replay is a real reader of the brokers, hence few at a time.

// Rewinder is a Tailer whose topics can be read again from a point in time;
// engine.Cluster of connectors/kafka is one. Without it there is no time travel.
type Rewinder interface {
	Tailer
	// StartOffsets gives, per partition, the first offset whose record was
	// appended at start.At (epoch ms) or later, the end where there is none; for
	// the zero Start the log's start.
	StartOffsets(ctx context.Context, topic engine.Topic, start engine.Start) (map[engine.Partition]engine.Offset, error)
	// EndOffsets gives the ends of the log.
	EndOffsets(ctx context.Context, topic engine.Topic) (map[engine.Partition]engine.Offset, error)
	// Fetch reads once what follows some offsets, a little of each partition, or
	// nothing. Rows' Next is where to go on; it may have moved without rows.
	Fetch(ctx context.Context, topic engine.Topic, at map[engine.Partition]engine.Offset) ([]*engine.Rows, error)
}

// past is what a client wants to see again.
type past struct {
	from, to int64 // epoch ms
	speed    float64
	still    bool // speed 0: only the view as of from
}

// Why a replay ends, beside the reasons of all streams.
const (
	endReplays = "replays" // this node has too many replays
	endFailed  = "failed"  // the topic could not be read
	endDone    = "done"    // it is over
)

const (
	pastCursor = "r1." // and the clock: where a replay goes on after a reconnect
	pastDone   = "r1.done"
)

// pastOf is the past that a request asks for; nil: the present.
func (h *Hub) pastOf(r *http.Request) (*past, *badParam) {
	rt := routeOf("GET /live/{pipeline}/{sink}")
	a, wrong := rt.some(r, "from", "to", "speed")
	if wrong != nil || !a.has("from") && !a.has("to") && !a.has("speed") {
		return nil, wrong
	}
	if !a.has("from") {
		return nil, bad("from", "missing: from when is the past to be shown")
	}
	if strings.HasSuffix(r.URL.Path, "/poll") {
		return nil, bad("from", "a poll shows the present only; ask for the stream")
	}
	now := h.opts.Now().UnixMilli()
	p := &past{from: a.whole["from"], to: now, speed: a.real["speed"]}
	if p.from > now {
		return nil, bad("from", "it lies in the future")
	}
	if p.still = p.speed == 0; p.still {
		if a.has("to") {
			return nil, bad("speed", "at speed 0 time stands still at from: leave out to")
		}
		p.to = p.from
	} else if p.speed < 0.1 {
		return nil, bad("speed", "%s is not within 0.1 to 1000, nor 0", a.text("speed"))
	}
	if a.has("to") {
		p.to = min(now, a.whole["to"])
	}
	if p.to < p.from {
		return nil, bad("to", "it lies before from")
	}
	if at, ok := strings.CutPrefix(cursorOf(r), pastCursor); ok {
		if at == "done" {
			p.from = p.to
		} else if ms, err := strconv.ParseInt(at, 10, 64); err == nil {
			p.from = max(p.from, min(p.to, ms))
		}
	}
	if h.rewinder() == nil {
		return nil, bad("from", "this server cannot show the past")
	}
	return p, nil
}

// rewinder is where topics can be read again; nil: nowhere.
func (h *Hub) rewinder() Rewinder {
	h.mu.Lock()
	defer h.mu.Unlock()
	r, _ := h.source.(Rewinder)
	return r
}

// enterReplay counts a replay in.
func (h *Hub) enterReplay() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.replays >= h.opts.MaxReplays {
		return false
	}
	h.replays++
	return true
}

func (h *Hub) leaveReplay() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.replays--
}

// helloPast is hello, and what a replay adds to it.
type helloPast struct {
	hello
	Replay bool    `json:"replay"`
	Exact  bool    `json:"exact"`
	From   int64   `json:"from"`
	To     int64   `json:"to"`
	Speed  float64 `json:"speed"`
}

// replay shows a client the past, in place of serve.
func (c *conn) replay(f filter, p *past, draining <-chan struct{}, expired <-chan time.Time) (why string) {
	if !c.hub.enterReplay() {
		c.hub.metrics.Rejected(c.view.name, endReplays)
		return c.drain(endReplays, 20*time.Second, 60*time.Second)
	}
	defer c.hub.leaveReplay()
	ctx, cancel := context.WithCancel(c.ctx)
	defer cancel()
	_, gone := c.view.doors()
	c.gone = gone
	rw := newRewind(c.view, c.hub.rewinder(), f)
	heard := time.Now()
	rw.waiting = func() bool { // while the log is read, the stream must be seen to live
		select {
		case <-gone:
			return false
		default:
		}
		if time.Since(heard) < c.hub.opts.Heartbeat/3 {
			return true
		}
		heard = time.Now()
		return c.out.idle("rewinding")
	}
	hello := helloPast{hello: c.greeting(rw.epoch, false, "replay"), Replay: true, Exact: rw.exact(p.from), From: p.from, To: p.to, Speed: p.speed}
	b, _ := json.Marshal(hello) // plain fields: cannot fail
	if !c.out.write(eventBlock("hello", b)) {
		return ""
	}
	if err := rw.open(ctx, p); err != nil {
		return c.failed(err)
	}
	if !c.send(rw.snapshot()) || !c.out.write(rw.clockBlock()) {
		return ""
	}
	return c.play(ctx, rw, p, draining, expired)
}

// failed tells the client to come back where the log could not be read.
func (c *conn) failed(err error) (why string) {
	if c.ctx.Err() != nil {
		return ""
	}
	c.hub.log.Warn("replay: cannot read the view's topic", "view", c.view.name, "err", err)
	return c.drain(endFailed, 2*time.Second, 10*time.Second)
}

// play moves the clock until its end.
func (c *conn) play(ctx context.Context, rw *rewind, p *past, draining <-chan struct{}, expired <-chan time.Time) (why string) {
	life := time.NewTimer(c.hub.between(c.hub.opts.MinLife, c.hub.opts.MaxLife))
	defer life.Stop()
	frames := time.NewTicker(max(rw.view.spec.Refresh, 50*time.Millisecond))
	defer frames.Stop()
	last := time.Now()
	marked := last
	for rw.now < p.to {
		select {
		case <-frames.C:
		case <-life.C:
			return c.drain(endLife, 0, 2*time.Second)
		case <-expired:
			return c.drain(endExpired, 0, 2*time.Second)
		case <-draining:
			return c.drain(endShutdown, 0, 1500*time.Millisecond)
		case <-c.gone:
			return c.drain(endReplaced, 0, 2*time.Second)
		case <-ctx.Done():
			return ""
		}
		step := int64(time.Since(last).Seconds() * p.speed * 1000)
		if step == 0 {
			continue // slow motion: time gathers
		}
		if err := rw.advance(ctx, min(p.to, rw.now+step)); err != nil {
			return c.failed(err)
		}
		last = time.Now() // while the log is read the clock stands
		if !c.send(rw.frame()) || !c.out.write(rw.clockBlock()) {
			return ""
		}
		if last.Sub(marked) >= time.Second {
			marked = last
			if !c.out.write(rw.mark()) {
				return ""
			}
		}
	}
	done := eventBlock("done", fmt.Appendf(nil, `{"at":%d}`, rw.now))
	done.text = append(done.text[:len(done.text)-1], idBlock(pastDone)...)
	c.out.write(done)
	return endDone
}
