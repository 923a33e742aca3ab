package access

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/leatstream/leat/connectors/sse"
	"github.com/leatstream/leat/engine"
)

// Options are what a gate takes beside its config.
type Options struct {
	// Log is for what an operator should see; default slog.Default.
	Log *slog.Logger
	// Refused counts requests turned away, by reason: "credentials", "rate",
	// "streams", "origin"; default: nobody counts.
	Refused func(reason string)
	// Client fetches keys; default one that follows https only.
	Client *http.Client
	// Now is the clock; default time.Now.
	Now func() time.Time
	// Random gives numbers in [0, 1) for jitter; it must be given with Now in
	// tests only.
	Random func() float64
}

// Gate decides who may look at what: a sse.Gate.
type Gate struct {
	auth      *Auth // nil: anybody may see all
	tokens    *tokens
	sealer    *sealer
	origins   *origins
	proxies   proxies
	rules     []rule
	operators []reader
	open      bool // some view may be read by who has not signed in
	names     *limiter
	addresses *limiter
	used      *used
	opts      Options
}

// New makes a gate; the error says what is wrong in the config.
func New(c Config, o Options) (*Gate, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Refused == nil {
		o.Refused = func(string) {}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	g := &Gate{auth: c.Auth, opts: o, used: newUsed()}
	l := c.Limits
	g.names = newLimiter(l.Requests, 100, l.Burst, 400, l.Streams, 100, o.Now)
	g.addresses = newLimiter(l.AddressRequests, 200, l.AddressBurst, 1000, l.AddressStreams, 1000, o.Now)
	var err error
	if g.origins, err = newOrigins(c.CORS); err != nil {
		return nil, err
	}
	if g.proxies, err = networks(c.TrustedProxies); err != nil {
		return nil, fmt.Errorf("trusted_proxies: %w", err)
	}
	if c.Auth == nil {
		g.rules, g.open = []rule{{match: everyone, readers: []reader{{name: anonymous}}}}, true
		return g, nil
	}
	return g, g.setAuth(*c.Auth)
}

func (g *Gate) setAuth(a Auth) error {
	if a.Session.Lifetime == 0 {
		a.Session.Lifetime = 12 * time.Hour
	}
	if a.Ticket == 0 {
		a.Ticket = 30 * time.Second
	}
	g.auth = &a
	var keys *keySet
	if a.JWT != nil {
		keys = newKeySet(a.JWT.JWKS, a.JWT.Issuer, g.opts.Client, g.opts.Now)
	}
	var err error
	if g.tokens, err = newTokens(&a, keys, g.opts.Now); err != nil {
		return err
	}
	if g.sealer, err = newSealer(a.Session.Keys); err != nil {
		return err
	}
	if g.rules, err = parseRules(a.Views); err != nil {
		return err
	}
	for _, r := range g.rules {
		g.open = g.open || admits(r.readers, nil)
	}
	if len(a.Operators) > 0 {
		g.operators, err = parseReaders(a.Operators)
	}
	return err
}

// View tells whether a viewer may read a view, and which rows: the first rule
// that matches it decides.
func (g *Gate) View(v *sse.Viewer, view string) (where string, ok bool) {
	for _, r := range g.rules {
		if matches(r.match, view) {
			return r.rows, admits(r.readers, v)
		}
	}
	return "", false
}

// Rows gives the row filters, so that a worker can compile them before it
// serves.
func (g *Gate) Rows(view string) string {
	where, _ := g.View(nil, view)
	return where
}

// Enter counts a viewer's live stream in. Those of people without a name are
// counted by address only, in Wrap.
func (g *Gate) Enter(v *sse.Viewer) (leave func(), ok bool) {
	if v == nil {
		return func() {}, true
	}
	leave, ok = g.names.enter(v.Name)
	if !ok {
		g.opts.Refused("streams")
	}
	return leave, ok
}

// Wrap stands in front of everything that the hub serves. It wraps no
// ResponseWriter.
func (g *Gate) Wrap(next http.Handler) http.Handler {
	own := g.paths()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if sse.Probing(r) {
			next.ServeHTTP(w, r)
			return
		}
		if g.origins.pass(w, r) {
			return
		}
		address := addressKey(g.proxies.address(r))
		if address != "" {
			if wait, ok := g.addresses.allow(address); !ok {
				g.slow(w, r, wait)
				return
			}
		}
		switch {
		case strings.HasPrefix(r.URL.Path, "/auth/"):
			own.ServeHTTP(w, r)
		case free(r.URL.Path):
			next.ServeHTTP(w, r)
		default:
			g.serve(w, r, next, address)
		}
	})
}

