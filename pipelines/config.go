package pipelines

import (
	"fmt"
	"strings"
	"time"

	"github.com/leatstream/leat/connectors/kafka"
)

// Config is the worker's own file, leat.yaml: what differs per machine and
// never stands in a pipeline.
type Config struct {
	Brokers            []string
	Kafka              kafka.Config // TLS, SASL, compression; brokers are in Brokers
	CommitInterval     time.Duration
	TransactionTimeout time.Duration
	Memory             int64  // bytes for tables
	HTTP, Admin        string // listen addresses
	Hosts              []string
	SchemaRegistry     SchemaRegistry
	Serve              Serve
	Alerts             Alerts
}

// configKinds is leat.yaml in a table, as kinds is the language.
var configKinds = append([]*Kind{
	{Group: "worker config", Doc: "`leat.yaml`, or `--config FILE`: what differs per machine.", Keys: []Key{
		{Name: "brokers", Type: "list of host:port", Doc: "Kafka or Redpanda; `--brokers` and `LEAT_BROKERS` come first."},
		{Name: "tls", Type: "tls", Group: "tls", Doc: "Encryption to the brokers. `{}` uses the system's roots."},
		{Name: "sasl", Type: "sasl", Group: "sasl", Doc: "Who we are to the brokers."},
		{Name: "compression", Type: "none, snappy, lz4, gzip or zstd", Default: "snappy", Doc: "Of what is produced. lz4 is smaller and costs several times the CPU to make."},
		{Name: "commit_interval", Type: "duration", Default: "200ms", Doc: "The least time between commits; a lane waits ten times what ending a transaction takes, where that is longer. Shorter: less latency; longer: less work."},
		{Name: "transaction_timeout", Type: "duration", Default: "10s", Doc: "How long a transaction may be open. A dead worker that nobody fenced holds readers of committed data back for so long."},
		{Name: "memory", Type: "size", Default: "1GiB", Doc: "Memory for tables; state above it is read from disk."},
		{Name: "listen", Type: "listen", Group: "listen", Doc: "Addresses."},
		{Name: "serve", Type: "serve", Group: "serve", Doc: "How live views are served, and to whom."},
		{Name: "alerts", Type: "alerts", Group: "alerts", Doc: "How alerts are sent."},
		{Name: "schema_registry", Type: "schema_registry", Group: "schema_registry", Doc: "Where the schemas of avro and protobuf values are."},
	}},
	{Group: "schema_registry", Doc: "A Confluent-compatible schema registry.", Keys: []Key{
		{Name: "url", Type: "address", Doc: "For example `https://registry.example.org`; several addresses of one registry with commas. `LEAT_SCHEMA_REGISTRY` comes first."},
		{Name: "user", Type: "text", Doc: "For basic authentication."},
		{Name: "password", Type: "text", Doc: "`${file:/run/secrets/registry}` reads a file; never printed."},
		{Name: "token", Type: "text", Doc: "A bearer token, in place of user and password."},
		{Name: "tls", Type: "tls", Group: "tls", Doc: "`{}` uses the system's roots, as does an https url without it."},
	}},
	{Group: "tls", Doc: "Encryption to the brokers, or to the schema registry.", Keys: []Key{
		{Name: "ca_file", Type: "path", Doc: "PEM file of the authorities to trust."},
		{Name: "cert_file", Type: "path", Doc: "Our certificate, for mutual TLS."},
		{Name: "key_file", Type: "path", Doc: "Its key."},
		{Name: "server_name", Type: "host name", Doc: "Name to check in the broker's certificate."},
	}},
	{Group: "sasl", Doc: "Authentication to the brokers.", Keys: []Key{
		{Name: "mechanism", Type: "PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512", Required: true, Doc: "How we prove who we are."},
		{Name: "username", Type: "text", Required: true, Doc: "`${KAFKA_USER}` reads the environment."},
		{Name: "password", Type: "text", Required: true, Doc: "`${file:/run/secrets/kafka}` reads a file; never printed."},
	}},
	{Group: "listen", Doc: "Listen addresses.", Keys: []Key{
		{Name: "http", Type: "address", Default: "127.0.0.1:8080", Doc: "Live views and dashboards; `--http` comes first."},
		{Name: "admin", Type: "address", Default: "127.0.0.1:9464", Doc: "Metrics, health and profiles; `--admin` comes first."},
		{Name: "hosts", Type: "list of names", Default: "localhost", Doc: "Names under which dashboards may be asked for, beside localhost and addresses."},
	}},
}, append(serveKinds, alertKinds...)...)

