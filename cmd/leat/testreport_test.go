package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
)

// TestReports is the manual of what leat test says: testdata/test.txt.
//
//	file name=p.yaml                                       writes a file
//	test [json] [junit] [coverage] [verbose] [update] [run=…]   leat test . with these flags
//	cat name=p.yaml                                        shows a file
//
// Times are written as 0.
func TestReports(t *testing.T) {
	golden, err := filepath.Abs("testdata/test.txt")
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	datadriven.RunTest(t, golden, func(t *testing.T, d *datadriven.TestData) string {
		var name string
		d.MaybeScanArgs(t, "name", &name)
		switch d.Cmd {
		case "file":
			if err := os.WriteFile(name, []byte(d.Input+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			return ""
		case "cat":
			data, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			return string(data)
		case "test":
			f := testFlags{output: "text", coverage: d.HasArg("coverage"), verbose: d.HasArg("verbose"), update: d.HasArg("update")}
			d.MaybeScanArgs(t, "run", &f.run)
			if d.HasArg("json") {
				f.output = "json"
			}
			if d.HasArg("junit") {
				f.junit = "report.xml"
			}
			var out, errs bytes.Buffer
			err := test([]string{"."}, f, &out, &errs)
			if f.junit != "" {
				report, err := os.ReadFile(f.junit)
				if err != nil {
					t.Fatal(err)
				}
				out.Write(report)
			}
			text := untimed(out.String() + errs.String())
			if err != nil && err.Error() != "" {
				text += err.Error() + "\n"
			}
			return text + fmt.Sprintf("exit %d\n", exitCode(err))
		}
		t.Fatalf("unknown command %q", d.Cmd)
		return ""
	})
}

var times = []*regexp.Regexp{
	regexp.MustCompile(`("seconds": )[0-9.e-]+`), regexp.MustCompile(`(time=")[0-9.]+`), regexp.MustCompile(`( in )[0-9.]+( s \()[0-9]+( tests/s\))`),
}

// untimed writes 0 for every time, and takes empty lines out, which would end
// the answer in a text file of tests.
func untimed(s string) string {
	for _, re := range times[:2] {
		s = re.ReplaceAllString(s, "${1}0")
	}
	s = times[2].ReplaceAllString(s, "${1}0${2}0${3}")
	return strings.ReplaceAll(s, "\n\n", "\n")
}
