package pipelines

import (
	"strings"
	"time"

	"github.com/leatstream/leat/connectors/sse/access"
	"github.com/leatstream/leat/engine"
)

// Serve is how live views are served, and to whom.
type Serve struct {
	Access            access.Config
	CertFile, KeyFile string // TLS; "": none
	H2C               bool   // HTTP/2 without TLS
	PublicWithoutAuth bool   // everybody who reaches an address beyond this machine may look
	FrameAncestors    []string
	PresenceNames     bool // viewers of a view are told each other's names
	Connections       int  // live streams of this node; 0: the hub's default, below it: no limit
	Replays           int  // those of them that show the past; as Connections
}

// serveKinds are the part of configKinds that is about serving.
var serveKinds = []*Kind{
	{Group: "serve", Doc: "How live views and dashboards are served, and to whom. docs/how-to/access.md explains it.", Keys: []Key{
		{Name: "tls", Type: "tls", Group: "serve_tls", Doc: "Encryption, and with it HTTP/2."},
		{Name: "h2c", Type: "bool", Default: "false", Doc: "HTTP/2 without encryption, for a proxy that speaks it."},
		{Name: "auth", Type: "auth", Group: "auth", Doc: "Who may look. Without it everybody may, and an address beyond this machine is refused."},
		{Name: "public_without_auth", Type: "bool", Default: "false", Doc: "Listen beyond this machine without `auth`: everybody who reaches the address sees everything. `--public-without-auth` is the same."},
		{Name: "trusted_proxies", Type: "list of networks", Doc: "Proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed: `[10.0.0.0/8, 192.0.2.7]`."},
		{Name: "cors", Type: "list of origins", Doc: "Other sites whose pages may ask, exactly as browsers write them: `[https://portal.example.org]`."},
		{Name: "frame_ancestors", Type: "list of origins", Doc: "Other sites whose pages may show ours in a frame: `[https://wall.example.org]`."},
		{Name: "presence_names", Type: "bool", Default: "false", Doc: "Tell those who watch a view the names of the others, not only how many there are. It must be the same on each node."},
		{Name: "limits", Type: "limits", Group: "limits", Doc: "How much one may ask. -1 is without limit."},
	}},
	{Group: "serve_tls", Doc: "The certificate of live views and dashboards. The files are read again when they change.", Keys: []Key{
		{Name: "cert_file", Type: "path", Required: true, Doc: "PEM file of the certificate and those that vouch for it."},
		{Name: "key_file", Type: "path", Required: true, Doc: "PEM file of its key."},
	}},
	{Group: "auth", Doc: "Who people are and what they may see.", Keys: []Key{
		{Name: "jwt", Type: "jwt", Group: "jwt", Doc: "Tokens of an identity provider."},
		{Name: "tokens", Type: "list of tokens", Group: "token", Doc: "Tokens of our own."},
		{Name: "session", Type: "session", Group: "session", Doc: "The cookie that a token is exchanged for at `/auth/login`."},
		{Name: "ticket_lifetime", Type: "duration", Default: "30s", Doc: "How long a ticket is good, at most 5m."},
		{Name: "claims", Type: "list of claims", Doc: "The claims that are kept of a JWT. Without it all are, which may be more than a cookie can hold."},
		{Name: "views", Type: "list of view rules", Group: "view rule", Doc: "Who may read which view: the first rule that matches it decides, and a view that none matches is nobody's. Without it, whoever is signed in may read all."},
		{Name: "operators", Type: "list of readers", Doc: "Who may see the operators' page, `/ops`; without it nobody may."},
	}},
	{Group: "jwt", Doc: "Tokens that an identity provider signs. `exp` and `sub` must be in them.", Keys: []Key{
		{Name: "jwks", Type: "address", Doc: "URL of its keys: https, or this machine. They are read again each 15 minutes, and when a token names a key that is not among them. Without it `issuer` is asked where they are (`/.well-known/openid-configuration`)."},
		{Name: "issuer", Type: "text", Required: true, Doc: "What `iss` must be, to the letter."},
		{Name: "audience", Type: "list of names", Required: true, Doc: "One of these must be in `aud`."},
		{Name: "algorithms", Type: "list of names", Default: "RS, PS and ES 256, 384, 512, EdDSA", Doc: "Signatures that are taken; `none` and HS* never are."},
		{Name: "leeway", Type: "duration", Default: "0s", Doc: "By how much clocks may differ, at most 5m."},
		{Name: "name", Type: "text", Default: "sub", Doc: "The claim that names people, as readers, limits and presence know them. It must be one that people cannot choose themselves."},
	}},
	{Group: "token", Doc: "A bearer token of our own, known by its hash.", Keys: []Key{
		{Name: "name", Type: "text", Required: true, Doc: "Whose it is."},
		{Name: "sha256", Type: "text", Required: true, Doc: "Hash of the token, in hexadecimal: `printf %s \"$TOKEN\" | sha256sum`. Make the token by `openssl rand -base64 32`."},
		{Name: "claims", Type: "mapping", Doc: "What is known of them: `{region: eu}`, for row filters and readers."},
		{Name: "expires", Type: "time", Doc: "When it ends: RFC 3339, or a day. Without it never."},
	}},
	{Group: "session", Doc: "The session cookie: HttpOnly, SameSite=Strict, encrypted.", Keys: []Key{
		{Name: "keys", Type: "list of secrets", Doc: "At least 32 characters each: `${file:/run/secrets/leat-session}`. The first is used, the others are still understood. The same on each node. Without it, one is made at each start."},
		{Name: "lifetime", Type: "duration", Default: "12h", Doc: "How long a session lasts; never longer than its token."},
		{Name: "secure", Type: "auto, always or never", Default: "auto", Doc: "Whether browsers send the cookie by TLS only. auto: where TLS ends here, or at a trusted proxy that says so."},
	}},
	{Group: "view rule", Doc: "Who may read the views that match.", Keys: []Key{
		{Name: "match", Type: "text", Required: true, Doc: "`pipeline/sink` with `*`, `?` and `[a-z]`; `*` alone is all."},
		{Name: "readers", Type: "list of readers", Default: "[\"*\"]", Doc: "Names, `claim=value` (or a list that holds it; `realm.roles=x` looks inside), `*` for all who are signed in, `anonymous` for everybody."},
		{Name: "rows", Type: "expression", Doc: "The rows that they see: an expression over the view's columns and `claims`, as `region == claims.region`."},
	}},
	{Group: "limits", Doc: "Addresses of this machine are not counted.", Keys: []Key{
		{Name: "requests", Type: "int", Default: "100", Doc: "Per second and signed-in name."},
		{Name: "burst", Type: "int", Default: "400", Doc: "Requests above that at once."},
		{Name: "streams", Type: "int", Default: "100", Doc: "Live streams of one name at once."},
		{Name: "address_requests", Type: "int", Default: "200", Doc: "Per second and address; of IPv6, per /64 network."},
		{Name: "address_burst", Type: "int", Default: "1000", Doc: "Requests above that at once."},
		{Name: "address_streams", Type: "int", Default: "1000", Doc: "Live streams of one address at once."},
		{Name: "connections", Type: "int", Default: "10000", Doc: "Live streams of this node at once; 300 MB."},
		{Name: "replays", Type: "int", Default: "8", Doc: "Streams that show the past, of this node at once. Each reads the brokers for itself and has a table of its own."},
	}},
}

