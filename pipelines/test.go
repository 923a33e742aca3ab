package pipelines

import (
	"math"
	"path/filepath"
	"strings"
	"time"

	"github.com/leatstream/leat/engine"
)

// testDay is the day of bare times, and testNoon where a test's clock starts.
var (
	testDay   = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	testStart = testDay.Add(10 * time.Hour)
)

// Test is one entry of tests: rows in, rows out, on virtual time.
type Test struct {
	Name   Word
	Given  []*Step
	Expect []*Expectation
}

// Step is one thing that happens. Kind is row, advance_watermark,
// advance_clock, restart, rebalance or expect.
type Step struct {
	Kind      string
	Pos       Pos
	Source    Word
	At        int64 // epoch ms; valid with HasAt
	HasAt     bool
	Partition int32 // -1: by the key
	Time      int64 // advance_watermark: epoch ms
	Span      time.Duration
	Expect    []*Expectation
	Headers   []engine.Header
	key       *node // nil: from the source's key columns
	value     *node // nil with raw
	raw       *node
	node      *node
}

// Expectation is what must hold of a sink, or of the dead letters.
type Expectation struct {
	Pos      Pos
	Sink     Word
	Values   []*node
	Contains []*node
	Last     []*node
	hasExact bool // values: was written, perhaps as []
	None     bool
	Count    int // number of results; -1: not asked
	Headers  []engine.Header
	gone     *node  // the delete that key: and deleted: name
	Dead     int    // number of dead letters; -1: not asked
	Stage    string // these are of dead letters; "", nil: any
	Reason   string
	key      *node
	value    *node
	node     *node
}

// LoadTests reads the tests beside a pipeline file (orders_test.yaml beside
// orders.yaml, or the files given) and adds them to the pipelines of set.
func LoadTests(set *Set, paths []string, env func(string) (string, bool)) Diagnostics {
	l := newLoader(env)
	for _, path := range paths {
		for _, doc := range l.read(path) {
			l.testFile(set, path, doc)
		}
	}
	for _, p := range set.Pipelines {
		l.checkTests(p)
	}
	return l.diags.tidy()
}

// TestFiles lists the *_test.yaml files beside the pipelines of a set.
func TestFiles(set *Set) []string {
	var out []string
	seen := map[string]bool{}
	for _, p := range set.Pipelines {
		ext := filepath.Ext(p.File)
		pattern := strings.TrimSuffix(p.File, ext) + "_test" + ext
		if found, err := filepath.Glob(escapeGlob(pattern)); err == nil && len(found) == 1 && !seen[pattern] {
			seen[pattern] = true
			out = append(out, found[0])
		}
	}
	return out
}

