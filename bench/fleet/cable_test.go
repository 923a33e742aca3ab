//go:build synctests

package fleet

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
)

// cable is one machine's network. Waits are on channels only, never on a lock
// held over I/O: the bubble's clock could not go on.
type cable struct {
	dial func(ctx context.Context, network, addr string) (net.Conn, error)

	mu    sync.Mutex
	cut   bool
	gate  chan struct{} // not nil: nothing is sent until it closes
	mute  int           // so many answers to EndTxn will be lost
	conns map[*wire]struct{}
}

func newCable(dial func(context.Context, string, string) (net.Conn, error)) *cable {
	return &cable{dial: dial, conns: map[*wire]struct{}{}}
}

var errCut = errors.New("the cable is cut")

// Dial connects through the cable.
func (c *cable) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	c.mu.Lock()
	cut := c.cut
	c.mu.Unlock()
	if cut {
		return nil, &net.OpError{Op: "dial", Net: network, Err: errCut}
	}
	conn, err := c.dial(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	w := &wire{Conn: conn, cable: c, closed: make(chan struct{})}
	c.mu.Lock()
	cut = c.cut
	if !cut {
		c.conns[w] = struct{}{}
	}
	c.mu.Unlock()
	if cut {
		conn.Close()
		return nil, &net.OpError{Op: "dial", Net: network, Err: errCut}
	}
	return w, nil
}

// Cut ends all connections and lets no new one through.
func (c *cable) Cut() {
	c.mu.Lock()
	c.cut = true
	conns := c.conns
	c.conns = map[*wire]struct{}{}
	c.mu.Unlock()
	for w := range conns {
		w.Close()
	}
}

// Mend undoes Cut.
func (c *cable) Mend() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut = false
}

// Stall holds everything that is sent back until the function it gives is
// called: what a long pause of the process looks like from outside.
func (c *cable) Stall() (release func()) {
	gate := make(chan struct{})
	c.mu.Lock()
	c.gate = gate
	c.mu.Unlock()
	return sync.OnceFunc(func() {
		c.mu.Lock()
		if c.gate == gate {
			c.gate = nil
		}
		c.mu.Unlock()
		close(gate)
	})
}

// Mute loses the answers of the next n EndTxn requests: they are done by the
// broker, and the connection breaks before it has said so.
func (c *cable) Mute(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mute = n
}

// wire is a connection through a cable.
type wire struct {
	net.Conn
	cable  *cable
	once   sync.Once
	closed chan struct{}

	mu   sync.Mutex
	deaf bool // the next answer is lost
}

// apiEndTxn is the key of EndTxn in a request's header.
const apiEndTxn = 26

// Write sends, unless the cable is stalled. A request is written in one piece:
// [length 4][api key 2]…
func (w *wire) Write(b []byte) (int, error) {
	w.cable.mu.Lock()
	gate := w.cable.gate
	if len(b) > 6 && w.cable.mute > 0 && binary.BigEndian.Uint16(b[4:]) == apiEndTxn {
		w.cable.mute--
		w.mu.Lock()
		w.deaf = true
		w.mu.Unlock()
	}
	w.cable.mu.Unlock()
	if gate != nil {
		select {
		case <-gate:
		case <-w.closed:
			return 0, net.ErrClosed
		}
	}
	return w.Conn.Write(b)
}

// Read receives; the answer that is to be lost ends the connection.
func (w *wire) Read(b []byte) (int, error) {
	n, err := w.Conn.Read(b)
	w.mu.Lock()
	deaf := w.deaf
	w.mu.Unlock()
	if deaf && n > 0 {
		w.Close()
		return 0, io.ErrUnexpectedEOF
	}
	return n, err
}

// Close closes the connection once.
func (w *wire) Close() error {
	var err error
	w.once.Do(func() {
		close(w.closed)
		w.cable.mu.Lock()
		delete(w.cable.conns, w)
		w.cable.mu.Unlock()
		err = w.Conn.Close()
	})
	return err
}
