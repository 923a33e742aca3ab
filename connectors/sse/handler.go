package sse

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/leatstream/leat/engine"
)

// Handler serves everything a browser or an API client asks of this room:
//
//	/                                  index of dashboards
//	/d/{pipeline}                      a dashboard
//	/assets/…                          the page's own files
//	/live/{pipeline}/{sink}            a view as an event stream
//	/live/{pipeline}/{sink}/poll, …/ws the same by long polling, and over a WebSocket
//	/v1/views, /v1/views/{p}/{s}       the views, and one's rows now
//	/v1/dashboards, /v1/dashboards/{p} the dashboards, and one's panels
//	/v1/openapi.json                   all of these, described
//
// What wraps it must give its ResponseWriter an Unwrap method: CheckMiddleware
// tells whether it does.
func (h *Hub) Handler() http.Handler {
	return h.guard(h.opts.Gate.Wrap(h.routed()))
}

// routed is what Handler serves, without what stands in front of it. A path
// of the API stands in the table of routes, too (routes.go).
func (h *Hub) routed() *router {
	mux := &router{ServeMux: http.NewServeMux()}
	mux.HandleFunc("GET /live/{pipeline}/{sink}", h.serveLive)
	mux.HandleFunc("GET /live/{pipeline}/{sink}/poll", h.servePoll)
	mux.HandleFunc("GET /live/{pipeline}/{sink}/ws", h.serveSocket)
	mux.HandleFunc("GET /v1/views", h.serveViews)
	mux.HandleFunc("GET /v1/views/{pipeline}/{sink}", h.serveRows)
	mux.HandleFunc("GET /v1/dashboards", h.serveBoards)
	mux.HandleFunc("GET /v1/dashboards/{pipeline}", h.serveBoard)
	mux.HandleFunc("GET /v1/presence/{pipeline}/{sink}", h.servePresence)
	mux.HandleFunc("GET /v1/ops", h.operators(h.answerOps))
	mux.HandleFunc("GET /ops", h.operators(servePage("ops")))
	mux.HandleFunc("GET /v1/openapi.json", h.serveOpenAPI)
	mux.HandleFunc("GET /{$}", servePage("index"))
	mux.HandleFunc("GET /d/{pipeline}", servePage("dashboard"))
	mux.HandleFunc("GET /assets/{file...}", serveAsset)
	h.mu.Lock()
	defer h.mu.Unlock()
	for pattern, handler := range h.extra {
		mux.ServeMux.Handle(pattern, handler)
	}
	return mux
}

