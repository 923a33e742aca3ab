package pipelines

import (
	"encoding/base64"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/leatstream/leat/engine"
)

// Rows of tests are YAML; here they become the records that a source reads,
// and the values that a sink's results are compared with. A scalar gets its
// type from the column that it stands under.

// record is a row of a test as a source record.
type record struct {
	key    []byte
	hasKey bool
	value  []byte // nil: a null value
}

// record makes the record of a step; at fills the event_time column when that
// is absent.
func (l *loader) record(in *stream, s *Step, at int64) record {
	var r record
	switch {
	case s.raw != nil:
		text, _ := l.text(s.raw)
		r.value = []byte(text)
	case s.value == nil || s.value.null:
	case isValue(in.source.Format.Text):
		if text, ok := l.text(s.value); ok {
			r.value = []byte(text)
		}
	case s.value.kind != mappingNode:
		l.fail(s.value, "type", "", "a row is a mapping column: value, not %s", s.value.what())
	default:
		before := len(l.diags)
		if r.value = l.valueJSON(in, s.value, at); len(l.diags) == before {
			r.value = l.encoded(in, s.value, r.value)
		}
	}
	r.key, r.hasKey = l.recordKey(in, s)
	return r
}

// recordKey is the key that was written, or the one of the source's key columns.
func (l *loader) recordKey(in *stream, s *Step) ([]byte, bool) {
	switch {
	case s.key != nil && s.key.null:
		return nil, false
	case s.key != nil && s.key.kind == mappingNode:
		out := []byte{'{'}
		for i, pr := range s.key.pairs {
			if i > 0 {
				out = append(out, ',')
			}
			out = engine.AppendString(out, pr.key.text)
			out = append(out, ':')
			out = l.columnJSON(out, in, pr.key.text, pr.key, pr.value)
		}
		return append(out, '}'), true
	case s.key != nil:
		text, ok := l.text(s.key)
		return []byte(text), ok
	}
	row := rowNode(in, s.value)
	switch {
	case len(in.source.Key) == 0 || row == nil || row.kind != mappingNode:
		return nil, false
	case len(in.source.Key) == 1 && in.source.wire.envelope != "debezium": // whose keys are objects
		v := lookPath(row, in.source.Key[0].Text)
		if v == nil || v.null || v.kind != scalarNode {
			return nil, false
		}
		return keyText(v, l.columnJSON(nil, in, in.source.Key[0].Text, v, v)), true
	}
	out := []byte{'{'}
	for i, w := range in.source.Key {
		if i > 0 {
			out = append(out, ',')
		}
		out = engine.AppendString(out, w.Text)
		out = append(out, ':')
		if v := lookPath(row, w.Text); v != nil {
			out = l.columnJSON(out, in, w.Text, v, v)
		} else {
			out = append(out, "null"...)
		}
	}
	return append(out, '}'), true
}

// lookPath finds loc.lat in {loc: {lat: 1}}.
func lookPath(n *node, path string) *node {
	if v := n.get(path); v != nil {
		return v
	}
	head, rest, nested := strings.Cut(path, ".")
	if v := n.get(head); nested && v != nil && v.kind == mappingNode {
		return lookPath(v, rest)
	}
	return nil
}

// rowJSON is a row as the JSON object a producer would have written.
func (l *loader) rowJSON(in *stream, n *node, at int64) []byte {
	out := l.objectJSON([]byte{}, in, n, "")
	if w := in.source.EventTime; w.Given() && lookPath(n, w.Text) == nil && !strings.Contains(w.Text, ".") && len(out) > 1 {
		out = out[:len(out)-1]
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = engine.AppendString(out, w.Text)
		out = append(out, ':')
		unit := engine.Millis
		if i := in.schema.Lookup(w.Text); i >= 0 {
			unit = in.schema.Fields[i].Unit
		}
		out = strconv.AppendInt(out, inUnit(at, unit), 10)
		out = append(out, '}')
	}
	return out
}

