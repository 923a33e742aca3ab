package kafka

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/leatstream/leat/engine"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Cluster is the broker as the worker sees it, outside any group. It implements
// engine.Cluster and is safe for concurrent use.
type Cluster struct {
	cfg Config
	cl  *kgo.Client
	adm *kadm.Client

	mu      sync.Mutex
	readers []*kgo.Client // idle ones, for Read and Tail
	closed  bool
}

// connectTimeout is how long NewCluster tries to reach a broker.
const connectTimeout = 10 * time.Second

// keptReaders is how many idle clients stay connected for the next Read.
const keptReaders = 4

// NewCluster connects to a cluster. It fails, with Kind Environment, when no
// broker answers or the credentials are refused.
func NewCluster(cfg Config) (*Cluster, error) {
	cfg = cfg.withDefaults()
	opts, err := cfg.options()
	if err != nil {
		return nil, engine.E(engine.Environment, "configure kafka", err)
	}
	cl, err := kgo.NewClient(opts...)
	if err != nil {
		return nil, engine.E(engine.Environment, "configure kafka", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), connectTimeout)
	defer cancel()
	if err := cl.Ping(ctx); err != nil {
		cl.Close()
		return nil, engine.E(engine.Environment, "connect to kafka", cfg.explain(err))
	}
	return &Cluster{cfg: cfg, cl: cl, adm: kadm.NewClient(cl)}, nil
}

// Close ends all connections.
func (c *Cluster) Close() {
	c.mu.Lock()
	readers := c.readers
	c.readers, c.closed = nil, true
	c.mu.Unlock()
	for _, r := range readers {
		r.Close()
	}
	c.cl.Close()
}

// ID is the cluster's id.
func (c *Cluster) ID(ctx context.Context) (string, error) {
	m, err := c.adm.BrokerMetadata(ctx)
	if err != nil {
		return "", c.cfg.fail("ask for the cluster id", err)
	}
	return m.Cluster, nil
}

// TransactionVersion is the level of the cluster's transaction.version feature:
// 2 is what exactly-once rests on (KIP-890), less is weakened. It asks the
// broker itself, as the client keeps its own answer private.
func (c *Cluster) TransactionVersion(ctx context.Context) (int, error) {
	req := kmsg.NewPtrApiVersionsRequest()
	req.ClientSoftwareName, req.ClientSoftwareVersion = "leat", "1"
	resp, err := req.RequestWith(ctx, c.cl)
	if err == nil {
		err = kerr.ErrorForCode(resp.ErrorCode)
	}
	if err != nil {
		return 0, c.cfg.fail("ask for the transaction version", err)
	}
	for _, f := range resp.FinalizedFeatures {
		if f.Name == "transaction.version" {
			return int(f.MaxVersionLevel), nil
		}
	}
	return 0, nil
}

// Topics describes topics by name.
func (c *Cluster) Topics(ctx context.Context, names ...engine.Topic) (map[engine.Topic]engine.TopicInfo, error) {
	out := make(map[engine.Topic]engine.TopicInfo, len(names))
	if len(names) == 0 {
		return out, nil
	}
	meta, err := c.adm.Metadata(ctx, topicStrings(names)...)
	if err != nil {
		return nil, c.cfg.fail("describe topics", err)
	}
	var exist []string
	for _, name := range names {
		t, ok := meta.Topics[string(name)]
		switch {
		case !ok || errors.Is(t.Err, kerr.UnknownTopicOrPartition):
			out[name] = engine.TopicInfo{}
		case t.Err != nil:
			return nil, c.cfg.fail(fmt.Sprintf("describe topic %q", name), t.Err)
		default:
			info := engine.TopicInfo{Exists: true, Partitions: len(t.Partitions)}
			if t.ID != (kadm.TopicID{}) {
				info.ID = hex.EncodeToString(t.ID[:])
			}
			out[name] = info
			exist = append(exist, string(name))
		}
	}
	if len(exist) == 0 {
		return out, nil
	}
	configs, err := c.adm.DescribeTopicConfigs(ctx, exist...)
	if ae := (*kadm.AuthError)(nil); errors.As(err, &ae) {
		return out, nil // no right to see configs: they stay unknown
	}
	if err != nil {
		return nil, c.cfg.fail("describe topics", err)
	}
	for _, rc := range configs {
		info := out[engine.Topic(rc.Name)]
		if rc.Err != nil || !info.Exists {
			continue
		}
		info.Configs = make(map[string]string, len(rc.Configs))
		for _, kv := range rc.Configs {
			if kv.Value != nil {
				info.Configs[kv.Key] = *kv.Value
			}
		}
		out[engine.Topic(rc.Name)] = info
	}
	return out, nil
}

// AllTopics lists the names of all topics that are not Kafka's own.
func (c *Cluster) AllTopics(ctx context.Context) ([]engine.Topic, error) {
	ts, err := c.adm.ListTopics(ctx)
	if err != nil {
		return nil, c.cfg.fail("list topics", err)
	}
	var out []engine.Topic
	for _, name := range ts.Names() {
		out = append(out, engine.Topic(name))
	}
	return out, nil
}

