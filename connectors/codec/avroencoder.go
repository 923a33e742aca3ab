package codec

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/twmb/avro"

	"github.com/leatstream/leat/engine"
)

// avroEncoders makes encoders of rows as avro records. Columns go to the fields
// of their name, as the table of SchemaOf has them; with a schema of one's own
// also
//
//	string      enum, bytes, fixed, uuid, decimal (of exactly its scale)
//	int         int, float, double, decimal
//	double      float
//	timestamp   timestamp-*, local-timestamp-*, date; long in milliseconds;
//	            string as RFC 3339 text
//	any         anything, from avro's JSON (a union is just its value)
//
// A field without a column has its default. A null for a field that cannot be
// null, and a value that does not fit, are errors of the row.
func avroEncoders(schema *engine.Schema, opts EncoderOptions) (func() RowEncoder, error) {
	s, err := SchemaOf("avro", schema, opts)
	if err != nil {
		return nil, err
	}
	t, err := parseAvro(s)
	if err != nil {
		return nil, err
	}
	if t.kind != avroRecord {
		return nil, fmt.Errorf("the avro schema is %s, want a record", t.title())
	}
	root, err := columnTree(schema, opts)
	if err != nil {
		return nil, err
	}
	c := avroWriteCompiler{schema.Fields}
	plan, err := c.record(t, root)
	if err != nil {
		return nil, err
	}
	var frame []byte
	if opts.Framed {
		frame = appendFrame(nil, opts.ID)
	}
	return func() RowEncoder { return &avroRows{frame: frame, fields: schema.Fields, plan: plan} }, nil
}

// avroWrite is what to write for one value of a schema. It does not change.
type avroWrite struct {
	typ      *avroType
	col      int // -1: a record of columns
	cols     []int
	isNull   int64 // the union's branch of null, or -1
	isValue  int64 // the union's branch of the value, or -1
	steps    []*avroWrite
	fallback []byte       // written as it is: of a field without a column
	library  *avro.Schema // of any into what is no text
}

type avroWriteCompiler struct{ fields []engine.Field }

func (c avroWriteCompiler) record(t *avroType, columns *tree) (*avroWrite, error) {
	w := &avroWrite{typ: t, col: -1, cols: columns.cols(nil), isNull: -1, isValue: -1}
	for k := range t.fields {
		f := &t.fields[k]
		at := slices.IndexFunc(columns.kids, func(kid *tree) bool { return kid.name == f.name })
		if at < 0 {
			step, err := missingField(f)
			if err != nil {
				return nil, err
			}
			w.steps = append(w.steps, step)
			continue
		}
		step, err := c.value(f.typ, columns.kids[at])
		if err != nil {
			return nil, err
		}
		w.steps = append(w.steps, step)
	}
	for _, kid := range columns.kids {
		if t.field(kid.name) == nil {
			return nil, fmt.Errorf("column %q: the avro schema has no field %q: drop the column, or add the field", c.fields[kid.cols(nil)[0]].Name, kid.name)
		}
	}
	return w, nil
}

// missingField is what is written for a field that no column is.
func missingField(f *avroField) (*avroWrite, error) {
	w := &avroWrite{typ: f.typ, col: -1, isNull: -1, isValue: -1, fallback: f.fallback}
	if f.defaults {
		return w, nil
	}
	for k, b := range f.typ.branches {
		if b.kind == avroNull {
			w.fallback = binary.AppendVarint(nil, int64(k))
			return w, nil
		}
	}
	return nil, fmt.Errorf("the avro schema's field %q has no column and no default", f.name)
}

func (c avroWriteCompiler) value(t *avroType, columns *tree) (*avroWrite, error) {
	if t.kind != avroUnion {
		if columns.col >= 0 {
			return c.leaf(t, columns.col)
		}
		if t.kind == avroRecord {
			return c.record(t, columns)
		}
		return nil, fmt.Errorf("column %q: want a record at %q, the avro schema has %s", c.fields[columns.cols(nil)[0]].Name, columns.name, t.title())
	}
	if columns.col >= 0 && c.fields[columns.col].Type == engine.Any && t.inner() == nil {
		return c.leaf(t, columns.col) // the library finds the branch
	}
	var found *avroWrite
	var first error
	null := int64(-1)
	for k, b := range t.branches {
		if b.kind == avroNull {
			null = int64(k)
			continue
		}
		if found != nil {
			continue
		}
		w, err := c.value(b, columns)
		if err != nil {
			if first == nil {
				first = err
			}
			continue
		}
		found = w
		found.isValue = int64(k)
	}
	if found == nil {
		if first == nil {
			first = fmt.Errorf("column %q: the avro schema's field is always null", c.fields[columns.cols(nil)[0]].Name)
		}
		return nil, first
	}
	found.isNull = null
	return found, nil
}

