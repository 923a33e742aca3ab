package pipelines

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/leatstream/leat/engine"
)

// TestResult is how one test went.
type TestResult struct {
	Pipeline string
	Name     string
	Failures Diagnostics // empty: passed
}

// RunTests runs all tests of a pipeline, each on a driver of its own, and
// reports each as it ends. It returns how many failed; an error is a pipeline
// that does not build, or a driver that does not open.
func RunTests(p *Pipeline, o Options, newDriver func(topo *engine.Topology, partitions int) (Driver, error), report func(TestResult)) (failed int, err error) {
	o.Secret = secretOr(o.Secret)
	topo, err := Build(p, o)
	if err != nil {
		return 0, err
	}
	for _, t := range p.Tests {
		d, err := newDriver(topo, t.partitions())
		if err != nil {
			return failed, err
		}
		r := &runner{p: p, loader: newLoader(nil), driver: d, at: testStart.UnixMilli(), seen: map[string]int{}}
		r.run(t)
		if len(r.diags) > 0 {
			failed++
		}
		report(TestResult{Pipeline: p.Name.Text, Name: t.Name.Text, Failures: r.diags})
	}
	return failed, nil
}

// secretOr gives a secret that is not known its name as value: tests need none.
func secretOr(known func(string) (string, bool)) func(string) (string, bool) {
	return func(name string) (string, bool) {
		if known != nil {
			if v, ok := known(name); ok {
				return v, true
			}
		}
		return name, true
	}
}

// partitions is how many a test needs: one, unless it names others.
func (t *Test) partitions() int {
	n := int32(1)
	for _, s := range t.Given {
		n = max(n, s.Partition+1)
	}
	return int(n)
}

// runner runs one test; its findings are diagnostics at the expectations.
type runner struct {
	*loader
	p      *Pipeline
	driver Driver
	at     int64          // of the row before
	seen   map[string]int // results of a sink that earlier expectations have had
	dead   int
}

func (r *runner) run(t *Test) {
	for _, s := range t.Given {
		if err := r.step(s); err != nil {
			r.fail(s.node, "run", "", "%s", err)
			return
		}
	}
	if err := r.driver.Flush(); err != nil {
		r.fail(t.Name.node, "run", "", "%s", err)
		return
	}
	r.expect(t.Expect)
}

func (r *runner) step(s *Step) error {
	switch s.Kind {
	case "advance_watermark":
		return r.driver.AdvanceWatermark(s.Time)
	case "advance_clock":
		return r.driver.AdvanceClock(s.Span)
	case "restart":
		return r.driver.Restart()
	case "expect":
		if err := r.driver.Flush(); err != nil {
			return err
		}
		r.expect(s.Expect)
		return nil
	}
	in := r.p.checked.streams[s.Source.Text]
	at := r.at
	if s.HasAt {
		at = s.At
	} else if own, ok := ownTime(in, s); ok {
		at = own
	}
	r.at = at
	rec := r.record(in, s, at)
	return r.driver.Feed(s.Source.Text, rec.key, rec.value, rec.hasKey, s.Partition, at)
}

// ownTime is the event time that a row brings along.
func ownTime(in *stream, s *Step) (int64, bool) {
	w := in.source.EventTime
	row := rowNode(in, s.value)
	if !w.Given() || row == nil || row.kind != mappingNode {
		return 0, false
	}
	v := lookPath(row, w.Text)
	if v == nil || v.kind != scalarNode {
		return 0, false
	}
	if n, err := strconv.ParseInt(v.text, 10, 64); err == nil {
		switch in.schema.Fields[in.schema.Lookup(w.Text)].Unit {
		case engine.Seconds:
			n *= 1000
		case engine.Micros:
			n /= 1000
		case engine.Nanos:
			n /= 1e6
		}
		return n, true
	}
	return parseTime(v.text)
}

// expect checks expectations over the results since the last ones.
func (r *runner) expect(list []*Expectation) {
	upTo := map[string]int{}
	dead := r.driver.DeadLetters()
	for _, e := range list {
		if e.Dead >= 0 {
			r.expectDead(e, dead[min(r.dead, len(dead)):])
			continue
		}
		all := r.results(e.Sink.Text)
		upTo[e.Sink.Text] = len(all)
		r.expectSink(e, all, all[min(r.seen[e.Sink.Text], len(all)):])
	}
	for sink, n := range upTo {
		r.seen[sink] = n
	}
	r.dead = len(dead)
}

