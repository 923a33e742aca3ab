package sse

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// keeps is the writer of a middleware that gives its connection to nobody.
type keeps struct{ http.ResponseWriter }

func (k keeps) Unwrap() http.ResponseWriter { return k.ResponseWriter }

func (keeps) Hijack() (net.Conn, *bufio.ReadWriter, error) { return nil, nil, http.ErrNotSupported }

// encodes is the writer of one that says it encodes the body.
type encodes struct{ http.ResponseWriter }

func (e encodes) Unwrap() http.ResponseWriter { return e.ResponseWriter }

func (e encodes) WriteHeader(status int) {
	e.Header().Set("Content-Encoding", "x-none")
	e.ResponseWriter.WriteHeader(status)
}

func wrapped(wrap func(http.ResponseWriter) http.ResponseWriter) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Upgrade") == "" { // a WebSocket is taken over or nothing
				w = wrap(w)
			}
			next.ServeHTTP(w, r)
		})
	}
}

// through makes the worlds of a test serve behind a middleware.
func through(t *testing.T, m func(http.Handler) http.Handler) {
	middleware = m
	t.Cleanup(func() { middleware = nil })
}

// taken is how many connections are the hub's.
func (w *world) taken() int {
	w.hub.mu.Lock()
	defer w.hub.mu.Unlock()
	return len(w.hub.taken)
}

// What a stream must bear is the same where net/http keeps the connection.
func TestTrapsWhereTheConnectionIsKept(t *testing.T) {
	through(t, wrapped(func(w http.ResponseWriter) http.ResponseWriter { return keeps{w} }))
	for name, trap := range map[string]func(*testing.T){
		"01 write timeout": TestTrap01WriteTimeout, "03 hostile text": TestTrap03HostileText, "04 cursors": TestTrap04CursorsCannotInject,
		"05 cut at any byte": TestTrap05CutAtAnyByte, "06 cursors": TestTrap06CursorsThatCannotResumeSayWhy, "07 joins": TestTrap07JoiningClients,
		"08 stalled": TestTrap08StalledClientDelaysNobody, "08 slow": TestTrap08SlowClientIsConflated, "08 deadline": TestTrap08AWriteHasItsTime,
		"09 storm": TestTrap09StormOverHTTP, "10 drain": TestTrap10DrainSpreadsTheClients, "15 expiry": TestTrap15ViewersExpire,
		"16 capacity": TestTrap16AtCapacityClientsAreToldToWait, "16 cap": TestTrap16ViewersHaveACap,
		"life": TestLifeEndsBetweenFiveAndTenMinutes, "catching up": TestClientsWaitUntilCaughtUp, "hang up": TestWhoHangsUpIsGoneAtOnce,
		"talk": TestWhatAClientSaysIsNotHeard,
	} {
		t.Run(name, trap)
	}
}

// Over HTTP/1.1 the hub takes the connection, unless somebody keeps it or
// encodes the body; the client is told the same.
func TestConnectionsAreTaken(t *testing.T) {
	for _, test := range []struct {
		name  string
		wrap  func(http.ResponseWriter) http.ResponseWriter
		proto string
		taken int
	}{
		{"as it is", nil, "HTTP/1.1", 1},
		{"as old proxies ask", nil, "HTTP/1.0", 1},
		{"behind a middleware", func(w http.ResponseWriter) http.ResponseWriter { return openWriter{w} }, "HTTP/1.1", 1},
		{"behind one that keeps it", func(w http.ResponseWriter) http.ResponseWriter { return keeps{w} }, "HTTP/1.1", 0},
		{"behind one that encodes", func(w http.ResponseWriter) http.ResponseWriter { return encodes{w} }, "HTTP/1.1", 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.wrap != nil {
				through(t, wrapped(test.wrap))
			}
			synctest.Test(t, func(t *testing.T) {
				topic := newMemory(1)
				topic.put(0, "a", `{"n":1}`)
				w := newWorld(t, topic, Options{}, boardSpec(1))
				defer w.stop()
				here, there := net.Pipe()
				w.dial <- there
				go fmt.Fprintf(here, "GET %s %s\r\nHost: localhost\r\n\r\n", live, test.proto)
				res, err := http.ReadResponse(bufio.NewReader(here), nil)
				if err != nil {
					t.Fatal(err)
				}
				c := &client{conn: here, rows: map[string]string{}, done: make(chan struct{})}
				go c.readBody(res.Body)
				pass(time.Second)
				topic.put(0, "a", `{"n":2}`)
				pass(time.Second)
				if n := w.taken(); n != test.taken {
					t.Errorf("%d connections were taken, want %d", n, test.taken)
				}
				if c.kinds() != "hello snapshot ready delta" || c.table()["a"] != `{"n":2}` || len(res.TransferEncoding) != 0 || !res.Close ||
					res.Header.Get("Content-Type") != "text/event-stream" || res.Header.Get("Content-Security-Policy") == "" {
					t.Errorf("%s, %v, chunks %v, close %v, %v", c.kinds(), c.table(), res.TransferEncoding, res.Close, res.Header)
				}
				c.close()
				pass(time.Millisecond)
				if n := w.taken(); n != 0 {
					t.Errorf("%d connections are left", n)
				}
			})
		})
	}
}

