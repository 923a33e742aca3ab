package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/leatstream/leat/connectors/outbox"
)

// TestGuard: what may be dialled.
func TestGuard(t *testing.T) {
	allow := Guard{Allow: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("fd00:1::/32")}}
	for addr, want := range map[string]bool{
		"8.8.8.8": true, "93.184.216.34": true, "2606:2800:220:1::1": true, "172.32.0.1": true, "192.169.0.1": true, "100.128.0.1": true,
		"10.1.2.3": true, "::ffff:10.1.2.3": true, "fd00:1::5": true, // allowed
		"127.0.0.1": false, "127.8.8.8": false, "::1": false, "0.0.0.0": false, "0.1.2.3": false, "::": false, "10.2.0.1": false, "172.16.0.1": false, "172.31.255.255": false,
		"192.168.1.1": false, "169.254.169.254": false, "fe80::1": false, "fe80::1%eth0": false, "fd00:ec2::254": false, "fc00::1": false, "100.100.100.200": false,
		"168.63.129.16": false, "192.0.0.192": false, "198.18.0.1": false, "224.0.0.1": false, "255.255.255.255": false, "ff02::1": false, "fec0::1": false,
		"::ffff:127.0.0.1": false, "::ffff:169.254.169.254": false, "::127.0.0.1": false, "64:ff9b::7f00:1": false, "64:ff9b::a9fe:a9fe": false, "2002:7f00:1::": false, "2001:0:7f00:1::": false,
	} {
		if err := allow.Check(netip.MustParseAddr(addr)); (err == nil) != want {
			t.Errorf("%s: %v", addr, err)
		}
	}
	if err := (Guard{}).Check(netip.Addr{}); err == nil {
		t.Error("no address is allowed")
	}
	for text, want := range map[string]string{"10.0.0.0/8": "10.0.0.0/8", "10.1.2.3/8": "10.0.0.0/8", "127.0.0.1": "127.0.0.1/32", "::1": "::1/128", "::ffff:1.2.3.4": "1.2.3.4/32", "localhost": "", "": ""} {
		if p, err := ParseAllow(text); (err != nil) != (want == "") || err == nil && p.String() != want {
			t.Errorf("allow %q: %v, %v", text, p, err)
		}
	}
}

func local(t *testing.T, change ...func(*ClientConfig)) *Client {
	c := ClientConfig{Guard: Guard{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}}, Timeout: 5 * time.Second}
	for _, f := range change {
		f(&c)
	}
	client, err := NewClient(c)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func deliver(t *testing.T, c Config, n *outbox.Note) error {
	t.Helper()
	d, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return d(t.Context(), n)
}

// TestPost: what a receiver gets, and that its signature can be verified as the
// Standard Webhooks specification says.
func TestPost(t *testing.T) {
	var got *http.Request
	var body []byte
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r
		body, _ = io.ReadAll(r.Body)
	}))
	defer server.Close()
	n := &outbox.Note{ID: "p.s.outbox/3/12", Value: []byte(`{"a":1}`)}
	url := strings.Replace(server.URL, "http://", "http://me:pw@", 1) + "/hook?token=x"
	secrets := []string{"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "an old secret of text"}
	if err := deliver(t, Config{URL: url, Headers: map[string]string{"X-Team": "ops"}, Secrets: secrets, Client: local(t)}, n); err != nil {
		t.Fatal(err)
	}
	at := got.Header.Get("Webhook-Timestamp")
	var want []string
	key, _ := base64.StdEncoding.DecodeString("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	for _, k := range [][]byte{key, []byte("an old secret of text")} {
		mac := hmac.New(sha256.New, k)
		fmt.Fprintf(mac, "%s.%s.%s", n.ID, at, body)
		want = append(want, "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	}
	for name, want := range map[string]string{
		"Webhook-Signature": strings.Join(want, " "), "Webhook-Id": n.ID, "Idempotency-Key": n.ID, "X-Team": "ops", "Content-Type": "application/json",
		"Authorization": "Basic " + base64.StdEncoding.EncodeToString([]byte("me:pw")),
	} {
		if got := got.Header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if string(body) != `{"a":1}` || got.RequestURI != "/hook?token=x" || got.Method != "POST" {
		t.Errorf("%s %s %s", got.Method, got.RequestURI, body)
	}
	// The specification's own example.
	if got := Sign([][]byte{key}, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", []byte(`{"test": 2432232314}`)); got != "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=" {
		t.Errorf("the example's signature is %s", got)
	}
}

// TestAnswers: which are worth another attempt.
func TestAnswers(t *testing.T) {
	status, after := 0, ""
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if after != "" {
			w.Header().Set("Retry-After", after)
		}
		w.Header().Set("Location", "http://169.254.169.254/latest")
		w.WriteHeader(status)
		fmt.Fprint(w, "because\n of <that>")
	}))
	defer server.Close()
	client := local(t)
	for _, c := range []struct {
		status    int
		after     string
		ok        bool
		permanent bool
		wait      time.Duration
	}{
		{200, "", true, false, 0}, {202, "", true, false, 0}, {204, "", true, false, 0},
		{301, "", false, true, 0}, {307, "", false, true, 0}, {400, "", false, true, 0}, {401, "", false, true, 0}, {404, "", false, true, 0}, {410, "9", false, true, 0},
		{408, "", false, false, 0}, {425, "", false, false, 0}, {429, "120", false, false, 2 * time.Minute}, {500, "", false, false, 0}, {503, "7", false, false, 7 * time.Second},
		{503, "soon", false, false, 0}, {503, "-5", false, false, 0}, {503, "Mon, 02 Jan 2006 15:04:05 GMT", false, false, 0},
	} {
		status, after = c.status, c.after
		err := deliver(t, Config{URL: server.URL + "/secret-path", Client: client}, &outbox.Note{ID: "i", Value: []byte("{}")})
		if (err == nil) != c.ok {
			t.Errorf("%d: %v", c.status, err)
		}
		if err == nil {
			continue
		}
		var f *outbox.Failure
		if !errors.As(err, &f) || f.Permanent != c.permanent || f.After != c.wait {
			t.Errorf("%d %s: %+v", c.status, c.after, f)
		}
		if strings.Contains(err.Error(), "secret") || !strings.Contains(err.Error(), fmt.Sprint(c.status)) {
			t.Errorf("%d: %v", c.status, err)
		}
	}
	if got := retryAfter("Mon, 02 Jan 2006 15:04:05 GMT", time.Date(2006, 1, 2, 15, 3, 5, 0, time.UTC)); got != time.Minute {
		t.Errorf("a date in a minute is %v", got)
	}
}

