package sse

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/leatstream/leat/engine"
)

// claimsGate shows rows by a claim.
type claimsGate struct{ open }

func (claimsGate) View(*Viewer, string) (string, bool) {
	return `country == claims.country or "x" in claims["all of"]`, true
}

// Two people who differ in what the rule does not name share a filter, and so
// their encoding; two who differ in what it names do not.
func TestViewersOfTheSameRowsShareTheirEncoding(t *testing.T) {
	var given []string
	h := NewHub(Options{Gate: claimsGate{}, Compile: func(_ engine.ViewSpec, _ string, claims map[string]any) (func([]byte) bool, error) {
		given = append(given, strings.Join(slices.Sorted(maps.Keys(claims)), " "))
		return func([]byte) bool { return true }, nil
	}})
	h.Add(boardSpec(1), nil, "")
	v := h.view("orders/board")
	canon := func(claims map[string]any) string {
		t.Helper()
		r, _ := http.NewRequestWithContext(WithViewer(t.Context(), &Viewer{Name: "v", Claims: claims}), http.MethodGet, "/live/orders/board", nil)
		where, _ := h.opts.Gate.View(ViewerOf(r.Context()), "orders/board")
		f, err := h.filterOf(r, v, where)
		if err != nil {
			t.Fatal(err)
		}
		return f.canon
	}
	ann := canon(map[string]any{"sub": "ann", "iat": 1, "country": "DE", "all of": []any{"y"}})
	bob := canon(map[string]any{"sub": "bob", "iat": 2, "country": "DE", "all of": []any{"y"}})
	eve := canon(map[string]any{"sub": "eve", "iat": 3, "country": "NL", "all of": []any{"y"}})
	if ann != bob || ann == eve {
		t.Errorf("ann %q, bob %q, eve %q", ann, bob, eve)
	}
	if given[0] != "all of country" {
		t.Errorf("the filter was given the claims %s", given[0])
	}
}

// onlyGate shows the views that it names, whole.
type onlyGate struct {
	open
	name string
}

func (g onlyGate) View(_ *Viewer, view string) (string, bool) { return "", view == g.name }

// A pipeline whose alerts are pushed to browsers has a page without any view: for
// those who may have one of the alerts.
func TestAlertsHaveAPage(t *testing.T) {
	for gate, want := range map[Gate]string{nil: "shop 200", onlyGate{name: "shop/phones"}: "shop 200", onlyGate{name: "shop/other"}: " 404"} {
		h := NewHub(Options{Gate: gate})
		h.AddAlerts("shop", "Shop", []string{"phones"})
		get := func(path string) *httptest.ResponseRecorder {
			w := httptest.NewRecorder()
			h.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "http://localhost"+path, nil))
			return w
		}
		var list []boardInfo
		if err := json.Unmarshal(get("/v1/dashboards").Body.Bytes(), &list); err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, b := range list {
			got += b.Pipeline
		}
		if got += fmt.Sprintf(" %d", get("/v1/dashboards/shop").Code); got != want {
			t.Errorf("gate %v: %q, want %q", gate, got, want)
		}
	}
}
