package pipelines

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/leatstream/leat/engine"
)

// TestResult is how one test went.
type TestResult struct {
	Pipeline string
	Name     string
	Pos      Pos
	Failures Diagnostics // empty: passed
	Took     time.Duration
	Edits    []Edit // what makes the failing expectations hold (TestRunner.Update)
}

// TestRunner says how tests are run. The zero value with a Driver runs them all.
type TestRunner struct {
	Options Options
	Driver  func(topo *engine.Topology, o DriverOptions) (Driver, error)
	Only    func(name string) bool // nil: all tests
	Cover   *Coverage              // nil: not asked
	Update  bool                   // find the Edits
}

// RunTests runs all tests of a pipeline, each on a driver of its own, and
// reports each as it ends. It returns how many failed; an error is a pipeline
// that does not build, or a driver that does not open.
func RunTests(p *Pipeline, o Options, newDriver func(topo *engine.Topology, o DriverOptions) (Driver, error), report func(TestResult)) (failed int, err error) {
	return TestRunner{Options: o, Driver: newDriver}.Run(p, report)
}

// Run is RunTests with what the run says.
//
// Each test that passes is run once more, with every task rebuilt after each
// step: the results must be the same. It is rebuilt from its log alone; in every
// tenth test, from the first on, in turn also from what a worker would have on
// disk, which takes as long to open as several tests take to run.
func (t TestRunner) Run(p *Pipeline, report func(TestResult)) (failed int, err error) {
	t.Options.Secret = secretOr(t.Options.Secret)
	topo, err := Build(p, t.Options)
	if err != nil {
		return 0, err
	}
	const localEvery = 10 // tests
	for i, test := range p.Tests {
		if t.Only != nil && !t.Only(test.Name.Text) {
			continue
		}
		begin := time.Now()
		result := TestResult{Pipeline: p.Name.Text, Name: test.Name.Text, Pos: test.Name.Pos}
		if err := t.one(p, topo, test, i%localEvery == 0, &result); err != nil {
			return failed, err
		}
		if result.Took = time.Since(begin); len(result.Failures) > 0 {
			failed++
		}
		report(result)
	}
	return failed, nil
}

// one runs a test, and once more with moves.
func (t TestRunner) one(p *Pipeline, topo *engine.Topology, test *Test, local bool, result *TestResult) error {
	first, err := t.runner(p, topo, test, false, false)
	if err != nil {
		return err
	}
	defer first.driver.Close()
	first.run(test)
	result.Failures, result.Edits = first.diags, first.edits
	if t.Cover != nil {
		t.Cover.sinks(p, first.driver)
	}
	if len(first.diags) > 0 {
		return nil
	}
	again, err := t.runner(p, topo, test, true, local)
	if err != nil {
		return err
	}
	defer again.driver.Close()
	again.run(test)
	if len(again.diags) == 0 {
		again.same(test, first.driver)
	}
	result.Failures = again.diags
	return nil
}

