package sse

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/leatstream/leat/engine"
)

// The ways in which live views usually go wrong, each a test. Some are in
// hub_test.go and converge_test.go, by the same numbers.

// tape is a transport without a network: a client gets each block at once.
type tape struct {
	*client
	pings int
}

func (t *tape) write(b *block) bool {
	m := b.message()
	if m == nil {
		return true
	}
	var x message
	if err := json.Unmarshal(m, &x); err != nil {
		panic(fmt.Sprintf("%v: %s", err, m))
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.take(x.event())
	return true
}

func (t *tape) idle(string) bool { t.pings++; return true }

func newTape() *tape { return &tape{client: &client{rows: map[string]string{}}} }

// Text from records cannot end a line, name a field or begin an event.
func TestTrap03HostileText(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		topic := newMemory(1)
		w := newWorld(t, topic, Options{Gate: owners{}, Compile: compile}, boardSpec(1))
		defer w.stop()
		clients := []*client{w.open(live, ""), w.open(live+"?as=eve", ""), w.open(live+"?format=json-patch", "")}
		socket, poll := &client{rows: map[string]string{}, done: make(chan struct{})}, &client{rows: map[string]string{}, done: make(chan struct{})}
		w.socket(socket, live+"/ws")
		w.polls(poll, live+"/poll")
		clients = append(clients, socket, poll)
		pass(time.Second)
		evil := []string{"a\rb", "a\nb", "a\r\n\r\nevent: drain\r\ndata: {}\r\n\r\n", "\n\nid: \n\n", "id: x", "\x00", "\x00mark/0", "\x00null", "\u2028\u2029\u0085", "\ufeff", "\xff\xfe", "\xed\xa0\x80",
			"</script><script>", "_key", "__proto__", "constructor", `","_key":"other`, strings.Repeat("x", 100000), "😀", ""}
		for round := range 3 {
			for i, key := range evil {
				text, _ := json.Marshal(key)
				row := fmt.Sprintf(`{"n":%d,"owner":"eve",%s:%s,"t":%s,"_key":"forged"}`, round, text, text, text)
				if strings.HasPrefix(key, "\x00mark/") {
					continue // the sink escapes a row's key that begins with NUL
				}
				if i%2 == 0 { // white space between tokens, and raw bytes that are no UTF-8
					row = strings.Replace(row, `"t":`, "\r\n\"t\"\r:\n\"\xff\xc0\",\"u\":", 1)
				}
				topic.put(0, key, row)
			}
			pass(time.Second)
		}
		want := w.hub.view("orders/board").snapshotOf()
		if len(want) != len(evil)-1 {
			t.Fatalf("%d rows in the table", len(want))
		}
		for i, c := range clients {
			pass(time.Second)
			got, shown := c.table(), map[string]any{}
			for key, row := range want { // the row's own _key is hidden by its identity
				var m map[string]any
				_ = json.Unmarshal([]byte(row), &m)
				delete(m, "_key")
				b, _ := json.Marshal(m)
				if got[key] != string(b) {
					t.Errorf("client %d, key %q: %.200s, want %.200s", i, key, got[key], b)
				}
				shown[key] = nil
			}
			if len(got) != len(shown) || strings.Contains(c.kinds(), "drain") || c.isClosed() {
				t.Errorf("client %d: %d rows of %d, %s", i, len(got), len(shown), c.kinds())
			}
			c.close()
		}
	})
}

// A cursor that a client makes up reaches neither a header nor an id.
func TestTrap04CursorsCannotInject(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		topic := newMemory(1)
		topic.put(0, "a", `{"n":1}`)
		w := newWorld(t, topic, Options{}, boardSpec(1))
		defer w.stop()
		for _, cursor := range []string{"%00", "%0aid:%20x", "%0d%0aSet-Cookie:%20a=b", "v1.%0aevent:%20drain.AQ", "v1..", strings.Repeat("%0a", 3000)} {
			for _, path := range []string{live, live + "/poll"} {
				c := w.open(path+"?cursor="+cursor, "")
				pass(time.Second)
				if path == live && (c.hello().Resumed || c.kinds() != "hello snapshot ready" || c.last() == "") {
					t.Errorf("cursor %.40s: %s", cursor, c.said())
				}
				if raw := c.said(); strings.Contains(raw, "Set-Cookie") || strings.Contains(raw, "drain") {
					t.Errorf("cursor %.40s comes back: %s", cursor, raw)
				}
				if id := c.last(); strings.Trim(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_") != "" {
					t.Errorf("an id that is no URL-safe text: %q", id)
				}
				c.close()
			}
		}
	})
}