func (l *loader) serve(n *node, c *Serve) {
	f := l.fields(n, configKind("serve"))
	if f == nil {
		return
	}
	defer f.done()
	if t := l.fields(f.get("tls"), configKind("serve_tls")); t != nil {
		c.CertFile, c.KeyFile = l.optional(t.get("cert_file")), l.optional(t.get("key_file"))
		t.done()
	}
	c.H2C, c.PublicWithoutAuth = l.isSet(f.get("h2c")), l.isSet(f.get("public_without_auth"))
	c.PresenceNames = l.isSet(f.get("presence_names"))
	c.Access.TrustedProxies = l.texts(f.get("trusted_proxies"), "networks")
	c.Access.CORS = l.texts(f.get("cors"), "origins")
	c.FrameAncestors = l.texts(f.get("frame_ancestors"), "origins")
	for _, item := range l.list(f.get("frame_ancestors"), "origins") {
		if s, ok := l.text(item); ok && !frameAncestor(s) {
			l.fail(item, "value", "for example https://wall.example.org", "%s is no origin", shorten(item.raw()))
		}
	}
	if m := l.fields(f.get("limits"), configKind("limits")); m != nil {
		limit := func(key string) int {
			if v := m.get(key); v != nil {
				n, _ := l.whole(v, -1, 1e9)
				return n
			}
			return 0
		}
		c.Access.Limits = access.Limits{
			Requests: float64(limit("requests")), Burst: limit("burst"), Streams: limit("streams"),
			AddressRequests: float64(limit("address_requests")), AddressBurst: limit("address_burst"), AddressStreams: limit("address_streams"),
		}
		c.Connections, c.Replays = limit("connections"), limit("replays")
		m.done()
	}
	before := l.diags.Errors()
	if v := f.get("auth"); v != nil {
		c.Access.Auth = l.auth(v)
	}
	if l.diags.Errors() == before {
		if err := c.Access.Check(); err != nil {
			l.fail(n, "value", "", "%s", err)
		}
	}
}