// free are the page's own files: anybody may read them in the repository.
func free(path string) bool {
	switch path {
	case "/favicon.ico", "/sw.js", "/manifest.webmanifest":
		return true
	}
	return strings.HasPrefix(path, "/assets/")
}

// serve finds out who asks, and lets them ask what they may.
func (g *Gate) serve(w http.ResponseWriter, r *http.Request, next http.Handler, address string) {
	v, err := g.viewer(r)
	if err != nil {
		g.unknown(w, r, err)
		return
	}
	if v != nil {
		if wait, ok := g.names.allow(v.Name); !ok {
			g.slow(w, r, wait)
			return
		}
	}
	if !g.may(w, r, v) {
		return
	}
	if strings.HasPrefix(r.URL.Path, "/live/") && address != "" {
		leave, ok := g.addresses.enter(address)
		if !ok {
			g.opts.Refused("streams")
			g.later(w, r, time.Minute, "too many live streams at your address")
			return
		}
		defer leave()
	}
	ctx := r.Context()
	if v != nil {
		ctx = sse.WithViewer(ctx, v)
		if !v.Expires.IsZero() {
			// Whatever this request does ends with what let it in. Streams say
			// goodbye by themselves; this is for all that do not.
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeoutCause(ctx, v.Expires.Sub(g.opts.Now())+goodbye, errExpired)
			defer cancel()
		}
	}
	next.ServeHTTP(w, r.WithContext(ctx))
}

// goodbye is how long a stream may take to tell its client why it ends.
const goodbye = 5 * time.Second

var errExpired = errors.New("the token that let the request in has expired")

// viewer finds who asks: a header, a ticket, a cookie, in this order. nil is
// nobody; an error says what is wrong with what was given.
func (g *Gate) viewer(r *http.Request) (*sse.Viewer, error) {
	if g.auth == nil {
		return nil, nil
	}
	token, given, err := bearer(r.Header)
	switch {
	case err != nil:
		return nil, err
	case given:
		return g.tokens.viewer(r.Context(), token)
	case r.URL.Query().Has("ticket"):
		return g.redeem(r.URL.Query().Get("ticket"), r.URL.Path)
	}
	v, err := g.session(r)
	if err != nil && g.open {
		return nil, nil // an old cookie is no credential that somebody meant to give
	}
	return v, err
}

// bearer takes the token out of the Authorization header.
func bearer(h http.Header) (token string, given bool, err error) {
	lines := h.Values("Authorization")
	if len(lines) == 0 {
		return "", false, nil
	}
	if len(lines) > 1 {
		return "", true, wrong("there is more than one Authorization header")
	}
	scheme, token, _ := strings.Cut(lines[0], " ")
	token = strings.TrimSpace(token)
	if !strings.EqualFold(scheme, "Bearer") {
		return "", true, wrong("the Authorization header must be: Bearer TOKEN")
	}
	if token == "" || len(token) > maxToken || strings.ContainsAny(token, " \t,") {
		return "", true, wrong("the Authorization header holds no token")
	}
	return token, true, nil
}

// may answers for a viewer who may not ask this.
func (g *Gate) may(w http.ResponseWriter, r *http.Request, v *sse.Viewer) bool {
	if g.auth != nil && operators(r.URL.Path) {
		switch {
		case g.Operate(v):
			return true
		case v == nil:
			g.unknown(w, r, errNobody)
		default:
			refuse(w, http.StatusForbidden, fmt.Sprintf("%q is none of the operators that the server's config names", printable(v.Name)))
		}
		return false
	}
	if v != nil {
		return true // what they may not see is not there: the hub asks View
	}
	view, named := viewOf(r.URL.Path)
	if !g.open {
		g.unknown(w, r, errNobody)
		return false
	}
	if _, ok := g.View(nil, view); named && !ok {
		g.unknown(w, r, errNobody) // the same whether it exists or not
		return false
	}
	return true
}

var errNobody = errors.New("sign in first")

// operators tells which paths are the operators' page and what it asks for.
func operators(path string) bool {
	for _, p := range []string{"/ops", "/v1/ops"} {
		if path == p || strings.HasPrefix(path, p+"/") {
			return true
		}
	}
	return false
}

