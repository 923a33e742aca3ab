package codec

import (
	"fmt"
	"unicode/utf8"
	"unsafe"

	"github.com/leatstream/leat/engine"
)

// String makes decoders for text: the whole value is the column `value`.
// Invalid UTF-8 becomes U+FFFD, byte by byte, as in JSON.
func String(schema *engine.Schema, _ Options) (func() engine.Decoder, error) {
	return newValue(schema, engine.String)
}

// Bytes makes decoders for opaque values: the whole value, unchanged, is the
// column `value`.
func Bytes(schema *engine.Schema, _ Options) (func() engine.Decoder, error) {
	return newValue(schema, engine.Bytes)
}

func newValue(schema *engine.Schema, want engine.Type) (func() engine.Decoder, error) {
	if len(schema.Fields) != 1 || schema.Fields[0].Name != "value" || schema.Fields[0].Type != want {
		return nil, fmt.Errorf("format %s has one column, value: %s", want, want)
	}
	return func() engine.Decoder { return &valueDecoder{schema: schema} }, nil
}

type valueDecoder struct {
	schema *engine.Schema
	arena  arena
}

func (d *valueDecoder) Decode(b *engine.Batch, bad func(row int32, err error) error) error {
	prepare(b, d.schema)
	col := &b.Cols[0]
	for i, value := range b.Src.Values {
		col.Strs[i] = ""
		if value == nil {
			if err := bad(int32(i), engine.ErrNullValue); err != nil {
				return err
			}
			continue
		}
		if col.Type == engine.String && !utf8.Valid(value) {
			col.Strs[i] = d.arena.keep(appendValid(d.arena.room(3*len(value)), value))
		} else {
			col.Strs[i] = view(value)
		}
		b.Sel = append(b.Sel, int32(i))
	}
	return nil
}

// prepare gives b the columns of schema for all rows of b.Src, none selected.
func prepare(b *engine.Batch, schema *engine.Schema) {
	b.Schema = schema
	b.N = len(b.Src.Values)
	b.Sel = b.Sel[:0]
	if cap(b.Cols) < len(schema.Fields) {
		b.Cols = append(b.Cols[:cap(b.Cols)], make([]engine.Column, len(schema.Fields)-cap(b.Cols))...)
	}
	b.Cols = b.Cols[:len(schema.Fields)]
	for c := range b.Cols {
		b.Cols[c].Reset(schema.Fields[c].Type, b.N)
	}
}

// view is b as a string without a copy: it lives and stays unchanged as b does.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// bytesOf is s as bytes without a copy; they are only read.
func bytesOf(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }

// arena keeps the few texts that are not sub-slices of a value. Chunks are
// never used twice; the garbage collector takes them when no text is left.
type arena struct{ free []byte }

const arenaBytes = 64 << 10

// room gives empty space for n bytes; it is taken only by keep.
func (a *arena) room(n int) []byte {
	if cap(a.free) < n {
		a.free = make([]byte, 0, max(n, arenaBytes))
	}
	return a.free[:0]
}

// keep takes text, written into the last room, for good.
func (a *arena) keep(text []byte) string {
	if len(text) <= cap(a.free) {
		a.free = a.free[len(text):cap(a.free)][:0]
	}
	return view(text)
}
