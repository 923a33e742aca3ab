package codec

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/leatstream/leat/engine"
)

// EncoderOptions say how rows are written.
type EncoderOptions struct {
	Style engine.ValueStyle
	// Drop are columns, by number, that are not written.
	Drop []int
	// Columns are the columns that are written, by number, in this order; nil:
	// all but Drop.
	Columns []int
	// Flat writes a nested column under its whole name, "loc.lat": 1, instead
	// of as it was read, "loc": {"lat": 1}.
	Flat bool
	// CSV says how csv looks.
	CSV CSV
	// Name is that of the avro record or protobuf message that SchemaOf makes,
	// for example the pipeline's and the sink's: what a name may not have in it
	// becomes _.
	Name string
	// Schema is the avro or protobuf schema that rows are written with; zero:
	// what SchemaOf makes.
	Schema Schema
	// Message names the protobuf message of Schema; "" is the first.
	Message string
	// Previous is the newest schema of the sink's subject, if there is one: what
	// SchemaOf makes keeps its protobuf field numbers.
	Previous Schema
	// Framed puts a registry's frame before each avro or protobuf value: ID is
	// the schema's.
	Framed bool
	ID     int
}

// Encoder writes rows of one schema as JSON objects, columns in the schema's
// order; those of a nested object stand together, where its first one is. It
// is used from one goroutine.
type Encoder struct {
	style  engine.ValueStyle
	fields []encoderField
	end    string // what closes the object
}

type encoderField struct {
	before string // all text since the last value: `,"temp":`
	col    int
	how    encoding
	last   int64
	text   []byte // before and last; empty at first
}

// encoding is how the values of a field are written.
type encoding uint8

const (
	asValue encoding = iota // by engine.AppendJSON
	asDigits
	asNumber // a column of Ints with a style: digits or text
	asDouble
	asString
)

// encodingOf chooses how values of a type are written.
func encodingOf(t engine.Type, style engine.ValueStyle) encoding {
	switch t {
	case engine.Int:
		if style.BigText {
			return asNumber
		}
		return asDigits
	case engine.Timestamp:
		if style.RFC3339 {
			return asNumber
		}
		return asDigits
	case engine.Double:
		return asDouble
	case engine.String:
		return asString
	}
	return asValue
}

// NewEncoder makes an encoder for rows of schema.
func NewEncoder(schema *engine.Schema, opts EncoderOptions) *Encoder {
	e := &Encoder{style: opts.Style}
	cols := opts.columns(schema)
	w := encoderPlan{schema.Fields, e, opts.Flat}
	e.end = w.object("", cols, 0)
	return e
}

// encoderPlan lays out an encoder's fields.
type encoderPlan struct {
	fields []engine.Field
	*Encoder
	flat bool
}

// object adds an object of the columns cols, whose names go on at skip, after
// the text before. It returns the text that is due behind it.
func (w encoderPlan) object(before string, cols []int, skip int) string {
	before += "{"
	for at := 0; len(cols) > 0; at++ {
		if at > 0 {
			before += ","
		}
		first := cols[0]
		name := w.fields[first].Name[skip:]
		key, _, nested := strings.Cut(name, ".")
		if !nested || w.flat || w.taken(key, cols, skip) {
			before += string(engine.AppendString(nil, name)) + ":"
			w.Encoder.fields = append(w.Encoder.fields, encoderField{before: before, col: first, how: encodingOf(w.fields[first].Type, w.style)})
			before, cols = "", cols[1:]
			continue
		}
		var inside, outside []int
		for _, c := range cols {
			if strings.HasPrefix(w.fields[c].Name[skip:], key+".") {
				inside = append(inside, c)
			} else {
				outside = append(outside, c)
			}
		}
		before = w.object(before+string(engine.AppendString(nil, key))+":", inside, skip+len(key)+1)
		cols = outside
	}
	return before + "}"
}

// taken tells whether the key is a column too, so that it cannot be an object.
func (w encoderPlan) taken(key string, cols []int, skip int) bool {
	path := w.fields[cols[0]].Name[:skip] + key
	return slices.ContainsFunc(w.fields, func(f engine.Field) bool { return f.Name == path })
}

// AppendRow appends the row of cols, which are the schema's columns, as a JSON
// object. Values are as engine.AppendJSON has them.
func (e *Encoder) AppendRow(dst []byte, cols []engine.Column, row int32) []byte {
	return e.appendFrom(dst, 0, cols, row)
}

// Extends tells whether every row of e is that of head with more columns behind
// it: a record's value, of which its key has the first columns.
func (e *Encoder) Extends(head *Encoder) bool {
	if len(head.fields) == 0 || len(head.fields) >= len(e.fields) || head.end != "}" || head.style != e.style {
		return false
	}
	for k := range head.fields {
		is, was := &e.fields[k], &head.fields[k]
		if is.before != was.before || is.col != was.col || is.how != was.how {
			return false
		}
	}
	return true
}

