package pipelines

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestDocs loads every pipeline that the README and docs show whole, and runs
// its tests. A block that begins otherwise is a piece of one.
func TestDocs(t *testing.T) {
	var files []string
	for _, pattern := range []string{"../README.md", "../docs/*.md", "../docs/*/*.md"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	blocks := 0
	for _, file := range files {
		if filepath.Base(file) == "lint.md" {
			continue // its examples are wrong on purpose, and have a test of their own
		}
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for i, block := range strings.Split(string(data), "```yaml\n")[1:] {
			text, _, _ := strings.Cut(block, "```")
			if !strings.HasPrefix(text, "version: 1") {
				continue
			}
			blocks++
			t.Run(fmt.Sprintf("%s/%d", filepath.Base(file), i+1), func(t *testing.T) { checkDoc(t, file, text) })
		}
	}
	if blocks < 2 {
		t.Errorf("%d pipelines in the docs", blocks)
	}
}

func checkDoc(t *testing.T, file, text string) {
	set, diags := LoadBytes(filepath.Base(file), []byte(text), nil)
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
