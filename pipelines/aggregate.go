package pipelines

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/leatstream/leat/window"
	"github.com/leatstream/leat/window/aggregate"
)

func (l *loader) emit(a *aggregateStep, f *fields) {
	windowed := f.node.has("window")
	a.Update = !windowed
	n := f.get("emit")
	if n == nil {
		return
	}
	mode := n
	if n.kind == mappingNode {
		e := l.fields(n, mustKind("emit", ""))
		defer e.done()
		mode = e.get("mode")
		if v := e.get("throttle"); v != nil {
			if ms, ok := l.milliseconds(v, time.Millisecond); ok {
				a.Throttle = time.Duration(ms) * time.Millisecond
			}
			if mode != nil && mode.text == "close" {
				l.fail(v, "value", "remove it, or write mode: update", "throttle is for emit: update; close writes each window once")
			}
		}
		if mode == nil {
			return
		}
	}
	s, ok := l.oneOf(mode, "close", "update")
	if !ok {
		return
	}
	if s == "close" && a.Window != nil && a.Window.Spec.Kind == "count" {
		l.fail(mode, "value", "write emit: update, or leave it out", "emit: close needs a window that closes: a count window never does")
		return
	}
	if s == "close" && !windowed {
		l.fail(mode, "value", "give the aggregate a window, or write emit: update", "emit: close needs a window: without one nothing ever closes")
		return
	}
	a.Update = s == "update"
}

// late reads what happens to late rows: a policy, or the name of the stream
// that they become.
func (l *loader) late(n *node) (policy, as Word) {
	if n == nil {
		return policy, as
	}
	if n.kind == mappingNode {
		f := l.fields(n, mustKind("late", ""))
		if v := f.get("as"); v != nil {
			as = l.name(v)
		}
		f.done()
		return policy, as
	}
	if s, ok := l.oneOf(n, "drop", "dead_letter"); ok {
		policy = wordOf(n, s)
	}
	return policy, as
}

func (l *loader) window(n *node) *Window {
	if n.kind == scalarNode && n.text == "same" {
		return &Window{Spec: window.Spec{Kind: "same"}, node: n}
	}
	if n.kind == scalarNode && !n.null {
		l.fail(n, "type", "for example {type: tumbling, size: 1m}", "a window is a mapping {type: …, size: …}, not %s", n.what())
		return nil
	}
	k := l.kind(n, "window", "")
	if k == nil {
		return nil
	}
	if k.Name == "sliding" && n.has("advance") {
		l.fail(n.get("type"), "value", "windows of one size, one at every advance, are type: hopping", "a sliding window has no advance")
		return nil
	}
	before := len(l.diags)
	f := l.fields(n, k)
	defer f.done()
	w := &Window{Spec: window.Spec{Kind: k.Name}, node: n}
	if k.Name == "count" {
		l.countWindow(w, f)
	} else {
		l.spans(w, k, f)
	}
	if len(l.diags) > before {
		return nil
	}
	if err := w.Spec.Check(); err != nil {
		l.fail(n, "window", "", "%s", err)
		return nil
	}
	return w
}

// countWindow reads the keys of a count window: numbers of rows.
func (l *loader) countWindow(w *Window, f *fields) {
	const most = 1_000_000
	for _, one := range []struct {
		key string
		to  *int64
	}{{"size", &w.Spec.Count}, {"advance", &w.Spec.Every}} {
		if v := f.get(one.key); v != nil {
			n, _ := l.whole(v, 1, most)
			*one.to = int64(n)
		}
	}
	if v := f.get("full"); v != nil {
		w.Spec.Full, _ = l.bool(v)
	}
}

