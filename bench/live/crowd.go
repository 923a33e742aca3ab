package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// crowd is many clients of one view.
type crowd struct {
	conns []*client
	wg    sync.WaitGroup
}

// client is a socket that is read; its reader's goroutine is the only writer.
type client struct {
	conn    net.Conn
	frames  atomic.Int64
	bytes   atomic.Int64
	at      atomic.Bool // ready was seen
	resumed atomic.Bool

	mu     sync.Mutex
	delays []int32 // µs
	lastID string
}

// connect opens n streams, all at once as far as the machine allows.
func connect(ctx context.Context, addr string, n int, cursor string) (*crowd, error) {
	c := &crowd{conns: make([]*client, n)}
	errs := make(chan error, n)
	gate := make(chan struct{}, 256) // connections being opened
	for i := range n {
		gate <- struct{}{}
		go func() {
			defer func() { <-gate }()
			one, err := dial(ctx, addr, cursor)
			c.conns[i] = one
			errs <- err
		}()
	}
	var failed error
	for range n {
		if err := <-errs; err != nil {
			failed = err
		}
	}
	if failed != nil {
		c.close()
		return nil, failed
	}
	for _, one := range c.conns {
		c.wg.Go(one.read)
	}
	return c, nil
}

func dial(ctx context.Context, addr, cursor string) (*client, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("open a stream: %w", err)
	}
	if _, err := conn.Write(request(addr, cursor)); err != nil {
		conn.Close()
		return nil, fmt.Errorf("open a stream: %w", err)
	}
	return &client{conn: conn}, nil
}

func request(addr, cursor string) []byte {
	b := fmt.Appendf(nil, "GET /live/%s HTTP/1.1\r\nHost: %s\r\nAccept: text/event-stream\r\n", view.Name, addr)
	if cursor != "" {
		b = fmt.Appendf(b, "Last-Event-ID: %s\r\n", cursor)
	}
	return append(b, "\r\n"...)
}

// stall opens a stream and never reads it.
func stall(addr string) (net.Conn, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("open a stream that stalls: %w", err)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetReadBuffer(1 << 10)
	}
	_, err = conn.Write(request(addr, ""))
	return conn, err
}

var (
	deltaMark = []byte("event: delta")
	readyMark = []byte("event: ready")
	sentMark  = []byte(`"sent":`)
	idMark    = []byte("\nid: ")
	goodMark  = []byte(`"resumed":true`)
)

// overlap is what is kept of a read, so that no mark is cut in two.
const overlap = 128

// read counts frames and takes the delay of the newest row in each.
func (c *client) read() {
	buf := make([]byte, 8<<10)
	kept := 0
	for {
		n, err := c.conn.Read(buf[kept:])
		if err != nil {
			return
		}
		now := time.Now().UnixMicro()
		c.bytes.Add(int64(n))
		text := buf[:kept+n]
		if !c.at.Load() {
			if bytes.Contains(text, goodMark) {
				c.resumed.Store(true)
			}
			if bytes.Contains(text, readyMark) {
				c.at.Store(true)
			}
		}
		// What ends in the overlap was not counted yet, or begins there.
		frames := bytes.Count(text, deltaMark) - bytes.Count(buf[:kept], deltaMark)
		c.frames.Add(int64(frames))
		c.note(text, now, frames > 0)
		kept = copy(buf, text[max(0, len(text)-overlap):])
	}
}

func (c *client) note(text []byte, now int64, frame bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if i := bytes.LastIndex(text, idMark); i >= 0 {
		id := text[i+len(idMark):]
		if end := bytes.IndexByte(id, '\n'); end > 0 {
			c.lastID = string(id[:end])
		}
	}
	if !frame {
		return
	}
	if i := bytes.LastIndex(text, sentMark); i >= 0 {
		digits := text[i+len(sentMark):]
		if end := bytes.IndexAny(digits, ",}"); end > 0 {
			if sent, err := strconv.ParseInt(string(digits[:end]), 10, 64); err == nil {
				c.delays = append(c.delays, int32(now-sent))
			}
		}
	}
}

// forget begins a measurement.
func (c *crowd) forget() {
	for _, one := range c.conns {
		one.frames.Store(0)
		one.bytes.Store(0)
		one.mu.Lock()
		one.delays = one.delays[:0]
		one.mu.Unlock()
	}
}

// seen is what all clients saw since forget.
type seen struct {
	frames, bytes int64
	p50, p99, max time.Duration
}

func (c *crowd) seen() (s seen) {
	var all []int32
	for _, one := range c.conns {
		s.frames += one.frames.Load()
		s.bytes += one.bytes.Load()
		one.mu.Lock()
		all = append(all, one.delays...)
		one.mu.Unlock()
	}
	slices.Sort(all)
	at := func(q float64) time.Duration {
		if len(all) == 0 {
			return 0
		}
		return time.Duration(all[min(len(all)-1, int(q*float64(len(all))))]) * time.Microsecond
	}
	s.p50, s.p99, s.max = at(0.5), at(0.99), at(1)
	return s
}

// cursor is one that a client of the crowd would come back with.
func (c *crowd) cursor() string {
	one := c.conns[0]
	one.mu.Lock()
	defer one.mu.Unlock()
	return one.lastID
}

// ready waits until every client has all rows.
func (c *crowd) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for _, one := range c.conns {
		for !one.at.Load() {
			if err := wait(ctx, 5*time.Millisecond); err != nil {
				return fmt.Errorf("wait for %d clients to be ready: %w", len(c.conns), err)
			}
		}
	}
	return nil
}

func (c *crowd) resumed() (n int) {
	for _, one := range c.conns {
		if one.resumed.Load() {
			n++
		}
	}
	return n
}

func (c *crowd) close() {
	for _, one := range c.conns {
		if one != nil {
			one.conn.Close()
		}
	}
	c.wg.Wait()
}
