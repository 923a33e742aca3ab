package pipelines

import (
	"fmt"
	"strings"
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
			case "graph":
				return graphText(t, e.Graph())
			}
			return e.Text()
		})
	})
}

// graphText writes a graph a node or an edge a line, and finds edges that lead
// nowhere.
func graphText(t *testing.T, g Graph) string {
	var b strings.Builder
	ids := map[string]bool{}
	for _, n := range g.Nodes {
		if ids[n.ID] {
			t.Errorf("two nodes have the id %q", n.ID)
		}
		ids[n.ID] = true
		group := ""
		if n.Group != nil {
			group = fmt.Sprintf(" group=%d", *n.Group)
		}
		fmt.Fprintf(&b, "%s kind=%q name=%q label=%q%s\n", n.ID, n.Kind, n.Name, n.Label, group)
	}
	for _, e := range g.Edges {
		if !ids[e.From] || !ids[e.To] {
			t.Errorf("the edge %s -> %s leads nowhere", e.From, e.To)
		}
		fmt.Fprintf(&b, "%s -> %s\n", e.From, e.To)
	}
	return b.String()
}
