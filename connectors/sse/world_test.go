package sse

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/leatstream/leat/connectors/sse/patch"
	"github.com/leatstream/leat/engine"
)

// memory is a topic in memory: a Tailer that knows its ends and its id.
type memory struct {
	mu    sync.Mutex
	id    string
	parts [][]memoryRecord
	next  []int64
	more  chan struct{} // closed and replaced at each append
	fail  chan struct{} // closed and replaced to break Tail
	fetch int           // records per fetch and partition; 0: all there are

	fetched int // records that Fetch gave
}

type memoryRecord struct {
	off        int64
	key, value []byte
	at         int64
}

func newMemory(parts int) *memory {
	return &memory{id: "topic1", parts: make([][]memoryRecord, parts), next: make([]int64, parts), more: make(chan struct{}), fail: make(chan struct{})}
}

// put appends a record; value "" is a tombstone. It gives the offset.
func (m *memory) put(part int, key, value string) int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	off := m.next[part]
	m.next[part]++
	r := memoryRecord{off: off, key: []byte(key), at: time.Now().UnixMilli()}
	if value != "" {
		r.value = []byte(value)
	}
	m.parts[part] = append(m.parts[part], r)
	close(m.more)
	m.more = make(chan struct{})
	return off
}

// mark appends a task's mark with a watermark.
func (m *memory) mark(task int, watermark int64) {
	m.put(task, markKey(task), string(mark{Watermark: &watermark, At: time.Now().UnixMilli(), Holding: fmt.Sprintf("orders/%d", task)}.encode()))
}

// compact keeps the newest record of each key, and no tombstones.
func (m *memory) compact() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for p, recs := range m.parts {
		last := map[string]int64{}
		for _, r := range recs {
			last[string(r.key)] = r.off
		}
		m.parts[p] = slices.DeleteFunc(slices.Clone(recs), func(r memoryRecord) bool {
			return last[string(r.key)] != r.off || r.value == nil
		})
	}
}

func (m *memory) recreate() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.id += "'"
	m.parts, m.next = make([][]memoryRecord, len(m.parts)), make([]int64, len(m.parts))
	close(m.fail)
	m.fail = make(chan struct{})
}

func (m *memory) Tail(ctx context.Context, _ engine.Topic, from map[engine.Partition]engine.Offset, fn func([]*engine.Rows, map[engine.Partition]engine.Offset) error) error {
	from = maps.Clone(from)
	m.mu.Lock()
	fail := m.fail
	m.mu.Unlock()
	for {
		var rows []*engine.Rows
		m.mu.Lock()
		more := m.more
		for p, recs := range m.parts {
			r := &engine.Rows{Partition: engine.Partition(p)}
			for _, rec := range recs {
				if rec.off >= int64(from[r.Partition]) && (m.fetch == 0 || r.Len() < m.fetch) {
					r.Keys, r.Values = append(r.Keys, rec.key), append(r.Values, rec.value)
					r.Offsets, r.Times = append(r.Offsets, rec.off), append(r.Times, rec.at)
				}
			}
			if r.Len() > 0 {
				from[r.Partition] = engine.Offset(r.Offsets[r.Len()-1] + 1)
				rows = append(rows, r)
			} else if m.next[p] > int64(from[r.Partition]) {
				from[r.Partition] = engine.Offset(m.next[p]) // a hole at the end
				rows = append(rows, r)
			}
		}
		m.mu.Unlock()
		if len(rows) > 0 {
			if err := fn(rows, maps.Clone(from)); err != nil {
				return err
			}
			continue
		}
		select {
		case <-more:
		case <-fail:
			return fmt.Errorf("the topic is gone")
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (m *memory) EndOffsets(context.Context, engine.Topic) (map[engine.Partition]engine.Offset, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	ends := map[engine.Partition]engine.Offset{}
	for p, n := range m.next {
		ends[engine.Partition(p)] = engine.Offset(n)
	}
	return ends, nil
}

func (m *memory) Topics(_ context.Context, names ...engine.Topic) (map[engine.Topic]engine.TopicInfo, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	infos := map[engine.Topic]engine.TopicInfo{}
	for _, n := range names {
		infos[n] = engine.TopicInfo{Exists: true, ID: m.id, Partitions: len(m.parts)}
	}
	return infos, nil
}

// counts is Metrics in a map: "frame", "encoded delta", "resync slow", …
type counts struct {
	mu sync.Mutex
	n  map[string]float64
}

func (c *counts) add(name string, n float64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n == nil {
		c.n = map[string]float64{}
	}
	c.n[name] += n
}

func (c *counts) get(name string) float64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n[name]
}

func (c *counts) Connections(_ string, d int)         { c.add("connections", float64(d)) }
func (c *counts) Frame(string, int)                   { c.add("frame", 1) }
func (c *counts) Encoded(_, kind string)              { c.add("encoded "+kind, 1) }
func (c *counts) Conflated(_ string, n int)           { c.add("conflated", float64(n)) }
func (c *counts) Resync(_, reason string)             { c.add("resync "+reason, 1) }
func (c *counts) Rejected(_, reason string)           { c.add("rejected "+reason, 1) }
func (c *counts) EventToScreen(_ string, sec float64) { c.add("screen", sec) }

// world is a hub behind a real http.Server on pipes, in a bubble of virtual
// time. A pipe has no buffer: a client that does not read is a zero window.
type world struct {
	t     *testing.T
	hub   *Hub
	topic *memory
	count *counts
	dial  chan net.Conn
	end   func() // stops the hub
	stop  func() // stops all
}

// middleware stands before the handlers of worlds; nil: nothing does.
var middleware func(http.Handler) http.Handler

// board is the view most tests look at: windows by country.
func boardSpec(parts int) engine.ViewSpec {
	return engine.ViewSpec{Name: "orders/board", Pipeline: "orders", Sink: "board", Topic: "orders.board.view", Tasks: parts, Generation: 1,
		Columns: []engine.ViewColumn{{Name: "country", Type: "string"}, {Name: "n", Type: "int"}}, KeyColumns: []string{"country"}}
}

func newWorld(t *testing.T, topic *memory, o Options, specs ...engine.ViewSpec) *world {
	t.Helper()
	return newWorldOf(t, topic, topic, o, specs...)
}

// newWorldOf reads topic through another Tailer.
func newWorldOf(t *testing.T, tailer Tailer, topic *memory, o Options, specs ...engine.ViewSpec) *world {
	t.Helper()
	w := &world{t: t, topic: topic, count: &counts{}, dial: make(chan net.Conn)}
	o.Metrics = w.count
	o.Log = slog.New(slog.DiscardHandler)
	w.hub = NewHub(o)
	for _, s := range specs {
		w.hub.Add(s, nil, "")
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = w.hub.Run(ctx, tailer) })
	handler := w.hub.Handler()
	if middleware != nil {
		handler = middleware(handler)
	}
	if err := CheckMiddleware(handler); err != nil {
		t.Fatal(err)
	}
	// A server-wide write timeout is the classic way to cut streams; ours must
	// outlive it.
	server := &http.Server{Handler: handler, WriteTimeout: 3 * time.Second, ReadHeaderTimeout: time.Second, Protocols: new(http.Protocols)}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetUnencryptedHTTP2(true)
	wg.Go(func() { _ = server.Serve(&pipes{w.dial, make(chan struct{})}) })
	w.end = cancel
	w.stop = func() {
		_ = server.Close()
		cancel()
		wg.Wait()
	}
	synctest.Wait()
	return w
}

// pipes is a listener of in-memory connections.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}
func (p *pipes) Close() error   { close(p.closed); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80} }

