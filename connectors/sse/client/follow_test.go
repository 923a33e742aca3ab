package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/leatstream/leat/connectors/sse"
	"github.com/leatstream/leat/engine"
)

// topic is a partition in memory.
type topic struct {
	mu   sync.Mutex
	rows engine.Rows
	more chan struct{}
	last map[string]string // what a reader should end with
}

func (t *topic) put(key, value string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var v []byte
	if delete(t.last, key); value != "" {
		v, t.last[key] = []byte(value), value
	}
	t.rows.Keys, t.rows.Values = append(t.rows.Keys, []byte(key)), append(t.rows.Values, v)
	t.rows.Offsets = append(t.rows.Offsets, int64(len(t.rows.Offsets)))
	t.rows.Times = append(t.rows.Times, time.Now().UnixMilli())
	close(t.more)
	t.more = make(chan struct{})
}

// Tail is the hub's reader.
func (t *topic) Tail(ctx context.Context, _ engine.Topic, from map[engine.Partition]engine.Offset, fn func([]*engine.Rows, map[engine.Partition]engine.Offset) error) error {
	for at := int(from[0]); ; {
		t.mu.Lock()
		r, more := t.rows, t.more
		t.mu.Unlock()
		if n := r.Len(); n > at {
			some := &engine.Rows{Keys: r.Keys[at:n], Values: r.Values[at:n], Offsets: r.Offsets[at:n], Times: r.Times[at:n]}
			if err := fn([]*engine.Rows{some}, map[engine.Partition]engine.Offset{0: engine.Offset(n)}); err != nil {
				return err
			}
			at = n
			continue
		}
		select {
		case <-more:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// pipes is a listener whose connections the test can cut.
type pipes struct {
	mu    sync.Mutex
	open  []net.Conn
	queue chan net.Conn
	done  chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.queue:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}
func (p *pipes) Close() error   { close(p.done); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

func (p *pipes) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.open {
		_ = c.Close()
	}
	p.open = nil
}

// serve runs a handler and gives a client of it, and what ends it all.
func serve(h http.Handler) (*pipes, *http.Client, func()) {
	p := &pipes{queue: make(chan net.Conn), done: make(chan struct{})}
	server := &http.Server{Handler: h, ReadHeaderTimeout: time.Second}
	var wg sync.WaitGroup
	wg.Go(func() { _ = server.Serve(p) })
	tr := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		here, there := net.Pipe()
		select {
		case p.queue <- there:
			p.mu.Lock()
			defer p.mu.Unlock()
			p.open = append(p.open, here)
			return here, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}}
	return p, &http.Client{Transport: tr}, func() { _ = server.Close(); wg.Wait() }
}

// Whatever happens to its connections, the client ends with the topic's rows.
func TestFollow(t *testing.T) {
	seed := rand.Uint64()
	if s, err := strconv.ParseUint(os.Getenv("SEED"), 10, 64); err == nil {
		seed = s
	}
	t.Logf("replay: SEED=%d", seed)
	for _, patches := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 1))
			view := &topic{more: make(chan struct{}), last: map[string]string{}}
			hub := sse.NewHub(sse.Options{Log: slog.New(slog.DiscardHandler), MinLife: 10 * time.Second, MaxLife: 20 * time.Second})
			hub.Add(engine.ViewSpec{Pipeline: "p", Sink: "s", Tasks: 1, ResumeWindow: 20 * time.Second}, nil, "")
			ctx, cancel := context.WithCancel(t.Context())
			var wg sync.WaitGroup
			wg.Go(func() { _ = hub.Run(ctx, view) })
			p, web, stop := serve(hub.Handler())
			var table *Table
			resets, changes := 0, 0
			wg.Go(func() {
				err := Follow(ctx, "http://localhost/live/p/s", Options{HTTP: web, Patches: patches, OnChange: func(t *Table, c Change) {
					table = t
					changes += len(c.Upserted) + len(c.Deleted)
					if c.Reset {
						resets++
					}
				}})
				if !errors.Is(err, context.Canceled) {
					t.Errorf("it ended with %v", err)
				}
			})
			for range 300 {
				for range r.IntN(4) {
					value := fmt.Sprintf(`{"n":%d,"list":[1,%d,"x"],"pad":"%0300d"}`, r.IntN(50), r.IntN(5), 0)
					if r.IntN(5) == 0 {
						value = ""
					}
					view.put(fmt.Sprint("k", r.IntN(20)), value)
				}
				if r.IntN(20) == 0 {
					p.cut()
				}
				time.Sleep(time.Duration(r.IntN(500)) * time.Millisecond)
			}
			time.Sleep(30 * time.Second)
			synctest.Wait()
			got := map[string]string{}
			for k, row := range table.Rows() {
				got[k] = plain(string(row))
			}
			want := map[string]string{}
			for k, row := range view.last {
				want[k] = plain(row)
			}
			if !maps.Equal(got, want) || table.Len() != len(want) {
				t.Errorf("patches %v: %v\nwant %v", patches, got, want)
			}
			if resets == 0 || resets > 3 || changes < 100 {
				t.Errorf("patches %v: %d snapshots, %d rows: it should resume", patches, resets, changes)
			}
			cancel()
			stop()
			wg.Wait()
		})
	}
}

