package pipelines

import (
	"strconv"
	"time"

	"github.com/leatstream/leat/engine"
)

// reserved names are columns that windows and top add, and words of the
// expression language.
var reserved = map[string]bool{
	"window_start": true, "window_end": true, "window_time": true, "final": true, "rank": true,
	"vars": true, "true": true, "false": true, "nil": true, "null": true,
	"and": true, "or": true, "not": true, "in": true, "let": true, "if": true, "else": true,
}

// pipeline reads one document.
func (l *loader) pipeline(n *node) *Pipeline {
	p := &Pipeline{File: n.file.name, Pos: Pos{n.file.name, n.line, n.column}}
	f := l.fields(n, mustKind("pipeline", ""))
	if f == nil {
		return p
	}
	defer f.done()
	if v := f.get("version"); v != nil {
		if s, ok := l.text(v); ok && s != "1" {
			l.fail(v, "value", "this version of leat knows version: 1", "unknown version %s", shorten(v.raw()))
		}
	}
	p.Name = l.pipelineName(f.get("name"))
	if d := f.get("description"); d != nil {
		p.Description, _ = l.text(d)
	}
	p.Vars = l.vars(f.get("vars"))
	for _, pr := range l.pairs(f.get("sources"), "sources") {
		p.Sources = append(p.Sources, l.source(pr))
	}
	for _, pr := range l.pairs(f.get("tables"), "tables") {
		p.Sources = append(p.Sources, l.table(pr))
	}
	for _, item := range l.list(f.get("transforms"), "transforms") {
		if t := l.transform(item); t != nil {
			p.Transforms = append(p.Transforms, t)
		}
	}
	for _, item := range l.list(f.get("sinks"), "sinks") {
		if s := l.sink(item); s != nil {
			p.Sinks = append(p.Sinks, s)
		}
	}
	p.Dashboard = l.dashboard(f.get("dashboard"))
	if d := f.get("delivery"); d != nil {
		if s, ok := l.oneOf(d, "exactly_once", "at_least_once"); ok && s == "at_least_once" {
			p.Guarantee = engine.AtLeastOnce
		}
	}
	p.Errors = l.errors(f.get("errors"), true)
	p.Tests = l.tests(f.get("tests"))
	return p
}

func (l *loader) pipelineName(n *node) Word {
	w, ok := l.word(n)
	if !ok {
		return Word{}
	}
	if !pipelinePattern.MatchString(w.Text) {
		l.fail(n, "name", "", "%s is not a pipeline name: a-z, 0-9 and -, at most 60", shorten(n.raw()))
		return Word{}
	}
	return w
}

// vars reads typed constants; a plain text's form gives its type.
func (l *loader) vars(n *node) []Var {
	var out []Var
	for _, pr := range l.pairs(n, "constants") {
		name := l.name(pr.key)
		if pr.value == nil || !name.Given() {
			continue
		}
		s, ok := l.text(pr.value)
		if !ok {
			continue
		}
		out = append(out, Var{Name: name, Value: constant(s, pr.value.quotes != plainText)})
	}
	return out
}

func constant(s string, quoted bool) any {
	if quoted {
		return s
	}
	switch s {
	case "true":
		return true
	case "false":
		return false
	}
	if v, err := strconv.ParseInt(s, 10, 64); err == nil {
		return v
	}
	if v, err := strconv.ParseFloat(s, 64); err == nil && looksNumeric(s) {
		return v
	}
	return s
}

// looksNumeric leaves out the words that ParseFloat takes: nan, inf, …
func looksNumeric(s string) bool {
	c := s[len(s)-1]
	return (c >= '0' && c <= '9') || c == '.'
}

// policyWords are the values of errors.policy and of each stage.
var policyWords = map[string]engine.Policy{"fail": engine.Fail, "skip": engine.Skip, "dead_letter": engine.DeadLetter}

// errors reads the error policies of one place.
func (l *loader) errors(n *node, top bool) *Errors {
	if n == nil {
		return nil
	}
	f := l.fields(n, mustKind("errors", ""))
	if f == nil {
		return nil
	}
	defer f.done()
	e := &Errors{Policy: map[engine.Stage]engine.Policy{}, node: n}
	if d := l.fields(f.get("dead_letter"), mustKind("dead_letter", "")); d != nil {
		if w, ok := l.topic(d.get("topic")); ok {
			e.Topic = engine.Topic(w.Text)
		}
		if v := d.get("include_value"); v != nil {
			keep, ok := l.bool(v)
			e.ExcludeValue = ok && !keep
		}
		d.done()
	}
	for _, stage := range []engine.Stage{engine.StageDecode, engine.StageEventTime, engine.StageExpression, engine.StageAggregate, engine.StageProduce, engine.StageSend} {
		if v := f.get(string(stage)); v != nil {
			if s, ok := l.oneOf(v, "fail", "skip", "dead_letter"); ok {
				e.Policy[stage] = policyWords[s]
			}
		}
	}
	if v := f.get("policy"); v != nil {
		if s, ok := l.oneOf(v, "fail", "skip", "dead_letter"); ok {
			p := policyWords[s]
			e.All = &p
		}
	}
	if v := f.get("max_rate"); v != nil {
		e.MaxRate, _ = l.fraction(v)
		if !top {
			l.fail(v, "misplaced", "move it to the errors of the pipeline", "max_rate is about the whole pipeline")
		}
	}
	return e
}

// dashboard reads the live page.
func (l *loader) dashboard(n *node) *Dashboard {
	if n == nil {
		return nil
	}
	f := l.fields(n, mustKind("dashboard", ""))
	if f == nil {
		return nil
	}
	defer f.done()
	d := &Dashboard{Refresh: 250 * time.Millisecond, node: n}
	if v := f.get("title"); v != nil {
		d.Title, _ = l.text(v)
	}
	if v := f.get("refresh"); v != nil {
		d.Refresh, _ = l.duration(v, 50*time.Millisecond)
	}
	for _, item := range l.list(f.get("panels"), "panels") {
		if p := l.panel(item); p != nil {
			d.Panels = append(d.Panels, p)
		}
	}
	return d
}

func (l *loader) panel(n *node) *Panel {
	k := l.kind(n, "panel", "")
	if k == nil {
		return nil
	}
	f := l.fields(n, k)
	defer f.done()
	p := &Panel{Type: k.Name, node: n}
	text := func(key string) string {
		if k.key(key) == nil || f.get(key) == nil {
			return ""
		}
		s, _ := l.text(f.get(key))
		return s
	}
	word := func(key string) Word {
		if k.key(key) == nil || f.get(key) == nil {
			return Word{}
		}
		w, _ := l.word(f.get(key))
		return w
	}
	number := func(key string, most int) int {
		if k.key(key) == nil || f.get(key) == nil {
			return 0
		}
		v, _ := l.whole(f.get(key), 1, most)
		return v
	}
	choice := func(key string, words ...string) string {
		if k.key(key) == nil || f.get(key) == nil {
			return ""
		}
		s, _ := l.oneOf(f.get(key), words...)
		return s
	}
	p.Title, p.Unit = text("title"), text("unit")
	p.View, p.Value, p.Series = word("view"), word("value"), word("series")
	const mostSeries, mostBars = 200, 1000 // what a chart can still show
	p.Top, p.K = number("top", mostSeries), number("k", mostBars)
	p.Scale = choice("scale", "linear", "log")
	p.Fn = choice("fn", "sum", "avg", "min", "max", "last")
	if k.key("columns") != nil {
		p.Columns = l.columns(f.get("columns"))
	}
	return p
}
