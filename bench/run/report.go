package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/leatstream/leat/bench/realkafka"
)

// report writes the table, as Markdown that also reads well in a terminal.
func (r *runner) report(out io.Writer) error {
	p := func(format string, args ...any) { fmt.Fprintf(out, format+"\n", args...) }
	p("# What leat does beside raw consumption\n")
	p("%s. %s.\n", time.Now().UTC().Format("2006-01-02 15:04 UTC"), machine())
	p("Made by `make bench`: one Apache Kafka %s on the same machine, four partitions, lz4. The job is filter, map, then count, sum, min,", realkafka.Version)
	p("max and avg over hopping windows of 60 s every 10 s by the record's key, to an output topic, %s. Medians of %d rounds,", strings.ReplaceAll(r.delivery, "_", " "), r.rounds)
	p("raw and leat by turns. CPU is that of the process alone, from start to end. Rates run from the first rows to the end (leat: the last commit).\n")
	p("| workload | what | rows/s (min–max) | of raw | CPU s per M rows | peak MB | results |")
	p("|---|---|---:|---:|---:|---:|---:|")
	for _, w := range r.workloads {
		raw, eng := r.raw[w.name], r.eng[w.name]
		p("| %s, %s | raw franz-go | %s | 1 | %.2f | %.0f | – |", w.name, thousands(w.rows), rates(raw),
			median(raw, summary.cpuPerMillion), median(raw, peakMB))
		p("| %s | leat | %s | %.3f | %.2f | %.0f | %s |", w.name, rates(eng),
			median(eng, summary.rate)/median(raw, summary.rate), median(eng, summary.cpuPerMillion), median(eng, peakMB),
			thousands(int(eng[0].RecordsOut)))
	}
	p("")
	for _, w := range r.workloads {
		line := fmt.Sprintf("- **%s**: %s.", w.name, w.about)
		if v := r.checked[w.name]; v != "" {
			line += " First round checked: " + v + "."
		}
		p("%s", line)
	}
	return nil
}

func peakMB(s summary) float64 { return float64(s.PeakRSSBytes) / (1 << 20) }

func rates(of []summary) string {
	lo, hi := of[0].rate(), of[0].rate()
	for _, s := range of {
		lo, hi = min(lo, s.rate()), max(hi, s.rate())
	}
	return fmt.Sprintf("%s (%.0f–%.0f k)", thousands(int(median(of, summary.rate))), lo/1e3, hi/1e3)
}

func median(of []summary, f func(summary) float64) float64 {
	var v []float64
	for _, s := range of {
		v = append(v, f(s))
	}
	slices.Sort(v)
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}

func thousands(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// machine is one line about where this ran.
func machine() string {
	cpu := runtime.GOARCH
	text, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			cpu = strings.TrimSpace(value)
			break
		}
	}
	commit := "unknown"
	if out, err := exec.Command("git", "describe", "--always", "--dirty").Output(); err == nil {
		commit = strings.TrimSpace(string(out))
	}
	return fmt.Sprintf("%d cores shared by broker and client (%s), %s/%s, %s, commit %s", runtime.NumCPU(), cpu, runtime.GOOS, runtime.GOARCH, runtime.Version(), commit)
}
