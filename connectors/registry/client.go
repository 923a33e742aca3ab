package registry

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/sr"

	"github.com/leatstream/leat/connectors/codec"
	"github.com/leatstream/leat/engine"
)

// Config says where a schema registry is.
type Config struct {
	URLs []string // of one registry; the next is tried where one is not there
	// User and Password are for basic authentication, Token is a bearer's; ""
	// is none. Neither is ever part of an error.
	User, Password string
	Token          string
	TLS            *tls.Config   // nil: the system's
	Timeout        time.Duration // of one call; 0: 5s
}

// Client asks a schema registry over HTTP. What it has learned of an id it
// keeps for good, and that there is no such id for a short while.
type Client struct {
	sr      *sr.Client
	timeout time.Duration
	now     func() time.Time

	mu      sync.Mutex
	byID    map[int]codec.Schema
	unknown map[int]time.Time // until when an id need not be asked for again
}

const (
	defaultTimeout = 5 * time.Second
	// unknownFor spares the registry where a topic is full of other things; a
	// schema that was registered meanwhile is found after it.
	unknownFor  = 5 * time.Second
	maxUnknown  = 10_000
	maxImported = 1000 // schemas behind one, to end in a circle too
)

// Open makes a client. It does not connect yet.
func Open(cfg Config) (*Client, error) {
	if len(cfg.URLs) == 0 {
		return nil, errors.New("open schema registry: no url")
	}
	timeout := cfg.Timeout
	if timeout <= 0 {
		timeout = defaultTimeout
	}
	opts := []sr.ClientOpt{sr.URLs(cfg.URLs...), sr.UserAgent("leat"), sr.HTTPClient(&http.Client{Timeout: timeout})}
	if cfg.User != "" {
		opts = append(opts, sr.BasicAuth(cfg.User, cfg.Password))
	}
	if cfg.Token != "" {
		opts = append(opts, sr.BearerToken(cfg.Token))
	}
	if cfg.TLS != nil {
		opts = append(opts, sr.DialTLSConfig(cfg.TLS))
	}
	client, err := sr.NewClient(opts...)
	if err != nil {
		return nil, fmt.Errorf("open schema registry: %w", err)
	}
	return &Client{sr: client, timeout: timeout, now: time.Now, byID: map[int]codec.Schema{}, unknown: map[int]time.Time{}}, nil
}

// ByID gives the schema of an id.
func (c *Client) ByID(id int) (codec.Schema, error) {
	c.mu.Lock()
	s, ok := c.byID[id]
	until, no := c.unknown[id]
	now := c.now()
	c.mu.Unlock()
	if ok {
		return s, nil
	}
	if id <= 0 || no && now.Before(until) {
		return codec.Schema{}, codec.ErrUnknownSchema
	}
	ctx, cancel := context.WithTimeout(context.Background(), c.timeout)
	defer cancel()
	found, err := c.sr.SchemaByID(ctx, id)
	if err == nil {
		s, err = c.schema(ctx, found)
	}
	err = c.reason("find a schema", err)
	s.ID = id
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case err == nil:
		c.byID[id] = s
	case errors.Is(err, codec.ErrUnknownSchema):
		if len(c.unknown) >= maxUnknown {
			clear(c.unknown)
		}
		c.unknown[id] = now.Add(unknownFor)
	}
	return s, err
}

// Latest gives a subject's newest schema, of now.
func (c *Client) Latest(subject string) (codec.Schema, error) {
	ctx, cancel := context.WithTimeout(context.Background(), c.timeout)
	defer cancel()
	found, err := c.sr.SchemaByVersion(ctx, subject, -1)
	if err != nil {
		return codec.Schema{}, c.reason(fmt.Sprintf("find the schema of subject %q", subject), err)
	}
	s, err := c.schema(ctx, found.Schema)
	s.ID, s.Subject, s.Version = found.ID, subject, found.Version
	return s, c.reason(fmt.Sprintf("find the schema of subject %q", subject), err)
}

// Check asks the registry whether the schema goes with the subject's newest.
func (c *Client) Check(subject string, s codec.Schema) error {
	ctx, cancel := context.WithTimeout(context.Background(), c.timeout)
	defer cancel()
	given, err := registered(s)
	if err != nil {
		return err
	}
	_, err = c.check(ctx, subject, given)
	return err
}