func plain(row string) string {
	var v any
	_ = json.Unmarshal([]byte(row), &v)
	b, _ := json.Marshal(v)
	return string(b)
}

// said is a server that says what it is told to, a text for each connection.
func said(header map[string]string, texts ...string) (http.Handler, *[]*http.Request) {
	var asked []*http.Request
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r)
		i := min(len(asked), len(texts)) - 1
		w.Header().Set("Content-Type", "text/event-stream")
		for k, v := range header {
			w.Header().Set(k, v)
		}
		if status, err := strconv.Atoi(texts[i]); err == nil {
			w.WriteHeader(status)
			return
		}
		_, _ = w.Write([]byte(texts[i]))
		_ = http.NewResponseController(w).Flush()
		if i == len(texts)-1 {
			<-r.Context().Done()
		}
	}), &asked
}

const begin = "event: hello\ndata: {\"epoch\":\"e\",\"heartbeat_ms\":15000}\n\n" +
	"event: snapshot\ndata: {\"rows\":[{\"n\":1,\"_key\":\"a\"}]}\n\nevent: ready\ndata: {}\nid: v1.e.A\n\n"

func follow(t *testing.T, h http.Handler, o Options, d time.Duration) (table *Table, states []string, err error) {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	_, web, stop := serve(h)
	defer stop()
	o.HTTP, o.Random = web, func() float64 { return 0.5 }
	start := time.Now()
	o.OnChange = func(t *Table, _ Change) { table = t }
	o.OnState = func(state, reason string) {
		states = append(states, fmt.Sprintf("%s %s", time.Since(start).Round(time.Millisecond), state))
	}
	err = Follow(ctx, "http://localhost/live/p/s", o)
	return table, states, err
}

func TestFollowEnds(t *testing.T) {
	for _, status := range []string{"400", "401", "403", "404"} {
		synctest.Test(t, func(t *testing.T) {
			h, asked := said(nil, status)
			_, _, err := follow(t, h, Options{}, time.Hour)
			var refused *Refused
			if !errors.As(err, &refused) || fmt.Sprint(refused.Status) != status || len(*asked) != 1 {
				t.Errorf("%s: %v after %d requests", status, err, len(*asked))
			}
		})
	}
}

// After a failure it waits longer and longer, or as long as the server says.
func TestFollowWaits(t *testing.T) {
	for _, c := range []struct {
		header map[string]string
		texts  []string
		want   string
	}{
		{nil, []string{"503"}, "[0s connecting 0s waiting 500ms connecting 500ms waiting 1.5s connecting 1.5s waiting 3.5s connecting 3.5s waiting 7.5s connecting 7.5s waiting]"},
		{map[string]string{"Retry-After": "4"}, []string{"503"}, "[0s connecting 0s waiting 6s connecting 6s waiting]"},
		{nil, []string{"retry: 3000\n\n" + begin, begin}, "[0s connecting 0s live 0s waiting 3s connecting 3s live]"},
		{nil, []string{begin + "retry: 2000\nevent: drain\ndata: {\"retry_ms\":2000,\"reason\":\"life\"}\n\n", begin}, "[0s connecting 0s live 0s waiting 2s connecting 2s live]"},
	} {
		synctest.Test(t, func(t *testing.T) {
			h, _ := said(c.header, c.texts...)
			_, states, _ := follow(t, h, Options{}, 10*time.Second)
			if fmt.Sprint(states) != c.want {
				t.Errorf("%v\nwant %s", states, c.want)
			}
		})
	}
}

