//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/leatstream/leat/connectors/kafka"
	"github.com/leatstream/leat/connectors/kafka/embedded"
	"github.com/leatstream/leat/connectors/sse"
	"github.com/leatstream/leat/engine"
)

// view is the one that is looked at.
var view = engine.ViewSpec{
	Name: "bench/live", Pipeline: "bench", Sink: "live", Topic: "bench.live.view", KeyColumns: []string{"k"}, Tasks: 1,
	Columns: []engine.ViewColumn{{Name: "k", Type: "string"}, {Name: "sent", Type: "int"}, {Name: "pad", Type: "string"}},
	Refresh: 250 * time.Millisecond,
}

// child is a process of ours; line is the first that it printed: its address.
type child struct {
	what string
	cmd  *exec.Cmd
	line string
}

func startChild(ctx context.Context, what string, args ...string) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("start the %s: %w", what, err)
	}
	c := &child{what: what, cmd: exec.CommandContext(ctx, self, append([]string{"-child", what}, args...)...)}
	c.cmd.Stderr = os.Stderr
	c.cmd.Cancel = func() error { return c.cmd.Process.Signal(syscall.SIGTERM) }
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start the %s: %w", what, err)
	}
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the %s: %w", what, err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return nil, fmt.Errorf("start the %s: it ended", what)
	}
	c.line = strings.TrimSpace(line)
	return c, nil
}

func (c *child) stop() {
	_ = c.cmd.Process.Signal(syscall.SIGTERM)
	_ = c.cmd.Wait()
}

// usage is what a process has used.
type usage struct {
	rss int64 // bytes
	cpu time.Duration
}

func (c *child) usage() (u usage) {
	proc := fmt.Sprintf("/proc/%d/", c.cmd.Process.Pid)
	status, _ := os.ReadFile(proc + "status")
	for line := range bytes.Lines(status) {
		if f := bytes.Fields(line); len(f) > 1 && string(f[0]) == "VmRSS:" {
			kb, _ := strconv.ParseInt(string(f[1]), 10, 64)
			u.rss = kb << 10
		}
	}
	stat, _ := os.ReadFile(proc + "stat")
	if i := bytes.LastIndexByte(stat, ')'); i > 0 {
		f := bytes.Fields(stat[i+1:])
		if len(f) > 12 {
			user, _ := strconv.ParseInt(string(f[11]), 10, 64)
			system, _ := strconv.ParseInt(string(f[12]), 10, 64)
			u.cpu = time.Duration(user+system) * 10 * time.Millisecond // USER_HZ is 100
		}
	}
	return u
}

// counted is what a node has counted.
type counted struct {
	Ticks   int64 // frames of its clock that had rows: what each client is offered
	Encoded int64 // frames made
	Resyncs int64 // snapshots to clients that fell too far behind
}

func (c *child) counted() (n counted, err error) {
	r, err := http.Get("http://" + c.line + "/counted")
	if err != nil {
		return n, fmt.Errorf("ask the node: %w", err)
	}
	defer r.Body.Close()
	if err := json.NewDecoder(r.Body).Decode(&n); err != nil {
		return n, fmt.Errorf("ask the node: %w", err)
	}
	return n, nil
}

// profile writes what the node does with its CPU for some seconds to a file.
func (c *child) profile(file string, seconds int) error {
	r, err := http.Get(fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", c.line, seconds))
	if err != nil {
		return fmt.Errorf("profile the node: %w", err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return fmt.Errorf("profile the node: %w", err)
	}
	if err := os.WriteFile(file, b, 0o644); err != nil {
		return fmt.Errorf("profile the node: %w", err)
	}
	return nil
}

func runBroker(ctx context.Context) error {
	b, err := embedded.Start("", "127.0.0.1:0", embedded.Options{Topics: map[string]int{string(view.Topic): 1}})
	if err != nil {
		return err
	}
	defer b.Close()
	fmt.Println(b.Addrs()[0])
	<-ctx.Done()
	return nil
}

// counts are a worker's metrics, and the part of them that is looked at.
type counts struct {
	*engine.Metrics
	ticks, encoded, resyncs atomic.Int64
}

func (c *counts) Encoded(view, kind string) { c.encoded.Add(1); c.Metrics.Encoded(view, kind) }

func (c *counts) Resync(view, reason string) { c.resyncs.Add(1); c.Metrics.Resync(view, reason) }

func (c *counts) EventToScreen(view string, seconds float64) {
	c.ticks.Add(1)
	c.Metrics.EventToScreen(view, seconds)
}

// runNode serves the view, as a node of a fleet does.
func runNode(ctx context.Context, brokers string) error {
	b, err := kafka.Connect(kafka.Config{Brokers: []string{brokers}})
	if err != nil {
		return err
	}
	defer b.Close()
	c := &counts{Metrics: engine.NewMetrics()}
	hub := sse.NewHub(sse.Options{Metrics: c, MaxConnections: 1 << 20, Log: slog.New(slog.DiscardHandler)})
	hub.Add(view, nil, "")
	mux := http.NewServeMux()
	mux.Handle("/", hub.Handler())
	mux.HandleFunc("/counted", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(counted{c.ticks.Load(), c.encoded.Load(), c.resyncs.Load()})
	})
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("serve: %w", err)
	}
	s := &http.Server{Handler: mux, ReadHeaderTimeout: 30 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- s.Serve(l) }() // ends with Close
	running := make(chan error, 1)
	go func() { running <- hub.Run(ctx, b.Cluster()) }() // ends with ctx
	fmt.Println(l.Addr())
	select {
	case err = <-failed:
	case <-ctx.Done():
		s.Close()
		err = <-failed
	}
	if errors.Is(err, http.ErrServerClosed) {
		err = <-running
	}
	return err
}

// runFloor writes to each connection as often and as much as a node does, and
// does nothing else: what is left is the kernel's.
func runFloor(ctx context.Context, size int, every time.Duration) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("serve: %w", err)
	}
	fmt.Println(l.Addr())
	var conns []net.Conn
	come := make(chan net.Conn)
	go func() { // ends with the process
		for {
			if c, err := l.Accept(); err == nil {
				come <- c
			}
		}
	}()
	text := append(bytes.Repeat([]byte("x"), size-len("\nevent: delta\n")), "\nevent: delta\n"...)
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case c := <-come:
			conns = append(conns, c)
		case <-tick.C:
			for _, c := range conns {
				_, _ = c.Write(text)
			}
		}
	}
}
