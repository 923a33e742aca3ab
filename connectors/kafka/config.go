package kafka

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// Config says how to reach a cluster. The zero value of every field but Brokers
// is a working default.
type Config struct {
	// Brokers are host:port addresses to start from; one that answers is enough.
	Brokers []string
	// ClientID names us in the broker's logs and quotas. Default "leat".
	ClientID string

	TLS  TLS
	SASL SASL

	// Dialer replaces the network: virtual networks and severed links in tests.
	Dialer func(ctx context.Context, network, addr string) (net.Conn, error)

	// TransactionTimeout bounds one transaction, and how long readers of
	// committed data wait for a dead writer that nobody fenced. Default 10s.
	TransactionTimeout time.Duration
	// SessionTimeout is how long a silent member keeps its partitions. Default 10s.
	SessionTimeout time.Duration
	// HeartbeatInterval is how soon a member hears of a rebalance. Default a
	// twentieth of SessionTimeout.
	HeartbeatInterval time.Duration
	// RebalanceTimeout is how long a rebalance waits for a lane to end its turn.
	// Default 30s; raise it when single turns take longer.
	RebalanceTimeout time.Duration

	// FetchMaxBytes bounds one fetch of one broker, and with it the memory held
	// per broker and lane. Default 4 MiB.
	FetchMaxBytes int32
	// FetchMaxPartitionBytes bounds one partition's part of it. Default 1 MiB.
	FetchMaxPartitionBytes int32
	// FetchMaxWait is how long a broker may hold a fetch that found nothing.
	// Default 500ms.
	FetchMaxWait time.Duration

	// Linger is how long a batch waits to fill. End never waits for it, so it
	// costs no latency at commits; it only makes batches larger. Default 5ms;
	// negative: none.
	Linger time.Duration
	// Compression of what is produced: none, snappy, lz4, gzip or zstd. Default
	// snappy, which costs a fifth of lz4's time here for a tenth more bytes.
	Compression string
	// MaxBufferedRecords is how many produced records may wait for the broker
	// before Produce blocks. Default 100,000.
	MaxBufferedRecords int
	// SkipCRC leaves out the check of each fetched batch's checksum.
	SkipCRC bool

	// Logger receives the client's warnings and ours. Default: nothing is logged.
	Logger *slog.Logger
}

// TLS says whether and how the connection is encrypted.
type TLS struct {
	Enabled bool
	CAFile  string // PEM; "": the system's roots
	// CertFile and KeyFile (PEM) prove who we are, for mutual TLS.
	CertFile, KeyFile string
	// ServerName overrides the name checked in the broker's certificate.
	ServerName string
}

// SASL says who we are. Mechanism "" is no authentication.
type SASL struct {
	Mechanism string // PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512
	Username  string
	Password  string
}

// maxDecompressBytes caps one decompressed batch: a hostile batch may claim a
// gigabyte.
const maxDecompressBytes = 64 << 20

// clientRetryTimeout is how long one request is retried. Longer outages show as
// errors, which the caller backs off from.
const clientRetryTimeout = 20 * time.Second

