//go:build linux

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/leatstream/leat/bench/figures"
)

// options are the flags.
type options struct {
	clients, half, few int
	seconds, size      int
	write              bool
	profile            string
	child, brokers     string
	refresh, settle    time.Duration
}

func main() {
	o := options{refresh: 250 * time.Millisecond, settle: 3 * time.Second}
	flag.IntVar(&o.clients, "clients", 10_000, "streams for memory and CPU")
	flag.IntVar(&o.few, "few", 2_000, "streams for CPU on a machine that is not full")
	flag.IntVar(&o.half, "half", 5_000, "streams for latency and the storm")
	flag.IntVar(&o.seconds, "seconds", 15, "length of each measurement")
	flag.BoolVar(&o.write, "write", false, "write bench/live/RESULTS.md")
	flag.StringVar(&o.profile, "profile", "", "write a CPU profile of the node to this file")
	flag.StringVar(&o.child, "child", "", "for its own use: broker, node or floor")
	flag.IntVar(&o.size, "size", 0, "for its own use")
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
	case "floor":
		return runFloor(ctx, o.size, o.refresh)
	case "":
	default:
		return fmt.Errorf("-child %s: there is no such child", o.child)
	}
	r, err := o.measure(ctx)
	if err != nil {
		return err
	}
	folder := ""
	if o.write {
		folder = "bench/live"
	}
	return figures.Publish(folder, func(w io.Writer) error { r.report(w, o); return nil })
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
	r.machine = figures.Load()

	if err := wait(ctx, o.settle); err != nil {
		return r, err
	}
	bare := node.usage()
	if r.full, err = o.load(ctx, node, o.clients, ""); err != nil {
		return r, err
	}
	r.memory = float64(r.full.rss-bare.rss) / float64(o.clients)
	if r.few, err = o.load(ctx, node, o.few, o.profile); err != nil {
		return r, err
	}
	floor, err := startChild(ctx, "floor", "-size", strconv.Itoa(int(r.few.size())))
	if err != nil {
		return r, err
	}
	r.floor, err = o.load(ctx, floor, o.few, "")
	floor.stop()
	if err != nil {
		return r, err
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
		from, err := node.counted()
		if err != nil {
			return r, err
		}
		began := time.Now()
		back, err := connect(ctx, node.line, o.half, c)
		if err != nil {
			return r, err
		}
		if err := back.ready(ctx); err != nil {
			return r, err
		}
		took := time.Since(began)
		to, err := node.counted()
		if err != nil {
			return r, err
		}
		_, resumed := back.told()
		r.storms = append(r.storms, storm{cursor: c != "", took: took, encodes: to.Encoded - from.Encoded, resumed: resumed})
		back.close()
		if err := wait(ctx, o.settle); err != nil {
			return r, err
		}
	}
	return r, nil
}

// load measures a process while n clients read from it.
func (o options) load(ctx context.Context, c *child, n int, profile string) (l load, err error) {
	crowd, err := connect(ctx, c.line, n, "")
	if err != nil {
		return l, err
	}
	defer crowd.close()
	if err := wait(ctx, o.settle); err != nil {
		return l, err
	}
	var first, last counted
	var wg sync.WaitGroup
	var failed error
	if c.what == "node" {
		if first, err = c.counted(); err != nil {
			return l, err
		}
	}
	if profile != "" {
		wg.Go(func() { failed = c.profile(profile, o.seconds) })
	}
	crowd.forget()
	before, began := c.usage(), time.Now()
	if err := wait(ctx, time.Duration(o.seconds)*time.Second); err != nil {
		return l, err
	}
	after, took := c.usage(), time.Since(began)
	l = load{clients: n, took: took, cpu: after.cpu - before.cpu, rss: after.rss, seen: crowd.seen()}
	if c.what == "node" {
		if last, err = c.counted(); err != nil {
			return l, err
		}
		l.ticks, l.resyncs = last.Ticks-first.Ticks, last.Resyncs-first.Resyncs
	}
	wg.Wait()
	if failed != nil {
		return l, failed
	}
	if l.frames == 0 {
		return l, errors.New("no frame came")
	}
	return l, nil
}

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
