package access

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/leatstream/leat/connectors/sse"
)

// The cookie's names. Under TLS it has the prefix by which browsers promise
// that we set it ourselves, for this host alone.
const (
	plainCookie = "leat_session"
	hostCookie  = "__Host-leat_session"
)

// maxCookie is what browsers keep of one cookie, less its attributes.
const maxCookie = 3800

// maxBody bounds what is posted to us: a token and little more.
const maxBody = 16 << 10

// own are the gate's own routes, by pattern.
func (g *Gate) own() map[string]http.HandlerFunc {
	own := map[string]http.HandlerFunc{"GET /auth/me": g.serveMe}
	if g.auth != nil {
		own["GET /auth/login"] = g.serveLogin
		own["POST /auth/session"] = g.signIn
		own["DELETE /auth/session"] = g.signOut
		own["POST /auth/ticket"] = g.serveTicket
	}
	return own
}

// Patterns lists the routes that the gate answers itself.
func (g *Gate) Patterns() []string { return slices.Sorted(maps.Keys(g.own())) }

// paths serves /auth/.
func (g *Gate) paths() http.Handler {
	mux := http.NewServeMux()
	methods := map[string][]string{}
	for pattern, serve := range g.own() {
		mux.HandleFunc(pattern, serve)
		method, path, _ := strings.Cut(pattern, " ")
		methods[path] = append(methods[path], method)
	}
	for path, allowed := range methods {
		allow := strings.Join(slices.Sorted(slices.Values(allowed)), ", ")
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Allow", allow)
			refuse(w, http.StatusMethodNotAllowed, path+" knows no "+r.Method+", but "+allow)
		})
	}
	mux.HandleFunc("/auth/", func(w http.ResponseWriter, _ *http.Request) {
		why := "there is nothing here: GET /auth/login and /auth/me, POST and DELETE /auth/session, POST /auth/ticket"
		if g.auth == nil {
			why = "nobody signs in here: the config has no auth"
		}
		refuse(w, http.StatusNotFound, why)
	})
	return mux
}

// me is who somebody is, as GET /auth/me tells them.
type me struct {
	Name    string         `json:"name"`
	Claims  map[string]any `json:"claims"`
	Expires *string        `json:"expires"` // RFC 3339; null: never
}

func meOf(v *sse.Viewer) me {
	m := me{Name: v.Name, Claims: v.Claims}
	if !v.Expires.IsZero() {
		at := v.Expires.UTC().Format(time.RFC3339)
		m.Expires = &at
	}
	return m
}

func (g *Gate) serveMe(w http.ResponseWriter, r *http.Request) {
	v, err := g.viewer(r)
	if err == nil && v == nil {
		err = errNobody
	}
	if err != nil {
		g.unknown(w, r, err)
		return
	}
	answer(w, http.StatusOK, meOf(v))
}

// session opens the cookie. Where there is none it gives nobody.
func (g *Gate) session(r *http.Request) (*sse.Viewer, error) {
	name := plainCookie
	if g.secure(r) {
		name = hostCookie
	}
	cookies := r.CookiesNamed(name)
	if len(cookies) == 0 {
		return nil, nil
	}
	if len(cookies) > 1 {
		return nil, wrong("there is more than one session cookie; sign in again")
	}
	var held grant
	if err := g.sealer.open(forSession, cookies[0].Value, &held); err != nil {
		return nil, wrong("the session is not known here; sign in again")
	}
	v, err := held.viewer()
	if err != nil {
		return nil, wrong("the session is not known here; sign in again")
	}
	if v.Expires.IsZero() || !g.opts.Now().Before(v.Expires) {
		return nil, wrong("the session has expired; sign in again")
	}
	return v, nil
}

func (g *Gate) secure(r *http.Request) bool {
	switch g.auth.Session.Secure {
	case "always":
		return true
	case "never":
		return false
	}
	return g.proxies.secure(r)
}

// signIn makes a session of a token: from the Authorization header or a JSON
// body {"token"} for programs, from a form for people.
func (g *Gate) signIn(w http.ResponseWriter, r *http.Request) {
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if kind == "application/x-www-form-urlencoded" {
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		g.signInByForm(w, r)
		return
	}
	body, err := posted(w, r, "token")
	if err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	token, given, err := bearer(r.Header)
	if err == nil && !given {
		if token = body; token == "" {
			err = wrong(`give the token as Authorization: Bearer TOKEN, or as a JSON body {"token": "TOKEN"}`)
		}
	}
	var v *sse.Viewer
	if err == nil {
		v, err = g.tokens.viewer(r.Context(), token)
	}
	if err != nil {
		g.unknown(w, r, err)
		return
	}
	held, err := g.begin(w, r, v)
	if err != nil {
		refuse(w, http.StatusUnprocessableEntity, err.Error())
		return
	}
	answer(w, http.StatusOK, meOf(held))
}

