package codec

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/leatstream/leat/engine"
)

// JSON makes decoders for records that are one JSON object each. A field of
// the schema is read at its path ("loc.lat" is lat inside loc). The error says
// what is wrong with the schema.
//
// What a value may be:
//
//	string      a string; escapes replaced, each byte of invalid UTF-8 is U+FFFD
//	int         a number that is integral and fits 64 bits, exactly: 7, -0, 1e3, 2.0
//	double      a number within a double's range, correctly rounded
//	bool        true, false
//	timestamp   an int in the field's unit, or RFC 3339 text; finer than 1 ms is cut off
//	bytes       base64 (standard alphabet, padded)
//	any         any value: its text, on one line
//
// A column that is missing or null is null. A value of another type, anything
// that is not one JSON object, and nesting beyond 512 levels are errors. A key
// that occurs again replaces what came before, an object as a whole, as
// encoding/json does with maps; both values must be right. Keys match exactly.
func JSON(schema *engine.Schema, opts Options) (func() engine.Decoder, error) {
	types := map[string]engine.Type{}
	for _, f := range schema.Fields {
		if leaves[f.Type] == leafStart {
			return nil, fmt.Errorf("column %q: type %s cannot be read from JSON", f.Name, f.Type)
		}
		if _, twice := types[f.Name]; twice {
			return nil, fmt.Errorf("column %q is declared twice", f.Name)
		}
		types[f.Name] = f.Type
	}
	for _, f := range schema.Fields {
		if slices.Contains(strings.Split(f.Name, "."), "") {
			return nil, fmt.Errorf("column %q has an empty name", f.Name)
		}
		for k, c := range f.Name {
			if t, both := types[f.Name[:k]]; c == '.' && both && t != engine.Any {
				return nil, fmt.Errorf("column %q is %s and cannot hold %q", f.Name[:k], t, f.Name)
			}
		}
		if strings.Count(f.Name, ".") >= maxDepth/2 {
			return nil, fmt.Errorf("column %q is nested too deep", f.Name)
		}
	}
	enough := -1
	if opts.Validate == Columns {
		enough = 0
	}
	return func() engine.Decoder {
		return &jsonDecoder{
			schema: schema, root: newRoot(schema.Fields), enough: enough, plain: opts.plain,
			seen: make([]uint64, len(schema.Fields)), credit: maxCredit,
		}
	}, nil
}

// jsonDecoder reads records with the graph of shape.go.
type jsonDecoder struct {
	scanner
	schema  *engine.Schema
	root    *node
	plain   bool
	credit  int // edges that may still be learned
	others  int // undeclared keys that were
	scratch edge

	rows    int
	columns []engine.Column // the batch's
	record  uint64          // number of the record, from 1
	seen    []uint64        // per column: the last record that had it
	left    int             // columns that this record has not had yet
	enough  int             // stop reading when so many are left: 0, or never (-1)

	text  []byte // scratch
	arena arena
}

// Decode is the engine's Decoder. Apart from what a batch's columns grow by,
// it allocates only for texts with escapes, bytes, and errors.
func (d *jsonDecoder) Decode(b *engine.Batch, bad func(row int32, err error) error) error {
	prepare(b, d.schema)
	d.columns, d.rows = b.Cols, b.N
	d.credit = min(d.credit+batchEarns, maxCredit)
	for i, value := range b.Src.Values {
		err := engine.ErrNullValue
		if value != nil {
			err = d.decode(value, i)
		}
		if err == nil {
			b.Sel = append(b.Sel, int32(i))
			continue
		}
		d.clear(i)
		if err := bad(int32(i), err); err != nil {
			return err
		}
	}
	d.columns = nil
	return nil
}

// decode reads one record into row i.
func (d *jsonDecoder) decode(buf []byte, i int) error {
	d.record++
	d.left = len(d.columns)
	if err := d.object(d.root, buf, i); err != nil {
		return err
	}
	if d.left > 0 {
		for c := range d.columns {
			if d.seen[c] != d.record {
				d.setNull(c, i)
			}
		}
	}
	return nil
}

// object reads buf, which must be one object, from text to value to text. It
// does the common steps itself and leaves the others to next.
func (d *jsonDecoder) object(root *node, buf []byte, i int) error {
	s, p := root.start, 0
	for {
		e := s.likely
		at := p + e.size
		to, end := e.to, -1
		if load(buf, p)&e.mask == e.head && (e.size <= 8 || e.rest(buf, p)) {
			if e.opens != nil {
				d.enter(e.opens, i)
			}
			if to == nil && at == len(buf) {
				return nil
			}
			if to != nil && at < len(buf) {
				end = d.takeShort(to, buf, at, i)
			}
		}
		if end < 0 {
			var err error
			if to, end, err = d.next(s, buf, p, i); to == nil {
				return err
			}
		}
		if d.left == d.enough && end < len(buf) && !digit(buf[end]) {
			return nil // a number that is cut off must not count
		}
		s, p = to, end
	}
}

