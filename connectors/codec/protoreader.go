package codec

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/leatstream/leat/engine"
)

// protoReader reads protobuf's wire format along plans, field by field into
// columns: what comes again replaces what was there, and messages merge, as
// the format demands.
type protoReader struct {
	plans *protoPlans
	known map[protoName]protoPlan
	name  protoName // of the value before
	last  protoPlan

	record uint64   // number of the record, from 1
	seen   []uint64 // per message of the plan: the last record that had it
	parts  []protoPart

	cols  []engine.Column
	i, n  int
	text  []byte
	arena arena
}

// protoPart is what a record has of a field that is gathered: tags and values.
type protoPart struct {
	record uint64
	wire   []byte
	owned  bool
}

func (r *protoReader) read(value []byte, cols []engine.Column, i, n int) error {
	root := r.plans.bare
	if r.plans.from != nil {
		id, rest, err := unframe(value)
		if err != nil {
			return err
		}
		_, size, err := messageIndexes(rest)
		if err != nil {
			return err
		}
		if root, err = r.planOf(id, rest[:size]); err != nil {
			return err
		}
		value = rest[size:]
	}
	r.cols, r.i, r.n = cols, i, n
	r.record++
	if len(r.seen) < root.messages {
		r.seen = append(r.seen, make([]uint64, root.messages-len(r.seen))...)
	}
	if len(r.parts) < root.fields {
		r.parts = append(r.parts, make([]protoPart, root.fields-len(r.parts))...)
	}
	err := r.message(root.message, value, 0)
	if err == nil {
		err = r.finish(root.message)
	}
	r.cols = nil
	return err
}

func (r *protoReader) planOf(id int, indexes []byte) (*protoRoot, error) {
	if r.last.root != nil && id == r.name.id && sameBytes(r.name.indexes, indexes) {
		return r.last.root, r.last.err
	}
	name := protoName{id, string(indexes)}
	plan, ok := r.known[name]
	if !ok {
		var err error
		if plan, err = r.plans.of(name); err != nil {
			return nil, err
		}
		r.known[name] = plan
	}
	r.name, r.last = name, plan
	return plan.root, plan.err
}

var errProtoCut = errors.New("the message is damaged, or was written with another schema")

// message reads a message, or one more part of it.
func (r *protoReader) message(m *protoMessage, b []byte, depth int) error {
	if depth > maxDepth {
		return errors.New("it is nested too deep")
	}
	if r.seen[m.number] != r.record {
		r.seen[m.number] = r.record
		for _, f := range m.unset {
			r.unset(f)
		}
		for _, c := range m.missing {
			nullAt(&r.cols[c], r.i, r.n)
		}
	}
	for len(b) > 0 {
		number, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return errProtoCut
		}
		f := m.field(number)
		size := protowire.ConsumeFieldValue(number, typ, b[n:])
		if size < 0 {
			return errProtoCut
		}
		if f != nil && f.takes(typ) {
			if err := r.field(f, typ, b[:n+size], b[n:n+size], depth); err != nil {
				return err
			}
		}
		b = b[n+size:]
	}
	return nil
}

// takes tells whether a value of a wire type is the field's; else it is
// skipped, as an unknown field is.
func (f *protoField) takes(typ protowire.Type) bool {
	if f.do == protoNothing || f.do == protoGather {
		return true // dynamicpb decides
	}
	return typ == f.wire
}

func wireType(k protoreflect.Kind) protowire.Type {
	switch k {
	case protoreflect.StringKind, protoreflect.BytesKind, protoreflect.MessageKind:
		return protowire.BytesType
	case protoreflect.FloatKind, protoreflect.Fixed32Kind, protoreflect.Sfixed32Kind:
		return protowire.Fixed32Type
	case protoreflect.DoubleKind, protoreflect.Fixed64Kind, protoreflect.Sfixed64Kind:
		return protowire.Fixed64Type
	case protoreflect.GroupKind:
		return protowire.StartGroupType
	}
	return protowire.VarintType
}

// unset makes a field as it is where no value has come.
func (r *protoReader) unset(f *protoField) {
	switch {
	case f.do == protoGather && (f.desc.IsList() || f.desc.IsMap()):
		r.cols[f.col].Strs[r.i] = "[]"
		if f.desc.IsMap() {
			r.cols[f.col].Strs[r.i] = "{}"
		}
		r.clearNull(f.col)
		return
	case f.do == protoScalar && !f.presence:
		zero(&r.cols[f.col], r.i)
		if f.zero != "" {
			r.cols[f.col].Strs[r.i] = f.zero
		}
		r.clearNull(f.col)
		return
	}
	if f.do == protoGather && f.outer.Fields().ByNumber(f.desc.Number()) == f.desc && !f.desc.HasPresence() {
		// A scalar as any: what it is where it is not set is JSON too.
		r.cols[f.col].Strs[r.i] = r.keep(appendProtoJSON(r.text[:0], f.desc, f.desc.Default()))
		r.clearNull(f.col)
		return
	}
	for _, c := range f.null {
		nullAt(&r.cols[c], r.i, r.n)
	}
}

