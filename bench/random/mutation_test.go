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
// files, and sees to it that the random suite notices.
func TestMutations(t *testing.T) {
	top, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	// Without a mistake nothing fails: what is caught below is the mistake.
	sound := map[string]bool{}
	for _, m := range Mutations {
		if sound[m.Only] {
			continue
		}
		sound[m.Only] = true
		cmd := exec.Command("go", "test", "-count=1", "-run", "^TestAgainstNaive$", "./bench/random", "-seed", "1", "-cases", "120", "-only", m.Only)
		cmd.Dir = top
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("without a mistake: %s", out)
		}
	}
	for _, m := range Mutations {
		t.Run(m.Name, func(t *testing.T) {
			path := filepath.Join(top, filepath.FromSlash(m.File))
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Count(string(text), m.Old) != 1 {
				t.Fatalf("%s does not have exactly one %q", m.File, m.Old)
			}
			dir := t.TempDir()
			mutant, overlay := filepath.Join(dir, "mutant.go"), filepath.Join(dir, "overlay.json")
			replace, err := json.Marshal(map[string]map[string]string{"Replace": {path: mutant}})
			if err != nil {
				t.Fatal(err)
			}
			for name, data := range map[string][]byte{mutant: []byte(strings.Replace(string(text), m.Old, m.New, 1)), overlay: replace} {
				if err := os.WriteFile(name, data, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			cmd := exec.Command("go", "test", "-overlay", overlay, "-count=1", "-timeout", "10m", "-run", "^TestAgainstNaive$", "./bench/random", "-seed", "1", "-cases", "120", "-shrink=false", "-only", m.Only)
			cmd.Dir = top
			out, err := cmd.CombinedOutput()
			switch {
			case err == nil:
				t.Error("not caught")
			case !strings.Contains(string(out), "replay: "):
				t.Errorf("did not run: %s", out)
			default:
				text := string(out)
				t.Logf("caught: %s", text[strings.Index(text, "replay: "):min(len(text), strings.Index(text, "replay: ")+80)])
			}
		})
	}
}