// Thousands of clients join while rows change and frames are made, in real time, as
// the race detector wants it: at each frame a client has exactly the table of
// that version.
func TestTrap07JoinBetweenSnapshotAndDelta(t *testing.T) {
	const keys, workers = 16, 32
	hub := NewHub(Options{})
	hub.Add(boardSpec(1), nil, "")
	v := hub.view("orders/board")
	v.identify("", 1)
	v.setEnds(nil)
	stop, more := make(chan struct{}), make(chan struct{}, 1)
	var background sync.WaitGroup
	background.Go(func() { // change i sets key i%keys to i; the table's version is the number of changes
		for i := int64(0); ; i++ {
			if i%8 == 0 { // some to a frame, whenever they come
				select {
				case <-more:
				case <-stop:
					return
				}
			}
			r := &engine.Rows{Keys: [][]byte{fmt.Append(nil, "k", i%keys)}, Values: [][]byte{fmt.Appendf(nil, `{"n":%d}`, i)}, Offsets: []int64{i}, Times: []int64{time.Now().UnixMilli()}}
			_ = v.apply([]*engine.Rows{r}, map[engine.Partition]engine.Offset{0: engine.Offset(i + 1)})
		}
	})
	background.Go(func() {
		for n := 0; ; n++ {
			select {
			case more <- struct{}{}:
			default:
			}
			select {
			case <-stop:
				return
			default:
			}
			v.tick(n%4 == 0)
			runtime.Gosched()
		}
	})
	var left atomic.Int64
	left.Store(joins)
	var clients sync.WaitGroup
	for range workers {
		clients.Go(func() {
			for left.Add(-1) >= 0 {
				if err := joinAndFollow(hub, v, keys); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	clients.Wait()
	close(stop)
	background.Wait()
}

// joinAndFollow joins, takes three frames, and compares after each; then
// resumes, and does it again.
func joinAndFollow(hub *Hub, v *view, keys int64) error {
	out, cursor := newTape(), ""
	for range 2 {
		c := &conn{hub: hub, view: v, ctx: context.Background(), out: out}
		c.group = v.join(filter{})
		_, c.gone = v.doors()
		c.start(cursor)
		for range 3 {
			if err := exactly(out, c.version, keys); err != nil {
				return err
			}
			b := c.group.beat.Load()
			c.follow(b)
			<-b.next
		}
		v.leave(c.group)
		cursor = out.cursor
	}
	return nil
}

// exactly compares a client's rows with the table at a version.
func exactly(c *tape, version uint64, keys int64) error {
	if int64(len(c.rows)) != min(keys, int64(version)) {
		return fmt.Errorf("version %d: %d rows", version, len(c.rows))
	}
	for k := range min(keys, int64(version)) {
		last := (int64(version)-1-k)/keys*keys + k // the newest change of this key before version
		if want := fmt.Sprintf(`{"n":%d}`, last); c.rows[fmt.Sprint("k", k)] != want {
			return fmt.Errorf("version %d: k%d is %s, want %s", version, k, c.rows[fmt.Sprint("k", k)], want)
		}
	}
	return nil
}

// 5,000 clients that come back at once, with or without a cursor and over any
// transport, cost one encoding.
func TestTrap09StormOfReconnectsEncodesOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		topic := newMemory(1)
		for i := range 10 {
			topic.put(0, fmt.Sprint("k", i), `{"n":1}`)
		}
		w := newWorld(t, topic, Options{}, boardSpec(1))
		defer w.stop()
		first := w.open(live, "")
		pass(time.Second)
		cursor, _ := first.close()
		pass(time.Second)
		topic.put(0, "k1", `{"n":2}`)
		pass(300 * time.Millisecond)
		storm := func(cursor string) (encoded float64) {
			before := w.count.get("encoded snapshot") + w.count.get("encoded delta")
			ctx, cancel := context.WithCancel(t.Context())
			var wg sync.WaitGroup
			tapes := make([]*tape, 5000)
			for i := range tapes {
				tapes[i] = newTape()
				r, err := http.NewRequestWithContext(ctx, http.MethodGet, withCursor(live, cursor), nil)
				if err != nil {
					t.Fatal(err)
				}
				wg.Go(func() { w.hub.stream(r, w.hub.view("orders/board"), filter{}, tapes[i]) })
			}
			synctest.Wait()
			for _, c := range tapes {
				if c.kinds() != "hello snapshot ready" && c.kinds() != "hello delta ready" || c.table()["k1"] != `{"n":2}` {
					t.Fatalf("a client has %s", c.kinds())
				}
			}
			encoded = w.count.get("encoded snapshot") + w.count.get("encoded delta") - before
			cancel()
			wg.Wait()
			return encoded
		}
		if n := storm(""); n != 1 {
			t.Errorf("snapshots for 5000 clients cost %v encodings, want 1", n)
		}
		if n := storm(cursor); n != 1 {
			t.Errorf("resumes of 5000 clients cost %v encodings, want 1", n)
		}
	})
}

// A key that goes idle goes from the screen: its windows expire by the
// watermark of the others, without a record of its own.
func TestTrap11IdleKeyGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		topic := newMemory(1)
		spec := boardSpec(1)
		spec.Windowed, spec.History = true, 10*time.Second
		w := newWorld(t, topic, Options{Gate: owners{}, Compile: compile}, spec)
		defer w.stop()
		clients := []*client{w.open(live, ""), w.open(live+"?as=ann", "")}
		end := time.Now().UnixMilli() + 5000
		topic.put(0, "idle", fmt.Sprintf(`{"n":1,"owner":"ann","window_end":%d}`, end))
		for range 20 {
			now := time.Now().UnixMilli()
			topic.put(0, "busy", fmt.Sprintf(`{"n":1,"owner":"ann","window_end":%d}`, now+5000))
			topic.mark(0, now)
			pass(time.Second)
			for _, c := range clients {
				_, there := c.table()["idle"]
				if gone := now-10000 > end; there == gone {
					t.Fatalf("watermark %d, window end %d: shown %v", now, end, there)
				}
			}
		}
		for _, c := range clients {
			if strings.Contains(c.said(), `"delete":["`) {
				t.Error("it took a tombstone")
			}
			c.close()
		}
	})
}

