package pipelines

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestExamples loads every pipeline of the examples folder and runs the tests
// beside it, as `leat test pipelines/examples` does.
func TestExamples(t *testing.T) {
	files, err := filepath.Glob("examples/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for _, file := range files {
		if strings.HasSuffix(file, "_test.yaml") {
			continue
		}
		count++
		t.Run(filepath.Base(file), func(t *testing.T) {
			set, diags := Load([]string{file}, nil)
			diags = append(diags, LoadTests(set, TestFiles(set), nil)...)
			if diags.Errors() > 0 {
				var b strings.Builder
				_ = diags.Write(&b, false)
				t.Fatal(b.String())
			}
			ran := 0
			for _, p := range set.Pipelines {
				ran += len(p.Tests)
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
			if ran == 0 {
				t.Error("no tests beside it")
			}
		})
	}
	if count < 22 {
		t.Errorf("%d examples", count)
	}
}
