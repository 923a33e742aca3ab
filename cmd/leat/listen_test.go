package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log/slog"
	"math"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/leatstream/leat/connectors/sse"
	"github.com/leatstream/leat/connectors/sse/access"
	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/pipelines"
)

var quiet = slog.New(slog.DiscardHandler)

// tokenAuth lets in whoever has the token "test".
func tokenAuth() *access.Auth {
	return &access.Auth{Tokens: []access.Token{{Name: "ann", SHA256: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"}}}
}

// An address beyond this machine is not opened to everybody, unless that is
// said by name.
func TestPublicNeedsAuth(t *testing.T) {
	for _, c := range []struct {
		name, http string
		serve      pipelines.Serve
		flag, ok   bool
	}{
		{name: "loopback", http: "127.0.0.1:0", ok: true},
		{name: "loopback of IPv6", http: "[::1]:0", ok: true},
		{name: "all addresses", http: "0.0.0.0:0"},
		{name: "a port alone", http: ":0"},
		{name: "with auth", http: ":0", serve: pipelines.Serve{Access: access.Config{Auth: tokenAuth()}}, ok: true},
		{name: "by name in the config", http: ":0", serve: pipelines.Serve{PublicWithoutAuth: true}, ok: true},
		{name: "by name in a flag", http: ":0", flag: true, ok: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := pipelines.Config{Serve: c.serve}
			hub, _, err := newHub(cfg, engine.NewMetrics(), quiet)
			if err != nil {
				t.Fatal(err)
			}
			_, l, err := openLive(cfg, listening{http: c.http, publicWithoutAuth: c.flag}, hub, quiet)
			if err == nil {
				l.Close()
			} else if strings.Contains(err.Error(), "cannot assign requested address") || strings.Contains(err.Error(), "not supported") {
				t.Skip(err)
			}
			if c.ok != (err == nil) {
				t.Errorf("%s: %v", c.http, err)
			}
			if err != nil && exitCode(err) != exitInvalid {
				t.Errorf("exit code %d", exitCode(err))
			}
		})
	}
}

// A row filter that cannot be is an error at the start, not a view without
// rows.
func TestRowsAreChecked(t *testing.T) {
	view := engine.ViewSpec{Name: "orders/board", Pipeline: "orders", Sink: "board", Columns: []engine.ViewColumn{{Name: "region", Type: "string"}}}
	for where, ok := range map[string]bool{"": true, "region == claims.region": true, "region in claims.regions": true, "country == claims.country": false, "region ==": false, "region": false} {
		auth := tokenAuth()
		auth.Views = []access.View{{Match: "orders/*", Rows: where}}
		_, gate, err := newHub(pipelines.Config{Serve: pipelines.Serve{Access: access.Config{Auth: auth}}}, engine.NewMetrics(), quiet)
		if err != nil {
			t.Fatal(err)
		}
		if err := checkRows(gate, view); ok != (err == nil) {
			t.Errorf("rows: %s gave %v", where, err)
		}
	}
}

// TLS is served, by HTTP/2 to who can, and a renewed certificate is taken
// without a restart; a half-renewed one is not.
func TestCertificateIsReadAgain(t *testing.T) {
	dir := t.TempDir()
	cfg := pipelines.Config{Serve: pipelines.Serve{CertFile: filepath.Join(dir, "cert"), KeyFile: filepath.Join(dir, "key")}}
	writeCertificate(t, cfg.Serve, 1, true)
	hub, _, err := newHub(cfg, engine.NewMetrics(), quiet)
	if err != nil {
		t.Fatal(err)
	}
	server, l, err := openLive(cfg, listening{http: "127.0.0.1:0"}, hub, quiet)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- serveOn(server, l) }()
	defer func() { server.Close(); <-done }()
	client := &http.Client{Transport: &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	res, err := client.Get("https://" + l.Addr().String() + "/v1/views")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, res.Body)
	res.Body.Close()
	if res.StatusCode != http.StatusOK || res.ProtoMajor != 2 {
		t.Errorf("%s by %s", res.Status, res.Proto)
	}

	cert, err := openCertificate(cfg.Serve.CertFile, cfg.Serve.KeyFile, quiet)
	if err != nil {
		t.Fatal(err)
	}
	serial := func() int64 {
		t.Helper()
		cert.checked = time.Time{} // ten seconds ago
		pair, err := cert.get(nil)
		if err != nil {
			t.Fatal(err)
		}
		return pair.Leaf.SerialNumber.Int64()
	}
	if n := serial(); n != 1 {
		t.Errorf("certificate %d", n)
	}
	writeCertificate(t, cfg.Serve, 2, false)
	if n := serial(); n != 1 {
		t.Errorf("certificate %d with the key of 1", n)
	}
	writeCertificate(t, cfg.Serve, 3, true)
	if n := serial(); n != 3 {
		t.Errorf("certificate %d after it was renewed", n)
	}
	if _, err := openCertificate(filepath.Join(dir, "none"), cfg.Serve.KeyFile, quiet); err == nil {
		t.Error("a certificate that is not there was opened")
	}
}

func writeCertificate(t *testing.T, s pipelines.Serve, serial int64, key bool) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	about := &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "leat"}, NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, about, about, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	write := func(file, kind string, der []byte) {
		if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		// Files that change within a clock tick have other times here.
		at := time.Now().Add(time.Duration(serial) * time.Minute)
		if err := os.Chtimes(file, at, at); err != nil {
			t.Fatal(err)
		}
	}
	write(s.CertFile, "CERTIFICATE", der)
	if key {
		der, err := x509.MarshalECPrivateKey(private)
		if err != nil {
			t.Fatal(err)
		}
		write(s.KeyFile, "EC PRIVATE KEY", der)
	}
}

