package aggregate

// Type is the type of a column. Values and order are those of engine.Type,
// which this room does not know; the engine asserts that they are equal.
type Type uint8

// The column types. Timestamp is epoch milliseconds; Any is raw JSON text.
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

// String is the type's name in a pipeline.
func (t Type) String() string {
	if int(t) < len(typeNames) {
		return typeNames[t]
	}
	return typeNames[Invalid]
}

// Column is one typed column: exactly one of the slices is used, by Type.
type Column struct {
	Type    Type
	Ints    []int64   // Int, Timestamp
	Doubles []float64 // Double
	Bools   []bool    // Bool
	Strs    []string  // String, Bytes, Any
	Nulls   []bool    // nil where no row is null
}

// Null tells whether a row is null.
func (c *Column) Null(row int32) bool { return c.Nulls != nil && c.Nulls[row] }

// SetNull makes a row null, with the zero value as its entry.
func (c *Column) SetNull(row int32) {
	n := 0
	switch c.Type {
	case Int, Timestamp:
		c.Ints[row], n = 0, len(c.Ints)
	case Double:
		c.Doubles[row], n = 0, len(c.Doubles)
	case Bool:
		c.Bools[row], n = false, len(c.Bools)
	default:
		c.Strs[row], n = "", len(c.Strs)
	}
	if c.Nulls == nil {
		c.Nulls = make([]bool, n)
	}
	c.Nulls[row] = true
}

// The setters write a value into a row that may have been null.

func (c *Column) setInt(row int32, v int64)      { c.Ints[row] = v; c.notNull(row) }
func (c *Column) setDouble(row int32, v float64) { c.Doubles[row] = v; c.notNull(row) }
func (c *Column) setBool(row int32, v bool)      { c.Bools[row] = v; c.notNull(row) }
func (c *Column) setStr(row int32, v string)     { c.Strs[row] = v; c.notNull(row) }

func (c *Column) notNull(row int32) {
	if c.Nulls != nil {
		c.Nulls[row] = false
	}
}