func (r *protoReader) clearNull(col int) {
	if nulls := r.cols[col].Nulls; nulls != nil {
		nulls[r.i] = false
	}
}

// forget makes a field unset again: another member of its oneof has come.
func (r *protoReader) forget(f *protoField) {
	r.unset(f)
	if f.do == protoGather {
		r.parts[f.number].record = 0
	}
	if f.inside != nil {
		r.forgetMessage(f.inside)
	}
}

func (r *protoReader) forgetMessage(m *protoMessage) {
	r.seen[m.number] = 0
	for _, f := range m.unset {
		if f.do == protoGather {
			r.parts[f.number].record = 0
		}
		if f.inside != nil {
			r.forgetMessage(f.inside)
		}
	}
}

// field takes a value of f; whole is the value with its tag.
func (r *protoReader) field(f *protoField, typ protowire.Type, whole, value []byte, depth int) error {
	for _, other := range f.others {
		r.forget(other)
	}
	switch f.do {
	case protoNothing:
		return nil
	case protoGather:
		p := &r.parts[f.number]
		switch {
		case p.record != r.record:
			*p = protoPart{record: r.record, wire: whole}
		case p.owned:
			p.wire = append(p.wire, whole...)
		default:
			p.wire, p.owned = append(slices.Clone(p.wire), whole...), true
		}
		if f.inside == nil || typ != f.wire {
			return nil
		}
		return r.message(f.inside, f.messageBytes(typ, value), depth+1)
	case protoInside:
		return r.message(f.inside, f.messageBytes(typ, value), depth+1)
	}
	r.clearNull(f.col)
	return r.scalar(f, value)
}

// messageBytes is the content of a message or group.
func (f *protoField) messageBytes(typ protowire.Type, value []byte) []byte {
	if typ == protowire.StartGroupType {
		b, _ := protowire.ConsumeGroup(f.desc.Number(), value)
		return b
	}
	b, _ := protowire.ConsumeBytes(value)
	return b
}

// scalar sets f's column to a value.
func (r *protoReader) scalar(f *protoField, value []byte) error {
	col := &r.cols[f.col]
	var n int64
	switch kind := f.kind; kind {
	case protoreflect.StringKind, protoreflect.BytesKind:
		b, _ := protowire.ConsumeBytes(value)
		return r.bytes(f, b)
	case protoreflect.FloatKind:
		v, _ := protowire.ConsumeFixed32(value)
		col.Doubles[r.i] = float64(math.Float32frombits(v))
		return nil
	case protoreflect.DoubleKind:
		v, _ := protowire.ConsumeFixed64(value)
		col.Doubles[r.i] = math.Float64frombits(v)
		return nil
	case protoreflect.BoolKind:
		v, _ := protowire.ConsumeVarint(value)
		col.Bools[r.i] = v != 0
		return nil
	case protoreflect.Fixed32Kind:
		v, _ := protowire.ConsumeFixed32(value)
		n = int64(v)
	case protoreflect.Sfixed32Kind:
		v, _ := protowire.ConsumeFixed32(value)
		n = int64(int32(v))
	case protoreflect.Sfixed64Kind:
		v, _ := protowire.ConsumeFixed64(value)
		n = int64(v)
	default:
		v, _ := protowire.ConsumeVarint(value)
		switch kind {
		case protoreflect.Int32Kind, protoreflect.EnumKind:
			n = int64(int32(v))
		case protoreflect.Uint32Kind:
			n = int64(uint32(v))
		case protoreflect.Sint32Kind:
			n = int64(int32(protowire.DecodeZigZag(v & math.MaxUint32)))
		case protoreflect.Sint64Kind:
			n = protowire.DecodeZigZag(v)
		case protoreflect.Fixed64Kind:
			v, _ = protowire.ConsumeFixed64(value)
			fallthrough
		case protoreflect.Uint64Kind:
			if col.Type == engine.Double {
				col.Doubles[r.i] = float64(v)
				return nil
			}
			if v > math.MaxInt64 {
				return r.wrong(f, fmt.Sprintf("number %d, out of range", v))
			}
			n = int64(v)
		default:
			n = int64(v)
		}
	}
	switch col.Type {
	case engine.Double:
		col.Doubles[r.i] = float64(n)
	case engine.String: // an enum
		e := f.desc.Enum()
		v := e.Values().ByNumber(protoreflect.EnumNumber(n))
		switch {
		case v != nil:
			col.Strs[r.i] = string(v.Name())
		case e.IsClosed():
			// As if it had not come, as far as protobuf goes.
			r.unset(f)
		default:
			col.Strs[r.i] = strconv.FormatInt(n, 10)
		}
	case engine.Timestamp:
		v := inMillis(n, f.unit)
		if v == math.MinInt64 && f.unit == engine.Seconds {
			return r.wrong(f, "a time out of range")
		}
		col.Ints[r.i] = v
	default:
		col.Ints[r.i] = n
	}
	return nil
}

