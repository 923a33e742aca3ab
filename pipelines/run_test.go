package pipelines

import (
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
)

// TestRun shows what `tests:` can say, and how it reports what does not hold:
// testdata/run. A case `run` is tests: of one pipeline, a case `pipeline` a
// pipeline of its own.
func TestRun(t *testing.T) {
	datadriven.Walk(t, "testdata/run", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			doc := runPipeline + d.Input
			if d.Cmd == "pipeline" {
				doc = "version: 1\nname: p\n" + d.Input
			}
			set, diags := LoadBytes("p.yaml", []byte(doc+"\n"), testEnv)
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
  - {name: hook, type: webhook, input: totals, url: "https://example.org", when: n == 2, priority: high}
  - {name: live, type: sse, input: totals}
errors: {dead_letter: {topic: dlq}}
`

// TestEqual shows when an expected value and a result are the same.
func TestEqual(t *testing.T) {
	for _, c := range []struct {
		want, got string
		same      bool
	}{
		{`1`, `1.0`, true},
		{`0.3`, `0.30000000000000004`, true},
		{`0.3`, `0.3000001`, false},
		{`1e12`, `1000000000000.1`, true}, // relative: doubles of that size have no more digits
		{`1e12`, `1000000010000`, false},
		{`9007199254740993`, `9007199254740992`, false}, // ints are exact
		{`9007199254740993`, `"9007199254740993"`, true},
		{`1767261600000`, `"2026-01-01T10:00:00.000Z"`, true},
		{`1767261600001`, `"2026-01-01T10:00:00.000Z"`, false},
		{`"1"`, `1`, false},
		{`null`, `null`, true},
		{`null`, `0`, false},
		{`[1,"a"]`, `[1,"a"]`, true},
		{`[1]`, `[1,2]`, false},
		{`{"a":{"b":1}}`, `{"a":{"b":1}}`, true},
		{`{"a":1}`, `{"a":1,"b":2}`, false},
	} {
		if equal(decode([]byte(c.want)), decode([]byte(c.got))) != c.same {
			t.Errorf("%s and %s: same is not %v", c.want, c.got, c.same)
		}
	}
}
