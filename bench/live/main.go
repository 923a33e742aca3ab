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
	"syscall"
	"time"
)

// options are the flags.
type options struct {
	clients, half   int
	seconds         int
	write           bool
	child, brokers  string
	refresh, settle time.Duration
}

func main() {
	o := options{refresh: 250 * time.Millisecond, settle: 3 * time.Second}
	flag.IntVar(&o.clients, "clients", 10_000, "streams for memory and CPU")
	flag.IntVar(&o.half, "half", 5_000, "streams for latency and the storm")
	flag.IntVar(&o.seconds, "seconds", 15, "length of each measurement")
	flag.BoolVar(&o.write, "write", false, "write bench/live/RESULTS.md")
	flag.StringVar(&o.child, "child", "", "for its own use: broker or node")
	flag.StringVar(&o.brokers, "brokers", "", "for its own use")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := o.run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench-live:", err)
		os.Exit(1)
	}
}

func (o options) run(ctx context.Context) error {
	switch o.child {
	case "broker":
		return runBroker(ctx)
	case "node":
		return runNode(ctx, o.brokers)
	case "":
	default:
		return fmt.Errorf("-child %s: there is no such child", o.child)
	}
	r, err := o.measure(ctx)
	if err != nil {
		return err
	}
	out := io.Writer(os.Stdout)
	if o.write {
		f, err := os.Create(filepath.Join("bench", "live", "RESULTS.md"))
		if err != nil {
			return fmt.Errorf("write the results (run this in the repository's root): %w", err)
		}
		defer f.Close()
		out = io.MultiWriter(os.Stdout, f)
	}
	r.report(out, o)
	return nil
}

// measure starts the children and takes all measurements.
func (o options) measure(ctx context.Context) (r results, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	broker, err := startChild(ctx, "broker")
	if err != nil {
		return r, err
	}
	defer broker.stop()
	feed, err := newFeeder(ctx, broker.line, o.refresh)
	if err != nil {
		return r, err
	}
	defer feed.close()
	node, err := startChild(ctx, "node", "-brokers", broker.line)
	if err != nil {
		return r, err
	}
	defer node.stop()
	r.load = loadavg()

	// Memory and CPU.
	if err := wait(ctx, o.settle); err != nil {
		return r, err
	}
	bare := node.usage()
	crowd, err := connect(ctx, node.line, o.clients, "")
	if err != nil {
		return r, err
	}
	if err := wait(ctx, o.settle); err != nil {
		return r, err
	}
	crowd.forget()
	before, began := node.usage(), time.Now()
	if err := wait(ctx, time.Duration(o.seconds)*time.Second); err != nil {
		return r, err
	}
	after, took := node.usage(), time.Since(began)
	full := crowd.seen()
	r.memory = float64(after.rss-bare.rss) / float64(o.clients)
	r.cpu = (after.cpu - before.cpu).Seconds() / float64(full.frames)
	r.frames = float64(full.frames) / took.Seconds()
	r.bytes = float64(full.bytes) / float64(full.frames)
	r.cores = (after.cpu - before.cpu).Seconds() / took.Seconds()
	r.full = full
	crowd.close()
	if full.frames == 0 {
		return r, errors.New("no frame came")
	}

	// Latency, alone and beside a client that stops reading.
	half, err := connect(ctx, node.line, o.half, "")
	if err != nil {
		return r, err
	}
	defer half.close()
	latency := func() (seen, error) {
		if err := wait(ctx, o.settle); err != nil {
			return seen{}, err
		}
		half.forget()
		err := wait(ctx, time.Duration(o.seconds)*time.Second)
		return half.seen(), err
	}
	if r.alone, err = latency(); err != nil {
		return r, err
	}
	stalled, err := stall(node.line)
	if err != nil {
		return r, err
	}
	r.beside, err = latency()
	stalled.Close()
	if err != nil {
		return r, err
	}

	// The storm: rows stand still, so that frames of the feeder do not count.
	feed.pause(true)
	if err := wait(ctx, o.settle); err != nil {
		return r, err
	}
	cursor := half.cursor()
	half.close()
	for _, c := range []string{cursor, ""} {
		from, began := node.encoded(), time.Now()
		back, err := connect(ctx, node.line, o.half, c)
		if err != nil {
			return r, err
		}
		if err := back.ready(ctx); err != nil {
			return r, err
		}
		r.storms = append(r.storms, storm{cursor: c != "", took: time.Since(began), encodes: node.encoded() - from, resumed: back.resumed()})
		back.close()
		if err := wait(ctx, o.settle); err != nil {
			return r, err
		}
	}
	return r, nil
}

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
