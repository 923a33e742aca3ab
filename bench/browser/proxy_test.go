//go:build browser

package browser

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// link is a wire between the browser and a server: it can be cut, and led to
// another server.
type link struct {
	addr string

	mu    sync.Mutex
	to    string
	up    bool
	conns map[net.Conn]struct{}
}

func newLink(t *testing.T, to string) *link {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	k := &link{addr: l.Addr().String(), to: to, up: true, conns: map[net.Conn]struct{}{}}
	t.Cleanup(func() {
		l.Close()
		k.set(false)
	})
	go func() { // ends when the listener closes
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go k.carry(c)
		}
	}()
	return k
}

// carry joins a connection with the server until one side ends it.
func (k *link) carry(c net.Conn) {
	defer c.Close()
	k.mu.Lock()
	to, up := k.to, k.up
	k.mu.Unlock()
	if !up {
		return
	}
	s, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer s.Close()
	if !k.hold(c, s) {
		return
	}
	defer k.drop(c, s)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(s, c)
		s.Close()
	}()
	_, _ = io.Copy(c, s)
	c.Close()
	<-done
}

func (k *link) hold(conns ...net.Conn) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.up {
		return false
	}
	for _, c := range conns {
		k.conns[c] = struct{}{}
	}
	return true
}

func (k *link) drop(conns ...net.Conn) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, c := range conns {
		delete(k.conns, c)
	}
}

// set cuts the wire, or mends it.
func (k *link) set(up bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.up = up
	if !up {
		for c := range k.conns {
			c.Close()
		}
	}
}

// lead makes new connections go to another server.
func (k *link) lead(to string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.to = to
}

// proxy hands an answer on when it has all of it, as some company proxies do:
// an event stream never comes through.
type proxy struct{ addr string }

func newProxy(t *testing.T, to string) *proxy {
	target := &url.URL{Scheme: "http", Host: to}
	p := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host
		},
		FlushInterval: 0,
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "" {
			http.Error(w, "no upgrades here", http.StatusBadGateway)
			return
		}
		b := &buffered{header: http.Header{}}
		p.ServeHTTP(b, r)
		for name, values := range b.header {
			w.Header()[name] = values
		}
		if b.status != 0 {
			w.WriteHeader(b.status)
		}
		_, _ = io.WriteString(w, b.body.String())
	}))
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return &proxy{addr: s.Listener.Addr().String()}
}

// buffered is an answer that is kept until it is whole.
type buffered struct {
	header http.Header
	status int
	body   strings.Builder
}

func (b *buffered) Header() http.Header         { return b.header }
func (b *buffered) WriteHeader(status int)      { b.status = status }
func (b *buffered) Write(p []byte) (int, error) { return b.body.Write(p) }
