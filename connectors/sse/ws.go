package sse

import (
	"context"
	"net/http"
	"time"

	"github.com/coder/websocket"
)

// maxSaid bounds a client's messages, in bytes: it has nothing to say.
const maxSaid = 512

// serveSocket is GET /live/{pipeline}/{sink}/ws: the stream's events as
// messages of a WebSocket, for clients that have no event streams. It is the
// same stream: a client that falls behind is conflated, not queued for.
func (h *Hub) serveSocket(w http.ResponseWriter, r *http.Request) {
	v, f, ok := h.wanted(w, r)
	if !ok {
		return
	}
	o := &websocket.AcceptOptions{CompressionMode: websocket.CompressionDisabled}
	// A browser opens sockets to any server and sends its cookies along: only
	// our own pages may, and those that the gate has let in.
	if origin := r.Header.Get("Origin"); origin != "" && w.Header().Get("Access-Control-Allow-Origin") == origin {
		o.OriginPatterns = []string{origin}
	}
	ws, err := websocket.Accept(w, r, o)
	if err != nil {
		h.log.Debug("open a socket", "view", v.name, "err", err)
		return // it has answered
	}
	defer ws.CloseNow()
	ws.SetReadLimit(maxSaid)
	// Reads answer pings and notice the end; a message of the client ends the
	// socket: there is nothing to say.
	ctx := ws.CloseRead(r.Context())
	switch why := h.stream(r.WithContext(ctx), v, f, &socket{ctx, ws, h.opts.WriteTimeout}); why {
	case "":
	case endDone:
		_ = ws.Close(websocket.StatusNormalClosure, why)
	case endCapacity, endDraining, endViewerCap, endReplays:
		_ = ws.Close(websocket.StatusTryAgainLater, why)
	case endExpired:
		_ = ws.Close(websocket.StatusPolicyViolation, why)
	default:
		_ = ws.Close(websocket.StatusGoingAway, why)
	}
}

// socket is the transport of a WebSocket.
type socket struct {
	ctx     context.Context
	ws      *websocket.Conn
	timeout time.Duration
}

func (s *socket) write(b *block) bool {
	m := b.message()
	if m == nil {
		return true
	}
	ctx, cancel := context.WithTimeout(s.ctx, s.timeout)
	defer cancel()
	return s.ws.Write(ctx, websocket.MessageText, m) == nil
}

// idle pings: the answer must come within the write timeout.
func (s *socket) idle(string) bool {
	ctx, cancel := context.WithTimeout(s.ctx, s.timeout)
	defer cancel()
	return s.ws.Ping(ctx) == nil
}
