package codec

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/leatstream/leat/engine"
)

// avroReader reads avro's binary encoding along plans. The first thing that is
// wrong is kept in err, and all reading after it gives nothing.
type avroReader struct {
	plans  *avroPlans
	known  map[int]avroPlan
	lastID int
	last   avroPlan

	buf    []byte
	p      int
	err    error
	depth  int
	budget int // values that may still come out of no bytes

	cols  []engine.Column
	i, n  int
	text  []byte
	arena arena
}

func (r *avroReader) read(value []byte, cols []engine.Column, i, n int) error {
	step := r.plans.bare
	if r.plans.from != nil {
		id, rest, err := unframe(value)
		if err != nil {
			return err
		}
		if step, err = r.planOf(id); err != nil {
			return err
		}
		value = rest
	}
	r.cols, r.i, r.n = cols, i, n
	r.buf, r.p, r.err, r.depth = value, 0, nil, 0
	r.budget = 1 << 16
	r.run(step)
	if r.err == nil && r.p < len(r.buf) {
		r.err = fmt.Errorf("%d bytes stand behind the record: it was written with another schema", len(r.buf)-r.p)
	}
	r.cols = nil
	return r.err
}

func (r *avroReader) planOf(id int) (*avroStep, error) {
	if r.last.step != nil && id == r.lastID {
		return r.last.step, nil
	}
	plan, ok := r.known[id]
	if !ok {
		var err error
		if plan, err = r.plans.of(id); err != nil {
			return nil, err
		}
		r.known[id] = plan
	}
	r.lastID, r.last = id, plan
	return plan.step, plan.err
}

// run does a step with the value at r.p.
func (r *avroReader) run(s *avroStep) {
	start := r.p
	i := r.i
	switch s.do {
	case toSkip:
		r.skip(s.typ)
	case toRecord:
		for _, f := range s.steps {
			if r.run(f); r.err != nil {
				return
			}
		}
		for k := range s.missing {
			r.fill(&s.missing[k])
		}
	case toUnion:
		b := r.long()
		if b < 0 || b >= int64(len(s.steps)) {
			r.fail(fmt.Sprintf("a union has no branch %d", b))
			return
		}
		r.run(s.steps[b])
	case toNull:
		r.null(s.null)
	case toError:
		if r.err == nil {
			r.err = s.err
		}
	case toInt:
		r.cols[s.col].Ints[i] = r.long()
	case toDoubleOfInt:
		r.cols[s.col].Doubles[i] = float64(r.long())
	case toDoubleOfFloat:
		r.cols[s.col].Doubles[i] = float64(r.float())
	case toDouble:
		r.cols[s.col].Doubles[i] = r.double()
	case toBool:
		r.cols[s.col].Bools[i] = r.boolean()
	case toText:
		r.cols[s.col].Strs[i] = r.valid(r.bytes())
	case toBytes:
		r.cols[s.col].Strs[i] = view(r.raw(s.typ))
	case toSymbol:
		k := r.long()
		if k < 0 || k >= int64(len(s.symbols)) {
			r.fail(fmt.Sprintf("%s has no symbol %d", s.typ.title(), k))
			return
		}
		if s.symbols[k] == "" {
			r.wrong(s, strconv.Quote(s.typ.symbols[k])+", which the source's schema does not have")
			return
		}
		r.cols[s.col].Strs[i] = s.symbols[k]
	case toTime:
		v := inMillis(r.long(), s.unit)
		if v == math.MinInt64 && s.unit == engine.Seconds {
			r.wrong(s, "a time out of range")
			return
		}
		r.cols[s.col].Ints[i] = v
	case toDate:
		r.cols[s.col].Ints[i] = r.date()
	case toTimeOfText:
		raw := r.bytes()
		at, err := time.Parse(time.RFC3339, view(raw))
		if r.err == nil && err != nil {
			r.wrong(s, got([]byte(strconv.Quote(string(raw))))+", not RFC 3339")
			return
		}
		r.cols[s.col].Ints[i] = at.UnixMilli()
	case toDecimalText, toDecimalDouble, toDecimalInt:
		r.decimal(s)
	case toUUID:
		r.cols[s.col].Strs[i] = r.keep(appendUUID(r.text[:0], r.raw(s.typ)))
	case toAny:
		r.cols[s.col].Strs[i] = r.keep(r.json(r.text[:0], s.typ))
		if s.also != nil && r.err == nil {
			r.p = start
			r.run(s.also)
		} else {
			r.null(s.null)
		}
	}
}

// null makes columns null.
func (r *avroReader) null(cols []int) {
	for _, c := range cols {
		nullAt(&r.cols[c], r.i, r.n)
	}
}

// fill sets columns that the writer lacks.
func (r *avroReader) fill(m *avroMissing) {
	if m.step == nil {
		r.null(m.null)
		return
	}
	buf, p := r.buf, r.p
	r.buf, r.p = m.value, 0
	r.run(m.step)
	if r.err == nil {
		r.buf, r.p = buf, p
	}
}

