package codec

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/leatstream/leat/engine"
)

// CSV says how delimited text looks.
type CSV struct {
	// Header: a value is two lines, the columns' names and the row. Columns are
	// then found by name, those not declared are skipped, those not there null.
	Header bool
	// Delimiter is one byte, "," if 0; "\t" is usual too.
	Delimiter byte
	// Quote is one byte, `"` if 0.
	Quote byte
}

// ParseCSV makes a CSV of what a pipeline says: the delimiter and the quote
// are texts of one byte, or "" for the usual.
func ParseCSV(header bool, delimiter, quote string) (CSV, error) {
	c := CSV{Header: header}
	for _, p := range []struct {
		name, text string
		to         *byte
	}{{"delimiter", delimiter, &c.Delimiter}, {"quote", quote, &c.Quote}} {
		if p.text == `\t` {
			p.text = "\t"
		}
		if len(p.text) > 1 || p.text != "" && (p.text[0] >= utf8.RuneSelf || strings.Contains("\r\n\x00", p.text)) {
			return c, fmt.Errorf("the %s of csv is one ASCII character, not %q", p.name, p.text)
		}
		if p.text != "" {
			*p.to = p.text[0]
		}
	}
	c = c.filled()
	if c.Delimiter == c.Quote {
		return c, fmt.Errorf("the delimiter and the quote of csv are both %q", string(c.Quote))
	}
	return c, nil
}

func (c CSV) filled() CSV {
	if c.Delimiter == 0 {
		c.Delimiter = ','
	}
	if c.Quote == 0 {
		c.Quote = '"'
	}
	return c
}

// CSVRows makes decoders for rows of delimited text, one per record: RFC 4180,
// with or without a line end behind the row. The row has as many fields as the
// source declares columns, in that order; below a header line, as many as that.
//
// What a field may be, white space around all but strings aside:
//
//	string      any text; invalid UTF-8 is U+FFFD
//	int         a number that is integral and fits 64 bits: 7, -0, +3, 1e3
//	double      a number within a double's range
//	bool        true, false, in whatever case
//	timestamp   an int in the field's unit, or RFC 3339 text
//	bytes       base64
//	any         JSON
//
// An empty field is null. A quoted empty field ("") is the empty text, and null
// for all columns but strings and bytes.
func CSVRows(schema *engine.Schema, opts Options) (func() engine.Decoder, error) {
	all := opts.Declared
	if all == nil {
		all = schema
	}
	form := opts.CSV.filled()
	if form.Delimiter == form.Quote {
		return nil, fmt.Errorf("the delimiter and the quote of csv are both %q", string(form.Quote))
	}
	for c, f := range schema.Fields {
		if leaves[f.Type] == leafStart {
			return nil, fmt.Errorf("column %q: type %s cannot be read from csv", f.Name, f.Type)
		}
		if schema.Lookup(f.Name) != c {
			return nil, fmt.Errorf("column %q is declared twice", f.Name)
		}
		if all.Lookup(f.Name) < 0 {
			return nil, fmt.Errorf("column %q is not declared", f.Name)
		}
	}
	at := make([]int, len(all.Fields))
	for k, f := range all.Fields {
		at[k] = schema.Lookup(f.Name)
	}
	return func() engine.Decoder {
		return &records{schema, &csvReader{form: form, schema: schema, all: all, at: at}}
	}, nil
}

// csvReader reads rows. It splits a line into fields and knows which column
// each of them is.
type csvReader struct {
	form   CSV
	schema *engine.Schema
	all    *engine.Schema
	at     []int  // per field: its column, or -1
	header []byte // the header line that at is of
	absent []int  // columns that the header has not
	fields []csvField
	arena  arena
	json   scanner
}

type csvField struct {
	text   []byte
	quoted bool
}

var errCSVRows = errors.New("want one row, got more")

