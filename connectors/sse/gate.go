package sse

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/leatstream/leat/engine"
)

// Viewer is who asks. Gates make them; nil is nobody in particular.
type Viewer struct {
	// Name tells viewers apart: for caps, presence and logs.
	Name string
	// Claims are what is known of them, as their token says.
	Claims map[string]any
	// Expires is when this stops being true: their streams end then. Zero: never.
	Expires time.Time
}

// Gate decides who may look at what; connectors/sse/access has one. Its methods
// are called from the handlers' goroutines.
type Gate interface {
	// Wrap stands in front of everything that the hub serves: it finds out who
	// asks (WithViewer), and refuses who may not be here at all. What it wraps a
	// ResponseWriter in must have an Unwrap method.
	Wrap(next http.Handler) http.Handler
	// View tells whether a viewer may read a view ("pipeline/sink"), and which
	// rows: an expression over the view's columns and `claims`; "" is all.
	View(v *Viewer, view string) (where string, ok bool)
	// Enter counts a viewer's live stream in; ok is false where they have too
	// many. The stream calls leave when it ends.
	Enter(v *Viewer) (leave func(), ok bool)
}

// Compile makes a filter of an expression over a view's columns, and over
// claims where they are not nil. keep is called from many goroutines, with a
// row as a JSON object; a row that the expression fails on is not kept.
type Compile func(view engine.ViewSpec, where string, claims map[string]any) (keep func(row []byte) bool, err error)

type viewerKey struct{}

// WithViewer tells a request's handlers who asks.
func WithViewer(ctx context.Context, v *Viewer) context.Context {
	return context.WithValue(ctx, viewerKey{}, v)
}

// ViewerOf is who asks; nil: nobody in particular.
func ViewerOf(ctx context.Context) *Viewer {
	v, _ := ctx.Value(viewerKey{}).(*Viewer)
	return v
}

// Probing tells whether a request is CheckMiddleware's: a gate lets it pass.
// Nothing that comes over a network can be one.
func Probing(r *http.Request) bool {
	_, ok := r.Context().Value(probeKey{}).(*probe)
	return ok
}

// open is the gate of a server that anybody may ask.
type open struct{}

func (open) Wrap(next http.Handler) http.Handler { return next }

func (open) View(*Viewer, string) (string, bool) { return "", true }

func (open) Enter(*Viewer) (func(), bool) { return func() {}, true }

// admitted finds the view of a request for whoever asks; where it gives nil it
// has answered. A view that a viewer may not see is not there for them.
func (h *Hub) admitted(w http.ResponseWriter, r *http.Request) (v *view, where string) {
	name := r.PathValue("pipeline") + "/" + r.PathValue("sink")
	v = h.view(name)
	if v != nil {
		var ok bool
		if where, ok = h.opts.Gate.View(ViewerOf(r.Context()), name); ok {
			return v, where
		}
	}
	h.noView(w, r)
	return nil, ""
}

// visible lists the views that whoever asks may see, sorted.
func (h *Hub) visible(r *http.Request) []string {
	var names []string
	for _, name := range h.names() {
		if _, ok := h.opts.Gate.View(ViewerOf(r.Context()), name); ok {
			names = append(names, name)
		}
	}
	return names
}

// filterOf is what a request asks for (key=, where=) and what its viewer may
// see (right). A mistake of the asker is an error for them to read.
func (h *Hub) filterOf(r *http.Request, v *view, right string) (filter, error) {
	f, err := parseFilter(v.spec, r.URL.Query()["key"])
	if err != nil {
		return filter{}, err
	}
	if asked := r.URL.Query().Get("where"); asked != "" {
		if h.opts.Compile == nil {
			return filter{}, fmt.Errorf("where=: this server does not take expressions")
		}
		if f.asked, err = h.opts.Compile(v.spec, asked, nil); err != nil {
			return filter{}, fmt.Errorf("where=%s: %w", asked, err)
		}
		f.canon += "\x01" + asked
	}
	if right != "" {
		viewer := ViewerOf(r.Context())
		claims := map[string]any{}
		if viewer != nil && viewer.Claims != nil {
			claims = mentioned(viewer.Claims, right)
		}
		if h.opts.Compile == nil {
			return filter{}, fmt.Errorf("read the view: this server cannot tell which rows are yours")
		}
		if f.right, err = h.opts.Compile(v.spec, right, claims); err != nil {
			h.log.Error("a view's row filter does not compile", "view", v.name, "where", right, "err", err)
			return filter{}, fmt.Errorf("read the view: this server cannot tell which rows are yours")
		}
		f.canon += "\x02" + right + "\x02" + canonical(claims)
	}
	return f, nil
}

// mentioned keeps the claims whose names stand in an expression: people who
// differ in nothing else see the same rows and share their encoding, and a row
// is not held against all that is known of somebody. A name that an expression
// puts together is not there for it.
func mentioned(claims map[string]any, where string) map[string]any {
	kept := map[string]any{}
	for name, value := range claims {
		if strings.Contains(where, name) {
			kept[name] = value
		}
	}
	return kept
}
