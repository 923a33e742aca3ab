// Package registry finds and registers the schemas of avro and protobuf
// values: in a Confluent-compatible schema registry, or in a folder of files.
//
//	value   00 │ 00 00 00 2a │ …          framed by who wrote it
//	                  │
//	                  ▼ ByID(42)
//	Client ──▶ GET /schemas/ids/42 ──▶ kept for good: an id never changes
//	Folder ──▶ ids.json ──▶ orders-value@2.avsc
//
// There are only three types: Registry, which says what both can do, Client
// and Folder. The package codec reads and writes the values; nothing here knows
// what is in a schema.
//
// Invariants: all methods may be called from several goroutines; each call ends
// within the client's timeout; an id or a subject that is not there is
// codec.ErrUnknownSchema, and nothing else is; a schema that an older one's
// readers could not take is codec.ErrIncompatible and is never registered.
package registry

import "github.com/leatstream/leat/connectors/codec"

// Registry keeps schemas by id, and by subject and version.
type Registry interface {
	codec.Schemas
	// Check tells whether Register would take the schema, and changes nothing:
	// codec.ErrIncompatible if not.
	Check(subject string, s codec.Schema) error
	// Register makes the schema the subject's newest, if it is not one of its
	// schemas already, and gives its id.
	Register(subject string, s codec.Schema) (id int, err error)
}

var (
	_ Registry = (*Client)(nil)
	_ Registry = (*Folder)(nil)
)
