package pipelines

import (
	"flag"
	"os"
	"testing"
)

var rewriteReference = flag.Bool("rewrite-reference", false, "write docs/reference.md and docs/lint.md anew")

// The references are made from the tables that the loader checks against, so
// that they cannot drift:
//
//	go test ./pipelines -run TestReferenceIsCurrent -rewrite-reference
func TestReferenceIsCurrent(t *testing.T) {
	for file, want := range map[string]string{
		"../docs/reference.md": Reference() + ConfigReference(),
		"../docs/lint.md":      LintReference(),
	} {
		if *rewriteReference {
			if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != want {
			t.Errorf("%s is not what the tables give: run this test with -rewrite-reference", file)
		}
	}
}