// A client that hangs up is gone before there is anything to write to it.
func TestWhoHangsUpIsGoneAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, newMemory(1), Options{}, boardSpec(1))
		defer w.stop()
		c := w.open(live, "")
		pass(1100 * time.Millisecond)
		if n := w.count.get("connections"); n != 1 {
			t.Fatalf("connections %v, want 1", n)
		}
		c.close()
		pass(time.Millisecond)
		if n := w.count.get("connections"); n != 0 {
			t.Errorf("connections %v, want 0", n)
		}
	})
}

// A client has nothing to say: one that talks is not answered, is sent on what
// it asked for, and costs nothing until it is gone, which the next write finds.
func TestWhatAClientSaysIsNotHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		topic := newMemory(1)
		w := newWorld(t, topic, Options{}, boardSpec(1))
		defer w.stop()
		c := w.open(live, "")
		pass(time.Second)
		go func() { _, _ = io.WriteString(c.conn, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n") }() // stays unread
		pass(time.Second)
		topic.put(0, "a", `{"n":1}`)
		pass(time.Second)
		if c.kinds() != "hello snapshot ready delta" || c.isClosed() {
			t.Errorf("%s, closed %v", c.kinds(), c.isClosed())
		}
		c.close()
		pass(time.Second)
		if n := w.count.get("connections"); n != 0 {
			t.Errorf("connections %v, want 0", n)
		}
	})
}

// A client that is half gone, whose network says nothing of it, ends when a
// write has had its time: between three quarters of WriteTimeout and all of it.
func TestTrap08AWriteHasItsTime(t *testing.T) {
	for _, reads := range []time.Duration{0, time.Second, 9 * time.Second, 31 * time.Second, 99 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			topic := newMemory(1)
			w := newWorld(t, topic, Options{WriteTimeout: 8 * time.Second}, boardSpec(1))
			defer w.stop()
			c := w.stalled(live, "")
			g := &gate{Conn: c.conn, key: make(chan bool, 1)}
			c.conn = g
			go c.read()
			pass(reads + 100*time.Millisecond)
			g.key <- true // from here on it reads nothing, and sends no FIN
			topic.put(0, "a", `{"n":1}`)
			stalled := time.Now()
			for w.count.get("connections") > 0 {
				pass(50 * time.Millisecond)
			}
			if took := time.Since(stalled); took < 6*time.Second || took > 8*time.Second+refreshOf(w)+100*time.Millisecond {
				t.Errorf("after %v of reading: it ended %v after it stalled, want 6 to 8 s", reads, took)
			}
			<-g.key
			c.close()
		})
	}
}

func refreshOf(w *world) time.Duration { return w.hub.view("orders/board").spec.Refresh }

// When the hub stops, the streams whose connections it has end, and no other
// begins: the server knows nothing of them.
func TestStreamsEndWithTheHub(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, newMemory(1), Options{}, boardSpec(1))
		defer w.stop()
		c, stalled := w.open(live, ""), w.stalled(live, "")
		pass(time.Second)
		if w.taken() != 1 {
			t.Fatalf("%d taken", w.taken())
		}
		w.end()
		synctest.Wait()
		late := w.open(live, "")
		synctest.Wait()
		if !c.isClosed() || !late.isClosed() || late.kinds() != "" || w.taken() != 0 {
			t.Errorf("closed %v, a late one %v after %q, %d taken", c.isClosed(), late.isClosed(), late.kinds(), w.taken())
		}
		_ = stalled.conn.Close() // it had no answer yet: the server has it
	})
}

// Over TLS a connection is taken as well, and given up without waiting for who
// does not read.
func TestConnectionsOfTLSAreTaken(t *testing.T) {
	hub := NewHub(Options{})
	hub.Add(boardSpec(1), nil, "")
	topic := newMemory(1)
	topic.put(0, "a", `{"n":1}`)
	server := httptest.NewUnstartedServer(hub.Handler())
	server.EnableHTTP2 = false
	server.StartTLS()
	defer server.Close()
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan error)
	go func() { stopped <- hub.Run(ctx, topic) }()
	res, err := server.Client().Get(server.URL + live)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	in := bufio.NewReader(res.Body)
	text := ""
	for !strings.Contains(text, "event: ready") {
		line, err := in.ReadString('\n')
		if err != nil {
			t.Fatalf("%v after %q", err, text)
		}
		text += line
	}
	hub.mu.Lock()
	n := len(hub.taken)
	hub.mu.Unlock()
	cancel()
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	_, err = io.Copy(io.Discard, in)
	if n != 1 || !strings.Contains(text, `"n":1`) || err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%d taken, %v after %q", n, err, text)
	}
}
