package sse

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
)

// message is an event as polls and sockets have it.
type message struct {
	Event string          `json:"event"`
	Data  json.RawMessage `json:"data"`
	ID    string          `json:"id"`
}

func (m message) event() event {
	if m.Event == "cursor" {
		return event{id: m.ID}
	}
	return event{kind: m.Event, data: string(m.Data), id: m.ID}
}

// http is a client whose connections are the world's pipes.
func (w *world) http() *http.Client {
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		here, there := net.Pipe()
		select {
		case w.dial <- there:
			return here, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}}}
}

// withCursor adds a cursor to a path.
func withCursor(path, cursor string) string {
	if cursor == "" {
		return path
	}
	if strings.Contains(path, "?") {
		return path + "&cursor=" + cursor
	}
	return path + "?cursor=" + cursor
}

// asked is one poll: the status, the events, and the answer's header.
func (w *world) asked(ctx context.Context, path string) (int, []message, http.Header, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://localhost"+path, nil)
	if err != nil {
		return 0, nil, nil, err
	}
	res, err := w.http().Do(req)
	if err != nil {
		return 0, nil, nil, err
	}
	defer res.Body.Close()
	var list []message
	if res.StatusCode == http.StatusOK {
		err = json.NewDecoder(res.Body).Decode(&list)
	}
	return res.StatusCode, list, res.Header, err
}

// polls makes c a client that polls.
func (w *world) polls(c *client, path string) {
	ctx, cancel := context.WithCancel(context.Background())
	c.stop = cancel
	go func() {
		defer close(c.done)
		for ctx.Err() == nil {
			status, list, _, err := w.asked(ctx, withCursor(path, c.last()))
			if err != nil {
				return
			}
			if status != http.StatusOK && status != http.StatusNoContent {
				panic(fmt.Sprint("a poll answers ", status))
			}
			c.mu.Lock()
			for _, m := range list {
				c.take(m.event())
			}
			c.mu.Unlock()
		}
	}()
}

// socket makes c a client over a WebSocket.
func (w *world) socket(c *client, path string) {
	ctx, cancel := context.WithCancel(context.Background())
	c.stop = cancel
	go func() {
		defer close(c.done)
		defer func() {
			c.mu.Lock()
			c.closed = true
			c.mu.Unlock()
		}()
		ws, _, err := websocket.Dial(ctx, "http://localhost"+withCursor(path, c.last()), &websocket.DialOptions{HTTPClient: w.http()})
		if err != nil {
			return
		}
		defer ws.CloseNow()
		ws.SetReadLimit(1 << 20)
		for {
			_, text, err := ws.Read(ctx)
			if err != nil {
				c.mu.Lock()
				c.status = fmt.Sprint(int(websocket.CloseStatus(err)))
				c.mu.Unlock()
				return
			}
			var m message
			if err := json.Unmarshal(text, &m); err != nil {
				panic(fmt.Sprintf("%v: %s", err, text))
			}
			c.mu.Lock()
			c.take(m.event())
			c.mu.Unlock()
		}
	}()
}

func kindsOf(list []message) string {
	var kinds []string
	for _, m := range list {
		kinds = append(kinds, m.Event)
	}
	return strings.Join(kinds, " ")
}

// A poll without a cursor answers at once, one with a cursor when something
// has changed, and after 20 s with nothing.
func TestPoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		topic := newMemory(1)
		topic.put(0, "DE", `{"country":"DE","n":1}`)
		w := newWorld(t, topic, Options{}, boardSpec(1))
		defer w.stop()
		ask := func(cursor string) (int, []message, http.Header, time.Duration) {
			start := time.Now()
			status, list, header, err := w.asked(t.Context(), withCursor(live+"/poll", cursor))
			if err != nil {
				t.Fatal(err)
			}
			return status, list, header, time.Since(start)
		}
		status, list, _, took := ask("")
		if status != 200 || kindsOf(list) != "hello snapshot ready mark" || took > 0 {
			t.Fatalf("%d %s after %v", status, kindsOf(list), took)
		}
		cursor := list[2].ID
		time.AfterFunc(3*time.Second, func() { topic.put(0, "DE", `{"country":"DE","n":2}`) })
		status, list, _, took = ask(cursor)
		if status != 200 || kindsOf(list) != "hello delta ready delta presence mark" || took < 3*time.Second || took > 3500*time.Millisecond {
			t.Fatalf("%d %s after %v", status, kindsOf(list), took)
		}
		if want := `{"upsert":[{"country":"DE","n":2,"_key":"DE"}],"delete":[],"watermark":null}`; string(list[3].Data) != want {
			t.Fatalf("%s, want %s", list[3].Data, want)
		}
		// What came between two polls is not lost.
		status, again, _, took := ask(cursor)
		if status != 200 || kindsOf(again) != "hello delta ready presence mark" || took > 0 || again[1].ID != list[3].ID {
			t.Fatalf("%d %s after %v", status, kindsOf(again), took)
		}
		status, _, _, took = ask(list[3].ID)
		if status != 204 || took != 20*time.Second {
			t.Fatalf("%d after %v, want 204 after 20 s", status, took)
		}
		// A cursor that cannot be resumed does not wait.
		status, list, _, took = ask("v1.elsewhere.AQI")
		if status != 200 || kindsOf(list) != "hello snapshot ready presence mark" || took > 0 || !bytes.Contains(list[0].Data, []byte(reasonEpoch)) {
			t.Fatalf("%d %s after %v", status, kindsOf(list), took)
		}
	})
}

