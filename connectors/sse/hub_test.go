package sse

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"maps"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const live = "/live/orders/board"

func TestTrap01WriteTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, newMemory(1), Options{}, boardSpec(1)) // its WriteTimeout is 3 s
		defer w.stop()
		c := w.open(live, "")
		for i := range 60 {
			w.topic.put(0, "DE", fmt.Sprintf(`{"country":"DE","n":%d}`, i))
			pass(time.Second)
		}
		if got := c.table()["DE"]; got != `{"country":"DE","n":59}` || c.isClosed() {
			t.Fatalf("after a minute: %s, closed: %v", got, c.isClosed())
		}
		c.close()
	})
}

func TestTrap01WriteTimeoutOverHTTP2(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, newMemory(1), Options{}, boardSpec(1))
		defer w.stop()
		tr := &http.Transport{Protocols: new(http.Protocols), DialContext: func(context.Context, string, string) (net.Conn, error) {
			here, there := net.Pipe()
			w.dial <- there
			return here, nil
		}}
		tr.Protocols.SetUnencryptedHTTP2(true)
		defer tr.CloseIdleConnections()
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost"+live, nil)
		res, err := tr.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		if res.ProtoMajor != 2 {
			t.Fatalf("protocol %s", res.Proto)
		}
		c := &client{rows: map[string]string{}, done: make(chan struct{})}
		go c.readBody(res.Body)
		for i := range 20 {
			w.topic.put(0, "DE", fmt.Sprintf(`{"n":%d}`, i))
			pass(time.Second)
		}
		if got := c.table()["DE"]; got != `{"n":19}` || c.isClosed() {
			t.Fatalf("after 20 s: %s, closed: %v", got, c.isClosed())
		}
		_ = res.Body.Close()
		<-c.done
	})
}

// blind is a middleware's writer that forgets the connection.
type blind struct{ http.ResponseWriter }

// open is one that does not.
type openWriter struct{ http.ResponseWriter }

func (w openWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func TestTrap02MiddlewareMustUnwrap(t *testing.T) {
	h := NewHub(Options{}).Handler()
	wrap := func(f func(http.ResponseWriter) http.ResponseWriter) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.ServeHTTP(f(w), r) })
	}
	if err := CheckMiddleware(wrap(func(w http.ResponseWriter) http.ResponseWriter { return openWriter{w} })); err != nil {
		t.Errorf("a middleware with Unwrap: %v", err)
	}
	err := CheckMiddleware(wrap(func(w http.ResponseWriter) http.ResponseWriter { return blind{w} }))
	if err == nil || !strings.Contains(err.Error(), "Unwrap") {
		t.Errorf("a middleware without Unwrap: %v", err)
	}
	if err := CheckMiddleware(http.NotFoundHandler()); err == nil {
		t.Error("a handler that is not ours passed")
	}
}

func TestTrap06CursorsThatCannotResumeSayWhy(t *testing.T) {
	vector := func(epoch string, offsets ...int64) string { return encodeCursor(epoch, offsets) }
	bad := base64.RawURLEncoding.EncodeToString(binary.AppendUvarint(nil, 1<<60))
	synctest.Test(t, func(t *testing.T) {
		topic := newMemory(2)
		for i := range 10 {
			topic.put(i%2, fmt.Sprint("k", i), `{"n":1}`)
		}
		spec := boardSpec(2)
		spec.ResumeWindow = time.Minute
		w := newWorld(t, topic, Options{}, spec)
		defer w.stop()
		topic.put(0, "k0", "")
		pass(2 * time.Minute) // k0's tombstone is forgotten
		e := epochOf(spec, topic.id)
		for _, c := range []struct{ cursor, reason string }{
			{"", reasonNone},
			{vector(e, 6, 5), ""},
			{vector(e, 6, 4), ""},
			{vector(e, 5, 5), reasonTooOld},
			{vector(e, 7, 5), reasonAhead},
			{vector("other", 6, 5), reasonEpoch},
			{vector(e, 6), reasonPartitions},
			{vector(e, 6, 5, 0), reasonPartitions},
			{"v2." + e + ".AQ", reasonGarbage},
			{"garbage", reasonGarbage},
			{"v1." + e + ".!!", reasonGarbage},
			{"v1." + e + "." + bad, reasonGarbage},
			{"v1." + e + "." + strings.Repeat("A", 5000), reasonTooLong},
		} {
			cl := w.open(live, c.cursor)
			pass(6 * time.Second)
			if h := cl.hello(); h.Reason != c.reason || h.Resumed != (c.reason == "") {
				t.Errorf("cursor %.40q: resumed %v, reason %q; want %q", c.cursor, h.Resumed, h.Reason, c.reason)
			}
			if n := len(cl.table()); n != 9 && c.reason != "" {
				t.Errorf("cursor %.40q: %d rows, want the whole table of 9", c.cursor, n)
			}
			if strings.ContainsAny(cl.last(), "\x00\r\n ") {
				t.Errorf("an id that a header cannot hold: %q", cl.last())
			}
			cl.close()
		}
		if n := w.count.get("resync " + reasonEpoch); n != 1 {
			t.Errorf("resyncs for another epoch: %v, want 1", n)
		}
	})
}

