package webpush

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// Routes are what the pusher answers, by pattern.
func (p *Pusher) Routes() map[string]http.Handler {
	return map[string]http.Handler{
		"GET /v1/push/key":              http.HandlerFunc(p.serveKey),
		"POST /v1/push/subscriptions":   p.own(p.serveAdd),
		"DELETE /v1/push/subscriptions": p.own(p.serveRemove),
	}
}

// own refuses what another site's page has the browser send.
func (p *Pusher) own(next http.HandlerFunc) http.Handler {
	return http.NewCrossOriginProtection().Handler(next)
}

func (p *Pusher) serveKey(w http.ResponseWriter, r *http.Request) {
	body := map[string]any{"key": p.o.Keys.Public()}
	if pipeline := r.URL.Query().Get("pipeline"); pipeline != "" && p.o.Sinks != nil {
		sinks := []string{}
		for _, sink := range p.o.Sinks(pipeline) {
			if p.may(r, pipeline, sink) {
				sinks = append(sinks, sink)
			}
		}
		if len(sinks) == 0 {
			refuse(w, http.StatusNotFound, "this pipeline pushes nothing")
			return
		}
		body["sinks"] = sinks
	}
	answer(w, http.StatusOK, body)
}

func (p *Pusher) may(r *http.Request, pipeline, sink string) bool {
	return p.o.May == nil || p.o.May(r, pipeline, sink)
}

// asked is the body of both requests: what PushSubscription.toJSON gives, and
// for what.
type asked struct {
	Pipeline     string `json:"pipeline"`
	Sink         string `json:"sink"`
	Subscription struct {
		Endpoint string `json:"endpoint"`
		Keys     struct {
			P256dh string `json:"p256dh"`
			Auth   string `json:"auth"`
		} `json:"keys"`
	} `json:"subscription"`
}

func (p *Pusher) read(w http.ResponseWriter, r *http.Request) (Subscription, bool) {
	const most = 8 << 10 // bytes
	var a asked
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, most)).Decode(&a); err != nil {
		refuse(w, http.StatusBadRequest, "want {pipeline, sink, subscription} as JSON")
		return Subscription{}, false
	}
	const mostName = 128 // bytes
	if a.Pipeline == "" || len(a.Pipeline) > mostName || len(a.Sink) > mostName {
		refuse(w, http.StatusBadRequest, "name the pipeline")
		return Subscription{}, false
	}
	s := Subscription{Pipeline: a.Pipeline, Sink: a.Sink, Endpoint: a.Subscription.Endpoint, P256dh: a.Subscription.Keys.P256dh, Auth: a.Subscription.Keys.Auth, At: time.Now().UnixMilli()}
	if p.o.Name != nil {
		s.Name = p.o.Name(r)
	}
	return s, true
}

func (p *Pusher) serveAdd(w http.ResponseWriter, r *http.Request) {
	s, ok := p.read(w, r)
	if !ok {
		return
	}
	if !p.may(r, s.Pipeline, s.Sink) {
		refuse(w, http.StatusForbidden, "these alerts are not for you")
		return
	}
	p.finish(w, p.o.Store.Add(r.Context(), s))
}

// serveRemove needs no right: who knows an endpoint, which is a secret between
// browser and push service, may end it.
func (p *Pusher) serveRemove(w http.ResponseWriter, r *http.Request) {
	if s, ok := p.read(w, r); ok {
		p.finish(w, p.o.Store.Remove(r.Context(), s))
	}
}

func (p *Pusher) finish(w http.ResponseWriter, err error) {
	switch {
	case err == nil:
		answer(w, http.StatusOK, map[string]any{})
	case errors.Is(err, errBusy):
		p.o.Log.Warn("web push", "err", err)
		w.Header().Set("Retry-After", "5")
		refuse(w, http.StatusServiceUnavailable, errBusy.Error())
	default:
		refuse(w, http.StatusBadRequest, fmt.Sprint(err))
	}
}

func refuse(w http.ResponseWriter, status int, text string) {
	answer(w, status, map[string]any{"status": status, "error": text})
}

func answer(w http.ResponseWriter, status int, body any) {
	b, err := json.Marshal(body)
	if err != nil {
		b, status = []byte(`{"error":"encode the answer"}`), http.StatusInternalServerError
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n'))
}