func (r *runner) expectDead(e *Expectation, got []Result) {
	n := 0
	var stages []string
	for _, d := range got {
		stage := header(d, "leat.error.stage")
		stages = append(stages, stage+": "+header(d, "leat.error.reason"))
		if e.Stage == "" || e.Stage == stage {
			n++
		}
	}
	if n != e.Dead {
		what := "dead letters"
		if e.Stage != "" {
			what += " of stage " + e.Stage
		}
		r.fail(e.node, "expect", gotHint(stages), "%d %s, not %d", n, what, e.Dead)
	}
}

func header(r Result, key string) string {
	for _, h := range r.Headers {
		if h.Key == key {
			return string(h.Value)
		}
	}
	return ""
}

// wanted is an expected row, ready to compare.
type wanted struct {
	node    *node
	row     map[string]any
	deleted bool
}

func (r *runner) expectSink(e *Expectation, all, got []Result) {
	in := r.sinkStream(e.Sink.Text)
	if in == nil {
		return // reported by check
	}
	if e.None && len(got) > 0 {
		r.fail(e.node, "expect", gotHint(describe(got)), "sink %q has %d results, not none", e.Sink.Text, len(got))
	}
	if e.hasExact {
		r.exact(e, r.wanted(in, e.Values), got)
	}
	for _, w := range r.wanted(in, e.Contains) {
		if !matchesAny(w, got) {
			r.fail(w.node, "expect", gotHint(describe(got)), "sink %q has no such row", e.Sink.Text)
		}
	}
	newest := newestPerKey(all)
	for _, w := range r.wanted(in, e.Last) {
		if !matchesAny(w, newest) {
			r.fail(w.node, "expect", gotHint(describe(newest)), "sink %q has no such row as the newest of its key", e.Sink.Text)
		}
	}
}

// results are the results of a sink, as JSON.
func (r *runner) results(sink string) []Result {
	all := r.driver.Results(sink)
	for _, s := range r.p.Sinks {
		if s.Name.Text != sink {
			continue
		}
		read, err := r.p.jsonOf(s)
		if err != nil {
			r.fail(s.node, "format", "", "%s", err)
		}
		if read == nil {
			return all
		}
		out := make([]Result, len(all))
		for i, g := range all {
			out[i] = g
			out[i].Key, out[i].Value = read(g.Key, g.Value)
		}
		return out
	}
	return all
}

func (r *runner) sinkStream(name string) *stream {
	for _, s := range r.p.Sinks {
		if s.Name.Text == name {
			return r.p.checked.sinks[s]
		}
	}
	return nil
}

func (r *runner) wanted(in *stream, rows []*node) []wanted {
	var out []wanted
	for _, n := range rows {
		data, deleted := r.expectedRow(in, n)
		w := wanted{node: n, deleted: deleted, row: map[string]any{}}
		if v, ok := decode(data).(map[string]any); ok {
			w.row = v
		}
		out = append(out, w)
	}
	return out
}

// exact wants these rows and no others, in order per key: keys may interleave
// in any way.
func (r *runner) exact(e *Expectation, want []wanted, got []Result) {
	if len(want) != len(got) {
		r.fail(e.node, "expect", gotHint(describe(got)), "sink %q has %d results, not %d", e.Sink.Text, len(got), len(want))
		return
	}
	queues := map[string][]Result{}
	var keys []string
	for _, g := range got {
		key := string(g.Key)
		if _, known := queues[key]; !known {
			keys = append(keys, key)
		}
		queues[key] = append(queues[key], g)
	}
	steps := 0
	best := 0
	var try func(i int) bool
	try = func(i int) bool {
		best = max(best, i)
		if i == len(want) {
			return true
		}
		const most = 100_000 // enough for any test a person writes
		if steps++; steps > most {
			return false
		}
		for _, key := range keys {
			queue := queues[key]
			if len(queue) == 0 || !want[i].matches(queue[0]) {
				continue
			}
			queues[key] = queue[1:]
			if try(i + 1) {
				return true
			}
			queues[key] = queue
		}
		return false
	}
	if !try(0) {
		r.fail(want[best].node, "expect", gotHint(describe(got)), "sink %q has not this row here", e.Sink.Text)
	}
}

