package pipelines

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/leatstream/leat/connectors/codec"
	"github.com/leatstream/leat/connectors/registry"
	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/operators/expr"
)

// This file is where the language meets the codecs: formats, envelopes and
// schemas of sources and sinks.
//
//	schema: {…}        ─┐
//	schema_file:        ├─▶ Source.Columns ─▶ decoder of the columns in need
//	registry, subject  ─┘
//	columns of a sink ─▶ schema ─▶ check, register ─▶ encoder

var formatNames = []string{"json", "avro", "protobuf", "csv", "string", "bytes"}

// isValue tells the formats that have the one column value.
func isValue(format string) bool { return format == "string" || format == "bytes" }

// hasSchemas tells the formats that have schemas of their own.
func hasSchemas(format string) bool { return format == "avro" || format == "protobuf" }

// sourceWire is how the values of a source are written.
type sourceWire struct {
	envelope string
	csv      codec.CSV
	schema   codec.Schema      // schema_file, or the subject's newest
	message  string            // of schema
	registry registry.Registry // nil: values are bare
	encode   func(row []byte) ([]byte, error)
}

// sourceWire reads the keys beside format and schema.
func (l *loader) sourceWire(s *Source, f *fields) {
	if v := f.get("envelope"); v != nil {
		if s.table {
			s.wire.envelope, _ = l.oneOf(v, "debezium")
		} else {
			s.wire.envelope, _ = l.oneOf(v, "debezium", "outbox")
		}
		s.broken = s.broken || s.wire.envelope == ""
	}
	s.wire.csv = l.csv(f.get("csv"), s.Format.Text)
	subject, file := f.get("subject"), f.get("schema_file")
	if v := f.get("message"); v != nil {
		s.wire.message, _ = l.text(v)
	}
	if !hasSchemas(s.Format.Text) {
		for _, v := range []*node{subject, file, f.get("message")} {
			if v != nil {
				l.fail(v, "misplaced", "format: avro, or protobuf", "only avro and protobuf have schemas of their own")
			}
		}
		return
	}
	if file != nil {
		if subject != nil {
			l.fail(subject, "value", "", "subject and schema_file exclude each other")
		}
		s.broken = !l.schemaFile(s, file) || s.broken
		return
	}
	name := ""
	at := s.Format.node
	if subject != nil {
		name, _ = l.text(subject)
		at = subject
	} else if len(s.Topics) > 0 {
		name = s.Topics[0].Text + "-value"
	}
	p := l.registry(s.Format.node, "the "+s.Format.Text+" format")
	if p == nil || name == "" {
		s.broken = true
		return
	}
	s.wire.registry = p.registry
	var err error
	s.wire.schema, err = p.registry.Latest(name)
	switch {
	case errors.Is(err, codec.ErrUnknownSchema):
		s.wire.schema = codec.Schema{}
		if !f.node.has("schema") {
			l.fail(at, "schema", "write schema: {…}, or subject: … where it is called otherwise", "the schema registry has no subject %q", name)
			s.broken = true
		}
	case err != nil:
		l.fail(at, "registry", "", "%s", err)
		s.broken = true
	case s.wire.schema.Format != s.Format.Text:
		l.fail(at, "schema", "", "the newest schema of subject %q is %s, not %s", name, s.wire.schema.Format, s.Format.Text)
		s.broken = true
	}
}

// schemaFile reads a schema that all values have.
func (l *loader) schemaFile(s *Source, n *node) bool {
	path, ok := l.text(n)
	if !ok {
		return false
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(filepath.Dir(n.file.name), path)
	}
	info, err := os.Stat(path)
	if err == nil && info.Size() > maxFileBytes {
		l.fail(n, "schema", "", "the schema file is longer than 1 MiB")
		return false
	}
	text, err := os.ReadFile(path)
	if err != nil {
		l.fail(n, "schema", "", "the schema file cannot be read: %s", reason(err))
		return false
	}
	s.wire.schema = codec.Schema{Format: s.Format.Text, Text: string(text)}
	return true
}