func (c avroWriteCompiler) leaf(t *avroType, col int) (*avroWrite, error) {
	w := &avroWrite{typ: t, col: col, isNull: -1, isValue: -1}
	f := c.fields[col]
	good := false
	switch f.Type {
	case engine.String:
		good = t.kind == avroString || t.kind == avroEnum || t.kind == avroBytes || t.kind == avroFixed
	case engine.Bytes:
		good = t.kind == avroBytes || t.kind == avroFixed || t.kind == avroString
		good = good && t.logical != logicalDecimal
	case engine.Int:
		good = t.kind == avroInt && t.logical != logicalDate || t.kind == avroFloat || t.kind == avroDouble || t.logical == logicalDecimal
	case engine.Double:
		good = t.kind == avroFloat || t.kind == avroDouble
	case engine.Bool:
		good = t.kind == avroBoolean
	case engine.Timestamp:
		good = t.kind == avroInt && (t.node.Type == "long" || t.logical == logicalDate) || t.kind == avroString
	case engine.Any:
		good = true
		if t.kind != avroString {
			var err error
			if w.library, err = t.node.Schema(); err != nil {
				return nil, fmt.Errorf("column %q: %w", f.Name, err)
			}
		}
	}
	if !good {
		return nil, fmt.Errorf("column %q: %s cannot be written as avro %s", f.Name, f.Type, t.title())
	}
	return w, nil
}

type avroRows struct {
	frame  []byte
	fields []engine.Field
	plan   *avroWrite
}

func (e *avroRows) AppendRow(dst []byte, cols []engine.Column, row int32) ([]byte, error) {
	return e.write(append(dst, e.frame...), e.plan, cols, row)
}

func (e *avroRows) write(dst []byte, w *avroWrite, cols []engine.Column, row int32) ([]byte, error) {
	if w.cols == nil && w.col < 0 {
		return append(dst, w.fallback...), nil
	}
	null := w.isNull >= 0 || w.col >= 0
	if w.col >= 0 {
		null = cols[w.col].Null(row)
	} else {
		for _, c := range w.cols {
			null = null && cols[c].Null(row)
		}
	}
	if null {
		if w.isNull < 0 && w.library == nil {
			return dst, fmt.Errorf("column %q is null, and the avro schema's field cannot be", e.fields[w.col].Name)
		}
		if w.isNull >= 0 {
			return binary.AppendVarint(dst, w.isNull), nil
		}
	}
	if w.isValue >= 0 {
		dst = binary.AppendVarint(dst, w.isValue)
	}
	if w.col < 0 {
		var err error
		for _, s := range w.steps {
			if dst, err = e.write(dst, s, cols, row); err != nil {
				return dst, err
			}
		}
		return dst, nil
	}
	dst, err := w.append(dst, &cols[w.col], row)
	if err != nil {
		return dst, fmt.Errorf("column %q: %w", e.fields[w.col].Name, err)
	}
	return dst, nil
}

var errAvroFit = errors.New("the value does not fit the avro schema's field")

// append writes row of a column that is not null.
func (w *avroWrite) append(dst []byte, col *engine.Column, row int32) ([]byte, error) {
	switch col.Type {
	case engine.Bool:
		if col.Bools[row] {
			return append(dst, 1), nil
		}
		return append(dst, 0), nil
	case engine.Double:
		return w.float(dst, col.Doubles[row]), nil
	case engine.Int:
		return w.integer(dst, col.Ints[row])
	case engine.Timestamp:
		return w.time(dst, col.Ints[row])
	case engine.Any:
		return w.any(dst, col, row)
	}
	return w.text(dst, col.Strs[row], col.Type == engine.String)
}

func (w *avroWrite) float(dst []byte, v float64) []byte {
	if w.typ.kind == avroFloat {
		return binary.LittleEndian.AppendUint32(dst, math.Float32bits(float32(v)))
	}
	return binary.LittleEndian.AppendUint64(dst, math.Float64bits(v))
}

func (w *avroWrite) integer(dst []byte, v int64) ([]byte, error) {
	switch {
	case w.typ.logical == logicalDecimal:
		return w.decimal(dst, new(big.Rat).SetInt64(v))
	case w.typ.kind != avroInt:
		return w.float(dst, float64(v)), nil
	case w.typ.node.Type == "int" && int64(int32(v)) != v:
		return dst, fmt.Errorf("%w: %d is beyond int", errAvroFit, v)
	}
	return binary.AppendVarint(dst, v), nil
}

