package codec

import (
	"errors"
	"fmt"
	"slices"

	"github.com/leatstream/leat/engine"
)

// Envelope decoders are made of plain ones: one opens the envelope, another
// reads the row that was in it.

// stage is a decoder of what another one has found, with a batch of its own.
type stage struct {
	decoder engine.Decoder
	batch   engine.Batch
	rows    engine.Rows
}

// newStage makes stages of a format for columns.
func newStage(format Kind, fields []engine.Field, opts Options) (func() *stage, error) {
	schema := engine.NewSchema(fields...)
	newDecoder, err := format.New(schema, opts)
	if err != nil {
		return nil, err
	}
	return func() *stage { return &stage{decoder: newDecoder()} }, nil
}

// empty makes room for n values, none there.
func (s *stage) empty(n int) [][]byte {
	s.rows.Values = slices.Grow(s.rows.Values[:0], n)[:n]
	clear(s.rows.Values)
	return s.rows.Values
}

// run decodes values and hands errors to bad, also those of values that are
// not there.
func (s *stage) run(values [][]byte, bad func(row int32, err error) error) error {
	s.rows.Values = values
	s.batch.Src = &s.rows
	return s.decoder.Decode(&s.batch, bad)
}

// text is row i of a column of type any or string; "" is null.
func (s *stage) text(col int, i int32) string {
	if c := &s.batch.Cols[col]; !c.Null(i) {
		return c.Strs[i]
	}
	return ""
}

// notThere ignores that a value is not there.
func notThere(bad func(row int32, err error) error) func(row int32, err error) error {
	return func(row int32, err error) error {
		if errors.Is(err, engine.ErrNullValue) {
			return nil
		}
		return bad(row, err)
	}
}

// anyText is what JSON says as text: a string's, else the JSON itself.
func anyText(a *arena, json string) string {
	if len(json) < 2 || json[0] != '"' {
		return json
	}
	raw := bytesOf(json[1 : len(json)-1])
	return a.keep(appendUnquoted(a.room(3*len(raw)), raw))
}

// metaColumns finds an envelope's own columns in a schema: by number in meta
// the column's number, or -1. rest are the row's columns, with their numbers.
func metaColumns(schema *engine.Schema, meta []engine.Field) (own []int, rest []engine.Field, at []int) {
	own = make([]int, len(meta))
	for k := range own {
		own[k] = -1
	}
	for c, f := range schema.Fields {
		if k := slices.IndexFunc(meta, func(m engine.Field) bool { return m.Name == f.Name && m.Type == f.Type }); k >= 0 {
			own[k] = c
			continue
		}
		rest, at = append(rest, f), append(at, c)
	}
	return own, rest, at
}

// rowOptions are the options for the row in an envelope.
func rowOptions(opts Options) Options {
	opts.Declared, opts.Table, opts.Key = nil, false, nil
	return opts
}

// enveloped checks that an envelope can be around values of a format.
func enveloped(name string, format Kind) error {
	if format.Name != "json" && !format.HasSchemas {
		return fmt.Errorf("envelope %s is of json, avro or protobuf, not of %s", name, format.Name)
	}
	return nil
}