func (c Config) withDefaults() Config {
	def := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	if c.ClientID == "" {
		c.ClientID = "leat"
	}
	def(&c.TransactionTimeout, 10*time.Second)
	def(&c.SessionTimeout, 10*time.Second)
	def(&c.HeartbeatInterval, max(c.SessionTimeout/20, 10*time.Millisecond))
	def(&c.RebalanceTimeout, 30*time.Second)
	def(&c.FetchMaxWait, 500*time.Millisecond)
	def(&c.Linger, 5*time.Millisecond)
	if c.FetchMaxBytes == 0 {
		c.FetchMaxBytes = 4 << 20
	}
	if c.FetchMaxPartitionBytes == 0 {
		c.FetchMaxPartitionBytes = 1 << 20
	}
	if c.MaxBufferedRecords == 0 {
		c.MaxBufferedRecords = 100_000
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// dialTimeout is how long one connection may take. A host that vanished without
// a word is tried anew after that; the default of 10s would be felt as that much
// more downtime when it is back.
const dialTimeout = 3 * time.Second

// backoff is the pause before the next try after so many failures in a row:
// 100ms, doubling to a second, each a fifth more or less. A second at most (the
// client's default is five), so that whoever waits for a broker is back within
// one of it; as Java's clients do (reconnect.backoff.max.ms, retry.backoff.max.ms),
// which is what brokers are used to from a fleet.
func backoff(fails int) time.Duration {
	const least, most = 100 * time.Millisecond, time.Second
	d := most
	if fails = max(fails, 1); fails < 5 {
		d = min(most, least<<(fails-1))
	}
	return time.Duration(float64(d) * (0.8 + 0.4*rand.Float64()))
}

// options are the client options that all our clients share.
func (c Config) options() ([]kgo.Opt, error) {
	if len(c.Brokers) == 0 {
		return nil, errors.New("no broker address given")
	}
	opts := []kgo.Opt{
		kgo.SeedBrokers(c.Brokers...),
		kgo.ClientID(c.ClientID),
		kgo.SoftwareNameAndVersion("leat", "1"),
		kgo.WithLogger(newLogger(c.Logger)),
		kgo.DisableClientMetrics(),
		kgo.MaxDecompressBatchBytes(maxDecompressBytes),
		kgo.BrokerMaxReadBytes(max(100<<20, 2*c.FetchMaxBytes)),
		// A retried produce waits for fresh metadata; the default of 2.5s makes
		// every leader change that slow.
		kgo.MetadataMinAge(250 * time.Millisecond),
		kgo.RetryBackoffFn(backoff),
		kgo.RequestRetries(1000), // it is the time that bounds them
		kgo.RetryTimeout(clientRetryTimeout),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.FetchMaxBytes(c.FetchMaxBytes),
		kgo.FetchMaxPartitionBytes(c.FetchMaxPartitionBytes),
		kgo.FetchMaxWait(c.FetchMaxWait),
		kgo.KeepControlRecords(), // positions pass transaction markers
		// A broker keeps 1000 fetch sessions, fewer than a fleet has lanes, and a
		// lane has too few partitions to gain from one.
		kgo.DisableFetchSessions(),
		kgo.ConsumeResetOffset(kgo.NoResetOffset()),
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.MaxBufferedRecords(c.MaxBufferedRecords),
		kgo.ProducerLinger(max(c.Linger, 0)),
	}
	codec, err := c.codec()
	if err != nil {
		return nil, err
	}
	opts = append(opts, kgo.ProducerBatchCompression(codec))
	if c.SkipCRC {
		opts = append(opts, kgo.DisableFetchCRCValidation())
	}
	if c.SASL.Mechanism != "" {
		m, err := c.sasl()
		if err != nil {
			return nil, err
		}
		opts = append(opts, kgo.SASL(m))
	}
	switch {
	case c.Dialer != nil:
		opts = append(opts, kgo.Dialer(c.Dialer))
	case c.TLS.Enabled:
		opts = append(opts, kgo.DialTimeout(dialTimeout))
		t, err := c.TLS.config()
		if err != nil {
			return nil, err
		}
		opts = append(opts, kgo.DialTLSConfig(t))
	default:
		opts = append(opts, kgo.DialTimeout(dialTimeout))
	}
	return opts, nil
}

func (c Config) codec() (kgo.CompressionCodec, error) {
	switch c.Compression {
	case "", "snappy":
		return kgo.SnappyCompression(), nil
	case "none":
		return kgo.NoCompression(), nil
	case "lz4":
		return kgo.Lz4Compression(), nil
	case "gzip":
		return kgo.GzipCompression(), nil
	case "zstd":
		return kgo.ZstdCompression(), nil
	}
	return kgo.CompressionCodec{}, fmt.Errorf("compression %q is none of none, snappy, lz4, gzip, zstd", c.Compression)
}

func (c Config) sasl() (sasl.Mechanism, error) {
	s := c.SASL
	if s.Username == "" || s.Password == "" {
		return nil, fmt.Errorf("sasl %s needs a username and a password", s.Mechanism)
	}
	switch s.Mechanism {
	case "PLAIN":
		return plain.Auth{User: s.Username, Pass: s.Password}.AsMechanism(), nil
	case "SCRAM-SHA-256":
		return scram.Auth{User: s.Username, Pass: s.Password}.AsSha256Mechanism(), nil
	case "SCRAM-SHA-512":
		return scram.Auth{User: s.Username, Pass: s.Password}.AsSha512Mechanism(), nil
	}
	return nil, fmt.Errorf("sasl mechanism %q is none of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512", s.Mechanism)
}

func (t TLS) config() (*tls.Config, error) {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName}
	if t.CAFile != "" {
		pem, err := os.ReadFile(t.CAFile)
		if err != nil {
			return nil, fmt.Errorf("read tls ca: %w", err)
		}
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("read tls ca: no certificate in %s", t.CAFile)
		}
	}
	if t.CertFile != "" || t.KeyFile != "" {
		cert, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("read tls certificate: %w", err)
		}
		cfg.Certificates = []tls.Certificate{cert}
	}
	return cfg, nil
}
