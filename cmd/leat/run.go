package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/pprof"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/leatstream/leat/connectors/kafka"
	"github.com/leatstream/leat/connectors/kafka/embedded"
	"github.com/leatstream/leat/connectors/outbox"
	"github.com/leatstream/leat/connectors/webhook"
	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/pipelines"
	"github.com/leatstream/leat/state"
	"github.com/spf13/cobra"
)

type runFlags struct {
	brokers, stateDir, workerID, config string
	on                                  listening
	lanes                               int
	flushEvery                          time.Duration
	trustState, trustOffsets, rebuild   bool
	untilEnd, closeWindows, verbose     bool
	set                                 func(name string) bool // was the flag given
}

func runCommand() *cobra.Command {
	var f runFlags
	cmd := &cobra.Command{
		Use: "run FILE…", Short: "Run pipelines: read, aggregate, write, serve",
		Args: minimum(1, "a pipeline file or folder"),
		RunE: func(cmd *cobra.Command, args []string) error {
			f.set = cmd.Flags().Changed
			o := loadOptions(f.config)
			o.Run = true
			set, err := loadWith(args, o, cmd.ErrOrStderr(), true)
			if err != nil {
				return err
			}
			return run(cmd.Context(), set, f, nil)
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&f.brokers, "brokers", "", "host:port,… of Kafka or Redpanda (or LEAT_BROKERS, or leat.yaml); none: the embedded broker")
	fl.StringVar(&f.stateDir, "state-dir", ".leat", "folder of local state; a worker's own")
	f.on.add(cmd)
	fl.IntVar(&f.lanes, "lanes", 0, "lanes (default two per core, at most one per task)")
	fl.StringVar(&f.workerID, "worker-id", "", "name of this worker (default: random, kept in the state folder)")
	fl.StringVar(&f.config, "config", "", "worker config (default leat.yaml, where it exists)")
	fl.DurationVar(&f.flushEvery, "flush-every", 0, "how often local state is flushed to disk (default 60s)")
	fl.BoolVar(&f.trustState, "trust-state", false, "where state and group disagree, go on from the state")
	fl.BoolVar(&f.trustOffsets, "trust-offsets", false, "where state and group disagree, go on from the group's offsets")
	fl.BoolVar(&f.rebuild, "rebuild", false, "where the state that is there does not fit a pipeline, compute all of it anew from the sources' start: a reset")
	fl.BoolVar(&f.untilEnd, "until-end", false, "read to the present end of the sources, commit, print a line of figures, exit")
	fl.BoolVar(&f.closeWindows, "close-windows", false, "with --until-end: close every window at the end; later rows are late")
	fl.BoolVar(&f.verbose, "verbose", false, "log the client's details, too")
	return cmd
}

// process is what a running leat consists of.
type process struct {
	flags   runFlags
	config  pipelines.Config
	log     *slog.Logger
	broker  *kafka.Broker
	db      *state.DB
	worker  string
	jobs    []*job
	senders []*outbox.Sender // of alerts
	push    *push            // nil: no web push
	posts   *webhook.Client  // how alerts are posted
	files   []*os.File       // of file sinks
	own     *embedded.Broker // nil: a real one
	serve   *servers
}

// job is one pipeline of the process.
type job struct {
	topo   *engine.Topology
	plan   *engine.Plan
	worker *engine.Worker
	drawn  string // the topology, as Mermaid
	graph  *pipelines.Graph
}

// run runs pipelines until ctx ends or all is read. beside, where given, runs
// beside them once the broker is up (the demo's generator).
func run(ctx context.Context, set *pipelines.Set, f runFlags, beside func(context.Context, *kafka.Broker) error) error {
	began := time.Now()
	if stop, err := profile(); err != nil {
		return err
	} else {
		defer stop()
	}
	if f.closeWindows && !f.untilEnd {
		return coded{exitUsage, errors.New("--close-windows goes with --until-end")}
	}
	if f.trustState && f.trustOffsets {
		return coded{exitUsage, errors.New("--trust-state and --trust-offsets exclude each other")}
	}
	if f.lanes < 0 {
		return coded{exitUsage, fmt.Errorf("--lanes is 1 or more, or 0 for two per core, not %d", f.lanes)}
	}
	if f.flushEvery < 0 {
		return coded{exitUsage, fmt.Errorf("--flush-every is a time like 60s, not %s", f.flushEvery)}
	}
	p := &process{flags: f}
	defer p.close()
	if err := p.setUp(ctx); err != nil {
		return err
	}
	metrics := engine.NewMetrics()
	for _, pl := range set.Pipelines {
		if err := p.plan(ctx, pl, metrics); err != nil {
			return err
		}
	}
	if err := p.listen(metrics); err != nil {
		return err
	}
	sum, err := p.work(ctx, beside)
	if err != nil {
		return err
	}
	if f.untilEnd {
		return printSummary(sum, time.Since(began))
	}
	return nil
}

// setUp opens everything that pipelines share.
func (p *process) setUp(ctx context.Context) error {
	p.log = newLog(os.Stderr, p.flags.verbose)
	cfg, err := workerConfig(p.flags.config)
	if err != nil {
		return err
	}
	p.config = cfg
	if err := os.MkdirAll(p.flags.stateDir, 0o700); err != nil {
		return coded{exitEnvironment, fmt.Errorf("open state folder: %w", err)}
	}
	brokers := brokersOf(p.flags.brokers, cfg)
	if len(brokers) == 0 {
		dir := filepath.Join(p.flags.stateDir, "broker")
		if p.own, err = embedded.Start(dir, "127.0.0.1:0", embedded.Options{}); err != nil {
			return coded{exitEnvironment, err}
		}
		brokers = p.own.Addrs()
		fmt.Fprintf(os.Stderr, "leat: no brokers given: started the embedded one on %s, data in %s (development only: one process, no replication)\n", strings.Join(brokers, ","), dir)
	}
	kc := cfg.Kafka
	kc.Brokers, kc.Logger, kc.TransactionTimeout = brokers, p.log, cfg.TransactionTimeout
	if p.broker, err = kafka.Connect(kc); err != nil {
		return err
	}
	cluster, err := p.broker.Cluster().ID(ctx)
	if err != nil {
		return err
	}
	if p.worker, err = workerID(p.flags.stateDir, p.flags.workerID); err != nil {
		return err
	}
	dir := filepath.Join(p.flags.stateDir, "state")
	identity := "worker " + p.worker + " cluster " + cluster
	p.db, err = state.Open(dir, state.Options{Identity: identity})
	if errors.Is(err, state.ErrDamaged) {
		p.log.Error("the state folder is damaged: set aside, rebuilding from changelogs", "err", err)
		if err := state.SetAside(dir); err != nil {
			return coded{exitState, err}
		}
		p.db, err = state.Open(dir, state.Options{Identity: identity})
	}
	if err != nil {
		return coded{exitState, err}
	}
	if v, err := p.broker.TransactionVersion(ctx); err == nil && v < 2 && p.own == nil {
		p.log.Warn("the cluster has transaction.version below 2 (KIP-890): exactly once is weakened", "transaction_version", v)
	}
	return nil
}

// plan makes the checks of leat plan and creates what is missing.
func (p *process) plan(ctx context.Context, pl *pipelines.Pipeline, metrics *engine.Metrics) error {
	topo, plan, created, err := p.enforce(ctx, pl)
	if errors.Is(err, engine.ErrOtherState) && p.flags.rebuild {
		generation, failed := engine.Reset(ctx, pl.Name.Text, p.broker.Cluster())
		if failed != nil {
			return failed
		}
		p.log.Warn("state does not fit: computing all of it anew", "pipeline", pl.Name.Text, "generation", generation, "why", err)
		topo, plan, created, err = p.enforce(ctx, pl)
	}
	if err != nil {
		return err
	}
	_, apart, err := engine.ReviewKeys(ctx, topo, p.broker.Cluster())
	if err != nil {
		return err
	}
	for _, text := range apart {
		p.log.Warn("rows of one key are in different partitions and will not meet: "+text, "pipeline", topo.Pipeline)
	}
	files, err := p.openFiles(topo)
	if err != nil {
		return err
	}
	if len(created) > 0 {
		p.log.Info("topics created", "pipeline", topo.Pipeline, "topics", created)
	}
	o := engine.Options{WorkerID: p.worker, Lanes: p.flags.lanes, CommitInterval: p.config.CommitInterval, TransactionTimeout: p.config.TransactionTimeout,
		FlushEvery: p.flags.flushEvery, Memory: p.config.Memory, UntilEnd: p.flags.untilEnd, CloseWindows: p.flags.closeWindows,
		Stdout: os.Stdout, Files: files, Log: p.log, Metrics: metrics}
	switch {
	case p.flags.trustState:
		o.Trust = engine.TrustState
	case p.flags.trustOffsets:
		o.Trust = engine.TrustOffsets
	}
	j := &job{topo: topo, plan: plan, worker: engine.NewWorker(topo, plan, p.broker, p.db, o)}
	if e, _, err := pipelines.ExplainAs(pl, topo.Generation); err == nil {
		g := e.Graph()
		j.drawn, j.graph = e.Mermaid(), &g
	}
	p.jobs = append(p.jobs, j)
	return p.addSenders(pl, plan, metrics)
}

// enforce builds the pipeline in the generation that is in force, and makes its
// plan the one in force.
func (p *process) enforce(ctx context.Context, pl *pipelines.Pipeline) (*engine.Topology, *engine.Plan, []engine.Topic, error) {
	c := p.broker.Cluster()
	force, err := engine.PlanInForce(ctx, pl.Name.Text, c)
	if err != nil {
		return nil, nil, nil, err
	}
	var o pipelines.Options
	if force != nil {
		o.Generation = force.Generation
	}
	topo, err := pipelines.Build(pl, o)
	if err != nil {
		return nil, nil, nil, coded{exitInvalid, err}
	}
	plan, err := p.makePlan(ctx, topo)
	if err != nil {
		return nil, nil, nil, err
	}
	created, err := plan.Enforce(ctx, topo, c)
	return topo, plan, created, err
}

// makePlan plans. On the embedded broker nobody else creates topics: what has
// to be there is made first.
func (p *process) makePlan(ctx context.Context, topo *engine.Topology) (*engine.Plan, error) {
	plan, err := engine.MakePlan(ctx, topo, p.broker.Cluster())
	if err != nil && p.own != nil && errors.Is(err, engine.ErrNoTopic) {
		var specs []engine.TopicSpec
		for _, t := range topo.SourceTopics() {
			specs = append(specs, engine.TopicSpec{Topic: t, Partitions: 4})
		}
		for _, sub := range topo.Subs {
			for _, n := range sub.Nodes {
				for _, o := range n.Outputs {
					if o.MustExist {
						specs = append(specs, engine.TopicSpec{Topic: o.Topic, Partitions: 4})
					}
				}
			}
		}
		if _, err := p.broker.Cluster().CreateTopics(ctx, specs); err != nil {
			return nil, err
		}
		return engine.MakePlan(ctx, topo, p.broker.Cluster())
	}
	return plan, err
}

// openFiles opens the files of a pipeline's file sinks, to write behind what is
// there.
func (p *process) openFiles(topo *engine.Topology) (map[engine.Topic]io.Writer, error) {
	out := map[engine.Topic]io.Writer{}
	for topic, path := range topo.Files {
		f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
		if err != nil {
			return nil, coded{exitEnvironment, fmt.Errorf("open the file of %s: %w", strings.Replace(string(topic), "file:", "sink ", 1), err)}
		}
		p.files, out[topic] = append(p.files, f), f
	}
	return out, nil
}

// work runs all workers; the first error stops the others.
func (p *process) work(ctx context.Context, beside func(context.Context, *kafka.Broker) error) (engine.Summary, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	var mu sync.Mutex
	var sum engine.Summary
	var first error
	fail := func(err error) {
		mu.Lock()
		defer mu.Unlock()
		if err != nil && first == nil {
			first = err
			cancel(err)
		}
	}
	side, stopSide := context.WithCancel(ctx)
	var sideWG sync.WaitGroup
	sideWG.Go(func() { fail(p.serve.run(side, p.broker.Cluster())) })
	sideWG.Go(func() { followMemory(side, p.tableBytes) })
	sideWG.Go(func() { p.showRestores(side) })
	sideWG.Go(func() { p.sendAlerts(side) })
	if beside != nil {
		sideWG.Go(func() { fail(beside(side, p.broker)) })
	}
	for _, j := range p.jobs {
		wg.Go(func() {
			s, err := j.worker.Run(ctx)
			fail(err)
			mu.Lock()
			defer mu.Unlock()
			sum.RecordsIn += s.RecordsIn
			sum.RecordsOut += s.RecordsOut
			sum.Seconds = max(sum.Seconds, s.Seconds)
		})
	}
	wg.Wait()
	p.serve.drain()
	stopSide()
	sideWG.Wait()
	return sum, first
}

// tableBytes is what all workers' tables take.
func (p *process) tableBytes() int64 {
	n := int64(0)
	for _, j := range p.jobs {
		n += j.worker.TableBytes()
	}
	return n
}

func (p *process) close() {
	if p.serve != nil {
		p.serve.close()
	}
	if p.db != nil {
		if err := p.db.Close(); err != nil {
			fmt.Fprintln(os.Stderr, "leat: close state:", err)
		}
	}
	for _, f := range p.files {
		if err := f.Close(); err != nil {
			fmt.Fprintln(os.Stderr, "leat: close a sink's file:", err)
		}
	}
	if p.broker != nil {
		p.broker.Close()
	}
	if p.own != nil {
		p.own.Close()
	}
}

// workerID is the flag, or a random name kept in the state folder.
func workerID(dir, flag string) (string, error) {
	if flag != "" {
		for _, c := range flag {
			if !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_", c) {
				return "", coded{exitUsage, fmt.Errorf("--worker-id takes letters, digits, - and _, not %q", flag)}
			}
		}
		return flag, nil
	}
	file := filepath.Join(dir, "worker-id")
	b, err := os.ReadFile(file)
	if err == nil && len(strings.TrimSpace(string(b))) > 0 {
		return strings.TrimSpace(string(b)), nil
	}
	random := make([]byte, 5)
	if _, err := rand.Read(random); err != nil {
		return "", err
	}
	id := "w" + hex.EncodeToString(random)
	if err := os.WriteFile(file, []byte(id+"\n"), 0o600); err != nil {
		return "", coded{exitEnvironment, fmt.Errorf("keep worker id: %w", err)}
	}
	return id, nil
}

// printSummary prints the one line of --until-end.
func printSummary(s engine.Summary, wall time.Duration) error {
	var ru syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &ru); err != nil {
		return err
	}
	seconds := func(t syscall.Timeval) float64 { return float64(t.Sec) + float64(t.Usec)/1e6 }
	line, err := json.Marshal(struct {
		engine.Summary
		WallSeconds  float64 `json:"wall_seconds"`
		CPUSeconds   float64 `json:"cpu_seconds"`
		PeakRSSBytes int64   `json:"peak_rss_bytes"`
	}{s, wall.Seconds(), seconds(ru.Utime) + seconds(ru.Stime), ru.Maxrss * 1024})
	if err != nil {
		return err
	}
	fmt.Printf("%s\n", line)
	return nil
}

// profile writes a CPU profile to LEAT_CPUPROFILE while the process runs.
func profile() (func(), error) {
	file := os.Getenv("LEAT_CPUPROFILE")
	if file == "" {
		return func() {}, nil
	}
	f, err := os.Create(file)
	if err != nil {
		return nil, coded{exitEnvironment, err}
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, err
	}
	return func() { pprof.StopCPUProfile(); f.Close() }, nil
}
