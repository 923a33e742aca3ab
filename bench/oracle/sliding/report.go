package main

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/leatstream/leat/bench/realkafka"
)

// report writes the table, as Markdown that also reads well in a terminal.
func (b *bench) report(out io.Writer, runs []*run) {
	p := func(format string, args ...any) { fmt.Fprintf(out, format+"\n", args...) }
	p("# Exact sliding windows beside Kafka Streams\n")
	p("%s. %d cores, %s of memory, %s/%s, %s, load %s at the start.\n", time.Now().UTC().Format("2006-01-02 15:04 UTC"), runtime.NumCPU(), memory(), runtime.GOOS, runtime.GOARCH, runtime.Version(), b.load)
	p("Made by `make bench-sliding BENCH='%s'`. %d rows over %d keys, a row per key each %.1f s moved by up to %d s, so that a window of %d s holds some %d rows;",
		strings.Join(os.Args[1:], " "), b.n, b.keys, float64(spacingMS)/1000, jitterMS/1000, sizeMS/1000, perWindow)
	p("grace %d s. count, sum, min and max per key and window. Medians of %d rounds. Without a broker (the first %d rows): one thread; Kafka Streams gets its rows one by one,", graceMS/1000, b.rounds, len(b.inMemory))
	p("as its test driver has it, and keeps them in RocksDB (its stores in memory look at every time of a window and are far slower); leat gets 1,000 at a time and keeps them in memory. On Kafka: Apache Kafka %s on the same machine, %d partitions, %s and compression %s on both sides, Kafka Streams with a", realkafka.Version, partitions, strings.ReplaceAll(b.delivery, "_", " "), compression)
	p("thread per core and its own commit interval; from the first row read to the last commit. Without a cache Kafka Streams writes a result per update, leat one per window and commit;")
	p("with a cache both write what has changed each 30 s. leat's updates end with a final one for each window, Kafka Streams' do not.\n")
	p("| where | what | rows/s (min–max) | of Kafka Streams | results |\n|---|---|---:|---:|---:|")
	for _, r := range runs {
		ratio := "1"
		if r.beside != "" {
			for _, other := range runs {
				if other.id == r.beside {
					ratio = fmt.Sprintf("%.2f", median(r.got)/median(other.got))
				}
			}
		}
		lo, hi := r.got[0].rate(), r.got[0].rate()
		for _, s := range r.got {
			lo, hi = min(lo, s.rate()), max(hi, s.rate())
		}
		p("| %s | %.0f (%.1f–%.1f k) | %s | %d |", r.what, median(r.got), lo/1e3, hi/1e3, ratio, r.got[0].RecordsOut)
	}
	for _, r := range runs {
		if s := r.got[0]; s.Windows > 0 {
			p("\nWithout a broker both found the same %d finals, of %d rows with a sum of %d.", s.Windows, s.N, s.Sum)
			break
		}
	}
}

func median(of []summary) float64 {
	var v []float64
	for _, s := range of {
		v = append(v, s.rate())
	}
	slices.Sort(v)
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}

// memory is the machine's, in GiB.
func memory() string {
	text, _ := os.ReadFile("/proc/meminfo")
	for line := range strings.Lines(string(text)) {
		var kb int64
		if _, err := fmt.Sscanf(line, "MemTotal: %d kB", &kb); err == nil {
			return fmt.Sprintf("%d GiB", (kb+1<<19)>>20)
		}
	}
	return "unknown"
}
