package sse

import (
	"encoding/json"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// A block is an event in both forms; a retry alone is no message.
func TestBlocksAsMessages(t *testing.T) {
	for _, c := range []struct {
		b    *block
		want string
	}{
		{eventBlock("ready", []byte(`{"row_count":1}`)), `{"event":"ready","data":{"row_count":1}}`},
		{&block{text: []byte("event: delta\ndata: {\"t\":\"event: x: id: y\"}\nid: v1.e.A\n\n")}, `{"event":"delta","data":{"t":"event: x: id: y"},"id":"v1.e.A"}`},
		{cursorBlock("v1.e.A"), `{"event":"cursor","data":{},"id":"v1.e.A"}`},
		{drainBlock(endLife, time.Second), `{"event":"drain","data":{"retry_ms":1000,"reason":"life"}}`},
		{&block{text: []byte("retry: 2718\n\n")}, ``},
	} {
		if got := string(c.b.message()); got != c.want || got != "" && !json.Valid(c.b.message()) {
			t.Errorf("%s, want %s", got, c.want)
		}
	}
}

// A frame is encoded once for all transports: its text when it is made, its
// messages when the first client wants them.
func TestMessagesAreEncodedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		topic := newMemory(1)
		w := newWorld(t, topic, Options{}, boardSpec(1))
		defer w.stop()
		var sockets []*client
		for range 20 {
			c := &client{rows: map[string]string{}, done: make(chan struct{})}
			w.socket(c, live+"/ws")
			sockets = append(sockets, c)
		}
		stream := w.open(live, "")
		pass(time.Second)
		before := w.count.get("encoded delta")
		topic.put(0, "a", `{"n":1}`)
		pass(time.Second)
		if n := w.count.get("encoded delta") - before; n != 1 {
			t.Errorf("one change cost %v encodings, want 1", n)
		}
		v := w.hub.view("orders/board")
		v.mu.Lock()
		if len(v.groups) != 1 {
			t.Errorf("%d groups: transports share one", len(v.groups))
		}
		for _, g := range v.groups {
			for _, b := range g.beat.Load().frame.blocks {
				if one, two := b.message(), b.message(); fmt.Sprintf("%p", one) != fmt.Sprintf("%p", two) {
					t.Error("a message is made anew for each client")
				}
			}
		}
		v.mu.Unlock()
		for _, c := range append(sockets, stream) {
			if c.table()["a"] != `{"n":1}` {
				t.Errorf("a client has %v", c.table())
			}
			c.close()
		}
	})
}
