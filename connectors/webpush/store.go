package webpush

import (
	"context"
	"crypto/ecdh"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/leatstream/leat/engine"
)

// Topic holds all subscriptions, compacted: key <hash of the endpoint>/<pipeline>/<sink>.
const Topic engine.Topic = "leat.push.subscriptions"

// Subscription is a browser that wants the alerts of a sink.
type Subscription struct {
	Pipeline string `json:"pipeline"`
	Sink     string `json:"sink,omitempty"` // "": all of the pipeline
	Endpoint string `json:"endpoint"`
	P256dh   string `json:"p256dh"`
	Auth     string `json:"auth"`
	Name     string `json:"name,omitempty"` // who asked
	At       int64  `json:"at"`             // when, epoch ms
}

// key is the record's.
func (s Subscription) key() string {
	hash := sha256.Sum256([]byte(s.Endpoint))
	return hex.EncodeToString(hash[:]) + "/" + s.Pipeline + "/" + s.Sink
}

// keys are the browser's: a point of P-256 and a secret.
func (s Subscription) keys() (*ecdh.PublicKey, []byte, error) {
	decode := func(text string) ([]byte, error) { return coding.DecodeString(strings.TrimRight(text, "=")) }
	point, err := decode(s.P256dh)
	if err != nil {
		return nil, nil, errors.New("p256dh is no base64url")
	}
	public, err := ecdh.P256().NewPublicKey(point)
	if err != nil {
		return nil, nil, errors.New("p256dh is no point of P-256")
	}
	auth, err := decode(s.Auth)
	if err != nil || len(auth) != 16 {
		return nil, nil, errors.New("auth is not 16 bytes in base64url")
	}
	return public, auth, nil
}

// check tells what is wrong with a subscription that came from outside.
func (s Subscription) check() error {
	const mostURL = 2048 // bytes
	u, err := url.Parse(s.Endpoint)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || len(s.Endpoint) > mostURL {
		return errors.New("the endpoint is no https address")
	}
	_, _, err = s.keys()
	return err
}

// Cluster is what a store needs of a cluster; engine.Cluster has it.
type Cluster interface {
	CreateTopics(ctx context.Context, specs []engine.TopicSpec) ([]engine.Topic, error)
	EndOffsets(ctx context.Context, topic engine.Topic) (map[engine.Partition]engine.Offset, error)
	Tail(ctx context.Context, topic engine.Topic, from map[engine.Partition]engine.Offset, fn func([]*engine.Rows, map[engine.Partition]engine.Offset) error) error
	Produce(ctx context.Context, recs []engine.Record) error
}

// mostSubscriptions bounds the store: 1 KB each.
const mostSubscriptions = 100_000

// Store is all subscriptions, read from their topic. Make it with NewStore and
// run it; it is safe for concurrent use.
type Store struct {
	cluster Cluster
	log     *slog.Logger

	mu    sync.Mutex
	all   map[string]Subscription
	ready bool
}

// NewStore makes a store that has read nothing yet.
func NewStore(c Cluster, log *slog.Logger) *Store {
	return &Store{cluster: c, log: log, all: map[string]Subscription{}}
}

// Run follows the topic until ctx ends; trouble is waited out.
func (s *Store) Run(ctx context.Context) {
	for ctx.Err() == nil {
		if err := s.follow(ctx); err != nil && ctx.Err() == nil {
			s.log.Error("subscriptions of web push cannot be read", "err", err)
			engine.Sleep(ctx, 5*time.Second)
		}
	}
}

func (s *Store) follow(ctx context.Context) error {
	if _, err := s.cluster.CreateTopics(ctx, []engine.TopicSpec{{Topic: Topic, Partitions: 1, Configs: map[string]string{"cleanup.policy": "compact"}}}); err != nil {
		return err
	}
	ends, err := s.cluster.EndOffsets(ctx, Topic)
	if err != nil {
		return err
	}
	s.catchUp(ends, nil)
	return s.cluster.Tail(ctx, Topic, nil, func(rows []*engine.Rows, pos map[engine.Partition]engine.Offset) error {
		for _, r := range rows {
			for i := range r.Len() {
				s.apply(string(r.Keys[i]), r.Values[i])
			}
		}
		s.catchUp(ends, pos)
		return nil
	})
}

// catchUp tells whether all has been read that was there at the start.
func (s *Store) catchUp(ends, pos map[engine.Partition]engine.Offset) {
	for p, end := range ends {
		if pos[p] < end {
			return
		}
	}
	s.mu.Lock()
	s.ready = true
	s.mu.Unlock()
}

func (s *Store) apply(key string, value []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if value == nil {
		delete(s.all, key)
		return
	}
	var sub Subscription
	if json.Unmarshal(value, &sub) != nil || sub.key() != key || sub.check() != nil {
		return
	}
	s.all[key] = sub
}

// Of lists the subscriptions of a sink, in order of their keys. ok is false
// while the store has not caught up.
func (s *Store) Of(pipeline, sink string) (subs []Subscription, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := map[string]bool{}
	for _, sub := range s.all {
		if sub.Pipeline == pipeline && (sub.Sink == "" || sub.Sink == sink) && !seen[sub.Endpoint] {
			seen[sub.Endpoint] = true
			subs = append(subs, sub)
		}
	}
	slices.SortFunc(subs, func(a, b Subscription) int { return strings.Compare(a.Endpoint, b.Endpoint) })
	return subs, s.ready
}

// Add writes a subscription.
func (s *Store) Add(ctx context.Context, sub Subscription) error {
	if err := sub.check(); err != nil {
		return err
	}
	s.mu.Lock()
	full, ready := len(s.all) >= mostSubscriptions, s.ready
	s.mu.Unlock()
	if !ready {
		return errBusy
	}
	if full {
		return errors.New("there are too many subscriptions")
	}
	value, err := json.Marshal(sub)
	if err != nil {
		return err
	}
	if err := s.cluster.Produce(ctx, []engine.Record{{Topic: Topic, Key: []byte(sub.key()), Value: value}}); err != nil {
		return fmt.Errorf("%w: %w", errBusy, err)
	}
	s.apply(sub.key(), value)
	return nil
}

// errBusy: it is not the asker's fault.
var errBusy = errors.New("subscriptions cannot be written now")

// Remove deletes one subscription; with no pipeline, all of its endpoint.
func (s *Store) Remove(ctx context.Context, sub Subscription) error {
	hash, _, _ := strings.Cut(sub.key(), "/")
	var recs []engine.Record
	s.mu.Lock()
	for key := range s.all {
		if key == sub.key() || sub.Pipeline == "" && strings.HasPrefix(key, hash+"/") {
			recs = append(recs, engine.Record{Topic: Topic, Key: []byte(key)})
		}
	}
	s.mu.Unlock()
	if len(recs) == 0 {
		return nil
	}
	if err := s.cluster.Produce(ctx, recs); err != nil {
		return fmt.Errorf("%w: %w", errBusy, err)
	}
	for _, r := range recs {
		s.apply(string(r.Key), nil)
	}
	return nil
}
