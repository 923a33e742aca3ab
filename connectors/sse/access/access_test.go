package access_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/go-jose/go-jose/v4"

	"github.com/leatstream/leat/connectors/sse"
	"github.com/leatstream/leat/connectors/sse/access"
	"github.com/leatstream/leat/pipelines"
)

// TestAccess is the manual of who may look: testdata, one file per subject.
//
//	config                     the serve: part of leat.yaml
//	now                        moves the clock: "+30s"
//	publish k1 k2              the keys that the identity provider shows; "down"
//	discovery                  what it says of itself at the address of $issuer
//	log                        what was logged since the last time
//	token NAME [alg= kid= as=] a JWT of these claims, as $NAME, by the key kid under
//	                           the name as; "+1h" is a time
//	ask METHOD PATH [from= tls]  a request; headers follow, then the body
//
// What an answer sets is kept: $cookie and $ticket. Behind the gate there is a
// handler that says who asks and what they may see.
func TestAccess(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, file string) {
		w := newWorld(t)
		datadriven.RunTest(t, file, w.run)
	})
}

// world is a gate with an identity provider beside it, on a clock of its own.
type world struct {
	t    *testing.T
	now  time.Time
	gate *access.Gate
	vars map[string]string
	idp  *idp

	refused string // why the last config was
	log     bytes.Buffer
}

// views are those that the handler behind the gate asks for.
var views = []string{"ops/load", "orders/board", "orders/eu", "orders/secret"}

func newWorld(t *testing.T) *world {
	w := &world{t: t, now: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC), vars: map[string]string{}, idp: newIDP(t)}
	w.vars["jwks"], w.vars["issuer"] = w.idp.url, w.idp.url+"/tenant"
	return w
}

func (w *world) run(t *testing.T, d *datadriven.TestData) string {
	switch d.Cmd {
	case "config":
		return w.config(d.Input)
	case "now":
		by, err := time.ParseDuration(strings.TrimPrefix(strings.TrimSpace(d.Input), "+"))
		if err != nil {
			d.Fatalf(t, "%v", err)
		}
		w.now = w.now.Add(by)
		return w.now.Format(time.TimeOnly) + "\n"
	case "publish":
		return w.idp.publish(d)
	case "discovery":
		w.idp.mu.Lock()
		defer w.idp.mu.Unlock()
		w.idp.about = w.expand(d.Input)
		n := w.idp.asked
		w.idp.asked = 0
		return fmt.Sprintf("asked %d times before\n", n)
	case "log":
		defer w.log.Reset()
		return strings.ReplaceAll(w.log.String(), w.idp.url, "$jwks")
	case "token":
		w.vars[d.CmdArgs[0].Key] = w.token(d)
		return "ok\n"
	case "ask":
		return w.ask(d)
	}
	d.Fatalf(t, "no command %q", d.Cmd)
	return ""
}

func (w *world) config(text string) string {
	text = w.expand(text)
	file := filepath.Join(w.t.TempDir(), "leat.yaml")
	if err := os.WriteFile(file, []byte("serve:\n"+regexp.MustCompile(`(?m)^`).ReplaceAllString(text, "  ")+"\n"), 0o600); err != nil {
		w.t.Fatal(err)
	}
	cfg, found := pipelines.LoadConfig(file, func(string) (string, bool) { return "", false })
	if len(found) > 0 {
		var lines []string
		for _, f := range found {
			lines = append(lines, strings.ReplaceAll(f.Text, w.idp.url, "$jwks"))
		}
		w.refused = strings.Join(lines, "\n")
		return "refused: " + w.refused + "\n"
	}
	var err error
	w.gate, err = access.New(cfg.Serve.Access, access.Options{Now: func() time.Time { return w.now }, Random: func() float64 { return 0.5 }, Log: w.logger()})
	if err != nil {
		return "refused: " + err.Error() + "\n"
	}
	return "ok\n"
}

// logger keeps what it is told, without times.
func (w *world) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(&w.log, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
}

func (w *world) expand(s string) string {
	return os.Expand(s, func(name string) string {
		if v, ok := w.vars[name]; ok {
			return v
		}
		return "$" + name
	})
}