func (w *avroWrite) time(dst []byte, ms int64) ([]byte, error) {
	by := int64(1)
	switch {
	case w.typ.kind == avroString:
		return appendAvroText(dst, time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z07:00")), nil
	case w.typ.logical == logicalDate:
		days := floorDiv(ms, dayMillis)
		if int64(int32(days)) != days {
			return dst, fmt.Errorf("%w: %d days are beyond a date", errAvroFit, days)
		}
		return binary.AppendVarint(dst, days), nil
	case w.typ.logical == logicalMicros:
		by = 1e3
	case w.typ.logical == logicalNanos:
		by = 1e6
	}
	if ms > math.MaxInt64/by || ms < math.MinInt64/by {
		return dst, fmt.Errorf("%w: %d ms are beyond %s", errAvroFit, ms, w.typ.title())
	}
	return binary.AppendVarint(dst, ms*by), nil
}

func appendAvroText(dst []byte, s string) []byte {
	return append(binary.AppendVarint(dst, int64(len(s))), s...)
}

func (w *avroWrite) text(dst []byte, s string, isText bool) ([]byte, error) {
	t := w.typ
	switch {
	case t.kind == avroEnum:
		k := slices.Index(t.symbols, s)
		if k < 0 {
			return dst, fmt.Errorf("%w: %s has no symbol %q", errAvroFit, t.title(), s)
		}
		return binary.AppendVarint(dst, int64(k)), nil
	case t.logical == logicalDecimal:
		v, ok := new(big.Rat).SetString(s)
		if !ok || len(s) > maxDecimalBytes || strings.ContainsAny(s, "/eEpPxX_") {
			return dst, fmt.Errorf("%w: %q is no decimal", errAvroFit, s)
		}
		return w.decimal(dst, v)
	case t.logical == logicalUUID && isText:
		raw, err := hex.DecodeString(strings.ReplaceAll(s, "-", ""))
		if err != nil || len(raw) != 16 {
			return dst, fmt.Errorf("%w: %q is no uuid", errAvroFit, s)
		}
		return append(dst, raw...), nil
	case t.kind == avroFixed:
		if len(s) != t.size {
			return dst, fmt.Errorf("%w: %d bytes, fixed %s has %d", errAvroFit, len(s), t.name, t.size)
		}
		return append(dst, s...), nil
	}
	return appendAvroText(dst, s), nil
}

// decimal writes a number that the scale holds exactly, in the fewest bytes.
func (w *avroWrite) decimal(dst []byte, v *big.Rat) ([]byte, error) {
	scale := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(min(w.typ.scale, 8*maxDecimalBytes))), nil)
	v.Mul(v, new(big.Rat).SetInt(scale))
	if !v.IsInt() {
		return dst, fmt.Errorf("%w: more than %d digits behind the point", errAvroFit, w.typ.scale)
	}
	n := v.Num()
	if p := w.typ.node.Precision; p > 0 && len(new(big.Int).Abs(n).String()) > p {
		return dst, fmt.Errorf("%w: more than %d digits", errAvroFit, p)
	}
	size := n.BitLen()/8 + 1
	if w.typ.kind == avroFixed {
		if size > w.typ.size {
			return dst, fmt.Errorf("%w: fixed %s has %d bytes", errAvroFit, w.typ.name, w.typ.size)
		}
		size = w.typ.size
	} else {
		if m := new(big.Int).Not(n); n.Sign() < 0 {
			size = m.BitLen()/8 + 1
		}
		dst = binary.AppendVarint(dst, int64(size))
	}
	if n.Sign() < 0 {
		n = new(big.Int).Add(n, new(big.Int).Lsh(big.NewInt(1), uint(8*size)))
	}
	return append(dst, n.FillBytes(make([]byte, size))...), nil
}

// any writes JSON: as text, or as what the schema makes of it.
func (w *avroWrite) any(dst []byte, col *engine.Column, row int32) ([]byte, error) {
	text := "null"
	if !col.Null(row) {
		text = col.Strs[row]
	}
	if !json.Valid(bytesOf(text)) {
		return dst, fmt.Errorf("%w: it is no JSON", errAvroFit)
	}
	if w.library == nil {
		return appendAvroText(dst, text), nil
	}
	var v any
	err := w.library.DecodeJSON(bytesOf(text), &v)
	if err == nil {
		dst, err = w.library.AppendEncode(dst, v)
	}
	if err != nil {
		return dst, fmt.Errorf("%w: %v", errAvroFit, err)
	}
	return dst, nil
}
