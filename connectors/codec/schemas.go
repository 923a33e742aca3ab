package codec

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/leatstream/leat/engine"
)

// Schema is the text of a schema that a registry or a file keeps.
type Schema struct {
	ID      int    // of the registry; 0: none
	Subject string // "" where it was found by its id
	Version int    // of the subject; 0: not known
	Format  string // avro, protobuf, json
	Text    string
	// Imports are the schemas that Text refers to, each after those it needs.
	Imports []Import
}

// Import is a schema that another one refers to: for protobuf the Name is the
// path it is imported by, for avro that of a type it defines. Subject and
// Version tell a registry where it is; a file has none.
type Import struct {
	Name    string
	Text    string
	Subject string
	Version int
}

// Schemas finds schemas. Its methods may be called from several goroutines.
type Schemas interface {
	// ByID gives the schema that framed values call id. ErrUnknownSchema says
	// that there is none, which is the record's fault. Any other error is the
	// registry's: it stops the decoder, with the kind that it has, or, as of no
	// kind, with engine.Retry.
	ByID(id int) (Schema, error)
	// Latest gives the newest schema of a subject, ErrUnknownSchema if none.
	Latest(subject string) (Schema, error)
}

// ErrUnknownSchema reports an id or a subject that a registry does not have.
var ErrUnknownSchema = errors.New("unknown schema")

// ErrIncompatible reports a schema that readers of its predecessor cannot read.
var ErrIncompatible = errors.New("incompatible schema")

// Column is one column that a schema has.
type Column struct {
	engine.Field
	// Elem is the type of a list's elements, whose column is Any: Any where
	// they are lists or objects, Invalid where the column is no list.
	Elem engine.Type
}

// frameBytes is the head of a framed value: 0, then the schema's id, big endian.
//
//	00 │ 00 00 00 2a │ avro
//	00 │ 00 00 00 2a │ message indexes │ protobuf
const frameBytes = 5

// unframe splits a framed value.
func unframe(value []byte) (id int, rest []byte, err error) {
	if len(value) < frameBytes {
		return 0, nil, fmt.Errorf("want a schema's id in 5 bytes, got %d bytes", len(value))
	}
	if value[0] != 0 {
		return 0, nil, fmt.Errorf("want a schema's id, which begins with byte 0, got byte %#x", value[0])
	}
	return int(int32(binary.BigEndian.Uint32(value[1:]))), value[frameBytes:], nil
}

func appendFrame(dst []byte, id int) []byte {
	return binary.BigEndian.AppendUint32(append(dst, 0), uint32(id))
}

// fetchSchema gets the schema of an id in a format. A registry's trouble is to
// be tried again; all else is the record's fault.
func fetchSchema(from Schemas, id int, format string) (Schema, error) {
	s, err := from.ByID(id)
	switch {
	case errors.Is(err, ErrUnknownSchema):
		return s, fmt.Errorf("schema %d: %w", id, ErrUnknownSchema)
	case isStop(err):
		return s, err
	case err != nil:
		return s, engine.E(engine.Retry, fmt.Sprintf("find schema %d", id), err)
	case s.Format != format:
		return s, fmt.Errorf("schema %d is %s, not %s", id, s.Format, format)
	}
	return s, nil
}

// isStop tells an error that is not a record's fault.
func isStop(err error) bool {
	var e *engine.Error
	return errors.As(err, &e)
}
