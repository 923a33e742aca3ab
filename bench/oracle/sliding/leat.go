package main

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/pipelines"
)

//go:embed sliding.yaml
var yaml string

// compression is of what both sides produce: Kafka Streams' default.
const compression = "none"

// pipelineText is the job as leat is told it.
func pipelineText(name, topic, out, emit, delivery string) string {
	return strings.NewReplacer("${NAME}", name, "${TOPIC}", topic, "${OUT}", out, "${EMIT}", emit, "${DELIVERY}", delivery,
		"${SIZE}", fmt.Sprintf("%dms", sizeMS), "${GRACE}", fmt.Sprintf("%dms", graceMS)).Replace(yaml)
}

// leatInMemory runs the rows through the engine's own driver, 1,000 at a time.
func leatInMemory(rows []row, emit string) (summary, error) {
	set, diags := pipelines.LoadBytes("sliding.yaml", []byte(pipelineText("bench-sliding", "rows", "out", emit, "exactly_once")), os.LookupEnv)
	if diags.Errors() > 0 {
		var b strings.Builder
		_ = diags.Write(&b, false)
		return summary{}, fmt.Errorf("load the pipeline:\n%s", b.String())
	}
	topo, err := pipelines.Build(set.Pipelines[0], pipelines.Options{})
	if err != nil {
		return summary{}, err
	}
	s := summary{RecordsIn: int64(len(rows))}
	finals := make([]byte, 0, len(rows)*256) // looked at when the clock has stopped
	d, err := engine.NewDriver(topo, engine.DriverOptions{Partitions: 1, Now: startMS, Result: func(_ engine.Topic, r engine.Record) {
		s.RecordsOut++
		if emit == "close" {
			finals = append(append(finals, r.Value...), '\n')
		}
	}})
	if err != nil {
		return summary{}, err
	}
	began := time.Now()
	for i := range rows {
		d.Feed(engine.Record{Topic: "rows", Key: []byte(rows[i].key), Value: []byte(rows[i].value), Time: rows[i].time})
		if i%1000 == 999 || i == len(rows)-1 {
			if err := d.Run(); err != nil {
				return summary{}, err
			}
		}
	}
	s.Seconds = time.Since(began).Seconds()
	for value := range bytes.Lines(finals) {
		if err := s.fold(value); err != nil {
			return s, err
		}
	}
	return s, nil
}

// leatOnBroker runs the binary over a topic to its end.
func (b *bench) leatOnBroker(ctx context.Context, name, emit string) (summary, error) {
	dir := filepath.Join(b.dir, name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return summary{}, fmt.Errorf("make a folder for %s: %w", name, err)
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "pipeline.yaml")
	if err := os.WriteFile(file, []byte(pipelineText(name, topic, name+"-out", emit, b.delivery)), 0o600); err != nil {
		return summary{}, fmt.Errorf("write the pipeline: %w", err)
	}
	config := filepath.Join(dir, "leat.yaml")
	if err := os.WriteFile(config, []byte("compression: "+compression+"\n"), 0o600); err != nil {
		return summary{}, fmt.Errorf("write the worker's config: %w", err)
	}
	return finish(exec.CommandContext(ctx, b.leat, "run", file, "--config", config, "--brokers", b.brokers, "--state-dir", filepath.Join(dir, "state"), "--until-end"))
}

// summary is the last line that a run prints.
type summary struct {
	RecordsIn  int64   `json:"records_in"`
	RecordsOut int64   `json:"records_out"`
	Seconds    float64 `json:"seconds"`
	CPU        float64 `json:"-"`       // seconds of the process, with its start and its end
	Windows    int64   `json:"windows"` // finals, where they were looked at
	N          int64   `json:"n"`       // rows in them
	Sum        int64   `json:"sum"`     // and their sum
}

func (s *summary) fold(value []byte) error {
	var v struct {
		N   int64 `json:"n"`
		Sum int64 `json:"sum"`
	}
	if err := json.Unmarshal(value, &v); err != nil {
		return fmt.Errorf("read result %s: %w", value, err)
	}
	s.Windows, s.N, s.Sum = s.Windows+1, s.N+v.N, s.Sum+v.Sum
	return nil
}

func (s summary) rate() float64 { return float64(s.RecordsIn) / s.Seconds }

// finish runs a command and reads its summary.
func finish(cmd *exec.Cmd) (summary, error) {
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		text := stderr.Bytes()
		return summary{}, fmt.Errorf("run %s: %w\n%s", cmd.Args[0], err, text[max(0, len(text)-4000):])
	}
	lines := bytes.Split(bytes.TrimSpace(stdout.Bytes()), []byte("\n"))
	var s summary
	if err := json.Unmarshal(lines[len(lines)-1], &s); err != nil {
		return s, fmt.Errorf("read the summary line %q: %w", lines[len(lines)-1], err)
	}
	s.CPU = (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds()
	return s, nil
}
