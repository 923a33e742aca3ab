package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/leatstream/leat/bench/figures"
	"github.com/leatstream/leat/bench/realkafka"
)

// topic is where the rows are, on the broker and in memory.
const topic = "rows"

// bench is one run of the command.
type bench struct {
	leat, brokers, delivery   string
	n, keys, rounds           int
	memoryOnly, write, loaded bool
	only                      string // part of the runs' ids
	dir                       string
	rows                      []row
	inMemory                  []row  // those of them that are run without a broker
	load                      string // of the machine, at the start
}

func main() {
	var b bench
	flag.StringVar(&b.leat, "leat", "bin/leat", "the binary to measure")
	flag.StringVar(&b.delivery, "delivery", "at_least_once", "of both; or exactly_once")
	flag.IntVar(&b.n, "rows", 300_000, "rows on Kafka; without a broker the first 200,000 of them")
	flag.IntVar(&b.keys, "keys", 10_000, "keys")
	flag.IntVar(&b.rounds, "rounds", 3, "rounds; the median counts")
	flag.BoolVar(&b.memoryOnly, "memory", false, "leave the runs on a broker out")
	flag.StringVar(&b.only, "only", "", "the runs whose id holds this: leat, close, kafka-ks …")
	flag.BoolVar(&b.loaded, "busy", false, "measure even where the machine is busy with other things (a load of 1.5 and more), and say so")
	flag.BoolVar(&b.write, "write", false, "write bench/oracle/RESULTS.md")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := b.run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench-sliding:", err)
		os.Exit(1)
	}
}

func (b *bench) run(ctx context.Context) (err error) {
	if b.load, err = figures.Quiet(); err != nil && !b.loaded {
		return err
	}
	if b.leat, err = filepath.Abs(b.leat); err != nil {
		return err
	}
	if b.dir, err = os.MkdirTemp("", "bench-sliding-"); err != nil {
		return fmt.Errorf("make a folder for the run: %w", err)
	}
	defer os.RemoveAll(b.dir)
	b.rows = workload(b.n, b.keys, 1)
	b.inMemory = b.rows[:min(len(b.rows), memoryRows)]
	if err := write(filepath.Join(b.dir, "rows"), b.inMemory); err != nil {
		return err
	}
	if !b.memoryOnly {
		fmt.Fprintln(os.Stderr, "starting Kafka", realkafka.Version)
		k, err := realkafka.Start(ctx, realkafka.Options{Dir: filepath.Join(b.dir, "kafka")})
		if err != nil {
			return err
		}
		defer k.Stop()
		b.brokers = k.Addr()
		if err := b.fill(ctx); err != nil {
			return err
		}
	}
	runs := slices.DeleteFunc(b.runs(ctx), func(r *run) bool { return !strings.Contains(r.id, b.only) })
	for round := range b.rounds {
		for _, r := range runs {
			s, err := r.measure(fmt.Sprintf("sliding-%s-%d", r.id, round))
			if err != nil {
				return fmt.Errorf("%s, round %d: %w", r.id, round+1, err)
			}
			n := len(b.rows)
			if strings.HasPrefix(r.id, "memory-") {
				n = len(b.inMemory)
			}
			if s.RecordsIn != int64(n) {
				return fmt.Errorf("%s read %d rows, not %d", r.id, s.RecordsIn, n)
			}
			r.got = append(r.got, s)
			fmt.Fprintf(os.Stderr, "round %d %s: %.1f k rows/s, %d results, %.1f s of CPU\n", round+1, r.id, s.rate()/1e3, s.RecordsOut, s.CPU)
		}
		if err := agree(runs, b.only == ""); err != nil {
			return err
		}
	}
	folder := ""
	if b.write {
		folder = "bench/oracle"
	}
	return figures.Publish(folder, func(w io.Writer) error { b.report(w, runs); return nil })
}

// run is one thing to measure.
type run struct {
	id      string
	what    string // for the table
	beside  string // the run of Kafka Streams that it is compared with; "": none
	measure func(name string) (summary, error)
	got     []summary
}

