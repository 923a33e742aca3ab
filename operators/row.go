package operators

import (
	"encoding/binary"
	"math"

	"github.com/leatstream/leat/engine"
)

// A row in a store is its columns one after the other, as engine.AppendCell
// writes them: [0] null, else [1] and Int, Timestamp zigzag varint; Double 8
// bytes little endian; Bool one byte; String, Bytes, Any [length][bytes]. Rows
// are equal where their bytes are.

// appendRow appends row i of cols.
func appendRow(dst []byte, cols []engine.Column, i int32) []byte {
	for c := range cols {
		dst = engine.AppendCell(dst, &cols[c], i)
	}
	return dst
}

// readRow reads a row into row i of cols, which have n entries, and gives what
// follows it; ok is false where the bytes are no row of these types. Strings
// are views of s.
func readRow(s string, cols []engine.Column, i int32, n int) (rest string, ok bool) {
	for c := range cols {
		if s, ok = readCell(s, &cols[c], i, n); !ok {
			return s, false
		}
	}
	return s, true
}

func readCell(s string, c *engine.Column, i int32, n int) (rest string, ok bool) {
	if len(s) == 0 {
		return s, false
	}
	tag := s[0]
	s = s[1:]
	if tag == 0 {
		setNull(c, i, n)
		return s, true
	}
	switch c.Type {
	case engine.Int, engine.Timestamp:
		v, w := binary.Varint(head(s))
		if w <= 0 {
			return s, false
		}
		c.Ints[i] = v
		return s[w:], true
	case engine.Double:
		if len(s) < 8 {
			return s, false
		}
		c.Doubles[i] = math.Float64frombits(binary.LittleEndian.Uint64(head(s)))
		return s[8:], true
	case engine.Bool:
		if len(s) < 1 {
			return s, false
		}
		c.Bools[i] = s[0] != 0
		return s[1:], true
	default:
		v, w := binary.Uvarint(head(s))
		if w <= 0 || v > uint64(len(s)-w) {
			return s, false
		}
		c.Strs[i] = s[w : w+int(v)]
		return s[w+int(v):], true
	}
}

// head is the first bytes of s, enough for a number, without an allocation
// that outlives the call.
func head(s string) []byte { return []byte(s[:min(len(s), binary.MaxVarintLen64)]) }

// setNull makes row i of c, which has n entries, null: its entry is zero.
func setNull(c *engine.Column, i int32, n int) {
	c.SetNull(i, n)
	switch c.Type {
	case engine.Int, engine.Timestamp:
		c.Ints[i] = 0
	case engine.Double:
		c.Doubles[i] = 0
	case engine.Bool:
		c.Bools[i] = false
	case engine.String, engine.Bytes, engine.Any:
		c.Strs[i] = ""
	}
}

// copyCell copies row j of from into row i of c, which has n entries and the
// same type.
func copyCell(c *engine.Column, i int32, n int, from *engine.Column, j int32) {
	if from.Null(j) {
		setNull(c, i, n)
		return
	}
	switch c.Type {
	case engine.Int, engine.Timestamp:
		c.Ints[i] = from.Ints[j]
	case engine.Double:
		c.Doubles[i] = from.Doubles[j]
	case engine.Bool:
		c.Bools[i] = from.Bools[j]
	default:
		c.Strs[i] = from.Strs[j]
	}
}

// rowOrigin is the watermark that row i of a batch is judged by.
func rowOrigin(b *engine.Batch, i int32) int64 {
	if b.Origin == nil {
		return engine.MinTime
	}
	return b.Origin[i]
}

// rowStamp is the Kafka timestamp of a record made of row i alone.
func rowStamp(b *engine.Batch, i int32) int64 {
	if b.Stamp == nil {
		return b.Time[i]
	}
	return b.Stamp[i]
}

// rowOp is what row i of a table's batch is.
func rowOp(b *engine.Batch, i int32) engine.Op {
	if b.Op == nil {
		return engine.Insert
	}
	return b.Op[i]
}

// rows gathers rows that a verb makes, and sends them on in batches.
//
//	i, err := r.next(out, op, time, stamp, origin)   a row of nulls nowhere, values unset
//	r.b.Cols[c].Ints[i] = …   or readRow, copyCell   (r.b.Old for Update and Delete)
//	…
//	err = r.flush(out)                               at the end of Process, Advance, Flush
type rows struct {
	b   engine.Batch
	all []int32
}

const rowsPerBatch = 1024

// newRows makes an empty gatherer; a table's rows have ops and an old side.
func newRows(schema *engine.Schema, table bool) *rows {
	r := &rows{}
	r.b.Schema = schema
	r.b.Cols = make([]engine.Column, len(schema.Fields))
	r.b.Time, r.b.Stamp, r.b.Origin = make([]int64, rowsPerBatch), make([]int64, rowsPerBatch), make([]int64, rowsPerBatch)
	if table {
		r.b.Old, r.b.Op = make([]engine.Column, len(schema.Fields)), make([]engine.Op, rowsPerBatch)
	}
	for i := range int32(rowsPerBatch) {
		r.all = append(r.all, i)
	}
	r.reset()
	return r
}

func (r *rows) reset() {
	r.b.N, r.b.Sel = rowsPerBatch, r.all[:0]
	for c, f := range r.b.Schema.Fields {
		r.b.Cols[c].Reset(f.Type, rowsPerBatch)
		if r.b.Op != nil {
			r.b.Old[c].Reset(f.Type, rowsPerBatch)
		}
	}
}

// next begins a row and gives its number; a full batch goes downstream first.
// origin is the watermark the row is judged by (engine.MinTime: never late).
func (r *rows) next(out engine.Emit, op engine.Op, time, stamp, origin int64) (int32, error) {
	if len(r.b.Sel) == rowsPerBatch {
		if err := r.flush(out); err != nil {
			return 0, err
		}
	}
	i := int32(len(r.b.Sel))
	r.b.Sel = r.all[:i+1]
	r.b.Time[i], r.b.Stamp[i], r.b.Origin[i] = time, stamp, origin
	if r.b.Op != nil {
		r.b.Op[i] = op
	}
	return i, nil
}

// drop takes the last row back.
func (r *rows) drop() {
	i := len(r.b.Sel) - 1
	r.b.Sel = r.all[:i]
	for _, cols := range [][]engine.Column{r.b.Cols, r.b.Old} {
		for c := range cols {
			if cols[c].Nulls != nil {
				cols[c].Nulls[i] = false // the next row in its place begins without nulls
			}
		}
	}
}

// flush sends what is there.
func (r *rows) flush(out engine.Emit) error {
	if len(r.b.Sel) == 0 {
		return nil
	}
	err := out(&r.b)
	r.reset()
	return err
}
