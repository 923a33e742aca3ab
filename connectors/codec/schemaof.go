package codec

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/twmb/avro"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/leatstream/leat/engine"
)

// SchemaOf gives the schema that a sink's rows are written with: that of the
// options, where they have one, else one made for the columns. All its fields
// may be null.
//
//	string int double bool bytes   avro                 protobuf
//	timestamp                      timestamp-millis     google.protobuf.Timestamp
//	any                            string, logical type google.protobuf.Value
//	                               json
//	loc.lat                        record in field loc  message in field loc
//
// It is what NewRowEncoder takes when the options have no schema, too.
func SchemaOf(format string, schema *engine.Schema, opts EncoderOptions) (Schema, error) {
	if opts.Schema.Text != "" {
		return opts.Schema, nil
	}
	root, err := columnTree(schema, opts)
	if err != nil {
		return Schema{}, err
	}
	switch format {
	case "avro":
		g := avroGenerator{schema.Fields}
		return Schema{Format: format, Text: g.record(schemaName(opts.Name), root)}, nil
	case "protobuf":
		return protoSchemaOf(schema, opts, root)
	}
	return Schema{}, fmt.Errorf("format %q has no schemas", format)
}

// columnTree is the columns that are written, by paths whose every name can
// name a field.
func columnTree(schema *engine.Schema, opts EncoderOptions) (*tree, error) {
	var fields []engine.Field
	cols := opts.columns(schema)
	for _, c := range cols {
		f := schema.Fields[c]
		if f.Type == engine.Invalid || f.Type > engine.Any {
			return nil, fmt.Errorf("column %q has no type", f.Name)
		}
		if opts.Flat {
			f.Name = strings.ReplaceAll(f.Name, ".", "_")
		}
		for name := range strings.SplitSeq(f.Name, ".") {
			if name == "" || name != identifier(name) {
				return nil, fmt.Errorf("column %q cannot be a field: %q is no name of letters, digits and _", f.Name, name)
			}
		}
		fields = append(fields, f)
	}
	root := newTree(fields)
	return root, renumber(root, cols, fields)
}

// renumber turns positions into column numbers.
func renumber(t *tree, cols []int, fields []engine.Field) error {
	if t.col >= 0 {
		if len(t.kids) > 0 {
			return fmt.Errorf("column %q cannot be a field beside what is inside it: drop one", fields[t.col].Name)
		}
		t.col = cols[t.col]
	}
	for _, k := range t.kids {
		if err := renumber(k, cols, fields); err != nil {
			return err
		}
	}
	return nil
}

// identifier is name with all that is not a letter, a digit or _ as _.
func identifier(name string) string {
	name = strings.Map(func(r rune) rune {
		if r == '_' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' {
			return r
		}
		return '_'
	}, name)
	if name != "" && '0' <= name[0] && name[0] <= '9' {
		return "_" + name
	}
	return name
}

// schemaName is the name of a record or message.
func schemaName(name string) string {
	if name == "" {
		return "row"
	}
	return identifier(name)
}

type avroGenerator struct{ fields []engine.Field }

func (g avroGenerator) record(name string, t *tree) string {
	var b strings.Builder
	fmt.Fprintf(&b, `{"type":"record","name":"%s","fields":[`, name)
	for k, kid := range t.kids {
		if k > 0 {
			b.WriteByte(',')
		}
		typ := g.record(name+"_"+kid.name, kid)
		if kid.col >= 0 {
			typ = avroTypeOf[g.fields[kid.col].Type]
		}
		fmt.Fprintf(&b, `{"name":"%s","type":["null",%s],"default":null}`, kid.name, typ)
	}
	return b.String() + "]}"
}

var avroTypeOf = map[engine.Type]string{
	engine.String: `"string"`, engine.Int: `"long"`, engine.Double: `"double"`, engine.Bool: `"boolean"`, engine.Bytes: `"bytes"`,
	engine.Timestamp: `{"type":"long","logicalType":"timestamp-millis"}`, engine.Any: `{"type":"string","logicalType":"json"}`,
}

// protoSchemaOf makes a .proto file. Fields keep the numbers that they have in
// the previous schema; numbers of fields that are gone stay reserved.
func protoSchemaOf(schema *engine.Schema, opts EncoderOptions, root *tree) (Schema, error) {
	var previous protoreflect.MessageDescriptor
	if opts.Previous.Text != "" && opts.Previous.Format == "protobuf" {
		f, err := parseProto(opts.Previous)
		if err != nil {
			return Schema{}, err
		}
		if previous, err = protoMessageOf(f, ""); err != nil {
			return Schema{}, err
		}
	}
	g := protoGenerator{fields: schema.Fields, imports: map[string]bool{}}
	g.message(schemaName(opts.Name), root, previous, "")
	text := "syntax = \"proto3\";\n"
	for _, i := range slices.Sorted(maps.Keys(g.imports)) {
		text += fmt.Sprintf("import %q;\n", i)
	}
	return Schema{Format: "protobuf", Text: text + g.text.String()}, nil
}

