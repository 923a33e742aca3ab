package codec

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/leatstream/leat/engine"
)

// Protobuf makes decoders for protobuf messages. Columns find their fields by
// the names of the .proto file (a nested column by its path). What a field may
// be:
//
//	int         all integers, an enum's number; a uint64 beyond 63 bits is an error
//	double      all numbers
//	bool        bool
//	string      string, enum: its name, or its number where that has no name
//	timestamp   google.protobuf.Timestamp; an integer in the column's unit; a
//	            string with RFC 3339 text
//	bytes       bytes, string
//	any         anything, as JSON: a message is an object of what is set, with
//	            the names of the .proto file, a map one with sorted keys, bytes
//	            are base64, a time is epoch milliseconds; google.protobuf.Value,
//	            Struct and ListValue are the JSON they stand for
//
// Google's wrappers (Int64Value) are as what they wrap, or null. A field that
// knows whether it is set (optional, oneof, a message, all of proto2) is null
// where it is not; others are 0, "", false, [], {}. Of a oneof the last member
// counts. A column that the message lacks is null; a field of another type, and
// a schema or a message that is not known, are errors of the value.
func Protobuf(schema *engine.Schema, opts Options) (func() engine.Decoder, error) {
	if err := checkColumns(schema, "protobuf"); err != nil {
		return nil, err
	}
	plans := &protoPlans{fields: schema.Fields, tree: newTree(schema.Fields), from: opts.Schemas, known: map[protoName]protoPlan{}, files: map[int]protoreflect.FileDescriptor{}}
	switch {
	case opts.Schemas != nil:
	case opts.Schema.Text == "":
		return nil, errors.New("format protobuf needs a schema: of a registry, or of a file")
	default:
		f, err := parseProto(opts.Schema)
		if err != nil {
			return nil, err
		}
		m, err := protoMessageOf(f, opts.Message)
		if err != nil {
			return nil, err
		}
		c := protoCompiler{fields: schema.Fields, strict: true}
		if plans.bare, err = c.plan(m, plans.tree); err != nil {
			return nil, err
		}
	}
	return func() engine.Decoder {
		return &records{schema, &protoReader{plans: plans, known: map[protoName]protoPlan{}}}
	}, nil
}

// protoName names a message of a registry: the schema's id and the indexes.
type protoName struct {
	id      int
	indexes string
}

// protoPlans finds the way from each writer's message to the columns. It is
// shared by a source's decoders.
type protoPlans struct {
	fields []engine.Field
	tree   *tree
	bare   *protoRoot
	from   Schemas

	mu    sync.Mutex
	known map[protoName]protoPlan
	files map[int]protoreflect.FileDescriptor
}

type protoPlan struct {
	root *protoRoot
	err  error
}

// of gives the plan for values of a message; an error is not to be kept.
func (p *protoPlans) of(name protoName) (protoPlan, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if plan, ok := p.known[name]; ok {
		return plan, nil
	}
	file, ok := p.files[name.id]
	if !ok {
		s, err := fetchSchema(p.from, name.id, "protobuf")
		if err != nil {
			return protoPlan{}, err
		}
		if file, err = parseProto(s); err != nil {
			return protoPlan{}, fmt.Errorf("schema %d: %w", name.id, err)
		}
		p.files[name.id] = file
	}
	indexes, _, _ := messageIndexes([]byte(name.indexes))
	m, err := protoMessageAt(file, indexes)
	if err != nil {
		return protoPlan{}, fmt.Errorf("schema %d: %w", name.id, err)
	}
	c := protoCompiler{fields: p.fields}
	var plan protoPlan
	if plan.root, err = c.plan(m, p.tree); err != nil {
		plan.err = fmt.Errorf("schema %d: %w", name.id, err)
	}
	p.known[name] = plan
	return plan, nil
}

