package engine

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"
	"unsafe"
)

// tableRows makes raw changes of a table's records (SourceSpec.Table):
//
//	key "a"  value {"v":1}   Insert  Cols k a, v 1        k from the key where the value lacks it
//	key "a"  value null      Delete  Old  k a, v null
//
// The record key is the wire key of the key columns: the text of one, a JSON
// object of several (AppendKey's form).
type tableRows struct {
	schema *Schema
	cols   []int // the key columns that the schema has
	whole  bool  // the key is one column's text
	nulls  []int32
	op     []Op
	old    []Column
	sel    []int32
}

func newTableRows(s *SourceSpec) *tableRows {
	t := &tableRows{schema: s.Schema, whole: len(s.KeyColumns) == 1}
	for _, name := range s.KeyColumns {
		if c := s.Schema.Lookup(name); c >= 0 {
			t.cols = append(t.cols, c)
		}
	}
	return t
}

// errNullKey reports a table's record whose key is null and would be needed:
// left out and counted, as a stream's null value.
var errNullKey = errors.New("null key")

// begin is called before a batch is decoded; ops of the batch before are gone.
func (t *tableRows) begin(b *Batch) {
	b.Op, b.Old, t.nulls = nil, nil, t.nulls[:0]
}

// finish fills keys and makes deletes of the rows in nulls. Ops that the
// decoder has set stay.
func (t *tableRows) finish(b *Batch, bad func(row int32, err error) error) error {
	sel := t.sel[:0]
	nulls := t.nulls
	for _, i := range b.Sel {
		for len(nulls) > 0 && nulls[0] < i {
			ok, err := t.remove(b, nulls[0], bad)
			if err != nil {
				return err
			}
			if ok {
				sel = append(sel, nulls[0])
			}
			nulls = nulls[1:]
		}
		if b.Op == nil || b.Op[i] != Delete {
			if err := t.fill(b, i); err != nil {
				if err := bad(i, err); err != nil {
					return err
				}
				continue
			}
		}
		sel = append(sel, i)
	}
	for _, i := range nulls {
		ok, err := t.remove(b, i, bad)
		if err != nil {
			return err
		}
		if ok {
			sel = append(sel, i)
		}
	}
	t.sel = sel
	b.Sel = append(b.Sel[:0], sel...)
	return nil
}

// fill reads the key columns that a value lacks from the record's key.
func (t *tableRows) fill(b *Batch, i int32) error {
	for _, c := range t.cols {
		if b.Cols[c].Null(i) {
			return t.parse(b.Src.Keys[i], b.Cols, i, true)
		}
	}
	return nil
}

// remove makes row i a delete of its key.
func (t *tableRows) remove(b *Batch, i int32, bad func(row int32, err error) error) (bool, error) {
	if b.Op == nil {
		t.op = grow(t.op, b.N)
		clear(t.op)
		b.Op = t.op
	}
	if b.Old == nil {
		if t.old == nil {
			t.old = make([]Column, len(b.Cols))
		}
		for c, f := range t.schema.Fields {
			col := &t.old[c]
			col.Reset(f.Type, b.N)
			col.Nulls = grow(col.Nulls, b.N)
			for k := range col.Nulls {
				col.Nulls[k] = true
			}
		}
		b.Old = t.old
	}
	for c := range b.Old {
		b.Old[c].SetNull(i, b.N)
	}
	b.Op[i] = Delete
	if err := t.parse(b.Src.Keys[i], b.Old, i, false); err != nil {
		return false, bad(i, err)
	}
	return true, nil
}

// parse reads a record key into row i of cols; onlyNull leaves alone what is
// there.
func (t *tableRows) parse(key []byte, cols []Column, i int32, onlyNull bool) error {
	if key == nil {
		return errNullKey
	}
	if t.whole {
		for _, c := range t.cols {
			if err := parseText(&cols[c], i, view(key)); err != nil {
				return fmt.Errorf("record key, column %q: %w", t.schema.Fields[c].Name, err)
			}
		}
		return nil
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(key, &object); err != nil || object == nil {
		return fmt.Errorf("record key: want a JSON object with the key columns, got %q", cut(string(key), 100))
	}
	for _, c := range t.cols {
		if onlyNull && !cols[c].Null(i) {
			continue
		}
		name := t.schema.Fields[c].Name
		raw, ok := object[name]
		if !ok {
			return fmt.Errorf("record key: it has no %q", name)
		}
		if err := parseJSON(&cols[c], i, raw); err != nil {
			return fmt.Errorf("record key, column %q: %w", name, err)
		}
	}
	return nil
}

// parseText reads what AppendText writes.
func parseText(c *Column, i int32, s string) error {
	var err error
	switch c.Type {
	case Int, Timestamp:
		c.Ints[i], err = strconv.ParseInt(s, 10, 64)
	case Double:
		c.Doubles[i], err = strconv.ParseFloat(s, 64)
	case Bool:
		switch s {
		case "true", "false":
			c.Bools[i] = s == "true"
		default:
			err = errors.New("no bool")
		}
	case String:
		if !utf8.ValidString(s) {
			err = errors.New("no UTF-8")
		}
		c.Strs[i] = s
	default:
		c.Strs[i] = s
	}
	if err != nil {
		return fmt.Errorf("want %s, got %q", c.Type, cut(s, 100))
	}
	if c.Nulls != nil {
		c.Nulls[i] = false
	}
	return nil
}

// parseJSON reads what AppendJSON writes; null leaves the column null.
func parseJSON(c *Column, i int32, raw json.RawMessage) error {
	if string(raw) == "null" {
		return nil
	}
	text := string(raw)
	if c.Type == String || c.Type == Bytes {
		if err := json.Unmarshal(raw, &text); err != nil {
			return fmt.Errorf("want %s, got %s", c.Type, cut(string(raw), 100))
		}
	}
	if c.Type == Bytes {
		b, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return fmt.Errorf("want base64, got %s", cut(string(raw), 100))
		}
		text = string(b)
	}
	return parseText(c, i, text)
}

// view is b as a string without a copy: it lives and stays unchanged as b does.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
