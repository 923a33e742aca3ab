package codec

import (
	"fmt"

	"github.com/leatstream/leat/engine"
)

// RowEncoder writes rows of one schema in a format. It is used from one
// goroutine.
type RowEncoder interface {
	// AppendRow appends the row of cols, which are the schema's columns. An
	// error is the row's: a value that the format's schema cannot hold. What
	// it has appended then is of no use.
	AppendRow(dst []byte, cols []engine.Column, row int32) ([]byte, error)
}

// JSONEncoder gives the Encoder behind a RowEncoder of the format json; nil: it
// is none.
func JSONEncoder(e RowEncoder) *Encoder {
	if j, ok := e.(jsonRows); ok {
		return j.Encoder
	}
	return nil
}

// columns are the numbers of the columns that are written, in order.
func (o EncoderOptions) columns(schema *engine.Schema) []int {
	if o.Columns != nil {
		return o.Columns
	}
	cols := []int{}
	for c := range schema.Fields {
		dropped := false
		for _, d := range o.Drop {
			dropped = dropped || d == c
		}
		if !dropped {
			cols = append(cols, c)
		}
	}
	return cols
}

// jsonRows is an Encoder as a RowEncoder.
type jsonRows struct{ *Encoder }

func (e jsonRows) AppendRow(dst []byte, cols []engine.Column, row int32) ([]byte, error) {
	return e.Encoder.AppendRow(dst, cols, row), nil
}

func jsonEncoders(schema *engine.Schema, opts EncoderOptions) (func() RowEncoder, error) {
	return func() RowEncoder { return jsonRows{NewEncoder(schema, opts)} }, nil
}

// valueEncoders makes encoders of the formats string and bytes: the text of
// the one column that is written. Null is no text.
func valueEncoders(schema *engine.Schema, opts EncoderOptions) (func() RowEncoder, error) {
	cols := opts.columns(schema)
	if len(cols) != 1 {
		return nil, fmt.Errorf("formats string and bytes write one column, not %d: select it before the sink", len(cols))
	}
	return func() RowEncoder { return valueRows(cols[0]) }, nil
}

type valueRows int

func (e valueRows) AppendRow(dst []byte, cols []engine.Column, row int32) ([]byte, error) {
	if cols[e].Null(row) {
		return dst, nil
	}
	return engine.AppendText(dst, &cols[e], row), nil
}
