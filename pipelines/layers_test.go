package pipelines

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/leatstream/leat"

// storeys of the house, by top-level folder: a package imports only those
// below its own storey, or its own folder.
//
//	5   cmd            bench
//	4        pipelines
//	3  operators     connectors
//	2        engine
//	1  window     state
var storeys = map[string]int{
	"window": 1, "state": 1, "engine": 2, "operators": 3, "connectors": 3, "pipelines": 4, "cmd": 5, "bench": 5,
}

// walls keep a dependency's types in one place: a prefix of import paths, and
// the folders (ending in /) and files that may import it.
var walls = []struct {
	dependency string
	allowed    []string
}{
	{"github.com/coder/websocket", []string{"connectors/sse/"}},
	{"github.com/twmb/franz-go/pkg/sr", []string{"connectors/registry/"}},
	{"github.com/twmb/franz-go", []string{"connectors/kafka/", "bench/"}},
	{"github.com/twmb/avro", []string{"connectors/codec/"}},
	{"github.com/bufbuild/protocompile", []string{"connectors/codec/"}},
	{"google.golang.org/protobuf", []string{"connectors/codec/"}},
	{"github.com/cockroachdb/pebble", []string{"state/"}},
	{"gopkg.in/yaml.v3", []string{"pipelines/yaml.go"}},
	{"github.com/prometheus/client_golang", []string{"engine/metrics.go"}},
	{"github.com/expr-lang/expr", []string{"operators/expr/"}},
	{"github.com/spf13/cobra", []string{"cmd/"}},
	{"github.com/go-jose/go-jose", []string{"connectors/sse/access/"}},
	{"golang.org/x/time", []string{"connectors/sse/access/"}},
	{"github.com/santhosh-tekuri/jsonschema", []string{"pipelines/jsonschema_test.go"}},
}

// TestLayers checks the arrows between rooms and the wall around each
// dependency, in every Go file of the repository. Tests may look across walls;
// tests from outside a package (package engine_test) also up the storeys: they
// put rooms together to see them work.
func TestLayers(t *testing.T) {
	const root = ".."
	files := 0
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if e.IsDir() {
			if rel != "." && strings.HasPrefix(e.Name(), ".") || e.Name() == "testdata" {
				return filepath.SkipDir
			}
			return nil
		}
		if filepath.Ext(path) != ".go" {
			return nil
		}
		files++
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range f.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			if problem := misplaced(rel, f.Name.Name, imported); problem != "" {
				t.Errorf("%s imports %s: %s", rel, imported, problem)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 50 {
		t.Fatalf("only %d Go files found: not the whole repository", files)
	}
}

// misplaced says what is wrong with an import of a file of package pkg, or "".
func misplaced(file, pkg, imported string) string {
	test := strings.HasSuffix(file, "_test.go")
	for _, w := range walls {
		if !strings.HasPrefix(imported, w.dependency) || test {
			continue
		}
		for _, ok := range w.allowed {
			if file == ok || (strings.HasSuffix(ok, "/") && strings.HasPrefix(file, ok)) {
				return ""
			}
		}
		return "only " + strings.Join(w.allowed, ", ") + " may"
	}
	rest, own := strings.CutPrefix(imported, module+"/")
	if !own {
		return ""
	}
	from, _, _ := strings.Cut(file, "/")
	to, _, _ := strings.Cut(rest, "/")
	above, known := storeys[from]
	below, alsoKnown := storeys[to]
	switch {
	case !known || !alsoKnown:
		return "a room that is on no storey: add it to storeys"
	case from == to, strings.HasSuffix(pkg, "_test"):
		return ""
	case below > above:
		return "a storey above its own"
	case below == above:
		return "rooms of one storey do not know each other"
	}
	return ""
}

// TestMisplaced is the rules by example, and shows that they can fail.
func TestMisplaced(t *testing.T) {
	for _, c := range []struct {
		file, pkg, imported string
		ok                  bool
	}{
		{"pipelines/build.go", "pipelines", module + "/engine", true},
		{"engine/task.go", "engine", module + "/pipelines", false},
		{"operators/map.go", "operators", module + "/connectors/codec", false},
		{"connectors/kafka/sink.go", "kafka", module + "/connectors/codec", true},
		{"window/spec.go", "window", module + "/state", false},
		{"window/aggregate/sum.go", "aggregate", module + "/window", true},
		{"pipelines/load.go", "pipelines", "gopkg.in/yaml.v3", false},
		{"pipelines/yaml.go", "pipelines", "gopkg.in/yaml.v3", true},
		{"engine/lane.go", "engine", "github.com/twmb/franz-go/pkg/kgo", false},
		{"engine/lane_test.go", "engine", "github.com/twmb/franz-go/pkg/kgo", true},
		{"engine/lane_test.go", "engine", module + "/pipelines", false},
		{"engine/all_test.go", "engine_test", module + "/pipelines", true},
		{"cmd/leat/run.go", "leat", module + "/pipelines", true},
		{"cmd/leat/run.go", "leat", module + "/bench/run", false},
		{"tools/x.go", "tools", module + "/engine", false},
	} {
		if got := misplaced(c.file, c.pkg, c.imported); (got == "") != c.ok {
			t.Errorf("%s imports %s: %q", c.file, c.imported, got)
		}
	}
}
