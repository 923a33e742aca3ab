package pipelines

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// plain are the findings that are not of what a pipeline means: the text of the
// YAML, its size, a test's own outcome, and a note that only tells a size.
var plain = []string{"alias", "limit", "run", "state", "syntax"}

// TestTrap19LintTellsWhereAndWhat: each finding of the table, in its wrong
// example, stands at a place of the file, under its code, and says what to do
// or what is right; as text with the line and a caret below its character.
func TestTrap19LintTellsWhereAndWhat(t *testing.T) {
	for _, c := range codes {
		t.Run(c.Name, func(t *testing.T) {
			text := example(c.Wrong)
			lines := strings.Split(text, "\n")
			found := findings(c.Wrong)
			i := slices.IndexFunc(found, func(d Diagnostic) bool { return d.Code == c.Name })
			if i < 0 {
				t.Fatalf("its wrong example does not give it:\n%s", printed(found))
			}
			d := found[i]
			if d.File != "p.yaml" || d.Text == "" || d.Severity != c.Severity {
				t.Errorf("file %q, severity %q, text %q", d.File, d.Severity, d.Text)
			}
			if d.Line == 0 && c.Name == "file" {
				return // it is of the file as a whole
			}
			if d.Line < 1 || d.Line > len(lines) || d.Column < 1 || d.Column > utf8.RuneCountInString(lines[min(d.Line, len(lines))-1])+1 {
				t.Fatalf("%s: no such place in\n%s", d, text)
			}
			if d.Hint == "" && !slices.Contains(plain, c.Name) {
				t.Errorf("%s: no suggestion", d)
			}
			var b strings.Builder
			if err := (Diagnostics{d}).Write(&b, false); err != nil {
				t.Fatal(err)
			}
			out := strings.Split(b.String(), "\n")
			if !regexp.MustCompile(`^p\.yaml:\d+:\d+: (error|warning|note)\[` + regexp.QuoteMeta(c.Name) + `\]: .+`).MatchString(out[0]) {
				t.Errorf("its first line is %q", out[0])
			}
			if source := lines[d.Line-1]; strings.TrimSpace(source) != "" {
				if len(out) < 3 || !strings.HasSuffix(out[1], strings.TrimRight(source, " \t")) {
					t.Fatalf("the source line %q is not in:\n%s", source, b.String())
				}
				if caret := utf8.RuneCountInString(strings.TrimSuffix(out[2], "^")) - utf8.RuneCountInString("      | "); !strings.HasSuffix(out[2], "^") || caret != d.Column-1 {
					t.Errorf("the caret stands at %d, the finding at %d:\n%s", caret+1, d.Column, b.String())
				}
			}
		})
	}
}