func inUnit(ms int64, unit engine.TimeUnit) int64 {
	switch unit {
	case engine.Seconds:
		return ms / 1000
	case engine.Micros:
		return ms * 1000
	case engine.Nanos:
		return ms * 1e6
	}
	return ms
}

func (l *loader) objectJSON(out []byte, in *stream, n *node, prefix string) []byte {
	out = append(out, '{')
	for i, pr := range n.pairs {
		if i > 0 {
			out = append(out, ',')
		}
		out = engine.AppendString(out, pr.key.text)
		out = append(out, ':')
		path := prefix + pr.key.text
		if pr.value != nil && pr.value.kind == mappingNode && in.schema.Lookup(path) < 0 && hasInside(in.schema, path) {
			out = l.objectJSON(out, in, pr.value, path+".")
			continue
		}
		out = l.columnJSON(out, in, path, pr.key, pr.value)
	}
	return append(out, '}')
}

func hasInside(s *engine.Schema, path string) bool {
	for _, f := range s.Fields {
		if strings.HasPrefix(f.Name, path+".") {
			return true
		}
	}
	return false
}

// columnJSON appends one value, typed by its column.
func (l *loader) columnJSON(out []byte, in *stream, column string, key, v *node) []byte {
	i := in.schema.Lookup(column)
	if i < 0 {
		if !key.isNull() && hasInside(in.schema, column) {
			l.fail(key, "type", "", "%q is a group of columns: its value is a mapping", column)
		} else {
			l.fail(key, "unknown-column", didYouMean(column, in.schema.Names()), "%q has no column %q", in.name, column)
		}
		return append(out, "null"...)
	}
	if v == nil {
		return append(out, "null"...)
	}
	f := in.schema.Fields[i]
	if _, list := in.lists[column]; list || f.Type == engine.Any {
		return l.anyJSON(out, v, elemOf(in, column))
	}
	return l.scalarJSON(out, v, f)
}

func (n *node) isNull() bool { return n.null }

// elemOf is the declared type of a list's elements, or Invalid.
func elemOf(in *stream, column string) engine.Type {
	if in.source != nil {
		for _, c := range in.source.Columns {
			if c.Field.Name == column {
				return c.Elem
			}
		}
	}
	return engine.Invalid
}

// scalarJSON appends a scalar as a value of its column's type.
func (l *loader) scalarJSON(out []byte, v *node, f engine.Field) []byte {
	if v.kind == scalarNode && v.null {
		return append(out, "null"...)
	}
	s, ok := l.text(v)
	if !ok {
		return append(out, "null"...)
	}
	wrong := func(hint string) []byte {
		l.fail(v, "type", hint, "%s is not %s", shorten(v.raw()), article(f.Type.String()))
		return append(out, "null"...)
	}
	switch f.Type {
	case engine.Int:
		if _, err := strconv.ParseInt(s, 10, 64); err != nil {
			return wrong("")
		}
		return append(out, s...)
	case engine.Double:
		x, err := strconv.ParseFloat(s, 64)
		if err != nil || math.IsNaN(x) || math.IsInf(x, 0) {
			return wrong("")
		}
		return engine.AppendDouble(out, x)
	case engine.Bool:
		if s != "true" && s != "false" {
			return wrong("true or false")
		}
		return append(out, s...)
	case engine.Timestamp:
		if _, err := strconv.ParseInt(s, 10, 64); err == nil {
			return append(out, s...)
		}
		ms, ok := parseTime(s)
		if !ok {
			return wrong("10:00:00, 2026-01-31T10:00:00Z, or a number")
		}
		return strconv.AppendInt(out, inUnit(ms, f.Unit), 10)
	case engine.Bytes:
		out = append(out, '"')
		out = base64.StdEncoding.AppendEncode(out, []byte(s))
		return append(out, '"')
	}
	return engine.AppendString(out, s)
}

