package main

import (
	"net/http"
	"testing"

	"github.com/leatstream/leat/connectors/webpush"
	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/pipelines"
)

// A pipeline with web_push sinks and no view is served, too: else no browser could
// ask for its alerts. Without a key for web push there is nothing to serve.
func TestAlertsAreServedWithoutViews(t *testing.T) {
	_, broker := startBroker(t, nil)
	key, err := webpush.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"", key} {
		p := &process{log: quiet, broker: broker, worker: "w", flags: runFlags{on: listening{http: "127.0.0.1:0", admin: "127.0.0.1:0"}}, jobs: []*job{{topo: &engine.Topology{Pipeline: "shop"}}}}
		p.config.Alerts.Push = pipelines.Push{PrivateKey: key, Subject: "mailto:ops@example.org"}
		if _, err := p.deliverer(pipelines.Outbox{Pipeline: "shop", Sink: "phones", Kind: "web_push"}); err != nil {
			t.Fatal(err)
		}
		if err := p.listen(engine.NewMetrics()); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(p.serve.close)
		if served := p.serve.live != nil; served != (key != "") {
			t.Fatalf("with the key %q: served is %v", key, served)
		}
		if key == "" {
			continue
		}
		go func() { _ = p.serve.live.Serve(p.serve.liveL) }()
		for path, want := range map[string]int{"/v1/push/key?pipeline=shop": 200, "/v1/dashboards/shop": 200, "/d/shop": 200, "/v1/push/key?pipeline=other": 404} {
			r, err := http.Get("http://" + p.serve.liveL.Addr().String() + path)
			if err != nil {
				t.Fatal(err)
			}
			r.Body.Close()
			if r.StatusCode != want {
				t.Errorf("%s: %d", path, r.StatusCode)
			}
		}
		p.serve.live.Close()
	}
}
