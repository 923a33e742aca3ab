package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/leatstream/leat/connectors/kafka"
	"github.com/leatstream/leat/connectors/sse"
	"github.com/leatstream/leat/connectors/webhook"
	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/pipelines"
	"github.com/spf13/cobra"
)

type serveFlags struct {
	in      clusterFlags
	on      listening
	only    []string
	grace   time.Duration
	verbose bool
}

func serveCommand() *cobra.Command {
	var f serveFlags
	cmd := &cobra.Command{
		Use: "serve [FILE…]", Short: "Only serve live views and dashboards: as many nodes as there are people looking",
		Long: "Serves the live views of pipelines that leat run works on elsewhere. Which there are it\n" +
			"learns from the topics <pipeline>.meta, while it runs; or from pipeline files, where they\n" +
			"are given. It joins no group, keeps no state on disk and can be started and stopped at any\n" +
			"time. /readyz of the admin address says 200 once it has read all views.",
		RunE: func(cmd *cobra.Command, args []string) error {
			var set *pipelines.Set
			if len(args) > 0 {
				if len(f.only) > 0 {
					return coded{exitUsage, errors.New("give --pipeline or files, not both")}
				}
				o := loadOptions(f.in.config)
				o.Run = true
				var err error
				if set, err = loadWith(args, o, cmd.ErrOrStderr(), true); err != nil {
					return err
				}
			}
			return serve(cmd.Context(), f, set)
		},
	}
	fl := cmd.Flags()
	f.in.add(cmd)
	fl.StringSliceVar(&f.only, "pipeline", nil, "serve only these (default: all of the cluster)")
	f.on.add(cmd)
	fl.DurationVar(&f.grace, "grace", 20*time.Second, "at a stop, over how long clients are sent to other nodes")
	fl.BoolVar(&f.verbose, "verbose", false, "log the client's details, too")
	return cmd
}

// viewer is a process that only serves.
type viewer struct {
	fleet    *fleet
	told     *fleet // how the workers are
	ops      *opsFleet
	hub      *sse.Hub
	follower *follower // nil: the views are those of files
	push     *push     // nil: no web push
	caught   atomic.Bool
	leaving  atomic.Bool
}

// serve serves until ctx ends, then sends the clients elsewhere.
func serve(ctx context.Context, f serveFlags, set *pipelines.Set) error {
	log := newLog(os.Stderr, f.verbose)
	cfg, err := workerConfig(f.in.config)
	if err != nil {
		return err
	}
	metrics := engine.NewMetrics()
	node := nodeName()
	v := &viewer{fleet: &fleet{log: log}, told: &fleet{log: log, topic: opsTopic, past: true}} // their cluster comes with the broker
	v.ops = &opsFleet{node: node, line: v.told, mine: (&ops{node: node, role: "serve"}).mine, log: log, others: map[string]heardRecord{}}
	hub, gate, err := newHub(cfg, metrics, log, func(o *sse.Options) { o.Node, o.Presence, o.Ops = node, v.fleet, v.ops.status })
	if err != nil {
		return err
	}
	v.hub = hub
	var given []*engine.Topology
	if set != nil {
		for _, p := range set.Pipelines {
			topo, err := pipelines.Build(p, pipelines.Options{})
			if err != nil {
				return coded{exitInvalid, err}
			}
			given = append(given, topo)
			for _, spec := range topo.Views {
				if err := checkRows(gate, spec); err != nil {
					return err
				}
				hub.Add(spec, topo.Dashboard, topo.Title())
			}
		}
	}
	broker, err := f.in.connect()
	if err != nil {
		return err
	}
	defer broker.Close()
	posts, err := webhook.NewClient(cfg.Alerts.Client)
	if err != nil {
		return coded{exitInvalid, err}
	}
	if v.push, err = newPush(cfg.Alerts, posts, broker.Cluster(), log); err != nil {
		return err
	}
	if v.push != nil {
		v.push.serve(hub, gate)
	}
	shown := hubShows{hub, v.push, log}
	for _, topo := range given {
		shown.Alerts(topo.Pipeline, topo.Title(), topo.Alerts)
		if len(topo.Views)+len(topo.Alerts) == 0 {
			log.Warn("there is nothing to serve of this pipeline: it has neither sse nor web_push sinks", "pipeline", topo.Pipeline)
		}
	}
	if set == nil {
		v.follower = newFollower(broker.Cluster(), shown, gate, f.only, log)
	}
	live, liveL, err := openLive(cfg, f.on, hub, log)
	if err != nil {
		return err
	}
	defer live.Close()
	adminL, err := listenOn(cmp.Or(f.on.admin, cfg.Admin), defaultAdmin, "admin")
	if err != nil {
		liveL.Close()
		return err
	}
	admin := &http.Server{Handler: adminHandler(metrics, v.ready, hub), ReadHeaderTimeout: 5 * time.Second}
	defer admin.Close()
	sayAdmin(adminL)
	return v.run(ctx, f.grace, broker, live, liveL, admin, adminL)
}

// run owns the process's goroutines: both servers, the hub's and the
// follower's. Clients leave while all of them still run.
func (v *viewer) run(ctx context.Context, grace time.Duration, broker *kafka.Broker, live *http.Server, liveL net.Listener, admin *http.Server, adminL net.Listener) error {
	inner, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	var wg sync.WaitGroup
	start := func(f func() error) {
		wg.Go(func() {
			if err := f(); err != nil && !errors.Is(err, http.ErrServerClosed) {
				cancel(err)
			}
		})
	}
	start(func() error { return serveOn(live, liveL) })
	start(func() error { return admin.Serve(adminL) })
	v.fleet.cluster, v.told.cluster = broker.Cluster(), broker.Cluster()
	start(func() error { v.ops.run(inner); return nil })
	start(func() error { return v.hub.Run(inner, broker.Cluster()) })
	if v.push != nil {
		start(func() error { v.push.store.Run(inner); return nil })
	}
	if v.follower != nil {
		start(func() error { return v.follower.run(inner) })
	}
	select {
	case <-ctx.Done():
		v.leaving.Store(true)
		draining, done := context.WithTimeout(inner, grace)
		v.hub.Drain(draining)
		done()
	case <-inner.Done():
	}
	failed := context.Cause(inner)
	cancel(nil)
	live.Close()
	admin.Close()
	wg.Wait()
	return failed
}

// nodeName is a name for a node that keeps nothing: the machine's, and
// something random, as there may be several.
func nodeName() string {
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "serve"
	}
	return host + "-" + strconv.FormatUint(rand.Uint64()>>40, 36)
}

// ready answers 200 once all views were caught up with, and until the stop
// begins. A view that comes later does not take the node out of service for the
// others: its clients wait for it.
func (v *viewer) ready(w http.ResponseWriter, _ *http.Request) {
	missing := v.missing()
	if len(missing) == 0 {
		v.caught.Store(true)
		fmt.Fprintln(w, "ready")
		return
	}
	w.WriteHeader(http.StatusServiceUnavailable)
	fmt.Fprintln(w, strings.Join(missing, "\n"))
}

func (v *viewer) missing() []string {
	if v.leaving.Load() {
		return []string{"leaving"}
	}
	if v.caught.Load() {
		return nil
	}
	if v.follower != nil {
		if lacks := v.follower.lacks(); len(lacks) > 0 {
			return lacks
		}
	}
	if !v.hub.Ready() {
		return []string{"views: catching up"}
	}
	return nil
}
