package main

import (
	"encoding/json"
	"maps"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/leatstream/leat/connectors/sse/access"
	"github.com/leatstream/leat/connectors/webhook"
	"github.com/leatstream/leat/connectors/webpush"
	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/pipelines"
)

// The document of the API has what the gate and web push answer beside the hub,
// and nothing that nobody does. The hub's own part is held by its own test.
func TestOpenAPIHasWhatStandsBesideTheHub(t *testing.T) {
	hub, gate, err := newHub(pipelines.Config{Serve: pipelines.Serve{Access: access.Config{Auth: tokenAuth()}}}, engine.NewMetrics(), quiet)
	if err != nil {
		t.Fatal(err)
	}
	posts, err := webhook.NewClient(pipelines.Alerts{}.Client)
	if err != nil {
		t.Fatal(err)
	}
	private, err := webpush.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	cfg := pipelines.Alerts{}
	cfg.Push.PrivateKey, cfg.Push.Subject = private, "mailto:ops@example.org"
	p, err := newPush(cfg, posts, nil, quiet)
	if err != nil {
		t.Fatal(err)
	}
	served := slices.Sorted(slices.Values(append(gate.Patterns(), slices.Collect(maps.Keys(p.pusher.Routes()))...)))

	r := httptest.NewRequest("GET", "http://localhost/v1/openapi.json", nil)
	r.Header.Set("Authorization", "Bearer test")
	w := httptest.NewRecorder()
	hub.Handler().ServeHTTP(w, r)
	var doc struct{ Paths map[string]map[string]any }
	if err := json.Unmarshal(w.Body.Bytes(), &doc); err != nil || w.Code != 200 {
		t.Fatalf("%d %v", w.Code, err)
	}
	var described []string
	for path, item := range doc.Paths {
		if strings.HasPrefix(path, "/auth/") || strings.HasPrefix(path, "/v1/push/") {
			for method := range item {
				described = append(described, strings.ToUpper(method)+" "+path)
			}
		}
	}
	slices.Sort(described)
	if !slices.Equal(served, described) {
		t.Errorf("served\n%s\ndescribed\n%s", strings.Join(served, "\n"), strings.Join(described, "\n"))
	}
}