func (r *csvReader) read(value []byte, cols []engine.Column, i, n int) error {
	if r.form.Header {
		end := r.split(value)
		if end < 0 {
			return errors.New("the header line is cut off inside quotes")
		}
		if err := r.name(value[:end]); err != nil {
			return err
		}
		if value = value[end:]; len(value) == 0 {
			return errors.New("there is no row below the header line")
		}
	}
	end := r.split(value)
	if end < 0 {
		return errors.New("the row is cut off inside quotes, or a quote stands behind a quoted field")
	}
	if end < len(value) {
		return errCSVRows
	}
	if len(r.fields) != len(r.at) {
		return r.count()
	}
	for k, f := range r.fields {
		c := r.at[k]
		if c < 0 {
			continue
		}
		if len(f.text) == 0 && !(f.quoted && (cols[c].Type == engine.String || cols[c].Type == engine.Bytes)) {
			nullAt(&cols[c], i, n)
			continue
		}
		if why := r.set(&cols[c], r.schema.Fields[c], f, i, n); why != "" {
			field := r.schema.Fields[c]
			return fmt.Errorf("column %q: want %s, got %s%s", field.Name, field.Type, strconv.QuoteToGraphic(strings.ToValidUTF8(string(f.text[:min(len(f.text), 40)]), "\ufffd")), why)
		}
	}
	for _, c := range r.absent {
		nullAt(&cols[c], i, n)
	}
	return nil
}

// count is the error of a row with too few or too many fields.
func (r *csvReader) count() error {
	got, want := len(r.fields), len(r.at)
	of := "columns declared"
	if r.form.Header {
		of = "in the header"
	} else if got < want {
		return fmt.Errorf("column %q: the row ends before it: %d fields, %d %s", r.all.Fields[got].Name, got, want, of)
	}
	return fmt.Errorf("the row has %d fields, %d %s", got, want, of)
}

// name finds the columns of a header line, which is in r.fields.
func (r *csvReader) name(line []byte) error {
	if r.header != nil && bytes.Equal(line, r.header) {
		return nil
	}
	r.header = nil
	at := make([]int, len(r.fields))
	seen := make([]bool, len(r.schema.Fields))
	for k, f := range r.fields {
		name := strings.TrimSpace(strings.TrimPrefix(string(f.text), "\ufeff"))
		if at[k] = r.schema.Lookup(name); at[k] >= 0 {
			if seen[at[k]] {
				return fmt.Errorf("column %q is twice in the header", name)
			}
			seen[at[k]] = true
		}
	}
	r.at, r.absent, r.header = at, nil, bytes.Clone(line)
	for c := range seen {
		if !seen[c] {
			r.absent = append(r.absent, c)
		}
	}
	return nil
}

// split cuts the first line of buf into r.fields and gives the next line's
// begin, or -1. Quotes that are doubled become one, in the arena.
func (r *csvReader) split(buf []byte) int {
	r.fields = r.fields[:0]
	d, q := r.form.Delimiter, r.form.Quote
	for p := 0; ; p++ {
		if p < len(buf) && buf[p] == q {
			text, end := r.quoted(buf, p+1)
			if end < 0 {
				return -1
			}
			r.fields = append(r.fields, csvField{text, true})
			p = end
		} else {
			start := p
			for p < len(buf) && buf[p] != d && buf[p] != '\n' && buf[p] != '\r' {
				p++
			}
			for p < len(buf) && buf[p] == '\r' && lineEnd(buf, p) == 0 { // a \r inside text
				for p++; p < len(buf) && buf[p] != d && buf[p] != '\n' && buf[p] != '\r'; p++ {
				}
			}
			r.fields = append(r.fields, csvField{buf[start:p], false})
		}
		if p >= len(buf) {
			return len(buf)
		}
		if n := lineEnd(buf, p); n > 0 {
			return p + n
		}
		if buf[p] != d {
			return -1
		}
	}
}

// lineEnd is the length of the line end at p: \n, \r\n, or \r as the last byte.
func lineEnd(buf []byte, p int) int {
	switch {
	case buf[p] == '\n':
		return 1
	case buf[p] == '\r' && p+1 == len(buf):
		return 1
	case buf[p] == '\r' && buf[p+1] == '\n':
		return 2
	}
	return 0
}

