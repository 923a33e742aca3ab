package engine

import (
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics are the process's Prometheus metrics: base units, labels pipeline,
// task (one per partition, only where it is about a partition) and names from
// closed lists; never a key, a topic from data or a client id. Safe for
// concurrent use; it is a Collector over the workers it watches.
type Metrics struct {
	registry *prometheus.Registry
	restores *prometheus.CounterVec
	restore  prometheus.Counter
	commits  prometheus.Histogram
	screen   prometheus.Histogram
	sse      *prometheus.GaugeVec
	sseTotal *prometheus.CounterVec
	alerts   *prometheus.CounterVec
	unsent   *prometheus.GaugeVec

	mu      sync.Mutex
	workers []*Worker
	retired map[string]map[string]float64 // pipeline → counter → value of tasks that are gone
}

// NewMetrics makes a registry of its own, with the process's and Go's metrics.
func NewMetrics() *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry(), retired: map[string]map[string]float64{}}
	m.restores = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "leat_restores_total", Help: "Tasks restored, by kind: tail (Pebble and the changelog's tail), full (the changelog alone), none (nothing was there)."}, []string{"kind"})
	m.restore = prometheus.NewCounter(prometheus.CounterOpts{Name: "leat_restore_records_total", Help: "Changelog records read by restores."})
	m.commits = prometheus.NewHistogram(prometheus.HistogramOpts{Name: "leat_commit_duration_seconds", Help: "Time to end a transaction, flush included.", Buckets: prometheus.ExponentialBuckets(0.001, 2, 14)})
	m.screen = prometheus.NewHistogram(prometheus.HistogramOpts{Name: "leat_event_to_screen_seconds", Help: "From a view record's append time to its frame being written to a client.", Buckets: prometheus.ExponentialBuckets(0.01, 2, 12)})
	m.sse = prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "leat_sse_connections", Help: "Open dashboard streams, by view."}, []string{"view"})
	m.sseTotal = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "leat_sse_events_total", Help: "What happened on dashboard streams, by kind: frames, conflated_rows, resyncs_<reason>, rejected."}, []string{"kind"})
	m.alerts = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "leat_alerts_total", Help: "What became of alerts on their way out, by outcome: sent, failed (attempts), retried (attempts that were followed by another), dead_letter, skipped."}, []string{"pipeline", "sink", "outcome"})
	m.unsent = prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "leat_alerts_oldest_unsent_seconds", Help: "For how long the oldest alert that this node has to send has waited; 0: none waits."}, []string{"pipeline", "sink"})
	for _, kind := range []string{"tail", "full", "none"} {
		m.restores.WithLabelValues(kind)
	}
	m.registry.MustRegister(m.restores, m.restore, m.commits, m.screen, m.sse, m.sseTotal, m.alerts, m.unsent, m,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Handler serves the metrics.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: m.registry})
}

var (
	descIn        = prometheus.NewDesc("leat_records_in_total", "Source records processed and committed.", []string{"pipeline"}, nil)
	descOut       = prometheus.NewDesc("leat_records_out_total", "Records written by sinks, committed.", []string{"pipeline"}, nil)
	descLate      = prometheus.NewDesc("leat_late_records_total", "Rows late for all their windows.", []string{"pipeline"}, nil)
	descDead      = prometheus.NewDesc("leat_dead_letters_total", "Records sent to dead-letter topics.", []string{"pipeline"}, nil)
	descErrors    = prometheus.NewDesc("leat_record_errors_total", "Rows that went wrong or were left out, by reason.", []string{"pipeline", "reason"}, nil)
	descLag       = prometheus.NewDesc("leat_watermark_lag_seconds", "The clock less the task's watermark.", []string{"pipeline", "task"}, nil)
	descState     = prometheus.NewDesc("leat_state_bytes", "Bytes of the task's tables in memory.", []string{"pipeline", "task"}, nil)
	descStateDisk = prometheus.NewDesc("leat_state_disk_bytes", "Bytes of state on disk and in its write buffers.", []string{"pipeline"}, nil)
	descTasks     = prometheus.NewDesc("leat_tasks", "Tasks running here.", []string{"pipeline"}, nil)
	descInfo      = prometheus.NewDesc("leat_guarantee_info", "The delivery guarantee in force.", []string{"pipeline", "guarantee"}, nil)
)

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descIn, descOut, descLate, descDead, descErrors, descLag, descState, descStateDisk, descTasks, descInfo} {
		ch <- d
	}
}

