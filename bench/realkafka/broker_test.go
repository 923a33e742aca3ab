//go:build kafka

package realkafka

import (
	"context"
	"errors"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// A record survives a broker that is killed, and the broker its address.
func TestKafkaStartsAndSurvivesAKill(t *testing.T) {
	ctx, dir := context.Background(), t.TempDir()
	b, err := Start(ctx, Options{Dir: dir, Heap: "512m"})
	if err != nil {
		t.Fatal(err)
	}
	addr := b.Addr()
	cl, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.ConsumeTopics("x"))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	if _, err := kadm.NewClient(cl).CreateTopic(ctx, 1, 1, nil, "x"); err != nil {
		t.Fatal(err)
	}
	if err := cl.ProduceSync(ctx, &kgo.Record{Topic: "x", Value: []byte("kept")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	pidText, err := os.ReadFile(b.pidFile)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(pidText)))
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Fatalf("java is still there: %v", err)
	}

	b, err = Start(ctx, Options{Dir: dir, Heap: "512m"})
	if err != nil {
		t.Fatal(err)
	}
	if b.Addr() != addr {
		t.Errorf("address %s, was %s", b.Addr(), addr)
	}
	if got := cl.PollFetches(ctx).Records(); len(got) != 1 || string(got[0].Value) != "kept" {
		t.Errorf("read %d records, want the one that was written", len(got))
	}
	if err := b.Stop(); err != nil {
		t.Error(err)
	}
}