// schemaColumns takes a source's columns from its schema.
func (l *loader) schemaColumns(s *Source) {
	if s.broken {
		return
	}
	columns, err := codec.ColumnsOf(s.wire.schema, s.wire.message)
	if err != nil {
		l.fail(s.Format.node, "schema", "", "%s", err)
		s.broken = true
		return
	}
	for _, c := range columns {
		if s.wire.envelope == "debezium" {
			row, ok := strings.CutPrefix(c.Name, "after.")
			if !ok {
				continue
			}
			c.Name = row
		}
		s.Columns = append(s.Columns, Column{Name: Word{Text: c.Name}, Field: c.Field, List: c.Elem != engine.Invalid, Elem: c.Elem})
	}
	switch {
	case s.wire.envelope == "outbox":
		l.fail(s.Format.node, "schema", "schema: {…}", "the columns of an outbox are those of its payload: declare them")
		s.broken = true
	case len(s.Columns) == 0:
		l.fail(s.Format.node, "schema", "", "the schema has no columns")
		s.broken = true
	}
}

// csv reads the form of csv.
func (l *loader) csv(n *node, format string) codec.CSV {
	if n == nil {
		return codec.CSV{}
	}
	if format != "csv" {
		l.fail(n, "misplaced", "format: csv", "csv describes the csv format")
	}
	f := l.fields(n, mustKind("csv", ""))
	if f == nil {
		return codec.CSV{}
	}
	defer f.done()
	header, delimiter := false, ""
	if v := f.get("header"); v != nil {
		header, _ = l.bool(v)
	}
	if v := f.get("delimiter"); v != nil {
		var ok bool
		if delimiter, ok = l.text(v); ok && delimiter == "" {
			l.fail(v, "value", "", "the delimiter of csv is one character")
		}
	}
	form, err := codec.ParseCSV(header, delimiter, "")
	if err != nil {
		l.fail(n, "value", "", "%s", err)
	}
	return form
}

// ownColumns are an envelope's own columns, beside the row's.
func (s *stream) ownColumns(declared []engine.Field) []engine.Field {
	if s.source.wire.envelope != "debezium" || s.source.table {
		return nil
	}
	var out []engine.Field
	for _, f := range []engine.Field{{Name: expr.ChangeColumn, Type: engine.String}, {Name: "before", Type: engine.Any}} {
		if !slices.ContainsFunc(declared, func(d engine.Field) bool {
			return d.Name == f.Name || strings.HasPrefix(d.Name, f.Name+".")
		}) {
			out, s.hidden = append(out, f), append(s.hidden, f.Name)
		}
	}
	return out
}

// hide hides what another input of a union hides.
func (s *stream) hide(in *stream) {
	for _, name := range in.hidden {
		if !slices.Contains(s.hidden, name) {
			s.hidden = append(slices.Clip(s.hidden), name)
		}
	}
}

// show makes plain columns of those that are assigned, and forgets those that
// are gone.
func (s *stream) show(assigned map[string]mapColumn) {
	s.hidden = slices.DeleteFunc(slices.Clone(s.hidden), func(name string) bool {
		_, ok := assigned[name]
		return ok || s.schema.Lookup(name) < 0
	})
}

// visible is the schema without hidden columns.
func (s *stream) visible() *engine.Schema {
	return engine.NewSchema(slices.DeleteFunc(slices.Clone(s.schema.Fields), func(f engine.Field) bool { return slices.Contains(s.hidden, f.Name) })...)
}

// unhidden leaves hidden columns behind before a sink.
func (b *builder) unhidden(s *Sink, in *stream, at place) (place, error) {
	if !slices.ContainsFunc(in.hidden, func(name string) bool { return at.schema.Lookup(name) >= 0 }) {
		return at, nil
	}
	var columns []mapColumn
	for i, f := range in.schema.Fields {
		if at.schema.Lookup(f.Name) >= 0 && !slices.Contains(in.hidden, f.Name) {
			columns = append(columns, mapColumn{field: f, from: i})
		}
	}
	return b.project(s.Name.Text+"-row", in, in, columns, at, "map", nil)
}

// sourceDecoder makes the decoder of a source for the columns that are read.
func sourceDecoder(s *Source, schema *engine.Schema) (func() engine.Decoder, error) {
	opts := codec.Options{CSV: s.wire.csv, Schema: s.wire.schema, Message: s.wire.message, Table: s.table, Declared: engine.NewSchema(s.fields()...)}
	if s.LastOnly {
		opts.Validate = codec.Columns
	}
	if s.wire.registry != nil {
		opts.Schemas = s.wire.registry
	}
	for _, w := range s.Key {
		opts.Key = append(opts.Key, w.Text)
	}
	return codec.NewDecoder(s.Format.Text, s.wire.envelope, schema, opts)
}

// fields are the declared columns.
func (s *Source) fields() []engine.Field {
	var out []engine.Field
	for _, c := range s.Columns {
		out = append(out, c.Field)
	}
	return out
}