// A filter that hides all changes answers 204, with a cursor that does not
// grow old.
func TestPollBringsTheCursorForward(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		topic := newMemory(1)
		w := newWorld(t, topic, Options{Compile: compile}, boardSpec(1))
		defer w.stop()
		path := live + "/poll?where=even"
		_, list, _, err := w.asked(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		before := list[len(list)-2].ID
		time.AfterFunc(time.Second, func() { topic.put(0, "DE", `{"n":1}`) })
		status, _, header, err := w.asked(t.Context(), withCursor(path, before))
		if after := header.Get("Leat-Cursor"); err != nil || status != 204 || after == before || after == "" {
			t.Fatalf("%d, cursor %q after %q, %v", status, after, before, err)
		}
	})
}

// Windows go with time alone: a poll hears of it though no row changes.
func TestPollHearsThatWindowsGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		topic := newMemory(1)
		spec := boardSpec(1)
		spec.Windowed, spec.History = true, 10*time.Second
		end := time.Now().UnixMilli()
		topic.put(0, "idle", fmt.Sprintf(`{"n":1,"window_end":%d}`, end))
		topic.mark(0, end)
		w := newWorld(t, topic, Options{}, spec)
		defer w.stop()
		c := &client{rows: map[string]string{}, done: make(chan struct{})}
		w.polls(c, live+"/poll")
		pass(time.Second)
		if len(c.table()) != 1 {
			t.Fatalf("%v", c.table())
		}
		topic.mark(0, end+20000)
		pass(25 * time.Second)
		if len(c.table()) != 0 {
			t.Errorf("a window that is gone is shown: %v", c.table())
		}
		c.close()
	})
}

func TestPollAtCapacityAndDraining(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, newMemory(1), Options{MaxConnections: 1}, boardSpec(1))
		defer w.stop()
		_, list, _, err := w.asked(t.Context(), live+"/poll")
		if err != nil {
			t.Fatal(err)
		}
		c := w.open(live, "")
		pass(time.Second)
		if status, _, header, _ := w.asked(t.Context(), live+"/poll"); status != 503 || len(header.Get("Retry-After")) != 2 {
			t.Errorf("at capacity: %d, Retry-After %q", status, header.Get("Retry-After"))
		}
		c.close()
		pass(time.Second)
		go func() {
			time.Sleep(5 * time.Second)
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			w.hub.Drain(ctx)
		}()
		start := time.Now()
		if status, _, _, _ := w.asked(t.Context(), withCursor(live+"/poll", list[2].ID)); status != 204 || time.Since(start) != 5*time.Second {
			t.Errorf("draining: %d after %v, want 204 at once", status, time.Since(start))
		}
	})
}

// A socket has the stream's events as messages, and closes with the reason.
func TestSocket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		topic := newMemory(1)
		topic.put(0, "DE", "{\"country\":\"D\xffE\",\"n\":1}") // text messages must be UTF-8
		w := newWorld(t, topic, Options{MinLife: time.Minute, MaxLife: time.Minute}, boardSpec(1))
		defer w.stop()
		c := &client{rows: map[string]string{}, done: make(chan struct{})}
		w.socket(c, live+"/ws")
		pass(time.Second)
		if got := c.table()["DE"]; got != "{\"country\":\"D\uFFFDE\",\"n\":1}" {
			t.Fatalf("%s, %s", got, c.kinds())
		}
		topic.put(0, "DE", `{"n":2}`)
		pass(50 * time.Second) // with pings
		if c.kinds() != "hello snapshot ready delta" || c.isClosed() {
			t.Fatalf("%s, closed %v", c.kinds(), c.isClosed())
		}
		pass(10 * time.Second)
		<-c.done
		if !strings.HasSuffix(c.kinds(), "drain") || c.status != "1001" {
			t.Fatalf("%s, status %s", c.kinds(), c.status)
		}
	})
}

// A page of another origin may not open a socket with a viewer's cookies.
func TestSocketsAreForOurOwnPages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, newMemory(1), Options{}, boardSpec(1))
		defer w.stop()
		for origin, want := range map[string]int{"": 101, "http://localhost": 101, "http://evil.example": 403, "null": 403} {
			ctx, cancel := context.WithCancel(t.Context())
			header := http.Header{}
			if origin != "" {
				header.Set("Origin", origin)
			}
			ws, res, err := websocket.Dial(ctx, "http://localhost"+live+"/ws", &websocket.DialOptions{HTTPClient: w.http(), HTTPHeader: header})
			if res == nil || res.StatusCode != want {
				t.Errorf("origin %q: %v, %v; want %d", origin, res, err, want)
			}
			if ws != nil {
				_ = ws.CloseNow()
			}
			cancel()
			pass(time.Second)
		}
	})
}

// A client that talks, or does not answer pings, is let go.
func TestSocketsThatMisbehave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, newMemory(1), Options{}, boardSpec(1))
		defer w.stop()
		dial := func() *websocket.Conn {
			ws, _, err := websocket.Dial(t.Context(), "http://localhost"+live+"/ws", &websocket.DialOptions{HTTPClient: w.http()})
			if err != nil {
				t.Fatal(err)
			}
			return ws
		}
		talker, silent := dial(), dial()
		defer silent.CloseNow()
		go func() {
			for {
				if _, _, err := talker.Read(t.Context()); err != nil {
					return
				}
			}
		}()
		pass(time.Second)
		if n := w.count.get("connections"); n != 2 {
			t.Fatalf("connections %v, want 2", n)
		}
		_ = talker.Write(t.Context(), websocket.MessageText, []byte("hello?"))
		pass(30 * time.Second)
		if n := w.count.get("connections"); n != 0 {
			t.Errorf("connections %v, want none", n)
		}
	})
}
