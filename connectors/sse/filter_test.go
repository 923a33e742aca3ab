package sse

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/leatstream/leat/engine"
)

// owners is a gate for tests: ?as= says who asks. Everybody but the owner of
// the server sees their own rows.
type owners struct {
	expires time.Time
	most    int // streams of one viewer; 0: any number
	open    chan int
}

func (n owners) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if as := r.URL.Query().Get("as"); as != "" {
			v := &Viewer{Name: as, Claims: map[string]any{"name": as}, Expires: n.expires}
			r = r.WithContext(WithViewer(r.Context(), v))
		}
		next.ServeHTTP(w, r)
	})
}

func (n owners) View(v *Viewer, _ string) (string, bool) {
	if v == nil {
		return "", true
	}
	return "owner == claims.name", true
}

func (n owners) Enter(v *Viewer) (func(), bool) {
	if n.open == nil || v == nil {
		return func() {}, true
	}
	c := <-n.open
	defer func() { n.open <- c }()
	if c >= n.most {
		return nil, false
	}
	c++
	return func() { n.open <- <-n.open - 1 }, true
}

// compile knows two expressions: "even" rows, and those of the "owner" that
// the claims name.
func compile(_ engine.ViewSpec, where string, claims map[string]any) (func([]byte) bool, error) {
	switch where {
	case "even":
		return func(row []byte) bool {
			n, ok := intField(row, "n")
			return ok && n%2 == 0
		}, nil
	case "owner == claims.name":
		return func(row []byte) bool {
			raw, ok := field(row, "owner")
			return ok && text(raw) == claims["name"]
		}, nil
	}
	return nil, fmt.Errorf("no expression %q", where)
}

// A row that moves out of what a client asked for, or may see, goes.
func TestRowsMoveInAndOutOfFilters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		topic := newMemory(1)
		topic.put(0, "a", `{"n":2,"owner":"ann"}`)
		topic.put(0, "b", `{"n":3,"owner":"bob"}`)
		w := newWorld(t, topic, Options{Gate: owners{}, Compile: compile}, boardSpec(1))
		defer w.stop()
		even, ann := w.open(live+"?where=even", ""), w.open(live+"?as=ann", "")
		ann.strict = true
		pass(time.Second)
		want := func(c *client, rows ...string) {
			t.Helper()
			pass(300 * time.Millisecond)
			var got []string
			for _, k := range []string{"a", "b"} {
				if r, ok := c.table()[k]; ok {
					got = append(got, r)
				}
			}
			if fmt.Sprint(got) != fmt.Sprint(rows) {
				t.Errorf("%v, want %v\n%s", got, rows, c.said())
			}
		}
		want(even, `{"n":2,"owner":"ann"}`)
		want(ann, `{"n":2,"owner":"ann"}`)
		topic.put(0, "a", `{"n":3,"owner":"bob"}`)
		topic.put(0, "b", `{"n":4,"owner":"ann"}`)
		want(even, `{"n":4,"owner":"ann"}`)
		want(ann, `{"n":4,"owner":"ann"}`)
		topic.put(0, "b", "")
		want(even)
		want(ann)
		even.close()
		ann.close()
	})
}