// spans reads the keys of all other windows: durations, of the calendar where
// there is a time zone.
func (l *loader) spans(w *Window, k *Kind, f *fields) {
	if k.key("time_zone") != nil {
		if v := f.get("time_zone"); v != nil {
			zone, _ := l.text(v)
			if _, err := time.LoadLocation(zone); err != nil || zone == "" || zone == "Local" {
				l.fail(v, "value", "for example Europe/Berlin", "%s is no time zone", shorten(v.raw()))
			}
			w.Spec.Zone = zone
		}
	}
	if k.key("mode") != nil {
		w.Spec.Mode = window.Exact
		if v := f.get("mode"); v != nil {
			w.Spec.Mode, _ = l.oneOf(v, window.Exact, window.Trailing)
		}
	}
	none := new(window.Unit)
	for _, span := range []struct {
		key  string
		low  time.Duration
		to   *int64
		unit *window.Unit // nil: milliseconds only
	}{
		{"size", time.Millisecond, &w.Spec.Size, &w.Spec.SizeUnit}, {"advance", time.Millisecond, &w.Spec.Advance, &w.Spec.AdvanceUnit},
		{"step", time.Millisecond, &w.Spec.Step, &w.Spec.StepUnit}, {"gap", 0, &w.Spec.Gap, none}, {"offset", 0, &w.Spec.Offset, none}, {"grace", 0, &w.Spec.Grace, none},
	} {
		if k.key(span.key) == nil {
			continue
		}
		v := f.get(span.key)
		if v == nil {
			continue
		}
		if w.Spec.Zone != "" && span.unit != none {
			if n, unit, ok := l.civil(v); ok {
				*span.to, *span.unit = n, unit
				continue
			}
		}
		*span.to, _ = l.milliseconds(v, span.low)
	}
}

var civilPattern = regexp.MustCompile(`^([1-9][0-9]{0,5})(d|w|mo|y)$`)

// civil reads a span of the calendar: 1d, 2w, 1mo, 1y.
func (l *loader) civil(n *node) (int64, window.Unit, bool) {
	m := civilPattern.FindStringSubmatch(n.text)
	if m == nil {
		return 0, 0, false
	}
	count, err := strconv.ParseInt(m[1], 10, 64)
	unit := map[string]window.Unit{"d": window.Days, "w": window.Weeks, "mo": window.Months, "y": window.Years}[m[2]]
	return count, unit, err == nil
}

// argumentNames are the expressions that an aggregate takes, without its
// constants.
func argumentNames(k aggregate.Kind) []string {
	var out []string
	for _, name := range strings.Split(k.Args, ",") {
		name = strings.Trim(strings.TrimSpace(name), "[]")
		if name != "" && !slices.ContainsFunc(k.Params, func(p aggregate.Param) bool { return p.Name == name }) {
			out = append(out, name)
		}
	}
	return out
}

// longName is the key of an argument in the long form.
func longName(argument string) string {
	if argument == "x" || argument == "k" {
		return "of"
	}
	return argument
}

func aggregateNames() []string {
	var out []string
	for _, k := range aggregate.Kinds() {
		out = append(out, k.Name)
	}
	return out
}

// aggregateColumn reads one aggregate: sum(price * qty), or the long form.
func (l *loader) aggregateColumn(pr pair) *AggregateColumn {
	w, ok := l.columnName(pr.key)
	if !ok || pr.value == nil {
		return nil
	}
	c := &AggregateColumn{Name: w, node: pr.value}
	if pr.value.kind == mappingNode {
		return l.longAggregate(c, pr.value)
	}
	e := l.aggregateText(pr.value)
	if e == nil {
		return nil
	}
	open := strings.IndexByte(e.Text, '(')
	fn := strings.TrimSpace(e.Text[:open])
	lead := strings.Index(e.Text, fn)
	c.Fn = Word{Text: fn, node: pr.value}
	if !l.aggregateName(pr.value, lead, fn) {
		return nil
	}
	end := closing(e.Text, open)
	switch {
	case end < 0:
		hint := ""
		if rest := pr.value.commentAfter(); rest != "" {
			hint = fmt.Sprintf("to YAML \"%s\" is a comment: quote the aggregate", rest)
		}
		l.failAt(pr.value, open, "expression", hint, "this bracket is never closed")
		return nil
	case strings.TrimSpace(e.Text[end+1:]) != "":
		l.failAt(pr.value, end+1+len(e.Text[end+1:])-len(strings.TrimLeft(e.Text[end+1:], " ")), "expression",
			"compute with results in a map behind the aggregate", "an aggregate is one call: fn(…), nothing behind it")
		return nil
	}
	for _, arg := range splitArguments(e.Text, open+1, end) {
		c.Args = append(c.Args, exprOf(pr.value, e.Text[arg[0]:arg[1]], arg[0]))
	}
	return c
}

