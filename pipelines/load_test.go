package pipelines

import (
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
)

// testEnv are the variables that the texts in testdata use.
func testEnv(name string) (string, bool) {
	v, ok := map[string]string{"TOPIC": "orders.eu", "EMPTY": "", "PASSWORD": "hunter2", "HOOK": "https://example.org"}[name]
	return v, ok
}

// TestErrors is the manual of what can be wrong: testdata/errors, one file per
// part of the language. Each case is a pipeline; a case "body" is put into a
// pipeline that is right otherwise.
func TestErrors(t *testing.T) {
	datadriven.Walk(t, "testdata/errors", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			_, diags := LoadBytes("p.yaml", []byte(document(t, d)), testEnv)
			if d.HasArg("json") {
				return string(diags.JSON())
			}
			var b strings.Builder
			if err := diags.Write(&b, d.HasArg("color")); err != nil {
				t.Fatal(err)
			}
			if len(diags) == 0 {
				return "ok\n"
			}
			return b.String()
		})
	})
}

// The parts of a pipeline that is right.
const (
	rightHead    = "version: 1\nname: p\n"
	rightSources = "sources:\n  orders: {topic: orders, key: [id], schema: {id: string, country: string, amount: double, n: int, ts: timestamp, geo: {city: string}, tags: [string], raw: any}, event_time: ts, watermark: {close_after_idle: 1m}}\n"
	rightSinks   = "sinks:\n  - {name: out, type: kafka, topic: out}\n"
)

// document puts the input of a case into a whole pipeline: `file` is one
// already, `sources`, `transforms` and `sinks` replace one part.
func document(t *testing.T, d *datadriven.TestData) string {
	in := d.Input + "\n"
	switch d.Cmd {
	case "file":
		return in
	case "sources":
		return rightHead + in + rightSinks
	case "transforms":
		return rightHead + rightSources + in + rightSinks
	case "sinks":
		return rightHead + rightSources + in
	case "more":
		return rightHead + rightSources + rightSinks + in
	}
	t.Fatalf("unknown case %q", d.Cmd)
	return ""
}

// What a file has of control characters is named, and never reaches the
// terminal as it is.
func TestControlCharacterOfAFileStaysThere(t *testing.T) {
	_, found := LoadBytes("p.yaml", []byte("version: 1\nname: \x1b[31mred\n"), func(string) (string, bool) { return "", false })
	var b strings.Builder
	if err := found.Write(&b, false); err != nil {
		t.Fatal(err)
	}
	want := "p.yaml:2:7: error[syntax]: the character \\x1b cannot stand in YAML\n" +
		"    2 | name: \ufffd[31mred\n" +
		"      |       ^\n" +
		"      = take it out, or write it as an escape in a text in double quotes\n"
	if b.String() != want {
		t.Errorf("got:\n%s\nwant:\n%s", b.String(), want)
	}
}
