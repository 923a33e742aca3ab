package codec

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/leatstream/leat/engine"
)

// protoEncoders makes encoders of rows as protobuf messages. Columns go to the
// fields of their name, as the table of SchemaOf has them; with a schema of
// one's own also
//
//	string      enum, by name; bytes
//	int         all numbers, enum
//	double      float
//	timestamp   int64 in milliseconds, string as RFC 3339 text
//	any         anything, from protobuf's JSON
//
// and what Google's wrappers wrap. Null is a field that is not set, so a reader
// finds 0, "" or false where a field cannot tell. A value that does not fit is
// an error of the row.
func protoEncoders(schema *engine.Schema, opts EncoderOptions) (func() RowEncoder, error) {
	s, err := SchemaOf("protobuf", schema, opts)
	if err != nil {
		return nil, err
	}
	f, err := parseProto(s)
	if err != nil {
		return nil, err
	}
	message := opts.Message
	if opts.Schema.Text == "" {
		message = ""
	}
	m, err := protoMessageOf(f, message)
	if err != nil {
		return nil, err
	}
	root, err := columnTree(schema, opts)
	if err != nil {
		return nil, err
	}
	c := protoWriteCompiler{schema.Fields}
	plan, err := c.message(m, root)
	if err != nil {
		return nil, err
	}
	var frame []byte
	if opts.Framed {
		frame = appendIndexes(appendFrame(nil, opts.ID), protoIndexes(m))
	}
	return func() RowEncoder { return &protoRows{frame: frame, fields: schema.Fields, plan: plan} }, nil
}

// protoWrite is what to write for a field. It does not change.
type protoWrite struct {
	desc  protoreflect.FieldDescriptor
	inner protoreflect.FieldDescriptor // of a wrapper
	col   int                          // -1: a message of columns
	steps []*protoWrite
}

type protoWriteCompiler struct{ fields []engine.Field }

func (c protoWriteCompiler) message(m protoreflect.MessageDescriptor, columns *tree) ([]*protoWrite, error) {
	var steps []*protoWrite
	for _, kid := range columns.kids {
		f := m.Fields().ByName(protoreflect.Name(kid.name))
		name := c.fields[kid.cols(nil)[0]].Name
		if f == nil {
			return nil, fmt.Errorf("column %q: message %s has no field %q: drop the column, or add the field", name, m.FullName(), kid.name)
		}
		if f.Kind() == protoreflect.GroupKind {
			return nil, fmt.Errorf("column %q: a group cannot be written", name)
		}
		w := &protoWrite{desc: f, col: kid.col}
		switch {
		case kid.col >= 0:
			if !w.fits(c.fields[kid.col].Type) {
				return nil, fmt.Errorf("column %q: %s cannot be written as protobuf %s", name, c.fields[kid.col].Type, protoTitle(f))
			}
		case f.Message() == nil || f.IsList() || f.IsMap():
			return nil, fmt.Errorf("column %q: want a message at %q, the protobuf schema has %s", name, kid.name, protoTitle(f))
		default:
			var err error
			if w.steps, err = c.message(f.Message(), kid); err != nil {
				return nil, err
			}
		}
		steps = append(steps, w)
	}
	slices.SortFunc(steps, func(a, b *protoWrite) int { return int(a.desc.Number() - b.desc.Number()) })
	return steps, nil
}

