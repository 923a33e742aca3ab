package webpush

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/leatstream/leat/connectors/outbox"
	"github.com/leatstream/leat/connectors/webhook"
	"github.com/leatstream/leat/engine"
)

func decode(t testing.TB, text string) []byte {
	t.Helper()
	b, err := coding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestEncryptAsRFC8291 is the example of RFC 8291, section 5 and appendix A.
func TestEncryptAsRFC8291(t *testing.T) {
	ours, err := ecdh.P256().NewPrivateKey(decode(t, "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"))
	if err != nil {
		t.Fatal(err)
	}
	theirs, auth, err := Subscription{P256dh: "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4", Auth: "BTBZMqHH6r4Tts7J_aSIgg"}.keys()
	if err != nil {
		t.Fatal(err)
	}
	got, err := seal([]byte("When I grow up, I want to be a watermelon"), theirs, auth, ours, decode(t, "DGv6ra1nlYgDCS1FRnbzlw"))
	if err != nil {
		t.Fatal(err)
	}
	const want = "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
	if coding.EncodeToString(got) != want {
		t.Errorf("got  %s\nwant %s", coding.EncodeToString(got), want)
	}
}

// memory is the topic of subscriptions in memory.
type memory struct {
	mu   sync.Mutex
	recs []engine.Record
}

func (m *memory) CreateTopics(context.Context, []engine.TopicSpec) ([]engine.Topic, error) {
	return nil, nil
}

func (m *memory) EndOffsets(context.Context, engine.Topic) (map[engine.Partition]engine.Offset, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return map[engine.Partition]engine.Offset{0: engine.Offset(len(m.recs))}, nil
}

func (m *memory) Tail(ctx context.Context, _ engine.Topic, _ map[engine.Partition]engine.Offset, fn func([]*engine.Rows, map[engine.Partition]engine.Offset) error) error {
	m.mu.Lock()
	rows := &engine.Rows{Topic: Topic}
	for i, r := range m.recs {
		rows.Keys, rows.Values, rows.Offsets, rows.Times = append(rows.Keys, r.Key), append(rows.Values, r.Value), append(rows.Offsets, int64(i)), append(rows.Times, 0)
	}
	m.mu.Unlock()
	if err := fn([]*engine.Rows{rows}, map[engine.Partition]engine.Offset{0: engine.Offset(rows.Len())}); err != nil {
		return err
	}
	<-ctx.Done()
	return ctx.Err()
}

func (m *memory) Produce(_ context.Context, recs []engine.Record) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.recs = append(m.recs, recs...)
	return nil
}

// service is a push service that reads what it is sent, as only the browser
// could, and verifies who sent it.
type service struct {
	t      *testing.T
	server *httptest.Server
	public string // our VAPID key, that subscriptions are bound to
	mu     sync.Mutex
	keys   map[string]*ecdh.PrivateKey // by path
	auth   map[string][]byte
	got    []string // "path title body"
	status map[string]int
	header http.Header // the last request's
}

func (s *service) subscribe(path string) Subscription {
	key, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		s.t.Fatal(err)
	}
	auth := make([]byte, 16)
	_, _ = rand.Read(auth)
	s.keys[path], s.auth[path] = key, auth
	return Subscription{Pipeline: "shop", Endpoint: s.server.URL + path, P256dh: coding.EncodeToString(key.PublicKey().Bytes()), Auth: coding.EncodeToString(auth) + "=="}
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.header = r.Header
	if code := s.status[r.URL.Path]; code != 0 {
		w.WriteHeader(code)
		return
	}
	if err := s.vapid(r); err != nil {
		s.t.Errorf("vapid: %v", err)
		w.WriteHeader(http.StatusForbidden)
		return
	}
	plain, err := s.open(r.URL.Path, body)
	if err != nil {
		s.t.Errorf("decrypt: %v", err)
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	var m message
	if err := json.Unmarshal(plain, &m); err != nil {
		s.t.Errorf("message %s: %v", plain, err)
	}
	s.got = append(s.got, r.URL.Path+" "+m.Title+"|"+m.Body)
	w.WriteHeader(http.StatusCreated)
}

