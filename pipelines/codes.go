package pipelines

import (
	"fmt"
	"strings"
)

// Severity is how bad a finding is.
type Severity string

// The severities. Only errors keep a pipeline from running; notes are shown by
// leat lint alone.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
	Note    Severity = "note"
)

// Code is one kind of finding: the stable word for tools, and what it means.
type Code struct {
	Name     string
	Severity Severity
	Short    string // one line
	Long     string // why, and what to do
	Wrong    string // YAML that gives it: a file, or some of its top-level keys
	Right    string // the same, mended
	Hint     string // what to do, for findings that do not say it better; "" where the text says it all
}

// hintOf is what to do about a finding that does not say so itself.
func hintOf(code string) string {
	c, _ := findCode(code)
	return c.Hint
}

// findCode gives a code of the table.
func findCode(name string) (Code, bool) {
	for _, c := range codes {
		if c.Name == name {
			return c, true
		}
	}
	return Code{}, false
}

// severityOf is the severity of a code; one that is not in the table is an error.
func severityOf(name string) Severity {
	if c, ok := findCode(name); ok {
		return c.Severity
	}
	return Error
}

// The parts of a pipeline that examples leave out.
const (
	exampleHead    = "version: 1\nname: p\n"
	exampleSources = `sources:
  orders:
    topic: orders
    schema: {id: string, country: string, amount: double, ts: timestamp, tags: [string], raw: any}
    key: [id]
    event_time: ts
    watermark: {close_after_idle: 1m}
`
	exampleSinks = "sinks:\n  - {name: out, type: kafka, topic: out}\n"
)

// example completes the YAML of a code to a whole file.
func example(part string) string {
	has := func(key string) bool { return strings.HasPrefix(part, key) || strings.Contains(part, "\n"+key) }
	if has("version:") || strings.TrimSpace(part) == "" || strings.HasPrefix(part, "#") && !strings.Contains(part, ":\n") {
		return part
	}
	out := exampleHead
	if !has("sources:") {
		out += exampleSources
	}
	out += part + "\n"
	if !has("sinks:") {
		out += exampleSinks
	}
	return out
}

// LintReference is docs/lint.md: every code with its explanation.
func LintReference() string {
	var b strings.Builder
	b.WriteString("# What leat lint finds\n\nMade from the table in `pipelines/codes.go`; do not edit by hand.\n\n" +
		"A finding is printed as `file:line:column: severity[code]: text`. Errors keep a pipeline from\nrunning; warnings are allowed and rarely meant; notes are shown by `leat lint` only.\n" +
		"`--strict` makes errors of warnings. The examples leave out what they do not need of\n\n")
	fmt.Fprintf(&b, "```yaml\n%s%s# … transforms …\n%s```\n\n| code | severity | what |\n|---|---|---|\n", exampleHead, exampleSources, exampleSinks)
	for _, c := range codes {
		fmt.Fprintf(&b, "| [`%s`](#%s) | %s | %s |\n", c.Name, c.Name, c.Severity, c.Short)
	}
	for _, c := range codes {
		fmt.Fprintf(&b, "\n## %s\n\n%s: %s. %s\n\nWrong:\n\n```yaml\n%s\n```\n\nRight:\n\n```yaml\n%s\n```\n",
			c.Name, strings.ToUpper(string(c.Severity[:1]))+string(c.Severity[1:]), c.Short, c.Long, strings.TrimRight(c.Wrong, "\n"), strings.TrimRight(c.Right, "\n"))
	}
	return b.String()
}
