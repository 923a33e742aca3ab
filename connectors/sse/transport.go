package sse

import (
	"net/http"
	"time"
)

// transport brings a stream's blocks to one client. Its methods are called from
// the stream's goroutine, and give false when the client is gone. Each write
// has a deadline of its own.
type transport interface {
	// write sends a block.
	write(b *block) bool
	// idle shows the client, and what stands in between, that the stream lives.
	idle(note string) bool
}

// eventStream is server-sent events over HTTP.
type eventStream struct {
	w       http.ResponseWriter
	rc      *http.ResponseController
	timeout time.Duration
}

// newEventStream answers 200 and begins the stream.
func newEventStream(w http.ResponseWriter, timeout time.Duration) *eventStream {
	header := w.Header()
	header.Set("Content-Type", "text/event-stream")
	header.Set("Cache-Control", "no-store, no-transform")
	header.Set("X-Accel-Buffering", "no")
	w.WriteHeader(http.StatusOK)
	return &eventStream{w, http.NewResponseController(w), timeout}
}

func (s *eventStream) write(b *block) bool { return s.send(b.text) }

func (s *eventStream) idle(note string) bool { return s.send([]byte(": " + note + "\n\n")) }

// send writes with a deadline of its own: a server-wide write timeout would
// cut the stream, none at all would keep a dead phone for 15 minutes. The
// deadline is the network's, hence the real clock.
func (s *eventStream) send(text []byte) bool {
	if s.rc.SetWriteDeadline(time.Now().Add(s.timeout)) != nil {
		return false
	}
	if _, err := s.w.Write(text); err != nil {
		return false
	}
	return s.rc.Flush() == nil
}
