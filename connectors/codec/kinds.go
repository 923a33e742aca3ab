package codec

import (
	"fmt"
	"sort"

	"github.com/leatstream/leat/engine"
)

// Options are a source's wishes about its format.
type Options struct {
	// Validate says how much of a record is checked; Full is the default. Only
	// JSON can do with less.
	Validate Validate
	// Declared are all columns of the source, in order, where the decoder's
	// schema has only those that somebody reads: csv counts them. Nil: the
	// decoder's schema is all.
	Declared *engine.Schema
	// CSV says how csv looks; the zero value is comma and double quote.
	CSV CSV
	// Schema is the source's own schema (schema_file, or a subject's newest).
	// Without Schemas every avro or protobuf value was written with it. With
	// Schemas it is what avro's missing fields have their defaults and aliases
	// from; it may be zero then.
	Schema Schema
	// Message names the protobuf message of Schema, with or without its
	// package; "" is the first of the file. With Schemas values name theirs.
	Message string
	// Schemas is a registry: avro and protobuf values are framed, and each names
	// the schema that wrote it. Nil: values are bare.
	Schemas Schemas
	// Table says that the rows are a table's (engine.SourceSpec.Table), and Key
	// are its key's columns: envelopes make deletes of it.
	Table bool
	Key   []string

	plain bool // tests: do not learn what stands between values
}

// Validate says how much of a record is checked.
type Validate uint8

// The values of a source's `validate`.
const (
	// Full checks the whole record: what is not JSON is a decode error
	// wherever it stands.
	Full Validate = iota
	// Columns stops behind the last declared column of a record. It misses
	// whatever stands behind that: a cut-off tail, a second value for a column.
	Columns
)

// Kind is one format of sources and sinks.
type Kind struct {
	Name string
	Doc  string
	// Schema is the format's own schema; nil where the pipeline declares it.
	Schema *engine.Schema
	// New checks the schema and returns what makes decoders: one per task and
	// source, each used from one goroutine. The function itself may be called
	// from several.
	New func(schema *engine.Schema, opts Options) (func() engine.Decoder, error)
	// Encoder checks the schema and returns what makes encoders, likewise.
	Encoder func(schema *engine.Schema, opts EncoderOptions) (func() RowEncoder, error)
	// HasSchemas: the format has schemas of its own, see ColumnsOf and SchemaOf.
	HasSchemas bool
}

// Kinds lists the formats by name, sorted.
var Kinds = []Kind{
	{"avro", "avro records, framed with a registry's schema id or bare, of one schema", nil, Avro, avroEncoders, true},
	{"bytes", "the value as it is, in the column `value`", valueSchema(engine.Bytes), Bytes, valueEncoders, false},
	{"csv", "one row of delimited text per record; columns by position, or by name below a header line", nil, CSVRows, csvEncoders, false},
	{"json", "one JSON object per record; only declared columns are read", nil, JSON, jsonEncoders, false},
	{"protobuf", "protobuf messages, framed with a registry's schema id or bare, of one schema", nil, Protobuf, protoEncoders, true},
	{"string", "the value as UTF-8 text, in the column `value`", valueSchema(engine.String), String, valueEncoders, false},
}

// Find gives the kind of a name.
func Find(name string) (Kind, bool) {
	i := sort.Search(len(Kinds), func(i int) bool { return Kinds[i].Name >= name })
	if i < len(Kinds) && Kinds[i].Name == name {
		return Kinds[i], true
	}
	return Kind{}, false
}

// Envelope is something around the rows of a source: a format's values hold
// changes of rows, not rows.
type Envelope struct {
	Name string
	Doc  string
	// Meta are the columns that a schema may name beside the row's own.
	Meta []engine.Field
	// New makes decoders like Kind's, of rows inside values of the format.
	New func(format Kind, schema *engine.Schema, opts Options) (func() engine.Decoder, error)
}

// Envelopes lists the envelopes by name, sorted.
var Envelopes = []Envelope{
	{"debezium", "change events of Debezium: a row per change, or a table's rows", debeziumMeta, Debezium},
	{"outbox", "rows of an outbox table: a row per event, from its payload", outboxMeta, Outbox},
}

// FindEnvelope gives the envelope of a name.
func FindEnvelope(name string) (Envelope, bool) {
	for _, e := range Envelopes {
		if e.Name == name {
			return e, true
		}
	}
	return Envelope{}, false
}

// NewDecoder checks a source's format, envelope ("" is none) and schema, and
// returns what makes its decoders, as Kind.New does.
func NewDecoder(format, envelope string, schema *engine.Schema, opts Options) (func() engine.Decoder, error) {
	kind, ok := Find(format)
	if !ok {
		return nil, fmt.Errorf("unknown format %q", format)
	}
	if envelope == "" {
		return kind.New(schema, opts)
	}
	around, ok := FindEnvelope(envelope)
	if !ok {
		return nil, fmt.Errorf("unknown envelope %q", envelope)
	}
	return around.New(kind, schema, opts)
}

// NewRowEncoder checks a sink's format and schema, and returns what makes its
// encoders: one per task, each used from one goroutine.
func NewRowEncoder(format string, schema *engine.Schema, opts EncoderOptions) (func() RowEncoder, error) {
	kind, ok := Find(format)
	if !ok {
		return nil, fmt.Errorf("unknown format %q", format)
	}
	for _, c := range opts.columns(schema) {
		if c < 0 || c >= len(schema.Fields) {
			return nil, fmt.Errorf("there is no column %d", c)
		}
	}
	return kind.Encoder(schema, opts)
}

func valueSchema(t engine.Type) *engine.Schema {
	return engine.NewSchema(engine.Field{Name: "value", Type: t})
}
