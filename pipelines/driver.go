package pipelines

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/leatstream/leat/engine"
)

// Driver runs a topology for tests: records in, results out, on virtual time.
// RunTests calls it from one goroutine.
type Driver interface {
	// Feed gives one record to a source.
	Feed(source string, r Fed) error
	// AdvanceWatermark moves the watermark of all sources to t, epoch ms.
	AdvanceWatermark(t int64) error
	// AdvanceClock lets d pass without a row.
	AdvanceClock(d time.Duration) error
	// Flush writes what waits for a throttle.
	Flush() error
	// Restart throws all tasks away and rebuilds them from their logs.
	Restart() error
	// Rebalance moves all tasks: some are rebuilt from older local state and the
	// tail of their logs, the others from their logs alone.
	Rebalance() error
	// Results are all committed results of a sink so far, in order.
	Results(sink string) []Result
	// DeadLetters are all committed dead letters so far, in order.
	DeadLetters() []Result
	// Close gives everything up.
	Close() error
}

// Fed is a record for a source.
type Fed struct {
	Key, Value []byte // a nil Value is null
	HasKey     bool   // false: the key is null
	Headers    []engine.Header
	Partition  int32 // -1: by the key
	Time       int64 // the record's Kafka timestamp, epoch ms
}

// DriverOptions say how a test's driver runs.
type DriverOptions struct {
	Partitions int                     // of every topic
	Rebalances bool                    // Rebalance will be called
	Reach      func(node, what string) // told what rows reach (engine.TaskEnv); nil: nobody asks
}

// Result is one record that a sink wrote.
type Result struct {
	Key, Value []byte // nil: null
	Time       int64  // epoch ms
	Headers    []engine.Header
}

// memory is the Driver over the engine's own: the same tasks, commits and
// changelogs as in production, over logs in memory.
type memory struct {
	topo    *engine.Topology
	driver  *engine.Driver
	clock   int64
	results map[engine.Topic][]Result
}

// NewMemoryDriver runs a topology in memory.
func NewMemoryDriver(topo *engine.Topology, o DriverOptions) (Driver, error) {
	topo = patient(topo)
	m := &memory{topo: topo, results: map[engine.Topic][]Result{}, clock: testStart.UnixMilli()}
	var err error
	m.driver, err = engine.NewDriver(topo, engine.DriverOptions{
		Partitions: o.Partitions, Now: m.clock, Restarts: true, Rebalances: o.Rebalances, Reach: o.Reach, Result: m.result})
	if err != nil {
		return nil, fmt.Errorf("open pipeline %q: %w", topo.Pipeline, err)
	}
	return m, nil
}

// patient is the topology without max_future where event time is the record's
// own timestamp: there it is measured against the clock, and a test's clock
// stands still until advance_clock, whatever its rows say.
func patient(topo *engine.Topology) *engine.Topology {
	out := *topo
	out.Subs = nil
	for _, sub := range topo.Subs {
		s := *sub
		s.Sources = nil
		for _, source := range sub.Sources {
			c := *source
			if c.EventTime < 0 {
				c.Watermark.MaxFuture = math.MaxInt64
			}
			s.Sources = append(s.Sources, &c)
		}
		out.Subs = append(out.Subs, &s)
	}
	return &out
}

// markKey begins the keys of a view's marks, which are no rows.
const markKey = "\x00"

func (m *memory) result(topic engine.Topic, r engine.Record) {
	if strings.HasSuffix(string(topic), ".view") && strings.HasPrefix(string(r.Key), markKey) {
		return
	}
	m.results[topic] = append(m.results[topic], Result{Key: copied(r.Key), Value: copied(r.Value), Time: r.Time, Headers: r.Headers})
}

func copied(b []byte) []byte {
	if b == nil {
		return nil
	}
	return append([]byte{}, b...)
}

func (m *memory) Feed(source string, r Fed) error {
	spec := m.source(source)
	if spec == nil {
		return nil // nothing reads it: its rows go nowhere
	}
	if !r.HasKey {
		r.Key = nil
	} else if r.Key == nil {
		r.Key = []byte{}
	}
	if r.Partition < 0 {
		r.Partition = 0
		if r.HasKey {
			r.Partition = int32(engine.PartitionOf(r.Key, m.driver.Partitions()))
		}
	}
	m.driver.Feed(engine.Record{Topic: spec.Topics[0], Partition: engine.Partition(r.Partition), Key: r.Key, Value: r.Value, Headers: r.Headers, Time: r.Time})
	return m.driver.Run()
}

func (m *memory) source(name string) *engine.SourceSpec {
	for _, sub := range m.topo.Subs {
		for _, s := range sub.Sources {
			if s.Name == name && !s.Repartition {
				return s
			}
		}
	}
	return nil
}

func (m *memory) AdvanceWatermark(t int64) error { return m.driver.AdvanceWatermark(t) }

func (m *memory) AdvanceClock(d time.Duration) error { return m.driver.AdvanceClock(d.Milliseconds()) }

func (m *memory) Flush() error { return m.driver.Flush() }

func (m *memory) Restart() error { return m.driver.Restart() }

func (m *memory) Rebalance() error { return m.driver.Rebalance() }

func (m *memory) Close() error { return m.driver.Stop() }

// Results gives what was written to the sink's topic.
func (m *memory) Results(sink string) []Result {
	for _, sub := range m.topo.Subs {
		for _, n := range sub.Nodes {
			if n.Name == sink && strings.HasPrefix(n.Kind, "sink:") {
				return m.results[n.Outputs[0].Topic]
			}
		}
	}
	return nil
}

// DeadLetters gives what was written to any dead-letter topic.
func (m *memory) DeadLetters() []Result {
	var out []Result
	seen := map[engine.Topic]bool{"": true}
	add := func(topic engine.Topic) {
		if !seen[topic] {
			seen[topic] = true
			out = append(out, m.results[topic]...)
		}
	}
	for _, sub := range m.topo.Subs {
		for _, s := range sub.Sources {
			add(s.Errors.Topic)
		}
		for _, n := range sub.Nodes {
			add(n.Errors.Topic)
		}
	}
	return out
}