// open decrypts as RFC 8291 says a browser does, by code of its own.
func (s *service) open(path string, body []byte) ([]byte, error) {
	if len(body) < 86 || body[20] != 65 {
		return nil, fmt.Errorf("a body of %d bytes", len(body))
	}
	salt, point, sealed := body[:16], body[21:86], body[86:]
	theirs, err := ecdh.P256().NewPublicKey(point)
	if err != nil {
		return nil, err
	}
	shared, err := s.keys[path].ECDH(theirs)
	if err != nil {
		return nil, err
	}
	prk, _ := hkdf.Extract(sha256.New, shared, s.auth[path])
	info := append(append([]byte("WebPush: info\x00"), s.keys[path].PublicKey().Bytes()...), point...)
	ikm, _ := hkdf.Expand(sha256.New, prk, string(info), 32)
	prk, _ = hkdf.Extract(sha256.New, ikm, salt)
	key, _ := hkdf.Expand(sha256.New, prk, "Content-Encoding: aes128gcm\x00", 16)
	nonce, _ := hkdf.Expand(sha256.New, prk, "Content-Encoding: nonce\x00", 12)
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	plain, err := gcm.Open(nil, nonce, sealed, nil)
	if err != nil {
		return nil, err
	}
	plain = bytes.TrimRight(plain, "\x00")
	if len(plain) == 0 || plain[len(plain)-1] != 2 {
		return nil, fmt.Errorf("no delimiter of a last record")
	}
	return plain[:len(plain)-1], nil
}

// vapid verifies the token: ES256 by the key that it names, for this origin.
func (s *service) vapid(r *http.Request) error {
	var token, key string
	for _, part := range strings.Split(strings.TrimPrefix(r.Header.Get("Authorization"), "vapid "), ", ") {
		name, value, _ := strings.Cut(part, "=")
		switch name {
		case "t":
			token = value
		case "k":
			key = value
		}
	}
	parts := strings.Split(token, ".")
	if len(parts) != 3 || key != s.public {
		return fmt.Errorf("authorization %q", r.Header.Get("Authorization"))
	}
	public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), decode(s.t, key))
	if err != nil {
		return err
	}
	hash, signature := sha256.Sum256([]byte(parts[0]+"."+parts[1])), decode(s.t, parts[2])
	if !ecdsa.Verify(public, hash[:], new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])) {
		return fmt.Errorf("the signature does not match")
	}
	var claims struct {
		Aud, Sub string
		Exp      int64
	}
	if err := json.Unmarshal(decode(s.t, parts[1]), &claims); err != nil {
		return err
	}
	if left := time.Until(time.Unix(claims.Exp, 0)); claims.Aud != s.server.URL || claims.Sub != "mailto:ops@example.org" || left <= 0 || left > 24*time.Hour {
		return fmt.Errorf("claims %+v", claims)
	}
	return nil
}

func newService(t *testing.T) (*service, *Pusher, *memory) {
	private, err := GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	keys, err := ParseKey(private)
	if err != nil {
		t.Fatal(err)
	}
	s := &service{t: t, public: keys.Public(), keys: map[string]*ecdh.PrivateKey{}, auth: map[string][]byte{}, status: map[string]int{}}
	s.server = httptest.NewTLSServer(s)
	t.Cleanup(s.server.Close)
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	client, err := webhook.NewClient(webhook.ClientConfig{CAFile: file, Guard: webhook.Guard{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}})
	if err != nil {
		t.Fatal(err)
	}
	topic := &memory{}
	store := NewStore(topic, slog.New(slog.DiscardHandler))
	p, err := New(Options{Keys: keys, Subject: "mailto:ops@example.org", Client: client, Store: store, Log: slog.New(slog.DiscardHandler),
		Sinks: func(string) []string { return []string{"hot"} }, May: func(_ *http.Request, pipeline, _ string) bool { return pipeline == "shop" }})
	if err != nil {
		t.Fatal(err)
	}
	return s, p, topic
}

// run starts the store and waits until it has caught up.
func (p *Pusher) run(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { p.o.Store.Run(ctx); close(done) }()
	t.Cleanup(func() { cancel(); <-done })
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if _, ok := p.o.Store.Of("", ""); ok {
			return
		}
	}
	t.Fatal("the store does not catch up")
}