// fits tells whether a column of type t can be written, and finds the wrapper.
func (w *protoWrite) fits(t engine.Type) bool {
	if t == engine.Any {
		return true
	}
	f := w.desc
	if f.IsList() || f.IsMap() {
		return false
	}
	if f.Message() != nil {
		if w.inner = wrapped(f.Message()); w.inner == nil {
			return t == engine.Timestamp && f.Message().FullName() == protoTimestamp
		}
		f = w.inner
	}
	kind := f.Kind()
	integer := slices.Contains(protoIntegers, kind)
	switch t {
	case engine.String:
		return kind == protoreflect.StringKind || kind == protoreflect.EnumKind || kind == protoreflect.BytesKind
	case engine.Bytes:
		return kind == protoreflect.BytesKind
	case engine.Int:
		return integer || kind == protoreflect.EnumKind || kind == protoreflect.FloatKind || kind == protoreflect.DoubleKind
	case engine.Double:
		return kind == protoreflect.FloatKind || kind == protoreflect.DoubleKind
	case engine.Bool:
		return kind == protoreflect.BoolKind
	}
	return kind == protoreflect.Int64Kind || kind == protoreflect.StringKind
}

type protoRows struct {
	frame  []byte
	fields []engine.Field
	plan   []*protoWrite
	parts  [][]byte // scratch, per depth
}

func (e *protoRows) AppendRow(dst []byte, cols []engine.Column, row int32) ([]byte, error) {
	return e.message(append(dst, e.frame...), e.plan, cols, row, 0)
}

func (e *protoRows) message(dst []byte, plan []*protoWrite, cols []engine.Column, row int32, depth int) ([]byte, error) {
	for len(e.parts) <= depth {
		e.parts = append(e.parts, nil)
	}
	for _, w := range plan {
		if w.col < 0 {
			part, err := e.message(e.parts[depth][:0], w.steps, cols, row, depth+1)
			if err != nil {
				return dst, err
			}
			e.parts[depth] = part
			if len(part) > 0 {
				dst = protowire.AppendTag(dst, w.desc.Number(), protowire.BytesType)
				dst = protowire.AppendBytes(dst, part)
			}
			continue
		}
		col := &cols[w.col]
		if col.Null(row) {
			continue
		}
		var err error
		if dst, err = w.append(dst, col, row); err != nil {
			return dst, fmt.Errorf("column %q: %w", e.fields[w.col].Name, err)
		}
	}
	return dst, nil
}

var errProtoFit = errors.New("the value does not fit the protobuf schema's field")

// append writes row of a column that is not null, with its tag.
func (w *protoWrite) append(dst []byte, col *engine.Column, row int32) ([]byte, error) {
	if col.Type == engine.Any {
		return w.any(dst, col.Strs[row])
	}
	if w.inner != nil {
		inner, err := (&protoWrite{desc: w.inner}).append(nil, col, row)
		dst = protowire.AppendTag(dst, w.desc.Number(), protowire.BytesType)
		return protowire.AppendBytes(dst, inner), err
	}
	number := w.desc.Number()
	kind := w.desc.Kind()
	if kind == protoreflect.MessageKind {
		ms := col.Ints[row]
		seconds := floorDiv(ms, 1000)
		var part []byte
		if seconds != 0 {
			part = protowire.AppendVarint(protowire.AppendTag(part, 1, protowire.VarintType), uint64(seconds))
		}
		if nanos := (ms - seconds*1000) * 1e6; nanos != 0 {
			part = protowire.AppendVarint(protowire.AppendTag(part, 2, protowire.VarintType), uint64(nanos))
		}
		return protowire.AppendBytes(protowire.AppendTag(dst, number, protowire.BytesType), part), nil
	}
	start := len(dst)
	dst = protowire.AppendTag(dst, number, wireType(kind))
	dst, zero, err := w.scalar(dst, col, row)
	if err == nil && zero && !w.desc.HasPresence() {
		return dst[:start], nil
	}
	return dst, err
}