// Collect implements prometheus.Collector: it sums up over tasks.
func (m *Metrics) Collect(ch chan<- prometheus.Metric) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now().UnixMilli()
	for _, w := range m.workers {
		name := w.topo.Pipeline
		sums := map[string]float64{}
		for k, v := range m.retired[name] {
			sums[k] = v
		}
		w.mu.Lock()
		tasks := make([]*Task, 0, len(w.tasks))
		for _, t := range w.tasks {
			tasks = append(tasks, t)
		}
		w.mu.Unlock()
		for _, t := range tasks {
			addCounters(sums, t.Stats)
			if wm := t.Stats.Watermark.Load(); wm > MinTime/2 && wm < MaxTime/2 && wm != 0 {
				ch <- prometheus.MustNewConstMetric(descLag, prometheus.GaugeValue, float64(now-wm)/1000, name, t.ID.String())
			}
			ch <- prometheus.MustNewConstMetric(descState, prometheus.GaugeValue, float64(t.Stats.StateBytes.Load()), name, t.ID.String())
		}
		for _, c := range []struct {
			desc *prometheus.Desc
			key  string
		}{{descIn, "in"}, {descOut, "out"}, {descLate, "late"}, {descDead, "dead_letters"}} {
			ch <- prometheus.MustNewConstMetric(c.desc, prometheus.CounterValue, sums[c.key], name)
			delete(sums, c.key)
		}
		for reason, v := range sums {
			ch <- prometheus.MustNewConstMetric(descErrors, prometheus.CounterValue, v, name, reason)
		}
		ch <- prometheus.MustNewConstMetric(descTasks, prometheus.GaugeValue, float64(len(tasks)), name)
		ch <- prometheus.MustNewConstMetric(descStateDisk, prometheus.GaugeValue, float64(w.db.Bytes()), name)
		ch <- prometheus.MustNewConstMetric(descInfo, prometheus.GaugeValue, 1, name, w.topo.Guarantee.String())
	}
}

func addCounters(sums map[string]float64, s *TaskStats) {
	sums["in"] += float64(s.RecordsIn.Load())
	sums["out"] += float64(s.RecordsOut.Load())
	for k, v := range s.Counters() {
		sums[k] += float64(v)
	}
}

// String is the guarantee's name in a pipeline.
func (g Guarantee) String() string {
	if g == AtLeastOnce {
		return "at_least_once"
	}
	return "exactly_once"
}

func (m *Metrics) watch(w *Worker) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.workers = append(m.workers, w)
}

// retire keeps the counters of a task that is given back; the caller holds
// the worker's lock.
func (m *Metrics) retire(t *Task) {
	m.mu.Lock()
	defer m.mu.Unlock()
	sums := m.retired[t.topo.Pipeline]
	if sums == nil {
		sums = map[string]float64{}
		m.retired[t.topo.Pipeline] = sums
	}
	addCounters(sums, t.Stats)
}

func (m *Metrics) commit(d time.Duration)  { m.commits.Observe(d.Seconds()) }
func (m *Metrics) restored(kind string)    { m.restores.WithLabelValues(kind).Inc() }
func (m *Metrics) restoreProgress(n int64) { m.restore.Add(float64(n)) }

// The methods below are what dashboards report (connectors/sse.Metrics).

// Connections moves the number of open streams of a view.
func (m *Metrics) Connections(view string, delta int) {
	m.sse.WithLabelValues(view).Add(float64(delta))
}

// Frame counts a frame written to one client.
func (m *Metrics) Frame(string, int) { m.sseTotal.WithLabelValues("frames").Inc() }

// Encoded counts a frame made, whoever gets it.
func (m *Metrics) Encoded(_, kind string) { m.sseTotal.WithLabelValues("encoded_" + kind).Inc() }

// Conflated counts changes that a newer one replaced before they were sent.
func (m *Metrics) Conflated(_ string, rows int) {
	m.sseTotal.WithLabelValues("conflated_rows").Add(float64(rows))
}

// Resync counts snapshots in place of a resume.
func (m *Metrics) Resync(_, reason string) { m.sseTotal.WithLabelValues("resync_" + reason).Inc() }

// Rejected counts streams turned away.
func (m *Metrics) Rejected(_, reason string) { m.sseTotal.WithLabelValues("rejected_" + reason).Inc() }

// EventToScreen observes the age of a frame's newest row.
func (m *Metrics) EventToScreen(_ string, seconds float64) { m.screen.Observe(seconds) }

// The methods below are what senders of alerts report (connectors/outbox.Metrics).

// Sent counts an alert that was delivered.
func (m *Metrics) Sent(pipeline, sink string) { m.alerts.WithLabelValues(pipeline, sink, "sent").Inc() }

// Failed counts an attempt that failed.
func (m *Metrics) Failed(pipeline, sink string) {
	m.alerts.WithLabelValues(pipeline, sink, "failed").Inc()
}

// Retried counts an attempt that is followed by another.
func (m *Metrics) Retried(pipeline, sink string) {
	m.alerts.WithLabelValues(pipeline, sink, "retried").Inc()
}

// Dead counts an alert that was given up: dead_letter or skipped.
func (m *Metrics) Dead(pipeline, sink, what string) {
	m.alerts.WithLabelValues(pipeline, sink, what).Inc()
}

// Oldest tells for how long, in seconds, the oldest alert here has waited.
func (m *Metrics) Oldest(pipeline, sink string, age float64) {
	m.unsent.WithLabelValues(pipeline, sink).Set(age)
}

// publish shows a task's time and size to other goroutines, at each commit.
func (t *Task) publish() {
	w, idle := t.time()
	t.Stats.Watermark.Store(w)
	t.Stats.stand.Store(&stand{watermark: w, idle: idle, holding: t.holding()})
	if t.lease != nil {
		n := int64(0)
		for _, table := range t.lease.Tables() {
			n += table.Bytes()
		}
		t.Stats.StateBytes.Store(n)
	}
}
