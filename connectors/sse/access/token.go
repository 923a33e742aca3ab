package access

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/leatstream/leat/connectors/sse"
)

// maxToken bounds a bearer token, in bytes; MaxHeaderBytes bounds it anyway.
const maxToken = 8 << 10

// tokens tells whose a bearer token is.
type tokens struct {
	static []static
	jwt    *JWT
	algs   []jose.SignatureAlgorithm
	keys   *keySet
	claims []string
	now    func() time.Time
}

// static is a token of our own.
type static struct {
	hash   [sha256.Size]byte
	viewer sse.Viewer
}

// wrong is a credential that does not hold; its text is for whoever sent it.
type wrong string

func (w wrong) Error() string { return string(w) }

func newTokens(a *Auth, keys *keySet, now func() time.Time) (*tokens, error) {
	t := &tokens{jwt: a.JWT, keys: keys, claims: a.Claims, now: now}
	for _, c := range a.Tokens {
		s := static{viewer: sse.Viewer{Name: c.Name, Claims: map[string]any{}, Expires: c.Expires}}
		sum, err := hex.DecodeString(c.SHA256)
		if err != nil || copy(s.hash[:], sum) != sha256.Size {
			return nil, fmt.Errorf("token %q: its sha256 is not 64 hexadecimal digits", c.Name)
		}
		for k, v := range c.Claims {
			s.viewer.Claims[k] = v
		}
		t.static = append(t.static, s)
	}
	if a.JWT != nil {
		algs := a.JWT.Algorithms
		if len(algs) == 0 {
			algs = DefaultAlgorithms
		}
		for _, name := range algs {
			t.algs = append(t.algs, jose.SignatureAlgorithm(name))
		}
	}
	return t, nil
}

// viewer tells whose a token is. The error is a wrong where the token is, and
// another one where we cannot know.
func (t *tokens) viewer(ctx context.Context, token string) (*sse.Viewer, error) {
	if token == "" || len(token) > maxToken {
		return nil, wrong("the token is empty or too long")
	}
	if v := t.own(token); v != nil {
		if !v.Expires.IsZero() && !t.now().Before(v.Expires) {
			return nil, wrong("the token has expired")
		}
		return v, nil
	}
	if t.jwt == nil {
		return nil, wrong("the token is not known here")
	}
	return t.signed(ctx, token)
}

// own looks a token up by its hash: all of them, in constant time.
func (t *tokens) own(token string) *sse.Viewer {
	hash := sha256.Sum256([]byte(token))
	var found *sse.Viewer
	for i := range t.static {
		if subtle.ConstantTimeCompare(hash[:], t.static[i].hash[:]) == 1 {
			v := t.static[i].viewer
			found = &v
		}
	}
	return found
}

// signed checks a JWT: signature, issuer, audience, times.
func (t *tokens) signed(ctx context.Context, token string) (*sse.Viewer, error) {
	if strings.Count(token, ".") != 2 {
		return nil, wrong("the token is not known here")
	}
	sig, err := jose.ParseSignedCompact(token, t.algs)
	var alg *jose.ErrUnexpectedSignatureAlgorithm
	switch {
	case errors.As(err, &alg):
		return nil, wrong(fmt.Sprintf("tokens signed by %q are not taken", printable(string(alg.Got))))
	case err != nil || len(sig.Signatures) != 1:
		return nil, wrong("the token is no JWT")
	}
	kid := sig.Signatures[0].Protected.KeyID
	keys, err := t.keys.find(ctx, kid)
	if err != nil {
		return nil, err
	}
	if len(keys) == 0 {
		return nil, wrong("the token is signed by a key that its issuer does not publish")
	}
	payload, ok := verify(sig, keys)
	if !ok {
		return nil, wrong("the token's signature does not hold")
	}
	claims, err := ParseClaims(payload)
	if err != nil {
		return nil, wrong("the token's claims are no JSON object")
	}
	return t.check(claims)
}

func verify(sig *jose.JSONWebSignature, keys []jose.JSONWebKey) ([]byte, bool) {
	alg := sig.Signatures[0].Protected.Algorithm
	for _, k := range keys {
		if k.Algorithm != "" && k.Algorithm != alg {
			continue
		}
		if payload, err := sig.Verify(k.Key); err == nil {
			return payload, true
		}
	}
	return nil, false
}

// check holds claims against what we ask of them (RFC 7519, section 4.1; RFC
// 8725, 3.8 and 3.9).
func (t *tokens) check(claims map[string]any) (*sse.Viewer, error) {
	now := t.now()
	if iss, _ := claims["iss"].(string); iss != t.jwt.Issuer {
		return nil, wrong("the token is of an issuer that is not trusted here")
	}
	if !slices.ContainsFunc(t.jwt.Audience, func(aud string) bool { return holds(claims["aud"], aud) }) {
		return nil, wrong("the token was made for another audience")
	}
	exp, ok := instant(claims["exp"])
	if !ok {
		return nil, wrong("the token has no exp")
	}
	if !now.Before(exp.Add(t.jwt.Leeway)) {
		return nil, wrong("the token has expired")
	}
	if _, given := claims["nbf"]; given {
		nbf, ok := instant(claims["nbf"])
		if !ok || now.Add(t.jwt.Leeway).Before(nbf) {
			return nil, wrong("the token is not good yet")
		}
	}
	by := t.jwt.Name
	if by == "" {
		by = "sub"
	}
	name, _ := claimOf(claims, by).(string)
	if name == "" {
		return nil, wrong(fmt.Sprintf("the token has no %s", by))
	}
	return &sse.Viewer{Name: name, Claims: keep(claims, t.claims), Expires: exp.Add(t.jwt.Leeway)}, nil
}

// instant reads a NumericDate: seconds, perhaps with a fraction.
func instant(v any) (time.Time, bool) {
	switch n := v.(type) {
	case int64:
		if n > 0 && n < 1<<40 {
			return time.Unix(n, 0), true
		}
	case float64:
		if n > 0 && n < 1<<40 {
			sec, frac := math.Modf(n)
			return time.Unix(int64(sec), int64(frac*1e9)), true
		}
	}
	return time.Time{}, false
}

// printable makes a text from a stranger fit for a message.
func printable(s string) string {
	if len(s) > 40 {
		s = s[:40]
	}
	q := strconv.QuoteToASCII(s)
	return q[1 : len(q)-1]
}
