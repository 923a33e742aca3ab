package pipelines

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"gopkg.in/yaml.v3"
)

// compiledSchema is one of our schemas, checked against draft 2020-12.
func compiledSchema(t *testing.T, name string) *jsonschema.Schema {
	t.Helper()
	text, err := JSONSchema(name)
	if err != nil {
		t.Fatal(err)
	}
	return compileSchema(t, text)
}

func compileSchema(t *testing.T, text []byte) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	if err := c.AddResource("schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// yamlDocuments are the documents of a text as JSON has them.
func yamlDocuments(t *testing.T, text string) []any {
	t.Helper()
	var out []any
	dec := yaml.NewDecoder(strings.NewReader(text))
	for {
		var v any
		if err := dec.Decode(&v); errors.Is(err, io.EOF) {
			return out
		} else if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		if v == nil {
			continue
		}
		var b bytes.Buffer
		if err := json.NewEncoder(&b).Encode(asJSON(v)); err != nil {
			t.Fatal(err)
		}
		doc, err := jsonschema.UnmarshalJSON(&b)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, doc)
	}
}

func asJSON(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k := range v {
			v[k] = asJSON(v[k])
		}
	case map[any]any:
		out := map[string]any{}
		for k := range v {
			out[fmt.Sprint(k)] = asJSON(v[k])
		}
		return out
	case []any:
		for i := range v {
			v[i] = asJSON(v[i])
		}
	case time.Time:
		return v.Format(time.RFC3339)
	}
	return v
}

var yamlBlock = regexp.MustCompile("(?s)```yaml\n(.*?)```")

// TestSchemasTake: every YAML file of the repository, every YAML block of the
// documentation that is a whole file, and the right examples of all codes fit.
func TestSchemasTake(t *testing.T) {
	pipeline, config, test := compiledSchema(t, "pipeline"), compiledSchema(t, "config"), compiledSchema(t, "test")
	checked := map[string]int{}
	check := func(where, kind string, s *jsonschema.Schema, text string) {
		for _, doc := range yamlDocuments(t, text) {
			checked[kind]++
			if err := s.Validate(doc); err != nil {
				t.Errorf("%s: %v", where, err)
			}
		}
	}
	err := filepath.WalkDir("..", func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() {
			if path != ".." && strings.HasPrefix(e.Name(), ".") {
				return filepath.SkipDir
			}
			return nil
		}
		ext := filepath.Ext(path)
		if ext != ".yaml" && ext != ".yml" && ext != ".md" {
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		texts := []string{string(data)}
		if ext == ".md" {
			texts = nil
			for _, m := range yamlBlock.FindAllStringSubmatch(string(data), -1) {
				if !strings.Contains(path, "lint.md") {
					texts = append(texts, m[1])
				}
			}
		}
		for _, text := range texts {
			switch {
			case regexp.MustCompile(`(?m)^version: *1`).MatchString(text) && strings.Contains(text, "\nsinks:"):
				check(path, "pipeline", pipeline, text)
			case strings.HasSuffix(path, "_test.yaml"):
				check(path, "test", test, text)
			case regexp.MustCompile(`(?m)^(brokers|listen|memory):`).MatchString(text):
				check(path, "config", config, text)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range codes {
		check(c.Name, "pipeline", pipeline, example(c.Right))
	}
	if checked["pipeline"] < 60 || checked["config"] < 1 || checked["test"] < 1 {
		t.Errorf("checked only %v", checked)
	}
}

// TestSchemasRefuse: what an editor underlines.
func TestSchemasRefuse(t *testing.T) {
	for _, c := range []struct{ schema, why, text string }{
		{"pipeline", "an unknown key", example("colour: red")},
		{"pipeline", "an unknown kind", example("transforms:\n  - {name: t, type: fliter, where: amount > 1}")},
		{"pipeline", "a key of another kind", example("transforms:\n  - {name: t, type: filter, where: amount > 1, set: {a: b}}")},
		{"pipeline", "a missing key", example("transforms:\n  - {name: t, type: filter}")},
		{"pipeline", "a window without a size", example("transforms:\n  - {name: t, type: aggregate, group_by: [id], window: {type: tumbling}, aggregates: {n: count()}}")},
		{"pipeline", "a duration without a unit", example("transforms:\n  - {name: t, type: aggregate, group_by: [id], window: {type: tumbling, size: 60}, aggregates: {n: count()}}")},
		{"pipeline", "a word of no list", example("delivery: twice")},
		{"pipeline", "a column type", example("sources:\n  orders: {topic: o, schema: {id: integer}}")},
		{"pipeline", "an expectation of nothing", example("tests:\n  - {name: t, given: [], expect: [{values: []}]}")},
		{"pipeline", "a step of two kinds", example("tests:\n  - {name: t, given: [{restart: true, source: orders}]}")},
		{"config", "an unknown key", "broker: [a:1]"},
		{"config", "sasl without a password", "sasl: {mechanism: PLAIN, username: me}"},
		{"test", "no tests", "pipeline: p"},
	} {
		s := compiledSchema(t, c.schema)
		for _, doc := range yamlDocuments(t, c.text) {
			if s.Validate(doc) == nil {
				t.Errorf("the schema of a %s takes %s:\n%s", c.schema, c.why, c.text)
			}
		}
	}
}

// TestSARIF: what lint writes fits the part of the standard's schema that it uses.
func TestSARIF(t *testing.T) {
	text, err := os.ReadFile("testdata/sarif-2.1.0-part.json")
	if err != nil {
		t.Fatal(err)
	}
	s := compileSchema(t, text)
	_, diags := LintBytes("a folder/p.yaml", []byte(example("transforms:\n  - {name: t, type: aggregate, group_by: [id], aggregates: {n: last(amount)}}")), nil)
	_, none := LintBytes("p.yaml", nil, nil)
	for _, ds := range []Diagnostics{diags, none, {}} {
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(ds.SARIF("1")))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Validate(doc); err != nil {
			t.Errorf("%v in\n%s", err, ds.SARIF("1"))
		}
	}
	if len(diags) < 2 || len(none) != 1 {
		t.Errorf("%d and %d findings", len(diags), len(none))
	}
}
