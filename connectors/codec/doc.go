// Package codec turns the bytes of records into typed columns, and rows of
// columns back into bytes.
//
//	Rows.Values                         Batch.Cols
//	{"id":"a","t":1.5,"x":[1]}   ──▶    id  │ a │ b │        one pass, only the
//	{"id":"b","t":null}                 t   │1.5│ ∅ │        declared columns
//	                             ◀──    Encoder.AppendRow
//
// There are only four types: Kind (a format by its name in a pipeline),
// Options, the engine's Decoder that a kind makes, and Encoder.
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
// encoding/json would give it.
//
// To add a format: one file with its constructor, one line in kinds.go, one
// text file in testdata.
package codec
