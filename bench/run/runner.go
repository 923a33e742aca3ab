package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// A runner does the rounds and keeps what they gave.
type runner struct {
	options
	dir       string
	workloads []workload
	raw, eng  map[string][]summary // by workload, one per round
	checked   map[string]string
}

func (r *runner) run(ctx context.Context) error {
	r.raw, r.eng, r.checked = map[string][]summary{}, map[string][]summary{}, map[string]string{}
	for _, w := range r.workloads {
		fmt.Fprintf(os.Stderr, "loading %s, %d rows\n", w.name, w.rows)
		if _, err := r.self(ctx, "child-load", "-brokers", r.brokers, "-workload", w.name, "-topic", w.name, "-rows", strconv.Itoa(w.rows)); err != nil {
			return err
		}
	}
	for round := range r.rounds {
		for _, w := range r.workloads {
			raw, err := r.measureRaw(ctx, w)
			if err != nil {
				return err
			}
			r.raw[w.name] = append(r.raw[w.name], raw)
			eng, err := r.measureLeat(ctx, w, round)
			if err != nil {
				return err
			}
			r.eng[w.name] = append(r.eng[w.name], eng)
			fmt.Fprintf(os.Stderr, "round %d %s: raw %.0f k/s, leat %.0f k/s, ratio %.3f, %.2f CPU s/M, %d MB\n", round+1, w.name,
				raw.rate()/1e3, eng.rate()/1e3, eng.rate()/raw.rate(), eng.cpuPerMillion(), eng.PeakRSSBytes>>20)
		}
	}
	return nil
}

func (r *runner) measureRaw(ctx context.Context, w workload) (summary, error) {
	out, err := r.self(ctx, "child-raw", "-brokers", r.brokers, "-topic", w.name, "-rows", strconv.Itoa(w.rows))
	if err != nil {
		return summary{}, err
	}
	return out.summary()
}

func (r *runner) measureLeat(ctx context.Context, w workload, round int) (summary, error) {
	name := fmt.Sprintf("bench-%s-%d", w.name, round)
	out := name + "-out"
	dir := filepath.Join(r.dir, name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return summary{}, fmt.Errorf("make a folder for %s: %w", name, err)
	}
	file := filepath.Join(dir, "pipeline.yaml")
	text := strings.NewReplacer("${NAME}", name, "${TOPIC}", w.name, "${OUT}", out, "${DELIVERY}", r.delivery).Replace(w.pipeline)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return summary{}, fmt.Errorf("write the pipeline: %w", err)
	}
	args := []string{"run", file, "--brokers", r.brokers, "--state-dir", filepath.Join(dir, "state"), "--until-end", "--flush-every", r.flushEvery}
	if r.lanes > 0 {
		args = append(args, "--lanes", strconv.Itoa(r.lanes))
	}
	cmd := exec.CommandContext(ctx, r.leat, args...)
	if r.cpuProfile != "" && round == r.rounds-1 {
		profile, err := filepath.Abs(r.cpuProfile + "." + w.name)
		if err != nil {
			return summary{}, err
		}
		cmd.Env = append(os.Environ(), "LEAT_CPUPROFILE="+profile)
	}
	ran, err := run(cmd)
	if err != nil {
		return summary{}, err
	}
	s, err := ran.summary()
	if err != nil {
		return summary{}, err
	}
	if s.RecordsIn != int64(w.rows) {
		return summary{}, fmt.Errorf("leat read %d rows of %s, not %d", s.RecordsIn, w.name, w.rows)
	}
	if r.check && round == 0 {
		verdict, err := r.self(ctx, "child-check", "-brokers", r.brokers, "-topic", w.name, "-out", out)
		if err != nil {
			return summary{}, err
		}
		r.checked[w.name] = strings.TrimSpace(string(verdict.stdout))
		fmt.Fprintf(os.Stderr, "checked %s: %s\n", w.name, r.checked[w.name])
	}
	return s, r.forget(ctx, name, dir)
}

// forget deletes what a run left behind, so that no run pays for those before.
func (r *runner) forget(ctx context.Context, name, dir string) error {
	if r.keep {
		return nil
	}
	os.RemoveAll(dir)
	cl, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(r.brokers, ",")...))
	if err != nil {
		return fmt.Errorf("delete the topics of %s: %w", name, err)
	}
	defer cl.Close()
	admin := kadm.NewClient(cl)
	topics, err := admin.ListTopics(ctx)
	if err != nil {
		return fmt.Errorf("delete the topics of %s: %w", name, err)
	}
	var mine []string
	for _, t := range topics.Names() {
		if strings.HasPrefix(t, name) {
			mine = append(mine, t)
		}
	}
	if _, err := admin.DeleteTopics(ctx, mine...); err != nil {
		return fmt.Errorf("delete the topics of %s: %w", name, err)
	}
	return nil
}

// self runs one of our children.
func (r *runner) self(ctx context.Context, args ...string) (ran, error) {
	program, err := os.Executable()
	if err != nil {
		return ran{}, err
	}
	return run(exec.CommandContext(ctx, program, args...))
}

// ran is a process that ended well: what it printed, and what it cost by the
// kernel's account, which no program can flatter.
type ran struct {
	stdout  []byte
	cpu     float64 // seconds, user and system
	peakRSS int64   // bytes
}

func run(cmd *exec.Cmd) (ran, error) {
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		text := stderr.Bytes()
		return ran{}, fmt.Errorf("run %s: %w\n%s", strings.Join(cmd.Args, " "), err, text[max(0, len(text)-4000):])
	}
	usage := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	return ran{stdout.Bytes(), (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds(), usage.Maxrss << 10}, nil
}

// summary is the last line of what it printed, with CPU and memory as we saw them.
func (r ran) summary() (summary, error) {
	lines := bytes.Split(bytes.TrimSpace(r.stdout), []byte("\n"))
	var s summary
	if err := json.Unmarshal(lines[len(lines)-1], &s); err != nil {
		return s, fmt.Errorf("read the summary line %q: %w", lines[len(lines)-1], err)
	}
	s.CPUSeconds, s.PeakRSSBytes = r.cpu, r.peakRSS
	return s, nil
}

func (s summary) rate() float64          { return float64(s.RecordsIn) / s.Seconds }
func (s summary) cpuPerMillion() float64 { return s.CPUSeconds / float64(s.RecordsIn) * 1e6 }