// AppendRest appends the same as AppendRow, where made is what head, which e
// extends, made of the row.
func (e *Encoder) AppendRest(dst []byte, head *Encoder, made []byte, cols []engine.Column, row int32) []byte {
	dst = append(dst, made[:len(made)-len(head.end)]...)
	return e.appendFrom(dst, len(head.fields), cols, row)
}

// appendFrom appends the fields from first on, and the end.
func (e *Encoder) appendFrom(dst []byte, first int, cols []engine.Column, row int32) []byte {
	for k := first; k < len(e.fields); k++ {
		f := &e.fields[k]
		c := &cols[f.col]
		if c.Nulls != nil && c.Nulls[row] {
			dst = append(dst, f.before...)
			dst = append(dst, "null"...)
			continue
		}
		switch f.how {
		case asDigits:
			dst = f.digits(dst, c.Ints[row])
		case asNumber:
			if c.Ints[row] != f.last || len(f.text) == 0 {
				f.text = append(f.text[:0], f.before...)
				f.text = engine.AppendJSON(f.text, c, row, e.style)
				f.last = c.Ints[row]
			}
			dst = append(dst, f.text...)
		case asDouble:
			dst = append(dst, f.before...)
			dst = appendDouble(dst, c.Doubles[row])
		case asString:
			dst = append(dst, f.before...)
			dst = appendString(dst, c.Strs[row])
		default:
			dst = append(dst, f.before...)
			dst = engine.AppendJSON(dst, c, row, e.style)
		}
	}
	return append(dst, e.end...)
}

// pairs are the numbers from 00 to 99.
const pairs = "00010203040506070809" + "10111213141516171819" + "20212223242526272829" + "30313233343536373839" + "40414243444546474849" +
	"50515253545556575859" + "60616263646566676869" + "70717273747576777879" + "80818283848586878889" + "90919293949596979899"

// digits appends a number with the text before it. Most are counts and sums of
// a few digits, or times near the last one: a window's bounds, which repeat over
// many rows or differ by seconds. Of those the last text is kept, and what has
// changed of it written over.
func (f *encoderField) digits(dst []byte, v int64) []byte {
	const tail, long = 10_000, 100_000_000 // what the last four digits count, and the last eight
	switch {
	case v == f.last && len(f.text) > 0:
	case 0 <= v && v < tail:
		dst = append(dst, f.before...)
		hi, lo := v/100*2, v%100*2
		switch {
		case v < 10:
			return append(dst, byte('0'+v))
		case v < 100:
			return append(dst, pairs[lo], pairs[lo+1])
		case v < 1000:
			return append(dst, pairs[hi+1], pairs[lo], pairs[lo+1])
		}
		return append(dst, pairs[hi], pairs[hi+1], pairs[lo], pairs[lo+1])
	case v > 0 && f.last >= tail && v/tail == f.last/tail && len(f.text) > 0:
		fourDigits(f.text[len(f.text)-4:], v%tail)
		f.last = v
	case v > 0 && f.last >= long && v/long == f.last/long && len(f.text) > 0:
		fourDigits(f.text[len(f.text)-8:], v%long/tail)
		fourDigits(f.text[len(f.text)-4:], v%tail)
		f.last = v
	default:
		f.text = append(f.text[:0], f.before...)
		f.text = strconv.AppendInt(f.text, v, 10)
		f.last = v
	}
	return append(dst, f.text...)
}

// fourDigits writes a number below 10,000 over the first four of b.
func fourDigits(b []byte, v int64) {
	hi, lo := v/100*2, v%100*2
	b[0], b[1], b[2], b[3] = pairs[hi], pairs[hi+1], pairs[lo], pairs[lo+1]
}

// appendDouble is engine.AppendDouble, fast for what is measured or is money:
// up to four decimals. Digits that are at most 15 and read back as v are its
// shortest form.
func appendDouble(dst []byte, v float64) []byte {
	scaled := v * 10000
	n := int64(scaled + math.Copysign(0.5, scaled))
	if !(math.Abs(scaled) < 1e15) || n == 0 || float64(n)/10000 != v {
		return engine.AppendDouble(dst, v)
	}
	if n < 0 {
		dst = append(dst, '-')
		n = -n
	}
	whole, ab, cd := uint64(n)/10000, uint64(n)/100%100, uint64(n)%100
	if whole < 10 {
		dst = append(dst, '0'+byte(whole))
	} else {
		dst = strconv.AppendUint(dst, whole, 10)
	}
	a, b, c, d := '0'+byte(ab/10), '0'+byte(ab%10), '0'+byte(cd/10), '0'+byte(cd%10)
	switch {
	case d != '0':
		return append(dst, '.', a, b, c, d)
	case c != '0':
		return append(dst, '.', a, b, c)
	case b != '0':
		return append(dst, '.', a, b)
	case a != '0':
		return append(dst, '.', a)
	}
	return dst
}

// appendString is engine.AppendString, fast for text that needs no escapes.
func appendString(dst []byte, s string) []byte {
	if end, wide := plain(bytesOf(s), 0); end < len(s) || wide {
		return engine.AppendString(dst, s)
	}
	dst = append(dst, '"')
	dst = append(dst, s...)
	return append(dst, '"')
}
