package sse

import (
	"net"
	"net/http"
	"time"
)

// transport brings a stream's blocks to one client. Its methods are called from
// the stream's goroutine, and give false when the client is gone. Each write
// has a deadline.
type transport interface {
	// write sends a block.
	write(b *block) bool
	// idle shows the client, and what stands in between, that the stream lives.
	idle(note string) bool
}

// A transport that is also a joiner sends many blocks as cheaply as one. It
// does not keep the slice.
type joiner interface {
	writeAll(bs []*block) bool
}

// eventStream is server-sent events over HTTP. The first write goes the way of
// all answers; then the connection is taken over where it can be (direct.go).
type eventStream struct {
	w        http.ResponseWriter
	rc       *http.ResponseController
	patience patience
	begun    bool

	take  func() bool // tells that conn was taken; false: it must end. nil: it may not be
	conn  net.Conn    // taken; nil: net/http has it
	parts net.Buffers // scratch
}

// newEventStream answers 200 and begins the stream. Over HTTP/1.1 the body has
// no chunks: it ends with the connection.
func newEventStream(w http.ResponseWriter, r *http.Request, timeout time.Duration) *eventStream {
	header := w.Header()
	if r.ProtoMajor == 1 {
		header.Set("Transfer-Encoding", "identity") // a word to net/http, which is not sent
	}
	header.Set("Content-Type", "text/event-stream")
	header.Set("Cache-Control", "no-store, no-transform")
	header.Set("X-Accel-Buffering", "no")
	w.WriteHeader(http.StatusOK)
	return &eventStream{w: w, rc: http.NewResponseController(w), patience: patience{timeout: timeout}}
}

func (s *eventStream) write(b *block) bool { return s.writeAll([]*block{b}) }

func (s *eventStream) writeAll(bs []*block) bool {
	if s.conn != nil {
		return s.writeDirect(bs)
	}
	if !s.patience.renew(s.rc) {
		return false
	}
	for _, b := range bs {
		if _, err := s.w.Write(b.text); err != nil {
			return false
		}
	}
	if s.rc.Flush() != nil {
		return false
	}
	if s.begun || s.take == nil {
		return true
	}
	s.begun = true
	return s.takeOver()
}

func (s *eventStream) idle(note string) bool { return s.write(comment(note)) }

// comment is a block that no client sees.
func comment(note string) *block { return &block{text: []byte(": " + note + "\n\n")} }

// patience is how long a write may take: a server-wide write timeout would cut
// the stream, none at all would keep a dead phone for 15 minutes. To move a
// deadline at each write is a part of what the write costs; it is moved once a
// quarter of it has gone, so that a write has at least three quarters of the
// timeout.
type patience struct {
	timeout time.Duration
	until   time.Time // the deadline that is set
}

// renew gives the next write its time. The deadline is the network's, hence
// the real clock.
func (p *patience) renew(on interface{ SetWriteDeadline(time.Time) error }) bool {
	now := time.Now()
	if p.until.Sub(now) >= p.timeout-p.timeout/4 {
		return true
	}
	p.until = now.Add(p.timeout)
	return on.SetWriteDeadline(p.until) == nil
}
