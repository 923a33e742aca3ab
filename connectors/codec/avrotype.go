package codec

import (
	"errors"
	"fmt"
	"math/big"
	"strings"

	"github.com/twmb/avro"

	"github.com/leatstream/leat/engine"
)

// avroType is one type of an avro schema, with its names resolved: a recursive
// type is a cycle of pointers.
type avroType struct {
	kind     avroKind
	logical  avroLogical
	name     string // of records, enums and fixed, with the namespace
	fields   []avroField
	items    *avroType // of arrays and maps
	branches []*avroType
	symbols  []string
	fallback int // of enums: the symbol for one that is not known, or -1
	size     int // of fixed, bytes
	scale    int // of decimals
	node     *avro.SchemaNode
}

type avroField struct {
	name     string
	aliases  []string
	typ      *avroType
	fallback []byte // the default in avro's encoding, if there is one
	defaults bool
}

type avroKind uint8

const (
	avroNull avroKind = iota
	avroBoolean
	avroInt // and long: they are written alike
	avroFloat
	avroDouble
	avroBytes
	avroString
	avroFixed
	avroEnum
	avroArray
	avroMap
	avroRecord
	avroUnion
)

var avroKinds = map[string]avroKind{
	"null": avroNull, "boolean": avroBoolean, "int": avroInt, "long": avroInt, "float": avroFloat, "double": avroDouble,
	"bytes": avroBytes, "string": avroString, "fixed": avroFixed, "enum": avroEnum, "array": avroArray, "map": avroMap,
	"record": avroRecord, "error": avroRecord,
}

var avroKindNames = [...]string{"null", "boolean", "int", "float", "double", "bytes", "string", "fixed", "enum", "array", "map", "record", "union"}

// avroLogical is what a type means. Those that change nothing for us, and
// those that we do not know, are none.
type avroLogical uint8

const (
	logicalNone avroLogical = iota
	logicalMillis
	logicalMicros
	logicalNanos
	logicalDate
	logicalDecimal
	logicalUUID // on fixed
	logicalJSON // text that is JSON: ours, and Debezium's
)

// maxAvroTypes bounds a schema.
const maxAvroTypes = 100_000

// parseAvro reads the text of an avro schema, and those it imports.
func parseAvro(s Schema) (*avroType, error) {
	var cache avro.SchemaCache
	p := avroParser{named: map[string]*avroType{}}
	for _, i := range s.Imports {
		parsed, err := cache.Parse(i.Text)
		if err == nil {
			_, err = p.typeOf(parsed.Root(), "")
		}
		if err != nil {
			return nil, fmt.Errorf("read avro schema of %q: %w", i.Name, err)
		}
	}
	parsed, err := cache.Parse(s.Text)
	if err != nil {
		return nil, fmt.Errorf("read avro schema: %w", err)
	}
	t, err := p.typeOf(parsed.Root(), "")
	if err != nil {
		return nil, fmt.Errorf("read avro schema: %w", err)
	}
	return t, nil
}

type avroParser struct {
	named map[string]*avroType
	count int
}

// typeOf makes a type of a node, whose names are in namespace ns.
func (p *avroParser) typeOf(n *avro.SchemaNode, ns string) (*avroType, error) {
	if p.count++; p.count > maxAvroTypes {
		return nil, errors.New("it is too large")
	}
	if len(n.Branches) > 0 || n.Type == "union" {
		t := &avroType{kind: avroUnion, node: n}
		for k := range n.Branches {
			b, err := p.typeOf(&n.Branches[k], ns)
			if err != nil {
				return nil, err
			}
			t.branches = append(t.branches, b)
		}
		return t, nil
	}
	kind, ok := avroKinds[n.Type]
	if !ok {
		if t := p.find(n.Type, ns); t != nil {
			return t, nil
		}
		return nil, fmt.Errorf("type %q is not defined", n.Type)
	}
	t := &avroType{kind: kind, node: n, size: n.Size, scale: n.Scale, symbols: n.Symbols, fallback: -1}
	t.logical = logicalOf(n, kind)
	switch kind {
	case avroEnum, avroFixed, avroRecord:
		t.name = n.Name
		if !strings.Contains(n.Name, ".") && n.Namespace != "" {
			t.name = n.Namespace + "." + n.Name
		}
		ns = ""
		if dot := strings.LastIndexByte(t.name, '.'); dot >= 0 {
			ns = t.name[:dot]
		}
		p.named[t.name] = t
	}
	var err error
	switch kind {
	case avroArray:
		t.items, err = p.typeOf(n.Items, ns)
	case avroMap:
		t.items, err = p.typeOf(n.Values, ns)
	case avroEnum:
		for k, s := range n.Symbols {
			if n.HasEnumDefault && s == n.EnumDefault {
				t.fallback = k
			}
		}
	case avroRecord:
		for k := range n.Fields {
			f := &n.Fields[k]
			field := avroField{name: f.Name, aliases: f.Aliases, defaults: f.HasDefault}
			if field.typ, err = p.typeOf(&f.Type, ns); err != nil {
				return nil, err
			}
			if f.HasDefault {
				sub, err := f.Type.Schema()
				if err == nil {
					field.fallback, err = sub.Encode(f.Default)
				}
				if err != nil {
					return nil, fmt.Errorf("default of field %q: %w", f.Name, err)
				}
			}
			t.fields = append(t.fields, field)
		}
	}
	return t, err
}

func (p *avroParser) find(name, ns string) *avroType {
	if !strings.Contains(name, ".") && ns != "" {
		if t := p.named[ns+"."+name]; t != nil {
			return t
		}
	}
	return p.named[name]
}

