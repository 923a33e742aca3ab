//go:build browser

package browser

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/leatstream/leat/bench/realkafka"
	"github.com/leatstream/leat/connectors/kafka/embedded"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// broker can be stopped and started again, with its data and its address.
type broker interface {
	start(dir string) (addr string, err error)
	stop()
}

// development is the embedded broker: at once there, but a transaction that is
// open when it stops may stay open (docs/guarantees.md).
type development struct {
	broker *embedded.Broker
	addr   string
}

func (d *development) start(dir string) (string, error) {
	if d.addr == "" {
		d.addr = "127.0.0.1:0"
	}
	b, err := embedded.Start(dir, d.addr, embedded.Options{Topics: map[string]int{ordersTopic: partitions}})
	if err != nil {
		return "", err
	}
	d.broker, d.addr = b, b.Addrs()[0]
	return d.addr, nil
}

func (d *development) stop() { d.broker.Close() }

// kafka is a real one.
type kafka struct{ broker *realkafka.Broker }

func (k *kafka) start(dir string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	b, err := realkafka.Start(ctx, realkafka.Options{Dir: dir, Heap: "512m"})
	if err != nil {
		return "", err
	}
	k.broker = b
	client, err := kgo.NewClient(kgo.SeedBrokers(b.Addr()))
	if err != nil {
		return "", fmt.Errorf("create topic %s: %w", ordersTopic, err)
	}
	defer client.Close()
	made, err := kadm.NewClient(client).CreateTopic(ctx, partitions, 1, nil, ordersTopic)
	if err == nil {
		err = made.Err
	}
	if err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
		return "", fmt.Errorf("create topic %s: %w", ordersTopic, err)
	}
	return b.Addr(), nil
}

func (k *kafka) stop() { _ = k.broker.Stop() }
