package webpush

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// Keys are who we are to push services: a P-256 key. A subscription is bound to
// the public half for good.
type Keys struct {
	private *ecdsa.PrivateKey
	public  []byte // uncompressed point
}

var coding = base64.RawURLEncoding

// GenerateKey makes a private key, as ParseKey reads it.
func GenerateKey() (string, error) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", fmt.Errorf("make a VAPID key: %w", err)
	}
	b, err := k.Bytes()
	if err != nil {
		return "", fmt.Errorf("make a VAPID key: %w", err)
	}
	return coding.EncodeToString(b), nil
}

// ParseKey reads a private key: 32 bytes in base64url. The error does not show it.
func ParseKey(text string) (*Keys, error) {
	b, err := coding.DecodeString(strings.TrimRight(strings.TrimSpace(text), "="))
	if err != nil || len(b) != 32 {
		return nil, errors.New("the VAPID private key is not 32 bytes in base64url: leat vapid makes one")
	}
	k, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), b)
	if err != nil {
		return nil, errors.New("the VAPID private key is no key of P-256: leat vapid makes one")
	}
	public, err := k.PublicKey.Bytes()
	if err != nil {
		return nil, fmt.Errorf("read the VAPID key: %w", err)
	}
	return &Keys{k, public}, nil
}

// Public is the public key as browsers take it: applicationServerKey.
func (k *Keys) Public() string { return coding.EncodeToString(k.public) }

// tokenLife is how long a token is good; a push service takes at most 24 h.
const tokenLife = 12 * time.Hour

// Authorization is the header for a push service: a token for its origin.
func (k *Keys) Authorization(endpoint *url.URL, subject string, now time.Time) (string, error) {
	claims, err := json.Marshal(map[string]any{"aud": endpoint.Scheme + "://" + endpoint.Host, "exp": now.Add(tokenLife).Unix(), "sub": subject})
	if err != nil {
		return "", err
	}
	text := coding.EncodeToString([]byte(`{"typ":"JWT","alg":"ES256"}`)) + "." + coding.EncodeToString(claims)
	hash := sha256.Sum256([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, k.private, hash[:])
	if err != nil {
		return "", fmt.Errorf("sign a VAPID token: %w", err)
	}
	signature := make([]byte, 64)
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	return "vapid t=" + text + "." + coding.EncodeToString(signature) + ", k=" + k.Public(), nil
}
