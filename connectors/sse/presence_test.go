package sse

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// wire is a Presence in memory that counts records.
type wire struct {
	mu      sync.Mutex
	ears    []func(string, []byte)
	records int
}

func (w *wire) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.records
}

func (w *wire) Publish(_ context.Context, key string, value []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.records++
	for _, fn := range w.ears {
		fn(key, value)
	}
	return nil
}

func (w *wire) Tail(ctx context.Context, fn func(string, []byte)) error {
	w.mu.Lock()
	w.ears = append(w.ears, fn)
	w.mu.Unlock()
	<-ctx.Done()
	return nil
}

// ticketed lets in anybody as who they say they are, by ?ticket=.
type ticketed struct{ open }

func (ticketed) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if name := r.URL.Query().Get("ticket"); name != "" {
			r = r.WithContext(WithViewer(r.Context(), &Viewer{Name: name}))
		}
		next.ServeHTTP(w, r)
	})
}

func (w *world) watchers(t *testing.T) watched {
	var s watched
	res := get(w.hub.Handler(), "/v1/presence/orders/board")
	if err := json.Unmarshal(res.Body.Bytes(), &s); err != nil || res.Code != 200 {
		t.Fatalf("%d %s", res.Code, res.Body)
	}
	return s
}

// Two nodes tell each other who watches; a viewer with two tabs is one, of
// nobody in particular each stream counts; who is silent for 15 s is gone.
func TestPresenceAcrossNodes(t *testing.T) {
	for _, names := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			topic, line := newMemory(1), &wire{}
			node := func(name string) *world {
				return newWorld(t, topic, Options{Gate: ticketed{}, Node: name, Presence: line, PresenceNames: names}, boardSpec(1))
			}
			a, b := node("a"), node("b")
			defer a.stop()
			clients := []*client{a.open(live+"?ticket=ann", ""), a.open(live+"?ticket=ann", ""), a.open(live, ""), a.open(live, ""), b.open(live+"?ticket=ben", ""), b.open(live+"?ticket=ann", "")}
			pass(2 * time.Second)
			if s := a.watchers(t); s.Count != 3 {
				t.Errorf("node a knows of itself at once: %d, want 3", s.Count)
			}
			pass(5 * time.Second)
			// Ann is on both nodes: without names nobody can know that she is one.
			want := 5
			if names {
				want = 4
			}
			for _, w := range []*world{a, b} {
				s := w.watchers(t)
				if s.Count != want || len(s.Nodes) != 2 {
					t.Errorf("names %v: %+v, want %d on 2 nodes", names, s, want)
				}
				if got := fmt.Sprint(s.Principals); names && got != "[ann ben]" || !names && got != "[]" {
					t.Errorf("names %v: %s", names, got)
				}
			}
			if last := lastOf(clients[0], "presence"); !strings.Contains(last, fmt.Sprintf(`"count":%d`, want)) || strings.Contains(last, "ben") != names {
				t.Errorf("the client was told %s", last)
			}
			events := countOf(clients[0], "presence")
			records := line.count()
			pass(30 * time.Second)
			if n := countOf(clients[0], "presence") - events; n > 0 {
				t.Errorf("%d events although nothing changed", n)
			}
			if n := line.count() - records; n < 10 || n > 14 {
				t.Errorf("%d records in 30 s of two nodes, want 12", n)
			}
			b.stop()
			pass(9 * time.Second)
			if s := a.watchers(t); len(s.Nodes) != 2 {
				t.Errorf("a node that was silent for a moment is gone: %+v", s)
			}
			pass(7 * time.Second) // it spoke last up to 5 s before it went
			if s := a.watchers(t); s.Count != 3 || len(s.Nodes) != 1 {
				t.Errorf("a node that is gone is still there: %+v", s)
			}
			for _, c := range clients[:4] {
				c.close()
			}
			pass(time.Second)
			if s := a.watchers(t); s.Count != 0 {
				t.Errorf("all have gone: %+v", s)
			}
		})
	}
}

// Who polls, or has a WebSocket, is counted and told as others are: a poll with
// the next news, as nobody knows what it was told before.
func TestPresenceOverPollAndSocket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		topic := newMemory(1)
		w := newWorld(t, topic, Options{Gate: ticketed{}, PresenceNames: true}, boardSpec(1))
		defer w.stop()
		polling, talking := &client{rows: map[string]string{}, done: make(chan struct{})}, &client{rows: map[string]string{}, done: make(chan struct{})}
		w.polls(polling, live+"/poll?ticket=ann")
		w.socket(talking, live+"/ws?ticket=ben")
		pass(3 * time.Second)
		if s := w.watchers(t); s.Count != 2 || fmt.Sprint(s.Principals) != "[ann ben]" {
			t.Errorf("watching: %+v", s)
		}
		if last := lastOf(talking, "presence"); last != `{"count":2,"principals":["ann","ben"]}` {
			t.Errorf("the WebSocket was told %q", last)
		}
		if countOf(polling, "presence") > 0 {
			t.Error("a poll was answered although nothing but presence is new")
		}
		topic.put(0, "DE", `{"n":1}`)
		pass(time.Second)
		if last := lastOf(polling, "presence"); last != `{"count":2,"principals":["ann","ben"]}` {
			t.Errorf("the poll was told %q", last)
		}
		talking.close()
		pass(2 * time.Second)
		if s := w.watchers(t); fmt.Sprint(s.Principals) != "[ann]" {
			t.Errorf("a closed socket watches: %+v", s)
		}
		polling.close()
	})
}

func countOf(c *client, kind string) (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range c.events {
		if e.kind == kind {
			n++
		}
	}
	return n
}

func lastOf(c *client, kind string) (data string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range c.events {
		if e.kind == kind {
			data = e.data
		}
	}
	return data
}