// guard is in front of everything: the Host check, and the headers that keep
// a browser from mixing our pages with anybody else's.
func (h *Hub) guard(next http.Handler) http.Handler {
	frames := strings.Join(append([]string{"'self'"}, h.opts.FrameAncestors...), " ")
	policy := "default-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors " + frames + "; object-src 'none'"
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Content-Security-Policy", policy)
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("Cross-Origin-Resource-Policy", "same-origin")
		header.Set("Cache-Control", "no-store")
		if !h.knownHost(r.Host) {
			refuse(w, http.StatusMisdirectedRequest, fmt.Sprintf("this server is not asked as %q: name it in hosts", r.Host))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// knownHost tells whether a request may name us so. An address cannot be
// rebound, a name can.
func (h *Hub) knownHost(host string) bool {
	name := host
	if n, _, err := net.SplitHostPort(host); err == nil {
		name = n
	}
	name = strings.ToLower(strings.TrimSuffix(strings.Trim(name, "[]"), "."))
	if name == "localhost" || net.ParseIP(name) != nil {
		return true
	}
	return slices.ContainsFunc(h.opts.Hosts, func(allowed string) bool {
		return allowed == "*" || strings.EqualFold(allowed, name) || strings.EqualFold(allowed, host)
	})
}

// viewInfo is a view in GET /v1/views.
type viewInfo struct {
	Name     string              `json:"name"`
	Pipeline string              `json:"pipeline"`
	Sink     string              `json:"sink"`
	Stream   string              `json:"stream"`
	Schema   []engine.ViewColumn `json:"schema"`
	Key      []string            `json:"key"`
	Windowed bool                `json:"windowed"`
	Appends  bool                `json:"appends"` // rows without a key
}

func (h *Hub) infos(r *http.Request, pipeline string) []viewInfo {
	infos := []viewInfo{}
	for _, name := range h.visible(r) {
		v := h.view(name)
		if v == nil || pipeline != "" && v.spec.Pipeline != pipeline {
			continue
		}
		s := v.spec
		infos = append(infos, viewInfo{s.Name, s.Pipeline, s.Sink, "/live/" + s.Pipeline + "/" + s.Sink, s.Columns, s.KeyColumns, s.Windowed, s.Stream})
	}
	return infos
}

func (h *Hub) serveViews(w http.ResponseWriter, r *http.Request) { answer(w, h.infos(r, "")) }

// boardInfo is a dashboard in GET /v1/dashboards.
type boardInfo struct {
	Pipeline    string          `json:"pipeline"`
	Title       string          `json:"title"`
	Description string          `json:"description,omitempty"` // the pipeline's
	Dashboard   json.RawMessage `json:"dashboard,omitempty"`
	Views       []viewInfo      `json:"views"`
}

func (h *Hub) board(r *http.Request, pipeline string) (boardInfo, bool) {
	h.mu.Lock()
	b := h.boards[pipeline]
	h.mu.Unlock()
	if b == nil {
		return boardInfo{}, false
	}
	info := boardInfo{Pipeline: pipeline, Title: b.title, Dashboard: b.dashboard, Views: h.infos(r, pipeline)}
	alerts := slices.ContainsFunc(b.alerts, func(sink string) bool {
		rows, ok := h.opts.Gate.View(ViewerOf(r.Context()), pipeline+"/"+sink)
		return ok && rows == ""
	})
	if len(info.Views) == 0 && !alerts && h.opts.Gate != (open{}) {
		return boardInfo{}, false
	}
	var told struct {
		Title       string `json:"title"`
		Description string `json:"description"`
	}
	if json.Unmarshal(b.dashboard, &told) == nil {
		info.Title, info.Description = cmp.Or(told.Title, info.Title), told.Description
	}
	if info.Title == "" {
		info.Title = pipeline
	}
	return info, true
}

func (h *Hub) serveBoards(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	names := slices.Sorted(maps.Keys(h.boards))
	h.mu.Unlock()
	list := []boardInfo{}
	for _, name := range names {
		if b, ok := h.board(r, name); ok {
			b.Dashboard = nil
			list = append(list, b)
		}
	}
	answer(w, list)
}

func (h *Hub) serveBoard(w http.ResponseWriter, r *http.Request) {
	b, ok := h.board(r, r.PathValue("pipeline"))
	if !ok {
		refuse(w, http.StatusNotFound, fmt.Sprintf("no dashboard %q here", r.PathValue("pipeline")))
		return
	}
	answer(w, b)
}

func answer(w http.ResponseWriter, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		refuse(w, http.StatusInternalServerError, "encode the answer: "+err.Error())
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(append(b, '\n'))
}

// writable tells whether a response can be streamed: flushed at once, with a
// deadline for each write.
func writable(rc *http.ResponseController) error {
	if err := rc.SetWriteDeadline(time.Time{}); err != nil {
		return fmt.Errorf("set a write deadline: %w", err)
	}
	return nil // what has deadlines can be flushed: both are the connection's
}

// CheckMiddleware sends a request through a handler that wraps ours and tells
// whether streams would work behind it. The worker calls it before it listens.
func CheckMiddleware(h http.Handler) error {
	p := new(probe)
	ctx := context.WithValue(context.Background(), probeKey{}, p)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://localhost/live/probe/probe", nil)
	if err != nil {
		return fmt.Errorf("check the middleware: %w", err)
	}
	h.ServeHTTP(probeWriter{}, r)
	if !p.reached {
		return errors.New("check the middleware: a request did not reach the live views")
	}
	if p.err != nil {
		return fmt.Errorf("check the middleware: it hides the connection, its ResponseWriter needs an Unwrap method: %w", p.err)
	}
	return nil
}

type probeKey struct{}

type probe struct {
	reached bool
	err     error
}

// probeWriter can do what a real connection can, and drops what is written.
type probeWriter struct{}

func (probeWriter) Header() http.Header              { return http.Header{} }
func (probeWriter) WriteHeader(int)                  {}
func (probeWriter) Write(b []byte) (int, error)      { return len(b), nil }
func (probeWriter) Flush()                           {}
func (probeWriter) SetWriteDeadline(time.Time) error { return nil }