func (r *protoReader) bytes(f *protoField, b []byte) error {
	col := &r.cols[f.col]
	if f.kind == protoreflect.StringKind && col.Type != engine.Bytes && !utf8.Valid(b) {
		if f.desc.ParentFile().Syntax() != protoreflect.Proto2 {
			return r.wrong(f, "bytes that are not UTF-8")
		}
		b = appendValid(r.arena.room(3*len(b)), b)
		col.Strs[r.i] = r.arena.keep(b)
	}
	if col.Type == engine.Timestamp {
		at, err := time.Parse(time.RFC3339, view(b))
		if err != nil {
			return r.wrong(f, got([]byte(strconv.Quote(string(b))))+", not RFC 3339")
		}
		col.Ints[r.i] = at.UnixMilli()
		return nil
	}
	col.Strs[r.i] = view(b)
	return nil
}

func (r *protoReader) wrong(f *protoField, got string) error {
	field := r.plans.fields[f.col]
	return fmt.Errorf("column %q: want %s, got %s", field.Name, field.Type, got)
}

// finish reads what was gathered.
func (r *protoReader) finish(m *protoMessage) error {
	if r.seen[m.number] != r.record {
		return nil
	}
	for _, f := range m.unset {
		if f.do == protoGather && r.parts[f.number].record == r.record {
			if err := r.gathered(f, r.parts[f.number].wire); err != nil {
				return err
			}
		}
		if f.inside != nil {
			if err := r.finish(f.inside); err != nil {
				return err
			}
		}
	}
	return nil
}

var protoPartial = proto.UnmarshalOptions{AllowPartial: true, DiscardUnknown: true, RecursionLimit: maxDepth}

// gathered sets a column to all that a record has of a field.
func (r *protoReader) gathered(f *protoField, wire []byte) error {
	if r.cols[f.col].Type != engine.Any {
		return r.wellKnown(f, wire)
	}
	message := dynamicpb.NewMessage(f.outer)
	if err := protoPartial.Unmarshal(wire, message); err != nil {
		return fmt.Errorf("column %q: %s", r.plans.fields[f.col].Name, protoText(err))
	}
	number, _, _ := protowire.ConsumeTag(wire)
	field := f.outer.Fields().ByNumber(number)
	if !message.Has(field) && field.HasPresence() {
		return nil
	}
	r.clearNull(f.col)
	r.cols[f.col].Strs[r.i] = r.keep(appendProtoJSON(r.text[:0], field, message.Get(field)))
	return nil
}

// wellKnown sets a column to a message of Google's that stands for one value:
// a time, or a wrapped scalar. Its parts merge.
//
//	Timestamp   1: seconds, 2: nanoseconds      Int64Value   1: the value
func (r *protoReader) wellKnown(f *protoField, wire []byte) error {
	var time [3]int64
	wrapper := protoWrappers[f.desc.ContainingMessage().FullName()]
	for len(wire) > 0 {
		number, typ, n := protowire.ConsumeTag(wire)
		size := protowire.ConsumeFieldValue(number, typ, wire[n:])
		body, _ := protowire.ConsumeBytes(wire[n:])
		wire = wire[n+size:]
		if typ != protowire.BytesType {
			continue // an unknown field, as far as protobuf goes
		}
		if r.cols[f.col].Null(int32(r.i)) {
			zero(&r.cols[f.col], r.i)
			r.clearNull(f.col)
		}
		for len(body) > 0 {
			number, typ, n := protowire.ConsumeTag(body)
			if n < 0 {
				return errProtoCut
			}
			size := protowire.ConsumeFieldValue(number, typ, body[n:])
			if size < 0 {
				return errProtoCut
			}
			value := body[n : n+size]
			body = body[n+size:]
			if wrapper && number == 1 && typ == f.wire {
				if err := r.scalar(f, value); err != nil {
					return err
				}
			} else if !wrapper && number <= 2 && typ == protowire.VarintType {
				v, _ := protowire.ConsumeVarint(value)
				time[number] = int64(v)
			}
		}
	}
	if wrapper || r.cols[f.col].Null(int32(r.i)) {
		return nil
	}
	at, ok := timestampMillis(time[1], int64(int32(time[2])))
	if !ok {
		return r.wrong(f, "a google.protobuf.Timestamp out of range")
	}
	r.cols[f.col].Ints[r.i] = at
	return nil
}