// TestRefusesPrivate: by number, by name, and after a redirect, which is not
// followed.
func TestRefusesPrivate(t *testing.T) {
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked++ }))
	defer server.Close()
	closed, err := NewClient(ClientConfig{})
	if err != nil {
		t.Fatal(err)
	}
	port := server.URL[strings.LastIndex(server.URL, ":"):]
	for _, host := range []string{"127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0x7f.1", "127.1", "2130706433"} {
		err := deliver(t, Config{URL: "http://" + host + port + "/", Client: closed}, &outbox.Note{})
		if err == nil {
			t.Errorf("%s was posted to", host)
		}
		var no *Refused
		if host == "127.0.0.1" || host == "localhost" {
			var f *outbox.Failure
			if !errors.As(err, &no) && !errors.As(err, &f) {
				t.Errorf("%s: %v", host, err)
			}
		}
	}
	// A proxy decides about names; numbers are still judged here.
	proxied, err := NewClient(ClientConfig{Proxy: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	if err := deliver(t, Config{URL: "http://169.254.169.254/", Client: proxied}, &outbox.Note{}); err == nil {
		t.Error("metadata by the proxy")
	}
	if asked != 0 {
		t.Errorf("the server was asked %d times", asked)
	}
	if err := deliver(t, Config{URL: "http://hook.example.org/", Client: proxied}, &outbox.Note{}); err != nil || asked != 1 {
		t.Errorf("by the proxy: %v, asked %d", err, asked)
	}
	t.Setenv("HTTP_PROXY", server.URL)
	if err := deliver(t, Config{URL: "http://hook.invalid/", Client: closed}, &outbox.Note{}); err == nil || asked != 1 {
		t.Errorf("by the environment's proxy: %v, asked %d", err, asked)
	}
}

// TestSlowAndLarge: a receiver costs the timeout and a few KB at most.
func TestSlowAndLarge(t *testing.T) {
	release := make(chan struct{})
	var large atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !large.Load() {
			_, _ = io.Copy(io.Discard, r.Body)
			select {
			case <-release:
			case <-r.Context().Done():
			}
			return
		}
		w.WriteHeader(500)
		for range 1000 {
			if _, err := w.Write(make([]byte, 64<<10)); err != nil {
				return // it has been hung up on
			}
		}
		t.Error("64 MB were read")
	}))
	defer server.Close()
	client := local(t, func(c *ClientConfig) { c.Timeout = 50 * time.Millisecond })
	err := deliver(t, Config{URL: server.URL, Client: client}, &outbox.Note{Value: []byte("{}")})
	if err == nil || !strings.Contains(err.Error(), "no answer within 50ms") {
		t.Error(err)
	}
	close(release)
	large.Store(true)
	if err := deliver(t, Config{URL: server.URL, Client: local(t)}, &outbox.Note{Value: []byte("{}")}); err == nil || len(err.Error()) > 1000 {
		t.Errorf("%.100v", err)
	}
}

// TestTLS: a certificate that nobody vouches for is refused, and may be mended.
func TestTLS(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("asked") }))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // of the handshake that is meant to fail
	server.StartTLS()
	defer server.Close()
	err := deliver(t, Config{URL: server.URL, Client: local(t)}, &outbox.Note{Value: []byte("{}")})
	var f *outbox.Failure
	if err == nil || errors.As(err, &f) && f.Permanent {
		t.Error(err)
	}
}

// TestNewRefuses what cannot be sent, and shows no secret.
func TestNewRefuses(t *testing.T) {
	for _, c := range []Config{
		{URL: ""}, {URL: "ftp://x/"}, {URL: "https:///hook"}, {URL: "https://x/", Headers: map[string]string{"webhook-id": "1"}},
		{URL: "https://x/", Headers: map[string]string{"host": "y"}}, {URL: "https://x/", Headers: map[string]string{"a b": "1"}},
		{URL: "https://x/", Headers: map[string]string{"A": "s3cret\r\nB: 2"}}, {URL: "https://x/", Secrets: []string{"s3cret"}}, {URL: "https://x/", Secrets: []string{"whsec_s3cret!"}},
	} {
		if _, err := New(c); err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%+v: %v", c, err)
		}
	}
}