// A cursor of another node that is ahead waits for this one to get there.
func TestCursorAheadWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		topic := newMemory(1)
		topic.put(0, "a", `{"n":1}`)
		w := newWorld(t, topic, Options{}, boardSpec(1))
		defer w.stop()
		c := w.reopen(live, encodeCursor(epochOf(boardSpec(1), topic.id), []int64{3}), map[string]string{"a": `{"n":3}`})
		pass(time.Second)
		if c.kinds() != "" {
			t.Fatalf("it was shown the past: %s", c.kinds())
		}
		topic.put(0, "a", `{"n":2}`)
		topic.put(0, "a", `{"n":3}`)
		pass(time.Second)
		if c.kinds() != "hello delta ready" || !c.hello().Resumed || c.table()["a"] != `{"n":3}` {
			t.Fatalf("%s, %v", c.kinds(), c.table())
		}
		c.close()
	})
}

// A node that starts on a compacted topic cannot know which tombstones are
// gone: it resumes only what is younger than the resume window.
func TestNewNodeRefusesOldCursors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		topic := newMemory(1)
		spec := boardSpec(1)
		epoch := epochOf(spec, topic.id)
		topic.put(0, "a", `{"n":1}`)
		topic.put(0, "b", `{"n":1}`) // a client has seen this much
		topic.put(0, "b", "")
		topic.compact()
		pass(time.Hour)
		topic.mark(0, 0)
		pass(time.Second)
		old, young := encodeCursor(epoch, []int64{2}), encodeCursor(epoch, []int64{4})
		w := newWorld(t, topic, Options{}, spec)
		defer w.stop()
		c := w.reopen(live, old, map[string]string{"a": `{"n":1}`, "b": `{"n":1}`})
		pass(time.Second)
		if c.hello().Reason != reasonTooOld || len(c.table()) != 1 {
			t.Errorf("old cursor: %+v, %v", c.hello(), c.table())
		}
		d := w.open(live, young)
		pass(time.Second)
		if !d.hello().Resumed {
			t.Errorf("young cursor: %+v", d.hello())
		}
		c.close()
		d.close()
	})
}

func TestRecreatedTopicStartsAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		topic := newMemory(1)
		topic.put(0, "old", `{"n":1}`)
		w := newWorld(t, topic, Options{}, boardSpec(1))
		defer w.stop()
		c := w.open(live, "")
		pass(time.Second)
		topic.recreate()
		topic.put(0, "new", `{"n":2}`)
		pass(3 * time.Second)
		if !c.isClosed() {
			t.Fatal("the stream of the old topic goes on")
		}
		cursor, rows := c.close()
		c = w.reopen(live, cursor, rows)
		pass(time.Second)
		if c.hello().Reason != reasonEpoch || !maps.Equal(c.table(), map[string]string{"new": `{"n":2}`}) {
			t.Fatalf("%+v, %v", c.hello(), c.table())
		}
		c.close()
	})
}

// Until the table has reached the ends of the log a client waits: it would
// see a part of the rows, or resume into nothing.
func TestClientsWaitUntilCaughtUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		topic := newMemory(1)
		w := newWorld(t, topic, Options{}, boardSpec(1))
		defer w.stop()
		v := w.hub.view("orders/board")
		v.mu.Lock()
		close(v.gone)
		v.fresh() // as at the start, with the end not reached
		v.mu.Unlock()
		c := w.open(live, "")
		pass(20 * time.Second)
		if w.hub.Ready() || c.kinds() != "" || !strings.Contains(c.raw.String(), ": catching up") {
			t.Fatalf("ready %v, %q", w.hub.Ready(), c.raw.String())
		}
		v.setEnds(nil)
		pass(time.Second)
		if !w.hub.Ready() || c.kinds() != "hello snapshot ready" {
			t.Fatalf("ready %v, %q: an empty topic is caught up with", w.hub.Ready(), c.kinds())
		}
		c.close()
	})
}

