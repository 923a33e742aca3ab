package pipelines

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestDocs loads every pipeline that the README and docs show whole, and runs
// its tests; a block of tests is of the pipeline before it. A block that begins
// otherwise is a piece of one.
func TestDocs(t *testing.T) {
	var files []string
	for _, pattern := range []string{"../README.md", "../docs/*.md", "../docs/*/*.md"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	blocks, tests := 0, 0
	for _, file := range files {
		if filepath.Base(file) == "lint.md" {
			continue // its examples are wrong on purpose, and have a test of their own
		}
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		pipeline := ""
		for i, block := range strings.Split(string(data), "```yaml\n")[1:] {
			text, _, _ := strings.Cut(block, "```")
			if strings.HasPrefix(text, "pipeline: ") && pipeline != "" {
				tests++
				t.Run(fmt.Sprintf("%s/%d", filepath.Base(file), i+1), func(t *testing.T) { checkTests(t, pipeline, text) })
			}
			if !strings.HasPrefix(text, "version: 1") {
				continue
			}
			blocks++
			pipeline = text
			t.Run(fmt.Sprintf("%s/%d", filepath.Base(file), i+1), func(t *testing.T) { checkDoc(t, file, text) })
		}
	}
	if blocks < 2 || tests < 1 {
		t.Errorf("%d pipelines and %d files of tests in the docs", blocks, tests)
	}
}

func checkTests(t *testing.T, pipeline, tests string) {
	file := filepath.Join(t.TempDir(), "shown.yaml")
	for name, text := range map[string]string{file: pipeline, strings.TrimSuffix(file, ".yaml") + "_test.yaml": tests} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	set, diags := Load([]string{file}, nil)
	diags = append(diags, LoadTests(set, TestFiles(set), nil)...)
	runShown(t, set, diags)
}

func checkDoc(t *testing.T, file, text string) {
	set, diags := LoadBytes(filepath.Base(file), []byte(text), nil)
	runShown(t, set, diags)
}

func runShown(t *testing.T, set *Set, diags Diagnostics) {
	if diags.Errors() > 0 {
		var b strings.Builder
		_ = diags.Write(&b, false)
		t.Fatal(b.String())
	}
	for _, p := range set.Pipelines {
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
}