func configKind(group string) *Kind {
	for _, k := range configKinds {
		if k.Group == group {
			return k
		}
	}
	panic("pipelines: no config kind " + group)
}

// LoadConfig reads a worker's config.
func LoadConfig(path string, env func(string) (string, bool)) (Config, Diagnostics) {
	l := newLoader(env)
	var c Config
	for i, doc := range l.read(path) {
		if i > 0 {
			l.fail(doc, "value", "", "a worker config is one document")
			break
		}
		l.config(doc, &c)
	}
	return c, l.diags.tidy()
}

func (l *loader) config(n *node, c *Config) {
	f := l.fields(n, configKind("worker config"))
	if f == nil {
		return
	}
	defer f.done()
	c.Brokers = l.texts(f.get("brokers"), "brokers")
	if v := f.get("tls"); v != nil {
		c.Kafka.TLS = l.tls(v)
	}
	if v := f.get("sasl"); v != nil {
		if s := l.fields(v, configKind("sasl")); s != nil {
			if m := s.get("mechanism"); m != nil {
				c.Kafka.SASL.Mechanism, _ = l.oneOf(m, "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
			}
			c.Kafka.SASL.Username, c.Kafka.SASL.Password = l.optional(s.get("username")), l.optional(s.get("password"))
			s.done()
		}
	}
	if v := f.get("compression"); v != nil {
		c.Kafka.Compression, _ = l.oneOf(v, "none", "snappy", "lz4", "gzip", "zstd")
	}
	if v := f.get("commit_interval"); v != nil {
		c.CommitInterval, _ = l.duration(v, time.Millisecond)
	}
	if v := f.get("transaction_timeout"); v != nil {
		c.TransactionTimeout, _ = l.duration(v, time.Second)
	}
	if v := f.get("memory"); v != nil {
		if s, ok := l.text(v); ok {
			size, err := ParseSize(s)
			if err != nil {
				l.fail(v, "value", "for example 512MiB", "%s", err)
			}
			c.Memory = size
		}
	}
	if v := f.get("listen"); v != nil {
		if a := l.fields(v, configKind("listen")); a != nil {
			c.HTTP, c.Admin = l.optional(a.get("http")), l.optional(a.get("admin"))
			c.Hosts = l.texts(a.get("hosts"), "hosts")
			a.done()
		}
	}
	if v := f.get("serve"); v != nil {
		l.serve(v, &c.Serve)
	}
	if v := f.get("alerts"); v != nil {
		l.alerts(v, &c.Alerts)
	}
	if s := l.fields(f.get("schema_registry"), configKind("schema_registry")); s != nil {
		r := &c.SchemaRegistry
		r.URL, r.Token = l.optional(s.get("url")), l.optional(s.get("token"))
		r.User, r.Password = l.optional(s.get("user")), l.optional(s.get("password"))
		if v := s.get("tls"); v != nil {
			r.TLS = l.tls(v)
		}
		s.done()
	}
}

func (l *loader) tls(n *node) kafka.TLS {
	c := kafka.TLS{Enabled: true}
	if t := l.fields(n, configKind("tls")); t != nil {
		c.CAFile, c.CertFile = l.optional(t.get("ca_file")), l.optional(t.get("cert_file"))
		c.KeyFile, c.ServerName = l.optional(t.get("key_file")), l.optional(t.get("server_name"))
		t.done()
	}
	return c
}

func (l *loader) optional(n *node) string {
	if n == nil {
		return ""
	}
	s, _ := l.text(n)
	return s
}

func (l *loader) texts(n *node, of string) []string {
	var out []string
	for _, item := range l.list(n, of) {
		if s, ok := l.text(item); ok {
			out = append(out, s)
		}
	}
	return out
}

// ConfigReference is the part of docs/reference.md on leat.yaml.
func ConfigReference() string {
	var b strings.Builder
	b.WriteString("\n# Reference of leat.yaml\n")
	for _, k := range configKinds {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n", k.Group, k.Doc)
		writeKeys(&b, k.Keys)
	}
	return b.String()
}