// anyJSON appends a value without a declared type: plain numbers, true, false
// and null are what they look like, all other texts are texts.
func (l *loader) anyJSON(out []byte, v *node, elem engine.Type) []byte {
	switch {
	case v == nil || (v.kind == scalarNode && v.null):
		return append(out, "null"...)
	case v.kind == sequenceNode:
		out = append(out, '[')
		for i, item := range v.items {
			if i > 0 {
				out = append(out, ',')
			}
			if elem != engine.Invalid && elem != engine.Any && item.kind == scalarNode {
				out = l.scalarJSON(out, item, engine.Field{Type: elem})
			} else {
				out = l.anyJSON(out, item, engine.Invalid)
			}
		}
		return append(out, ']')
	case v.kind == mappingNode:
		out = append(out, '{')
		for i, pr := range v.pairs {
			if i > 0 {
				out = append(out, ',')
			}
			out = engine.AppendString(out, pr.key.text)
			out = append(out, ':')
			out = l.anyJSON(out, pr.value, engine.Invalid)
		}
		return append(out, '}')
	}
	s, ok := l.text(v)
	if !ok {
		return append(out, "null"...)
	}
	switch c := constant(s, v.quotes != plainText).(type) {
	case bool:
		return strconv.AppendBool(out, c)
	case int64:
		return strconv.AppendInt(out, c, 10)
	case float64:
		if !math.IsNaN(c) && !math.IsInf(c, 0) {
			return engine.AppendDouble(out, c)
		}
	}
	return engine.AppendString(out, s)
}

// expectedRow is the JSON object that a result is compared with: only the
// columns named. deleted tells that a delete of this key is expected.
func (l *loader) expectedRow(in *stream, n *node) (want []byte, deleted bool) {
	if n.kind == scalarNode {
		if in.schema.Lookup("value") < 0 || len(in.schema.Fields) != 1 {
			l.fail(n, "type", "", "a row is a mapping column: value, not %s", n.what())
			return nil, false
		}
		return append(l.scalarJSON([]byte(`{"value":`), n, in.schema.Fields[0]), '}'), false
	}
	if d := n.get("deleted"); d != nil && in.schema.Lookup("deleted") < 0 {
		key := n.get("key")
		if key != nil && key.kind == mappingNode && d.text == "true" {
			return l.expectedJSON(in, key), true
		}
		if key != nil && key.kind == scalarNode && d.text == "true" {
			text, _ := l.text(key)
			return append(engine.AppendString([]byte(`{"key":`), text), '}'), true
		}
		l.fail(n, "type", "{key: {id: 1}, deleted: true}", "a delete names its key")
		return nil, true
	}
	return l.expectedJSON(in, n), false
}

// expectedJSON names columns by their paths; timestamps are in the unit that
// sinks write.
func (l *loader) expectedJSON(in *stream, n *node) []byte {
	written := *in
	fields := slices.Clone(in.schema.Fields)
	for i := range fields {
		fields[i].Unit = engine.Millis
	}
	written.schema = engine.NewSchema(fields...)
	out := l.pathsJSON([]byte{'{'}, &written, n, "")
	return append(out, '}')
}

func (l *loader) pathsJSON(out []byte, in *stream, n *node, prefix string) []byte {
	for _, pr := range n.pairs {
		path := prefix + pr.key.text
		if pr.value != nil && pr.value.kind == mappingNode && in.schema.Lookup(path) < 0 && hasInside(in.schema, path) {
			out = l.pathsJSON(out, in, pr.value, path+".")
			continue
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = engine.AppendString(out, path)
		out = append(out, ':')
		out = l.columnJSON(out, in, path, pr.key, pr.value)
	}
	return out
}

// clockTime formats epoch milliseconds for reports of tests.
func clockTime(ms int64) string {
	t := time.UnixMilli(ms).UTC()
	if t.Truncate(24 * time.Hour).Equal(testDay) {
		return t.Format("15:04:05.999")
	}
	return t.Format("2006-01-02T15:04:05.999Z")
}
