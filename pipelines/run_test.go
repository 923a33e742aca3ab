package pipelines

import (
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
)

// TestRun shows what `tests:` can say, and how it reports what does not hold:
// testdata/run. Each case is tests: of one pipeline.
func TestRun(t *testing.T) {
	datadriven.Walk(t, "testdata/run", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			set, diags := LoadBytes("p.yaml", []byte(runPipeline+d.Input+"\n"), testEnv)
			var b strings.Builder
			if diags.Errors() > 0 {
				_ = diags.Write(&b, false)
				return b.String()
			}
			_, err := RunTests(set.Pipelines[0], Options{}, NewMemoryDriver, func(r TestResult) {
				if len(r.Failures) == 0 {
					b.WriteString("ok    " + r.Name + "\n")
					return
				}
				b.WriteString("FAIL  " + r.Name + "\n")
				_ = r.Failures.Write(&b, false)
			})
			if err != nil {
				return err.Error()
			}
			return b.String()
		})
	})
}

const runPipeline = `version: 1
name: p
sources:
  orders:
    topic: orders
    schema: {id: string, country: string, amount: double, ts: timestamp(s), tags: [string], geo: {city: string}}
    key: [id]
    event_time: ts
    watermark: {max_out_of_orderness: 0s, close_after_idle: 1m}
  lines: {topic: lines, format: string, key: [value]}
transforms:
  - {name: minutes, type: aggregate, input: orders, group_by: [country], window: {type: tumbling, size: 1m}, aggregates: {n: count(), total: sum(amount)}, late: dead_letter}
  - {name: totals, type: aggregate, input: orders, group_by: [country], aggregates: {n: count(), total: sum(amount)}}
  - {name: few, type: filter, input: totals, where: n < 3}
sinks:
  - {name: closed, type: kafka, input: minutes, topic: closed, timestamps: rfc3339}
  - {name: all, type: kafka, input: totals, topic: all}
  - {name: rare, type: kafka, input: few, topic: rare}
  - {name: rows, type: kafka, input: orders, topic: rows}
  - {name: text, type: stdout, input: lines}
errors: {dead_letter: {topic: dlq}}
`
