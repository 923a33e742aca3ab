package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/leatstream/leat/connectors/sse"
	"github.com/leatstream/leat/connectors/sse/access"
	"github.com/leatstream/leat/engine"
)

// servers are the process's two HTTP servers: views and pages for people,
// metrics and health for operators.
type servers struct {
	hub         *sse.Hub
	live, admin *http.Server
	liveL, admL net.Listener
	views       bool
	ops         *opsFleet
	wg          sync.WaitGroup
}

// Default addresses. A second worker on the same machine takes free ports.
const (
	defaultHTTP  = "127.0.0.1:8080"
	defaultAdmin = "127.0.0.1:9464"
)

// listen opens the listeners, so that an address in use is an error at start.
func (p *process) listen(m *engine.Metrics) error {
	s := &servers{}
	p.serve = s
	var err error
	var gate *access.Gate
	cluster := p.broker.Cluster()
	own := &ops{node: p.worker, role: "run", jobs: p.jobs, cluster: cluster}
	s.ops = &opsFleet{node: p.worker, mine: own.mine, log: p.log, others: map[string]heardRecord{}}
	if !p.flags.untilEnd { // which is over before anybody looks
		s.ops.line = &fleet{cluster: cluster, log: p.log, topic: opsTopic, past: true}
	}
	if s.hub, gate, err = newHub(p.config, m, p.log, func(o *sse.Options) {
		o.Node, o.Presence, o.Ops = p.worker, &fleet{cluster: cluster, log: p.log}, s.ops.status
	}); err != nil {
		return err
	}
	for _, j := range p.jobs {
		for _, v := range j.topo.Views {
			s.views = true
			if err := checkRows(gate, v); err != nil {
				return err
			}
			s.hub.Add(v, j.topo.Dashboard, j.topo.Title())
		}
	}
	if p.push != nil {
		p.push.serve(s.hub, gate)
		for _, j := range p.jobs {
			if sinks := p.push.of(j.topo.Pipeline); len(sinks) > 0 { // browsers must be able to ask for them
				s.views = true
				s.hub.AddAlerts(j.topo.Pipeline, j.topo.Title(), sinks)
			}
		}
	}
	if s.views {
		if s.live, s.liveL, err = openLive(p.config, p.flags.on, s.hub, p.log); err != nil {
			return err
		}
	}
	if s.admL, err = listenOn(cmp.Or(p.flags.on.admin, p.config.Admin), defaultAdmin, "admin"); err != nil {
		return err
	}
	s.admin = &http.Server{Handler: adminHandler(m, p.ready, s.hub), ReadHeaderTimeout: 5 * time.Second}
	sayAdmin(s.admL)
	return nil
}

// listenOn listens on the address asked for, or on the default, or, where
// that is taken, on a free port. flag is what the address is given by.
func listenOn(asked, fallback, flag string) (net.Listener, error) {
	if asked != "" {
		if _, _, err := net.SplitHostPort(asked); err != nil {
			return nil, coded{exitUsage, fmt.Errorf("--%s (or listen.%s) is HOST:PORT, as in %s, not %q", flag, flag, fallback, asked)}
		}
		l, err := net.Listen("tcp", asked)
		if errors.Is(err, syscall.EADDRINUSE) {
			return nil, coded{exitEnvironment, fmt.Errorf("listen on %s: another program does; choose another address with --%s (or listen.%s)", asked, flag, flag)}
		}
		if err != nil {
			return nil, coded{exitEnvironment, err}
		}
		return l, nil
	}
	if l, err := net.Listen("tcp", fallback); err == nil {
		return l, nil
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, coded{exitEnvironment, err}
	}
	return l, nil
}

// sayAdmin tells what is on the admin address.
func sayAdmin(l net.Listener) {
	fmt.Fprintf(os.Stderr, "leat: operators' page on http://%s/ops, metrics and health on http://%s/metrics\n", l.Addr(), l.Addr())
}

// adminHandler serves metrics, health and profiles; loopback by default.
func adminHandler(m *engine.Metrics, ready http.HandlerFunc, hub *sse.Hub) http.Handler {
	mux := http.NewServeMux()
	for _, path := range []string{"GET /ops", "GET /v1/ops", "GET /assets/"} {
		mux.Handle(path, hub.OpsHandler())
	}
	mux.Handle("GET /{$}", http.RedirectHandler("/ops", http.StatusFound))
	mux.Handle("GET /metrics", m.Handler())
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", ready)
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return mux
}

// ready answers 200 once every lane has joined, nothing is being restored and
// the views have caught up; else 503 with what is missing.
func (p *process) ready(w http.ResponseWriter, _ *http.Request) {
	var missing, state []string
	for _, j := range p.jobs {
		running, restoring, joined := j.worker.Status()
		state = append(state, fmt.Sprintf("%s: %d tasks, %s", j.topo.Pipeline, running, j.topo.Guarantee))
		if !joined {
			missing = append(missing, j.topo.Pipeline+": joining the group")
		}
		if restoring > 0 {
			missing = append(missing, fmt.Sprintf("%s: restoring %d tasks", j.topo.Pipeline, restoring))
		}
	}
	if p.serve.views && !p.serve.hub.Ready() {
		missing = append(missing, "views: catching up")
	}
	if len(missing) > 0 {
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprintln(w, strings.Join(missing, "\n"))
		return
	}
	fmt.Fprintln(w, "ready\n"+strings.Join(state, "\n"))
}

// run serves until ctx ends.
func (s *servers) run(ctx context.Context, cluster engine.Cluster) error {
	var failed error
	var mu sync.Mutex
	fail := func(err error) {
		if err != nil && !errors.Is(err, http.ErrServerClosed) && ctx.Err() == nil {
			mu.Lock()
			failed = errors.Join(failed, err)
			mu.Unlock()
		}
	}
	s.wg.Go(func() { fail(s.admin.Serve(s.admL)) })
	s.wg.Go(func() { s.ops.run(ctx) })
	if s.views {
		s.wg.Go(func() { fail(serveOn(s.live, s.liveL)) })
		s.wg.Go(func() { fail(s.hub.Run(ctx, cluster)) })
	}
	<-ctx.Done()
	s.close()
	s.wg.Wait()
	return failed
}

// drain tells dashboards to move on; they come back to another node.
func (s *servers) drain() {
	if !s.views {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	s.hub.Drain(ctx)
}

func (s *servers) close() {
	if s.live != nil {
		s.live.Close()
	}
	if s.admin != nil {
		s.admin.Close()
	}
}
