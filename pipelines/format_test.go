package pipelines

import (
	"errors"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/cockroachdb/datadriven"

	"github.com/leatstream/leat/connectors/codec"
	"github.com/leatstream/leat/connectors/registry"
)

// TestFormats is the manual of formats, envelopes and schemas: testdata/formats,
// with the folder testdata/schemas as the registry. `run` runs the tests of a
// pipeline in memory, through the codecs; `build` shows its topology.
func TestFormats(t *testing.T) {
	datadriven.Walk(t, "testdata/formats", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			set, diags := LoadBytes("testdata/p.yaml", []byte("version: 1\nname: p\n"+d.Input+"\n"), testEnv)
			if diags.Errors() > 0 {
				return printed(diags)
			}
			p := set.Pipelines[0]
			if d.Cmd == "build" {
				topo, err := p.build(t)
				if err != nil {
					return err.Error()
				}
				return describeTopology(topo)
			}
			var b strings.Builder
			_, err := RunTests(p, Options{}, NewMemoryDriver, func(r TestResult) {
				if len(r.Failures) == 0 {
					b.WriteString("ok    " + r.Name + "\n")
					return
				}
				b.WriteString("FAIL  " + r.Name + "\n" + printed(r.Failures))
			})
			if err != nil {
				return err.Error()
			}
			return b.String()
		})
	})
}

const registered = `version: 1
name: p
sources:
  orders: {topic: orders, schema: {id: string, amount: int}}
sinks:
  - {name: out, type: kafka, topic: out, format: avro, register: true}
`

// fakeRegistry is a registry in memory that counts what is registered.
type fakeRegistry struct {
	*registry.Folder
	registered []string
}

func (f *fakeRegistry) Register(subject string, s codec.Schema) (int, error) {
	f.registered = append(f.registered, subject)
	return f.Folder.Register(subject, s)
}

// TestRegister: only pipelines that run register their schemas, and an
// incompatible one is refused when it is loaded.
func TestRegister(t *testing.T) {
	folder, err := registry.OpenFolder(emptyFS{})
	if err != nil {
		t.Fatal(err)
	}
	fake := &fakeRegistry{Folder: folder}
	load := func(text string, run bool) (*Set, Diagnostics) {
		return LoadBytesWith("p.yaml", []byte(text), LoadOptions{Run: run, Schemas: func() (registry.Registry, error) { return fake, nil }})
	}
	for _, run := range []bool{false, true} {
		set, diags := load(registered, run)
		if len(diags) > 0 {
			t.Fatal(printed(diags))
		}
		for range 2 { // the second time the subject has it
			if _, err := Build(set.Pipelines[0], Options{}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := folder.Latest("out-value"); (err == nil) != run || run != (len(fake.registered) > 0) {
			t.Errorf("run %v: registered %v, found: %v", run, fake.registered, err)
		}
	}
	_, diags := load(strings.Replace(registered, "amount: int", "amount: bytes", 1), false)
	if diags.Errors() != 1 || diags[0].Code != "schema" || !strings.Contains(diags[0].Text, "incompatible") {
		t.Errorf("an incompatible schema: %s", printed(diags))
	}
	if _, diags = load(strings.Replace(registered, "amount: int", "amount: int, more: string", 1), false); len(diags) > 0 {
		t.Errorf("a column more: %s", printed(diags))
	}
	_, diags = LoadBytesWith("p.yaml", []byte(registered), LoadOptions{Schemas: func() (registry.Registry, error) { return nil, errors.New("it burns") }})
	if diags.Errors() != 1 || diags[0].Code != "registry" || diags[0].Text != "it burns" {
		t.Errorf("a registry that does not open: %s", printed(diags))
	}
	// A folder takes no schemas of pipelines that run.
	if _, diags = LoadBytesWith("testdata/p.yaml", []byte(registered), LoadOptions{Run: true}); diags.Errors() != 1 || diags[0].Code != "registry" {
		t.Errorf("run with a folder: %s", printed(diags))
	}
}

// emptyFS is a folder without files.
type emptyFS struct{}

func (emptyFS) Open(name string) (fs.File, error) { return fstest.MapFS{}.Open(name) }