// sinkWire is how the rows of a kafka sink are written.
type sinkWire struct {
	format    Word // zero: json
	csv       codec.CSV
	keyFormat string // "": the text of one column, a JSON object of several
	keyNode   *node
	register  bool
	at        *node             // register, subject, or message
	subject   string            // of values
	message   Word              // of a protobuf schema; zero: its first, or one called after the sink
	registry  registry.Registry // nil: values are bare
}

func (w *sinkWire) name() string {
	if w.format.Text == "" {
		return "json"
	}
	return w.format.Text
}

// sinkWire reads the keys of a kafka sink's format.
func (l *loader) sinkWire(s *KafkaSink, f *fields) {
	w := &s.wire
	if v := f.get("format"); v != nil {
		if text, ok := l.oneOf(v, formatNames...); ok {
			w.format = wordOf(v, text)
		}
	}
	w.csv = l.csv(f.get("csv"), w.name())
	register, subject := f.get("register"), f.get("subject")
	if register != nil {
		w.register, _ = l.bool(register)
	}
	w.subject = s.Topic.Text + "-value"
	if subject != nil {
		w.subject, _ = l.text(subject)
	}
	message := l.message(w, f.get("message"))
	if !w.register && subject == nil && message == nil {
		return
	}
	if w.at = message; register != nil {
		w.at = register
	}
	if subject != nil {
		w.at = subject
	}
	if !hasSchemas(w.name()) && (!hasSchemas(w.keyFormat) || subject != nil) {
		l.fail(w.at, "misplaced", "format: avro, or protobuf", "only avro and protobuf have schemas of their own")
		return
	}
	p := l.registry(w.at, "this sink")
	if p == nil {
		return
	}
	if p.folder && l.schemas.options.Run && w.register {
		l.fail(w.at, "registry", "set schema_registry: {url: …} in leat.yaml or "+urlVariable, "a folder of schemas cannot register one")
		return
	}
	w.registry = p.registry
}

// message reads which message of a protobuf schema values are; nil where that
// is not said, or wrong.
func (l *loader) message(w *sinkWire, n *node) *node {
	if n == nil {
		return nil
	}
	text, ok := l.text(n)
	if !ok {
		return nil
	}
	if w.name() != "protobuf" {
		l.fail(n, "misplaced", "format: protobuf", "only protobuf schemas have messages")
		return nil
	}
	if w.register && !messagePattern.MatchString(text) {
		l.fail(n, "name", "for example Order", "%s cannot be the name of a message that is made", shorten(n.raw()))
		return nil
	}
	w.message = wordOf(n, text)
	return n
}