type protoGenerator struct {
	fields  []engine.Field
	imports map[string]bool
	text    strings.Builder
}

var protoTypeOf = map[engine.Type]string{
	engine.String: "string", engine.Int: "int64", engine.Double: "double", engine.Bool: "bool", engine.Bytes: "bytes",
	engine.Timestamp: protoTimestamp, engine.Any: protoValue,
}

func (g *protoGenerator) message(name string, t *tree, previous protoreflect.MessageDescriptor, indent string) {
	fmt.Fprintf(&g.text, "%smessage %s {\n", indent, name)
	next := protoreflect.FieldNumber(1)
	var reserved []protoreflect.FieldNumber
	if previous != nil {
		for k := range previous.Fields().Len() {
			f := previous.Fields().Get(k)
			next = max(next, f.Number()+1)
			if !slices.ContainsFunc(t.kids, func(kid *tree) bool { return kid.name == string(f.Name()) }) {
				reserved = append(reserved, f.Number())
			}
		}
		ranges := previous.ReservedRanges()
		for k := range ranges.Len() {
			for n := ranges.Get(k)[0]; n < ranges.Get(k)[1] && len(reserved) < maxColumns; n++ {
				reserved = append(reserved, n)
				next = max(next, n+1)
			}
		}
	}
	slices.Sort(reserved)
	for _, n := range reserved {
		fmt.Fprintf(&g.text, "%s  reserved %d;\n", indent, n)
	}
	for _, kid := range t.kids {
		var was protoreflect.FieldDescriptor
		if previous != nil {
			was = previous.Fields().ByName(protoreflect.Name(kid.name))
		}
		number := next
		if was != nil {
			number = was.Number()
		} else {
			next++
		}
		if 19000 <= next && next <= 19999 { // protobuf's own
			next = 20000
		}
		typ := ""
		if kid.col >= 0 {
			of := g.fields[kid.col].Type
			typ = protoTypeOf[of]
			switch of {
			case engine.Timestamp:
				g.imports["google/protobuf/timestamp.proto"] = true
			case engine.Any:
				g.imports["google/protobuf/struct.proto"] = true
			}
		} else {
			typ = name + "_" + kid.name
			var inside protoreflect.MessageDescriptor
			if was != nil {
				inside = was.Message()
			}
			g.message(typ, kid, inside, indent+"  ")
		}
		fmt.Fprintf(&g.text, "%s  optional %s %s = %d;\n", indent, typ, kid.name, number)
	}
	fmt.Fprintf(&g.text, "%s}\n", indent)
}

// Compatible tells whether who reads with the schema next can read what was
// written with the schema before it (a registry's BACKWARD): nil, or an
// ErrIncompatible that says where not.
func Compatible(previous, next Schema) error {
	if previous.Format != next.Format {
		return fmt.Errorf("%w: it is %s, its predecessor %s", ErrIncompatible, next.Format, previous.Format)
	}
	switch next.Format {
	case "avro":
		before, err := libraryAvro(previous)
		if err != nil {
			return err
		}
		after, err := libraryAvro(next)
		if err != nil {
			return err
		}
		if err := avro.CheckCompatibility(before, after); err != nil {
			return fmt.Errorf("%w: %v", ErrIncompatible, err)
		}
	case "protobuf":
		before, err := parseProto(previous)
		if err != nil {
			return err
		}
		after, err := parseProto(next)
		if err != nil {
			return err
		}
		return compatibleMessages(before.Messages(), after.Messages())
	}
	return nil
}

// libraryAvro reads a schema for the library's own use.
func libraryAvro(s Schema) (*avro.Schema, error) {
	var cache avro.SchemaCache
	for _, i := range s.Imports {
		if _, err := cache.Parse(i.Text); err != nil {
			return nil, fmt.Errorf("read avro schema of %q: %w", i.Name, err)
		}
	}
	parsed, err := cache.Parse(s.Text)
	if err != nil {
		return nil, fmt.Errorf("read avro schema: %w", err)
	}
	return parsed, nil
}

// compatibleMessages: a message of one name keeps its place, and a field of one
// number its wire form.
func compatibleMessages(before, after protoreflect.MessageDescriptors) error {
	for k := range before.Len() {
		was := before.Get(k)
		is := after.ByName(was.Name())
		if is == nil || is.Index() != was.Index() {
			return fmt.Errorf("%w: message %s is gone, or at another place of the file", ErrIncompatible, was.FullName())
		}
		for f := range was.Fields().Len() {
			a := was.Fields().Get(f)
			b := is.Fields().ByNumber(a.Number())
			if b == nil {
				continue
			}
			if a.Kind() != b.Kind() || a.IsList() != b.IsList() || a.IsMap() != b.IsMap() || a.Message() != nil && a.Message().FullName() != b.Message().FullName() {
				return fmt.Errorf("%w: field %d of message %s is %s %s, was %s %s", ErrIncompatible, a.Number(), was.FullName(), protoTitle(b), b.Name(), protoTitle(a), a.Name())
			}
		}
		if err := compatibleMessages(was.Messages(), is.Messages()); err != nil {
			return err
		}
	}
	return nil
}