// A view that comes when the node is ready is waited for by its own clients;
// the others keep their node.
func TestReadyStaysWhenAViewComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		topic := newMemory(1)
		w := newWorld(t, topic, Options{}) // no views yet, as with leat serve
		defer w.stop()
		w.hub.Add(boardSpec(1), nil, "")
		v := w.hub.view("orders/board")
		if w.hub.Ready() {
			t.Fatal("ready before its only view has caught up")
		}
		pass(2 * time.Second)
		if !w.hub.Ready() {
			t.Fatal("not ready although its view has caught up")
		}
		late := boardSpec(1)
		late.Name, late.Sink = "orders/late", "late"
		w.hub.Add(late, nil, "")
		if ready, _ := w.hub.view("orders/late").doors(); isClosed(ready) || !w.hub.Ready() {
			t.Errorf("a view that came later: caught up %v, ready %v", isClosed(ready), w.hub.Ready())
		}
		changed := boardSpec(1)
		changed.Generation = 2
		w.hub.Add(changed, nil, "")
		if w.hub.view("orders/board") == v || !w.hub.Ready() {
			t.Error("not ready while a view of a new generation is read")
		}
		w.end()
		synctest.Wait()
		if w.hub.Ready() {
			t.Error("ready after its end")
		}
	})
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// One client with a zero window delays nobody, and is cut at its deadline.
func TestTrap08StalledClientDelaysNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		topic := newMemory(1)
		w := newWorld(t, topic, Options{}, boardSpec(1))
		defer w.stop()
		slow := w.stalled(live, "")
		var others []*client
		for range 999 {
			others = append(others, w.open(live, ""))
		}
		for i := range 3 {
			topic.put(0, "DE", fmt.Sprintf(`{"n":%d}`, i))
			pass(3 * time.Second)
			for _, c := range others {
				if got := c.table()["DE"]; got != fmt.Sprintf(`{"n":%d}`, i) {
					t.Fatalf("after change %d: a reading client has %s", i, got)
				}
			}
		}
		if n := w.count.get("connections"); n != 1000 {
			t.Fatalf("connections %v, want 1000", n)
		}
		pass(5 * time.Second)
		if n := w.count.get("connections"); n != 999 {
			t.Fatalf("connections %v, want 999: the stalled one is to go after 10 s", n)
		}
		for _, c := range others {
			c.close()
		}
		_ = slow.conn.Close()
	})
}

// A client that reads again after some frames gets the newest row per key, in
// one frame; one that missed more than half the table gets a snapshot.
func TestTrap08SlowClientIsConflated(t *testing.T) {
	for _, test := range []struct {
		keys  int
		kinds string
	}{
		{4, "hello snapshot ready delta delta delta"},
		{8, "hello snapshot ready delta delta snapshot ready"},
	} {
		synctest.Test(t, func(t *testing.T) {
			topic := newMemory(1)
			for i := range 10 {
				topic.put(0, fmt.Sprint("k", i), `{"n":-1}`)
			}
			w := newWorld(t, topic, Options{WriteTimeout: time.Hour}, boardSpec(1))
			defer w.stop()
			c := w.stalled(live, "")
			g := &gate{Conn: c.conn, key: make(chan bool, 1)}
			c.conn = g
			go c.read()
			pass(100 * time.Millisecond)
			g.key <- true
			for i := range 3 * test.keys {
				topic.put(0, fmt.Sprint("k", i%test.keys), fmt.Sprintf(`{"n":%d}`, i))
				pass(250 * time.Millisecond)
			}
			<-g.key
			pass(time.Millisecond)
			if want := w.hub.view("orders/board").snapshotOf(); !maps.Equal(c.table(), want) {
				t.Errorf("%v, want %v", c.table(), want)
			}
			if c.kinds() != test.kinds {
				t.Errorf("%s, want %s", c.kinds(), test.kinds)
			}
			for i := range 20 {
				topic.put(0, fmt.Sprint("k", i%test.keys), fmt.Sprintf(`{"n":%d}`, i+100))
			}
			pass(time.Second)
			if n := w.count.get("conflated"); n != float64(20-test.keys) {
				t.Errorf("conflated rows: %v, want %d", n, 20-test.keys)
			}
			c.close()
		})
	}
}

// gate is a connection that reads only while nobody else has the key. (Not a
// mutex: waiting for one would hold the bubble's time.)
type gate struct {
	net.Conn
	key chan bool
}

