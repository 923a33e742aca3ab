//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// crowd is many clients of one view. One thread reads them all, with epoll and
// one buffer: clients share the machine with the node, and should cost little
// beside it.
type crowd struct {
	poll    int             // epoll
	clients map[int]*client // by socket
	closing atomic.Bool
	wg      sync.WaitGroup

	mu     sync.Mutex // held while sockets are read
	delays []int32    // µs, of each row in each delta
	open   int
}

// client is what is known of a socket.
type client struct {
	kept    [overlap]byte // the end of what was read, so that no mark is cut in two
	n       int           // of kept
	frames  int64
	bytes   int64
	delta   bool // the newest event is one
	ready   bool
	resumed bool
	id      string
}

const overlap = 128

// connect opens n streams, all at once as far as the machine allows.
func connect(ctx context.Context, addr string, n int, cursor string) (*crowd, error) {
	poll, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("read many sockets: %w", err)
	}
	c := &crowd{poll: poll, clients: make(map[int]*client, n)}
	c.wg.Go(c.read)
	errs := make(chan error, n)
	places := make(chan struct{}, 256) // connections being opened
	for range n {
		places <- struct{}{}
		go func() {
			defer func() { <-places }()
			errs <- c.dial(ctx, addr, cursor)
		}()
	}
	var failed error
	for range n {
		failed = errors.Join(failed, <-errs)
	}
	if failed != nil {
		c.close()
		return nil, failed
	}
	return c, nil
}

// dial opens one stream and gives its socket to the reader.
func (c *crowd) dial(ctx context.Context, addr, cursor string) error {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("open a stream: %w", err)
	}
	defer conn.Close() // its copy goes on
	raw, err := conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		return fmt.Errorf("open a stream: %w", err)
	}
	fd := -1
	if ctl := raw.Control(func(s uintptr) { fd, err = syscall.Dup(int(s)) }); ctl != nil || err != nil {
		return fmt.Errorf("open a stream: %w", errors.Join(ctl, err))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.clients[fd] = new(client)
	c.open++
	if err := syscall.EpollCtl(c.poll, syscall.EPOLL_CTL_ADD, fd, &syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(fd)}); err != nil {
		return fmt.Errorf("open a stream: %w", err)
	}
	if _, err := conn.Write(request(addr, cursor)); err != nil {
		return fmt.Errorf("open a stream: %w", err)
	}
	return nil
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

// read reads what comes until the crowd is closed. Between two looks it waits a
// millisecond, so that it wakes for many sockets and not for each: latencies
// are up to that much too long.
func (c *crowd) read() {
	events := make([]syscall.EpollEvent, 1024)
	buf := make([]byte, overlap+256<<10)
	for !c.closing.Load() {
		n, err := syscall.EpollWait(c.poll, events, 100)
		if err != nil && err != syscall.EINTR {
			return
		}
		c.mu.Lock()
		for _, e := range events[:max(0, n)] {
			c.readOne(int(e.Fd), buf)
		}
		c.mu.Unlock()
		if n < len(events) {
			time.Sleep(time.Millisecond)
		}
	}
}

func (c *crowd) readOne(fd int, buf []byte) {
	one := c.clients[fd]
	kept := copy(buf, one.kept[:one.n])
	n, err := syscall.Read(fd, buf[kept:])
	if err == syscall.EAGAIN || err == syscall.EINTR {
		return
	}
	if n <= 0 { // it has ended, and counts as it was
		_ = syscall.EpollCtl(c.poll, syscall.EPOLL_CTL_DEL, fd, nil)
		c.open--
		return
	}
	one.bytes += int64(n)
	c.delays = one.look(buf[:kept+n], kept, c.delays)
	one.n = copy(one.kept[:], buf[max(0, kept+n-overlap):kept+n])
}