func (l *loader) auth(n *node) *access.Auth {
	a := &access.Auth{}
	f := l.fields(n, configKind("auth"))
	if f == nil {
		return a
	}
	defer f.done()
	if v := f.get("jwt"); v != nil {
		a.JWT = l.jwt(v)
	}
	for _, item := range l.list(f.get("tokens"), "tokens") {
		a.Tokens = append(a.Tokens, l.token(item))
	}
	if s := l.fields(f.get("session"), configKind("session")); s != nil {
		a.Session.Keys = l.texts(s.get("keys"), "secrets")
		a.Session.Lifetime = l.lasting(s.get("lifetime"), time.Minute)
		if v := s.get("secure"); v != nil {
			a.Session.Secure, _ = l.oneOf(v, "auto", "always", "never")
		}
		s.done()
	}
	a.Ticket = l.lasting(f.get("ticket_lifetime"), time.Second)
	if v := f.get("claims"); v != nil {
		a.Claims = append([]string{}, l.texts(v, "claims")...)
	}
	if v := f.get("views"); v != nil {
		a.Views = []access.View{} // without a rule every view is nobody's
		for _, item := range l.list(v, "rules") {
			if r := l.fields(item, configKind("view rule")); r != nil {
				a.Views = append(a.Views, access.View{Match: l.optional(r.get("match")), Readers: l.texts(r.get("readers"), "readers"), Rows: l.rule(r.get("rows"))})
				r.done()
			}
		}
	}
	a.Operators = l.texts(f.get("operators"), "readers")
	return a
}

func (l *loader) jwt(n *node) *access.JWT {
	j := &access.JWT{}
	f := l.fields(n, configKind("jwt"))
	if f == nil {
		return j
	}
	defer f.done()
	j.JWKS, j.Issuer, j.Name = l.optional(f.get("jwks")), l.optional(f.get("issuer")), l.optional(f.get("name"))
	j.Audience, j.Algorithms = l.texts(f.get("audience"), "audiences"), l.texts(f.get("algorithms"), "algorithms")
	j.Leeway = l.lasting(f.get("leeway"), 0)
	return j
}

func (l *loader) token(n *node) access.Token {
	var t access.Token
	f := l.fields(n, configKind("token"))
	if f == nil {
		return t
	}
	defer f.done()
	t.Name, t.SHA256 = l.optional(f.get("name")), strings.ToLower(l.optional(f.get("sha256")))
	if v := f.get("claims"); v != nil && l.pairs(v, "claims") != nil {
		var err error
		if t.Claims, err = access.ParseClaims(l.anyJSON(nil, v, engine.Any)); err != nil {
			l.fail(v, "value", "", "claims cannot be read: %s", err)
		}
	}
	if v := f.get("expires"); v != nil {
		if s, ok := l.text(v); ok {
			var err error
			if t.Expires, err = time.Parse(time.RFC3339, s); err != nil {
				t.Expires, err = time.Parse(time.DateOnly, s)
			}
			if err != nil {
				l.fail(v, "value", "for example 2027-01-31 or 2027-01-31T18:00:00Z", "%s is no time", shorten(v.raw()))
			}
		}
	}
	return t
}

// rule is a row filter: an expression, compiled when the views are known.
func (l *loader) rule(n *node) string {
	if e := l.expr(n); e != nil {
		return e.Text
	}
	return ""
}

func (l *loader) isSet(n *node) bool {
	if n == nil {
		return false
	}
	v, _ := l.bool(n)
	return v
}

func (l *loader) lasting(n *node, low time.Duration) time.Duration {
	if n == nil {
		return 0
	}
	d, _ := l.duration(n, low)
	return d
}

// frameAncestor: what stands in a header must not end it, nor its directive.
func frameAncestor(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(";,'\"", r) })
}
