// Package codec turns the bytes of records into typed columns, and rows of
// columns back into bytes.
//
//	Rows.Values                         Batch.Cols
//	{"id":"a","t":1.5,"x":[1]}   ──▶    id  │ a │ b │        one pass, only the
//	{"id":"b","t":null}                 t   │1.5│ ∅ │        declared columns
//	                             ◀──    Encoder.AppendRow
//
// There are only a few types: Kind (a format by its name in a pipeline) and
// Envelope (what may be around its rows), Options, the engine's Decoder that
// NewDecoder makes; EncoderOptions and the RowEncoder that NewRowEncoder makes
// (of JSON, the Encoder); Schema, and Schemas, which finds them.
//
//	format    decoder                      encoder          schema of its own
//	bytes     value.go                     rowencoder.go
//	string    value.go                     rowencoder.go
//	csv       csv.go                       csvencoder.go
//	json      json.go                      encoder.go
//	avro      avro.go, avroreader.go       avroencoder.go   avrotype.go
//	protobuf  proto.go, protoreader.go     protoencoder.go  prototype.go
//
//	envelope  debezium.go, outbox.go, on stages of plain decoders (envelope.go)
//
// Avro and protobuf. Each value is read with the schema that wrote it, which a
// registry finds by the id before the value, or which a file gives. It is
// compiled to a plan: what to do with each field, in the order of the bytes, be
// it a column or to be passed over. columns.go tells which columns a schema
// has, schemaof.go makes a schema of columns. A schema that is not known is an
// error of the row; a registry that is not there stops the decoder with an
// engine.Error of kind Retry. The libraries read schemas, and values of any
// where protobuf needs them merged; all else is read and written here, and the
// libraries are the tests' judges.
//
// How JSON is read. A decoder learns what stands between two values of a
// record as a piece of text, and expects it again:
//
//	{"id": ⟨a⟩ ,"t": ⟨1.5⟩ ,"x": ⟨[1]⟩ }
//	╰─lit─╯    ╰lit╯       ╰lit─╯      lit      compared as bytes
//
// Where the text is another, the pieces are parsed token by token and learned
// as an alternative; the values themselves are always parsed. So a wrong guess
// costs time and never changes a result. The files: shape.go what is learned,
// json.go the way through a record, word.go the short values (eight bytes at a
// time), scan.go and number.go all values, wrong.go the errors. Tests can turn
// learning off, and check both ways against encoding/json.
//
// Invariants: a decoder reads bytes and never writes to them; strings without
// escapes are sub-slices of the record's value and live as long as it does;
// whatever a record contains, it is decoded or reported with an error that
// names the column or the byte, and never panics; a column has the value that
// encoding/json, or the format's own library, would give it; a value always has
// the same row, whatever was read before it.
//
// To add a format or an envelope: one file with its constructor, one line in
// kinds.go, one text file in testdata.
package codec
