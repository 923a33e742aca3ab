package pipelines

import (
	"strings"
	"testing"
)

// TestCoverage: what one row reaches, and what it does not.
func TestCoverage(t *testing.T) {
	const text = runPipeline + `tests:
  - name: one row
    given: [{source: orders, value: {id: a, country: DE, amount: 1}}]
`
	set, diags := LoadBytes("p.yaml", []byte(text), nil)
	if diags.Errors() > 0 {
		t.Fatal(printed(diags))
	}
	c := NewCoverage()
	if _, err := (TestRunner{Driver: NewMemoryDriver, Cover: c}).Run(set.Pipelines[0], func(TestResult) {}); err != nil {
		t.Fatal(err)
	}
	got := c.Report(set.Pipelines[0])
	want := "source lines, aggregate minutes: late rows, kafka sink closed, stdout sink text, webhook sink hook"
	if strings.Join(got.Missing, ", ") != want || got.Total-got.Reached != len(got.Missing) {
		t.Errorf("not reached: %s (%d of %d)", strings.Join(got.Missing, ", "), got.Reached, got.Total)
	}
}
