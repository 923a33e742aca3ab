package pipelines

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/leatstream/leat/window/aggregate"
)

// TestEveryKindHasAnExample: what the language has, a pipeline that is shipped
// shows, with tests beside it (TestShipped and TestExamples run those), a text
// file of cases is the manual of, and the schemas know.
func TestEveryKindHasAnExample(t *testing.T) {
	read := func(globs ...string) string {
		var all strings.Builder
		for _, g := range globs {
			files, err := filepath.Glob(g)
			if err != nil || len(files) == 0 {
				t.Fatalf("%s: %d files, %v", g, len(files), err)
			}
			for _, f := range files {
				b, err := os.ReadFile(f)
				if err != nil {
					t.Fatal(err)
				}
				all.WriteString(f + "\n")
				all.Write(b)
			}
		}
		return all.String()
	}
	shipped := read("*.yaml", "examples/*.yaml")
	manual := read("../operators/testdata/*.txt", "../window/testdata/*.txt", "../window/aggregate/testdata/*.txt")
	b, err := JSONSchema("pipeline")
	if err != nil {
		t.Fatal(err)
	}
	schema := string(b)
	want := func(what, where, text, pattern string) {
		if !regexp.MustCompile(pattern).MatchString(text) {
			t.Errorf("%s: nothing in %s matches %s", what, where, pattern)
		}
	}
	// Where a kind is what there is without a type, it needs none.
	implied := map[string]bool{"source/kafka": true, "table/kafka": true}
	for _, k := range kinds {
		switch k.Group {
		case "source", "table", "transform", "window", "sink", "panel":
		default:
			continue
		}
		if k.Name == "" || implied[k.Group+"/"+k.Name] {
			continue
		}
		name := regexp.QuoteMeta(k.Name)
		want(k.title(), "the examples", shipped, `(type|window): *`+name+`\b`)
		want(k.title(), "the schema", schema, `"`+name+`"`)
		switch k.Group {
		case "transform", "window":
			want(k.title(), "the text files", manual, `(testdata/(window-)?`+name+`\.txt|(?m:^`+name+`\b)|window: `+name+`\b)`)
		}
	}
	for _, mode := range []string{"exact", "trailing"} {
		want("sliding "+mode, "the text files", manual, `sliding.*`+mode)
	}
	want("sliding trailing", "the examples", shipped, `mode: trailing`)
	for _, k := range aggregate.Kinds() {
		name := regexp.QuoteMeta(k.Name)
		want("aggregate "+k.Name, "the examples", shipped, `(\b`+name+`\(|fn: *`+name+`\b)`)
		want("aggregate "+k.Name, "the text files", manual, `testdata/`+name+`\.txt`)
		want("aggregate "+k.Name, "the schema", schema, `"`+name+`"`)
	}
}
