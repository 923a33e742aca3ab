package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/leatstream/leat/bench/truth"
)

// leat is the binary under test, built once per run of the tests; LEAT_BINARY
// names another.
var leat = sync.OnceValues(func() (string, error) {
	if given := os.Getenv("LEAT_BINARY"); given != "" {
		return filepath.Abs(given)
	}
	dir, err := os.MkdirTemp("", "leat-e2e-")
	if err != nil {
		return "", err
	}
	atEnd = append(atEnd, func() { os.RemoveAll(dir) })
	binary := filepath.Join(dir, "leat")
	if out, err := exec.Command("go", "build", "-o", binary, "../../cmd/leat").CombinedOutput(); err != nil {
		return "", fmt.Errorf("build leat: %w\n%s", err, out)
	}
	return binary, nil
})

// atEnd is what to undo when the last test has ended.
var atEnd []func()

func TestMain(m *testing.M) {
	code := m.Run()
	for _, undo := range atEnd {
		undo()
	}
	os.Exit(code)
}

// pipeline writes a pipeline of testdata with its names filled in.
func pipeline(t *testing.T, file, name, topic string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), file)
	filled := strings.NewReplacer("${NAME}", name, "${TOPIC}", topic).Replace(string(text))
	if err := os.WriteFile(path, []byte(filled), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// A process is one leat of ours. Its own group is not needed: it is ended by
// its handle, at the latest when the test ends.
type process struct {
	t      testing.TB
	cmd    *exec.Cmd
	name   string
	stdout bytes.Buffer // read after ended only
	stderr string       // file: kept out of the way, shown when a test fails
	ended  chan struct{}
	err    error // after ended
}

// start runs leat with these arguments.
func start(t testing.TB, name string, args ...string) *process {
	t.Helper()
	binary, err := leat()
	if err != nil {
		t.Fatal(err)
	}
	log, err := os.CreateTemp(t.TempDir(), name+"-*.log")
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	p := &process{t: t, cmd: exec.Command(binary, args...), name: name, stderr: log.Name(), ended: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = &p.stdout, log
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
	go func() { // ends with the process
		p.err = p.cmd.Wait()
		close(p.ended)
	}()
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("the end of what %s (leat %s) said:\n%s", name, strings.Join(args, " "), p.said())
		}
	})
	return p
}

// kill is kill -9.
func (p *process) kill() {
	p.cmd.Process.Kill()
	<-p.ended
}

// running is false as soon as the process has ended by itself.
func (p *process) running() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// drain is SIGTERM: commit and leave, with exit code 0.
func (p *process) drain(patience time.Duration) {
	p.t.Helper()
	p.cmd.Process.Signal(syscall.SIGTERM)
	p.wait(patience)
}

// wait waits for an end with exit code 0.
func (p *process) wait(patience time.Duration) {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(patience):
		// Its goroutines say where it hangs.
		p.cmd.Process.Signal(syscall.SIGQUIT)
		select {
		case <-p.ended:
		case <-time.After(5 * time.Second):
		}
		p.t.Fatalf("%s did not end within %s", p.name, patience)
	}
	if p.err != nil {
		var exit *exec.ExitError
		if errors.As(p.err, &exit) {
			p.t.Fatalf("%s ended with exit code %d", p.name, exit.ExitCode())
		}
		p.t.Fatalf("%s: %v", p.name, p.err)
	}
}

// A summary is the line that --until-end prints.
type summary struct {
	RecordsIn    int64   `json:"records_in"`
	RecordsOut   int64   `json:"records_out"`
	Seconds      float64 `json:"seconds"`
	WallSeconds  float64 `json:"wall_seconds"`
	CPUSeconds   float64 `json:"cpu_seconds"`
	PeakRSSBytes int64   `json:"peak_rss_bytes"`
}

// summary reads it, after the end.
func (p *process) summary() summary {
	p.t.Helper()
	lines := bytes.Split(bytes.TrimSpace(p.stdout.Bytes()), []byte("\n"))
	var s summary
	if err := json.Unmarshal(lines[len(lines)-1], &s); err != nil {
		p.t.Fatalf("%s: its last line %q is no summary: %v", p.name, lines[len(lines)-1], err)
	}
	return s
}

func (p *process) said() []byte {
	text, _ := os.ReadFile(p.stderr)
	return text[max(0, len(text)-8000):]
}

// sinks are those of the pipelines in testdata, and answers what they must say.
var sinks = []string{"minutes", "rolling"}

func answers(sink string) truth.Answers {
	if sink == "minutes" {
		return truth.Tumbling60()
	}
	return truth.Hopping60By10()
}