// viewOf is the view that a path names.
func viewOf(path string) (view string, ok bool) {
	for _, prefix := range []string{"/live/", "/v1/views/", "/v1/presence/"} {
		if rest, found := strings.CutPrefix(path, prefix); found {
			parts := strings.SplitN(rest, "/", 3)
			if len(parts) >= 2 {
				return parts[0] + "/" + parts[1], true
			}
		}
	}
	return "", false
}

// unknown answers 401, or shows people the sign-in page; 503 where we could
// not find out.
func (g *Gate) unknown(w http.ResponseWriter, r *http.Request, err error) {
	var bad wrong
	switch {
	case errors.Is(err, errNobody):
		if page(r) {
			http.Redirect(w, r, "/auth/login?next="+url.QueryEscape(r.URL.RequestURI()), http.StatusSeeOther)
			return
		}
		w.Header().Set("WWW-Authenticate", `Bearer realm="leat"`)
		refuse(w, http.StatusUnauthorized, "sign in first: at /auth/login, or by Authorization: Bearer TOKEN")
	case errors.As(err, &bad):
		g.opts.Refused("credentials")
		if page(r) {
			http.Redirect(w, r, "/auth/login?next="+url.QueryEscape(r.URL.RequestURI()), http.StatusSeeOther)
			return
		}
		w.Header().Set("WWW-Authenticate", `Bearer realm="leat", error="invalid_token", error_description=`+quote(bad.Error()))
		refuse(w, http.StatusUnauthorized, bad.Error())
	default:
		g.opts.Log.Warn("nobody can be signed in by a token now", "err", err)
		w.Header().Set("Retry-After", "5")
		refuse(w, http.StatusServiceUnavailable, "the keys of the identity provider cannot be read now; try again")
	}
}

// page tells whether a browser opens a page: then the answer is for people.
func page(r *http.Request) bool {
	if r.Method != http.MethodGet || !headerHasType(r.Header, "text/html") {
		return false
	}
	p := r.URL.Path
	return p == "/" || p == "/ops" || strings.HasPrefix(p, "/d/")
}

func headerHasType(h http.Header, kind string) bool {
	for _, one := range strings.Split(h.Get("Accept"), ",") {
		if name, _, _ := strings.Cut(one, ";"); strings.EqualFold(strings.TrimSpace(name), kind) {
			return true
		}
	}
	return false
}

func (g *Gate) slow(w http.ResponseWriter, r *http.Request, wait time.Duration) {
	g.opts.Refused("rate")
	g.later(w, r, wait, "too many requests")
}

// later tells a client to come back. An EventSource would stop for good at any
// other status than 200: it gets an empty stream and a time.
func (g *Gate) later(w http.ResponseWriter, r *http.Request, wait time.Duration, why string) {
	wait = max(wait, time.Second)
	if strings.HasPrefix(r.URL.Path, "/live/") && headerHasType(r.Header, "text/event-stream") {
		w.Header().Set("Content-Type", "text/event-stream")
		w.Header().Set("Cache-Control", "no-store, no-transform")
		jittered := max(wait, 20*time.Second) + time.Duration(g.random()*float64(40*time.Second))
		ms := jittered.Milliseconds()
		fmt.Fprintf(w, "retry: %d\nevent: drain\ndata: {\"retry_ms\":%d,\"reason\":%q}\n\n", ms, ms, why)
		return
	}
	seconds := strconv.Itoa(int(math.Ceil(wait.Seconds())))
	w.Header().Set("Retry-After", seconds)
	refuse(w, http.StatusTooManyRequests, why+"; try again in "+seconds+" s")
}

// refuse answers with an error, in the shape that all of the server's have.
func refuse(w http.ResponseWriter, status int, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	b := append([]byte(`{"status":`), strconv.Itoa(status)...)
	b = engine.AppendString(append(b, `,"error":`...), message)
	_, _ = w.Write(append(b, "}\n"...))
}

// quote makes a quoted-string for a header (RFC 9110, section 5.6.4).
func quote(s string) string {
	b := []byte{'"'}
	for _, c := range []byte(s) {
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\'')
		case c >= ' ' && c < 0x7f:
			b = append(b, c)
		}
	}
	return string(append(b, '"'))
}

var _ sse.Gate = (*Gate)(nil)
