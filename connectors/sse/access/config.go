package access

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Config is who may look, as `serve:` in leat.yaml says it.
type Config struct {
	// Auth says who people are and what they may see; nil: anybody may see all.
	Auth *Auth
	// CORS are the origins, beside our own, whose pages may ask: exact, as a
	// browser writes them ("https://portal.example.org").
	CORS []string
	// TrustedProxies are the networks of proxies whose X-Forwarded-For and
	// X-Forwarded-Proto are believed.
	TrustedProxies []string
	// Limits are how much one may ask.
	Limits Limits
}

// Auth is where there are names.
type Auth struct {
	JWT       *JWT    // tokens of an identity provider; nil: none
	Tokens    []Token // tokens of our own
	Session   Session
	Ticket    time.Duration // how long a ticket is good; default 30s
	Claims    []string      // claims kept of a token; nil: all that are not about the token itself
	Views     []View        // first match decides; nil: who is signed in sees all
	Operators []string      // who may see the operators' page; as View.Readers
}

// JWT is an identity provider's tokens.
type JWT struct {
	JWKS       string   // URL of its keys; "": the issuer says it
	Issuer     string   // what iss must be
	Audience   []string // one of these must be in aud
	Algorithms []string // default: asymmetric ones, see DefaultAlgorithms
	Leeway     time.Duration
	Name       string // the claim that names people; default sub
}

// Token is a bearer token of our own, known by its hash.
type Token struct {
	Name    string
	SHA256  string // of the token, in hex
	Claims  map[string]any
	Expires time.Time // zero: never
}

// Session is how the cookie is kept.
type Session struct {
	// Keys are secrets of at least 32 characters: the first seals, all open.
	// None: one is made at each start, and sessions end with the process.
	Keys     []string
	Lifetime time.Duration // default 12h; never beyond the token's own
	// Secure is always, never or auto: under TLS, here or at a trusted proxy.
	Secure string
}

// View is who may read the views that Match names.
type View struct {
	// Match is a glob over "pipeline/sink"; * alone is all.
	Match string
	// Readers are names, "claim=value", "*" for all who are signed in, and
	// "anonymous" for everybody; none: all who are signed in.
	Readers []string
	// Rows is an expression over the view's columns and claims; "" is all.
	Rows string
}

// Limits bound what one may ask. Zero is the default, below zero is no limit.
type Limits struct {
	Requests        float64 // per second and signed-in name; default 100
	Burst           int     // above it at once; default 400
	Streams         int     // live streams of one name; default 100
	AddressRequests float64 // per second and address, loopback excepted; default 200
	AddressBurst    int     // default 1000
	AddressStreams  int     // live streams of one address, loopback excepted; default 1000
}

// DefaultAlgorithms are those whose signatures are believed where the config
// names none.
var DefaultAlgorithms = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}

// Check finds what is wrong in a config: an error that New would give, too.
func (c Config) Check() error {
	for _, o := range c.CORS {
		if err := checkOrigin(o); err != nil {
			return fmt.Errorf("cors: %w", err)
		}
	}
	if _, err := networks(c.TrustedProxies); err != nil {
		return fmt.Errorf("trusted_proxies: %w", err)
	}
	if c.Auth == nil {
		return nil
	}
	return c.Auth.check()
}

