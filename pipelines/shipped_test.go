package pipelines

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestShipped loads every pipeline beside this file and runs its tests, as
// `leat test pipelines` does.
func TestShipped(t *testing.T) {
	files, err := filepath.Glob("*.yaml")
	if err != nil || len(files) < 2 {
		t.Fatalf("pipelines beside this test: %v, %v", files, err)
	}
	for _, file := range files {
		t.Run(file, func(t *testing.T) {
			if strings.HasSuffix(file, "_test.yaml") {
				return // tests of the pipeline beside it
			}
			set, diags := Load([]string{file}, nil)
			diags = append(diags, LoadTests(set, TestFiles(set), nil)...)
			if len(diags) > 0 {
				var b strings.Builder
				_ = diags.Write(&b, false)
				t.Fatalf("a shipped pipeline has no errors and no warnings:\n%s", b.String())
			}
			for _, p := range set.Pipelines {
				if len(p.Tests) == 0 {
					t.Errorf("%s has no tests", p.Name.Text)
				}
				_, err := RunTests(p, Options{}, NewMemoryDriver, func(r TestResult) {
					if len(r.Failures) > 0 {
						var b strings.Builder
						_ = r.Failures.Write(&b, false)
						t.Errorf("%s\n%s", r.Name, b.String())
					}
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
}
