package codec

import (
	"sort"

	"github.com/leatstream/leat/engine"
)

// Options are a source's wishes about its format.
type Options struct {
	// Validate says how much of a record is checked; Full is the default.
	Validate Validate

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

// ParseValidate finds a Validate by its name in a pipeline: full, columns.
func ParseValidate(name string) (Validate, bool) {
	switch name {
	case "full", "":
		return Full, true
	case "columns":
		return Columns, true
	}
	return Full, false
}

// Kind is one format of sources.
type Kind struct {
	Name string
	Doc  string
	// Schema is the format's own schema; nil where the pipeline declares it.
	Schema *engine.Schema
	// New checks the schema and returns what makes decoders: one per task and
	// source, each used from one goroutine. The function itself may be called
	// from several.
	New func(schema *engine.Schema, opts Options) (func() engine.Decoder, error)
}

// Kinds lists the formats by name, sorted.
var Kinds = []Kind{
	{"bytes", "the value as it is, in the column `value`", valueSchema(engine.Bytes), Bytes},
	{"json", "one JSON object per record; only declared columns are read", nil, JSON},
	{"string", "the value as UTF-8 text, in the column `value`", valueSchema(engine.String), String},
}

// Find gives the kind of a name.
func Find(name string) (Kind, bool) {
	i := sort.Search(len(Kinds), func(i int) bool { return Kinds[i].Name >= name })
	if i < len(Kinds) && Kinds[i].Name == name {
		return Kinds[i], true
	}
	return Kind{}, false
}

func valueSchema(t engine.Type) *engine.Schema {
	return engine.NewSchema(engine.Field{Name: "value", Type: t})
}
