package pipelines

import (
	"slices"
	"strings"
	"time"

	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/operators"
	"github.com/leatstream/leat/operators/expr"
)

// Quiet are the quiet hours of an alert sink.
type Quiet struct {
	Spans   []operators.QuietSpan
	Drop    bool
	Level   string // let_through: this priority and above; "": none, or Through
	Through *Expr
	node    *node
}

// quiet reads quiet hours; nil where there are none, or none that can be read.
func (l *loader) quiet(n *node) *Quiet {
	f := l.fields(n, mustKind("quiet", ""))
	if f == nil {
		return nil
	}
	defer f.done()
	before := len(l.diags)
	q := &Quiet{node: n}
	zone := l.zone(f.get("time_zone"))
	q.Spans = append(q.Spans, l.quietSpan(f, zone))
	for _, item := range l.list(f.get("also"), "spans {from, to, days}") {
		if g := l.fields(item, mustKind("quiet_span", "")); g != nil {
			q.Spans = append(q.Spans, l.quietSpan(g, zone))
			g.done()
		}
	}
	if v := f.get("during"); v != nil {
		during, _ := l.oneOf(v, "hold", "drop")
		q.Drop = during == "drop"
	}
	if v := f.get("let_through"); v != nil {
		if q.Through = l.expr(v); q.Through != nil && slices.Contains(operators.AlertLevels, q.Through.Text) {
			q.Level, q.Through = q.Through.Text, nil
		}
		if q.Level == operators.AlertLevels[0] {
			l.fail(v, "value", "normal, high or urgent", "all alerts are of priority low or above: nothing would be quiet")
		}
	}
	if len(l.diags) > before {
		return nil
	}
	if (&operators.Quiet{Spans: q.Spans}).Endless() {
		l.fail(n, "value", "leave an hour, or remove the sink", "it is quiet at all hours of all days: nothing would ever be told")
		return nil
	}
	return q
}

// zone reads a time zone; UTC where it is none, which was reported.
func (l *loader) zone(n *node) *time.Location {
	if n == nil {
		return time.UTC
	}
	name, ok := l.text(n)
	loc, err := time.LoadLocation(name)
	if ok && (err != nil || name == "" || name == "Local") {
		l.fail(n, "value", "for example Europe/Berlin", "%s is no time zone", shorten(n.raw()))
	}
	if err != nil {
		return time.UTC
	}
	return loc
}

// quietSpan reads from, to and days.
func (l *loader) quietSpan(f *fields, zone *time.Location) operators.QuietSpan {
	s := operators.QuietSpan{Zone: zone, Days: l.days(f.get("days"))}
	s.From, s.To = l.timeOfDay(f.get("from"), 23*time.Hour+59*time.Minute), l.timeOfDay(f.get("to"), 24*time.Hour)
	return s
}

// timeOfDay reads HH:MM, to most at most.
func (l *loader) timeOfDay(n *node, most time.Duration) time.Duration {
	if n == nil {
		return 0
	}
	text, ok := l.text(n)
	if !ok {
		return 0
	}
	h, m, found := strings.Cut(text, ":")
	hours, okH := twoDigits(h)
	minutes, okM := twoDigits(m)
	at := time.Duration(hours)*time.Hour + time.Duration(minutes)*time.Minute
	if !found || !okH || !okM || minutes > 59 || at > most {
		hint := "for example 07:00"
		if most == 24*time.Hour {
			hint += ", or 24:00"
		}
		l.fail(n, "value", hint, "%s is no time of day", shorten(n.raw()))
		return 0
	}
	return at
}

func twoDigits(s string) (n int, ok bool) {
	if len(s) != 1 && len(s) != 2 {
		return 0, false
	}
	for _, c := range s {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = 10*n + int(c-'0')
	}
	return n, true
}

