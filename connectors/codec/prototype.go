package codec

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/bufbuild/protocompile"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/leatstream/leat/engine"
)

// protoFiles are what a Confluent registry knows without being told, beside
// Google's own.
var protoFiles = map[string]string{
	"confluent/meta.proto": `syntax = "proto3";
package confluent;
import "google/protobuf/descriptor.proto";
message Meta { string doc = 1; map<string, string> params = 2; repeated string tags = 3; }
extend google.protobuf.FileOptions { Meta file_meta = 1088; }
extend google.protobuf.MessageOptions { Meta message_meta = 1088; }
extend google.protobuf.FieldOptions { Meta field_meta = 1088; }
extend google.protobuf.EnumOptions { Meta enum_meta = 1088; }
extend google.protobuf.EnumValueOptions { Meta enum_value_meta = 1088; }
`,
	"confluent/type/decimal.proto": `syntax = "proto3";
package confluent.type;
message Decimal { bytes value = 1; uint32 precision = 2; int32 scale = 3; }
`,
}

// parseProto reads the text of a .proto file, and those it imports.
func parseProto(s Schema) (protoreflect.FileDescriptor, error) {
	files := map[string]string{}
	for name, text := range protoFiles {
		files[name] = text
	}
	for _, i := range s.Imports {
		files[i.Name] = i.Text
	}
	main := "schema.proto"
	for files[main] != "" {
		main = "_" + main
	}
	files[main] = s.Text
	compiler := protocompile.Compiler{
		Resolver: protocompile.WithStandardImports(&protocompile.SourceResolver{
			Accessor: protocompile.SourceAccessorFromMap(files),
		}),
		MaxParallelism: 1,
	}
	compiled, err := compiler.Compile(context.Background(), main)
	if err != nil {
		return nil, fmt.Errorf("read protobuf schema: %w", err)
	}
	return compiled[0], nil
}

// protoMessageOf finds a message of a file by its name, with or without the
// package; "" is the first.
func protoMessageOf(f protoreflect.FileDescriptor, name string) (protoreflect.MessageDescriptor, error) {
	all := f.Messages()
	if all.Len() == 0 {
		return nil, errors.New("the protobuf schema has no message")
	}
	if name == "" {
		return all.Get(0), nil
	}
	if p := string(f.Package()); p != "" {
		name = strings.TrimPrefix(name, p+".")
	}
	var found protoreflect.MessageDescriptor
	for part := range strings.SplitSeq(name, ".") {
		if found = all.ByName(protoreflect.Name(part)); found == nil {
			return nil, fmt.Errorf("the protobuf schema has no message %q", name)
		}
		all = found.Messages()
	}
	return found, nil
}

// maxIndexes bounds how deep a message may be declared inside others.
const maxIndexes = 64

// protoMessageAt finds a message by the indexes of a framed value.
func protoMessageAt(f protoreflect.FileDescriptor, indexes []int) (protoreflect.MessageDescriptor, error) {
	all := f.Messages()
	var found protoreflect.MessageDescriptor
	for _, k := range indexes {
		if k < 0 || k >= all.Len() {
			return nil, fmt.Errorf("the protobuf schema has no message %v", indexes)
		}
		found = all.Get(k)
		all = found.Messages()
	}
	return found, nil
}

// protoIndexes are the indexes of a message in its file.
func protoIndexes(m protoreflect.MessageDescriptor) []int {
	var indexes []int
	for at := protoreflect.Descriptor(m); at != nil; at = at.Parent() {
		if _, ok := at.(protoreflect.MessageDescriptor); ok {
			indexes = append([]int{at.Index()}, indexes...)
		}
	}
	return indexes
}

// protoColumn is the type of a column for values of f, and of its elements
// where it is a list. Of a message with columns of its own, nested is true.
func protoColumn(f protoreflect.FieldDescriptor) (of, elem engine.Type, nested bool) {
	if f.IsMap() {
		return engine.Any, engine.Invalid, false
	}
	of = engine.Any
	switch f.Kind() {
	case protoreflect.BoolKind:
		of = engine.Bool
	case protoreflect.FloatKind, protoreflect.DoubleKind:
		of = engine.Double
	case protoreflect.StringKind, protoreflect.EnumKind:
		of = engine.String
	case protoreflect.BytesKind:
		of = engine.Bytes
	case protoreflect.MessageKind, protoreflect.GroupKind:
		if inner := wrapped(f.Message()); inner != nil {
			of, _, _ = protoColumn(inner)
			break
		}
		switch f.Message().FullName() {
		case protoTimestamp:
			of = engine.Timestamp
		case protoValue, protoStruct:
		case protoList:
			return engine.Any, engine.Any, false
		default:
			nested = !f.IsList()
		}
	default:
		of = engine.Int
	}
	if f.IsList() {
		return engine.Any, of, false
	}
	return of, engine.Invalid, nested
}

const (
	protoTimestamp = "google.protobuf.Timestamp"
	protoValue     = "google.protobuf.Value"
	protoStruct    = "google.protobuf.Struct"
	protoList      = "google.protobuf.ListValue"
)

var protoWrappers = map[protoreflect.FullName]bool{
	"google.protobuf.BoolValue": true, "google.protobuf.BytesValue": true, "google.protobuf.DoubleValue": true,
	"google.protobuf.FloatValue": true, "google.protobuf.Int32Value": true, "google.protobuf.Int64Value": true,
	"google.protobuf.StringValue": true, "google.protobuf.UInt32Value": true, "google.protobuf.UInt64Value": true,
}

// wrapped is the field inside one of Google's wrappers of scalars, else nil.
func wrapped(m protoreflect.MessageDescriptor) protoreflect.FieldDescriptor {
	if protoWrappers[m.FullName()] {
		return m.Fields().ByNumber(1)
	}
	return nil
}

// protoColumns lists the columns of a message.
func protoColumns(s Schema, message string) ([]Column, error) {
	f, err := parseProto(s)
	if err != nil {
		return nil, err
	}
	m, err := protoMessageOf(f, message)
	if err != nil {
		return nil, err
	}
	return appendProtoColumns(nil, m, "", map[protoreflect.FullName]bool{})
}

// appendProtoColumns adds a message's columns. A message inside itself is Any.
func appendProtoColumns(dst []Column, m protoreflect.MessageDescriptor, prefix string, open map[protoreflect.FullName]bool) ([]Column, error) {
	open[m.FullName()] = true
	defer delete(open, m.FullName())
	fields := m.Fields()
	for k := range fields.Len() {
		f := fields.Get(k)
		of, elem, nested := protoColumn(f)
		if nested && !open[f.Message().FullName()] && f.Message().Fields().Len() > 0 && len(open) < maxDepth/2 {
			var err error
			if dst, err = appendProtoColumns(dst, f.Message(), prefix+string(f.Name())+".", open); err != nil {
				return nil, err
			}
			continue
		}
		if len(dst) >= maxColumns {
			return nil, errTooWide
		}
		dst = append(dst, Column{engine.Field{Name: prefix + string(f.Name()), Type: of}, elem})
	}
	return dst, nil
}

// protoTitle names a field's type for people: repeated int64, map, message a.B.
func protoTitle(f protoreflect.FieldDescriptor) string {
	s := f.Kind().String()
	switch {
	case f.IsMap():
		return "a map"
	case f.Kind() == protoreflect.MessageKind || f.Kind() == protoreflect.GroupKind:
		s = "message " + string(f.Message().FullName())
	case f.Kind() == protoreflect.EnumKind:
		s = "enum " + string(f.Enum().FullName())
	}
	if f.IsList() {
		return "repeated " + s
	}
	return s
}
