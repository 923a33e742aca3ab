package kafka

import (
	"context"
	"log/slog"
	"slices"
	"sync"

	"github.com/leatstream/leat/engine"
)

// Broker opens sessions and holds the cluster's client: what a worker needs of
// Kafka. Safe for concurrent use.
type Broker struct {
	cfg     Config
	cluster *Cluster

	mu     sync.Mutex
	behind map[string][]string // members that a lane's sessions could not take out of the group, by lane
}

// Connect makes the cluster's client, once a broker has answered.
func Connect(cfg Config) (*Broker, error) {
	c, err := NewCluster(cfg)
	if err != nil {
		return nil, err
	}
	return &Broker{cfg: cfg, cluster: c, behind: make(map[string][]string)}, nil
}

// Cluster is the cluster outside any group.
func (b *Broker) Cluster() engine.Cluster { return b.cluster }

// TransactionVersion is what the cluster has finalized: 2 is KIP-890.
func (b *Broker) TransactionVersion(ctx context.Context) (int, error) {
	return b.cluster.TransactionVersion(ctx)
}

// Session joins the group as one lane.
func (b *Broker) Session(ctx context.Context, r engine.SessionRequest) (engine.Session, error) {
	cfg := b.cfg
	log := r.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	cfg.Logger = log
	lane := r.Group + "\x00" + r.Lane
	s, err := NewSession(cfg, SessionConfig{
		Group: r.Group, Topics: r.Topics, TransactionalID: r.TransactionalID, Guarantee: r.Guarantee, Lane: laneSuffix(r.Lane),
		Start:        func(tp engine.TopicPartition) (engine.Offset, error) { return r.Start(ctx, tp) },
		CommitNumber: r.CommitNumber,
		Writer:       r.Writer,
		OnVanished:   func(ids []string) { log.Info("fenced lanes that are gone", "transactional_ids", ids) },
		Behind:       b.leftBehind(lane),
		OnBehind: func(member string) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.behind[lane] = append(b.behind[lane], member)
		},
	})
	if err != nil {
		return nil, err
	}
	b.forget(lane)
	return s, nil
}

// leftBehind are the members that a lane's former sessions left in the group.
func (b *Broker) leftBehind(lane string) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.behind[lane])
}

func (b *Broker) forget(lane string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.behind, lane)
}

// laneSuffix makes a lane's name fit for a client id.
func laneSuffix(lane string) string {
	b := []byte(lane)
	for i := range b {
		if b[i] == '/' {
			b[i] = '.'
		}
	}
	return string(b)
}

// Close ends the cluster's client.
func (b *Broker) Close() { b.cluster.Close() }

var _ engine.Broker = (*Broker)(nil)