func (b *bench) runs(ctx context.Context) []*run {
	const rocks, noCache, cache = "rocksdb", 0, 64 << 20
	// A cache sends what it holds when Kafka Streams commits, at least once each
	// 30 s; leat, told so, does too.
	const throttled = "{mode: update, throttle: 30s}"
	ks := func(emit, stores string, cacheBytes int, onBroker bool) func(string) (summary, error) {
		return func(name string) (summary, error) { return b.streams(ctx, name, emit, stores, cacheBytes, onBroker) }
	}
	ours := func(emit string) func(string) (summary, error) {
		return func(string) (summary, error) { return leatInMemory(b.inMemory, emit) }
	}
	runs := []*run{
		{id: "memory-ks-update", what: "no broker, updates | Kafka Streams, TopologyTestDriver, RocksDB", measure: ks("update", rocks, noCache, false)},
		{id: "memory-leat-update", beside: "memory-ks-update", what: "no broker, updates | leat, engine.Driver", measure: ours("update")},
		{id: "memory-ks-close", what: "no broker, finals | Kafka Streams, TopologyTestDriver, RocksDB", measure: ks("close", rocks, noCache, false)},
		{id: "memory-leat-close", beside: "memory-ks-close", what: "no broker, finals | leat, engine.Driver", measure: ours("close")},
	}
	if b.memoryOnly {
		return runs
	}
	kafka := func(emit string) func(string) (summary, error) {
		return func(name string) (summary, error) {
			if err := b.create(ctx, name+"-out"); err != nil {
				return summary{}, err
			}
			return b.leatOnBroker(ctx, name, emit)
		}
	}
	onKafka := func(emit string, cacheBytes int) func(string) (summary, error) {
		return func(name string) (summary, error) {
			if err := b.create(ctx, name+"-out"); err != nil {
				return summary{}, err
			}
			return b.streams(ctx, name, emit, rocks, cacheBytes, true)
		}
	}
	return append(runs,
		&run{id: "kafka-ks-update", what: "on Kafka, each update | Kafka Streams, RocksDB, no cache", measure: onKafka("update", noCache)},
		&run{id: "kafka-leat-update", beside: "kafka-ks-update", what: "on Kafka, each update | leat run, an update per commit (some 200 ms) and finals", measure: kafka("update")},
		&run{id: "kafka-ks-cache", what: "on Kafka, updates each 30 s | Kafka Streams, RocksDB, 64 MiB of cache", measure: onKafka("update", cache)},
		&run{id: "kafka-leat-throttle", beside: "kafka-ks-cache", what: "on Kafka, updates each 30 s | leat run, throttle: 30s, and finals", measure: kafka(throttled)},
		&run{id: "kafka-ks-close", what: "on Kafka, finals | Kafka Streams, RocksDB, 64 MiB of cache", measure: onKafka("close", cache)},
		&run{id: "kafka-leat-close", beside: "kafka-ks-close", what: "on Kafka, finals | leat run", measure: kafka("close")},
	)
}

// agree compares what runs that were looked at found in their windows: a fast
// wrong answer is not a result. Of a whole round some must have been looked at.
func agree(runs []*run, whole bool) error {
	var first *run
	for _, r := range runs {
		s := r.got[len(r.got)-1]
		if s.Windows == 0 {
			continue
		}
		if first == nil {
			first = r
			continue
		}
		f := first.got[len(first.got)-1]
		if s.Windows != f.Windows || s.N != f.N || s.Sum != f.Sum {
			return errors.New("the two sides differ: " + describe(first.id, f) + ", " + describe(r.id, s))
		}
	}
	if first == nil && whole {
		return errors.New("no finals were looked at")
	}
	return nil
}

func describe(id string, s summary) string {
	return fmt.Sprintf("%s has %d windows of %d rows with a sum of %d", id, s.Windows, s.N, s.Sum)
}
