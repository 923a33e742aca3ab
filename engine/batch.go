package engine

// Op says what a row of a batch is. A batch of a stream has no ops: all its
// rows are Insert.
type Op uint8

// The ops of a table's changes.
const (
	Insert Op = iota // a new row; Old has nothing
	Update           // the row replaces Old's
	Delete           // Old's row is gone; Cols has nothing
)

// Column is one typed column: exactly one of the slices is used, by Type, and
// has the batch's N entries. A null row's entry is the zero value.
type Column struct {
	Type    Type
	Ints    []int64   // Int, Timestamp (epoch ms)
	Doubles []float64 // Double
	Bools   []bool    // Bool
	Strs    []string  // String, Bytes, Any: often sub-slices of the fetch (zero copy)
	Nulls   []bool    // nil where no row is null
}

// Null tells whether row i is null.
func (c *Column) Null(i int32) bool { return c.Nulls != nil && c.Nulls[i] }

// SetNull marks row i null.
func (c *Column) SetNull(i int32, n int) {
	if c.Nulls == nil {
		c.Nulls = make([]bool, n)
	}
	c.Nulls[i] = true
}

// Reset gives the column type t and n entries, keeping its memory. Values are
// whatever was there; Nulls is cleared to all false if it was allocated.
func (c *Column) Reset(t Type, n int) {
	c.Type = t
	switch t {
	case Int, Timestamp:
		c.Ints = grow(c.Ints, n)
	case Double:
		c.Doubles = grow(c.Doubles, n)
	case Bool:
		c.Bools = grow(c.Bools, n)
	case String, Bytes, Any:
		c.Strs = grow(c.Strs, n)
	}
	if c.Nulls != nil {
		c.Nulls = grow(c.Nulls, n)
		clear(c.Nulls)
	}
}

func grow[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n, n+n/4)
	}
	return s[:n]
}

// Rows are the source records of a batch, all from one partition, in offset
// order. Bytes and slices belong to the fetch and stay valid and unchanged
// until a commit that covers the rows (its offset is Next or more) has ended, or
// their partition's position was set; whoever keeps them longer copies.
type Rows struct {
	Topic     Topic
	Partition Partition
	Keys      [][]byte // nil: null key
	Values    [][]byte // nil: null value (tombstone)
	Offsets   []int64
	Times     []int64              // Kafka timestamps, epoch ms
	Headers   func(i int) []Header // headers of row i; may be nil
	// Next is the position behind the rows and behind control records that
	// follow them (0: the last offset plus one). Rows may be empty with only
	// Next moved: a transaction's marker at the log's end.
	Next Offset
	// End is where the rows that could be read ended when these were fetched; 0
	// is not known. What lies before it is worth waiting for (merge.go).
	End Offset
}

// Len is the number of rows.
func (r *Rows) Len() int { return len(r.Offsets) }

// Header is one record header.
type Header struct {
	Key   string
	Value []byte
}

// Batch is some thousand rows in columns. Who receives a batch only reads it:
// an operator that changes anything passes on a batch of its own, which may
// share columns. A batch and its columns are valid until the call that handed
// it over returns; strings in columns are valid until the lane's commit ends.
type Batch struct {
	Schema *Schema
	N      int      // rows, selected or not
	Sel    []int32  // rows in use, ascending
	Cols   []Column // by schema position; nil Old/New sides follow Op
	Time   []int64  // event time per row, epoch ms
	Stamp  []int64  // Kafka timestamp of the record a sink makes of the row; nil: Time
	Origin []int64  // per row: watermark of its source partition just before the row; nil: never late
	Op     []Op     // nil for streams
	Old    []Column // nil for streams; the old row where Op is Update or Delete
	Src    *Rows    // the source records behind the rows (row i of both); nil behind the first keyed transform
	Final  []bool   // rows that close their window; nil: none (or, for a stream, not asked)
	// ClosedByIdle: the clock, not a row, moved the watermark that released these rows.
	ClosedByIdle bool
}

// Col finds a column by name; it must exist.
func (b *Batch) Col(name string) *Column { return &b.Cols[b.Schema.Lookup(name)] }
