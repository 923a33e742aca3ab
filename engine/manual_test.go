package engine_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"sort"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/leatstream/leat/engine"
)

// TestManual runs testdata/*.txt: pipelines over the Driver, rows in, committed
// records out.
//
//	pipeline partitions=2 size=10s [advance=5s] [disorder=2s] [group=g] [repartition] [update] …
//	rows          one record per line (parseRow), each in a turn of its own
//	rows together the same in one turn
//	clock 30s     nothing comes for that long
//	restart       all tasks are rebuilt from the logs
//	rebalance     all tasks move: half find local state, half do not
//	close         the end of input
//	counters      what was counted and committed, all tasks together
func TestManual(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		if !strings.HasSuffix(path, ".txt") {
			return
		}
		var m *manual
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			if d.Cmd == "pipeline" {
				m = newManual(t, d)
				return m.said()
			}
			return m.run(t, d)
		})
	})
}

// manual is one pipeline of a text file.
type manual struct {
	d   *engine.Driver
	id  int64
	out []string
}

func newManual(t *testing.T, d *datadriven.TestData) *manual {
	s, partitions := parseShape(t, d)
	m := &manual{}
	driver, err := engine.NewDriver(s.topology(t), engine.DriverOptions{Partitions: partitions, Now: epoch, Rebalances: true, Result: func(topic engine.Topic, r engine.Record) {
		m.out = append(m.out, describe(topic, r))
	}})
	if err != nil {
		d.Fatalf(t, "%v", err)
	}
	m.d = driver
	return m
}

func (m *manual) run(t *testing.T, d *datadriven.TestData) string {
	var err error
	switch d.Cmd {
	case "rows":
		together := len(d.CmdArgs) > 0
		for line := range strings.Lines(d.Input) {
			m.id++
			m.d.Feed(parseRow(t, strings.TrimSpace(line), m.id))
			if !together && err == nil {
				err = m.d.Run()
			}
		}
		if together {
			err = m.d.Run()
		}
	case "clock":
		err = m.d.AdvanceClock(millis(t, d.CmdArgs[0].Key))
	case "restart":
		err = m.d.Restart()
	case "rebalance":
		err = m.d.Rebalance()
	case "close":
		err = m.d.Close()
	case "counters":
		sum := map[string]int64{}
		for _, task := range m.d.Tasks() {
			for name, n := range task.Stats.Counters() {
				sum[name] += n
			}
		}
		for name, n := range sum {
			m.out = append(m.out, fmt.Sprintf("%s: %d", name, n))
		}
		sort.Strings(m.out)
	default:
		d.Fatalf(t, "unknown command %s", d.Cmd)
	}
	if err != nil {
		return m.said() + "error: " + err.Error() + "\n"
	}
	return m.said()
}

func (m *manual) said() string {
	if len(m.out) == 0 {
		return "nothing\n"
	}
	s := strings.Join(m.out, "\n") + "\n"
	m.out = nil
	return s
}

// describe writes a committed record in one line: results by their window,
// dead letters by what they carry.
func describe(topic engine.Topic, r engine.Record) string {
	at := fmt.Sprintf("%s/%d ", topic, r.Partition)
	var v map[string]any
	dec := json.NewDecoder(bytes.NewReader(r.Value))
	dec.UseNumber()
	known := dec.Decode(&v) == nil
	var heads []string
	for _, h := range r.Headers {
		value := string(h.Value)
		if h.Key == "leat.error.timestamp" {
			value = since(integer(value))
		}
		heads = append(heads, strings.TrimPrefix(h.Key, "leat.error.")+"="+value)
	}
	head := ""
	if len(heads) > 0 {
		head = "  (" + strings.Join(heads, "; ") + ")"
	}
	if topic != "out" || !known {
		value := "no value"
		if r.Value != nil {
			value = string(r.Value)
		}
		return at + fmt.Sprintf("%q: ", r.Key) + value + head
	}
	s := at
	for _, name := range []string{"k", "g"} {
		if group, ok := v[name]; ok {
			s += fmt.Sprint(group)
		}
	}
	if _, ok := v["window_start"]; ok {
		s += fmt.Sprintf(" [%s, %s)", since(integer(v["window_start"])), since(integer(v["window_end"])))
	}
	s += fmt.Sprintf(" count %v sum %v", v["count"], v["sum"])
	if final, ok := v["final"]; ok && final == true {
		s += " final"
	}
	return s + head
}

func integer(v any) int64 {
	n, _ := strconv.ParseInt(fmt.Sprint(v), 10, 64)
	return n
}

// since writes a time relative to the epoch of these tests.
func since(ms int64) string {
	ms -= epoch
	if ms%1000 == 0 {
		return fmt.Sprintf("%ds", ms/1000)
	}
	return fmt.Sprintf("%dms", ms)
}