// A late record revises a closed window in place.
func TestTrap12LateUpdateRevisesInPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		topic := newMemory(1)
		spec := boardSpec(1)
		spec.Windowed, spec.History = true, time.Minute
		w := newWorld(t, topic, Options{}, spec)
		defer w.stop()
		c, p := w.open(live, ""), w.open(live+"?format=json-patch", "")
		end := time.Now().UnixMilli()
		row := func(n int) string {
			return fmt.Sprintf(`{"country":"DE","final":true,"n":%d,"pad":"%0200d","window_end":%d}`, n, 0, end)
		}
		topic.put(0, "w", row(1))
		topic.mark(0, end+10000)
		pass(2 * time.Second)
		topic.put(0, "w", row(2))
		pass(time.Second)
		for _, c := range []*client{c, p} {
			if got := c.table(); len(got) != 1 || got["w"] != row(2) || strings.Contains(c.said(), `"delete":["`) {
				t.Errorf("%v\n%s", got, c.said())
			}
		}
		if p.patches != 1 {
			t.Errorf("%d patches, want 1", p.patches)
		}
		c.close()
		p.close()
	})
}

// A viewer has only so many streams; one more is told to wait, as at capacity.
func TestTrap16ViewersHaveACap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := owners{most: 2, open: make(chan int, 1)}
		gate.open <- 0
		w := newWorld(t, newMemory(1), Options{Gate: gate, Compile: compile}, boardSpec(1))
		defer w.stop()
		path := live + "?as=ann"
		a, b := w.open(path, ""), w.open(path, "")
		pass(time.Second)
		c := w.open(path, "")
		socket := &client{rows: map[string]string{}, done: make(chan struct{})}
		w.socket(socket, live+"/ws?as=ann")
		pass(time.Second)
		if c.status != "200 OK" || c.kinds() != "drain" || !c.isClosed() || !strings.Contains(c.said(), endViewerCap) || a.isClosed() {
			t.Errorf("the third: %s, %s", c.status, c.said())
		}
		if <-socket.done; socket.kinds() != "drain" || socket.status != "1013" {
			t.Errorf("a socket: %s, %s", socket.kinds(), socket.status)
		}
		if status, _, header, _ := w.asked(t.Context(), live+"/poll?as=ann"); status != 503 || header.Get("Retry-After") == "" {
			t.Errorf("a poll: %d", status)
		}
		if n := w.count.get("rejected viewer_cap"); n != 3 {
			t.Errorf("rejected %v, want 3", n)
		}
		a.close()
		pass(time.Second)
		d := w.open(path, "")
		pass(time.Second)
		if d.kinds() != "hello snapshot ready" {
			t.Errorf("after one has left: %s", d.kinds())
		}
		b.close()
		d.close()
	})
}