// weekdays are as time.Weekday counts them.
var weekdays = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// days reads days of the week and spans of them, mon-fri; all where none are given.
func (l *loader) days(n *node) (on [7]bool) {
	if n == nil {
		return [7]bool{true, true, true, true, true, true, true}
	}
	items := l.list(n, "days")
	if n.kind == sequenceNode && len(items) == 0 {
		l.fail(n, "value", "leave it out for all days", "at least one day is needed")
	}
	for _, item := range items {
		text, ok := l.text(item)
		if !ok {
			continue
		}
		first, last, span := strings.Cut(text, "-")
		if !span {
			last = first
		}
		from, to := slices.Index(weekdays, first), slices.Index(weekdays, last)
		if from < 0 || to < 0 {
			wrong := first
			if from >= 0 {
				wrong = last
			}
			hint := didYouMean(wrong, weekdays)
			if hint == "" {
				hint = "mon, tue, wed, thu, fri, sat, sun, or mon-fri"
			}
			l.fail(item, "value", hint, "%s is no day of the week", shorten(item.raw()))
			continue
		}
		for on[to] = true; from != to; from = (from + 1) % 7 {
			on[from] = true
		}
	}
	return on
}

// alertPriority checks the priority that an expression gives.
func (k *checker) alertPriority(a *AlertSink, columns scope, rows *derivation) {
	if a.Priority == nil || k.noLevel(a.Priority, columns) {
		return
	}
	p := k.compile.compile(a.Priority, columns, rows)
	if p == nil {
		return
	}
	if p.Type() != engine.String {
		k.compile.l.failAt(a.Priority.node, a.Priority.offset, "type", levelsHint, "a priority is a text, this is %s", article(p.Type().String()))
		return
	}
	a.priority = p
}

const levelsHint = "low, normal, high, urgent, or an expression that gives one of them"

// noLevel reports a bare word that is neither a priority nor a column.
func (k *checker) noLevel(e *Expr, columns scope) bool {
	for _, c := range e.Text {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_') {
			return false
		}
	}
	if columns.schema.Lookup(e.Text) >= 0 || slices.Contains([]string{"true", "false", "nil", "null"}, e.Text) {
		return false
	}
	hint := didYouMean(strings.ToLower(e.Text), operators.AlertLevels)
	if hint == "" {
		hint = levelsHint
	}
	k.fail(e.node, "value", hint, "%q is neither a priority nor a column", e.Text)
	return true
}

// quiet checks what quiet hours let through, and that what they hold comes out.
func (k *checker) quiet(a *AlertSink, columns scope, rows *derivation, in *stream) {
	q := a.Quiet
	if q == nil {
		return
	}
	if q.Through != nil && !k.noLevel(q.Through, columns) {
		a.through = k.compile.condition(q.Through, columns, rows)
	}
	if q.Level != "" && a.Priority == nil && slices.Index(operators.AlertLevels, a.Level) >= slices.Index(operators.AlertLevels, q.Level) {
		k.warn(q.node, "quiet", "let_through: a higher one, or no quiet hours", "all alerts of this sink have the priority %s: none of them is held", a.Level)
	}
	for in.source == nil {
		in = in.input()
	}
	if in.source.Watermark.CloseAfterIdle == 0 && in.source.Name.Given() && !in.timeless {
		k.warn(q.node, "idle", "set watermark: {close_after_idle: …} on the source", "when no more rows of %q come, what was held does not come out", in.name)
	}
}

// lintOneAlert notes an alert that takes all rows to one task.
func (k *checker) lintOneAlert(s *Sink, in *stream) {
	if len(s.Alert.key(in)) > 0 || in.key != nil && len(in.key) == 0 {
		return
	}
	k.warn(s.Name.node, "one-partition", "dedupe_key: […]", "%q is one alert for all rows of %q: a single task decides it", s.Name.Text, in.name)
}

// quiet makes the quiet hours of an alert.
func (b *builder) quiet(a *AlertSink, at place) (*operators.Quiet, error) {
	q := a.Quiet
	if q == nil {
		return nil, nil
	}
	var through *expr.Program
	through, err := b.again(a.through, at)
	if err != nil {
		return nil, err
	}
	return &operators.Quiet{Spans: q.Spans, Drop: q.Drop, Through: through, FromLevel: max(0, slices.Index(operators.AlertLevels, q.Level))}, nil
}