func (a *Auth) check() error {
	if a.JWT == nil && len(a.Tokens) == 0 {
		open := slices.ContainsFunc(a.Views, func(v View) bool { return slices.Contains(v.Readers, anonymous) })
		if !open {
			return errors.New("auth: nobody could sign in: it needs jwt or tokens, or a view whose readers are [anonymous]")
		}
	}
	if a.JWT != nil {
		if err := a.JWT.check(); err != nil {
			return fmt.Errorf("auth.jwt: %w", err)
		}
	}
	names := map[string]bool{}
	for i, t := range a.Tokens {
		sum, err := hex.DecodeString(t.SHA256)
		switch {
		case t.Name == "":
			return fmt.Errorf("auth.tokens[%d]: it needs a name", i)
		case t.Name == anonymous || t.Name == everyone || strings.Contains(t.Name, "="):
			return fmt.Errorf("auth.tokens[%d]: %q cannot be a name: readers mean something else by it", i, t.Name)
		case names[t.Name]:
			return fmt.Errorf("auth.tokens[%d]: the name %q is given twice", i, t.Name)
		case err != nil || len(sum) != 32:
			return fmt.Errorf("auth.tokens[%d]: sha256 of %q is not 64 hexadecimal digits: printf %%s \"$TOKEN\" | sha256sum", i, t.Name)
		}
		names[t.Name] = true
	}
	for i, k := range a.Session.Keys {
		if len(k) < 32 {
			return fmt.Errorf("auth.session.keys[%d]: at least 32 characters (openssl rand -base64 32), not %d", i, len(k))
		}
	}
	if !slices.Contains([]string{"", "auto", "always", "never"}, a.Session.Secure) {
		return fmt.Errorf("auth.session.secure: auto, always or never, not %q", a.Session.Secure)
	}
	if a.Session.Lifetime < 0 || a.Ticket < 0 {
		return errors.New("auth: a lifetime cannot be negative")
	}
	if a.Ticket > 5*time.Minute {
		return errors.New("auth.ticket_lifetime: at most 5m: a ticket stands in URLs, which are logged")
	}
	for i, v := range a.Views {
		if err := checkGlob(v.Match); err != nil {
			return fmt.Errorf("auth.views[%d]: %w", i, err)
		}
		for _, r := range v.Readers {
			if _, err := parseReader(r); err != nil {
				return fmt.Errorf("auth.views[%d]: readers: %w", i, err)
			}
		}
	}
	for _, r := range a.Operators {
		if _, err := parseReader(r); err != nil {
			return fmt.Errorf("auth.operators: %w", err)
		}
	}
	return nil
}

func (j *JWT) check() error {
	if j.Issuer == "" {
		return errors.New("issuer: it must be given: the keys of a provider may sign for several")
	}
	if j.JWKS == "" {
		if err := checkIssuer(j.Issuer); err != nil {
			return err
		}
	} else if u, err := url.Parse(j.JWKS); err != nil || u.Host == "" {
		return fmt.Errorf("jwks: %q is no URL", j.JWKS)
	} else if err := secureURL(u); err != nil {
		return fmt.Errorf("jwks: %w", err)
	}
	if len(j.Audience) == 0 || slices.Contains(j.Audience, "") {
		return errors.New("audience: it must be given: else a token that was made for another service would open this one")
	}
	for _, a := range j.Algorithms {
		if !slices.Contains(DefaultAlgorithms, a) {
			return fmt.Errorf("algorithms: %q is not one of %s (none and HS* never are: whoever can check such a signature can make it)", a, strings.Join(DefaultAlgorithms, ", "))
		}
	}
	if j.Leeway < 0 || j.Leeway > 5*time.Minute {
		return fmt.Errorf("leeway: 0 to 5m, not %s", j.Leeway)
	}
	return nil
}

// secureURL refuses to fetch keys in clear, except from this machine.
func secureURL(u *url.URL) error {
	if u.Scheme == "https" || u.Scheme == "http" && Loopback(u.Hostname()) {
		return nil
	}
	return fmt.Errorf("%s: keys are fetched by https, as whoever changes them on the way signs in as anybody", u.Redacted())
}

// Loopback tells whether a host is this machine by name or address.
func Loopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

func checkOrigin(o string) error {
	u, err := url.Parse(o)
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") || u.String() != u.Scheme+"://"+u.Host || strings.ToLower(o) != o || strings.Contains(o, "*") {
		return fmt.Errorf("%q is no origin: write it exactly as a browser does, as https://portal.example.org (lower case, no path, no pattern)", o)
	}
	return nil
}

// networks parses "10.0.0.0/8" and "10.1.2.3".
func networks(texts []string) ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, s := range texts {
		if p, err := netip.ParsePrefix(s); err == nil {
			out = append(out, p.Masked())
		} else if a, err := netip.ParseAddr(s); err == nil {
			out = append(out, netip.PrefixFrom(a, a.BitLen()))
		} else {
			return nil, fmt.Errorf("%q is neither an address nor a network as 10.0.0.0/8", s)
		}
	}
	return out, nil
}