// next is one step of object for any text and value: from s, whose value ends
// at p, to the next value and past it. No state means that buf has ended, or an
// error.
func (d *jsonDecoder) next(s *state, buf []byte, p, i int) (to *state, end int, err error) {
	e := s.match(buf, p)
	for guessed := e != nil; ; guessed = false {
		if !guessed {
			if e = d.connect(s, buf, p); e == nil {
				return nil, 0, d.syntax(buf)
			}
		}
		to, at := e.to, p+e.size // e may not outlive the next connect
		d.enter(e.opens, i)
		if to == nil {
			return nil, 0, nil
		}
		if end = d.take(to, buf, at, i); end >= 0 {
			return to, end, nil
		}
		if !guessed {
			return nil, 0, d.wrong(to, buf, at, i)
		}
		// Perhaps the text goes on: white space, or an object that opens.
	}
}

// enter makes the columns of objects that begin, perhaps again, unread.
func (d *jsonDecoder) enter(opens []*node, i int) {
	for _, n := range opens {
		d.forget(n.cols, i)
	}
}

// takeShort reads the value of s at p, which is in buf, into row i: what fits a
// word or two at once, the rest with take.
func (d *jsonDecoder) takeShort(s *state, buf []byte, p, i int) int {
	switch s.leaf {
	case leafSkip:
		if buf[p] == '"' {
			x := load(buf, p+1)
			if n := count(special(x)); byteAt(x, n) == '"' {
				return p + n + 2
			}
		} else if n, _ := shortNumber(load(buf, p)); n > 0 {
			return p + n
		} else if s.of != nil && !s.whole && buf[p] == '{' {
			return -1 // to the edge that enters it
		}
	case leafString:
		if buf[p] == '"' {
			x := load(buf, p+1)
			if n := count(special(x)); byteAt(x, n) == '"' && x&tops == 0 {
				d.mark(s.col, i)
				d.columns[s.col].Strs[i] = view(buf[p+1 : p+1+n])
				return p + n + 2
			}
		}
	case leafDouble:
		x := load(buf, p)
		if n, whole := shortNumber(x); n > 0 {
			d.mark(s.col, i)
			d.columns[s.col].Doubles[i] = shortDouble(x, n, whole)
			return p + n
		}
	case leafTime:
		if s.unit != engine.Millis {
			break
		}
		fallthrough
	case leafInt:
		if v, n := shortInt(buf, p); n > 0 {
			d.mark(s.col, i)
			d.columns[s.col].Ints[i] = v
			return p + n
		}
	}
	return d.take(s, buf, p, i)
}

// take reads the value of s at p into row i. -1: it is not one, see wrong.
func (d *jsonDecoder) take(s *state, buf []byte, p, i int) int {
	if p >= len(buf) {
		return d.stop(p, whyValue)
	}
	c := buf[p]
	if c == 'n' && s.leaf != leafSkip {
		return d.takeNull(s, buf, p, i)
	}
	col := s.col
	switch s.leaf {
	case leafSkip:
		return d.skip(buf, p, s.in.depth)
	case leafString:
		if c != '"' {
			break
		}
		text, end := d.textAt(buf, p+1)
		if end >= 0 {
			d.mark(col, i)
			d.columns[col].Strs[i] = text
		}
		return end
	case leafDouble:
		v, end := d.double(buf, p)
		if end >= 0 {
			d.mark(col, i)
			d.columns[col].Doubles[i] = v
		}
		return end
	case leafInt:
		v, end := d.integer(buf, p)
		if end >= 0 {
			d.mark(col, i)
			d.columns[col].Ints[i] = v
		}
		return end
	case leafTime:
		v, end := d.timestamp(buf, p, s.unit)
		if end >= 0 {
			d.mark(col, i)
			d.columns[col].Ints[i] = v
		}
		return end
	case leafBool:
		end := -1
		if c == 't' {
			end = d.word(buf, p, "true")
		} else if c == 'f' {
			end = d.word(buf, p, "false")
		}
		if end >= 0 {
			d.mark(col, i)
			d.columns[col].Bools[i] = c == 't'
		}
		return end
	case leafBytes:
		if c != '"' {
			break
		}
		text, end := d.textAt(buf, p+1)
		if end < 0 {
			return -1
		}
		raw, err := base64.StdEncoding.AppendDecode(d.arena.room(len(text)), bytesOf(text))
		if err != nil {
			return d.stop(p, whyValue)
		}
		d.mark(col, i)
		d.columns[col].Strs[i] = d.arena.keep(raw)
		return end
	case leafAny:
		return d.takeAny(s, buf, p, i)
	}
	return d.stop(p, whyValue)
}