// messageIndexes reads the indexes behind a frame, and gives their length.
//
//	02 │ 00      zigzag: one index, 0
//	00           the same, short
func messageIndexes(b []byte) (indexes []int, size int, err error) {
	count, n := binary.Varint(b)
	if n <= 0 || count < 0 || count > maxIndexes {
		return nil, 0, errors.New("the message's indexes are damaged")
	}
	size = n
	for range count {
		k, n := binary.Varint(b[size:])
		if n <= 0 || k < 0 || k > 1<<20 {
			return nil, 0, errors.New("the message's indexes are damaged")
		}
		indexes = append(indexes, int(k))
		size += n
	}
	if count == 0 {
		indexes = []int{0}
	}
	return indexes, size, nil
}

func appendIndexes(dst []byte, indexes []int) []byte {
	if len(indexes) == 1 && indexes[0] == 0 {
		return append(dst, 0)
	}
	dst = binary.AppendVarint(dst, int64(len(indexes)))
	for _, k := range indexes {
		dst = binary.AppendVarint(dst, int64(k))
	}
	return dst
}

// protoRoot is the plan of a message: what to do with its fields, by number.
type protoRoot struct {
	message *protoMessage
	// messages and fields are all of the plan: a reader remembers for each
	// whether the record has had it.
	messages, fields int
}

// protoMessage is the plan of a message at one place of the record.
type protoMessage struct {
	number  int // among the plan's
	desc    protoreflect.MessageDescriptor
	dense   []*protoField // by field number, where small
	sparse  map[protoreflect.FieldNumber]*protoField
	unset   []*protoField // what the message is before any field has come
	missing []int         // columns that it has not
}

const denseFields = 64

func (m *protoMessage) field(n protoreflect.FieldNumber) *protoField {
	if n < denseFields {
		if int(n) < len(m.dense) {
			return m.dense[n]
		}
		return nil
	}
	return m.sparse[n]
}

// protoField is what to do with a field's values.
type protoField struct {
	do     protoDo
	number int // among the plan's that are gathered
	col    int
	unit   engine.TimeUnit
	desc   protoreflect.FieldDescriptor // of what is in a wrapper, too
	// What desc says, which is slow to ask.
	kind     protoreflect.Kind
	wire     protowire.Type
	presence bool
	outer    protoreflect.MessageDescriptor
	inside   *protoMessage // of protoInside, and of any with columns inside
	others   []*protoField // the other members of its oneof
	zero     string        // of an enum that is not set
	null     []int         // its columns
}

type protoDo uint8

const (
	protoScalar  protoDo = iota
	protoInside          // columns inside a message
	protoGather          // kept until the record's end, and read then: any, times, wrappers
	protoNothing         // a member of a oneof that is no column
)

// protoCompiler makes plans.
type protoCompiler struct {
	fields []engine.Field
	strict bool // a column without a field is an error
	root   protoRoot
}

func (c *protoCompiler) plan(m protoreflect.MessageDescriptor, t *tree) (*protoRoot, error) {
	var err error
	c.root.message, err = c.message(m, t)
	return &c.root, err
}

func (c *protoCompiler) message(m protoreflect.MessageDescriptor, t *tree) (*protoMessage, error) {
	plan := &protoMessage{number: c.root.messages, desc: m, sparse: map[protoreflect.FieldNumber]*protoField{}}
	c.root.messages++
	for _, kid := range t.kids {
		f := m.Fields().ByName(protoreflect.Name(kid.name))
		if f == nil {
			if c.strict {
				return nil, fmt.Errorf("column %q: message %s has no field %q", c.fields[kid.cols(nil)[0]].Name, m.FullName(), kid.name)
			}
			plan.missing = kid.cols(plan.missing)
			continue
		}
		p, err := c.field(f, kid)
		if err != nil {
			return nil, err
		}
		plan.add(f.Number(), p)
		plan.unset = append(plan.unset, p)
	}
	plan.oneofs()
	return plan, nil
}

func (m *protoMessage) add(n protoreflect.FieldNumber, f *protoField) {
	if n >= denseFields {
		m.sparse[n] = f
		return
	}
	for len(m.dense) <= int(n) {
		m.dense = append(m.dense, nil)
	}
	m.dense[n] = f
}