// Under a right nothing is said of what the viewer may not see: no key, no
// count, no offset, and no block when only other rows change.
func TestRightsSayNothingOfOtherRows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		topic := newMemory(1)
		topic.put(0, "a", `{"n":1,"owner":"ann"}`)
		for i := range 20 {
			topic.put(0, fmt.Sprint("secret", i), `{"n":1,"owner":"bob"}`)
		}
		w := newWorld(t, topic, Options{Gate: owners{}, Compile: compile}, boardSpec(1))
		defer w.stop()
		ann, quiet := w.open(live+"?as=ann", ""), w.open(live+"?as=ann", "")
		pass(950 * time.Millisecond) // before the first mark
		said := len(quiet.said())
		topic.put(0, "secret1", `{"n":2,"owner":"bob"}`)
		topic.put(0, "secret2", "")
		topic.put(0, "secret99", `{"n":2,"owner":"bob"}`)
		pass(10 * time.Millisecond)
		if more := quiet.said()[said:]; more != "" {
			t.Errorf("a client is told that other rows changed: %q", more)
		}
		before := ann.last()
		pass(3 * time.Second)
		if ann.last() != before {
			t.Errorf("the cursor moves with other rows: %q, %q", before, ann.last())
		}
		if s := ann.said(); strings.Contains(s, "secret") || strings.Contains(s, `"row_count":2`) || !strings.Contains(s, `"row_count":1`) {
			t.Errorf("the stream tells of other rows: %s", s)
		}
		// A cursor is good while nothing has changed for the viewer, on any node.
		cursor, rows := ann.close()
		node := newWorld(t, topic, Options{Gate: owners{}, Compile: compile}, boardSpec(1))
		defer node.stop()
		c := node.reopen(live+"?as=ann", cursor, rows)
		pass(100 * time.Millisecond)
		if !c.hello().Resumed || c.kinds() != "hello delta ready" {
			t.Errorf("nothing changed: %+v, %s", c.hello(), c.kinds())
		}
		c.close()
		topic.put(0, "a", `{"n":2,"owner":"ann"}`)
		pass(time.Second)
		for _, old := range []string{cursor, encodeCursor(epochOf(boardSpec(1), topic.id), []int64{21})} {
			c = node.reopen(live+"?as=ann", old, rows)
			pass(100 * time.Millisecond)
			if c.hello().Reason != reasonFiltered || c.kinds() != "hello snapshot ready" {
				t.Errorf("cursor %s: %+v, %s", old, c.hello(), c.kinds())
			}
			c.close()
		}
		quiet.close()
	})
}

// Whatever clients ask for, through all that can happen to them, each ends
// with the rows that its filter keeps.
func TestRandomFiltersConverge(t *testing.T) {
	seed := rand.Uint64()
	if s := replaySeed(t); s != 0 {
		seed = s
	}
	t.Logf("seed %d; replay: SEED=%d go test -run TestRandomFiltersConverge ./connectors/sse", seed, seed)
	kinds := []string{"?", "?where=even", "?as=ann", "?as=bob&where=even", "?format=json-patch", "?format=json-patch&where=even", "?format=json-patch&as=bob"}
	patches := 0
	synctest.Test(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(seed, 1))
		parts := 1 + r.IntN(3)
		topic := newMemory(parts)
		spec := boardSpec(parts)
		spec.ResumeWindow = 20 * time.Second
		if spec.Windowed = r.IntN(2) == 0; spec.Windowed {
			spec.History = 10 * time.Second
		}
		o := Options{Gate: owners{}, Compile: compile}
		young := o
		young.MinLife, young.MaxLife = time.Second, 5*time.Second
		nodes := []*world{newWorld(t, topic, o, spec)}
		pass(time.Duration(r.IntN(250)) * time.Millisecond) // their frames differ
		nodes = append(nodes, newWorld(t, topic, young, spec))
		start := time.Now()
		write := func() {
			key := r.IntN(30)
			owner := []string{"ann", "bob", "cleo"}[r.IntN(3)]
			end := time.Since(start).Milliseconds()/1000*1000 + 2000
			name, value := fmt.Sprint("k", key), fmt.Sprintf(`{"n":%d,"owner":%q,"pad":["%0200d",%d]}`, r.IntN(100), owner, 0, r.IntN(9))
			if spec.Windowed {
				name = fmt.Sprint(name, "@", end)
				value = fmt.Sprintf(`%s,"window_end":%d}`, value[:len(value)-1], start.UnixMilli()+end)
			}
			if r.IntN(6) == 0 {
				value = ""
			}
			topic.put(key%parts, name, value)
		}
		mark := func() {
			for task := range parts {
				topic.mark(task, time.Now().UnixMilli()-1000)
			}
		}
		clients := make([]*client, 2*len(kinds))
		again := func(i int, node *world) {
			cursor, rows, strict := "", map[string]string{}, strings.Contains(kinds[i%len(kinds)], "as=")
			if c := clients[i]; c != nil {
				cursor, rows = c.close()
				patches += c.patches
			}
			c := &client{rows: rows, strict: strict, cursor: cursor, done: make(chan struct{})}
			switch r.IntN(4) {
			case 0:
				node.polls(c, live+"/poll"+kinds[i%len(kinds)])
			case 1:
				node.socket(c, live+"/ws"+kinds[i%len(kinds)])
			default:
				c.conn = node.stalled(live+kinds[i%len(kinds)], cursor).conn
				if r.IntN(3) == 0 {
					c.conn = &slowly{Conn: c.conn, r: rand.New(rand.NewPCG(r.Uint64(), 2))}
				}
				go c.read()
			}
			clients[i] = c
		}
		for range 500 {
			for range r.IntN(5) {
				write()
			}
			if r.IntN(4) == 0 {
				mark()
			}
			i := r.IntN(len(clients))
			if clients[i] == nil || clients[i].isClosed() || r.IntN(3) == 0 {
				if r.IntN(12) == 0 {
					pass(time.Duration(r.IntN(40)) * time.Second)
				}
				again(i, nodes[r.IntN(2)])
			}
			pass(time.Duration(r.IntN(400)) * time.Millisecond)
		}
		mark()
		pass(10 * time.Second)
		for i := range clients {
			if clients[i] == nil || clients[i].isClosed() {
				again(i, nodes[0])
			}
		}
		pass(25 * time.Second)
		all := nodes[0].hub.view("orders/board").snapshotOf()
		for i, c := range clients {
			if c.isClosed() { // its life ended a moment ago
				again(i, nodes[0])
				pass(25 * time.Second)
				c = clients[i]
			}
			kind := kinds[i%len(kinds)]
			want := maps.Clone(all)
			maps.DeleteFunc(want, func(_, row string) bool {
				even, _ := compile(spec, "even", nil)
				if strings.Contains(kind, "even") && !even([]byte(row)) {
					return true
				}
				_, as, _ := strings.Cut(kind, "as=")
				as, _, _ = strings.Cut(as, "&")
				own, _ := compile(spec, "owner == claims.name", map[string]any{"name": as})
				return as != "" && !own([]byte(row))
			})
			if !maps.Equal(c.table(), want) {
				t.Errorf("client %d, %s:\n%v\nwant\n%v", i, kind, c.table(), want)
			}
			patches += c.patches
			c.close()
		}
		for _, n := range nodes {
			n.stop()
		}
	})
	if patches == 0 {
		t.Error("no row came as a patch")
	}
}