func ask(p *Pusher, method, path, body string, header ...string) *httptest.ResponseRecorder {
	mux := http.NewServeMux()
	for pattern, h := range p.Routes() {
		mux.Handle(pattern, h)
	}
	r := httptest.NewRequest(method, "https://leat.example.org"+path, strings.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	return w
}

func request(s Subscription) string {
	b, _ := json.Marshal(map[string]any{"pipeline": s.Pipeline, "sink": "hot", "subscription": map[string]any{"endpoint": s.Endpoint, "keys": map[string]any{"p256dh": s.P256dh, "auth": s.Auth}}})
	return string(b)
}

// TestPush: a browser subscribes, is pushed to, and leaves; another is gone.
func TestPush(t *testing.T) {
	s, p, topic := newService(t)
	deliver := p.Deliver("shop", "hot")
	note := &outbox.Note{Topic: "shop.hot.outbox", ID: "shop.hot.outbox/0/1", Key: []byte("DE"), Value: []byte(`{"country":"DE","n":12,"alert":{"status":"firing","since":1,"at":2}}`),
		Headers: []engine.Header{{Key: outbox.PriorityHeader, Value: []byte("urgent")}}}
	if err := deliver(t.Context(), note); err == nil {
		t.Error("delivered before anything was read of who wants it")
	}
	p.run(t)

	if w := ask(p, "GET", "/v1/push/key?pipeline=shop", ""); w.Code != 200 || !strings.Contains(w.Body.String(), `"key":"`+s.public+`","sinks":["hot"]`) {
		t.Errorf("key: %d %s", w.Code, w.Body)
	}
	if w := ask(p, "GET", "/v1/push/key?pipeline=other", ""); w.Code != 404 {
		t.Errorf("key of a pipeline that is not theirs: %d", w.Code)
	}
	a, b, c := s.subscribe("/a"), s.subscribe("/b"), s.subscribe("/c")
	for _, sub := range []Subscription{a, b, c} {
		if w := ask(p, "POST", "/v1/push/subscriptions", request(sub)); w.Code != 200 {
			t.Fatalf("subscribe: %d %s", w.Code, w.Body)
		}
	}

	// b is gone, c is busy: a has it once, b is forgotten, c gets it later.
	s.status["/b"], s.status["/c"] = http.StatusGone, http.StatusServiceUnavailable
	if err := deliver(t.Context(), note); err == nil {
		t.Error("c has nothing, and no error")
	}
	s.status["/c"] = 0
	if err := deliver(t.Context(), note); err != nil {
		t.Error(err)
	}
	want := []string{"/a hot: firing|country DE, n 12", "/c hot: firing|country DE, n 12"}
	if !slices.Equal(s.got, want) {
		t.Errorf("got %q, want %q", s.got, want)
	}
	if h := s.header; h.Get("Ttl") != "259200" || h.Get("Urgency") != "high" || len(h.Get("Topic")) != 32 || h.Get("Content-Encoding") != "aes128gcm" {
		t.Errorf("headers %v", h)
	}
	note.Headers, note.Progress = nil, nil // of no priority
	if err := deliver(t.Context(), note); err != nil || s.header.Get("Ttl") != "43200" || s.header.Get("Urgency") != "normal" {
		t.Errorf("headers %v, %v", s.header, err)
	}
	if subs, _ := p.o.Store.Of("shop", "hot"); len(subs) != 2 {
		t.Errorf("%d subscriptions are left", len(subs))
	}

	if w := ask(p, "DELETE", "/v1/push/subscriptions", request(c)); w.Code != 200 {
		t.Errorf("unsubscribe: %d %s", w.Code, w.Body)
	}
	if last := topic.recs[len(topic.recs)-1]; last.Value != nil || string(last.Key) != (Subscription{Endpoint: c.Endpoint, Pipeline: "shop", Sink: "hot"}).key() {
		t.Errorf("the last record is %s=%s", last.Key, last.Value)
	}
	// Another node, or this one after a restart, knows the same.
	again := NewStore(topic, slog.New(slog.DiscardHandler))
	p.o.Store = again
	p.run(t)
	if subs, _ := again.Of("shop", "hot"); len(subs) != 1 || subs[0].Endpoint != a.Endpoint {
		t.Errorf("read again: %+v", subs)
	}
}

// TestOneFailsForEver: the others' alerts go on.
func TestOneFailsForEver(t *testing.T) {
	s, p, _ := newService(t)
	p.run(t)
	for _, path := range []string{"/a", "/b"} {
		if w := ask(p, "POST", "/v1/push/subscriptions", request(s.subscribe(path))); w.Code != 200 {
			t.Fatal(w.Body)
		}
	}
	s.status["/b"] = http.StatusInternalServerError
	deliver := p.Deliver("shop", "hot")
	note := &outbox.Note{ID: "1", Value: []byte(`{}`)}
	for note.Attempt = 1; note.Attempt < patience; note.Attempt++ {
		if err := deliver(t.Context(), note); err == nil {
			t.Fatalf("attempt %d: b is given up too early", note.Attempt)
		}
	}
	if err := deliver(t.Context(), note); err != nil {
		t.Errorf("b holds all up: %v", err)
	}
	if err := deliver(t.Context(), &outbox.Note{ID: "2", Attempt: 1, Value: []byte(`{}`)}); err != nil {
		t.Errorf("b holds the next up: %v", err)
	}
	if len(s.got) != 2 {
		t.Errorf("got %q", s.got)
	}
}

// TestSubscribeRefuses what is no subscription, or not theirs to ask for.
func TestSubscribeRefuses(t *testing.T) {
	s, p, topic := newService(t)
	p.run(t)
	good := s.subscribe("/a")
	change := func(f func(*Subscription)) string { bad := good; f(&bad); return request(bad) }
	for _, c := range []struct {
		name, body string
		header     []string
		want       int
	}{
		{"no JSON", "{", nil, 400},
		{"too large", `{"pipeline":"` + strings.Repeat("x", 9000) + `"}`, nil, 400},
		{"no pipeline", change(func(s *Subscription) { s.Pipeline = "" }), nil, 400},
		{"another's alerts", change(func(s *Subscription) { s.Pipeline = "other" }), nil, 403},
		{"http", change(func(s *Subscription) { s.Endpoint = "http://push.example.org/1" }), nil, 400},
		{"a user in it", change(func(s *Subscription) { s.Endpoint = "https://u@push.example.org/1" }), nil, 400},
		{"no point", change(func(s *Subscription) { s.P256dh = "BBBB" }), nil, 400},
		{"a short secret", change(func(s *Subscription) { s.Auth = "AAAA" }), nil, 400},
		{"from another site", request(good), []string{"Sec-Fetch-Site", "cross-site"}, 403},
		{"from another origin", request(good), []string{"Origin", "https://evil.example.org"}, 403},
	} {
		if w := ask(p, "POST", "/v1/push/subscriptions", c.body, c.header...); w.Code != c.want {
			t.Errorf("%s: %d %s, want %d", c.name, w.Code, w.Body, c.want)
		}
	}
	if len(topic.recs) > 0 {
		t.Errorf("%d records were written", len(topic.recs))
	}
}

// TestPushPrivate: a subscription cannot have us post into our own network.
func TestPushPrivate(t *testing.T) {
	s, p, _ := newService(t)
	client, err := webhook.NewClient(webhook.ClientConfig{})
	if err != nil {
		t.Fatal(err)
	}
	p.o.Client = client
	p.run(t)
	if w := ask(p, "POST", "/v1/push/subscriptions", request(s.subscribe("/a"))); w.Code != 200 {
		t.Fatal(w.Body)
	}
	if err := p.Deliver("shop", "hot")(t.Context(), &outbox.Note{Value: []byte(`{}`)}); err != nil || len(s.got) > 0 || s.header != nil {
		t.Errorf("%v, got %q", err, s.got)
	}
}

// TestComposeFits: whatever a row says, a message fits and is JSON.
func TestComposeFits(t *testing.T) {
	for _, text := range []string{"", "a", strings.Repeat("ä", 3000), strings.Repeat("\x01", 3000), strings.Repeat("\"", 5000)} {
		value, _ := json.Marshal(map[string]any{"x": text, "alert": map[string]any{"status": "firing", "title": text, "text": text}})
		got := compose("shop", "hot", "low", &outbox.Note{ID: "i", Value: value})
		if len(got) > mostPlain || !json.Valid(got) {
			t.Errorf("%.20q: %d bytes, JSON %v", text, len(got), json.Valid(got))
		}
	}
}

// TestParseKey: what is no key is refused, unshown.
func TestParseKey(t *testing.T) {
	for _, text := range []string{"", "secret", coding.EncodeToString(make([]byte, 32)), coding.EncodeToString(bytes.Repeat([]byte{255}, 32))} {
		if _, err := ParseKey(text); err == nil || text != "" && strings.Contains(err.Error(), text) {
			t.Errorf("%q: %v", text, err)
		}
	}
}