var messagePattern = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]*$`)

// part is the format of a sink's values, or of its keys.
type part struct {
	format  string
	message Word   // of values; zero: not said
	subject string // "": bare
	opts    codec.EncoderOptions
	encoder func() codec.RowEncoder // nil: the sink's own
}

type sinkFormats struct{ value, key part }

// schemaName is what schemas of a sink's rows are called.
func schemaName(p *Pipeline, s *Sink) string { return p.Name.Text + "_" + s.Name.Text }

// parts says how values and keys are written, of rows of a schema.
func (s *KafkaSink) parts(name string, in *stream, schema *engine.Schema) (f sinkFormats) {
	style := engine.ValueStyle{RFC3339: s.RFC3339}
	f.value = part{format: s.wire.name(), message: s.wire.message, opts: codec.EncoderOptions{Style: style, CSV: s.wire.csv, Name: name, Columns: []int{}}}
	for _, column := range in.schema.Fields {
		if i := schema.Lookup(column.Name); i >= 0 && !slices.Contains(in.hidden, column.Name) &&
			!slices.ContainsFunc(s.Drop, func(w Word) bool { return w.Text == column.Name }) {
			f.value.opts.Columns = append(f.value.opts.Columns, i)
		}
	}
	if s.wire.registry != nil && hasSchemas(f.value.format) {
		f.value.subject = s.wire.subject
	}
	if s.wire.keyFormat == "" {
		return f
	}
	f.key = part{format: s.wire.keyFormat, opts: codec.EncoderOptions{Style: style, Name: name + "_key", Columns: []int{}}}
	for _, w := range s.Key {
		f.key.opts.Columns = append(f.key.opts.Columns, schema.Lookup(w.Text))
	}
	if s.wire.registry != nil && s.wire.register && hasSchemas(f.key.format) {
		f.key.subject = s.Topic.Text + "-key"
	}
	return f
}

// find sets the schema that rows are written with: the one that is made for
// them, or, without register, the subject's newest.
func (p *part) find(w *sinkWire, schema *engine.Schema) error {
	if p.subject == "" {
		return nil
	}
	newest, err := w.registry.Latest(p.subject)
	switch {
	case err == nil && !w.register:
		p.opts.Schema, p.opts.Framed, p.opts.ID, p.opts.Message = newest, true, newest.ID, p.message.Text
		return nil
	case err == nil:
		p.opts.Previous, p.opts.Name = newest, nameOf(newest, p.opts.Name)
	case !w.register || !errors.Is(err, codec.ErrUnknownSchema):
		return err
	}
	if p.message.Given() {
		p.opts.Name = p.message.Text
	}
	p.opts.Schema, err = codec.SchemaOf(p.format, schema, p.opts)
	return err
}

var firstMessage = regexp.MustCompile(`(?m)^\s*message\s+(\w+)`)

// nameOf is what a schema calls its rows: a successor keeps the name, as
// readers look for it.
func nameOf(s codec.Schema, fallback string) string {
	if m := firstMessage.FindStringSubmatch(s.Text); s.Format == "protobuf" && m != nil {
		return m[1]
	}
	var record struct{ Name string }
	if s.Format != "avro" || json.Unmarshal([]byte(s.Text), &record) != nil || record.Name == "" {
		return fallback
	}
	return record.Name[strings.LastIndexByte(record.Name, '.')+1:]
}

// formats makes the encoders of a sink. With register it registers schemas.
func (s *KafkaSink) formats(name string, in *stream, schema *engine.Schema) (sinkFormats, error) {
	f := s.parts(name, in, schema)
	for _, p := range []*part{&f.value, &f.key} {
		if p.format == "" || p.format == "json" && p == &f.value {
			continue
		}
		err := p.find(&s.wire, schema)
		if err == nil && p.subject != "" && s.wire.register {
			p.opts.Framed = true
			p.opts.ID, err = s.wire.registry.Register(p.subject, p.opts.Schema)
		}
		if err == nil {
			p.encoder, err = codec.NewRowEncoder(p.format, schema, p.opts)
		}
		if err != nil {
			return f, err
		}
	}
	return f, nil
}

// sinkFormat checks that rows can be written, and that readers of the
// subject's newest schema could read them.
func (k *checker) sinkFormat(s *Sink, in *stream) {
	w := &s.Kafka.wire
	f := s.Kafka.parts(schemaName(k.p, s), in, in.schema)
	for _, p := range []*part{&f.value, &f.key} {
		at := s.node
		switch {
		case p == &f.key && w.keyNode != nil:
			at = w.keyNode
		case p == &f.value && w.format.Given():
			at = w.format.node
		}
		if p.format == "" || slices.Contains(p.opts.Columns, -1) {
			continue // reported
		}
		err := p.find(w, in.schema)
		if err == nil && p.subject != "" && w.register {
			err = w.registry.Check(p.subject, p.opts.Schema)
		}
		if err == nil {
			_, err = codec.NewRowEncoder(p.format, in.schema, p.opts)
		}
		switch {
		case err == nil:
		case errors.Is(err, codec.ErrIncompatible):
			k.fail(w.at, "schema", "keep the columns that it had and their types, or write to another topic", "%s", err)
		case errors.Is(err, codec.ErrUnknownSchema):
			k.fail(w.at, "schema", "register: true makes one", "the schema registry has no subject %q", p.subject)
		case p.message.Given():
			k.fail(p.message.node, "schema", "", "%s", err)
		case p.subject != "":
			k.fail(w.at, "schema", "", "%s", err)
		default:
			k.fail(at, "format", "", "%s", err)
		}
	}
}

// decoder reads back what the part has written, for tests and people.
func (p *part) decoder(w *sinkWire, schema *engine.Schema) (func() engine.Decoder, error) {
	opts := codec.Options{CSV: p.opts.CSV}
	if hasSchemas(p.format) {
		if p.opts.Framed {
			opts.Schemas = w.registry
		} else {
			var err error
			if opts.Schema, err = codec.SchemaOf(p.format, schema, p.opts); err != nil {
				return nil, fmt.Errorf("read rows of a sink: %w", err)
			}
		}
	}
	return codec.NewDecoder(p.format, "", p.read(schema), opts)
}

// read is the schema of what the part has written.
func (p *part) read(schema *engine.Schema) *engine.Schema {
	var fields []engine.Field
	for _, c := range p.opts.Columns {
		f := schema.Fields[c]
		f.Unit = engine.Millis
		fields = append(fields, f)
	}
	return engine.NewSchema(fields...)
}
