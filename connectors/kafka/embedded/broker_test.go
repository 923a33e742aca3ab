package embedded_test

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/leatstream/leat/connectors/kafka"
	"github.com/leatstream/leat/connectors/kafka/embedded"
	"github.com/leatstream/leat/engine"
)

// What was written is there after a restart, topics and all.
func TestDataSurvives(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	tp := engine.TopicPartition{Topic: "in", Partition: 1}
	for run := range 3 {
		b, err := embedded.Start(dir, "localhost:0", embedded.Options{Topics: map[string]int{"in": 2, "more": run + 1}})
		if err != nil {
			t.Fatal(err)
		}
		c, err := kafka.NewCluster(kafka.Config{Brokers: b.Addrs()})
		if err != nil {
			t.Fatal(err)
		}
		topics, err := c.Topics(ctx, "in", "more")
		if err != nil || topics["in"].Partitions != 2 || topics["more"].Partitions != 1 {
			t.Fatal(topics, err)
		}
		rows := 0
		if _, err := c.Read(ctx, tp, -1, func(r *engine.Rows) error { rows += r.Len(); return nil }); err != nil || rows != run {
			t.Fatalf("run %d: %d records, %v", run, rows, err)
		}
		if err := c.Produce(ctx, []engine.Record{{Topic: "in", Partition: 1, Value: []byte("v")}}); err != nil {
			t.Fatal(err)
		}
		if _, err := embedded.Start(dir, "localhost:0", embedded.Options{}); err == nil || !strings.Contains(err.Error(), "in use") {
			t.Fatalf("a second broker on the folder: %v", err)
		}
		c.Close()
		b.Close()
		b.Close()
	}
}

// It serves this machine only.
func TestLoopbackOnly(t *testing.T) {
	for _, addr := range []string{"0.0.0.0:0", ":0", "192.168.1.1:9092", "example.org:9092", "[::1]:0", "127.0.0.2:0", "localhost", "localhost:x", "localhost:70000", ""} {
		b, err := embedded.Start("", addr, embedded.Options{})
		if err == nil {
			b.Close()
			t.Errorf("%q was accepted", addr)
		}
	}
}

// A fixed port is taken once.
func TestPortInUse(t *testing.T) {
	b, err := embedded.Start("", "127.0.0.1:0", embedded.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if _, err := embedded.Start("", b.Addrs()[0], embedded.Options{}); err == nil || !strings.Contains(err.Error(), b.Addrs()[0]) {
		t.Fatal(err)
	}
}