// A stream ends when its viewer is no longer who they say, whatever it does.
func TestTrap15ViewersExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		topic := newMemory(1)
		topic.put(0, "a", `{"n":1,"owner":"ann"}`)
		w := newWorld(t, topic, Options{Gate: owners{expires: time.Now().Add(15 * time.Second)}, Compile: compile}, boardSpec(1))
		defer w.stop()
		c := w.open(live+"?as=ann", "")
		socket := &client{rows: map[string]string{}, done: make(chan struct{})}
		w.socket(socket, live+"/ws?as=ann")
		_, list, _, err := w.asked(t.Context(), live+"/poll?as=ann")
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if status, _, _, _ := w.asked(t.Context(), withCursor(live+"/poll?as=ann", list[2].ID)); status != 204 || time.Since(start) > 15*time.Second {
			t.Errorf("a poll: %d after %v", status, time.Since(start))
		}
		pass(time.Second)
		if <-c.done; !strings.HasSuffix(c.kinds(), "drain") || !strings.Contains(c.said(), endExpired) {
			t.Errorf("%s", c.said())
		}
		if <-socket.done; !strings.HasSuffix(socket.kinds(), "drain") || socket.status != "1008" {
			t.Errorf("a socket: %s, %s", socket.kinds(), socket.status)
		}
	})
}

// Integers beyond 2^53 are text, and no digit of them is lost on the way, nor
// in a patch.
func TestTrap17BigIntegers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		topic := newMemory(1)
		row := func(id int64, n int) string {
			c := engine.Column{Type: engine.Int, Ints: []int64{id}}
			return fmt.Sprintf(`{"id":%s,"n":%d,"pad":"%0200d"}`, appendValue(nil, &c, 0), n, 0)
		}
		topic.put(0, "a", row(9007199254740993, 1))
		w := newWorld(t, topic, Options{}, boardSpec(1))
		defer w.stop()
		c, p := w.open(live, ""), w.open(live+"?format=json-patch", "")
		pass(time.Second)
		topic.put(0, "a", row(-9223372036854775808, 2))
		pass(time.Second)
		for _, c := range []*client{c, p} {
			raw := c.said()
			if !strings.Contains(raw, `"9007199254740993"`) || !strings.Contains(raw, `"-9223372036854775808"`) || c.table()["a"] != row(-9223372036854775808, 2) {
				t.Errorf("%s", raw)
			}
			c.close()
		}
	})
}

// away is a topic that can be taken away, with or without its records.
type away struct {
	*memory
	mu      sync.Mutex
	off     chan struct{} // closed while the broker is away
	deleted bool
}

func (a *away) gone() (chan struct{}, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.off, a.deleted
}

func (a *away) set(off, deleted bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.deleted = deleted; off {
		close(a.off)
	} else {
		a.off = make(chan struct{})
	}
}

