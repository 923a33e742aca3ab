package webhook

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/leatstream/leat/connectors/outbox"
)

// names answers for all names with the addresses that it has at that moment, as a
// DNS server of somebody else's would.
type names struct {
	mu    sync.Mutex
	addrs []string
}

func (n *names) set(addrs ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.addrs = addrs
}

// serve answers one question: addresses (A) without a time to live.
func (n *names) serve(question []byte) []byte {
	n.mu.Lock()
	defer n.mu.Unlock()
	end := 12
	for question[end] != 0 {
		end += 1 + int(question[end])
	}
	end += 5 // the root, type and class
	a := append([]byte(nil), question[:end]...)
	a[2], a[3] = 0x81, 0x80
	clear(a[6:12])
	if binary.BigEndian.Uint16(question[end-4:]) != 1 {
		return a // AAAA: none
	}
	binary.BigEndian.PutUint16(a[6:], uint16(len(n.addrs)))
	for _, addr := range n.addrs {
		a = append(a, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4)
		ip := netip.MustParseAddr(addr).As4()
		a = append(a, ip[:]...)
	}
	return a
}

// resolveBy makes the process ask n for names until the test ends.
func resolveBy(t *testing.T, n *names) {
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { // ends with c
		buf := make([]byte, 512)
		for {
			_, from, err := c.ReadFrom(buf)
			if err != nil {
				return
			}
			if _, err := c.WriteTo(n.serve(buf), from); err != nil {
				return
			}
		}
	}()
	was := net.DefaultResolver
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", c.LocalAddr().String())
	}}
	t.Cleanup(func() { net.DefaultResolver = was; c.Close() })
}

// TestNamesThatChange: a name is judged by the address that is dialled, each time.
// One that pointed to a public address and now points inside is refused, also
// where it has a good address before the bad one or is a redirect's.
func TestNamesThatChange(t *testing.T) {
	var mu sync.Mutex
	var asked []string
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		asked = append(asked, r.Context().Value(http.LocalAddrContextKey).(net.Addr).(*net.TCPAddr).IP.String())
		mu.Unlock()
		if r.URL.Path == "/away" {
			http.Redirect(w, r, "http://inside.test/", http.StatusTemporaryRedirect)
		}
	})
	l, err := net.Listen("tcp4", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &httptest.Server{Listener: l, Config: &http.Server{Handler: handler}}
	server.Start()
	defer server.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	n := &names{}
	resolveBy(t, n)
	// 127.0.0.2 plays the public internet, 127.0.0.1 what is inside.
	client := local(t, func(c *ClientConfig) { c.Guard.Allow = []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")} })
	for _, c := range []struct {
		name, path string
		addrs      []string
		want       string // which address was asked
		refused    bool
	}{
		{"public", "/", []string{"127.0.0.2"}, "127.0.0.2", false},
		{"it points inside now", "/", []string{"127.0.0.1"}, "", true},
		{"inside first, the good address is left", "/", []string{"127.0.0.1", "127.0.0.2"}, "127.0.0.2", false},
		{"back again", "/", []string{"127.0.0.2"}, "127.0.0.2", false},
		{"a redirect inside is not followed", "/away", []string{"127.0.0.2", "127.0.0.1"}, "127.0.0.2", true},
	} {
		n.set(c.addrs...)
		asked = nil
		client.http.CloseIdleConnections() // else the good connection would be used again
		err := deliver(t, Config{URL: fmt.Sprintf("http://hook.test:%s%s", port, c.path), Client: client}, &outbox.Note{})
		var f *outbox.Failure
		if refused := errors.As(err, &f) && f.Permanent; refused != c.refused || !c.refused && err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if got := strings.Join(asked, " "); got != c.want {
			t.Errorf("%s: asked %q, want %q", c.name, got, c.want)
		}
	}
}
