package access

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/leatstream/leat/connectors/sse"
)

// Counting addresses takes bounded memory, whoever comes; who has been quiet is
// forgotten, who has a stream is not.
func TestLimiterIsBounded(t *testing.T) {
	now := time.Unix(0, 0)
	l := newLimiter(1, 0, 2, 0, 1, 0, func() time.Time { return now })
	leave, ok := l.enter("stays")
	if !ok {
		t.Fatal("the first stream was refused")
	}
	refused := 0
	for i := range 3 * maxCounted {
		if _, ok := l.allow(fmt.Sprint(i)); !ok {
			refused++
		}
	}
	if len(l.of) > maxCounted || refused == 0 {
		t.Errorf("%d are counted, %d were refused", len(l.of), refused)
	}
	now = now.Add(time.Minute)
	if _, ok := l.allow("new"); !ok {
		t.Error("there is no room although all have been quiet for a minute")
	}
	if len(l.of) > 2 {
		t.Errorf("%d are still counted", len(l.of))
	}
	if _, ok := l.enter("stays"); ok {
		t.Error("who has a stream was forgotten")
	}
	leave()
	leave() // counts once
	if _, ok := l.enter("stays"); !ok {
		t.Error("a stream that has ended is still counted")
	}
}

func TestUsedTicketsAreForgotten(t *testing.T) {
	u, now := newUsed(), time.Unix(1000, 0)
	for i := range 1000 {
		if !u.take(fmt.Sprint(i), now.Add(30*time.Second), now) {
			t.Fatalf("ticket %d was used before", i)
		}
	}
	now = now.Add(30 * time.Second)
	u.take("last", now.Add(30*time.Second), now)
	if len(u.until) != 1 {
		t.Errorf("%d tickets are remembered, one is good", len(u.until))
	}
}

// FuzzSeal: of what is not exactly as it was sealed, for the same use, nothing
// opens; and nothing panics.
func FuzzSeal(f *testing.F) {
	s, err := newSealer([]string{strings.Repeat("k", 32)})
	if err != nil {
		f.Fatal(err)
	}
	// As a process of another day sealed it.
	const text = "A72gLSSVp-FHAIdJRfl3qH5h4fPggnW78wDqeImfz02tPetg_yUW"
	var ann grant
	if err := s.open(forSession, text, &ann); err != nil || ann.Name != "ann" {
		f.Fatalf("what was sealed before opens as %+v: %v", ann, err)
	}
	f.Add(text, 0, byte(0))
	f.Add(text, 3, byte(1))
	f.Add("", 0, byte(0))
	f.Add(text[:20], 5, byte(7))
	f.Fuzz(func(t *testing.T, in string, at int, flip byte) {
		b := []byte(in)
		if len(b) > 0 {
			b[((at%len(b))+len(b))%len(b)] ^= flip
		}
		var g grant
		if err := s.open(forSession, string(b), &g); err == nil && string(b) != text {
			t.Errorf("%q opens as %+v", b, g)
		}
		if err := s.open(forTicket, string(b), &g); err == nil {
			t.Errorf("%q opens as a ticket", b)
		}
	})
}

// FuzzRequest: whatever stands in the headers and the URL, nobody comes in
// without the token, and nothing panics.
func FuzzRequest(f *testing.F) {
	gate, err := New(Config{
		TrustedProxies: []string{"10.0.0.0/8"}, CORS: []string{"https://portal.example.org"},
		Auth: &Auth{JWT: &JWT{JWKS: "http://localhost:1/none", Issuer: "i", Audience: []string{"a"}},
			Tokens: []Token{{Name: "ann", SHA256: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"}}},
	}, Options{Random: rand.Float64})
	if err != nil {
		f.Fatal(err)
	}
	f.Add("GET", "/live/orders/board", "Bearer test", "", "1.2.3.4", "https://portal.example.org", "")
	f.Add("POST", "/auth/session", "Bearer x", "leat_session=AAAA", "[::1]:4, 10.0.0.1", "null", "token=x&next=//e")
	f.Add("GET", "/v1/views/a/b?ticket=AAAA", "", "__Host-leat_session=x", ",,", "", "")
	f.Add("GET", "/auth/login?next=%2F%5Cevil", "Bearer eyJhbGciOiJub25lIn0.e30.", "", "::ffff:10.0.0.1", "", "{}")
	f.Add("OPTIONS", "/ops", "Basic", "a=b; leat_session=\"", "10.0.0.1%eth0", "https://PORTAL.example.org", `{"token":"test"}`)
	f.Fuzz(func(t *testing.T, method, target, authorization, cookie, forwarded, origin, body string) {
		if !strings.HasPrefix(target, "/") {
			target = "/" + target
		}
		r, err := http.NewRequest(method, "http://localhost", strings.NewReader(body))
		if err != nil {
			return
		}
		if r.URL, err = r.URL.Parse(target); err != nil {
			return
		}
		r.RemoteAddr = "10.9.9.9:1"
		r.RequestURI = target
		for name, value := range map[string]string{"Authorization": authorization, "Cookie": cookie, "X-Forwarded-For": forwarded, "Origin": origin} {
			if value != "" {
				r.Header.Set(name, value)
			}
		}
		in := false
		res := httptest.NewRecorder()
		gate.Wrap(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			in = sse.ViewerOf(r.Context()) != nil || !free(r.URL.Path)
		})).ServeHTTP(res, r)
		_, token, _ := strings.Cut(authorization, " ")
		if in && strings.TrimSpace(token) != "test" {
			t.Errorf("somebody came in by %q, cookie %q, at %q", authorization, cookie, target)
		}
		if to := res.Header().Get("Location"); strings.HasPrefix(to, "//") || strings.HasPrefix(to, "/\\") || strings.Contains(to, "://") {
			t.Errorf("sent elsewhere: %q", to)
		}
		for _, values := range res.Header() {
			for _, v := range values {
				if strings.ContainsAny(v, "\r\n\x00") {
					t.Errorf("a header with a line end: %q", v)
				}
			}
		}
	})
}
