package access

import (
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// origins is what pages of others may do: nothing, except those in the list.
type origins struct {
	list  []string
	cross *http.CrossOriginProtection
}

func newOrigins(list []string) (*origins, error) {
	o := &origins{list: list, cross: http.NewCrossOriginProtection()}
	for _, one := range list {
		if err := o.cross.AddTrustedOrigin(one); err != nil {
			return nil, fmt.Errorf("cors: %w", err)
		}
	}
	return o, nil
}

// What a page of a listed origin may send and read.
const (
	corsMethods = "GET, HEAD, POST, PUT, DELETE"
	corsHeaders = "Accept, Authorization, Content-Type, If-None-Match, Last-Event-ID"
	corsExposed = "ETag, Retry-After, WWW-Authenticate"
)

// pass answers preflights and refuses what a page of another origin must not
// do; done says that it has answered.
func (o *origins) pass(w http.ResponseWriter, r *http.Request) (done bool) {
	header := w.Header()
	origin := r.Header.Get("Origin")
	listed := origin != "" && slices.Contains(o.list, origin)
	if len(o.list) > 0 {
		header.Add("Vary", "Origin")
	}
	if listed {
		header.Set("Access-Control-Allow-Origin", origin)
		header.Set("Access-Control-Allow-Credentials", "true")
		header.Set("Access-Control-Expose-Headers", corsExposed)
		header.Set("Cross-Origin-Resource-Policy", "cross-origin")
	}
	if r.Method == http.MethodOptions && origin != "" && r.Header.Get("Access-Control-Request-Method") != "" {
		if !listed {
			refuse(w, http.StatusForbidden, fmt.Sprintf("pages of %s may not ask this server: it is not in cors", printable(origin)))
			return true
		}
		header.Set("Access-Control-Allow-Methods", corsMethods)
		header.Set("Access-Control-Allow-Headers", corsHeaders)
		header.Set("Access-Control-Max-Age", "600")
		w.WriteHeader(http.StatusNoContent)
		return true
	}
	if !o.same(r) {
		if origin == "" {
			origin = "another site"
		}
		refuse(w, http.StatusForbidden, fmt.Sprintf("pages of %s may not do this: it is not in cors", printable(origin)))
		return true
	}
	return false
}

// same tells whether a request that changes something, or opens a socket,
// comes from our own pages, from a listed origin, or from no browser. A
// browser asks no leave before it opens a socket elsewhere, so that is not a
// safe method.
func (o *origins) same(r *http.Request) bool {
	if headerHas(r.Header, "Upgrade", "websocket") {
		r = r.Clone(r.Context())
		r.Method = http.MethodPost
	}
	return o.cross.Check(r) == nil
}

func headerHas(h http.Header, name, token string) bool {
	for _, line := range h.Values(name) {
		for _, one := range strings.Split(line, ",") {
			if strings.EqualFold(strings.TrimSpace(one), token) {
				return true
			}
		}
	}
	return false
}

// proxies believes X-Forwarded-* of the proxies it trusts.
type proxies []netip.Prefix

func (p proxies) trust(a netip.Addr) bool {
	return slices.ContainsFunc(p, func(n netip.Prefix) bool { return n.Contains(a) })
}

// address is who asks: the peer, or what the nearest trusted proxies say is
// behind them. What stands left of the first stranger is the stranger's word.
func (p proxies) address(r *http.Request) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.IPv4Unspecified() // a pipe or a socket without address: all such are one
	}
	at := peer.Addr().Unmap()
	var hops []string
	for _, line := range r.Header.Values("X-Forwarded-For") {
		hops = append(hops, strings.Split(line, ",")...)
	}
	for i := len(hops) - 1; i >= 0 && p.trust(at); i-- {
		next, err := parseHop(strings.TrimSpace(hops[i]))
		if err != nil {
			return at
		}
		at = next
	}
	return at
}

func parseHop(s string) (netip.Addr, error) {
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.Addr().Unmap(), nil
	}
	a, err := netip.ParseAddr(strings.Trim(s, "[]"))
	return a.Unmap(), err
}

// secure tells whether the browser sees TLS: here, or at a trusted proxy.
func (p proxies) secure(r *http.Request) bool {
	if r.TLS != nil {
		return true
	}
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && p.trust(peer.Addr().Unmap()) && strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https")
}
