package pipelines

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestLimits shows what bounds a file's cost. Each input is short of harmless:
// without the limit it takes minutes, the stack or all memory.
func TestLimits(t *testing.T) {
	const step = "  - {name: a, type: filter, where: amount > 1}\n"
	whole := rightHead + rightSources + "transforms:\n" + strings.Repeat(step, maxFileBytes/len(step)-20)
	for _, c := range []struct{ name, in, want string }{
		{"bytes", strings.Repeat("x", maxFileBytes+1), "f.yaml: error[limit]: longer than 1 MiB: not a pipeline"},
		{"values", whole, "f.yaml:14285:21: error[limit]: more than 100000 values in one file, aliases followed"},
		{"depth", strings.Repeat("- ", 9000), "f.yaml:1:131: error[limit]: nested more than 64 deep"},
		{"depth of the library", strings.Repeat("[", 100_000), "error[syntax]: exceeded max depth of 10000"},
		{"aliases", billionLaughs(), "error[limit]: more than 100000 values in one file, aliases followed"},
		{"an expression", rightHead + rightSources + "sinks: []\ntransforms:\n - {name: a, type: filter, where: '" + strings.Repeat("(", 20_000) + "'}\n", "the expression is longer than 16384 bytes"},
		{"a syntax error in a long file", whole + "  x: y: z\n", "f.yaml:22296:8: error[syntax]: this line does not fit into the block above it"},
		{"a quote that is never closed", "a: \"" + strings.Repeat("x", 900_000), "error[syntax]: found unexpected end of stream"},
		{"not text", "a: \xff\n", "f.yaml:1:4: error[syntax]: not UTF-8 text"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, diags := LoadBytes("f.yaml", []byte(c.in), nil)
			if len(diags) == 0 || !strings.Contains(diags[0].String(), c.want) {
				t.Errorf("got %v, want %s", diags, c.want)
			}
		})
	}
}

// billionLaughs is nine aliases of nine aliases of …: 9^9 values.
func billionLaughs() string {
	var b strings.Builder
	b.WriteString("a0: &a0 x\n")
	for i := range 9 {
		alias := "*a" + string(rune('0'+i))
		b.WriteString("a" + string(rune('1'+i)) + ": &a" + string(rune('1'+i)) + " [" + strings.TrimSuffix(strings.Repeat(alias+", ", 9), ", ") + "]\n")
	}
	return b.String()
}

// TestLoadFiles shows which files Load takes: those named, and of folders *.yaml
// and *.yml; tests beside a pipeline come with LoadTests.
func TestLoadFiles(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	named := func(name string) string {
		return strings.Replace(rightHead, "name: p", "name: "+name, 1) + rightSources + rightSinks
	}
	write("b/one.yaml", named("one"))
	write("b/two.yml", "\ufeff"+strings.ReplaceAll(named("two"), "\n", "\r\n"))
	write("b/.hidden.yaml", "a: [")
	write("b/notes.txt", "a: [")
	tests := write("b/one_test.yaml", "tests: [{name: nothing, given: []}]")
	write("empty/readme.md", "")
	write("c/pair.yaml", named("three")+"---\n"+named("four"))
	pair := write("c/pair_test.yaml", "pipeline: for\ntests: []\n")

	set, diags := Load([]string{filepath.Join(dir, "b")}, nil)
	if len(diags) > 0 || len(set.Pipelines) != 2 || set.Find("one") == nil || set.Find("two") == nil {
		t.Fatalf("folder b: %v", diags)
	}
	if files := TestFiles(set); len(files) != 1 || files[0] != tests {
		t.Errorf("tests beside them: %v", files)
	}
	if d := LoadTests(set, []string{tests}, nil); len(d) > 0 || len(set.Find("one").Tests) != 1 {
		t.Errorf("tests of one: %v", d)
	}

	set, diags = Load([]string{filepath.Join(dir, "c")}, nil)
	if len(diags) > 0 || len(set.Pipelines) != 2 {
		t.Fatalf("two documents in a file: %v", diags)
	}
	if d := LoadTests(set, []string{pair}, nil); len(d) != 1 || d[0].Hint != `did you mean "four"?` {
		t.Errorf("tests of a pipeline that does not exist: %v", d)
	}

	for path, want := range map[string]string{
		filepath.Join(dir, "none.yaml"): "cannot be read: no such file or folder",
		filepath.Join(dir, "empty"):     "no pipeline in this folder",
	} {
		if _, d := Load([]string{path}, nil); len(d) != 1 || d[0].Text != want || d[0].File != path {
			t.Errorf("%s: %v, want %s", path, d, want)
		}
	}
}

// TestFileReference shows ${file:…}: a secret from a file, its last line break
// left out; and $${, which stands for itself.
func TestFileReference(t *testing.T) {
	path := filepath.Join(t.TempDir(), "topic")
	if err := os.WriteFile(path, []byte("orders\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	in := strings.Replace(rightHead+rightSources+rightSinks, "topic: out", `headers: {a: "$${TOPIC} of ${TOPIC}"}, topic: "${file:`+path+`}-${EMPTY:-out}"`, 1)
	set, diags := LoadBytes("f.yaml", []byte(in), testEnv)
	if len(diags) > 0 {
		t.Fatal(diags)
	}
	if got := set.Pipelines[0].Sinks[0].Kafka.Topic.Text; got != "orders-out" {
		t.Errorf("topic %q", got)
	}
	if got := set.Pipelines[0].Sinks[0].Kafka.Headers["a"]; got != "${TOPIC} of orders.eu" {
		t.Errorf("header %q", got)
	}
}
