package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
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
	cmd  *exec.Cmd
	line string
}

func startChild(ctx context.Context, what string, args ...string) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("start the %s: %w", what, err)
	}
	c := &child{cmd: exec.CommandContext(ctx, self, append([]string{"-child", what}, args...)...)}
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

// encoded is how many frames the node has made.
func (c *child) encoded() int64 {
	r, err := http.Get("http://" + c.line + "/encoded")
	if err != nil {
		return 0
	}
	defer r.Body.Close()
	var n int64
	_, _ = fmt.Fscan(r.Body, &n)
	return n
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

// counts is the part of the hub's metrics that is looked at.
type counts struct{ made atomic.Int64 }

func (c *counts) Connections(string, int)       {}
func (c *counts) Frame(string, int)             {}
func (c *counts) Encoded(string, string)        { c.made.Add(1) }
func (c *counts) Conflated(string, int)         {}
func (c *counts) Resync(string, string)         {}
func (c *counts) Rejected(string, string)       {}
func (c *counts) EventToScreen(string, float64) {}

// runNode serves the view, as a node of a fleet does.
func runNode(ctx context.Context, brokers string) error {
	b, err := kafka.Connect(kafka.Config{Brokers: []string{brokers}})
	if err != nil {
		return err
	}
	defer b.Close()
	var c counts
	hub := sse.NewHub(sse.Options{Metrics: &c, MaxConnections: 1 << 20, Log: slog.New(slog.DiscardHandler)})
	hub.Add(view, nil, "")
	mux := http.NewServeMux()
	mux.Handle("/", hub.Handler())
	mux.HandleFunc("/encoded", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, c.made.Load()) })
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
