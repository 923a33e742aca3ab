package main

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/leatstream/leat/connectors/sse"
	"github.com/leatstream/leat/connectors/sse/access"
	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/pipelines"
	"github.com/spf13/cobra"
)

// listening is where and to whom this process serves.
type listening struct {
	http, admin       string // flags; "": the config's, else the default
	publicWithoutAuth bool
}

// add gives a command the flags.
func (l *listening) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&l.http, "http", "", "address of live views and dashboards (default 127.0.0.1:8080, or a free port where that is taken)")
	cmd.Flags().StringVar(&l.admin, "admin", "", "address of metrics and health (default 127.0.0.1:9464, or a free port where that is taken)")
	cmd.Flags().BoolVar(&l.publicWithoutAuth, "public-without-auth", false, "listen beyond this machine without authentication: everybody who reaches the address sees everything")
}

// newHub makes the hub that the worker's config asks for.
func newHub(cfg pipelines.Config, m *engine.Metrics, log *slog.Logger, more ...func(*sse.Options)) (*sse.Hub, *access.Gate, error) {
	gate, err := access.New(cfg.Serve.Access, access.Options{Log: log, Refused: func(reason string) { m.Rejected("", reason) }})
	if err != nil {
		return nil, nil, coded{exitInvalid, fmt.Errorf("serve: %w", err)}
	}
	o := sse.Options{
		Log: log, Metrics: m, Hosts: cfg.Hosts, Gate: gate, Compile: pipelines.CompileFilter,
		FrameAncestors: cfg.Serve.FrameAncestors, MaxConnections: bound(cfg.Serve.Connections), MaxReplays: bound(cfg.Serve.Replays),
		PresenceNames: cfg.Serve.PresenceNames,
	}
	for _, f := range more {
		f(&o)
	}
	return sse.NewHub(o), gate, nil
}

// bound is a limit as the hub has it: 0 is its default there, and no word says
// that there is none.
func bound(limit int) int {
	if limit < 0 {
		return math.MaxInt
	}
	return limit
}

// checkRows compiles the row filter of a view, so that one that is wrong shows
// at the start and not as a view without rows.
func checkRows(gate *access.Gate, v engine.ViewSpec) error {
	where := gate.Rows(v.Pipeline + "/" + v.Sink)
	if where == "" {
		return nil
	}
	if _, err := pipelines.CompileFilter(v, where, map[string]any{}); err != nil {
		return coded{exitInvalid, fmt.Errorf("serve.auth.views: rows: %s: of view %s/%s: %w", where, v.Pipeline, v.Sink, err)}
	}
	return nil
}

// openLive opens the listener of views and pages and makes its server. An
// address beyond this machine needs authentication, or a word that says that
// everybody may look.
func openLive(cfg pipelines.Config, on listening, hub *sse.Hub, log *slog.Logger) (*http.Server, net.Listener, error) {
	if err := sse.CheckMiddleware(hub.Handler()); err != nil {
		return nil, nil, err
	}
	l, err := listenOn(cmp.Or(on.http, cfg.HTTP), defaultHTTP, "http")
	if err != nil {
		return nil, nil, err
	}
	s := cfg.Serve
	open := s.Access.Auth == nil
	if host, _, _ := net.SplitHostPort(l.Addr().String()); open && !access.Loopback(host) {
		if !s.PublicWithoutAuth && !on.publicWithoutAuth {
			l.Close()
			return nil, nil, coded{exitInvalid, fmt.Errorf("listen on %s: everybody who reaches this address would see everything: "+
				"give serve.auth in leat.yaml (docs/how-to/access.md), or say public_without_auth: true there or --public-without-auth", l.Addr())}
		}
		log.Warn("everybody who reaches this address sees all views", "address", l.Addr().String())
	}
	server := &http.Server{Handler: hub.Handler(), ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug)}
	if s.H2C {
		server.Protocols = new(http.Protocols)
		server.Protocols.SetHTTP1(true)
		server.Protocols.SetHTTP2(true)
		server.Protocols.SetUnencryptedHTTP2(true)
	}
	scheme := "http"
	if s.CertFile != "" {
		cert, err := openCertificate(s.CertFile, s.KeyFile, log)
		if err != nil {
			l.Close()
			return nil, nil, coded{exitEnvironment, err}
		}
		server.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: cert.get}
		scheme = "https"
	}
	fmt.Fprintf(os.Stderr, "leat: dashboards on %s://%s/\n", scheme, l.Addr())
	return server, l, nil
}

// serveOn serves by TLS where the server has a certificate.
func serveOn(s *http.Server, l net.Listener) error {
	if s.TLSConfig != nil {
		return s.ServeTLS(l, "", "")
	}
	return s.Serve(l)
}

// certificate is a pair of files that is read again when they change: at a
// handshake, and looked at no more than each 10 s.
type certificate struct {
	certFile, keyFile string
	log               *slog.Logger

	mu      sync.Mutex
	pair    *tls.Certificate
	stamp   string // of both files, as pair was read
	checked time.Time
}

const lookAtFiles = 10 * time.Second

func openCertificate(certFile, keyFile string, log *slog.Logger) (*certificate, error) {
	c := &certificate{certFile: certFile, keyFile: keyFile, log: log}
	if err := c.read(); err != nil {
		return nil, err
	}
	c.checked = time.Now()
	return c, nil
}

// read loads the pair where the files have changed; mu is held, or not needed
// yet. The stamp is taken first: files that change meanwhile are read again.
func (c *certificate) read() error {
	stamp := ""
	for _, file := range []string{c.certFile, c.keyFile} {
		info, err := os.Stat(file)
		if err != nil {
			return fmt.Errorf("read the certificate: %w", err)
		}
		stamp += fmt.Sprint(info.ModTime().UnixNano(), "/", info.Size(), " ")
	}
	if stamp == c.stamp {
		return nil
	}
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return fmt.Errorf("read the certificate %s with %s: %w", c.certFile, c.keyFile, err)
	}
	if c.pair != nil {
		c.log.Info("the certificate was read again", "file", c.certFile, "until", pair.Leaf.NotAfter)
	}
	c.pair, c.stamp = &pair, stamp
	return nil
}

// get gives the certificate to a handshake. One that cannot be read, as while
// one file of the two is replaced, leaves the old one in use.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); now.Sub(c.checked) >= lookAtFiles {
		c.checked = now
		if err := c.read(); err != nil {
			c.log.Warn("the old certificate stays in use", "err", err)
		}
	}
	if c.pair == nil {
		return nil, errors.New("there is no certificate")
	}
	return c.pair, nil
}
