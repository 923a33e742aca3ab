package engine

// Type is the type of a column.
type Type uint8

// The column types. Timestamp is epoch milliseconds; Any is raw JSON text;
// String, Bytes and Any live in Column.Strs, Int and Timestamp in Column.Ints.
const (
	Invalid Type = iota
	String
	Int
	Double
	Bool
	Timestamp
	Bytes
	Any
)

var typeNames = [...]string{"invalid", "string", "int", "double", "bool", "timestamp", "bytes", "any"}

// String is the type's name in a pipeline's schema.
func (t Type) String() string { return typeNames[t] }

// ParseType finds a type by its name in a pipeline's schema.
func ParseType(name string) (Type, bool) {
	for i, n := range typeNames {
		if i > 0 && n == name {
			return Type(i), true
		}
	}
	return Invalid, false
}

// TimeUnit is the unit of a number that is decoded into a Timestamp column.
type TimeUnit uint8

// The units of timestamp(s|ms|us|ns); milliseconds are the default.
const (
	Millis TimeUnit = iota
	Seconds
	Micros
	Nanos
)

// Field is one column of a schema. A nested field is flattened: its name is
// the path ("loc.lat"), which is also how expressions address it.
type Field struct {
	Name string
	Type Type
	Unit TimeUnit // of Timestamp fields, when decoding numbers
}

// Schema is the immutable list of a batch's columns.
type Schema struct {
	Fields []Field
	index  map[string]int
}

// NewSchema makes a schema; names must be unique.
func NewSchema(fields ...Field) *Schema {
	s := &Schema{Fields: fields, index: make(map[string]int, len(fields))}
	for i, f := range fields {
		s.index[f.Name] = i
	}
	return s
}

// Lookup finds a column's number by name, or -1.
func (s *Schema) Lookup(name string) int {
	if i, ok := s.index[name]; ok {
		return i
	}
	return -1
}

// Names lists the column names in order.
func (s *Schema) Names() []string {
	names := make([]string, len(s.Fields))
	for i, f := range s.Fields {
		names[i] = f.Name
	}
	return names
}
