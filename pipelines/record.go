package pipelines

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/leatstream/leat/connectors/codec"
	"github.com/leatstream/leat/engine"
)

// Rows that people write, and read, are JSON; here they become the values that
// a source has, and values that a sink has written become JSON again.
//
//	row of a test ─▶ JSON ─▶ in its envelope ─▶ avro, protobuf, csv ─▶ decoder
//	expectation   ◀─ JSON ◀─ avro, protobuf, csv, string            ◀─ sink

// rowEncoder turns rows as JSON objects into a source's values; nil where they
// are its values already. Framed values get a schema of their own, made for
// the columns, so that a row may leave out what its real schema asks for.
func (s *Source) rowEncoder() (func(row []byte) ([]byte, error), error) {
	if s.wire.encode != nil {
		return s.wire.encode, nil
	}
	format := s.Format.Text
	dry, ok := s.wire.registry.(*drySchemas)
	if format != "csv" && (!hasSchemas(format) || s.wire.registry != nil && !ok) {
		return nil, nil
	}
	fields, opts := s.fields(), codec.EncoderOptions{CSV: s.wire.csv, Name: s.Name.Text}
	switch {
	case format == "csv":
		for i := range fields {
			fields[i].Unit = engine.Millis // numbers go as they are
		}
	case dry == nil:
		columns, err := codec.ColumnsOf(s.wire.schema, s.wire.message)
		if err != nil {
			return nil, err
		}
		fields = nil
		for _, c := range columns {
			fields = append(fields, c.Field)
		}
		opts.Schema, opts.Message = s.wire.schema, s.wire.message
	default:
		fields = enveloped(s.wire.envelope, fields)
	}
	schema := engine.NewSchema(fields...)
	if dry != nil {
		made, err := codec.SchemaOf(format, schema, opts)
		if err != nil {
			return nil, err
		}
		opts.Schema, opts.Framed, opts.ID = made, true, dry.keep(made)
	}
	newDecoder, err := codec.NewDecoder("json", "", schema, codec.Options{})
	if err != nil {
		return nil, err
	}
	newEncoder, err := codec.NewRowEncoder(format, schema, opts)
	if err != nil {
		return nil, err
	}
	s.wire.encode = transcoder(schema, newDecoder(), newEncoder())
	return s.wire.encode, nil
}

// enveloped are the columns of an envelope around rows.
func enveloped(envelope string, row []engine.Field) []engine.Field {
	var out []engine.Field
	switch envelope {
	case "":
		return row
	case "debezium":
		out = []engine.Field{{Name: "op", Type: engine.String}, {Name: "ts_ms", Type: engine.Int}}
		for _, side := range []string{"before.", "after."} {
			for _, f := range row {
				f.Name = side + f.Name
				out = append(out, f)
			}
		}
	case "outbox":
		out = []engine.Field{{Name: "op", Type: engine.String}}
		for _, name := range []string{"id", "aggregatetype", "aggregateid", "type", "payload"} {
			out = append(out, engine.Field{Name: "after." + name, Type: engine.String})
		}
	}
	return out
}

// transcoder decodes a value and writes its row with an encoder.
func transcoder(schema *engine.Schema, from engine.Decoder, to codec.RowEncoder) func([]byte) ([]byte, error) {
	b := &engine.Batch{Schema: schema, Cols: make([]engine.Column, len(schema.Fields))}
	return func(value []byte) ([]byte, error) {
		b.N, b.Sel, b.Op, b.Old = 1, b.Sel[:0], nil, nil
		b.Src = &engine.Rows{Values: [][]byte{value}, Keys: [][]byte{nil}, Offsets: []int64{0}, Times: []int64{0}}
		var wrong error
		if err := from.Decode(b, func(_ int32, err error) error { wrong = err; return nil }); err != nil {
			return nil, err
		}
		if wrong == nil && len(b.Sel) != 1 {
			wrong = errors.New("it is no row")
		}
		if wrong != nil {
			return nil, wrong
		}
		return to.AppendRow(nil, b.Cols, b.Sel[0])
	}
}

// RowEncoder gives what turns rows, as JSON objects, into the values that a
// source reads; nil where they are its values as they stand. It is used from
// one goroutine.
func (p *Pipeline) RowEncoder(source string) (func(row []byte) ([]byte, error), error) {
	for _, s := range p.Sources {
		if s.Name.Text == source {
			return s.rowEncoder()
		}
	}
	return nil, fmt.Errorf("find source %q: there is none", source)
}

// RowDecoder gives what turns the records of a sink into JSON, keys where they
// are avro or protobuf; nil where they are text as they stand. What cannot be
// read stays as it is. It is used from one goroutine.
func (p *Pipeline) RowDecoder(sink string) (func(key, value []byte) (k, v []byte), error) {
	for _, s := range p.Sinks {
		if s.Name.Text == sink && s.Kafka != nil && (hasSchemas(s.Kafka.wire.name()) || hasSchemas(s.Kafka.wire.keyFormat)) {
			return p.jsonOf(s)
		}
	}
	return nil, nil
}

// jsonOf makes JSON objects of a kafka sink's values, whatever their format;
// nil where they are.
func (p *Pipeline) jsonOf(s *Sink) (func(key, value []byte) (k, v []byte), error) {
	in := p.checked.sinks[s]
	if s.Kafka == nil || in == nil || s.Kafka.wire.name() == "json" && !hasSchemas(s.Kafka.wire.keyFormat) {
		return nil, nil
	}
	f, err := s.Kafka.formats(schemaName(p, s), in, in.schema)
	if err != nil {
		return nil, err
	}
	value, err := f.value.reader(s.Kafka, in.schema)
	if err != nil {
		return nil, err
	}
	key, err := f.key.reader(s.Kafka, in.schema)
	if err != nil {
		return nil, err
	}
	return func(k, v []byte) ([]byte, []byte) { return readable(key, k), readable(value, v) }, nil
}