func (r *avroReader) decimal(s *avroStep) {
	raw := r.raw(s.typ)
	var ok bool
	if r.text, ok = appendDecimal(r.text[:0], raw, s.typ.scale); !ok {
		r.wrong(s, "a decimal that is too long")
	}
	if r.err != nil {
		return
	}
	text := view(r.text)
	switch s.do {
	case toDecimalText:
		r.cols[s.col].Strs[r.i] = r.keep(r.text)
	case toDecimalDouble:
		v, err := strconv.ParseFloat(text, 64)
		if err != nil {
			r.wrong(s, "decimal "+text+", out of range")
			return
		}
		r.cols[s.col].Doubles[r.i] = v
	case toDecimalInt:
		v, ok := exactInt(r.text)
		if !ok {
			r.wrong(s, "decimal "+text+", out of range or not integral")
			return
		}
		r.cols[s.col].Ints[r.i] = v
	}
}

func (r *avroReader) wrong(s *avroStep, got string) {
	f := r.plans.fields[s.col]
	if r.err == nil {
		r.err = fmt.Errorf("column %q: want %s, got %s", f.Name, f.Type, got)
	}
}

// fail says that the bytes are not avro of the schema.
func (r *avroReader) fail(why string) {
	if r.err == nil {
		r.err = fmt.Errorf("byte %d: %s: the record is damaged, or was written with another schema", r.p, why)
	}
	r.p = len(r.buf)
}

// keep makes text that lives with the batch; r.text is its scratch.
func (r *avroReader) keep(text []byte) string {
	r.text = text
	return r.arena.keep(append(r.arena.room(len(text)), text...))
}

// valid is raw as text: invalid UTF-8 is U+FFFD.
func (r *avroReader) valid(raw []byte) string {
	if utf8.Valid(raw) {
		return view(raw)
	}
	return r.arena.keep(appendValid(r.arena.room(3*len(raw)), raw))
}

// The primitives.

func (r *avroReader) long() int64 {
	if r.p < len(r.buf) {
		if b := r.buf[r.p]; b < 0x80 {
			r.p++
			return int64(b>>1) ^ -int64(b&1)
		}
	}
	v, n := binary.Varint(r.buf[r.p:])
	if n <= 0 {
		r.fail("want a number")
		return 0
	}
	r.p += n
	return v
}

func (r *avroReader) take(n int64) []byte {
	if n < 0 || n > int64(len(r.buf)-r.p) {
		r.fail("the record is cut off")
		return nil
	}
	b := r.buf[r.p : r.p+int(n) : r.p+int(n)]
	r.p += int(n)
	return b
}

func (r *avroReader) bytes() []byte { return r.take(r.long()) }

// raw is the bytes of a bytes, string or fixed.
func (r *avroReader) raw(t *avroType) []byte {
	if t.kind == avroFixed {
		return r.take(int64(t.size))
	}
	return r.bytes()
}

func (r *avroReader) float() float32 {
	if b := r.take(4); b != nil {
		return math.Float32frombits(binary.LittleEndian.Uint32(b))
	}
	return 0
}

func (r *avroReader) double() float64 {
	if b := r.take(8); b != nil {
		return math.Float64frombits(binary.LittleEndian.Uint64(b))
	}
	return 0
}

func (r *avroReader) boolean() bool {
	b := r.take(1)
	if b != nil && b[0] > 1 {
		r.fail(fmt.Sprintf("a boolean is byte %d", b[0]))
	}
	return b != nil && b[0] == 1
}

const dayMillis = 24 * 60 * 60 * 1000

func (r *avroReader) date() int64 {
	days := r.long()
	if days > math.MaxInt32 || days < math.MinInt32 {
		r.fail("a date is out of range")
		return 0
	}
	return days * dayMillis
}

// blocks reads the blocks of an array or a map: item is called for each item.
// Where skip is true blocks that tell their bytes are passed over.
func (r *avroReader) blocks(skip bool, item func()) {
	if r.depth++; r.depth > maxDepth {
		r.fail("it is nested too deep")
		return
	}
	for r.err == nil {
		n := r.long()
		if n == 0 {
			break
		}
		if n < 0 {
			size := r.long()
			if skip {
				r.take(size)
				continue
			}
			n = -n
		}
		for ; n != 0 && r.err == nil; n-- {
			at := r.p
			item()
			if r.p == at {
				r.spend()
			}
		}
	}
	r.depth--
}