// event is one block of a stream.
type event struct{ kind, data, id, retry string }

// client reads a stream like a page: it keeps rows, applies deltas and
// remembers the id of the last whole block.
type client struct {
	conn   net.Conn
	mu     sync.Mutex
	status string
	events []event
	raw    strings.Builder
	rows   map[string]string
	fresh  map[string]string // snapshot under way
	cursor string
	closed bool
	done   chan struct{}

	strict  bool // panics where it is told of rows that it does not have
	patches int
	stop    func() // of polls and sockets, which have no conn
}

// open asks for a path with a cursor ("": none).
func (w *world) open(path, cursor string) *client { return w.reopen(path, cursor, nil) }

// reopen goes on with the rows a client had.
func (w *world) reopen(path, cursor string, rows map[string]string) *client {
	c := w.stalled(path, cursor)
	if rows != nil {
		c.rows = rows
	}
	go c.read()
	return c
}

// stalled asks but reads nothing until read is called.
func (w *world) stalled(path, cursor string) *client {
	here, there := net.Pipe()
	w.dial <- there
	c := &client{conn: here, rows: map[string]string{}, cursor: cursor, done: make(chan struct{})}
	go func() {
		head := "GET " + path + " HTTP/1.1\r\nHost: localhost\r\n"
		if cursor != "" {
			head += "Last-Event-ID: " + cursor + "\r\n"
		}
		_, _ = io.WriteString(here, head+"\r\n")
	}()
	return c
}

func (c *client) read() {
	res, err := http.ReadResponse(bufio.NewReader(c.conn), nil)
	if err != nil {
		c.mu.Lock()
		c.closed = true
		c.mu.Unlock()
		close(c.done)
		return
	}
	c.mu.Lock()
	c.status = res.Status
	c.mu.Unlock()
	c.readBody(res.Body)
	_ = c.conn.Close()
}

func (c *client) readBody(body io.Reader) {
	defer close(c.done)
	in := bufio.NewReader(body)
	var e event
	var data []string
	for {
		line, err := in.ReadString('\n')
		c.mu.Lock()
		if err != nil {
			c.closed = true
			c.mu.Unlock()
			return
		}
		c.raw.WriteString(line)
		line = strings.TrimSuffix(line, "\n")
		switch name, value, _ := strings.Cut(line, ":"); {
		case strings.Contains(line, "\r"):
			panic("a raw CR in an event stream")
		case line == "":
			e.data = strings.Join(data, "\n")
			c.take(e)
			e, data = event{}, nil
		case name == "event":
			e.kind = value[1:]
		case name == "data":
			data = append(data, value[1:])
		case name == "id":
			e.id = value[1:]
		case name == "retry":
			e.retry = value[1:]
		}
		c.mu.Unlock()
	}
}

