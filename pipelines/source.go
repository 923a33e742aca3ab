package pipelines

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/leatstream/leat/engine"
)

// Defaults of a source's time.
const (
	defaultOutOfOrderness = 5 * time.Second
	defaultIdleTimeout    = 30 * time.Second
	defaultMaxFuture      = 30 * time.Minute
)

// source reads one entry of sources.
func (l *loader) source(pr pair) *Source {
	s := &Source{Name: l.name(pr.key)}
	s.Watermark = engine.WatermarkSpec{MaxOutOfOrderness: defaultOutOfOrderness, IdleTimeout: defaultIdleTimeout, MaxFuture: defaultMaxFuture}
	if pr.value == nil {
		s.broken = true
		return s
	}
	before := len(l.diags)
	k := l.kind(pr.value, "source", "kafka")
	if k == nil {
		s.broken = true
		return s
	}
	f := l.fields(pr.value, k)
	defer f.done()
	l.sourceTopics(s, f)
	l.sourceColumns(s, f)
	s.Key = l.columns(f.get("key"))
	l.eventTime(s, f.get("event_time"))
	l.watermark(s, f.get("watermark"))
	if v := f.get("start"); v != nil {
		s.Start = l.start(v)
	}
	if v := f.get("validate"); v != nil {
		how, _ := l.oneOf(v, "full", "columns")
		s.LastOnly = how == "columns"
	}
	s.broken = s.broken || (len(l.diags) > before && s.Columns == nil)
	s.Errors = l.errors(f.get("errors"), false)
	return s
}

// table reads one entry of tables: a source whose rows are the newest per key.
func (l *loader) table(pr pair) *Source {
	s := &Source{Name: l.name(pr.key), table: true}
	s.Watermark = engine.WatermarkSpec{MaxOutOfOrderness: defaultOutOfOrderness, IdleTimeout: defaultIdleTimeout, MaxFuture: defaultMaxFuture}
	if pr.value == nil {
		s.broken = true
		return s
	}
	before := len(l.diags)
	k := l.kind(pr.value, "table", "kafka")
	if k == nil {
		s.broken = true
		return s
	}
	f := l.fields(pr.value, k)
	defer f.done()
	if v := f.get("topic"); v != nil {
		if w, ok := l.topic(v); ok {
			s.Topics = []Word{w}
		}
	}
	l.sourceColumns(s, f)
	s.Key = l.columns(f.get("key"))
	if v := f.get("key"); v != nil && v.kind == sequenceNode && len(v.items) == 0 {
		l.fail(v, "value", "", "a key needs at least one column")
	}
	l.eventTime(s, f.get("event_time"))
	s.History = l.span(f.get("history"), time.Millisecond)
	if v := f.get("broadcast"); v != nil {
		s.Broadcast, _ = l.bool(v)
	}
	if v := f.get("validate"); v != nil {
		how, _ := l.oneOf(v, "full", "columns")
		s.LastOnly = how == "columns"
	}
	s.broken = s.broken || (len(l.diags) > before && (s.Columns == nil || s.Key == nil))
	s.Errors = l.errors(f.get("errors"), false)
	return s
}

func (l *loader) sourceTopics(s *Source, f *fields) {
	one, many := f.get("topic"), f.get("topics")
	if one == nil && many == nil {
		if !f.node.has("topic") && !f.node.has("topics") {
			l.fail(f.node, "missing-key", "topic: … or topics: […]", "a kafka source needs the key \"topic\"")
		}
		return
	}
	if one != nil && many != nil {
		l.fail(many, "value", "write all of them under topics", "topic and topics exclude each other")
	}
	items := l.list(many, "topics")
	if one != nil {
		items = append(items, one)
	}
	seen := map[string]bool{}
	for _, item := range items {
		w, ok := l.topic(item)
		if !ok {
			continue
		}
		if seen[w.Text] {
			l.fail(item, "duplicate-name", "", "topic %q is named twice", w.Text)
			continue
		}
		seen[w.Text] = true
		s.Topics = append(s.Topics, w)
	}
	if many != nil && len(items) == 0 {
		l.fail(many, "value", "", "at least one topic is needed")
	}
}

func (l *loader) sourceColumns(s *Source, f *fields) {
	s.Format = Word{Text: "json"}
	if v := f.get("format"); v != nil {
		w, ok := l.word(v)
		if !ok {
			s.broken = true
			return
		}
		s.Format = w
	}
	l.sourceWire(s, f)
	schema := f.get("schema")
	switch name := s.Format.Text; {
	case !slices.Contains(formatNames, name):
		l.fail(s.Format.node, "value", didYouMean(name, formatNames), "unknown format %s", shorten(s.Format.node.raw()))
		s.broken = true
	case isValue(name):
		if schema != nil {
			l.fail(schema, "value", "remove it", "the %s format has one column, value, and no schema", name)
		}
		t, _ := engine.ParseType(name)
		s.Columns = []Column{{Name: Word{Text: "value"}, Field: engine.Field{Name: "value", Type: t}}}
	case schema != nil:
		l.columnsOf(s, schema, "", map[string]bool{})
		if len(s.Columns) == 0 {
			s.broken = true
		}
	case hasSchemas(name):
		l.schemaColumns(s)
	default:
		if !f.node.has("schema") {
			l.fail(f.node, "missing-key", "schema: {user_id: string, amount: double, ts: timestamp}", "the %s format needs the key \"schema\"", name)
		}
		s.broken = true
	}
}