// takeNull reads null: the column's, or that of all columns of an object.
func (d *jsonDecoder) takeNull(s *state, buf []byte, p, i int) int {
	end := d.word(buf, p, "null")
	if end < 0 {
		return -1
	}
	if s.of != nil {
		d.forget(s.of.cols, i)
	}
	if s.inner != nil {
		d.forget(s.inner.cols, i)
	}
	if s.col >= 0 {
		d.mark(s.col, i)
		d.setNull(s.col, i)
	}
	return end
}

// takeAny reads a value as raw text and the columns declared inside it.
func (d *jsonDecoder) takeAny(s *state, buf []byte, p, i int) int {
	end := d.skip(buf, p, s.in.depth)
	if end < 0 {
		return -1
	}
	raw := buf[p:end]
	d.mark(s.col, i)
	if bytes.IndexByte(raw, '\n') < 0 && bytes.IndexByte(raw, '\r') < 0 && utf8.Valid(raw) {
		d.columns[s.col].Strs[i] = view(raw)
	} else {
		d.columns[s.col].Strs[i] = d.arena.keep(appendOneLine(d.arena.room(3*len(raw)), raw))
	}
	if s.inner != nil {
		d.forget(s.inner.cols, i)
		if raw[0] == '{' {
			if err := d.object(s.inner, raw, i); err != nil {
				return d.stop(p, whyValue)
			}
		}
	}
	return end
}

// textAt reads the rest of a string whose opening quote is behind.
func (d *jsonDecoder) textAt(buf []byte, p int) (string, int) {
	end, wide := plain(buf, p)
	if end < len(buf) && buf[end] == '"' && (!wide || utf8.Valid(buf[p:end])) {
		return view(buf[p:end]), end + 1
	}
	if end = d.str(buf, p); end < 0 {
		return "", -1
	}
	raw := buf[p : end-1]
	return d.arena.keep(appendUnquoted(d.arena.room(3*len(raw)), raw)), end
}

// timestamp reads an int in unit, or RFC 3339 text, as epoch milliseconds.
func (d *jsonDecoder) timestamp(buf []byte, p int, unit engine.TimeUnit) (int64, int) {
	if buf[p] == '"' {
		text, end := d.textAt(buf, p+1)
		if end < 0 {
			return 0, -1
		}
		var t time.Time
		if err := t.UnmarshalText(bytesOf(text)); err != nil {
			return 0, d.stop(p, whyValue)
		}
		return t.UnixMilli(), end
	}
	v, end := d.integer(buf, p)
	switch unit {
	case engine.Seconds:
		if v > math.MaxInt64/1000 || v < math.MinInt64/1000 {
			return 0, d.stop(p, whyValue)
		}
		v *= 1000
	case engine.Micros:
		v = floorDiv(v, 1e3)
	case engine.Nanos:
		v = floorDiv(v, 1e6)
	}
	return v, end
}

func floorDiv(v, by int64) int64 {
	q := v / by
	if v%by < 0 {
		q--
	}
	return q
}

// mark notes that the record has column c. A value that comes again may follow
// a null.
func (d *jsonDecoder) mark(c, i int) {
	if d.seen[c] != d.record {
		d.seen[c] = d.record
		d.left--
		return
	}
	d.unsetNull(c, i)
}

// forget makes columns as if the record had not had them yet: their object
// begins again.
func (d *jsonDecoder) forget(cols []int, i int) {
	for _, c := range cols {
		if d.seen[c] == d.record {
			d.seen[c] = 0
			d.left++
			d.unsetNull(c, i)
		}
	}
}

func (d *jsonDecoder) unsetNull(c, i int) {
	if nulls := d.columns[c].Nulls; nulls != nil {
		nulls[i] = false
	}
}

func (d *jsonDecoder) setNull(c, i int) {
	col := &d.columns[c]
	zero(col, i)
	col.SetNull(int32(i), d.rows)
}

// clear empties row i, which is left out: no half of a record stays behind.
func (d *jsonDecoder) clear(i int) {
	for c := range d.columns {
		d.unsetNull(c, i)
		zero(&d.columns[c], i)
	}
}

func zero(col *engine.Column, i int) {
	switch col.Type {
	case engine.Int, engine.Timestamp:
		col.Ints[i] = 0
	case engine.Double:
		col.Doubles[i] = 0
	case engine.Bool:
		col.Bools[i] = false
	default:
		col.Strs[i] = ""
	}
}
