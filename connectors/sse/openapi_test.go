package sse

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// Every path of the API stands in the document, and nothing else does.
func TestOpenAPIHasEveryRoute(t *testing.T) {
	pages := []string{"GET /{$}", "GET /d/{pipeline}", "GET /assets/{file...}", "GET /ops"} // for browsers
	var listed []string
	for _, rt := range routes {
		listed = append(listed, rt.pattern)
	}
	served := NewHub(Options{}).routed().patterns
	for _, p := range served {
		if !slices.Contains(listed, p) && !slices.Contains(pages, p) {
			t.Errorf("%s is served and not described in routes.go", p)
		}
	}
	for _, p := range listed {
		if !slices.Contains(served, p) {
			t.Errorf("%s is described in routes.go and not served", p)
		}
	}
	var doc struct {
		OpenAPI    string
		Paths      map[string]map[string]struct{ OperationID string }
		Components struct{ Schemas map[string]any }
	}
	w := get(NewHub(Options{}).Handler(), "/v1/openapi.json")
	if err := json.Unmarshal(w.Body.Bytes(), &doc); err != nil || w.Code != 200 || doc.OpenAPI != "3.1.0" {
		t.Fatalf("%d %v %s", w.Code, err, doc.OpenAPI)
	}
	ids := map[string]bool{}
	for _, rt := range beside {
		listed = append(listed, rt.pattern)
	}
	operations := 0
	for _, item := range doc.Paths {
		operations += len(item)
	}
	if operations != len(listed) {
		t.Errorf("the document has %d operations, the tables %d", operations, len(listed))
	}
	for _, p := range listed {
		method, path, _ := strings.Cut(p, " ")
		op, ok := doc.Paths[path][strings.ToLower(method)]
		if !ok || op.OperationID == "" || ids[op.OperationID] {
			t.Errorf("%s: operation %q, there %v, twice %v", p, op.OperationID, ok, ids[op.OperationID])
		}
		ids[op.OperationID] = true
	}
	for part := range strings.SplitSeq(w.Body.String(), `"$ref": "#/components/schemas/`) {
		if name, _, _ := strings.Cut(part, `"`); !strings.HasPrefix(part, "{") && doc.Components.Schemas[name] == nil {
			t.Errorf("schema %q is referred to and not there", name)
		}
	}
}

// The insides are for operators: nobody is one by default.
func TestOpsAreForOperators(t *testing.T) {
	h := NewHub(Options{})
	for _, path := range []string{"/ops", "/v1/ops"} {
		if w := get(h.Handler(), path); w.Code != http.StatusNotFound {
			t.Errorf("%s on the public address: %d", path, w.Code)
		}
	}
	if w := get(h.OpsHandler(), "/ops"); w.Code != http.StatusOK {
		t.Errorf("on the admin address: %d", w.Code)
	}
}
