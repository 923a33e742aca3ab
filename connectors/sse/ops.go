package sse

import "net/http"

// The operators' page says how the workers are: tasks, lag, restores, dead
// letters. It is served on the admin address, which is loopback by default
// (OpsHandler), and on the public one only to whom the gate lets: an Operator
// gate. The open gate is none: who lets anybody look at views does not mean
// the insides.

// Operator is a Gate that also knows who may see the insides of the workers.
type Operator interface {
	// Operate tells whether a viewer may see the operators' page.
	Operate(v *Viewer) bool
}

// OpsHandler serves the operators' page, its files and GET /v1/ops without
// asking the gate: for an address that only operators reach.
func (h *Hub) OpsHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /ops", servePage("ops"))
	mux.HandleFunc("GET /assets/{file...}", serveAsset)
	mux.HandleFunc("GET /v1/ops", h.answerOps)
	return h.guard(mux)
}

// operators lets only operators through; for others there is nothing here.
func (h *Hub) operators(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if o, ok := h.opts.Gate.(Operator); !ok || !o.Operate(ViewerOf(r.Context())) {
			refuse(w, http.StatusNotFound, "there is nothing here for you; the operators' page is on the admin address")
			return
		}
		next(w, r)
	}
}

func (h *Hub) answerOps(w http.ResponseWriter, r *http.Request) {
	if h.opts.Ops == nil {
		refuse(w, http.StatusNotFound, "this server runs no workers")
		return
	}
	answer(w, h.opts.Ops(r.Context()))
}
