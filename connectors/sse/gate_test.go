package sse

import (
	"maps"
	"net/http"
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