// slowly is a connection that now and then is not read for a while.
type slowly struct {
	net.Conn
	r *rand.Rand
}

func (s *slowly) Read(b []byte) (int, error) {
	if s.r.IntN(20) == 0 {
		time.Sleep(time.Duration(s.r.IntN(2000)) * time.Millisecond)
	}
	return s.Conn.Read(b)
}

// A filter by key holds for the snapshot, for what follows and for a resume: the
// client gets what changed of its keys, whatever else did meanwhile.
func TestKeyFilterResumes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		topic := newMemory(1)
		topic.put(0, "DE", `{"country":"DE","n":1}`)
		topic.put(0, "FR", `{"country":"FR","n":1}`)
		w := newWorld(t, topic, Options{}, boardSpec(1))
		defer w.stop()
		is := func(c *client, want string) {
			t.Helper()
			if got := fmt.Sprint(c.table()); got != want {
				t.Errorf("the client has %s, want %s (%s)", got, want, c.kinds())
			}
		}
		first := w.open(live+"?key=country:DE", "")
		pass(time.Second)
		topic.put(0, "FR", `{"country":"FR","n":2}`)
		pass(time.Second)
		is(first, `map[DE:{"country":"DE","n":1}]`)
		cursor := first.last()
		first.close()
		topic.put(0, "DE", `{"country":"DE","n":5}`)
		topic.put(0, "FR", `{"country":"FR","n":5}`)
		pass(time.Second)
		again := w.open(live+"?key=country:DE", cursor)
		pass(time.Second)
		is(again, `map[DE:{"country":"DE","n":5}]`)
		if again.kinds() != "hello delta ready" {
			t.Errorf("it did not resume: %s", again.kinds())
		}
		topic.put(0, "DE", "")
		pass(time.Second)
		is(again, "map[]")
		again.close()
	})
}