func escapeGlob(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

func (l *loader) testFile(set *Set, path string, n *node) {
	f := l.fields(n, mustKind("test file", ""))
	if f == nil {
		return
	}
	defer f.done()
	tests := l.tests(f.get("tests"))
	var beside []*Pipeline
	ext := filepath.Ext(path)
	for _, p := range set.Pipelines {
		if strings.TrimSuffix(path, "_test"+ext) == strings.TrimSuffix(p.File, filepath.Ext(p.File)) {
			beside = append(beside, p)
		}
	}
	if v := f.get("pipeline"); v != nil {
		w, ok := l.word(v)
		if !ok {
			return
		}
		p := set.Find(w.Text)
		if p == nil {
			var names []string
			for _, p := range set.Pipelines {
				names = append(names, p.Name.Text)
			}
			l.fail(v, "unknown-name", didYouMean(w.Text, names), "no pipeline is called %s", shorten(v.raw()))
			return
		}
		beside = []*Pipeline{p}
	}
	if len(beside) != 1 {
		l.fail(n, "missing-key", "write pipeline: <name>", "which pipeline do these tests run?")
		return
	}
	beside[0].Tests = append(beside[0].Tests, tests...)
}

func (l *loader) tests(n *node) []*Test {
	var out []*Test
	for _, item := range l.list(n, "tests") {
		f := l.fields(item, mustKind("test", ""))
		if f == nil {
			continue
		}
		t := &Test{}
		if v := f.get("name"); v != nil {
			t.Name, _ = l.word(v)
		}
		for _, step := range l.list(f.get("given"), "steps") {
			if s := l.step(step); s != nil {
				t.Given = append(t.Given, s)
			}
		}
		t.Expect = l.expectations(f.get("expect"))
		f.done()
		out = append(out, t)
	}
	return out
}

// stepKind finds a step's kind by the key that only it has.
func (l *loader) stepKind(n *node) *Kind {
	if n.kind != mappingNode {
		l.fail(n, "type", "", "a step is a mapping, not %s", n.what())
		return nil
	}
	for _, name := range []string{"advance_watermark", "advance_clock", "restart", "rebalance", "expect"} {
		if n.has(name) {
			return mustKind("step", name)
		}
	}
	row := mustKind("step", "row")
	for _, pr := range n.pairs {
		if row.key(pr.key.text) != nil {
			return row
		}
	}
	if len(n.pairs) == 0 {
		l.fail(n, "type", "", "a step that does nothing")
		return nil
	}
	first := n.pairs[0].key
	l.fail(first, "unknown-key", didYouMean(first.text, append(kindNames("step")[1:], "source")), "unknown step %q", first.text)
	return nil
}

func (l *loader) step(n *node) *Step {
	k := l.stepKind(n)
	if k == nil {
		return nil
	}
	f := l.fields(n, k)
	defer f.done()
	s := &Step{Kind: k.Name, Pos: Pos{n.file.name, n.line, n.column}, Partition: -1, node: n}
	switch k.Name {
	case "advance_watermark":
		s.Time, _ = l.time(f.get("advance_watermark"))
	case "advance_clock":
		if v := f.get("advance_clock"); v != nil {
			s.Span, _ = l.duration(v, 0)
		}
	case "restart", "rebalance":
		if v := f.get(k.Name); v != nil {
			l.oneOf(v, "true")
		}
	case "expect":
		s.Expect = l.expectations(f.get("expect"))
	default:
		l.row(s, f)
	}
	return s
}

func (l *loader) row(s *Step, f *fields) {
	source, table := f.get("source"), f.get("table")
	switch {
	case source != nil && table != nil:
		l.fail(table, "value", "", "source and table exclude each other")
	case source != nil:
		s.Source, _ = l.word(source)
	case table != nil:
		s.Source, _ = l.word(table)
	case !f.node.has("source") && !f.node.has("table"):
		l.fail(f.node, "missing-key", "source: <name>, or table: <name>", "a row needs the key \"source\"")
	}
	if v := f.get("at"); v != nil {
		s.At, s.HasAt = l.time(v)
	}
	if v := f.get("partition"); v != nil {
		if p, ok := l.whole(v, 0, math.MaxInt16); ok {
			s.Partition = int32(p)
		}
	}
	s.Headers = l.testHeaders(f.get("headers"))
	s.key, s.value, s.raw = f.get("key"), f.get("value"), f.get("raw")
	if s.value != nil && s.raw != nil {
		l.fail(s.raw, "value", "", "value and raw exclude each other")
	}
	if !f.node.has("value") && !f.node.has("raw") {
		l.fail(f.node, "missing-key", "value: null is a null value", "a row needs the key \"value\" or \"raw\"")
	}
	if s.raw != nil {
		l.text(s.raw)
	}
}

func (l *loader) expectations(n *node) []*Expectation {
	var out []*Expectation
	for _, item := range l.list(n, "expectations") {
		if item.kind != mappingNode {
			l.fail(item, "type", "", "an expectation is a mapping, not %s", item.what())
			continue
		}
		e := &Expectation{Dead: -1, Count: -1, node: item, Pos: Pos{item.file.name, item.line, item.column}}
		kind := "sink"
		if item.has("dead_letter") {
			kind = "dead_letter"
		}
		f := l.fields(item, mustKind("expectation", kind))
		if kind == "dead_letter" {
			if v := f.get("dead_letter"); v != nil {
				e.Dead, _ = l.whole(v, 0, math.MaxInt32)
			}
			if v := f.get("stage"); v != nil {
				e.Stage, _ = l.oneOf(v, "decode", "event_time", "expression", "aggregate", "late", "produce")
			}
			if v := f.get("reason"); v != nil {
				e.Reason, _ = l.text(v)
			}
			if e.key = f.get("key"); e.key != nil && !e.key.null {
				l.text(e.key)
			}
			if e.value = f.get("value"); e.value != nil && e.value.kind == sequenceNode {
				l.fail(e.value, "type", "", "a value is a text or a mapping field: value, not a list")
			}
		} else {
			l.sinkExpectation(e, f)
		}
		f.done()
		out = append(out, e)
	}
	return out
}

func (l *loader) sinkExpectation(e *Expectation, f *fields) {
	if v := f.get("sink"); v != nil {
		e.Sink, _ = l.word(v)
	}
	rows := func(key string) []*node {
		var out []*node
		for _, row := range l.list(f.get(key), "rows") {
			if row.kind != mappingNode && row.kind != scalarNode {
				l.fail(row, "type", "", "a row is a mapping column: value, not %s", row.what())
				continue
			}
			out = append(out, row)
		}
		return out
	}
	e.Values, e.Contains, e.Last = rows("values"), rows("contains"), rows("last")
	e.hasExact = f.get("values") != nil
	if v := f.get("none"); v != nil {
		_, e.None = l.oneOf(v, "true")
	}
	if v := f.get("count"); v != nil {
		if n, ok := l.whole(v, 0, math.MaxInt32); ok {
			e.Count = n
		}
	}
	e.Headers = l.testHeaders(f.get("headers"))
	n := f.node
	if v := f.get("deleted"); v != nil {
		if _, ok := l.oneOf(v, "true"); ok && n.has("key") {
			e.gone = n
		} else if ok {
			l.fail(v, "missing-key", "{sink: out, key: {id: 1}, deleted: true}", "a delete names its key")
		}
	} else if v := f.get("key"); v != nil {
		l.fail(v, "missing-key", "add deleted: true, or name columns under contains", "key belongs to deleted")
	}
	named := n.has("values") || n.has("contains") || n.has("last") || n.has("count")
	if !named && !n.has("none") && !n.has("deleted") && !n.has("key") {
		l.fail(n, "missing-key", "", "an expectation of a sink needs values, contains, last, count, none or deleted")
	}
	if v := f.get("headers"); v != nil && !named {
		l.fail(v, "missing-key", "", "headers are of the rows of values, contains, last or count")
	}
}

// testHeaders reads headers, in the order given.
func (l *loader) testHeaders(n *node) []engine.Header {
	var out []engine.Header
	for _, pr := range l.pairs(n, "headers") {
		if pr.value == nil {
			continue
		}
		if text, ok := l.text(pr.value); ok {
			out = append(out, engine.Header{Key: pr.key.text, Value: []byte(text)})
		}
	}
	return out
}

// time reads a moment: a bare time is on 2026-01-01 UTC.
func (l *loader) time(n *node) (int64, bool) {
	s, ok := l.text(n)
	if !ok {
		return 0, false
	}
	if ms, ok := parseTime(s); ok {
		return ms, true
	}
	l.fail(n, "type", "10:00:00, 10:00:00.250, 2026-01-31T10:00:00Z", "%s is not a time", shorten(n.raw()))
	return 0, false
}

func parseTime(s string) (int64, bool) {
	for _, layout := range []string{"15:04:05", "15:04"} {
		if t, err := time.Parse(layout, s); err == nil {
			return testDay.UnixMilli() + t.Sub(time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC)).Milliseconds(), true
		}
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02 15:04:05", "2006-01-02"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UnixMilli(), true
		}
	}
	return 0, false
}