func (a *away) Tail(ctx context.Context, topic engine.Topic, from map[engine.Partition]engine.Offset, fn func([]*engine.Rows, map[engine.Partition]engine.Offset) error) error {
	off, _ := a.gone()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	done := make(chan struct{})
	defer close(done)
	go func() {
		select {
		case <-off:
			cancel(errors.New("no broker answers"))
		case <-done:
		}
	}()
	return a.memory.Tail(ctx, topic, from, fn)
}

func (a *away) Topics(ctx context.Context, names ...engine.Topic) (map[engine.Topic]engine.TopicInfo, error) {
	off, deleted := a.gone()
	select {
	case <-off:
		if !deleted {
			return nil, errors.New("no broker answers")
		}
		return map[engine.Topic]engine.TopicInfo{}, nil
	default:
	}
	return a.memory.Topics(ctx, names...)
}

// lastMark is the newest mark that a client was given.
func lastMark(c *client) (s status) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range c.events {
		if e.kind == "mark" {
			s = status{}
			_ = json.Unmarshal([]byte(e.data), &s)
		}
	}
	return s
}

// While Kafka is away for a minute the rows stay, marks say how old they are,
// and the same streams go on when it is back.
func TestKafkaAwayForAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		topic := &away{memory: newMemory(1), off: make(chan struct{})}
		topic.put(0, "a", `{"n":1}`)
		topic.mark(0, time.Now().UnixMilli())
		w := newWorldOf(t, topic, topic.memory, Options{}, boardSpec(1))
		defer w.stop()
		c := w.open(live, "")
		pass(2 * time.Second)
		topic.set(true, false)
		pass(time.Minute)
		if m := lastMark(c); fmt.Sprint(m.Stalled) != "[0]" || m.AgeMillis < 60000 || m.Trouble != troubleBroker || m.Rows != 1 || c.isClosed() || !w.hub.Ready() {
			t.Errorf("while it is away: %+v, closed %v", m, c.isClosed())
		}
		if d := w.open(live, ""); true {
			pass(time.Second)
			if len(d.table()) != 1 {
				t.Errorf("one who comes meanwhile has %v", d.table())
			}
			d.close()
		}
		topic.set(false, false)
		topic.put(0, "a", `{"n":2}`)
		topic.mark(0, time.Now().UnixMilli())
		pass(3 * time.Second)
		if m := lastMark(c); len(m.Stalled) != 0 || m.Trouble != "" || c.table()["a"] != `{"n":2}` || c.kinds() != "hello snapshot ready delta" {
			t.Errorf("when it is back: %+v, %s, %v", m, c.kinds(), c.table())
		}
		c.close()
	})
}

// A topic that is deleted leaves its rows on the screen, growing old; made
// anew it is another view, and says so.
func TestTopicDeleted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		topic := &away{memory: newMemory(1), off: make(chan struct{})}
		topic.put(0, "a", `{"n":1}`)
		topic.mark(0, time.Now().UnixMilli())
		w := newWorldOf(t, topic, topic.memory, Options{}, boardSpec(1))
		defer w.stop()
		c := w.open(live, "")
		pass(2 * time.Second)
		topic.set(true, true)
		pass(time.Minute)
		if m := lastMark(c); fmt.Sprint(m.Stalled) != "[0]" || m.AgeMillis < 60000 || m.Trouble != troubleTopic || len(c.table()) != 1 {
			t.Errorf("after it was deleted: %+v, %v", m, c.table())
		}
		topic.recreate()
		topic.set(false, false)
		pass(3 * time.Second)
		if !c.isClosed() || !strings.Contains(c.said(), endReplaced) {
			t.Fatalf("the stream of the old topic goes on: %s", c.kinds())
		}
		cursor, rows := c.close()
		c = w.reopen(live, cursor, rows)
		topic.put(0, "b", `{"n":2}`)
		pass(3 * time.Second)
		if c.hello().Reason != reasonEpoch || !maps.Equal(c.table(), map[string]string{"b": `{"n":2}`}) {
			t.Errorf("%+v, %v", c.hello(), c.table())
		}
		c.close()
	})
}