// check gives the id that a schema has in a subject already, or 0.
func (c *Client) check(ctx context.Context, subject string, s sr.Schema) (id int, err error) {
	op := fmt.Sprintf("check the schema of subject %q", subject)
	known, err := c.sr.LookupSchema(ctx, subject, s)
	if err == nil {
		return known.ID, nil
	}
	if err = c.reason(op, err); !errors.Is(err, codec.ErrUnknownSchema) {
		return 0, err
	}
	result, err := c.sr.CheckCompatibility(sr.WithParams(ctx, sr.Verbose), subject, -1, s)
	if err = c.reason(op, err); errors.Is(err, codec.ErrUnknownSchema) {
		return 0, nil // the subject's first
	}
	if err == nil && !result.Is {
		return 0, fmt.Errorf("%s: %w with its newest: %s", op, codec.ErrIncompatible, strings.Join(result.Messages, "; "))
	}
	return 0, err
}

// Register checks the schema and makes it the subject's newest.
func (c *Client) Register(subject string, s codec.Schema) (int, error) {
	ctx, cancel := context.WithTimeout(context.Background(), c.timeout)
	defer cancel()
	given, err := registered(s)
	if err != nil {
		return 0, err
	}
	id, err := c.check(ctx, subject, given)
	if err != nil || id > 0 {
		return id, err
	}
	id, err = c.sr.RegisterSchema(ctx, subject, given, -1, -1)
	return id, c.reason(fmt.Sprintf("register the schema of subject %q", subject), err)
}

// reason puts an error of the registry into our words.
func (c *Client) reason(op string, err error) error {
	if err == nil {
		return nil
	}
	var e *sr.ResponseError
	if !errors.As(err, &e) {
		return fmt.Errorf("%s: schema registry: %w", op, err)
	}
	switch {
	case slices.Contains([]int{sr.ErrSubjectNotFound.Code, sr.ErrVersionNotFound.Code, sr.ErrSchemaNotFound.Code, sr.ErrSubjectSoftDeleted.Code}, e.ErrorCode):
		return fmt.Errorf("%s: %w", op, codec.ErrUnknownSchema)
	case e.StatusCode == http.StatusConflict:
		return fmt.Errorf("%s: %w: %s", op, codec.ErrIncompatible, e.Message)
	case e.StatusCode == http.StatusUnauthorized || e.StatusCode == http.StatusForbidden:
		return engine.E(engine.Environment, op, fmt.Errorf("schema registry: no rights (HTTP %d): %w", e.StatusCode, err))
	}
	return fmt.Errorf("%s: schema registry: HTTP %d: %w", op, e.StatusCode, err)
}

// schema is a schema of the registry with all that it refers to.
func (c *Client) schema(ctx context.Context, s sr.Schema) (codec.Schema, error) {
	out := codec.Schema{Format: s.Type.String(), Text: s.Schema}
	switch s.Type {
	case sr.TypeAvro:
		out.Format = "avro"
	case sr.TypeProtobuf:
		out.Format = "protobuf"
	case sr.TypeJSON:
		out.Format = "json"
	}
	seen := map[string]bool{}
	var follow func(refs []sr.SchemaReference) error
	follow = func(refs []sr.SchemaReference) error {
		for _, r := range refs {
			if seen[r.Name] {
				continue
			}
			if seen[r.Name] = true; len(seen) > maxImported {
				return fmt.Errorf("it refers to more than %d schemas", maxImported)
			}
			found, err := c.sr.SchemaByVersion(ctx, r.Subject, r.Version)
			if err != nil {
				return err
			}
			if err := follow(found.References); err != nil {
				return err
			}
			out.Imports = append(out.Imports, codec.Import{Name: r.Name, Text: found.Schema.Schema, Subject: r.Subject, Version: r.Version})
		}
		return nil
	}
	return out, follow(s.References)
}

// registered is a schema as the registry takes it.
func registered(s codec.Schema) (sr.Schema, error) {
	out := sr.Schema{Schema: s.Text}
	switch s.Format {
	case "avro":
		out.Type = sr.TypeAvro
	case "protobuf":
		out.Type = sr.TypeProtobuf
	default:
		return out, fmt.Errorf("format %q has no schemas", s.Format)
	}
	for _, i := range s.Imports {
		if i.Subject != "" {
			out.References = append(out.References, sr.SchemaReference{Name: i.Name, Subject: i.Subject, Version: i.Version})
		}
	}
	return out, nil
}