// aggregateText checks that a scalar looks like fn(…).
func (l *loader) aggregateText(n *node) *Expr {
	if n.kind == scalarNode && !n.null && n.quotes != plainText && !strings.Contains(n.text, "(") && barePattern.MatchString(n.text) {
		n = &node{file: n.file, line: n.line, column: n.column, text: n.text, quotes: n.quotes}
		l.fail(n, "expression", fmt.Sprintf("for example sum(%s)", n.text), "an aggregate is a call: fn(…)")
		return nil
	}
	e := l.expr(n)
	if e == nil {
		return nil
	}
	open := strings.IndexByte(e.Text, '(')
	if open <= 0 || !barePattern.MatchString(strings.TrimSpace(e.Text[:open])) {
		hint := "for example sum(amount); compute with results in a map behind the aggregate"
		if barePattern.MatchString(e.Text) {
			hint = fmt.Sprintf("for example sum(%s)", e.Text)
			if _, known := aggregate.Lookup(e.Text); known {
				hint = fmt.Sprintf("write %s()", e.Text)
			}
		}
		l.fail(n, "expression", hint, "an aggregate is a call: fn(…)")
		return nil
	}
	return e
}

func (l *loader) aggregateName(n *node, off int, fn string) bool {
	if _, ok := aggregate.Lookup(fn); ok {
		return true
	}
	l.failAt(n, off, "value", didYouMean(fn, aggregateNames()), "unknown aggregate %q", fn)
	return false
}

func (l *loader) longAggregate(c *AggregateColumn, n *node) *AggregateColumn {
	f := l.fields(n, mustKind("aggregate", ""))
	defer f.done()
	if f.get("fn") == nil {
		return nil
	}
	w, ok := l.word(f.get("fn"))
	if !ok {
		return nil
	}
	c.Fn = w
	if strings.Contains(w.Text, "(") {
		l.fail(w.node, "value", "fn: sum, of: amount", "fn is a name; its argument stands under of")
		return nil
	}
	if !l.aggregateName(w.node, 0, w.Text) {
		return nil
	}
	before := len(l.diags)
	kind, _ := aggregate.Lookup(w.Text)
	for _, name := range argumentNames(kind) {
		if v := n.get(longName(name)); v != nil {
			if e := l.expr(v); e != nil {
				c.Args = append(c.Args, e)
			}
		}
	}
	for _, p := range kind.Params {
		if v := n.get(p.Name); v != nil {
			c.Args = append(c.Args, exprOf(v, v.text, 0))
		}
	}
	for _, key := range f.kind.names() {
		known := key == "fn" || key == "where" || slices.ContainsFunc(argumentNames(kind), func(a string) bool { return longName(a) == key }) ||
			slices.ContainsFunc(kind.Params, func(p aggregate.Param) bool { return p.Name == key })
		if known || !n.has(key) {
			continue
		}
		l.fail(n.get(key), "value", "remove it", "%s has no %s", w.Text, key)
	}
	if v := f.get("where"); v != nil {
		c.Where = l.expr(v)
	}
	if len(l.diags) > before {
		return nil
	}
	return c
}

// closing is the offset of the bracket that closes the one at open, or -1.
func closing(text string, open int) int {
	depth := 0
	for i := open; i < len(text); i++ {
		switch c := text[i]; c {
		case '"', '\'', '`':
			for i++; i < len(text) && text[i] != c; i++ {
				if text[i] == '\\' && c != '`' {
					i++
				}
			}
		case '(', '[', '{':
			depth++
		case ')', ']', '}':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}

// splitArguments gives the spans of the arguments in text[from:to].
func splitArguments(text string, from, to int) [][2]int {
	var out [][2]int
	start, depth := from, 0
	cut := func(end int) {
		s := text[start:end]
		lead := len(s) - len(strings.TrimLeft(s, " \n\t"))
		out = append(out, [2]int{start + lead, start + len(strings.TrimRight(s, " \n\t"))})
	}
	for i := from; i < to; i++ {
		switch c := text[i]; c {
		case '"', '\'', '`':
			for i++; i < to && text[i] != c; i++ {
				if text[i] == '\\' && c != '`' {
					i++
				}
			}
		case '(', '[', '{':
			depth++
		case ')', ']', '}':
			depth--
		case ',':
			if depth == 0 {
				cut(i)
				start = i + 1
			}
		}
	}
	if strings.TrimSpace(text[start:to]) != "" || len(out) > 0 {
		cut(to)
	}
	for i, span := range out {
		if span[0] > span[1] {
			out[i][0] = span[1]
		}
	}
	return out
}
