package aggregate

import (
	"math"
	"unsafe"
)

// A cell is an accumulator that holds one value of any type, or none.
//
//	│ 1 if there is one │ the value, or the reference of its bytes │
type cell struct{ t Type }

var blobAt1 = []int{1}

func (cell) Words() int     { return 2 }
func (c cell) Result() Type { return c.t }

func (c cell) Blobs() []int {
	if c.inHeap() {
		return blobAt1
	}
	return nil
}

func (c cell) inHeap() bool { return c.t == String || c.t == Bytes || c.t == Any }

// load puts row of col, which is not null, into the cell.
func (c cell) load(acc []uint64, col *Column, row int32, h Heap) {
	switch c.t {
	case Int, Timestamp:
		acc[1] = uint64(col.Ints[row])
	case Double:
		acc[1] = math.Float64bits(col.Doubles[row])
	case Bool:
		acc[1] = 0
		if col.Bools[row] {
			acc[1] = 1
		}
	default:
		keep(acc, bytesOf(col.Strs[row]), h)
	}
	acc[0] = 1
}

// copy puts the value of from, which has one, into acc.
func (c cell) copy(acc, from []uint64, h Heap) {
	if c.inHeap() {
		keep(acc, get(h, from[1]), h)
		return
	}
	acc[0], acc[1] = 1, from[1]
}

func (c cell) Append(acc []uint64, h Heap, out *Column, row int32) {
	switch {
	case c.inHeap():
		appendStr(acc, h, out, row)
	case acc[0] == 0:
		out.SetNull(row)
	case c.t == Double:
		out.setDouble(row, math.Float64frombits(acc[1]))
	case c.t == Bool:
		out.setBool(row, acc[1] != 0)
	default:
		out.setInt(row, int64(acc[1]))
	}
}

// keep puts bytes into the heap and their reference into the accumulator.
func keep(acc []uint64, b []byte, h Heap) {
	acc[0] = 1
	acc[1] = h.Put(acc[1], b)
}

func appendStr(acc []uint64, h Heap, out *Column, row int32) {
	if acc[0] == 0 {
		out.SetNull(row)
		return
	}
	out.setStr(row, string(get(h, acc[1])))
}

// bytesOf is s as bytes without a copy; a Heap only reads them.
func bytesOf(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }
