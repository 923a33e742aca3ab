package pipelines

import (
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
)

// TestCodes: the table has each code that the room uses, and no other; each
// wrong example gives its code and each right one does not.
func TestCodes(t *testing.T) {
	used := usedCodes(t)
	for code, how := range used {
		c, ok := findCode(code)
		if !ok {
			t.Errorf("the code %q is used and not in the table", code)
			continue
		}
		for _, h := range how {
			if (h == "error") != (c.Severity == Error) {
				t.Errorf("%q is reported as %s and its severity is %s", code, h, c.Severity)
			}
		}
	}
	for i, c := range codes {
		if used[c.Name] == nil {
			t.Errorf("the code %q is in the table, and nothing uses it", c.Name)
		}
		if i > 0 && codes[i-1].Name >= c.Name {
			t.Errorf("%q stands behind %q", c.Name, codes[i-1].Name)
		}
		if c.Short == "" || c.Long == "" || strings.HasSuffix(c.Short, ".") {
			t.Errorf("%q: its line or its explanation", c.Name)
		}
		wrong, right := findings(c.Wrong), findings(c.Right)
		if !slices.ContainsFunc(wrong, func(d Diagnostic) bool { return d.Code == c.Name && d.Severity == c.Severity }) {
			t.Errorf("the wrong example of %q does not give it:\n%s", c.Name, printed(wrong))
		}
		for _, d := range right {
			if d.Code == c.Name || d.Severity == Error {
				t.Errorf("the right example of %q gives %s", c.Name, d)
			}
		}
	}
}

// findings are all of an example, those of its tests included.
func findings(part string) Diagnostics {
	set, diags := LintBytes("p.yaml", []byte(example(part)), testEnv)
	if diags.Errors() > 0 {
		return diags
	}
	for _, p := range set.Pipelines {
		_, err := RunTests(p, Options{}, NewMemoryDriver, func(r TestResult) { diags = append(diags, r.Failures...) })
		if err != nil {
			panic(err)
		}
	}
	return diags
}

func printed(ds Diagnostics) string {
	var b strings.Builder
	_ = ds.Write(&b, false)
	return b.String()
}

// TestLint is the manual of what leat lint adds to the errors: testdata/lint.
func TestLint(t *testing.T) {
	datadriven.Walk(t, "testdata/lint", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			var output string
			d.MaybeScanArgs(t, "output", &output)
			_, diags := LintBytes("p.yaml", []byte(document(t, d)), testEnv)
			if d.HasArg("strict") {
				diags = diags.Strict()
			}
			switch output {
			case "json":
				return string(diags.JSON())
			case "github":
				return string(diags.GitHub())
			case "sarif":
				return string(diags.SARIF("test"))
			}
			if len(diags) == 0 {
				return "ok\n"
			}
			return printed(diags)
		})
	})
}