// CreateTopics creates what is missing, waits until all partitions have a
// leader, and verifies the partition counts of all. Replication is the broker's
// default. A count that differs is an error of Kind Incompatible.
func (c *Cluster) CreateTopics(ctx context.Context, specs []engine.TopicSpec) ([]engine.Topic, error) {
	names := make([]engine.Topic, len(specs))
	for i, s := range specs {
		names[i] = s.Topic
	}
	have, err := c.Topics(ctx, names...)
	if err != nil {
		return nil, err
	}
	var created []engine.Topic
	for _, s := range specs {
		if have[s.Topic].Exists || slices.Contains(created, s.Topic) {
			continue
		}
		configs := make(map[string]*string, len(s.Configs))
		for k, v := range s.Configs {
			configs[k] = &v
		}
		resps, err := c.adm.CreateTopics(ctx, int32(s.Partitions), -1, configs, string(s.Topic))
		op := fmt.Sprintf("create topic %q", s.Topic)
		if err != nil {
			return created, c.cfg.fail(op, err)
		}
		switch r := resps[string(s.Topic)]; {
		case r.Err == nil:
			created = append(created, s.Topic)
		case errors.Is(r.Err, kerr.TopicAlreadyExists): // somebody else won
		case r.ErrMessage != "":
			return created, c.cfg.fail(op, fmt.Errorf("%w: %s", r.Err, r.ErrMessage))
		default:
			return created, c.cfg.fail(op, r.Err)
		}
	}
	return created, c.verifyTopics(ctx, specs)
}

// verifyTopics waits until every topic is visible with leaders everywhere, as a
// new topic appears on one broker after the other, and checks the counts.
func (c *Cluster) verifyTopics(ctx context.Context, specs []engine.TopicSpec) error {
	for _, s := range specs {
		for {
			meta, err := c.adm.Metadata(ctx, string(s.Topic))
			if err != nil {
				return c.cfg.fail(fmt.Sprintf("verify topic %q", s.Topic), err)
			}
			t := meta.Topics[string(s.Topic)]
			if t.Err == nil && len(t.Partitions) > 0 && t.Partitions.Numbers() != nil && led(t.Partitions) {
				if n := len(t.Partitions); n != s.Partitions && s.Partitions > 0 {
					return engine.E(engine.Incompatible, fmt.Sprintf("verify topic %q", s.Topic),
						fmt.Errorf("it has %d partitions, the plan wants %d", n, s.Partitions))
				}
				break
			}
			if !engine.Sleep(ctx, 50*time.Millisecond) {
				return c.cfg.fail(fmt.Sprintf("wait for topic %q", s.Topic), ctx.Err())
			}
		}
	}
	return nil
}

func led(ps kadm.PartitionDetails) bool {
	for _, p := range ps {
		if p.Err != nil || p.Leader < 0 {
			return false
		}
	}
	return true
}

// FenceTransactionalIDs gives each id a new epoch, which aborts its open
// transaction at once instead of after the transaction timeout.
func (c *Cluster) FenceTransactionalIDs(ctx context.Context, ids []string) error {
	return c.cfg.fence(ctx, c.cl, ids)
}

// fence is FenceTransactionalIDs over any client.
func (c *Config) fence(ctx context.Context, cl *kgo.Client, ids []string) error {
	errs := make([]error, len(ids))
	var wg sync.WaitGroup
	for i, id := range ids {
		wg.Go(func() {
			for {
				req := kmsg.NewPtrInitProducerIDRequest()
				req.TransactionalID = &id
				req.TransactionTimeoutMillis = int32(c.TransactionTimeout.Milliseconds())
				req.ProducerID, req.ProducerEpoch = -1, -1
				resp, err := req.RequestWith(ctx, cl)
				if err == nil {
					err = kerr.ErrorForCode(resp.ErrorCode)
				}
				// The broker answers so while it writes the markers of the abort.
				if errors.Is(err, kerr.ConcurrentTransactions) && engine.Sleep(ctx, 20*time.Millisecond) {
					continue
				}
				if err != nil {
					errs[i] = c.fail(fmt.Sprintf("fence transactional id %q", id), err)
				}
				return
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// Produce writes records outside any group or transaction and waits for them.
func (c *Cluster) Produce(ctx context.Context, recs []engine.Record) error {
	ks := make([]*kgo.Record, len(recs))
	for i := range recs {
		ks[i] = new(kgo.Record)
		fill(ks[i], &recs[i], nil)
	}
	// The client does not give up a batch that it may have sent, whatever ctx
	// says, until a broker has answered: nobody who is told to end waits for that.
	done := make(chan error, 1)
	go func() { done <- c.cl.ProduceSync(ctx, ks...).FirstErr() }() // ends with the client at the latest
	var err error
	select {
	case err = <-done:
	case <-ctx.Done():
		err = ctx.Err()
	}
	return c.cfg.fail("produce", err)
}

func topicStrings(ts []engine.Topic) []string {
	out := make([]string, len(ts))
	for i, t := range ts {
		out[i] = string(t)
	}
	return out
}

var _ engine.Cluster = (*Cluster)(nil)
