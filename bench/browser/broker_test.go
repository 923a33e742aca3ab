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
	for _, topic := range []string{ordersTopic, probeTopic} {
		made, err := kadm.NewClient(client).CreateTopic(ctx, partitions, 1, nil, topic)
		if err == nil {
			err = made.Err
		}
		if err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
			return "", fmt.Errorf("create topic %s: %w", topic, err)
		}
	}
	if err := probe(ctx, b.Addr()); err != nil {
		return "", fmt.Errorf("wait until Kafka serves: %w", err)
	}
	return b.Addr(), nil
}

const probeTopic = "probe"

// probe waits until Kafka serves what a pipeline needs of it: a plain client,
// which is new to it, writes in a transaction, joins a group, reads what it wrote
// and commits. A broker that says it has started may still be loading groups and
// transactions; from here on it has recovered.
func probe(ctx context.Context, addr string) error {
	s, err := kgo.NewGroupTransactSession(kgo.SeedBrokers(addr), kgo.TransactionalID("probe"), kgo.ConsumerGroup("probe"),
		kgo.ConsumeTopics(probeTopic), kgo.DefaultProduceTopic(probeTopic), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.RetryBackoffFn(func(int) time.Duration { return 100 * time.Millisecond }), kgo.MetadataMinAge(100*time.Millisecond))
	if err != nil {
		return err
	}
	defer s.Close()
	if err := s.Begin(); err != nil {
		return err
	}
	if err := s.ProduceSync(ctx, kgo.StringRecord("are you there?")).FirstErr(); err != nil {
		return err
	}
	if _, err := s.End(ctx, kgo.TryCommit); err != nil {
		return err
	}
	for ctx.Err() == nil {
		fetches := s.PollFetches(ctx)
		if err := s.Begin(); err != nil {
			return err
		}
		committed, err := s.End(ctx, kgo.TryCommit)
		if err != nil {
			return err
		}
		if committed && fetches.NumRecords() > 0 {
			return nil
		}
	}
	return ctx.Err()
}

func (k *kafka) stop() { _ = k.broker.Stop() }
