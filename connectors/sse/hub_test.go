package sse

import (
	"maps"
	"testing"
	"testing/synctest"
	"time"
)

func TestStreamFollowsTheTable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		topic := newMemory(1)
		topic.put(0, "DE", `{"country":"DE","n":1}`)
		topic.put(0, "FR", `{"country":"FR","n":2}`)
		w := newWorld(t, topic, Options{}, boardSpec(1))
		defer w.stop()
		c := w.open("/live/orders/board", "")
		pass(time.Second)
		want := map[string]string{"DE": `{"country":"DE","n":1}`, "FR": `{"country":"FR","n":2}`}
		if !maps.Equal(c.table(), want) || c.kinds() != "hello snapshot ready" {
			t.Fatalf("after the snapshot: %v (%s)", c.table(), c.kinds())
		}
		topic.put(0, "DE", `{"country":"DE","n":5}`)
		topic.put(0, "FR", "")
		pass(time.Second)
		want = map[string]string{"DE": `{"country":"DE","n":5}`}
		if !maps.Equal(c.table(), want) || c.kinds() != "hello snapshot ready delta" {
			t.Fatalf("after the delta: %v (%s)", c.table(), c.kinds())
		}
		c.close()
	})
}