// What leat.yaml says of views is what the hub goes by.
func TestHubGoesByTheConfig(t *testing.T) {
	for text, want := range map[string]sse.Options{
		"{}": {},
		"serve: {presence_names: true, limits: {replays: 3, connections: 70}}": {PresenceNames: true, MaxReplays: 3, MaxConnections: 70},
		"serve: {limits: {replays: -1, connections: -1}}":                      {MaxReplays: math.MaxInt, MaxConnections: math.MaxInt},
	} {
		file := filepath.Join(t.TempDir(), "leat.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg, found := pipelines.LoadConfig(file, os.LookupEnv)
		if len(found) > 0 {
			t.Fatal(found)
		}
		var got sse.Options
		if _, _, err := newHub(cfg, engine.NewMetrics(), quiet, func(o *sse.Options) { got = *o }); err != nil {
			t.Fatal(err)
		}
		if got.PresenceNames != want.PresenceNames || got.MaxReplays != want.MaxReplays || got.MaxConnections != want.MaxConnections {
			t.Errorf("%s gives names %v, %d replays, %d connections", text, got.PresenceNames, got.MaxReplays, got.MaxConnections)
		}
	}
}

// The insides of the workers are on the admin address. On the public one they
// are for the operators that the config names, and for nobody where nobody
// signs in, however open the views are.
func TestWhoSeesTheInsides(t *testing.T) {
	operators := tokenAuth()
	operators.Operators = []string{"ann"}
	others := tokenAuth()
	others.Operators = []string{"ben"}
	for _, c := range []struct {
		name   string
		serve  pipelines.Serve
		signed bool
		want   int
	}{
		{name: "nobody signs in", want: 404},
		{name: "and all may look", serve: pipelines.Serve{PublicWithoutAuth: true}, want: 404},
		{name: "not signed in", serve: pipelines.Serve{Access: access.Config{Auth: operators}}, want: 401},
		{name: "no operators are named", serve: pipelines.Serve{Access: access.Config{Auth: tokenAuth()}}, signed: true, want: 403},
		{name: "others are", serve: pipelines.Serve{Access: access.Config{Auth: others}}, signed: true, want: 403},
		{name: "an operator", serve: pipelines.Serve{Access: access.Config{Auth: operators}}, signed: true, want: 200},
	} {
		m := engine.NewMetrics()
		hub, _, err := newHub(pipelines.Config{Serve: c.serve}, m, quiet, func(o *sse.Options) {
			o.Ops = func(context.Context) any { return opsStatus{Node: "inside"} }
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{"/ops", "/v1/ops"} {
			r := httptest.NewRequest(http.MethodGet, "http://localhost"+path, nil)
			if c.signed {
				r.Header.Set("Authorization", "Bearer test")
			}
			w := httptest.NewRecorder()
			hub.Handler().ServeHTTP(w, r)
			if w.Code != c.want || w.Code != 200 && strings.Contains(w.Body.String(), "inside") {
				t.Errorf("%s: %s on the public address: %d %s", c.name, path, w.Code, w.Body)
			}
			w = httptest.NewRecorder()
			adminHandler(m, func(http.ResponseWriter, *http.Request) {}, hub).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "http://localhost"+path, nil))
			if w.Code != 200 {
				t.Errorf("%s: %s on the admin address: %d", c.name, path, w.Code)
			}
		}
	}
}