func (g *gate) Read(b []byte) (int, error) {
	n, err := g.Conn.Read(b)
	g.key <- true
	<-g.key
	return n, err
}

func TestTrap09StormOverHTTP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		topic := newMemory(1)
		for i := range 100 {
			topic.put(0, fmt.Sprint("k", i), `{"n":1}`)
		}
		w := newWorld(t, topic, Options{}, boardSpec(1))
		defer w.stop()
		const n = 500
		clients := make([]*client, n)
		for i := range clients {
			clients[i] = w.open(live, "")
		}
		pass(100 * time.Millisecond)
		for _, c := range clients {
			if len(c.table()) != 100 {
				t.Fatalf("a client has %d rows of 100", len(c.table()))
			}
		}
		if e := w.count.get("encoded snapshot"); e != 1 {
			t.Errorf("%d clients cost %v encodings, want 1", n, e)
		}
		topic.put(0, "k1", `{"n":2}`)
		pass(time.Second)
		if e := w.count.get("encoded delta"); e != 1 {
			t.Errorf("one change cost %v encodings, want 1", e)
		}
		for _, c := range clients {
			c.close()
		}
	})
}

func TestTrap10DrainSpreadsTheClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, newMemory(1), Options{}, boardSpec(1))
		defer w.stop()
		clients := make([]*client, 1000)
		for i := range clients {
			clients[i] = w.open(live, "")
		}
		pass(time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		start := time.Now()
		drained := make(chan time.Duration)
		go func() {
			w.hub.Drain(ctx)
			drained <- time.Since(start)
		}()
		pass(6 * time.Second)
		if n := w.count.get("connections"); n < 680 || n > 820 || w.hub.Ready() {
			t.Errorf("after a quarter of the time %v of 1000 are left, ready %v", n, w.hub.Ready())
		}
		if took := <-drained; took > 25*time.Second || took < 20*time.Second {
			t.Errorf("drained in %v", took)
		}
		for _, c := range clients {
			<-c.done
			if !strings.HasSuffix(c.kinds(), "drain") {
				t.Fatalf("a client was cut without a word: %s", c.kinds())
			}
		}
	})
}

func TestTrap16AtCapacityClientsAreToldToWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, newMemory(1), Options{MaxConnections: 1}, boardSpec(1))
		defer w.stop()
		first := w.open(live, "")
		pass(time.Second)
		second := w.open(live, "")
		pass(time.Second)
		if second.status != "200 OK" || !second.isClosed() || first.isClosed() {
			t.Fatalf("second: %s, closed %v; first closed %v", second.status, second.isClosed(), first.isClosed())
		}
		var ms int
		if _, err := fmt.Sscan(second.events[0].retry, &ms); err != nil || ms < 20000 || ms > 60000 {
			t.Errorf("retry %q, want 20 to 60 s", second.events[0].retry)
		}
		if n := w.count.get("rejected capacity"); n != 1 {
			t.Errorf("rejected %v, want 1", n)
		}
		first.close()
	})
}

func TestLifeEndsBetweenFiveAndTenMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, newMemory(1), Options{}, boardSpec(1))
		defer w.stop()
		var clients []*client
		for range 20 {
			clients = append(clients, w.open(live, ""))
		}
		pass(5*time.Minute - time.Second)
		if n := w.count.get("connections"); n != 20 {
			t.Errorf("after 5 min %v are left", n)
		}
		pass(5 * time.Minute)
		for _, c := range clients {
			<-c.done
			if !strings.HasSuffix(c.kinds(), "drain") {
				t.Fatalf("ended without a drain: %s", c.kinds())
			}
		}
	})
}

func TestHostsAndHeaders(t *testing.T) {
	h := NewHub(Options{Hosts: []string{"dash.example.com"}}).Handler()
	for host, want := range map[string]int{
		"localhost:8080": 200, "127.0.0.1": 200, "[::1]:80": 200, "dash.example.com": 200, "DASH.example.com:443": 200, "10.1.2.3:8080": 200,
		"evil.example.com": 421, "localhost.evil.example.com": 421, "": 421,
	} {
		rec := &recorder{header: http.Header{}}
		r, _ := http.NewRequest(http.MethodGet, "/", nil)
		r.Host = host
		h.ServeHTTP(rec, r)
		if rec.status != want {
			t.Errorf("host %q: %d, want %d", host, rec.status, want)
		}
		if csp := rec.header.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'self'") || rec.header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("host %q: headers %v", host, rec.header)
		}
	}
}