// quoted reads a field whose opening quote is behind.
func (r *csvReader) quoted(buf []byte, p int) (text []byte, end int) {
	q := r.form.Quote
	start := p
	for {
		n := bytes.IndexByte(buf[p:], q)
		if n < 0 {
			return nil, -1
		}
		p += n
		if p+1 >= len(buf) || buf[p+1] != q {
			break
		}
		p += 2
	}
	raw := buf[start:p]
	if bytes.IndexByte(raw, q) < 0 {
		return raw, p + 1
	}
	out := r.arena.room(len(raw))
	for k := 0; k < len(raw); k++ {
		out = append(out, raw[k])
		if raw[k] == q {
			k++
		}
	}
	return bytesOf(r.arena.keep(out)), p + 1
}

// set reads a field that is not empty into row i. It says what is wrong, if
// that is more than the type: " " is just that.
func (r *csvReader) set(col *engine.Column, f engine.Field, field csvField, i, n int) string {
	text := field.text
	if col.Type == engine.String {
		if utf8.Valid(text) {
			col.Strs[i] = view(text)
		} else {
			col.Strs[i] = r.arena.keep(appendValid(r.arena.room(3*len(text)), text))
		}
		return ""
	}
	if text = bytes.TrimSpace(text); len(text) == 0 {
		if col.Type == engine.Bytes {
			col.Strs[i] = ""
			return ""
		}
		nullAt(col, i, n)
		return ""
	}
	switch col.Type {
	case engine.Bytes:
		raw, err := base64.StdEncoding.AppendDecode(r.arena.room(len(text)), text)
		if err != nil {
			return ", not base64"
		}
		col.Strs[i] = r.arena.keep(raw)
	case engine.Any:
		if !json.Valid(text) {
			return ", not JSON"
		}
		col.Strs[i] = r.arena.keep(appendOneLine(r.arena.room(3*len(text)), text))
	case engine.Bool:
		col.Bools[i] = len(text) == 4
		if !strings.EqualFold(view(text), "true") && !strings.EqualFold(view(text), "false") {
			return ", not true or false"
		}
	case engine.Double:
		v, ok := r.number(text)
		if !ok {
			return ", not a number"
		}
		if math.IsInf(v, 0) {
			return ", out of range"
		}
		col.Doubles[i] = v
	default: // Int, Timestamp
		v, why := r.integer(text)
		if why != "" {
			if col.Type == engine.Timestamp {
				at, err := time.Parse(time.RFC3339, view(text))
				if err != nil {
					return ", neither a number nor RFC 3339"
				}
				col.Ints[i] = at.UnixMilli()
				return ""
			}
			return why
		}
		if col.Type == engine.Timestamp {
			if v, why = inMillis(v, f.Unit), ""; v == math.MinInt64 {
				return ", out of range"
			}
		}
		col.Ints[i] = v
	}
	return ""
}

// inMillis is a time in unit as epoch milliseconds; the least int says that
// it does not fit.
func inMillis(v int64, unit engine.TimeUnit) int64 {
	switch unit {
	case engine.Seconds:
		if v > math.MaxInt64/1000 || v < math.MinInt64/1000 {
			return math.MinInt64
		}
		return v * 1000
	case engine.Micros:
		return floorDiv(v, 1e3)
	case engine.Nanos:
		return floorDiv(v, 1e6)
	}
	return v
}

func (r *csvReader) integer(text []byte) (int64, string) {
	if v, err := strconv.ParseInt(view(text), 10, 64); err == nil {
		return v, ""
	}
	if text[0] == '+' {
		text = text[1:]
	}
	if len(text) == 0 || r.json.skip(text, 0, 0) != len(text) || text[0] != '-' && !digit(text[0]) {
		return 0, ", not a number"
	}
	v, end := r.json.integer(text, 0)
	if end < 0 {
		return 0, ", out of range or not integral"
	}
	return v, ""
}

// number reads decimal text, and no more than that: NaN and hexadecimal are
// not numbers.
func (r *csvReader) number(text []byte) (float64, bool) {
	for _, c := range text {
		if !digit(c) && c != '.' && c != '-' && c != '+' && c != 'e' && c != 'E' {
			return 0, false
		}
	}
	v, err := strconv.ParseFloat(view(text), 64)
	return v, err == nil || errors.Is(err, strconv.ErrRange)
}