func newestPerKey(got []Result) []Result {
	at := map[string]int{}
	var out []Result
	for _, g := range got {
		key := string(g.Key)
		if i, known := at[key]; known {
			out[i] = g
			continue
		}
		at[key] = len(out)
		out = append(out, g)
	}
	return out
}

func matchesAny(w wanted, got []Result) bool {
	for _, g := range got {
		if w.matches(g) {
			return true
		}
	}
	return false
}

// matches compares the columns named.
func (w wanted) matches(g Result) bool {
	row, deleted := g.row()
	if deleted != w.deleted {
		return false
	}
	for column, v := range w.row {
		got, there := lookColumn(row, column)
		if !there && deleted && len(w.row) == 1 {
			got, there = string(g.Key), true // a key of one column is its text
		}
		if (!there && v != nil) || !equal(v, got) {
			return false
		}
	}
	return true
}

// lookColumn finds a column of a result: geo.city is city inside geo.
func lookColumn(row map[string]any, path string) (v any, there bool) {
	if v, there = row[path]; there {
		return v, true
	}
	head, rest, nested := strings.Cut(path, ".")
	inside, ok := row[head].(map[string]any)
	if !nested || !ok {
		return nil, false
	}
	return lookColumn(inside, rest)
}

// row is the result as a JSON object; of a delete, its key.
func (g Result) row() (row map[string]any, deleted bool) {
	data := g.Value
	if data == nil {
		data, deleted = g.Key, true
	}
	row, _ = decode(data).(map[string]any)
	if !deleted && row["deleted"] == true && row["key"] != nil { // stdout's form
		row, _ = row["key"].(map[string]any)
		return row, true
	}
	return row, deleted
}

func decode(data []byte) any {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil {
		return nil
	}
	return v
}

// equal compares JSON values; doubles within 1e-9, and texts with numbers
// where a sink writes timestamps or large ints as text.
func equal(want, got any) bool {
	switch w := want.(type) {
	case json.Number:
		switch g := got.(type) {
		case json.Number:
			return equalNumbers(w, g)
		case string:
			if t, err := time.Parse(time.RFC3339Nano, g); err == nil {
				return w.String() == strconv.FormatInt(t.UnixMilli(), 10)
			}
			return equalNumbers(w, json.Number(g))
		}
		return false
	case []any:
		g, ok := got.([]any)
		if !ok || len(g) != len(w) {
			return false
		}
		for i := range w {
			if !equal(w[i], g[i]) {
				return false
			}
		}
		return true
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok || len(g) != len(w) {
			return false
		}
		for k := range w {
			if v, there := g[k]; !there || !equal(w[k], v) {
				return false
			}
		}
		return true
	}
	return want == got
}

func equalNumbers(a, b json.Number) bool {
	if a == b {
		return true
	}
	if i, err := a.Int64(); err == nil {
		if j, err := b.Int64(); err == nil {
			return i == j
		}
	}
	x, err := a.Float64()
	if err != nil {
		return false
	}
	y, err := b.Float64()
	const tolerance = 1e-9
	return err == nil && math.Abs(x-y) <= tolerance*max(1, math.Abs(x), math.Abs(y))
}

// describe prints results for a failure.
func describe(got []Result) []string {
	var out []string
	for _, g := range got {
		value := "deleted"
		if g.Value != nil {
			value = string(g.Value)
		}
		key := ""
		if g.Key != nil {
			key = " key " + strconv.Quote(string(g.Key))
		}
		out = append(out, fmt.Sprintf("%s%s %s", clockTime(g.Time), key, value))
	}
	return out
}

func gotHint(lines []string) string {
	if len(lines) == 0 {
		return "got nothing"
	}
	const most = 20
	more := ""
	if len(lines) > most {
		more = fmt.Sprintf("\n        … and %d more", len(lines)-most)
		lines = lines[:most]
	}
	return "got\n        " + strings.Join(lines, "\n        ") + more
}
