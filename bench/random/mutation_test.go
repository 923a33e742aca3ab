//go:build mutation

package random

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestMutations makes one mistake at a time in the engine, in an overlay of its
// files, and sees to it that the random suite notices. Programs that have what
// it breaks find each within thirty cases: what takes time is to build.
func TestMutations(t *testing.T) {
	top, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	// Without a mistake nothing fails: what is caught below is the mistake.
	sound := build(t, top, "")
	kinds := map[string]bool{}
	for _, m := range Mutations {
		if kinds[m.Only] {
			continue
		}
		kinds[m.Only] = true
		if out, err := trial(sound, m.Only); err != nil {
			t.Fatalf("without a mistake, -only %q: %s", m.Only, out)
		}
	}
	for _, m := range Mutations {
		t.Run(m.Name, func(t *testing.T) {
			mutant := build(t, top, overlay(t, top, m))
			out, err := trial(mutant, m.Only)
			_, replay, caught := strings.Cut(string(out), "replay: ")
			switch {
			case err == nil:
				t.Error("not caught")
			case !caught:
				t.Errorf("did not run: %s", out)
			default:
				line, _, _ := strings.Cut(replay, "\n")
				t.Logf("caught: %s", line)
			}
		})
	}
}

// overlay writes the file that has a mistake, and what go build must know of it.
func overlay(t *testing.T, top string, m Mutation) (path string) {
	file := filepath.Join(top, filepath.FromSlash(m.File))
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Count(string(text), m.Old) != 1 {
		t.Fatalf("%s does not have exactly one %q", m.File, m.Old)
	}
	dir := t.TempDir()
	mutant, path := filepath.Join(dir, "mutant.go"), filepath.Join(dir, "overlay.json")
	replace, err := json.Marshal(map[string]map[string]string{"Replace": {file: mutant}})
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{mutant: []byte(strings.Replace(string(text), m.Old, m.New, 1)), path: replace} {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

// build makes the test binary, with an overlay if there is one.
func build(t *testing.T, top, overlay string) (path string) {
	path = filepath.Join(t.TempDir(), "random.test")
	args := []string{"test", "-c", "-ldflags=-s -w", "-o", path}
	if overlay != "" {
		args = append(args, "-overlay", overlay)
	}
	cmd := exec.Command("go", append(args, "./bench/random")...)
	cmd.Dir = top
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return path
}

// trial runs programs that have a step of a type.
func trial(binary, only string) ([]byte, error) {
	return exec.Command(binary, "-test.timeout", "10m", "-test.run", "^TestAgainstNaive$", "-seed", "1", "-cases", "120", "-shrink=false", "-only", only).CombinedOutput()
}