// A server that says nothing for three heartbeats is gone.
func TestFollowNoticesSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, _ := said(nil, begin)
		_, states, _ := follow(t, h, Options{}, time.Minute)
		if want := "[0s connecting 0s live 45s waiting 45.5s connecting 45.5s live]"; fmt.Sprint(states) != want {
			t.Errorf("%v\nwant %s", states, want)
		}
	})
}

// A patch of another row than the one here is not applied: everything is read
// again, at once.
func TestFollowDoesNotTrustPatches(t *testing.T) {
	for name, patch := range map[string]string{
		"base": `{"_key":"a","base":"0000000000000000","hash":"0000000000000000","ops":[]}`,
		"hash": `{"_key":"a","base":"0c85d1734a1666a0","hash":"0000000000000000","ops":[{"op":"replace","path":"/n","value":2}]}`,
		"ops":  `{"_key":"a","base":"0c85d1734a1666a0","hash":"0000000000000000","ops":[{"op":"remove","path":"/m"}]}`,
		"row":  `{"_key":"b","base":"0c85d1734a1666a0","hash":"0000000000000000","ops":[]}`,
	} {
		synctest.Test(t, func(t *testing.T) {
			delta := fmt.Sprintf("event: delta\ndata: {\"upsert\":[],\"delete\":[],\"patch\":[%s]}\nid: v1.e.B\n\n", patch)
			h, asked := said(nil, begin+delta+begin, begin)
			table, _, _ := follow(t, h, Options{Patches: true}, 10*time.Second)
			if len(*asked) != 2 || (*asked)[1].Header.Get("Last-Event-ID") != "" || (*asked)[0].URL.Query().Get("format") != "json-patch" {
				t.Fatalf("%s: %d requests, %v", name, len(*asked), (*asked)[len(*asked)-1].Header)
			}
			if row, _ := table.Get("a"); string(row) != `{"n":1}` {
				t.Errorf("%s: %s", name, row)
			}
		})
	}
}

// The cursor moves with a block of an id alone, and not with half a frame.
func TestFollowResumesFromWholeFrames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		half := "event: delta\ndata: {\"upsert\":[{\"n\":2,\"_key\":\"a\"}],\"delete\":[]}\n\nevent: delta\ndata: {\"ups"
		h, asked := said(nil, begin+"id: v1.e.B\n\n"+half, begin)
		token := 0
		_, _, _ = follow(t, h, Options{Authorize: func(r *http.Request) error {
			token++
			r.Header.Set("Authorization", fmt.Sprint("Bearer ", token))
			return nil
		}}, 10*time.Second)
		if r := (*asked)[1]; r.Header.Get("Last-Event-ID") != "v1.e.B" || r.Header.Get("Authorization") != "Bearer 2" {
			t.Errorf("%v", r.Header)
		}
	})
}

func TestIdentity(t *testing.T) {
	for row, want := range map[string]string{
		`{"n":1,"_key":"a"}`:                       `a {"n":1}`,
		`{"_key":"a"}`:                             `a {}`,
		`{"_key":1,"_key":"\"_key\":\"x\""}`:       `"_key":"x" {"_key":1}`,
		`{"t":"\"_key\":\"b\"}","_key":"\u0000a"}`: "\x00a " + `{"t":"\"_key\":\"b\"}"}`,
	} {
		key, rest, err := identity(json.RawMessage(row))
		if got := key + " " + string(rest); err != nil || got != want {
			t.Errorf("%s: %s, %v; want %s", row, got, err, want)
		}
	}
	for _, row := range []string{`{"n":1}`, `{"_key":1}`, ``} {
		if _, _, err := identity(json.RawMessage(row)); err == nil {
			t.Errorf("%s has an identity", row)
		}
	}
}