// posted is a text in the JSON object in a request's body; "" where there is no
// body, or no such text in it.
func posted(w http.ResponseWriter, r *http.Request, name string) (string, error) {
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return "", errors.New("the body is too long")
	}
	if len(bytes.TrimSpace(b)) == 0 {
		return "", nil
	}
	var object map[string]any
	if json.Unmarshal(b, &object) != nil || object == nil {
		return "", errors.New("the body is no JSON object")
	}
	text, ok := object[name].(string)
	if _, there := object[name]; there && !ok {
		return "", fmt.Errorf("%s in the body is no text", name)
	}
	return text, nil
}

func (g *Gate) signInByForm(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		g.showLogin(w, r, http.StatusBadRequest, "the form cannot be read")
		return
	}
	if r.PostForm.Has("sign_out") {
		g.end(w, r)
		http.Redirect(w, r, "/auth/login", http.StatusSeeOther)
		return
	}
	v, err := g.tokens.viewer(r.Context(), strings.TrimSpace(r.PostForm.Get("token")))
	var bad wrong
	switch {
	case errors.As(err, &bad):
		g.opts.Refused("credentials")
		g.showLogin(w, r, http.StatusUnauthorized, bad.Error())
		return
	case err != nil:
		g.opts.Log.Warn("nobody can be signed in by a token now", "err", err)
		g.showLogin(w, r, http.StatusServiceUnavailable, "the keys of the identity provider cannot be read now; try again")
		return
	}
	if _, err := g.begin(w, r, v); err != nil {
		g.showLogin(w, r, http.StatusUnprocessableEntity, err.Error())
		return
	}
	http.Redirect(w, r, local(r.PostForm.Get("next")), http.StatusSeeOther)
}

// begin sets the cookie, and gives who it is as the cookie says: it ends with
// the token, at the latest after the session's lifetime.
func (g *Gate) begin(w http.ResponseWriter, r *http.Request, v *sse.Viewer) (*sse.Viewer, error) {
	held := *v
	if end := g.opts.Now().Add(g.auth.Session.Lifetime); held.Expires.IsZero() || end.Before(held.Expires) {
		held.Expires = end
	}
	sealed, err := g.grant(forSession, &held, nil)
	if err != nil {
		return nil, err
	}
	if len(sealed) > maxCookie {
		return nil, fmt.Errorf("the token's claims take %d bytes in a cookie, %d is the most: name those that are needed in auth.claims", len(sealed), maxCookie)
	}
	g.set(w, r, sealed, int(held.Expires.Sub(g.opts.Now()).Seconds()))
	return &held, nil
}

// grant seals a viewer; more fills what only tickets have.
func (g *Gate) grant(use string, v *sse.Viewer, more func(*grant)) (string, error) {
	held, err := grantOf(v)
	if err != nil {
		return "", err
	}
	if more != nil {
		more(&held)
	}
	return g.sealer.seal(use, held)
}

func (g *Gate) set(w http.ResponseWriter, r *http.Request, value string, seconds int) {
	c := &http.Cookie{Name: plainCookie, Value: value, Path: "/", MaxAge: seconds, HttpOnly: true, SameSite: http.SameSiteStrictMode}
	if g.secure(r) {
		c.Name, c.Secure = hostCookie, true
	}
	http.SetCookie(w, c)
}

func (g *Gate) end(w http.ResponseWriter, r *http.Request) { g.set(w, r, "", -1) }

func (g *Gate) signOut(w http.ResponseWriter, r *http.Request) {
	g.end(w, r)
	w.WriteHeader(http.StatusNoContent)
}

// local is a place on this server to go on to: never another one's.
func local(next string) string {
	if len(next) < 2 || next[0] != '/' || next[1] == '/' || strings.ContainsFunc(next, func(c rune) bool { return c == '\\' || c <= ' ' || c == 0x7f }) {
		return "/"
	}
	return next
}

func answer(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		refuse(w, http.StatusInternalServerError, "encode the answer: "+err.Error())
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n'))
}

func (g *Gate) random() float64 {
	if g.opts.Random != nil {
		return g.opts.Random()
	}
	return rand.Float64()
}
