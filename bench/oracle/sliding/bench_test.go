package main

import (
	"syscall"
	"testing"
)

// The job of the command through leat alone, as `go test -bench . -cpuprofile`
// wants it; cpu-µs/row means something on a busy machine, too.
func BenchmarkClose(b *testing.B)  { benchmark(b, "close") }
func BenchmarkUpdate(b *testing.B) { benchmark(b, "update") }

func benchmark(b *testing.B, emit string) {
	rows := workload(200_000, 10_000, 1)
	cpu, n, out := -used(b), 0, int64(0)
	var seconds float64
	for b.Loop() {
		s, err := leatInMemory(rows, emit)
		if err != nil {
			b.Fatal(err)
		}
		seconds, n, out = seconds+s.Seconds, n+len(rows), s.RecordsOut
	}
	cpu += used(b)
	b.ReportMetric(float64(n)/seconds, "rows/s")
	b.ReportMetric(cpu/float64(n)*1e6, "cpu-µs/row")
	b.ReportMetric(float64(out), "results")
}

// used is the CPU time of the process, in seconds.
func used(b *testing.B) float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}
