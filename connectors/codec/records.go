package codec

import (
	"github.com/leatstream/leat/engine"
)

// reader reads records of a format into columns: what records needs of it.
type reader interface {
	// read sets row i of all columns, which have n rows, or says what is wrong
	// with the value. An *engine.Error is not the value's fault.
	read(value []byte, cols []engine.Column, i, n int) error
}

// records is the engine's Decoder around a reader.
type records struct {
	schema *engine.Schema
	reader reader
}

func (d *records) Decode(b *engine.Batch, bad func(row int32, err error) error) error {
	prepare(b, d.schema)
	for i, value := range b.Src.Values {
		err := engine.ErrNullValue
		if value != nil {
			err = d.reader.read(value, b.Cols, i, b.N)
		}
		if err == nil {
			b.Sel = append(b.Sel, int32(i))
			continue
		}
		clearRow(b.Cols, i)
		if isStop(err) {
			return err
		}
		if err := bad(int32(i), err); err != nil {
			return err
		}
	}
	return nil
}

// clearRow empties row i, which is left out.
func clearRow(cols []engine.Column, i int) {
	for c := range cols {
		if nulls := cols[c].Nulls; nulls != nil {
			nulls[i] = false
		}
		zero(&cols[c], i)
	}
}

// nullAt makes row i of a column with n rows null.
func nullAt(col *engine.Column, i, n int) {
	zero(col, i)
	col.SetNull(int32(i), n)
}

// tree is the columns by the segments of their paths: "loc.lat" is lat in loc.
type tree struct {
	name string
	col  int // -1: only what is below it is a column
	kids []*tree
}

func newTree(fields []engine.Field) *tree {
	root := &tree{col: -1}
	for c, f := range fields {
		at := root
		rest := f.Name
		for rest != "" {
			var name string
			name, rest = cutPath(rest)
			at = at.kid(name)
		}
		at.col = c
	}
	return root
}

func cutPath(path string) (first, rest string) {
	for i := range path {
		if path[i] == '.' {
			return path[:i], path[i+1:]
		}
	}
	return path, ""
}

// kid gives the child of a name, making it.
func (t *tree) kid(name string) *tree {
	for _, k := range t.kids {
		if k.name == name {
			return k
		}
	}
	k := &tree{name: name, col: -1}
	t.kids = append(t.kids, k)
	return k
}

// cols appends all columns at t and below.
func (t *tree) cols(dst []int) []int {
	if t.col >= 0 {
		dst = append(dst, t.col)
	}
	for _, k := range t.kids {
		dst = k.cols(dst)
	}
	return dst
}
