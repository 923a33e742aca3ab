package main

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/leatstream/leat/pipelines"
)

// testReport is what leat test says; its JSON is --output json.
type testReport struct {
	Passed   int                        `json:"passed"`
	Failed   int                        `json:"failed"`
	Seconds  float64                    `json:"seconds"`
	Tests    []testCase                 `json:"tests"`
	Coverage []pipelines.CoverageReport `json:"coverage,omitempty"`
	Changes  []pipelines.Edit           `json:"changes,omitempty"`

	text    io.Writer // nil: JSON
	verbose bool
	begin   time.Time
	edits   []pipelines.Edit
}

type testCase struct {
	Pipeline string                `json:"pipeline"`
	Name     string                `json:"name"`
	File     string                `json:"file"`
	Line     int                   `json:"line"`
	Passed   bool                  `json:"passed"`
	Seconds  float64               `json:"seconds"`
	Failures pipelines.Diagnostics `json:"failures,omitempty"`
}

// pipeline runs the tests of one pipeline.
func (r *testReport) pipeline(p *pipelines.Pipeline, only *regexp.Regexp, f testFlags) error {
	run := pipelines.TestRunner{
		Driver: pipelines.NewMemoryDriver, Update: f.update,
		Only: func(name string) bool { return only.MatchString(p.Name.Text + ": " + name) },
	}
	if f.coverage {
		run.Cover = pipelines.NewCoverage()
	}
	if _, err := run.Run(p, r.add); err != nil {
		return err
	}
	if f.coverage {
		r.Coverage = append(r.Coverage, run.Cover.Report(p))
	}
	return nil
}

func (r *testReport) add(t pipelines.TestResult) {
	passed := len(t.Failures) == 0
	r.Tests = append(r.Tests, testCase{t.Pipeline, t.Name, t.Pos.File, t.Pos.Line, passed, t.Took.Seconds(), t.Failures})
	r.edits = append(r.edits, t.Edits...)
	word := "ok  "
	if passed {
		r.Passed++
	} else {
		r.Failed++
		word = "FAIL"
	}
	if r.text != nil && (!passed || r.verbose) {
		fmt.Fprintf(r.text, "%s  %s: %s\n", word, t.Pipeline, t.Name)
		_ = t.Failures.Write(r.text, colored(r.text)) // the summary's error is told
	}
}

// write ends the report.
func (r *testReport) write(stdout io.Writer) error {
	if r.text == nil {
		enc := json.NewEncoder(stdout)
		enc.SetIndent("", "  ")
		enc.SetEscapeHTML(false)
		return enc.Encode(r)
	}
	for _, e := range r.Changes {
		fmt.Fprintf(r.text, "%s:%d:\n%s%s", e.File, e.Line, marked("- ", e.Old), marked("+ ", e.New))
	}
	for _, c := range r.Coverage {
		fmt.Fprintf(r.text, "coverage  %s: %d of %d parts\n", c.Pipeline, c.Reached, c.Total)
		for _, part := range c.Missing {
			fmt.Fprintf(r.text, "          not reached: %s\n", part)
		}
	}
	if len(r.edits) > 0 || len(r.Changes) > 0 {
		what := fmt.Sprintf("%d changes written: read them", len(r.Changes))
		if len(r.Changes) == 1 {
			what = "1 change written: read it"
		}
		fmt.Fprintln(r.text, what+", and run the tests again")
	}
	_, err := fmt.Fprintf(r.text, "%d passed, %d failed in %.2f s (%.0f tests/s)\n",
		r.Passed, r.Failed, r.Seconds, float64(r.Passed+r.Failed)/max(r.Seconds, 1e-6))
	return err
}

// marked puts a sign before each line of a text; nothing of an empty one.
func marked(sign, text string) string {
	text = strings.Trim(text, "\n")
	if text == "" {
		return ""
	}
	return "    " + sign + strings.ReplaceAll(text, "\n", "\n    "+sign) + "\n"
}

// The elements of a JUnit report, as CI systems read them.
type junitSuites struct {
	XMLName  xml.Name     `xml:"testsuites"`
	Tests    int          `xml:"tests,attr"`
	Failures int          `xml:"failures,attr"`
	Time     string       `xml:"time,attr"`
	Suites   []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Errors   int         `xml:"errors,attr"`
	Skipped  int         `xml:"skipped,attr"`
	Time     string      `xml:"time,attr"`
	Cases    []junitCase `xml:"testcase"`
	seconds  float64
}

type junitCase struct {
	Class   string        `xml:"classname,attr"`
	Name    string        `xml:"name,attr"`
	File    string        `xml:"file,attr"`
	Line    int           `xml:"line,attr"`
	Time    string        `xml:"time,attr"`
	Failure *junitFailure `xml:"failure"`
}

type junitFailure struct {
	Type    string `xml:"type,attr"`
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// junit is the report as XML, a suite for each pipeline.
func (r *testReport) junit() ([]byte, error) {
	seconds := func(s float64) string { return fmt.Sprintf("%.3f", s) }
	out := junitSuites{Tests: len(r.Tests), Failures: r.Failed, Time: seconds(r.Seconds)}
	for _, t := range r.Tests {
		if n := len(out.Suites); n == 0 || out.Suites[n-1].Name != t.Pipeline {
			out.Suites = append(out.Suites, junitSuite{Name: t.Pipeline})
		}
		s := &out.Suites[len(out.Suites)-1]
		c := junitCase{Class: t.Pipeline, Name: t.Name, File: t.File, Line: t.Line, Time: seconds(t.Seconds)}
		if !t.Passed {
			var b bytes.Buffer
			if err := t.Failures.Write(&b, false); err != nil {
				return nil, err
			}
			c.Failure = &junitFailure{Type: t.Failures[0].Code, Message: t.Failures[0].Text, Text: b.String()}
			s.Failures++
		}
		s.Tests++
		s.seconds += t.Seconds
		s.Time = seconds(s.seconds)
		s.Cases = append(s.Cases, c)
	}
	data, err := xml.MarshalIndent(out, "", "  ")
	return append([]byte(xml.Header), append(data, '\n')...), err
}

func (r *testReport) writeJUnit(file string) error {
	data, err := r.junit()
	if err == nil {
		err = os.WriteFile(file, data, 0o644)
	}
	if err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}
