//go:build mutation

package random

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// tries is how many programs a mistake has to go unnoticed in. Each of them has
// the kind of step that it breaks, and is found within some thirty: a run ends
// with the first that fails.
const tries = 1000

// TestMutations makes one mistake at a time in the engine, and sees to it that
// the random suite notices, from a seed that nobody chose. All mistakes are in
// one binary, an overlay of the files: what takes time is to build.
func TestMutations(t *testing.T) {
	top, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	binary := build(t, top, overlay(t, top))
	if *seed <= 1 { // not given
		*seed = uint64(time.Now().UnixNano())
	}
	t.Logf("-seed %d", *seed)
	// Without a mistake nothing fails: what is caught below is the mistake.
	kinds := map[string]bool{}
	for _, m := range Mutations {
		if kinds[m.Only] {
			continue
		}
		kinds[m.Only] = true
		if out, err := trial(binary, -1, m.Only, 60); err != nil {
			t.Fatalf("without a mistake, -only %q: %s", m.Only, out)
		}
	}
	for i, m := range Mutations {
		t.Run(m.Name, func(t *testing.T) {
			out, err := trial(binary, i, m.Only, tries)
			_, replay, caught := strings.Cut(string(out), "replay: ")
			switch {
			case err == nil:
				t.Errorf("not caught in %d cases", tries)
			case !caught:
				t.Errorf("did not run: %s", out)
			default:
				line, _, _ := strings.Cut(replay, "\n")
				t.Logf("caught by case %d: %s", caughtBy(line), line)
			}
		})
	}
}

// caughtBy is how many cases were run until one failed.
func caughtBy(replay string) uint64 {
	_, rest, _ := strings.Cut(replay, "-seed ")
	number, _, _ := strings.Cut(rest, " ")
	n, _ := strconv.ParseUint(number, 10, 64)
	return n - *seed + 1
}

// overlay writes the files with the mistakes in them, and what go build must
// know of them. Which mistake is made LEAT_MUTATION says.
func overlay(t *testing.T, top string) (path string) {
	dir, replace := t.TempDir(), map[string]string{}
	texts := map[string]string{}
	for i, m := range Mutations {
		text, there := texts[m.File]
		if !there {
			data, err := os.ReadFile(filepath.Join(top, filepath.FromSlash(m.File)))
			if err != nil {
				t.Fatal(err)
			}
			text = string(data)
		}
		if strings.Count(text, m.Old) != 1 {
			t.Fatalf("%s does not have exactly one %q", m.File, m.Old)
		}
		if !strings.Contains(m.New, "MUTANT") {
			t.Fatalf("%s: it is not made at times only", m.Name)
		}
		mistake := strings.ReplaceAll(m.New, "MUTANT", fmt.Sprintf("(mutation == %d)", i))
		texts[m.File] = strings.Replace(text, m.Old, mistake, 1)
	}
	for file, text := range texts {
		path := filepath.Join(top, filepath.FromSlash(file))
		replace[path] = write(t, dir, text)
		pkg := filepath.Base(filepath.Dir(path))
		replace[filepath.Join(filepath.Dir(path), "mutation.go")] = write(t, dir, fmt.Sprintf(which, pkg))
	}
	data, err := json.Marshal(map[string]map[string]string{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	return write(t, dir, string(data))
}

// which is a file of each package that has a mistake.
const which = `package %s

import (
	"os"
	"strconv"
)

var mutation = func() int { n, err := strconv.Atoi(os.Getenv("LEAT_MUTATION")); if err != nil { return -1 }; return n }()
`

// write writes a file of a name of its own.
func write(t *testing.T, dir, text string) (path string) {
	f, err := os.CreateTemp(dir, "*.go")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return f.Name()
}

// build makes the test binary.
func build(t *testing.T, top, overlay string) (path string) {
	path = filepath.Join(t.TempDir(), "random.test")
	cmd := exec.Command("go", "test", "-c", "-ldflags=-s -w", "-o", path, "-overlay", overlay, "./bench/random")
	cmd.Dir = top
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return path
}

// trial runs programs that have a step of a type, with a mistake, until one
// fails; -1 is no mistake.
func trial(binary string, mutation int, only string, cases int) ([]byte, error) {
	cmd := exec.Command(binary, "-test.timeout", "10m", "-test.run", "^TestAgainstNaive$", "-seed", fmt.Sprint(*seed), "-cases", strconv.Itoa(cases), "-shrink=false", "-only", only)
	cmd.Env = append(os.Environ(), "LEAT_MUTATION="+strconv.Itoa(mutation))
	return cmd.CombinedOutput()
}