func (t TestRunner) runner(p *Pipeline, topo *engine.Topology, test *Test, moves, local bool) (*runner, error) {
	o := DriverOptions{Partitions: test.partitions(), Rebalances: local || test.rebalances()}
	r := &runner{p: p, loader: newLoader(nil), at: testStart.UnixMilli(), seen: map[string]int{}, moves: moves, update: t.Update}
	if t.Cover != nil && !moves {
		r.cover, o.Reach = t.Cover, t.Cover.reach(p)
	}
	var err error
	r.driver, err = t.Driver(topo, o)
	return r, err
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

func (t *Test) rebalances() bool {
	return slices.ContainsFunc(t.Given, func(s *Step) bool { return s.Kind == "rebalance" })
}

// runner runs one test; its findings are diagnostics at the expectations.
type runner struct {
	*loader
	p      *Pipeline
	driver Driver
	at     int64          // of the row before
	seen   map[string]int // results of a sink that earlier expectations have had
	dead   int
	moves  bool // tasks are rebuilt after each step, and nothing is compared
	moved  int
	clock  bool // the clock has moved
	cover  *Coverage
	update bool
	edits  []Edit
}

func (r *runner) run(t *Test) {
	for _, s := range t.Given {
		err := r.step(s)
		if err == nil && r.moves {
			err = r.move(s)
		}
		if err != nil {
			text := err.Error()
			if r.moves {
				text = "with its tasks rebuilt after each step: " + text
			}
			r.fail(s.node, "run", "", "%s", text)
			return
		}
	}
	if err := r.driver.Flush(); err != nil {
		r.fail(t.Name.node, "run", "", "%s", err)
		return
	}
	r.expect(t.Expect)
}

// move rebuilds all tasks. Who starts counts silence anew, so once the clock
// has moved there is nothing to learn from it.
func (r *runner) move(s *Step) error {
	if r.clock = r.clock || s.Kind == "advance_clock"; r.clock {
		return nil
	}
	if r.moved++; r.moved%2 == 0 {
		return r.driver.Rebalance()
	}
	return r.driver.Restart()
}

func (r *runner) step(s *Step) error {
	switch s.Kind {
	case "advance_watermark":
		return r.driver.AdvanceWatermark(s.Time)
	case "advance_clock":
		return r.driver.AdvanceClock(s.Span)
	case "restart":
		return r.driver.Restart()
	case "rebalance":
		return r.driver.Rebalance()
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
	r.cover.fed(s.Source.Text)
	return r.driver.Feed(s.Source.Text, Fed{Key: rec.key, Value: rec.value, HasKey: rec.hasKey, Headers: s.Headers, Partition: s.Partition, Time: at})
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
	if r.moves {
		return // compared as a whole, at the end
	}
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
	var all []string
	for _, d := range got {
		all = append(all, fmt.Sprintf("%s: %s, %s", header(d, "leat.error.stage"), header(d, "leat.error.reason"), describe([]Result{d})[0]))
		if r.isDead(e, d) {
			n++
		}
	}
	if n != e.Dead {
		r.fail(e.node, "expect", gotHint(all), "%d dead letters%s, not %d", n, e.deadText(), e.Dead)
		r.number(e.node.get("dead_letter"), n)
	}
}

// isDead tells whether a dead letter is one of those meant.
func (r *runner) isDead(e *Expectation, d Result) bool {
	switch {
	case e.Stage != "" && e.Stage != header(d, "leat.error.stage"):
		return false
	case !strings.Contains(header(d, "leat.error.reason"), e.Reason):
		return false
	case e.key != nil && (e.key.null != (d.Key == nil) || !e.key.null && !r.isText(e.key, d.Key)):
		return false
	case e.value == nil:
		return true
	case e.value.kind == mappingNode:
		want, _ := decode(r.anyJSON(nil, e.value, engine.Invalid)).(map[string]any)
		return wanted{row: want}.matches(Result{Value: d.Value}) && d.Value != nil
	}
	return e.value.null == (d.Value == nil) && (e.value.null || r.isText(e.value, d.Value))
}

// isText compares a record's bytes with a text, or as JSON with a mapping.
func (r *runner) isText(n *node, got []byte) bool {
	if n.kind != scalarNode {
		return equal(decode(r.anyJSON(nil, n, engine.Invalid)), decode(got))
	}
	text, _ := r.text(n)
	return text == string(got)
}

func (e *Expectation) deadText() string {
	text := ""
	if e.Stage != "" {
		text = " of stage " + e.Stage
	}
	if e.Reason != "" {
		text += fmt.Sprintf(" with %q in their reason", e.Reason)
	}
	if e.key != nil {
		text += " of this key"
	}
	if e.value != nil {
		text += " of this value"
	}
	return text
}

func (r *runner) expectSink(e *Expectation, all, got []Result) {
	in := r.sinkStream(e.Sink.Text)
	if in == nil {
		return // reported by check
	}
	if e.None && len(got) > 0 {
		r.fail(e.node, "expect", gotHint(describe(got)), "sink %q has %d results, not none", e.Sink.Text, len(got))
	}
	if e.Count >= 0 {
		r.count(e, got)
	}
	if e.hasExact {
		r.exact(e, in, got)
	}
	for _, w := range r.wanted(in, e.Contains, e.Headers) {
		if !matchesAny(w, got) {
			r.lacks(in, w, got, "sink %q has no such row", e.Sink.Text)
		}
	}
	newest := newestPerKey(all)
	for _, w := range r.wanted(in, e.Last, e.Headers) {
		if !matchesAny(w, newest) {
			r.lacks(in, w, newest, "sink %q has no such row as the newest of its key", e.Sink.Text)
		}
	}
	if e.gone == nil {
		return
	}
	for _, w := range r.wanted(in, []*node{e.gone}, nil) {
		if !matchesAny(w, newest) {
			r.fail(e.node, "expect", gotHint(describe(newest)), "sink %q has no delete as the newest of this key", e.Sink.Text)
		}
	}
}

func (r *runner) count(e *Expectation, got []Result) {
	n, with := 0, ""
	for _, g := range got {
		if hasHeaders(g, e.Headers) {
			n++
		}
	}
	if len(e.Headers) > 0 {
		with = " with these headers"
	}
	if n != e.Count {
		r.fail(e.node.get("count"), "expect", gotHint(describe(got)), "sink %q has %d results%s, not %d", e.Sink.Text, n, with, e.Count)
		r.number(e.node.get("count"), n)
	}
}

// lacks reports a row that should be among some results.
func (r *runner) lacks(in *stream, w wanted, got []Result, format, sink string) {
	hint := gotHint(describe(got))
	if i := nearestResult(in, w, got); i >= 0 {
		hint = "nearest" + ofKey(got[i]) + ": " + w.difference(got[i]) + "\n        " + hint
		r.rewriteRow(in, w, got[i])
	}
	r.fail(w.node, "expect", hint, format, sink)
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
			return r.p.sinkRows(s)
		}
	}
	return nil
}

// sinkRows is what a sink's results look like: its input's rows, with what an
// alert adds.
func (p *Pipeline) sinkRows(s *Sink) *stream {
	in := p.checked.sinks[s]
	if in == nil || in.broken || s.Alert == nil {
		return in
	}
	schema, err := s.Alert.posted(in.visible())
	if err != nil {
		return in
	}
	out := *in
	out.schema, out.hidden, out.table = schema, nil, false
	return &out
}

func (r *runner) wanted(in *stream, rows []*node, headers []engine.Header) []wanted {
	var out []wanted
	for _, n := range rows {
		data, deleted := r.expectedRow(in, n)
		w := wanted{node: n, deleted: deleted, row: map[string]any{}, headers: headers}
		if v, ok := decode(data).(map[string]any); ok {
			w.row = v
		}
		out = append(out, w)
	}
	return out
}

// exact wants these rows and no others, in order per key: keys may interleave
// in any way.
func (r *runner) exact(e *Expectation, in *stream, got []Result) {
	want := r.wanted(in, e.Values, e.Headers)
	if len(want) != len(got) {
		r.differ(e, in, want, got, -1)
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
		r.differ(e, in, want, got, best)
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
