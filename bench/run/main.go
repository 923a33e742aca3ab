package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/leatstream/leat/bench/figures"
	"github.com/leatstream/leat/bench/realkafka"
)

// options are the command line.
type options struct {
	leat       string
	brokers    string
	workloads  string
	peersRows  int
	denseRows  int
	rounds     int
	delivery   string
	flushEvery string
	lanes      int
	check      bool
	cpuProfile string
	write      bool
	keep       bool
}

func main() {
	if child, ok := children[arg(1)]; ok {
		exit(child(os.Args[2:]))
	}
	var o options
	flag.StringVar(&o.leat, "leat", "bin/leat", "the binary to measure")
	flag.StringVar(&o.brokers, "brokers", "", "a Kafka to use; empty: start one")
	flag.StringVar(&o.workloads, "workloads", "peers,dense", "which, separated by commas")
	flag.IntVar(&o.peersRows, "peers-rows", 1_000_000, "rows of the peers' workload")
	flag.IntVar(&o.denseRows, "dense-rows", 2_000_000, "rows of the dense workload (5000000 for all of it)")
	flag.IntVar(&o.rounds, "rounds", 3, "rounds; the median counts")
	flag.StringVar(&o.delivery, "delivery", "exactly_once", "or at_least_once")
	flag.StringVar(&o.flushEvery, "flush-every", "60s", "as leat run --flush-every")
	flag.IntVar(&o.lanes, "lanes", 0, "as leat run --lanes; 0: its default")
	flag.BoolVar(&o.check, "check", true, "recompute the first round's results")
	flag.StringVar(&o.cpuProfile, "cpuprofile", "", "write leat's CPU profile of the last round to FILE.<workload>")
	flag.BoolVar(&o.write, "write", false, "write bench/RESULTS.md")
	flag.BoolVar(&o.keep, "keep", false, "keep the broker's folder, and say where it is")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	exit(measure(ctx, o))
}

// children are the jobs done in a process of their own: load and check so that
// this one stays small (a child's peak memory counts that of its parent at the
// fork), raw so that its CPU is measured alone.
var children = map[string]func(args []string) error{
	"child-load":  loadChild,
	"child-raw":   rawChild,
	"child-check": checkChild,
}

func measure(ctx context.Context, o options) error {
	workloads, err := choose(o)
	if err != nil {
		return err
	}
	if o.leat, err = filepath.Abs(o.leat); err != nil {
		return err
	}
	if _, err := os.Stat(o.leat); err != nil {
		return fmt.Errorf("find the binary to measure (make build): %w", err)
	}
	dir, err := os.MkdirTemp("", "leat-bench-")
	if err != nil {
		return fmt.Errorf("make a folder for the run: %w", err)
	}
	if o.keep {
		fmt.Fprintln(os.Stderr, "kept:", dir)
	} else {
		defer os.RemoveAll(dir)
	}
	if o.brokers == "" {
		fmt.Fprintln(os.Stderr, "starting Kafka", realkafka.Version)
		b, err := realkafka.Start(ctx, realkafka.Options{Dir: filepath.Join(dir, "kafka")})
		if err != nil {
			return err
		}
		defer b.Stop()
		o.brokers = b.Addr()
	}
	r := &runner{options: o, dir: dir, workloads: workloads}
	if err := r.run(ctx); err != nil {
		return err
	}
	folder := ""
	if o.write {
		folder = "bench"
	}
	return figures.Publish(folder, r.report)
}

func arg(n int) string {
	if n < len(os.Args) {
		return os.Args[n]
	}
	return ""
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	os.Exit(0)
}
