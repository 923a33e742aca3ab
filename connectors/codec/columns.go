package codec

import "fmt"

// ColumnsOf lists the columns that a schema has, for a source that does not
// declare its own: the fields of a record in order, those of a nested one at
// their paths. message names the message of a protobuf schema ("": the first).
// How types map is with Avro and Protobuf. A record inside itself is any.
func ColumnsOf(s Schema, message string) ([]Column, error) {
	switch s.Format {
	case "avro":
		return avroColumns(s)
	case "protobuf":
		return protoColumns(s, message)
	}
	return nil, fmt.Errorf("format %q has no schemas", s.Format)
}
