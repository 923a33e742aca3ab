package pipelines

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
)

// TestUpdate shows what `leat test --update` makes of failing expectations:
// testdata/update, in a file of each kind of line end. What it wrote holds,
// but for what it does not write (none).
func TestUpdate(t *testing.T) {
	datadriven.Walk(t, "testdata/update", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			unix := updated(t, runPipeline+d.Input+"\n")
			dos := updated(t, "\ufeff"+strings.ReplaceAll(runPipeline+d.Input+"\n", "\n", "\r\n"))
			if dos != "\ufeff"+strings.ReplaceAll(unix, "\n", "\r\n") {
				t.Errorf("with other line ends it is another file:\n%s", dos)
			}
			return strings.TrimPrefix(unix, runPipeline)
		})
	})
}

// updated is a file after an update.
func updated(t *testing.T, text string) string {
	file := filepath.Join(t.TempDir(), "p.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func() (edits []Edit, failures Diagnostics) {
		set, diags := Load([]string{file}, testEnv)
		if diags.Errors() > 0 {
			t.Fatal(printed(diags))
		}
		_, err := TestRunner{Driver: NewMemoryDriver, Update: true}.Run(set.Pipelines[0], func(r TestResult) {
			edits, failures = append(edits, r.Edits...), append(failures, r.Failures...)
		})
		if err != nil {
			t.Fatal(err)
		}
		return edits, failures
	}
	edits, _ := run()
	made, err := ApplyEdits(edits)
	if err != nil || len(made) != len(edits) {
		t.Fatalf("%d of %d edits made: %v", len(made), len(edits), err)
	}
	if edits, failures := run(); len(edits) > 0 || strings.Contains(printed(failures), "not 0") {
		t.Errorf("the update does not hold:\n%s", printed(failures))
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
