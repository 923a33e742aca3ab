package operators

import (
	"encoding/binary"
	"math"
	"unsafe"

	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/operators/expr"
)

// GroupColumn is one column of group_by: input column From, or an expression.
type GroupColumn struct {
	Name string
	From int // -1: Expr
	Expr *expr.Program
}

// grouper turns group columns into the bytes that key a table, and back.
//
//	one String, Bytes or Any column   the bytes as they are (no copy)
//	else, per column                  Int, Timestamp, Double 8 bytes; Bool 1 byte;
//	                                  String, Bytes, Any [uvarint length][bytes]
type grouper struct {
	columns []GroupColumn
	evals   []*expr.Eval
	types   []engine.Type
	raw     bool
	keys    []string // per row
	buf     []byte
	cols    []*engine.Column
	starts  []int
	keep    []int32
}

func newGrouper(columns []GroupColumn, out *engine.Schema) *grouper {
	g := &grouper{columns: columns}
	for i, c := range columns {
		var e *expr.Eval
		if c.Expr != nil {
			e = c.Expr.New()
		}
		g.evals = append(g.evals, e)
		g.types = append(g.types, out.Fields[i].Type)
	}
	g.raw = len(columns) == 1 && isBytes(g.types[0])
	return g
}

func isBytes(t engine.Type) bool {
	return t == engine.String || t == engine.Bytes || t == engine.Any
}

// rows fills g.keys for the rows of sel and gives those that have no null in
// their key; the others are dropped and counted.
func (g *grouper) rows(b *engine.Batch, in []engine.Column, sel []int32, bad func(int32, error) error) ([]int32, int, error) {
	g.cols = g.cols[:0]
	for k, c := range g.columns {
		if c.From >= 0 {
			g.cols = append(g.cols, &in[c.From])
			continue
		}
		col, rest, err := g.evals[k].Column(b, in, sel, bad)
		if err != nil {
			return nil, 0, err
		}
		sel = rest
		g.cols = append(g.cols, col)
	}
	nulls := 0
	for _, c := range g.cols {
		if c.Nulls == nil {
			continue
		}
		keep := g.keep[:0] // sel may be in it: what is kept moves to the front
		for _, i := range sel {
			if c.Nulls[i] {
				nulls++
				continue
			}
			keep = append(keep, i)
		}
		g.keep, sel = keep, keep
	}
	if g.raw {
		g.keys = g.cols[0].Strs
		return sel, nulls, nil
	}
	if cap(g.keys) < b.N {
		g.keys = make([]string, b.N)
	}
	g.keys = g.keys[:b.N]
	g.buf, g.starts = g.buf[:0], g.starts[:0]
	for _, i := range sel {
		g.starts = append(g.starts, len(g.buf))
		for k, c := range g.cols {
			g.buf = appendKey(g.buf, c, g.types[k], i)
		}
	}
	for n, i := range sel {
		end := len(g.buf)
		if n+1 < len(sel) {
			end = g.starts[n+1]
		}
		g.keys[i] = view(g.buf[g.starts[n]:end])
	}
	return sel, nulls, nil
}

func appendKey(dst []byte, c *engine.Column, t engine.Type, i int32) []byte {
	switch t {
	case engine.Int, engine.Timestamp:
		return binary.BigEndian.AppendUint64(dst, uint64(c.Ints[i]))
	case engine.Double:
		v := c.Doubles[i]
		switch {
		case v == 0:
			v = 0 // -0 and 0 are one group
		case v != v:
			v = math.NaN() // so are all NaN
		}
		return binary.BigEndian.AppendUint64(dst, math.Float64bits(v))
	case engine.Bool:
		if c.Bools[i] {
			return append(dst, 1)
		}
		return append(dst, 0)
	}
	dst = binary.AppendUvarint(dst, uint64(len(c.Strs[i])))
	return append(dst, c.Strs[i]...)
}

// decode writes a key's columns into row i of out; strings are views of key.
func (g *grouper) decode(key string, out []engine.Column, i int32) {
	if g.raw {
		out[0].Strs[i] = key
		return
	}
	for k, t := range g.types {
		switch t {
		case engine.Int, engine.Timestamp:
			out[k].Ints[i] = int64(u64(key))
			key = key[8:]
		case engine.Double:
			out[k].Doubles[i] = math.Float64frombits(u64(key))
			key = key[8:]
		case engine.Bool:
			out[k].Bools[i] = key[0] != 0
			key = key[1:]
		default:
			n, w := binary.Uvarint([]byte(key[:min(len(key), binary.MaxVarintLen64)]))
			out[k].Strs[i] = key[w : w+int(n)]
			key = key[w+int(n):]
		}
	}
}

func u64(s string) uint64 { return binary.BigEndian.Uint64([]byte(s[:8])) }

func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
