package access

import (
	"cmp"
	"crypto/rand"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/leatstream/leat/connectors/sse"
)

// A ticket lets one request in, at one path, within seconds: for clients that
// can send neither headers nor our cookie, as an EventSource on another site's
// page. It is sealed, so each node with the same session keys takes it; that
// it was used is known to the node that took it.

// issued is what POST /auth/ticket answers.
type issued struct {
	Ticket  string `json:"ticket"`
	Expires string `json:"expires"` // RFC 3339: use it before
}

// serveTicket makes a ticket for whoever is signed in, for the path in the
// body {"path"} or in ?path=.
func (g *Gate) serveTicket(w http.ResponseWriter, r *http.Request) {
	v, err := g.viewer(r)
	if err == nil && v == nil {
		err = errNobody
	}
	if err != nil {
		g.unknown(w, r, err)
		return
	}
	if wait, ok := g.names.allow(v.Name); !ok {
		g.slow(w, r, wait)
		return
	}
	path, ok := pathOf(w, r)
	if !ok {
		refuse(w, http.StatusBadRequest, `say what the ticket is for: {"path": "/live/pipeline/sink"}; it may begin with /live/ or /v1/`)
		return
	}
	until := g.opts.Now().Add(g.auth.Ticket)
	if !v.Expires.IsZero() && v.Expires.Before(until) {
		until = v.Expires
	}
	text, err := g.grant(forTicket, v, func(t *grant) {
		t.ID, t.Path, t.Until = rand.Text(), path, until.Unix()
	})
	if err == nil && len(text) > maxCookie {
		refuse(w, http.StatusUnprocessableEntity, "the token's claims are too long for a URL: name those that are needed in auth.claims")
		return
	}
	if err != nil {
		refuse(w, http.StatusInternalServerError, err.Error())
		return
	}
	answer(w, http.StatusOK, issued{text, until.UTC().Format(time.RFC3339)})
}

// pathOf is the path that a ticket is asked for, without a query.
func pathOf(w http.ResponseWriter, r *http.Request) (string, bool) {
	body, err := posted(w, r, "path")
	if err != nil {
		return "", false
	}
	path := cmp.Or(r.URL.Query().Get("path"), body)
	path, _, _ = strings.Cut(path, "?")
	return path, strings.HasPrefix(path, "/live/") || strings.HasPrefix(path, "/v1/")
}

// redeem lets the holder of a ticket in, once.
func (g *Gate) redeem(text, path string) (*sse.Viewer, error) {
	var t grant
	if err := g.sealer.open(forTicket, text, &t); err != nil {
		return nil, wrong("the ticket is not known here")
	}
	now, until := g.opts.Now(), time.Unix(t.Until, 0)
	if !now.Before(until) {
		return nil, wrong("the ticket has expired")
	}
	if t.Path != path {
		return nil, wrong("the ticket was made for another path")
	}
	v, err := t.viewer()
	if err != nil {
		return nil, wrong("the ticket is not known here")
	}
	if !v.Expires.IsZero() && !now.Before(v.Expires) {
		return nil, wrong("the ticket has expired")
	}
	if !g.used.take(t.ID, until, now) {
		return nil, wrong("the ticket was used before")
	}
	return v, nil
}

// used remembers tickets until they have expired. Only who is signed in can
// make them, at their rate, so it needs no bound of its own.
type used struct {
	mu    sync.Mutex
	until map[string]time.Time
	swept time.Time
}

func newUsed() *used { return &used{until: map[string]time.Time{}} }

func (u *used) take(id string, until, now time.Time) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if now.Sub(u.swept) >= time.Second {
		u.swept = now
		for id, until := range u.until {
			if !now.Before(until) {
				delete(u.until, id)
			}
		}
	}
	if _, again := u.until[id]; again {
		return false
	}
	u.until[id] = until
	return true
}
