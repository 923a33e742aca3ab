package e2e

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/leatstream/leat/bench/truth"
)

// The main job with no broker at all: the same answers with one partition and
// with four, in any order of arrival that the watermark allows, and however
// often every task is rebuilt from its log.
func TestPipeGivesTheKnownAnswers(t *testing.T) {
	if testing.Short() {
		t.Skip("200,000 events, several times")
	}
	const seed, boundMS = 7, 120_000
	events := truth.Events()
	arrived := truth.Lines(events)
	shuffled := truth.Lines(truth.Shuffled(events, boundMS, seed))

	for _, c := range []struct {
		name     string
		input    []byte
		pipeline string
		args     []string
	}{
		{"one partition", arrived, "windows.yaml", nil},
		{"one partition, shuffled", shuffled, "windows.yaml", nil},
		{"four partitions, restarted", arrived, "windows.yaml", []string{"--partitions", "4", "--restart-every", "1000"}},
		{"four partitions, shuffled", shuffled, "windows.yaml", []string{"--partitions", "4"}},
		{"behind a repartition topic, shuffled and restarted", shuffled, "rekeyed.yaml", []string{"--partitions", "4", "--restart-every", "20000"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			binary, err := leat()
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			args := []string{"pipe", pipeline(t, c.pipeline, "windows", "readings"), "--source", "readings"}
			for _, sink := range sinks {
				args = append(args, "--sink", sink+"="+filepath.Join(dir, sink))
			}
			cmd := exec.Command(binary, append(args, c.args...)...)
			cmd.Stdin = bytes.NewReader(c.input)
			if said, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("leat %v: %v\n%s", args, err, said[max(0, len(said)-4000):])
			}
			for _, sink := range sinks {
				rows, err := os.Open(filepath.Join(dir, sink))
				if err != nil {
					t.Fatal(err)
				}
				defer rows.Close()
				check := truth.NewCheck(answers(sink))
				for lines := bufio.NewScanner(rows); lines.Scan(); {
					check.Row(lines.Bytes())
				}
				if err := check.Done(); err != nil {
					t.Errorf("%s, order by seed %d: %v", sink, seed, err)
				}
			}
		})
	}
}
