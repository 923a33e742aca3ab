package pipelines

import (
	"path/filepath"
	"strings"
	"time"
)

// sink reads one item of sinks; nil when it has not even a shape.
func (l *loader) sink(n *node) *Sink {
	if n.kind != mappingNode {
		l.fail(n, "type", "", "a sink is a mapping {name: …, type: …}, not %s", n.what())
		return nil
	}
	before := len(l.diags)
	s := &Sink{node: n}
	k := l.kind(n, "sink", "")
	if k == nil {
		s.Name, s.broken = l.name(n.get("name")), true
		if v := n.get("input"); v != nil && v.kind == scalarNode {
			s.Input = wordOf(v, v.text)
		}
		return s
	}
	f := l.fields(n, k)
	defer f.done()
	s.Kind = k.Name
	s.Name = l.name(f.get("name"))
	if v := f.get("input"); v != nil {
		s.Input, _ = l.word(v)
	}
	s.Errors = l.errors(f.get("errors"), false)
	switch k.Name {
	case "kafka":
		s.Kafka = l.kafkaSink(f)
	case "sse":
		s.SSE = l.sseSink(f)
	case "webhook", "web_push":
		s.Alert = l.alertSink(f, k.Name)
	case "stdout":
		s.Lines = &LinesSink{OnlyFinal: l.onlyFinal(f)}
	case "file":
		s.Lines = &LinesSink{OnlyFinal: l.onlyFinal(f), Path: l.filePath(f.get("path"))}
	}
	s.broken = len(l.diags) > before
	return s
}

// filePath reads the path of a file; zero where it is none.
func (l *loader) filePath(n *node) Word {
	if n == nil {
		return Word{}
	}
	text, ok := l.text(n)
	if ok && (text == "" || strings.HasSuffix(text, "/") || strings.ContainsRune(text, 0)) {
		l.fail(n, "value", "for example results.ndjson", "%s is no path of a file", shorten(n.raw()))
		ok = false
	}
	if !ok {
		return Word{}
	}
	return wordOf(n, filepath.Clean(text))
}

// headers reads a mapping name: text; nil where there is none.
func (l *loader) headers(n *node) map[string]string {
	if n == nil {
		return nil
	}
	out := map[string]string{}
	for _, pr := range l.pairs(n, "headers") {
		if pr.value == nil {
			continue
		}
		if text, ok := l.text(pr.value); ok {
			out[pr.key.text] = text
		}
	}
	return out
}

func (l *loader) kafkaSink(f *fields) *KafkaSink {
	s := &KafkaSink{}
	s.Topic, _ = l.topic(f.get("topic"))
	if v := f.get("key"); v != nil {
		s.HasKey = true
		columns := v
		if v.kind == mappingNode {
			k := l.fields(v, mustKind("key", ""))
			columns = k.get("columns")
			s.wire.keyFormat, s.wire.keyNode = l.keyFormat(k.get("format"), columns), k.get("format")
			k.done()
		}
		s.Key = l.columns(columns)
	}
	s.Headers = l.headers(f.get("headers"))
	s.Drop = l.columns(f.get("drop"))
	s.OnlyFinal = l.onlyFinal(f)
	if v := f.get("timestamps"); v != nil {
		style, _ := l.oneOf(v, "epoch_ms", "rfc3339")
		s.RFC3339 = style == "rfc3339"
	}
	if v := f.get("timestamp"); v != nil {
		which, _ := l.oneOf(v, "event", "now")
		s.Now = which == "now"
	}
	if v := f.get("create"); v != nil {
		create, ok := l.bool(v)
		s.Exists = ok && !create
	}
	l.sinkWire(s, f)
	return s
}

// keyFormat is the format of a key; "" is the default: the text of one column,
// a JSON object of several.
func (l *loader) keyFormat(n, columns *node) string {
	if n == nil {
		return ""
	}
	format, _ := l.oneOf(n, "json", "text", "avro", "protobuf")
	single := columns != nil && len(columns.items) == 1
	switch {
	case format == "text" && !single && columns != nil:
		l.fail(n, "value", "write format: json", "text is of one column")
	case format == "text" && single, format == "json" && !single:
		return ""
	}
	return format
}

func (l *loader) sseSink(f *fields) *SSESink {
	s := &SSESink{History: time.Hour, MaxRows: 1000, MaxKeys: 100_000, Refresh: 250 * time.Millisecond, ResumeWindow: 5 * time.Minute, Replay: time.Hour}
	for _, one := range []struct {
		key string
		low time.Duration
		to  *time.Duration
	}{{"history", time.Second, &s.History}, {"refresh", 10 * time.Millisecond, &s.Refresh}, {"resume_window", 0, &s.ResumeWindow}, {"replay", 0, &s.Replay}} {
		if v := f.get(one.key); v != nil {
			if d, ok := l.duration(v, one.low); ok {
				*one.to = d
			}
		}
	}
	const most = 100_000_000 // rows; memory ends before
	for _, one := range []struct {
		key string
		to  *int
	}{{"max_rows", &s.MaxRows}, {"max_keys", &s.MaxKeys}} {
		if v := f.get(one.key); v != nil {
			if count, ok := l.whole(v, 1, most); ok {
				*one.to = count
			}
		}
	}
	return s
}

func (l *loader) onlyFinal(f *fields) Word {
	v := f.get("only")
	if v == nil {
		return Word{}
	}
	text, ok := l.oneOf(v, "final")
	if !ok {
		return Word{}
	}
	return wordOf(v, text)
}