// columnsOf reads a schema; nested columns are flattened, their names are paths.
func (l *loader) columnsOf(s *Source, n *node, prefix string, seen map[string]bool) {
	for _, pr := range l.pairs(n, "columns") {
		w, ok := l.columnName(pr.key)
		if !ok || pr.value == nil {
			continue
		}
		w.Text = prefix + w.Text
		if pr.value.kind == mappingNode {
			if len(pr.value.pairs) == 0 {
				l.fail(pr.value, "value", "for raw JSON write any", "a nested schema without columns")
			}
			l.columnsOf(s, pr.value, w.Text+".", seen)
			continue
		}
		c, ok := l.columnType(pr.value)
		if !ok {
			// The column exists, whatever it is: do not report its uses too.
			c = Column{Field: engine.Field{Type: engine.Any}}
		}
		if seen[w.Text] {
			l.fail(pr.key, "duplicate-name", "", "column %q is declared twice", w.Text)
			continue
		}
		seen[w.Text] = true
		c.Name, c.Field.Name = w, w.Text
		s.Columns = append(s.Columns, c)
	}
}

var timeUnits = map[string]engine.TimeUnit{"timestamp(s)": engine.Seconds, "timestamp(ms)": engine.Millis, "timestamp(us)": engine.Micros, "timestamp(ns)": engine.Nanos}

// columnType reads a type: string, timestamp(us), [double].
func (l *loader) columnType(n *node) (Column, bool) {
	if n.kind == sequenceNode {
		c := Column{Field: engine.Field{Type: engine.Any}, List: true}
		if len(n.items) != 1 {
			l.fail(n, "type", "for example [double]", "a list type names the one type of its elements")
			return c, false
		}
		if n.items[0].kind == scalarNode {
			elem, ok := l.columnType(n.items[0])
			c.Elem = elem.Type
			return c, ok
		}
		return c, true // lists of lists and of objects: raw JSON
	}
	s, ok := l.text(n)
	if !ok {
		return Column{}, false
	}
	if unit, ok := timeUnits[s]; ok {
		return Column{Field: engine.Field{Type: engine.Timestamp, Unit: unit}}, true
	}
	t, ok := engine.ParseType(s)
	if !ok {
		l.fail(n, "type", typeHint(s), "unknown column type %s", shorten(n.raw()))
		return Column{}, false
	}
	return Column{Field: engine.Field{Type: t}}, true
}

// typeWords are what other systems call our types.
var typeWords = map[string]string{
	"integer": "int", "long": "int", "bigint": "int", "int64": "int", "int32": "int", "smallint": "int", "short": "int",
	"float": "double", "float64": "double", "float32": "double", "number": "double", "decimal": "double", "real": "double",
	"boolean": "bool", "text": "string", "varchar": "string", "str": "string", "uuid": "string",
	"datetime": "timestamp", "time": "timestamp", "date": "timestamp", "binary": "bytes", "blob": "bytes",
	"object": "any", "map": "any", "json": "any", "array": "any", "struct": "any",
}

func typeHint(s string) string {
	if ours, ok := typeWords[strings.ToLower(s)]; ok {
		return fmt.Sprintf("did you mean %q?", ours)
	}
	if strings.HasPrefix(s, "timestamp(") {
		return "units are timestamp(s), timestamp(ms), timestamp(us), timestamp(ns)"
	}
	return didYouMean(s, []string{"string", "int", "double", "bool", "timestamp", "bytes", "any"})
}

func (l *loader) eventTime(s *Source, n *node) {
	if n == nil {
		return
	}
	if n.kind == mappingNode {
		f := l.fields(n, mustKind("event_time", ""))
		defer f.done()
		if v := f.get("field"); v != nil {
			s.EventTime, _ = l.columnName(v)
		}
		if v := f.get("max_future"); v != nil {
			if d, ok := l.duration(v, 0); ok {
				s.Watermark.MaxFuture = d
			}
		}
		return
	}
	s.EventTime, _ = l.columnName(n)
}

func (l *loader) watermark(s *Source, n *node) {
	f := l.fields(n, mustKind("watermark", ""))
	if f == nil {
		return
	}
	defer f.done()
	for _, one := range []struct {
		key string
		low time.Duration
		to  *time.Duration
	}{
		{"max_out_of_orderness", 0, &s.Watermark.MaxOutOfOrderness},
		{"idle_timeout", time.Millisecond, &s.Watermark.IdleTimeout},
		{"close_after_idle", time.Millisecond, &s.Watermark.CloseAfterIdle},
	} {
		if v := f.get(one.key); v != nil {
			if ms, ok := l.milliseconds(v, one.low); ok {
				*one.to = time.Duration(ms) * time.Millisecond
			}
		}
	}
}

func (l *loader) start(n *node) engine.Start {
	s, ok := l.text(n)
	if !ok {
		return engine.Start{}
	}
	switch s {
	case "earliest":
		return engine.Start{}
	case "latest":
		return engine.Start{Latest: true}
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02"} {
		if t, err := time.Parse(layout, s); err == nil && t.UnixMilli() > 0 {
			return engine.Start{At: t.UnixMilli()}
		}
	}
	l.fail(n, "value", "earliest, latest, 2026-01-31 or 2026-01-31T10:00:00Z", "%s is not a place to start from", shorten(n.raw()))
	return engine.Start{}
}
