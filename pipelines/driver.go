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
	// Feed gives one record to a source. hasKey false is a null key, a nil
	// value a null value; partition -1 is chosen by the key. at is the record's
	// Kafka timestamp, epoch ms.
	Feed(source string, key, value []byte, hasKey bool, partition int32, at int64) error
	// AdvanceWatermark moves the watermark of all sources to t, epoch ms.
	AdvanceWatermark(t int64) error
	// AdvanceClock lets d pass without a row.
	AdvanceClock(d time.Duration) error
	// Flush writes what waits for a throttle.
	Flush() error
	// Restart throws all tasks away and rebuilds them from their logs.
	Restart() error
	// Results are all committed results of a sink so far, in order.
	Results(sink string) []Result
	// DeadLetters are all committed dead letters so far, in order.
	DeadLetters() []Result
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

// NewMemoryDriver runs a topology in memory; partitions is that of every topic.
func NewMemoryDriver(topo *engine.Topology, partitions int) (Driver, error) {
	topo = patient(topo)
	m := &memory{topo: topo, results: map[engine.Topic][]Result{}, clock: testStart.UnixMilli()}
	var err error
	m.driver, err = engine.NewDriver(topo, engine.DriverOptions{Partitions: partitions, Now: m.clock, Restarts: true, Result: m.result})
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
	if strings.HasPrefix(string(r.Key), markKey) {
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

func (m *memory) Feed(source string, key, value []byte, hasKey bool, partition int32, at int64) error {
	spec := m.source(source)
	if spec == nil {
		return nil // nothing reads it: its rows go nowhere
	}
	if !hasKey {
		key = nil
	} else if key == nil {
		key = []byte{}
	}
	if partition < 0 {
		partition = 0
		if hasKey {
			partition = int32(engine.PartitionOf(key, m.driver.Partitions()))
		}
	}
	m.driver.Feed(engine.Record{Topic: spec.Topics[0], Partition: engine.Partition(partition), Key: key, Value: value, Time: at})
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