func readable(read func([]byte) ([]byte, error), data []byte) []byte {
	if read == nil || data == nil {
		return data
	}
	if text, err := read(data); err == nil {
		return text
	}
	return data
}

// reader turns what a part has written into JSON objects; nil where it is that,
// or the text of a key.
func (p *part) reader(s *KafkaSink, schema *engine.Schema) (func([]byte) ([]byte, error), error) {
	if p.format == "" || p.format == "json" {
		return nil, nil
	}
	if isValue(p.format) {
		f := schema.Fields[p.opts.Columns[0]]
		return func(value []byte) ([]byte, error) {
			out := append(engine.AppendString([]byte{'{'}, f.Name), ':')
			switch f.Type {
			case engine.Int, engine.Double, engine.Bool, engine.Any:
				if !json.Valid(value) {
					return nil, errors.New("it is no JSON")
				}
				out = append(out, value...)
			case engine.Bytes:
				text, err := json.Marshal(value)
				if err != nil {
					return nil, err
				}
				out = append(out, text...)
			default:
				out = engine.AppendString(out, string(value))
			}
			return append(out, '}'), nil
		}, nil
	}
	newDecoder, err := p.decoder(&s.wire, schema)
	if err != nil {
		return nil, err
	}
	read := p.read(schema)
	newEncoder, err := codec.NewRowEncoder("json", read, codec.EncoderOptions{Style: p.opts.Style})
	if err != nil {
		return nil, err
	}
	return transcoder(read, newDecoder(), newEncoder()), nil
}

// rowNode is the mapping that holds the row of a step: inside its envelope,
// where that was written.
func rowNode(in *stream, n *node) *node {
	if n == nil || n.kind != mappingNode || !isEnvelope(in, n) {
		return n
	}
	name := "after"
	if in.source.wire.envelope == "outbox" {
		if after := n.get("after"); after != nil && after.kind == mappingNode {
			n = after
		}
		name = "payload"
	}
	for _, name := range []string{name, "before"} {
		if row := n.get(name); row != nil && row.kind == mappingNode {
			return row
		}
	}
	return n
}

// isEnvelope tells a written envelope from a row.
func isEnvelope(in *stream, n *node) bool {
	switch in.source.wire.envelope {
	case "debezium":
		return n.has("op") && (n.has("after") || n.has("before"))
	case "outbox":
		return n.has("op") && n.has("after") || n.has("payload") && (n.has("aggregatetype") || n.has("aggregateid"))
	}
	return false
}

// valueJSON is a row of a test as the JSON that a producer would have written.
func (l *loader) valueJSON(in *stream, n *node, at int64) []byte {
	switch {
	case in.source.wire.envelope == "":
		return l.rowJSON(in, n, at)
	case isEnvelope(in, n):
		return l.envelopeJSON(in, n, at)
	case in.source.wire.envelope == "debezium":
		return append(append([]byte(`{"op":"c","before":null,"after":`), l.rowJSON(in, n, at)...), '}')
	}
	out := []byte(`{"op":"c","after":{`)
	meta := &node{file: n.file, line: n.line, column: n.column, kind: mappingNode}
	payload := *meta
	for _, pr := range n.pairs {
		if name, ok := strings.CutPrefix(pr.key.text, "__"); ok && pr.value != nil {
			out = append(engine.AppendString(out, name), ':')
			out = append(l.anyText(out, pr.value), ',')
			continue
		}
		payload.pairs = append(payload.pairs, pr)
	}
	out = append(out, `"payload":`...)
	out = engine.AppendString(out, string(l.rowJSON(in, &payload, at)))
	return append(out, "}}"...)
}

// anyText appends a scalar as a JSON text.
func (l *loader) anyText(out []byte, v *node) []byte {
	if v.null {
		return append(out, "null"...)
	}
	text, _ := l.text(v)
	return engine.AppendString(out, text)
}

// envelopeJSON is an envelope that was written whole: rows in it have their
// columns' types.
func (l *loader) envelopeJSON(in *stream, n *node, at int64) []byte {
	out := []byte{'{'}
	for i, pr := range n.pairs {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(engine.AppendString(out, pr.key.text), ':')
		row := pr.value != nil && pr.value.kind == mappingNode
		switch {
		case row && in.source.wire.envelope == "debezium" && pr.key.text == "after":
			out = append(out, l.rowJSON(in, pr.value, at)...)
		case row && in.source.wire.envelope == "debezium" && pr.key.text == "before":
			out = l.objectJSON(out, in, pr.value, "")
		case row && in.source.wire.envelope == "outbox" && pr.key.text == "after":
			out = append(out, l.envelopeJSON(in, pr.value, at)...)
		case row && in.source.wire.envelope == "outbox" && pr.key.text == "payload":
			out = engine.AppendString(out, string(l.rowJSON(in, pr.value, at)))
		default:
			out = l.anyJSON(out, pr.value, engine.Invalid)
		}
	}
	return append(out, '}')
}

// encoded is a value as JSON in the source's format.
func (l *loader) encoded(in *stream, n *node, row []byte) []byte {
	encode, err := in.source.rowEncoder()
	if err == nil && encode == nil {
		return row
	}
	if err == nil {
		row, err = encode(row)
	}
	if err != nil {
		l.fail(n, "value", "", "this row cannot be written as %s: %s", in.source.Format.Text, err)
	}
	return row
}

// keyText is a column of a record key as text.
func keyText(v *node, rendered []byte) []byte {
	if _, err := strconv.Unquote(string(rendered)); err == nil {
		return []byte(v.text)
	}
	return rendered
}