// checkTests resolves the names in a pipeline's tests.
func (l *loader) checkTests(p *Pipeline) {
	for _, t := range p.Tests {
		for _, s := range t.Given {
			l.checkStep(p, s)
		}
		l.checkExpectations(p, t.Expect)
	}
}

func (l *loader) checkStep(p *Pipeline, s *Step) {
	if s.Kind == "expect" {
		l.checkExpectations(p, s.Expect)
	}
	if s.Kind != "row" || !s.Source.Given() {
		return
	}
	in := p.checked.streams[s.Source.Text]
	if in == nil || in.source == nil {
		names := p.checked.sourceNames()
		l.fail(s.Source.node, "unknown-name", didYouMean(s.Source.Text, names), "no source or table is called %q", s.Source.Text)
		return
	}
	if !in.broken {
		l.record(in, s, testStart.UnixMilli())
	}
}

func (l *loader) checkExpectations(p *Pipeline, list []*Expectation) {
	for _, e := range list {
		if !e.Sink.Given() {
			continue
		}
		var names []string
		var found *Sink
		for _, s := range p.Sinks {
			names = append(names, s.Name.Text)
			if s.Name.Given() && s.Name.Text == e.Sink.Text {
				found = s
			}
		}
		if found == nil {
			l.fail(e.Sink.node, "unknown-name", didYouMean(e.Sink.Text, names), "no sink is called %q", e.Sink.Text)
			continue
		}
		in := p.sinkRows(found)
		if in == nil || in.broken || found.broken {
			continue
		}
		if e.gone != nil {
			l.expectedRow(in, e.gone)
		}
		for _, rows := range [][]*node{e.Values, e.Contains, e.Last} {
			for _, row := range rows {
				l.expectedRow(in, row)
			}
		}
	}
}
