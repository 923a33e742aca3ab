package operators

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestKinds walks the table: sorted, documented, findable, each verb with its
// manual in testdata, and no manual without a verb.
func TestKinds(t *testing.T) {
	var names []string
	for i, k := range Kinds() {
		if i > 0 && Kinds()[i-1].Name >= k.Name {
			t.Errorf("%q is not in order", k.Name)
		}
		if !strings.HasSuffix(k.Doc, ".") {
			t.Errorf("%q has no sentence for users", k.Name)
		}
		if found, ok := Lookup(k.Name); !ok || found.Doc != k.Doc {
			t.Errorf("%q is not found", k.Name)
		}
		if _, err := os.Stat(filepath.Join("testdata", k.Name+".txt")); err != nil {
			t.Errorf("%q has no manual: %v", k.Name, err)
		}
		names = append(names, k.Name)
	}
	if _, ok := Lookup("Filter"); ok {
		t.Error("names are exact")
	}
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		// aggregate.txt, aggregate-late.txt, …
		name, _, _ := strings.Cut(strings.TrimSuffix(filepath.Base(f), ".txt"), "-")
		// What several verbs share has manuals of its own.
		if !slices.Contains(names, name) && !slices.Contains([]string{"window", "join", "table", "alert", "quiet"}, name) {
			t.Errorf("%s is the manual of no verb", f)
		}
	}
}
