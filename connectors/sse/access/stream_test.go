package access_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/leatstream/leat/connectors/sse"
	"github.com/leatstream/leat/connectors/sse/access"
	"github.com/leatstream/leat/engine"
)

// The tokens of these tests: "test" is ann's, "test1" is bob's.
const (
	annHash = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
	bobHash = "1b4f0e9851971998e732078544c96b36c3d01cedf7caa332359d6f1d83567014"
)

// silent is a topic in which nothing happens.
type silent struct{}

func (silent) Tail(ctx context.Context, _ engine.Topic, _ map[engine.Partition]engine.Offset, _ func([]*engine.Rows, map[engine.Partition]engine.Offset) error) error {
	<-ctx.Done()
	return ctx.Err()
}

// wire is a connection that takes all that is written.
type wire struct {
	mu     sync.Mutex
	header http.Header
	status int
	text   strings.Builder
}

func (w *wire) Header() http.Header { return w.header }
func (w *wire) WriteHeader(s int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.status == 0 {
		w.status = s
	}
}
func (w *wire) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.Write(b)
}
func (w *wire) Flush()                           {}
func (w *wire) SetWriteDeadline(time.Time) error { return nil }

func (w *wire) read() (status int, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.status, w.text.String()
}

// open begins a request in the background; ended is closed when it is over.
func open(h http.Handler, path string, header ...string) (w *wire, ended <-chan struct{}, cancel func()) {
	ctx, cancel := context.WithCancel(context.Background())
	r := httptest.NewRequest(http.MethodGet, "http://localhost"+path, nil).WithContext(ctx)
	r.RemoteAddr = "192.0.2.1:99"
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w = &wire{header: http.Header{}}
	done := make(chan struct{})
	go func() {
		defer close(done)
		h.ServeHTTP(w, r)
	}()
	return w, done, cancel
}

func over(ended <-chan struct{}) bool {
	synctest.Wait()
	select {
	case <-ended:
		return true
	default:
		return false
	}
}

// hub serves one view behind a gate, in the bubble of a test.
func hub(t *testing.T, c access.Config) (http.Handler, func()) {
	t.Helper()
	gate, err := access.New(c, access.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	h := sse.NewHub(sse.Options{Gate: gate, Log: slog.New(slog.DiscardHandler), MinLife: 24 * time.Hour, MaxLife: 24 * time.Hour})
	h.Add(engine.ViewSpec{Pipeline: "orders", Sink: "board"}, nil, "")
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = h.Run(ctx, silent{}) })
	synctest.Wait()
	return h.Handler(), func() { cancel(); wg.Wait() }
}

// A stream ends when its token does, and says so: the page signs in again
// instead of trying for ever.
func TestTrap15ExpiryEndsTheStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		expires := time.Now().Add(time.Hour)
		h, stop := hub(t, access.Config{Auth: &access.Auth{Tokens: []access.Token{{Name: "ann", SHA256: annHash, Expires: expires}}}})
		defer stop()
		w, ended, cancel := open(h, "/live/orders/board", "Authorization", "Bearer test")
		defer cancel()
		time.Sleep(time.Hour - time.Second)
		if over(ended) {
			t.Fatalf("the stream ended before its token: %s", w.text.String())
		}
		time.Sleep(time.Second)
		if !over(ended) {
			t.Fatal("the stream lives on after its token has expired")
		}
		if _, text := w.read(); !strings.Contains(text, `"reason":"expired"`) {
			t.Errorf("it does not say why: %s", text)
		}
		again, ended, cancel := open(h, "/live/orders/board", "Authorization", "Bearer test")
		defer cancel()
		<-ended
		if status, text := again.read(); status != http.StatusUnauthorized {
			t.Errorf("the expired token got %d %s", status, text)
		}
	})
}

// Whatever else a request does, it ends soon after what let it in.
func TestExpiryEndsWhatDoesNotLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate, err := access.New(access.Config{Auth: &access.Auth{Tokens: []access.Token{{Name: "ann", SHA256: annHash, Expires: time.Now().Add(time.Minute)}}}}, access.Options{})
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		h := gate.Wrap(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
		_, ended, cancel := open(h, "/v1/views/orders/board", "Authorization", "Bearer test")
		defer cancel()
		<-ended
		if took := time.Since(began); took < time.Minute || took > time.Minute+10*time.Second {
			t.Errorf("a request ended %s after its start, its token after a minute", took)
		}
	})
}

