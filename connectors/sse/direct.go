package sse

import (
	"bufio"
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"time"
)

// An event stream over HTTP/1.1 takes its connection from net/http once the
// header is out: a frame is then one write of the bytes that all clients share.
//
//	net/http   block ─▶ 2 KB ─▶ 4 KB ─▶ socket     10 KB a client
//	direct     block ─────────────────▶ socket
//
// The body ends where the connection does: a frame that was cut in two is one
// that a client of event streams does not read. What net/http did for us is done
// here: a goroutine hears when the client hangs up, and the hub closes what is
// open when it stops. Over HTTP/2, and behind a middleware that keeps the
// connection or encodes the body, all goes on as it began.

// streamEvents serves a client of HTTP, over its connection where it can be had.
func (h *Hub) streamEvents(r *http.Request, v *view, f filter, out *eventStream) {
	if r.ProtoMajor != 1 {
		h.stream(r, v, f, out)
		return
	}
	ctx, hangUp := context.WithCancel(r.Context())
	defer hangUp()
	heard := make(chan struct{})
	out.take = func() bool {
		go func() { defer close(heard); hear(out.conn, hangUp) }() // ends with the connection
		return h.take(out)
	}
	defer func() {
		if out.conn != nil {
			h.release(out)
			_ = out.conn.Close()
			<-heard
		}
	}()
	h.stream(r.WithContext(ctx), v, f, out)
}

// takeOver takes the connection where it can be had; false: the hub has
// stopped.
func (s *eventStream) takeOver() bool {
	if s.w.Header().Get("Content-Encoding") != "" {
		return true // what encodes the body must see it
	}
	conn, rw, err := s.rc.Hijack()
	if err != nil {
		return true
	}
	// Nobody uses net/http's buffers any longer, but the server has them for as
	// long as the handler runs: 8 KB.
	*rw.Reader, *rw.Writer = bufio.Reader{}, bufio.Writer{}
	s.conn, s.patience.until = conn, time.Time{} // there is no deadline any more
	return s.take()
}

func (s *eventStream) writeDirect(bs []*block) bool {
	if !s.patience.renew(s.conn) {
		return false
	}
	if len(bs) == 1 {
		_, err := s.conn.Write(bs[0].text)
		return err == nil
	}
	s.parts = s.parts[:0]
	for _, b := range bs {
		s.parts = append(s.parts, b.text)
	}
	parts := s.parts
	_, err := parts.WriteTo(s.conn) // one system call, where it is a socket
	clear(s.parts)
	return err == nil
}

// hear calls hangUp when the client does, or when the connection is closed. A
// client of an event stream has nothing to say: after its first byte nothing
// more is read, and that it is gone shows when a write fails.
func hear(conn net.Conn, hangUp func()) {
	var b [1]byte
	if n, _ := conn.Read(b[:]); n == 0 {
		hangUp()
	}
}

// take remembers a connection that the server does not know any longer; false:
// the hub has stopped.
func (h *Hub) take(s *eventStream) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.stopped {
		return false
	}
	h.taken[s] = struct{}{}
	return true
}

func (h *Hub) release(s *eventStream) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.taken, s)
}

// hangUp closes what was taken, as a server closes what it has: the streams
// end.
func (h *Hub) hangUp() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stopped = true
	for s := range h.taken {
		conn := s.conn
		if t, ok := conn.(*tls.Conn); ok {
			conn = t.NetConn() // without a goodbye that a client may keep waiting
		}
		_ = conn.Close()
	}
}
