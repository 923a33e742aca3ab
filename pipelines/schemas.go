package pipelines

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/leatstream/leat/connectors/codec"
	"github.com/leatstream/leat/connectors/kafka"
	"github.com/leatstream/leat/connectors/registry"
)

// LoadOptions are what Load needs beside the files.
type LoadOptions struct {
	// Env gives the variables for ${VAR}; nil: none are set.
	Env func(string) (string, bool)
	// Schemas opens the schema registry. It is called at most once, and only
	// when a pipeline needs a schema; it may give nil: there is none. Nil: the
	// one that LEAT_SCHEMA_REGISTRY names, if it is set.
	Schemas func() (registry.Registry, error)
	// Run says that the pipelines will work on real topics: the registry goes
	// before a folder schemas/, and Build registers the schemas of sinks. Else
	// the folder goes first, and what is registered is forgotten.
	Run bool
}

// SchemaRegistry is what leat.yaml says of a schema registry.
type SchemaRegistry struct {
	URL            string // may be several of one registry, with commas; "": none
	User, Password string
	Token          string
	TLS            kafka.TLS
}

// urlVariable comes before the url of leat.yaml.
const urlVariable = "LEAT_SCHEMA_REGISTRY"

// Open makes a client of the registry, nil where there is none. env is asked
// for LEAT_SCHEMA_REGISTRY.
func (s SchemaRegistry) Open(env func(string) (string, bool)) (registry.Registry, error) {
	if url, ok := env(urlVariable); ok && url != "" {
		s.URL = url
	}
	if s.URL == "" {
		return nil, nil
	}
	c := registry.Config{User: s.User, Password: s.Password, Token: s.Token}
	for url := range strings.SplitSeq(s.URL, ",") {
		c.URLs = append(c.URLs, strings.TrimSpace(url))
	}
	if s.TLS.Enabled {
		var err error
		if c.TLS, err = tlsConfig(s.TLS); err != nil {
			return nil, fmt.Errorf("open schema registry: %w", err)
		}
	}
	client, err := registry.Open(c)
	if err != nil {
		return nil, err
	}
	return client, nil
}

func tlsConfig(t kafka.TLS) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName}
	if t.CAFile != "" {
		pem, err := os.ReadFile(t.CAFile)
		if err != nil {
			return nil, fmt.Errorf("read tls ca: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("read tls ca: no certificate in %s", t.CAFile)
		}
	}
	if t.CertFile != "" {
		cert, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("read tls certificate: %w", err)
		}
		c.Certificates = []tls.Certificate{cert}
	}
	return c, nil
}

// schemaFinder finds where the schemas of a file's pipelines are.
type schemaFinder struct {
	options LoadOptions
	opened  bool
	remote  registry.Registry
	failed  error
	places  map[string]*schemaPlace // by the folder of a pipeline's file
}

// schemaPlace is a registry, or why there is none.
type schemaPlace struct {
	registry registry.Registry // nil: none
	err      error
	folder   bool // files: what is registered is forgotten
}

// of gives the registry of pipelines in a file.
func (f *schemaFinder) of(file string, env func(string) (string, bool)) *schemaPlace {
	dir := filepath.Join(filepath.Dir(file), "schemas")
	if p := f.places[dir]; p != nil {
		return p
	}
	if f.places == nil {
		f.places = map[string]*schemaPlace{}
	}
	p := &schemaPlace{}
	f.places[dir] = p
	info, err := os.Stat(dir)
	there := err == nil && info.IsDir()
	if f.options.Run || !there {
		p.registry, p.err = f.open(env)
	}
	if there && p.registry == nil && p.err == nil {
		p.folder = true
		p.registry, p.err = openFolder(dir)
	}
	if p.registry != nil && !f.options.Run {
		p.registry = &drySchemas{Registry: p.registry}
	}
	return p
}

func openFolder(dir string) (registry.Registry, error) {
	folder, err := registry.OpenFolder(os.DirFS(dir))
	if err != nil {
		return nil, err
	}
	return folder, nil
}

func (f *schemaFinder) open(env func(string) (string, bool)) (registry.Registry, error) {
	if !f.opened {
		f.opened = true
		open := f.options.Schemas
		if open == nil {
			open = func() (registry.Registry, error) { return SchemaRegistry{}.Open(env) }
		}
		f.remote, f.failed = open()
	}
	return f.remote, f.failed
}

// registry gives the registry of a pipeline, or says at n that there is none.
func (l *loader) registry(n *node, what string) *schemaPlace {
	p := l.schemas.of(n.file.name, l.env)
	switch {
	case p.err != nil:
		l.fail(n, "registry", "", "%s", p.err)
	case p.registry == nil:
		l.fail(n, "registry", "set schema_registry: {url: …} in leat.yaml or "+urlVariable+", or put schemas into a folder schemas beside this file", "%s needs a schema registry, and none is set", what)
	default:
		return p
	}
	return nil
}

// drySchemas is a registry that is only read: what is registered is kept in
// memory.
type drySchemas struct {
	registry.Registry
	mu   sync.Mutex
	kept []codec.Schema
}

// firstKept is above all ids that a registry has given.
const firstKept = 1 << 30

// ByID finds what was kept, too.
func (d *drySchemas) ByID(id int) (codec.Schema, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if k := id - firstKept; k >= 0 && k < len(d.kept) {
		return d.kept[k], nil
	}
	return d.Registry.ByID(id)
}

// Register checks the schema against the subject's newest and keeps it.
func (d *drySchemas) Register(subject string, s codec.Schema) (int, error) {
	newest, err := d.Latest(subject)
	if err == nil && newest.Format == s.Format && newest.Text == s.Text {
		return newest.ID, nil
	}
	if err != nil && !errors.Is(err, codec.ErrUnknownSchema) {
		return 0, err
	}
	if err := d.Check(subject, s); err != nil {
		return 0, err
	}
	return d.keep(s), nil
}

// keep gives a schema an id of ours.
func (d *drySchemas) keep(s codec.Schema) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	for k, known := range d.kept {
		if known.Format == s.Format && known.Text == s.Text {
			return firstKept + k
		}
	}
	s.ID = firstKept + len(d.kept)
	d.kept = append(d.kept, s)
	return s.ID
}
