package access

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// Where the config names no keys, the identity provider says itself where they
// are (OpenID Connect Discovery 1.0, section 4): at its issuer's address, under
// a name that is the same everywhere. Of what it says only jwks_uri is taken: the
// algorithms are the config's, never the provider's.

// discovered is how long an answer is good. Providers move their keys within the
// address; where they do not answer there, it is asked for again.
const discovered = time.Hour

const wellKnown = "/.well-known/openid-configuration"

// where gives the address of the keys.
func (s *keySet) where(ctx context.Context) (string, error) {
	if s.issuer == "" {
		return s.url, nil
	}
	if s.url != "" && s.now().Sub(s.found) < discovered {
		return s.url, nil
	}
	at := strings.TrimSuffix(s.issuer, "/") + wellKnown
	body, err := s.get(ctx, at, "application/json")
	if err != nil {
		return "", fmt.Errorf("find the keys of %s: %w", s.issuer, err)
	}
	var doc struct {
		Issuer string `json:"issuer"`
		JWKS   string `json:"jwks_uri"`
	}
	if err := json.Unmarshal(body, &doc); err != nil {
		return "", fmt.Errorf("find the keys of %s: read %s: %w", s.issuer, at, err)
	}
	// One provider must not speak for another (section 4.3): to the letter.
	if doc.Issuer != s.issuer {
		return "", fmt.Errorf("find the keys of %s: %s is of the issuer %q", s.issuer, at, printable(doc.Issuer))
	}
	u, err := url.Parse(doc.JWKS)
	if err != nil || u.Host == "" {
		return "", fmt.Errorf("find the keys of %s: its jwks_uri %q is no URL", s.issuer, printable(doc.JWKS))
	}
	if err := secureURL(u); err != nil {
		return "", fmt.Errorf("find the keys of %s: jwks_uri: %w", s.issuer, err)
	}
	if own, _ := url.Parse(s.issuer); u.Scheme != "https" && (own == nil || own.Scheme == "https") {
		return "", fmt.Errorf("find the keys of %s: its jwks_uri leads to this machine", s.issuer)
	}
	s.url, s.found = doc.JWKS, s.now()
	return s.url, nil
}

// checkIssuer tells what is wrong with an issuer that is asked for its keys.
func checkIssuer(issuer string) error {
	u, err := url.Parse(issuer)
	if err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return fmt.Errorf("issuer: %q is no URL that could be asked for its keys: give jwks, too", issuer)
	}
	if err := secureURL(u); err != nil {
		return fmt.Errorf("issuer: %w", err)
	}
	return nil
}
