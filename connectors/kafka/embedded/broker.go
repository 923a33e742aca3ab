package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Options are what Start can be told. The zero value is one broker that keeps
// everything in memory.
type Options struct {
	// Topics are created unless they exist: name to partitions.
	Topics map[string]int
	// Brokers is the number of brokers, for tests of leaders that move; they
	// share the process and its fate. Default 1.
	Brokers int
	// Sync has every write reach the disk before it is acknowledged.
	Sync bool
	// AutoCreate creates topics that producers name.
	AutoCreate bool
	// MinSessionTimeout lowers Kafka's minimum of 6s for group members, for tests.
	MinSessionTimeout time.Duration
	// Virtual replaces the network by one in memory that testing/synctest can
	// see through: use Broker.Dial to reach it. addr then only gives the port.
	// Requests take half a millisecond.
	Virtual bool
	// Logger receives the broker's warnings. Default: nothing is logged.
	Logger *slog.Logger
}

// Broker is a running broker.
type Broker struct {
	// Cluster is kfake's own handle: faults, compaction, moved leaders.
	Cluster *kfake.Cluster
	addrs   []string
	dial    func(ctx context.Context, network, addr string) (net.Conn, error)
	unlock  func() error
	end     chan struct{} // closed by Close
	close   sync.Once
}

// Start runs a broker at addr (host:port; port 0 takes a free one) that keeps
// its data in dir, or in memory when dir is "". It refuses an address that
// other machines could reach: the broker asks nobody for credentials. A data
// folder in use by another broker is refused.
func Start(dir, addr string, opts Options) (*Broker, error) {
	port, err := loopbackPort(addr)
	if err != nil {
		return nil, fmt.Errorf("start embedded broker: %w", err)
	}
	b := &Broker{dial: (&net.Dialer{}).DialContext, unlock: func() error { return nil }, end: make(chan struct{})}
	ports := make([]int, max(opts.Brokers, 1))
	for i := range ports {
		if ports[i] = 0; port != 0 {
			ports[i] = port + i
		}
	}
	ko := []kfake.Opt{kfake.ClusterID("leat-embedded"), kfake.DefaultNumPartitions(1)}
	if opts.Virtual {
		var vn kfake.VirtualNetwork
		b.dial = virtualDial(&vn, b.end)
		ko = append(ko, kfake.ListenFn(vn.Listen))
		for i := range ports {
			if ports[i] == 0 { // the virtual network knows no free port
				ports[i] = 9092 + i
			}
		}
	}
	ko = append(ko, kfake.Ports(ports...), kfake.BrokerConfigs(map[string]string{
		// Its cleaner would run hourly, and loses committed records (doc.go).
		"log.cleaner.backoff.ms": strconv.FormatInt((100 * 365 * 24 * time.Hour).Milliseconds(), 10),
	}))
	if opts.AutoCreate {
		ko = append(ko, kfake.AllowAutoTopicCreation())
	}
	if opts.MinSessionTimeout > 0 {
		ko = append(ko, kfake.GroupMinSessionTimeout(opts.MinSessionTimeout))
	}
	if opts.Sync {
		ko = append(ko, kfake.SyncWrites())
	}
	if opts.Logger != nil {
		ko = append(ko, kfake.WithLogger(logger{opts.Logger}))
	}
	if dir != "" {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("start embedded broker: make data folder: %w", err)
		}
		if b.unlock, err = lock(filepath.Join(dir, "lock")); err != nil {
			return nil, fmt.Errorf("start embedded broker: data folder %s is in use: %w", dir, err)
		}
		ko = append(ko, kfake.DataDir(dir))
	}
	if b.Cluster, err = kfake.NewCluster(ko...); err != nil {
		return nil, errors.Join(fmt.Errorf("start embedded broker at %s: %w", addr, err), b.unlock())
	}
	b.addrs = b.Cluster.ListenAddrs()
	b.Cluster.ControlKey(int16(kmsg.CreateTopics), keepForever)
	if dir != "" {
		if err := b.abortCrashed(context.Background()); err != nil {
			b.Close()
			return nil, fmt.Errorf("start embedded broker: abort what a crash left open: %w", err)
		}
	}
	if err := b.seed(opts.Topics); err != nil {
		b.Close()
		return nil, fmt.Errorf("start embedded broker: %w", err)
	}
	return b, nil
}

// keepForever gives topics that are created without a retention one that keeps
// everything: records of a backfill carry old timestamps, and here nothing
// deletes itself unless a topic asks for it. (kfake describes every topic's
// default as seven days, whatever the broker's config says.)
func keepForever(req kmsg.Request) (kmsg.Response, error, bool) {
	r, ok := req.(*kmsg.CreateTopicsRequest)
	if !ok {
		return nil, nil, false
	}
	for i := range r.Topics {
		t := &r.Topics[i]
		if slices.ContainsFunc(t.Configs, func(c kmsg.CreateTopicsRequestTopicConfig) bool { return c.Name == "retention.ms" }) {
			continue
		}
		c := kmsg.NewCreateTopicsRequestTopicConfig()
		keep := "-1"
		c.Name, c.Value = "retention.ms", &keep
		t.Configs = append(t.Configs, c)
	}
	return nil, nil, false
}

// seed creates topics that are missing.
func (b *Broker) seed(topics map[string]int) error {
	names := make([]string, 0, len(topics))
	for name := range topics {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if b.Cluster.TopicInfo(name) != nil {
			continue
		}
		if err := b.Cluster.CreateTopic(name, int32(topics[name]), map[string]string{"retention.ms": "-1"}); err != nil {
			return fmt.Errorf("create topic %q: %w", name, err)
		}
	}
	return nil
}

// Addrs are the addresses to give to clients.
func (b *Broker) Addrs() []string { return b.addrs }

// Dial reaches the broker also over the virtual network.
func (b *Broker) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	return b.dial(ctx, network, addr)
}

// Close writes what is in memory to the data folder and ends the broker.
func (b *Broker) Close() {
	b.close.Do(func() {
		close(b.end)
		b.Cluster.Close()
		_ = b.unlock() // the lock ends with the process anyway
	})
}

// loopbackPort gives the port of an address that only this machine reaches.
func loopbackPort(addr string) (int, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return 0, fmt.Errorf("address %q: %w", addr, err)
	}
	// The broker listens on 127.0.0.1; another loopback address would be a
	// promise not kept.
	if host != "localhost" && host != "127.0.0.1" {
		return 0, fmt.Errorf("address %q is not 127.0.0.1 or localhost: the embedded broker has no authentication and serves this machine only", addr)
	}
	n, err := strconv.Atoi(port)
	if err != nil || n < 0 || n > 65535 {
		return 0, fmt.Errorf("address %q: no port", addr)
	}
	return n, nil
}

// logger hands the broker's warnings and errors to slog.
type logger struct{ l *slog.Logger }

func (l logger) Logf(level kfake.LogLevel, format string, args ...any) {
	msg := func() string { return "embedded broker: " + strings.TrimSpace(fmt.Sprintf(format, args...)) }
	switch level {
	case kfake.LogLevelError:
		l.l.Error(msg())
	case kfake.LogLevelWarn:
		l.l.Warn(msg())
	}
}