// skip passes over a value.
func (r *avroReader) skip(t *avroType) {
	switch t.kind {
	case avroBoolean:
		r.take(1)
	case avroInt, avroEnum:
		r.long()
	case avroFloat:
		r.take(4)
	case avroDouble:
		r.take(8)
	case avroBytes, avroString:
		r.bytes()
	case avroFixed:
		r.take(int64(t.size))
	case avroArray:
		r.blocks(true, func() { r.skip(t.items) })
	case avroMap:
		r.blocks(true, func() { r.bytes(); r.skip(t.items) })
	case avroRecord:
		if r.deeper() {
			for k := range t.fields {
				if r.skip(t.fields[k].typ); r.err != nil {
					return
				}
			}
			r.depth--
		}
	case avroUnion:
		if b := r.branch(t); b != nil {
			r.skip(b)
		}
	}
}

// deeper enters a record, if that is not too deep.
func (r *avroReader) deeper() bool {
	if r.depth++; r.depth > maxDepth {
		r.fail("it is nested too deep")
		return false
	}
	if len(r.buf) == r.p {
		r.spend()
	}
	return r.err == nil
}

// spend counts what takes no bytes, of which a few bytes can claim very much.
func (r *avroReader) spend() {
	if r.budget--; r.budget < 0 {
		r.fail("it holds too many values of no bytes")
	}
}

func (r *avroReader) branch(t *avroType) *avroType {
	b := r.long()
	if b < 0 || b >= int64(len(t.branches)) {
		r.fail(fmt.Sprintf("a union has no branch %d", b))
		return nil
	}
	return t.branches[b]
}

// json appends a value as JSON.
func (r *avroReader) json(dst []byte, t *avroType) []byte {
	switch t.logical {
	case logicalMillis:
		return strconv.AppendInt(dst, r.long(), 10)
	case logicalMicros:
		return strconv.AppendInt(dst, floorDiv(r.long(), 1e3), 10)
	case logicalNanos:
		return strconv.AppendInt(dst, floorDiv(r.long(), 1e6), 10)
	case logicalDate:
		return strconv.AppendInt(dst, r.date(), 10)
	case logicalDecimal:
		dst, ok := appendDecimal(append(dst, '"'), r.raw(t), t.scale)
		if !ok {
			r.fail("a decimal is too long")
		}
		return append(dst, '"')
	case logicalUUID:
		return append(appendUUID(append(dst, '"'), r.raw(t)), '"')
	case logicalJSON:
		if raw := r.bytes(); r.err == nil && json.Valid(raw) {
			return appendOneLine(dst, raw)
		} else {
			return engine.AppendString(dst, view(raw))
		}
	}
	switch t.kind {
	case avroNull:
		return append(dst, "null"...)
	case avroBoolean:
		return strconv.AppendBool(dst, r.boolean())
	case avroInt:
		return strconv.AppendInt(dst, r.long(), 10)
	case avroFloat:
		v := r.float()
		if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
			return append(dst, "null"...)
		}
		return strconv.AppendFloat(dst, float64(v), 'g', -1, 32)
	case avroDouble:
		return engine.AppendDouble(dst, r.double())
	case avroString:
		return engine.AppendString(dst, view(r.bytes()))
	case avroEnum:
		k := r.long()
		if k < 0 || k >= int64(len(t.symbols)) {
			r.fail(fmt.Sprintf("%s has no symbol %d", t.title(), k))
			return dst
		}
		return engine.AppendString(dst, t.symbols[k])
	case avroBytes, avroFixed:
		dst = base64.StdEncoding.AppendEncode(append(dst, '"'), r.raw(t))
		return append(dst, '"')
	case avroArray:
		first := true
		dst = append(dst, '[')
		r.blocks(false, func() {
			if !first {
				dst = append(dst, ',')
			}
			first = false
			dst = r.json(dst, t.items)
		})
		return append(dst, ']')
	case avroMap:
		first := true
		dst = append(dst, '{')
		r.blocks(false, func() {
			if !first {
				dst = append(dst, ',')
			}
			first = false
			dst = append(engine.AppendString(dst, view(r.bytes())), ':')
			dst = r.json(dst, t.items)
		})
		return append(dst, '}')
	case avroRecord:
		if !r.deeper() {
			return dst
		}
		dst = append(dst, '{')
		for k := range t.fields {
			if k > 0 {
				dst = append(dst, ',')
			}
			dst = append(engine.AppendString(dst, t.fields[k].name), ':')
			if dst = r.json(dst, t.fields[k].typ); r.err != nil {
				return dst
			}
		}
		r.depth--
		return append(dst, '}')
	}
	if b := r.branch(t); b != nil {
		return r.json(dst, b)
	}
	return dst
}

// appendUUID appends 16 bytes as 8-4-4-4-12 hexadecimal digits.
func appendUUID(dst, raw []byte) []byte {
	if len(raw) != 16 {
		return dst
	}
	dst = hex.AppendEncode(dst, raw[:4])
	for _, part := range [...][]byte{raw[4:6], raw[6:8], raw[8:10], raw[10:]} {
		dst = hex.AppendEncode(append(dst, '-'), part)
	}
	return dst
}