// hiding is a middleware as they are written too often.
type hiding struct{ *access.Gate }

func (h hiding) Wrap(next http.Handler) http.Handler {
	inner := h.Gate.Wrap(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		inner.ServeHTTP(struct{ http.ResponseWriter }{w}, r)
	})
}

func TestTrap02TheGateHidesNoConnection(t *testing.T) {
	gate, err := access.New(access.Config{Auth: &access.Auth{Tokens: []access.Token{{Name: "ann", SHA256: annHash}}}}, access.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := sse.CheckMiddleware(sse.NewHub(sse.Options{Gate: gate}).Handler()); err != nil {
		t.Error(err)
	}
	if err := sse.CheckMiddleware(sse.NewHub(sse.Options{Gate: hiding{gate}}).Handler()); err == nil || !strings.Contains(err.Error(), "Unwrap") {
		t.Errorf("a middleware without Unwrap gave %v", err)
	}
}

// Streams are bounded by name, and by address for all who share it; one that
// is turned away is told in its own protocol when to come back.
func TestStreamsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, stop := hub(t, access.Config{
			Limits: access.Limits{Streams: 2, AddressStreams: 3},
			Auth:   &access.Auth{Tokens: []access.Token{{Name: "ann", SHA256: annHash}, {Name: "bob", SHA256: bobHash}}},
		})
		defer stop()
		var cancels []func()
		var ends []<-chan struct{}
		for i, c := range []struct {
			token, reason string
		}{{"test", ""}, {"test", ""}, {"test", "viewer_cap"}, {"test1", ""}, {"test1", "too many live streams at your address"}} {
			w, ended, cancel := open(h, "/live/orders/board", "Authorization", "Bearer "+c.token, "Accept", "text/event-stream")
			cancels, ends = append(cancels, cancel), append(ends, ended)
			if over(ended) != (c.reason != "") {
				t.Fatalf("stream %d: ended %v", i, over(ended))
			}
			status, text := w.read()
			if status != http.StatusOK || c.reason != "" && !strings.Contains(text, fmt.Sprintf("%q", c.reason)) {
				t.Errorf("stream %d: %d %s", i, status, text)
			}
		}
		// One goes; another may come.
		cancels[0]()
		<-ends[0]
		w, ended, cancel := open(h, "/live/orders/board", "Authorization", "Bearer test1")
		cancels, ends = append(cancels, cancel), append(ends, ended)
		if over(ended) {
			_, text := w.read()
			t.Errorf("there was room for a stream again: %s", text)
		}
		for i, cancel := range cancels {
			cancel()
			<-ends[i]
		}
	})
}

// Many who come at once with one new key make one request for it.
func TestKeysAreFetchedOnce(t *testing.T) {
	w := newWorld(t)
	w.idp.shown = []string{"rsa1"}
	gate, err := access.New(access.Config{Auth: &access.Auth{JWT: &access.JWT{JWKS: w.idp.url, Issuer: "https://idp", Audience: []string{"leat"}}}},
		access.Options{Now: func() time.Time { return w.now }})
	if err != nil {
		t.Fatal(err)
	}
	token := w.sign(t, "rsa1", fmt.Sprintf(`{"iss":"https://idp","aud":"leat","sub":"ann","exp":%d}`, w.now.Add(time.Hour).Unix()))
	h := gate.Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			r := httptest.NewRequest(http.MethodGet, "http://localhost/v1/views", nil)
			r.Header.Set("Authorization", "Bearer "+token)
			res := httptest.NewRecorder()
			h.ServeHTTP(res, r)
			if res.Code != http.StatusTeapot {
				t.Errorf("%d %s", res.Code, res.Body)
			}
		})
	}
	wg.Wait()
	if w.idp.fetched != 1 {
		t.Errorf("the keys were fetched %d times", w.idp.fetched)
	}
}