// scalar writes a value without its tag, and tells whether it is the zero value.
func (w *protoWrite) scalar(dst []byte, col *engine.Column, row int32) (out []byte, zero bool, err error) {
	kind := w.desc.Kind()
	switch kind {
	case protoreflect.BoolKind:
		return protowire.AppendVarint(dst, protowire.EncodeBool(col.Bools[row])), !col.Bools[row], nil
	case protoreflect.FloatKind, protoreflect.DoubleKind:
		var v float64
		if col.Type == engine.Int {
			v = float64(col.Ints[row])
		} else {
			v = col.Doubles[row]
		}
		if kind == protoreflect.FloatKind {
			bits := math.Float32bits(float32(v))
			return protowire.AppendFixed32(dst, bits), bits == 0, nil
		}
		bits := math.Float64bits(v)
		return protowire.AppendFixed64(dst, bits), bits == 0, nil
	case protoreflect.StringKind, protoreflect.BytesKind:
		text := ""
		if col.Type == engine.Timestamp {
			text = time.UnixMilli(col.Ints[row]).UTC().Format("2006-01-02T15:04:05.000Z07:00")
		} else {
			text = col.Strs[row]
		}
		if kind == protoreflect.StringKind && !utf8.ValidString(text) {
			return dst, false, fmt.Errorf("%w: it is not UTF-8", errProtoFit)
		}
		return protowire.AppendString(dst, text), text == "", nil
	case protoreflect.EnumKind:
		n := protoreflect.EnumNumber(0)
		if col.Type == engine.String {
			v := w.desc.Enum().Values().ByName(protoreflect.Name(col.Strs[row]))
			if v == nil {
				return dst, false, fmt.Errorf("%w: enum %s has no %q", errProtoFit, w.desc.Enum().FullName(), col.Strs[row])
			}
			n = v.Number()
		} else if n = protoreflect.EnumNumber(col.Ints[row]); int64(n) != col.Ints[row] {
			return dst, false, fmt.Errorf("%w: %d is beyond an enum", errProtoFit, col.Ints[row])
		}
		return protowire.AppendVarint(dst, uint64(n)), n == 0, nil
	}
	return w.integer(dst, kind, col.Ints[row])
}

func (w *protoWrite) integer(dst []byte, kind protoreflect.Kind, v int64) (out []byte, zero bool, err error) {
	fits := true
	switch kind {
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		fits = int64(int32(v)) == v
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		fits = int64(uint32(v)) == v
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		fits = v >= 0
	}
	if !fits {
		return dst, false, fmt.Errorf("%w: %d is beyond %s", errProtoFit, v, kind)
	}
	switch wireType(kind) {
	case protowire.Fixed32Type:
		return protowire.AppendFixed32(dst, uint32(v)), v == 0, nil
	case protowire.Fixed64Type:
		return protowire.AppendFixed64(dst, uint64(v)), v == 0, nil
	}
	if kind == protoreflect.Sint32Kind || kind == protoreflect.Sint64Kind {
		return protowire.AppendVarint(dst, protowire.EncodeZigZag(v)), v == 0, nil
	}
	return protowire.AppendVarint(dst, uint64(v)), v == 0, nil
}

var protoOrdered = proto.MarshalOptions{Deterministic: true, AllowPartial: true}

// any writes JSON as what the schema makes of it. JSON's null is not set.
func (w *protoWrite) any(dst []byte, text string) ([]byte, error) {
	if !json.Valid(bytesOf(text)) {
		return dst, fmt.Errorf("%w: it is no JSON", errProtoFit)
	}
	if w.desc.Kind() == protoreflect.StringKind && !w.desc.IsList() && !w.desc.IsMap() {
		return protowire.AppendString(protowire.AppendTag(dst, w.desc.Number(), protowire.BytesType), text), nil
	}
	object := append(engine.AppendString([]byte("{"), w.desc.JSONName()), ':')
	object = append(append(object, text...), '}')
	m := dynamicpb.NewMessage(w.desc.ContainingMessage())
	err := protojson.UnmarshalOptions{AllowPartial: true, RecursionLimit: maxDepth}.Unmarshal(object, m)
	if err == nil {
		dst, err = protoOrdered.MarshalAppend(dst, m)
	}
	if err != nil {
		return dst, fmt.Errorf("%w: %s", errProtoFit, protoText(err))
	}
	return dst, nil
}