// behind says who has come through the gate and what they may see.
func (w *world) behind(out http.ResponseWriter, r *http.Request) {
	v := sse.ViewerOf(r.Context())
	var b strings.Builder
	if v == nil {
		b.WriteString("nobody in particular")
	} else {
		fmt.Fprintf(&b, "%s", v.Name)
		if len(v.Claims) > 0 {
			claims, _ := json.Marshal(v.Claims)
			fmt.Fprintf(&b, " %s", claims)
		}
		if !v.Expires.IsZero() {
			fmt.Fprintf(&b, " until %s", v.Expires.UTC().Format(time.DateTime))
		}
	}
	var sees []string
	for _, name := range views {
		if where, ok := w.gate.View(v, name); ok && where != "" {
			sees = append(sees, name+" where "+where)
		} else if ok {
			sees = append(sees, name)
		}
	}
	fmt.Fprintf(&b, "; sees %s", strings.Join(sees, ", "))
	if w.gate.Operate(v) {
		b.WriteString("; operates")
	}
	b.WriteString("\n")
	_, _ = out.Write([]byte(b.String()))
}

// shown are the headers that an answer is shown with.
var shown = []string{"Access-Control-Allow-Origin", "Access-Control-Allow-Credentials", "Access-Control-Allow-Methods", "Content-Type", "Location", "Retry-After", "Set-Cookie", "WWW-Authenticate"}

var (
	sealedCookie = regexp.MustCompile(`(leat_session)=([A-Za-z0-9_-]+)`)
	sealedTicket = regexp.MustCompile(`"ticket":"([A-Za-z0-9_-]+)"`)
)

func (w *world) ask(d *datadriven.TestData) string {
	if w.gate == nil {
		d.Fatalf(w.t, "there is no gate: the config was refused: %s", w.refused)
	}
	head, body, _ := strings.Cut(w.expand(d.Input), "\n\n")
	r := httptest.NewRequest(d.CmdArgs[0].Key, "http://leat.example.org"+w.expand(d.CmdArgs[1].String()), strings.NewReader(body))
	r.RemoteAddr = "127.0.0.1:4000"
	from, times := "", 1
	d.MaybeScanArgs(w.t, "from", &from)
	d.MaybeScanArgs(w.t, "times", &times)
	if from != "" {
		r.RemoteAddr = from + ":4000"
		if strings.Contains(from, ":") {
			r.RemoteAddr = "[" + from + "]:4000"
		}
	}
	if d.HasArg("tls") {
		r.TLS = &tls.ConnectionState{}
	}
	for line := range strings.Lines(head) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		if name != "" {
			r.Header.Add(name, value)
		}
	}
	handler := w.gate.Wrap(http.HandlerFunc(w.behind))
	var res *httptest.ResponseRecorder
	for range times {
		res = httptest.NewRecorder()
		handler.ServeHTTP(res, r.Clone(r.Context()))
	}
	for _, m := range sealedCookie.FindAllStringSubmatch(res.Header().Get("Set-Cookie"), 1) {
		w.vars["cookie"] = m[2]
	}
	text := res.Body.String()
	for _, m := range sealedTicket.FindAllStringSubmatch(text, 1) {
		w.vars["ticket"] = m[1]
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d\n", res.Code)
	for _, name := range shown {
		value := res.Header().Get(name)
		if value == "" || name == "Content-Type" && (value == "application/json" || strings.HasPrefix(value, "text/plain")) {
			continue
		}
		fmt.Fprintf(&b, "%s: %s\n", name, sealedCookie.ReplaceAllString(value, "$1=…"))
	}
	if strings.HasPrefix(res.Header().Get("Content-Type"), "text/html") {
		text = strings.Join(regexp.MustCompile(`(?m)^(<p class="mistake"|<form [^>]*class="who"|<input type="hidden").*$`).FindAllString(text, -1), "\n") + "\n"
	}
	b.WriteString(strings.TrimRight(sealedTicket.ReplaceAllString(text, `"ticket":"…"`), "\n"))
	return strings.TrimRight(b.String(), "\n") + "\n"
}

// idp is an identity provider: it signs and publishes keys.
type idp struct {
	url  string
	keys map[string]jose.SigningKey

	mu      sync.Mutex
	shown   []string
	down    bool
	fetched int
	about   string // what it says at the address of its issuer; "": nothing
	asked   int    // for about
}

// The keys are made once: RSA keys take a while.
var signers = sync.OnceValue(func() map[string]jose.SigningKey {
	keys := map[string]jose.SigningKey{}
	add := func(kid string, alg jose.SignatureAlgorithm, key crypto.PrivateKey, err error) {
		if err != nil {
			panic(err)
		}
		keys[kid] = jose.SigningKey{Algorithm: alg, Key: jose.JSONWebKey{Key: key, KeyID: kid}}
	}
	for _, kid := range []string{"rsa1", "rsa2", "stranger"} {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		add(kid, jose.RS256, key, err)
	}
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	add("ec", jose.ES256, ec, err)
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	add("ed", jose.EdDSA, ed, err)
	return keys
})