func logicalOf(n *avro.SchemaNode, kind avroKind) avroLogical {
	switch n.LogicalType {
	case "timestamp-millis", "local-timestamp-millis":
		if n.Type == "long" {
			return logicalMillis
		}
	case "timestamp-micros", "local-timestamp-micros":
		if n.Type == "long" {
			return logicalMicros
		}
	case "timestamp-nanos", "local-timestamp-nanos":
		if n.Type == "long" {
			return logicalNanos
		}
	case "date":
		if n.Type == "int" {
			return logicalDate
		}
	case "decimal":
		if kind == avroBytes || kind == avroFixed {
			return logicalDecimal
		}
	case "uuid":
		if kind == avroFixed && n.Size == 16 {
			return logicalUUID
		}
	case "json":
		if kind == avroString {
			return logicalJSON
		}
	}
	if name, _ := n.Props["connect.name"].(string); name == "io.debezium.data.Json" && kind == avroString {
		return logicalJSON
	}
	return logicalNone
}

// title names a type for people: timestamp-millis, map, record geo.Loc.
func (t *avroType) title() string {
	s := avroKindNames[t.kind]
	switch {
	case t.node.LogicalType != "" && t.logical != logicalNone:
		return t.node.LogicalType
	case t.name != "":
		return s + " " + t.name
	case t.kind == avroInt:
		return t.node.Type
	}
	return s
}

// inner is the one type of a nullable union, else nil.
func (t *avroType) inner() *avroType {
	var one *avroType
	for _, b := range t.branches {
		if b.kind == avroNull {
			continue
		}
		if one != nil {
			return nil
		}
		one = b
	}
	return one
}

// column is the type of a column for values of t, and of its elements where it
// is a list. Records have none.
func (t *avroType) column() (of, elem engine.Type) {
	switch t.logical {
	case logicalMillis, logicalMicros, logicalNanos, logicalDate:
		return engine.Timestamp, engine.Invalid
	case logicalDecimal, logicalUUID:
		return engine.String, engine.Invalid
	case logicalJSON:
		return engine.Any, engine.Invalid
	}
	switch t.kind {
	case avroBoolean:
		return engine.Bool, engine.Invalid
	case avroInt:
		return engine.Int, engine.Invalid
	case avroFloat, avroDouble:
		return engine.Double, engine.Invalid
	case avroString, avroEnum:
		return engine.String, engine.Invalid
	case avroBytes, avroFixed:
		return engine.Bytes, engine.Invalid
	case avroArray:
		item := t.items
		if item.kind == avroUnion {
			item = item.inner()
		}
		if item == nil || item.kind == avroRecord {
			return engine.Any, engine.Any
		}
		elem, _ := item.column()
		return engine.Any, elem
	case avroUnion:
		if one := t.inner(); one != nil && one.kind != avroRecord {
			return one.column()
		}
	}
	return engine.Any, engine.Invalid
}

// avroColumns lists the columns of a schema.
func avroColumns(s Schema) ([]Column, error) {
	t, err := parseAvro(s)
	if err != nil {
		return nil, err
	}
	if t.kind != avroRecord {
		return nil, fmt.Errorf("the avro schema is %s, want a record", t.title())
	}
	return appendAvroColumns(nil, t, "", map[*avroType]bool{})
}

// maxColumns bounds what a schema flattens to.
const maxColumns = 10_000

var errTooWide = fmt.Errorf("the schema has more than %d columns", maxColumns)

// appendAvroColumns adds a record's columns. A record inside itself is Any.
func appendAvroColumns(dst []Column, t *avroType, prefix string, open map[*avroType]bool) ([]Column, error) {
	open[t] = true
	defer delete(open, t)
	for _, f := range t.fields {
		typ := f.typ
		if typ.kind == avroUnion {
			if one := typ.inner(); one != nil {
				typ = one
			}
		}
		if typ.kind == avroRecord && len(typ.fields) > 0 && !open[typ] && len(open) < maxDepth/2 {
			var err error
			if dst, err = appendAvroColumns(dst, typ, prefix+f.name+".", open); err != nil {
				return nil, err
			}
			continue
		}
		if len(dst) >= maxColumns {
			return nil, errTooWide
		}
		of, elem := typ.column()
		dst = append(dst, Column{engine.Field{Name: prefix + f.name, Type: of}, elem})
	}
	return dst, nil
}

// maxDecimalBytes bounds the digits of a decimal: 1024 bytes are 2466 digits.
const maxDecimalBytes = 1024

// appendDecimal appends a decimal, two's complement, as exact text: -0.05.
func appendDecimal(dst, raw []byte, scale int) ([]byte, bool) {
	if len(raw) > maxDecimalBytes || scale < -maxDecimalBytes || scale > 8*maxDecimalBytes {
		return dst, false
	}
	var v big.Int
	v.SetBytes(raw)
	if len(raw) > 0 && raw[0] >= 0x80 {
		v.Sub(&v, new(big.Int).Lsh(big.NewInt(1), uint(8*len(raw))))
	}
	if v.Sign() < 0 {
		dst = append(dst, '-')
		v.Neg(&v)
	}
	digits := v.String()
	if scale <= 0 {
		dst = append(dst, digits...)
		if v.Sign() != 0 {
			dst = append(dst, strings.Repeat("0", -scale)...)
		}
		return dst, true
	}
	if len(digits) <= scale {
		digits = strings.Repeat("0", scale-len(digits)+1) + digits
	}
	dst = append(dst, digits[:len(digits)-scale]...)
	dst = append(dst, '.')
	return append(dst, digits[len(digits)-scale:]...), true
}