type frameData struct {
	Rows         []map[string]any `json:"rows"`
	Upsert       []map[string]any `json:"upsert"`
	Delete       []string         `json:"delete"`
	Patch        []patchData      `json:"patch"`
	ExpireBefore *int64           `json:"expire_before"`
	Resumed      bool             `json:"resumed"`
	Reason       string           `json:"reason"`
}

type patchData struct {
	Key  string     `json:"_key"`
	Base string     `json:"base"`
	Hash string     `json:"hash"`
	Ops  []patch.Op `json:"ops"`
}

// take applies one block; mu is held.
func (c *client) take(e event) {
	if e.id != "" {
		c.cursor = e.id
	}
	if e.kind == "" {
		if e.retry != "" {
			c.events = append(c.events, e)
		}
		return
	}
	c.events = append(c.events, e)
	if e.kind == "ready" {
		if c.fresh != nil {
			c.rows, c.fresh = c.fresh, nil
		}
		return
	}
	var d frameData
	if err := json.Unmarshal([]byte(e.data), &d); err != nil {
		panic(fmt.Sprintf("%s: %v: %s", e.kind, err, e.data))
	}
	if e.kind == "snapshot" {
		if c.fresh == nil {
			c.fresh = map[string]string{}
		}
		set(c.fresh, d.Rows)
	}
	if e.kind == "delta" {
		set(c.rows, d.Upsert)
		for _, k := range d.Delete {
			if _, ok := c.rows[k]; !ok && c.strict {
				panic(fmt.Sprintf("a delete of %q, which this client never saw", k))
			}
			delete(c.rows, k)
		}
		for _, p := range d.Patch {
			c.patch(p)
		}
	}
	if d.ExpireBefore != nil {
		maps.DeleteFunc(c.rows, func(_, row string) bool {
			end, ok := intField([]byte(row), "window_end")
			return ok && end < *d.ExpireBefore
		})
	}
}

// patch changes a row, which must be the one that the server means.
func (c *client) patch(p patchData) {
	old, err := patch.Decode([]byte(c.rows[p.Key]))
	if err != nil || patch.Hash(old) != p.Base {
		panic(fmt.Sprintf("a patch of %q that begins elsewhere than at %s: %+v", p.Key, c.rows[p.Key], p))
	}
	now, err := patch.Apply(old, p.Ops)
	if err != nil || patch.Hash(now) != p.Hash {
		panic(fmt.Sprintf("a patch of %s to another row: %+v: %v", c.rows[p.Key], p, err))
	}
	b, _ := json.Marshal(now)
	c.rows[p.Key] = string(b)
	c.patches++
}

func set(to map[string]string, rows []map[string]any) {
	for _, r := range rows {
		key := r["_key"].(string)
		delete(r, "_key")
		b, _ := json.Marshal(r)
		to[key] = string(b)
	}
}

// table is what the client shows.
func (c *client) table() map[string]string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.rows)
}

// kinds lists the events so far, without marks and presence.
func (c *client) kinds() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var k []string
	for _, e := range c.events {
		if e.kind != "mark" && e.kind != "presence" && e.kind != "" {
			k = append(k, e.kind)
		}
	}
	return strings.Join(k, " ")
}

// said is all that the client was given, as text.
func (c *client) said() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.raw.String()
}

// hello is the first event's data.
func (c *client) hello() frameData {
	c.mu.Lock()
	defer c.mu.Unlock()
	var d frameData
	for _, e := range c.events {
		if e.kind == "hello" {
			_ = json.Unmarshal([]byte(e.data), &d)
		}
	}
	return d
}

func (c *client) last() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cursor
}

func (c *client) isClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

// close cuts the connection and gives what a browser would keep.
func (c *client) close() (cursor string, rows map[string]string) {
	if c.stop != nil {
		c.stop()
	} else {
		_ = c.conn.Close()
	}
	<-c.done
	return c.last(), c.table()
}

// pass lets virtual time go by.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// recorder is a ResponseWriter that keeps the answer.
type recorder struct {
	header http.Header
	status int
	body   strings.Builder
}

func (r *recorder) Header() http.Header { return r.header }
func (r *recorder) WriteHeader(s int)   { r.status = s }
func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = 200
	}
	return r.body.Write(b)
}

// snapshotOf is a view's table as a client should show it.
func (v *view) snapshotOf() map[string]string {
	v.mu.Lock()
	defer v.mu.Unlock()
	rows := map[string]string{}
	for _, r := range v.table.all() {
		var m map[string]any
		_ = json.Unmarshal(r.value, &m)
		b, _ := json.Marshal(m)
		rows[keyText(r.key)] = string(b)
	}
	return rows
}

// replaySeed is the seed in SEED, or 0.
func replaySeed(t *testing.T) uint64 {
	s := os.Getenv("SEED")
	if s == "" {
		return 0
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
