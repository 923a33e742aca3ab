package main

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/leatstream/leat/connectors/kafka"
	"github.com/leatstream/leat/connectors/kafka/embedded"
	"github.com/leatstream/leat/connectors/sse"
	"github.com/leatstream/leat/engine"
)

// startBroker is a broker in memory, and our door to it.
func startBroker(t *testing.T, topics map[string]int) (addrs []string, door *kafka.Broker) {
	t.Helper()
	b, err := embedded.Start("", "127.0.0.1:0", embedded.Options{Topics: topics})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	door, err = kafka.Connect(kafka.Config{Brokers: b.Addrs(), Dialer: b.Dial})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(door.Close)
	return b.Addrs(), door
}

// startCluster is what a pipeline sees of such a broker.
func startCluster(t *testing.T, topics map[string]int) *kafka.Cluster {
	t.Helper()
	_, broker := startBroker(t, topics)
	return broker.Cluster().(*kafka.Cluster)
}

// The cluster of a worker can be read again: without it there is no past.
func TestClusterRewinds(t *testing.T) {
	var c engine.Cluster = (*kafka.Cluster)(nil)
	if _, ok := c.(sse.Rewinder); !ok {
		t.Fatal("kafka's cluster is no sse.Rewinder")
	}
}

func TestRecentDeadLetters(t *testing.T) {
	c := startCluster(t, map[string]int{"dlq": 2})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for i := range 120 {
		if err := c.Produce(ctx, []engine.Record{{Topic: "dlq", Partition: engine.Partition(i % 2), Key: []byte(strings.Repeat("k", 300)), Value: []byte("secret"),
			Headers: []engine.Header{{Key: "leat.error.stage", Value: []byte("decode")}, {Key: "leat.error.reason", Value: []byte("no JSON")},
				{Key: "leat.error.topic", Value: []byte("orders")}, {Key: "leat.error.offset", Value: []byte("7")}}}}); err != nil {
			t.Fatal(err)
		}
	}
	d, err := recentLetters(ctx, c, "dlq")
	if err != nil || d.Count != 120 || len(d.Recent) != maxLetters {
		t.Fatalf("%+v, %v", d, err)
	}
	l := d.Recent[0]
	if l.Stage != "decode" || l.Reason != "no JSON" || l.Topic != "orders" || l.Offset != 7 || len(l.Key) != maxLetterKey || l.At == 0 {
		t.Errorf("%+v", l)
	}
}

// Two nodes hear each other over the topic, which the first of them makes.
func TestPresenceOverATopic(t *testing.T) {
	c := startCluster(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	a, b := &fleet{cluster: c}, &fleet{cluster: c}
	heard := make(chan string, 100)
	var wg sync.WaitGroup
	for _, f := range []*fleet{a, b} {
		wg.Go(func() { _ = f.Tail(ctx, func(key string, value []byte) { heard <- key + string(value) }) })
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(20 * time.Second)
	for n := 0; n < 2; { // until both have heard one
		select {
		case got := <-heard:
			if got != "k{}" {
				t.Fatal(got)
			}
			n++
		case <-tick.C:
			if err := a.Publish(ctx, "k", []byte("{}")); err != nil {
				t.Fatal(err)
			}
		case <-limit:
			t.Fatal("nobody heard anything")
		}
	}
	cancel()
	wg.Wait()
}
