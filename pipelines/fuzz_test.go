package pipelines

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// FuzzLoad checks that no input makes Load panic, that every finding has a
// place in the file, and that what has no errors can be built. Run it as
//
//	go test -fuzz FuzzLoad -fuzzminimizetime 1x ./pipelines
//
// as coverage counts vary from run to run and minimizing would never end.
func FuzzLoad(f *testing.F) {
	shipped, _ := filepath.Glob("*.yaml")
	for _, file := range shipped {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	manuals, _ := filepath.Glob("testdata/errors/*.txt")
	for _, file := range manuals {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		for _, c := range strings.Split(string(data), "\n\n") {
			cmd, rest, _ := strings.Cut(c, "\n")
			in, _, _ := strings.Cut(rest, "\n----")
			switch cmd {
			case "file":
				f.Add([]byte(in))
			case "transforms":
				f.Add([]byte(rightHead + rightSources + in + "\n" + rightSinks))
			case "sinks":
				f.Add([]byte(rightHead + rightSources + in))
			case "more":
				f.Add([]byte(rightHead + rightSources + rightSinks + in))
			}
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		began := time.Now()
		set, diags := LoadBytes("f.yaml", data, testEnv)
		const patience = 5 * time.Second // generous: a loaded machine, coverage counters
		if took := time.Since(began); took > patience {
			t.Errorf("took %s", took)
		}
		lines := strings.Count(string(data), "\n") + 1
		for _, d := range diags {
			if d.Text == "" || d.Code == "" || d.Line < 0 || d.Line > lines {
				t.Errorf("%s in %d lines", d, lines)
			}
		}
		if diags.Errors() > 0 {
			return
		}
		for _, p := range set.Pipelines {
			if _, err := Build(p, Options{Secret: func(string) (string, bool) { return "s", true }}); err != nil {
				t.Error(err)
			}
		}
	})
}