func public(key jose.SigningKey) jose.JSONWebKey {
	own := key.Key.(jose.JSONWebKey)
	return own.Public()
}

func newIDP(t *testing.T) *idp {
	p := &idp{keys: signers()}
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	p.url = server.URL
	return p
}

func (p *idp) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r.URL.Path == "/tenant/.well-known/openid-configuration" {
		p.asked++
		if p.about == "" || p.down {
			w.WriteHeader(http.StatusNotFound)
		}
		_, _ = w.Write([]byte(p.about))
		return
	}
	if r.URL.Path == "/elsewhere" {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	p.fetched++
	if p.down {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	var set jose.JSONWebKeySet
	for _, kid := range p.shown {
		set.Keys = append(set.Keys, public(p.keys[kid]))
	}
	raw, _ := json.Marshal(set)
	// Keys that must not be used: a secret, one to encrypt with, and a kind that
	// nobody knows.
	weak := `{"kty":"oct","kid":"secret","k":"c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0MTI"},{"kty":"NEW","kid":"new"}`
	raw = []byte(strings.Replace(string(raw), `"keys":[`, `"keys":[`+weak+map[bool]string{true: ",", false: ""}[len(p.shown) > 0], 1))
	_, _ = w.Write(raw)
}

// publish shows which keys there are, and how often they were asked for since
// the last time.
func (p *idp) publish(d *datadriven.TestData) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down, p.shown = false, nil
	for _, a := range d.CmdArgs {
		if a.Key == "down" {
			p.down = true
			continue
		}
		p.shown = append(p.shown, a.Key)
	}
	n := p.fetched
	p.fetched = 0
	return fmt.Sprintf("asked %d times before\n", n)
}

// token makes a JWT. Times are "+1h" from now.
func (w *world) token(d *datadriven.TestData) string {
	kid, alg, as := "rsa1", "", ""
	d.MaybeScanArgs(w.t, "kid", &kid)
	d.MaybeScanArgs(w.t, "alg", &alg)
	d.MaybeScanArgs(w.t, "as", &as)
	var claims map[string]any
	numbers := json.NewDecoder(strings.NewReader(w.expand(d.Input)))
	numbers.UseNumber()
	if err := numbers.Decode(&claims); err != nil {
		d.Fatalf(w.t, "%v", err)
	}
	for _, name := range slices.Collect(maps.Keys(claims)) {
		if text, ok := claims[name].(string); ok && (strings.HasPrefix(text, "+") || strings.HasPrefix(text, "-")) {
			by, err := time.ParseDuration(text)
			if err != nil {
				d.Fatalf(w.t, "%v", err)
			}
			claims[name] = w.now.Add(by).Unix()
		}
	}
	payload, _ := json.Marshal(claims)
	key := w.idp.keys[kid]
	if as != "" {
		own := key.Key.(jose.JSONWebKey)
		own.KeyID = strings.TrimPrefix(as, "nobody")
		key.Key = own
	}
	switch alg {
	case "none":
		return unsigned(payload)
	case "HS256":
		// The classic: the public key, which all know, taken as a secret.
		pub, _ := json.Marshal(public(key))
		key = jose.SigningKey{Algorithm: jose.HS256, Key: jose.JSONWebKey{Key: pub, KeyID: kid}}
	case "secret":
		key = jose.SigningKey{Algorithm: jose.HS256, Key: jose.JSONWebKey{Key: []byte("secretsecretsecretsecretsecret12"), KeyID: "secret"}}
	case "":
	default:
		key.Algorithm = jose.SignatureAlgorithm(alg)
	}
	return signed(w.t, key, payload)
}

// sign makes a JWT of claims as they are.
func (w *world) sign(t *testing.T, kid, claims string) string {
	return signed(t, w.idp.keys[kid], []byte(claims))
}

func signed(t *testing.T, key jose.SigningKey, payload []byte) string {
	t.Helper()
	signer, err := jose.NewSigner(key, nil)
	if err != nil {
		t.Fatal(err)
	}
	sig, err := signer.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	text, err := sig.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// unsigned is a JWT that says it needs no signature.
func unsigned(payload []byte) string {
	return base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + base64.RawURLEncoding.EncodeToString(payload) + "."
}
