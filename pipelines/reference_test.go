package pipelines

import (
	"flag"
	"os"
	"testing"
)

var rewriteReference = flag.Bool("rewrite-reference", false, "write docs/reference.md anew")

// The reference is made from the tables that the loader checks against, so
// that it cannot drift:
//
//	go test ./pipelines -run TestReferenceIsCurrent -rewrite-reference
func TestReferenceIsCurrent(t *testing.T) {
	const file = "../docs/reference.md"
	want := Reference() + ConfigReference()
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
