package access

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/leatstream/leat/connectors/sse"
)

// sealer makes texts that only holders of the keys can open or make: AES-256
// in GCM, with a random nonce, bound to what the text is for.
//
//	base64url( nonce 12 bytes | ciphertext | tag 16 bytes )
type sealer struct {
	aeads []cipher.AEAD // the first seals, all open
}

// What a sealed text is for: one is never taken for the other.
const (
	forSession = "leat session v1"
	forTicket  = "leat ticket v1"
)

func newSealer(keys []string) (*sealer, error) {
	if len(keys) == 0 {
		random := make([]byte, 32)
		_, _ = rand.Read(random) // it never fails
		keys = []string{string(random)}
	}
	s := &sealer{}
	for _, k := range keys {
		key, err := hkdf.Key(sha256.New, []byte(k), nil, "leat access v1", 32)
		if err != nil {
			return nil, fmt.Errorf("derive the session key: %w", err)
		}
		block, err := aes.NewCipher(key)
		if err != nil {
			return nil, fmt.Errorf("make the session key: %w", err)
		}
		aead, err := cipher.NewGCM(block)
		if err != nil {
			return nil, fmt.Errorf("make the session key: %w", err)
		}
		s.aeads = append(s.aeads, aead)
	}
	return s, nil
}

func (s *sealer) seal(use string, v any) (string, error) {
	plain, err := json.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("seal: %w", err)
	}
	a := s.aeads[0]
	out := make([]byte, a.NonceSize(), a.NonceSize()+len(plain)+a.Overhead())
	_, _ = rand.Read(out)
	out = a.Seal(out, out, plain, []byte(use))
	return base64.RawURLEncoding.EncodeToString(out), nil
}

var errSeal = errors.New("it was not made here, or with a key that is no longer used")

// maxSealed bounds what is opened: a header's size.
const maxSealed = 8 << 10

func (s *sealer) open(use, text string, v any) error {
	// The decoder skips line ends.
	if len(text) > maxSealed || strings.ContainsAny(text, "\r\n") {
		return errSeal
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return errSeal
	}
	for _, a := range s.aeads {
		if len(raw) < a.NonceSize() {
			return errSeal
		}
		plain, err := a.Open(nil, raw[:a.NonceSize()], raw[a.NonceSize():], []byte(use))
		if err == nil {
			return decode(plain, v)
		}
	}
	return errSeal
}

// grant is a viewer as it is sealed.
type grant struct {
	Name    string          `json:"n"`
	Claims  json.RawMessage `json:"c,omitempty"`
	Expires int64           `json:"x,omitempty"` // of the viewer, epoch s; 0: never
	// Of tickets:
	ID    string `json:"i,omitempty"`
	Path  string `json:"p,omitempty"`
	Until int64  `json:"u,omitempty"` // epoch s
}

func grantOf(v *sse.Viewer) (grant, error) {
	g := grant{Name: v.Name}
	if !v.Expires.IsZero() {
		g.Expires = v.Expires.Unix()
	}
	var err error
	if g.Claims, err = json.Marshal(v.Claims); err != nil {
		return grant{}, fmt.Errorf("seal claims: %w", err)
	}
	return g, nil
}

func (g grant) viewer() (*sse.Viewer, error) {
	v := &sse.Viewer{Name: g.Name}
	if g.Expires != 0 {
		v.Expires = time.Unix(g.Expires, 0)
	}
	claims, err := ParseClaims(g.Claims)
	v.Claims = claims
	return v, err
}