// oneofs tells members of one oneof of each other, also those that are no
// columns: they unset the others.
func (m *protoMessage) oneofs() {
	for k := range m.desc.Oneofs().Len() {
		members := m.desc.Oneofs().Get(k).Fields()
		var columns []*protoField
		for f := range members.Len() {
			if p := m.field(members.Get(f).Number()); p != nil {
				columns = append(columns, p)
			}
		}
		if len(columns) == 0 || members.Len() == 1 {
			continue
		}
		for f := range members.Len() {
			n := members.Get(f).Number()
			p := m.field(n)
			if p == nil {
				p = &protoField{do: protoNothing, desc: members.Get(f)}
				m.add(n, p)
			}
			for _, other := range columns {
				if other != p {
					p.others = append(p.others, other)
				}
			}
		}
	}
}

// field plans a field into the columns at and below t.
func (c *protoCompiler) field(f protoreflect.FieldDescriptor, t *tree) (*protoField, error) {
	p := &protoField{desc: f, outer: f.ContainingMessage(), col: t.col, null: t.cols(nil)}
	message := f.Message() != nil && !f.IsList() && !f.IsMap()
	if t.col < 0 || len(t.kids) > 0 {
		if !message && t.col < 0 {
			return nil, fmt.Errorf("column %q: want a message at %q, the protobuf schema has %s", c.fields[p.null[0]].Name, t.name, protoTitle(f))
		}
		if message {
			var err error
			if p.inside, err = c.message(f.Message(), &tree{col: -1, kids: t.kids}); err != nil {
				return nil, err
			}
		}
	}
	p.describe()
	if t.col < 0 {
		p.do = protoInside
		return p, nil
	}
	field := c.fields[t.col]
	p.unit = field.Unit
	good := false
	of := f
	if message {
		if inner := wrapped(f.Message()); inner != nil && field.Type != engine.Any {
			of = inner
		}
	}
	if field.Type == engine.Any {
		p.do, good = protoGather, true
	} else if !f.IsList() && !f.IsMap() {
		good = protoFits(of, field.Type)
		if message && good {
			p.do = protoGather
		}
		p.desc = of
	}
	if !good {
		return nil, fmt.Errorf("column %q: want %s, the protobuf schema has %s", field.Name, field.Type, protoTitle(f))
	}
	p.describe()
	if p.do == protoGather {
		p.number = c.root.fields
		c.root.fields++
	}
	if e := of.Enum(); e != nil && !f.IsList() && field.Type == engine.String {
		p.zero = enumName(e, of.Default().Enum())
	}
	return p, nil
}

// describe keeps what the descriptor says.
func (f *protoField) describe() {
	f.kind, f.presence = f.desc.Kind(), f.desc.HasPresence()
	f.wire = wireType(f.kind)
}

// protoFits tells whether a value of f can be in a column of type t.
func protoFits(f protoreflect.FieldDescriptor, t engine.Type) bool {
	kind := f.Kind()
	integer := slices.Contains(protoIntegers, kind)
	switch t {
	case engine.Int:
		return integer || kind == protoreflect.EnumKind
	case engine.Double:
		return integer || kind == protoreflect.FloatKind || kind == protoreflect.DoubleKind
	case engine.Bool:
		return kind == protoreflect.BoolKind
	case engine.String:
		return kind == protoreflect.StringKind || kind == protoreflect.EnumKind
	case engine.Bytes:
		return kind == protoreflect.BytesKind || kind == protoreflect.StringKind
	case engine.Timestamp:
		return integer || kind == protoreflect.StringKind || kind == protoreflect.MessageKind && f.Message().FullName() == protoTimestamp
	}
	return false
}

var protoIntegers = []protoreflect.Kind{
	protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Uint32Kind, protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Uint64Kind,
	protoreflect.Sfixed32Kind, protoreflect.Fixed32Kind, protoreflect.Sfixed64Kind, protoreflect.Fixed64Kind,
}

func enumName(e protoreflect.EnumDescriptor, n protoreflect.EnumNumber) string {
	if v := e.Values().ByNumber(n); v != nil {
		return string(v.Name())
	}
	return fmt.Sprint(n)
}

// sameBytes spares a lookup: most values are of the message of the one before.
func sameBytes(a string, b []byte) bool { return bytes.Equal(bytesOf(a), b) }
