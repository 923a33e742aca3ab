package pipelines

import (
	"testing"

	"github.com/cockroachdb/datadriven"
)

// TestExplain is the manual of leat explain: testdata/explain.
func TestExplain(t *testing.T) {
	datadriven.Walk(t, "testdata/explain", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			set, diags := LoadBytes("p.yaml", []byte(document(t, d)), testEnv)
			if diags.Errors() > 0 {
				return printed(diags)
			}
			e, _, err := Explain(set.Pipelines[0])
			if err != nil {
				return err.Error()
			}
			output := ""
			d.MaybeScanArgs(t, "output", &output)
			switch output {
			case "mermaid":
				return e.Mermaid()
			case "dot":
				return e.Dot()
			case "json":
				return string(e.JSON())
			}
			return e.Text()
		})
	})
}
