package sse

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// Clients that join at any moment between two writes miss nothing.
func TestTrap07JoiningClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		topic := newMemory(3)
		w := newWorld(t, topic, Options{}, boardSpec(3))
		defer w.stop()
		writing := make(chan struct{})
		go func() {
			defer close(writing)
			for i := range 3000 {
				topic.put(i%3, fmt.Sprint("k", i%30), fmt.Sprintf(`{"n":%d}`, i))
				time.Sleep(time.Millisecond)
			}
		}()
		var clients []*client
		for range 300 {
			clients = append(clients, w.open(live, ""))
			time.Sleep(7 * time.Millisecond)
		}
		<-writing
		pass(time.Second)
		want := w.hub.view("orders/board").snapshotOf()
		if len(want) != 30 {
			t.Fatalf("%d rows in the table", len(want))
		}
		for i, c := range clients {
			if !maps.Equal(c.table(), want) {
				t.Fatalf("client %d differs", i)
			}
			c.close()
		}
	})
}

// A cut at any byte loses nothing: the cursor moves with the last block only.
func TestTrap05CutAtAnyByte(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		topic := newMemory(2)
		pad := strings.Repeat("x", 20000)
		for i := range 10 {
			topic.put(i%2, fmt.Sprint("k", i), fmt.Sprintf(`{"n":%d,"pad":%q}`, i, pad))
		}
		w := newWorld(t, topic, Options{}, boardSpec(2))
		defer w.stop()
		for cut := 0; cut < 230000; cut += 4999 {
			c := w.stalled(live, "")
			c.conn = &short{Conn: c.conn, left: cut}
			go c.read()
			pass(10 * time.Millisecond)
			topic.put(cut%2, fmt.Sprint("k", cut%10), fmt.Sprintf(`{"n":%d,"pad":%q}`, cut, pad))
			cursor, rows := c.close()
			c = w.reopen(live, cursor, rows)
			pass(300 * time.Millisecond)
			if want := w.hub.view("orders/board").snapshotOf(); !maps.Equal(c.table(), want) {
				t.Fatalf("cut after %d bytes: the client differs", cut)
			}
			c.close()
		}
	})
}

// short is a connection that breaks after some bytes.
type short struct {
	net.Conn
	left int
}

func (s *short) Read(b []byte) (int, error) {
	if s.left <= 0 {
		return 0, net.ErrClosed
	}
	n, err := s.Conn.Read(b[:min(len(b), s.left)])
	s.left -= n
	return n, err
}

// Random clients that come, stall, break and resume, on two nodes, always
// end with the table.
func TestRandomClientsConverge(t *testing.T) {
	seed := rand.Uint64()
	if s := replaySeed(t); s != 0 {
		seed = s
	}
	t.Logf("seed %d; replay: SEED=%d go test -run TestRandomClientsConverge ./connectors/sse", seed, seed)
	synctest.Test(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(seed, 1))
		parts := 1 + r.IntN(4)
		topic := newMemory(parts)
		spec := boardSpec(parts)
		spec.ResumeWindow = 20 * time.Second
		windowed := r.IntN(2) == 0
		if windowed {
			spec.Windowed, spec.History = true, 10*time.Second
		}
		nodes := []*world{newWorld(t, topic, Options{}, spec), newWorld(t, topic, Options{MinLife: time.Second, MaxLife: 5 * time.Second}, spec)}
		start := time.Now()
		write := func() {
			key := r.IntN(40)
			switch end := time.Since(start).Milliseconds()/1000*1000 + 2000; {
			case r.IntN(5) == 0:
				topic.put(key%parts, fmt.Sprint("k", key), "")
			case windowed:
				topic.put(key%parts, fmt.Sprint("k", key, "@", end), fmt.Sprintf(`{"n":%d,"window_end":%d}`, r.IntN(1000), start.UnixMilli()+end))
			default:
				topic.put(key%parts, fmt.Sprint("k", key), fmt.Sprintf(`{"n":%d}`, r.IntN(1000)))
			}
		}
		clients := make([]*client, 8)
		for range 600 {
			for range r.IntN(4) {
				write()
			}
			if r.IntN(4) == 0 {
				for task := range parts {
					topic.mark(task, time.Now().UnixMilli()-1000)
				}
			}
			i := r.IntN(len(clients))
			node := nodes[r.IntN(2)]
			switch c := clients[i]; {
			case c == nil:
				clients[i] = node.open(live, "")
			case r.IntN(3) == 0 || c.isClosed():
				cursor, rows := c.close()
				if r.IntN(10) == 0 {
					pass(30 * time.Second) // beyond the tombstones
				}
				clients[i] = node.reopen(live, cursor, rows)
			}
			pass(time.Duration(r.IntN(400)) * time.Millisecond)
		}
		for i, c := range clients {
			if c != nil && c.isClosed() {
				cursor, rows := c.close()
				clients[i] = nodes[0].reopen(live, cursor, rows)
			}
		}
		for task := range parts {
			topic.mark(task, time.Now().UnixMilli()-1000)
		}
		pass(950 * time.Millisecond)
		want := nodes[0].hub.view("orders/board").snapshotOf()
		for i, c := range clients {
			if c == nil {
				continue
			}
			if c.isClosed() { // its life ended a moment ago
				cursor, rows := c.close()
				c = nodes[0].reopen(live, cursor, rows)
				pass(50 * time.Millisecond)
			}
			if !maps.Equal(c.table(), want) {
				t.Errorf("client %d:\n%v\nwant\n%v", i, c.table(), want)
			}
			c.close()
		}
		for _, n := range nodes {
			n.stop()
		}
	})
}