var (
	eventMark = []byte("event: ")
	deltaMark = []byte("delta\n")
	readyMark = []byte("ready\n")
	sentMark  = []byte(`"sent":`)
	idMark    = []byte("\nid: ")
	goodMark  = []byte(`"resumed":true`)
)

// look counts the frames of a text, of which the first bytes were kept of the
// read before, and notes how old the rows of deltas are.
func (one *client) look(text []byte, kept int, delays []int32) []int32 {
	if !one.ready && bytes.Contains(text, goodMark) {
		one.resumed = true
	}
	end := text[max(0, len(text)-2*overlap):] // an id is a frame's last line
	if i := bytes.LastIndex(end, idMark); i >= 0 {
		if id, _, whole := bytes.Cut(end[i+len(idMark):], []byte("\n")); whole && (len(id) != len(one.id) || string(id) != one.id) {
			one.id = string(id)
		}
	}
	now := time.Now().UnixMicro()
	event, sent := bytes.Index(text, eventMark), bytes.Index(text, sentMark)
	next := func(at int, mark []byte) int {
		if i := bytes.Index(text[at:], mark); i >= 0 {
			return at + i
		}
		return -1
	}
	for event >= 0 || sent >= 0 {
		if event >= 0 && (sent < 0 || event < sent) {
			at := event + len(eventMark)
			event = next(at, eventMark)
			if len(text) < at+len(deltaMark) {
				continue // cut: it is seen next time
			}
			if at+len(deltaMark) <= kept {
				continue // was seen
			}
			one.delta = bytes.HasPrefix(text[at:], deltaMark)
			if one.delta {
				one.frames++
			}
			one.ready = one.ready || bytes.HasPrefix(text[at:], readyMark)
			continue
		}
		at := sent + len(sentMark)
		sent = next(at, sentMark)
		micros, end := int64(0), at
		for end < len(text) && text[end] >= '0' && text[end] <= '9' {
			micros = 10*micros + int64(text[end]-'0')
			end++
		}
		if one.delta && end < len(text) && end >= kept {
			delays = append(delays, int32(now-micros))
		}
	}
	return delays
}

// forget begins a measurement.
func (c *crowd) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.delays = c.delays[:0]
	for _, one := range c.clients {
		one.frames, one.bytes = 0, 0
	}
}

// seen is what all clients saw since forget.
type seen struct {
	frames, bytes int64
	gone          int // clients whose streams have ended
	p50, p99, max time.Duration
}

func (c *crowd) seen() (s seen) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, one := range c.clients {
		s.frames += one.frames
		s.bytes += one.bytes
	}
	s.gone = len(c.clients) - c.open
	slices.Sort(c.delays)
	at := func(q float64) time.Duration {
		if len(c.delays) == 0 {
			return 0
		}
		return time.Duration(c.delays[min(len(c.delays)-1, int(q*float64(len(c.delays))))]) * time.Microsecond
	}
	s.p50, s.p99, s.max = at(0.5), at(0.99), at(1)
	return s
}

// cursor is one that a client of the crowd would come back with.
func (c *crowd) cursor() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, one := range c.clients {
		return one.id
	}
	return ""
}

// ready waits until every client has all rows.
func (c *crowd) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		ready, _ := c.told()
		if ready == len(c.clients) {
			return nil
		}
		if err := wait(ctx, 5*time.Millisecond); err != nil {
			return fmt.Errorf("wait for %d clients to be ready, %d are: %w", len(c.clients), ready, err)
		}
	}
}

// told is how many clients have all rows, and how many have resumed.
func (c *crowd) told() (ready, resumed int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, one := range c.clients {
		if one.ready {
			ready++
		}
		if one.resumed {
			resumed++
		}
	}
	return ready, resumed
}

func (c *crowd) close() {
	if c.closing.Swap(true) {
		return
	}
	c.wg.Wait()
	for fd := range c.clients {
		_ = syscall.Close(fd)
	}
	_ = syscall.Close(c.poll)
}
