package access

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// How keys are fetched. A provider that rotates its keys publishes the new one
// well before it signs; a token with an unknown key id makes us look again at
// once, but not more often than keysAtMost: else anybody could make us ask.
const (
	keysFresh   = 15 * time.Minute // asked again after
	keysAtMost  = 30 * time.Second // never asked more often
	keysStale   = 24 * time.Hour   // not used longer than this without an answer
	keysTimeout = 5 * time.Second
	keysMax     = 1 << 20 // bytes
)

// keySet is an identity provider's public keys, cached.
type keySet struct {
	issuer string // who is asked where the keys are; "": url says it
	client *http.Client
	now    func() time.Time

	url   string    // where they are; as discovered, used by one fetch at a time
	found time.Time // when url was discovered

	mu     sync.Mutex
	keys   []jose.JSONWebKey
	got    time.Time     // when keys was read
	asked  time.Time     // when it was last tried
	failed error         // of the last try
	flight chan struct{} // closed when the fetch under way has ended; nil: none
}

// newKeySet gives the keys at a URL or, where there is none, those that the
// issuer names.
func newKeySet(url, issuer string, client *http.Client, now func() time.Time) *keySet {
	if url != "" {
		issuer = ""
	}
	if client == nil {
		client = &http.Client{Timeout: keysTimeout, CheckRedirect: func(r *http.Request, via []*http.Request) error {
			if len(via) > 3 {
				return errors.New("redirected too often")
			}
			return secureURL(r.URL)
		}}
	}
	return &keySet{url: url, issuer: issuer, client: client, now: now}
}

// errNoKeys: nobody's token can be checked now.
var errNoKeys = errors.New("the keys of the identity provider cannot be read")

// find gives the keys that a token with this key id may be signed by; without
// an id all of them.
func (s *keySet) find(ctx context.Context, kid string) ([]jose.JSONWebKey, error) {
	keys, fresh, _ := s.cached(kid)
	if len(keys) > 0 && fresh {
		return keys, nil
	}
	if wait := s.fetch(ctx); wait != nil {
		if len(keys) > 0 {
			return keys, nil // somebody else looks; ours are good enough
		}
		select {
		case <-wait:
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", errNoKeys, ctx.Err())
		}
	}
	keys, _, err := s.cached(kid)
	return keys, err
}

// cached gives the keys we have for an id; fresh is false where it is time to
// look again.
func (s *keySet) cached(kid string) (keys []jose.JSONWebKey, fresh bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	age := s.now().Sub(s.got)
	if s.got.IsZero() || age >= keysStale {
		err = errNoKeys
		if s.failed != nil {
			err = fmt.Errorf("%w: %w", errNoKeys, s.failed)
		}
		return nil, false, err
	}
	for _, k := range s.keys {
		if kid == "" || k.KeyID == kid {
			keys = append(keys, k)
		}
	}
	return keys, age < keysFresh, nil
}

// fetch reads the keys, unless it was tried a moment ago. Where somebody else
// is reading them it gives what is closed when they have.
func (s *keySet) fetch(ctx context.Context) (wait <-chan struct{}) {
	s.mu.Lock()
	if s.flight != nil {
		defer s.mu.Unlock()
		return s.flight
	}
	if !s.asked.IsZero() && s.now().Sub(s.asked) < keysAtMost {
		s.mu.Unlock()
		return nil
	}
	s.asked = s.now()
	done := make(chan struct{})
	s.flight = done
	s.mu.Unlock()

	// Others wait for this: the first asker's going away must not end it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keysTimeout)
	defer cancel()
	keys, err := s.read(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flight, s.failed = nil, err
	if err == nil {
		s.keys, s.got = keys, s.now()
	}
	close(done)
	return nil
}

func (s *keySet) read(ctx context.Context) ([]jose.JSONWebKey, error) {
	at, err := s.where(ctx)
	if err != nil {
		return nil, err
	}
	body, err := s.get(ctx, at, "application/jwk-set+json, application/json")
	if err == nil {
		var keys []jose.JSONWebKey
		if keys, err = parseKeys(body); err == nil {
			return keys, nil
		}
	}
	s.found = time.Time{} // perhaps they are elsewhere now
	return nil, fmt.Errorf("fetch keys: %w", err)
}

// get reads a small document.
func (s *keySet) get(ctx context.Context, at, accept string) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept", accept)
	res, err := s.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answered %s", at, res.Status)
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, keysMax+1))
	if err != nil {
		return nil, err
	}
	if len(body) > keysMax {
		return nil, fmt.Errorf("%s answered more than %d bytes", at, keysMax)
	}
	return body, nil
}

// parseKeys reads a JWK set. Keys that we would not check a signature with are
// left out: one that we do not understand must not take the others away.
func parseKeys(body []byte) ([]jose.JSONWebKey, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(body, &set); err != nil {
		return nil, fmt.Errorf("read them: %w", err)
	}
	var keys []jose.JSONWebKey
	for _, raw := range set.Keys {
		var k jose.JSONWebKey
		if k.UnmarshalJSON(raw) == nil && k.Valid() && usable(k) {
			keys = append(keys, k)
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("there is no public signing key among them (RSA of 2048 bits and more, EC or Ed25519)")
	}
	return keys, nil
}

func usable(k jose.JSONWebKey) bool {
	if k.Use != "" && k.Use != "sig" {
		return false
	}
	switch key := k.Key.(type) {
	case *rsa.PublicKey:
		return key.N.BitLen() >= 2048
	case *ecdsa.PublicKey, ed25519.PublicKey:
		return true
	}
	return false // private or symmetric: not ours to know
}