// protoText is an error of the library, whose spaces differ from build to build
// so that nobody relies on them.
func protoText(err error) string {
	return strings.TrimPrefix(strings.ReplaceAll(err.Error(), "\u00a0", " "), "proto: ")
}

// timestampMillis is a google.protobuf.Timestamp as epoch milliseconds; finer
// times are cut off.
func timestampMillis(seconds, nanos int64) (int64, bool) {
	if seconds > math.MaxInt64/1000-1 || seconds < math.MinInt64/1000+1 || nanos < 0 || nanos > 999_999_999 {
		return 0, false
	}
	return seconds*1000 + nanos/1e6, true
}

func (r *protoReader) keep(text []byte) string {
	r.text = text
	return r.arena.keep(append(r.arena.room(len(text)), text...))
}

// appendProtoJSON appends a field's value as JSON.
func appendProtoJSON(dst []byte, f protoreflect.FieldDescriptor, v protoreflect.Value) []byte {
	switch {
	case f.IsMap():
		return appendProtoMap(dst, f, v.Map())
	case f.IsList():
		dst = append(dst, '[')
		list := v.List()
		for k := range list.Len() {
			if k > 0 {
				dst = append(dst, ',')
			}
			dst = appendProtoValue(dst, f, list.Get(k))
		}
		return append(dst, ']')
	}
	return appendProtoValue(dst, f, v)
}

func appendProtoMap(dst []byte, f protoreflect.FieldDescriptor, m protoreflect.Map) []byte {
	var keys []protoreflect.MapKey
	m.Range(func(k protoreflect.MapKey, _ protoreflect.Value) bool {
		keys = append(keys, k)
		return true
	})
	slices.SortFunc(keys, func(a, b protoreflect.MapKey) int { return strings.Compare(a.String(), b.String()) })
	dst = append(dst, '{')
	for i, k := range keys {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(engine.AppendString(dst, k.String()), ':')
		dst = appendProtoValue(dst, f.MapValue(), m.Get(k))
	}
	return append(dst, '}')
}

// appendProtoValue appends one value, of a list's element too, as JSON.
func appendProtoValue(dst []byte, f protoreflect.FieldDescriptor, v protoreflect.Value) []byte {
	switch f.Kind() {
	case protoreflect.BoolKind:
		return strconv.AppendBool(dst, v.Bool())
	case protoreflect.StringKind:
		return engine.AppendString(dst, v.String())
	case protoreflect.BytesKind:
		dst = base64.StdEncoding.AppendEncode(append(dst, '"'), v.Bytes())
		return append(dst, '"')
	case protoreflect.EnumKind:
		return engine.AppendString(dst, enumName(f.Enum(), v.Enum()))
	case protoreflect.FloatKind:
		if x := v.Float(); !math.IsNaN(x) && !math.IsInf(x, 0) {
			return strconv.AppendFloat(dst, x, 'g', -1, 32)
		}
		return append(dst, "null"...)
	case protoreflect.DoubleKind:
		return engine.AppendDouble(dst, v.Float())
	case protoreflect.Uint32Kind, protoreflect.Uint64Kind, protoreflect.Fixed32Kind, protoreflect.Fixed64Kind:
		return strconv.AppendUint(dst, v.Uint(), 10)
	case protoreflect.MessageKind, protoreflect.GroupKind:
		return appendProtoMessage(dst, v.Message())
	}
	return strconv.AppendInt(dst, v.Int(), 10)
}

func appendProtoMessage(dst []byte, m protoreflect.Message) []byte {
	fields := m.Descriptor().Fields()
	if inner := wrapped(m.Descriptor()); inner != nil {
		return appendProtoValue(dst, inner, m.Get(inner))
	}
	switch m.Descriptor().FullName() {
	case protoTimestamp:
		if at, ok := timestampMillis(m.Get(fields.ByNumber(1)).Int(), m.Get(fields.ByNumber(2)).Int()); ok {
			return strconv.AppendInt(dst, at, 10)
		}
		return append(dst, "null"...)
	case protoStruct, protoList:
		return appendProtoJSON(dst, fields.ByNumber(1), m.Get(fields.ByNumber(1)))
	case protoValue:
		which := m.WhichOneof(m.Descriptor().Oneofs().Get(0))
		if which == nil || which.Number() == 1 {
			return append(dst, "null"...)
		}
		return appendProtoValue(dst, which, m.Get(which))
	}
	dst = append(dst, '{')
	first := true
	for k := range fields.Len() {
		f := fields.Get(k)
		if f.HasPresence() && !m.Has(f) {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(engine.AppendString(dst, string(f.Name())), ':')
		dst = appendProtoJSON(dst, f, m.Get(f))
	}
	return append(dst, '}')
}
