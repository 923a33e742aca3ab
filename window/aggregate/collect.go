package aggregate

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

const collectDoc = "The first `limit` values of x that arrived and are not null, as a list in the order of arrival; an empty list of nothing. " +
	"What comes beyond the limit is left out. Over a table the last occurrence of a value that goes is taken out; " +
	"the list is then exact as long as it has never been full, for what was left out does not come back."

var limitParam = Param{Name: "limit", Type: Int, Doc: "how many values at most, from 1 to 100000", Optional: true, Default: Value{Int: 1000}}

var collectParams = []Param{limitParam}

const maxLimit = 100_000

// limit reads the only constant of collect and collect_set.
func limit(name string, params []Value) (int, error) {
	v, _ := constant(limitParam, params, 0)
	if len(params) > 1 || v.Int < 1 || v.Int > maxLimit {
		return 0, fmt.Errorf("%s takes x and a limit from 1 to %d, as in %s(x, 100)", name, maxLimit, name)
	}
	return int(v.Int), nil
}

func newCollect(args []Type, params []Value) (Aggregate, error) {
	t, err := one("collect", args)
	if err != nil {
		return nil, err
	}
	n, err := limit("collect", params)
	if err != nil {
		return nil, err
	}
	return collect{elem: t, width: width(t), limit: n}, nil
}

// collect keeps raw values one after the other, each behind its length (4
// bytes) where that varies.
//
//	│ values │ bytes in use │ reference │
type collect struct {
	elem  Type
	width int // of a value; 0: it varies
	limit int
}

var blobAt2 = []int{2}

func (collect) Words() int   { return 3 }
func (collect) Blobs() []int { return blobAt2 }
func (collect) Result() Type { return Any }
func (c collect) Elem() Type { return c.elem }

func (c collect) Add(acc []uint64, args []Column, row int32, h Heap) error {
	x := &args[0]
	if x.Null(row) || acc[0] >= uint64(c.limit) {
		return nil
	}
	var buf [8]byte
	v := raw(x, row, &buf)
	b := c.grow(acc, c.head()+len(v), h)
	if c.width == 0 {
		binary.LittleEndian.PutUint32(b, uint32(len(v)))
	}
	copy(b[c.head():], v)
	acc[0]++
	return nil
}

// head is the length of what stands before a value.
func (c collect) head() int {
	if c.width == 0 {
		return 4
	}
	return 0
}

// grow gives n more bytes to write.
func (c collect) grow(acc []uint64, n int, h Heap) []byte {
	used := int(acc[1])
	var b []byte
	acc[2], b = edit(h, acc[2], max(room(used+n), len(get(h, acc[2]))))
	acc[1] = uint64(used + n)
	return b[used : used+n]
}

// next gives the length of the first entry of b, and its value.
func (c collect) next(b []byte) (int, []byte) {
	if c.width > 0 {
		return c.width, b[:c.width]
	}
	n := 4 + int(binary.LittleEndian.Uint32(b))
	return n, b[4:n]
}

func (c collect) Merge(acc, from []uint64, h Heap) error {
	take := min(from[0], uint64(c.limit)-acc[0])
	if take == 0 {
		return nil
	}
	n := int(from[1])
	if take < from[0] {
		b := get(h, from[2])
		n = 0
		for range take {
			size, _ := c.next(b[n:])
			n += size
		}
	}
	into := c.grow(acc, n, h)
	copy(into, get(h, from[2])[:n])
	acc[0] += take
	return nil
}

func (c collect) Subtract(acc []uint64, args []Column, row int32, h Heap) error {
	if x := &args[0]; !x.Null(row) {
		var buf [8]byte
		c.remove(acc, raw(x, row, &buf), h)
	}
	return nil
}

// remove takes out the last occurrence of v.
func (c collect) remove(acc []uint64, v []byte, h Heap) {
	b := get(h, acc[2])
	used, found, size := int(acc[1]), -1, 0
	for at := 0; at < used; {
		n, w := c.next(b[at:])
		if bytes.Equal(v, w) {
			found, size = at, n
		}
		at += n
	}
	if found < 0 {
		return
	}
	acc[0]--
	acc[1] -= uint64(size)
	if acc[0] == 0 {
		drop(h, acc[2])
		acc[2] = 0
		return
	}
	acc[2], b = edit(h, acc[2], len(b))
	n := copy(b[found:], b[found+size:used])
	clear(b[found+n : used])
}

func (c collect) Append(acc []uint64, h Heap, out *Column, row int32) {
	b := get(h, acc[2])
	dst := []byte{'['}
	for at := 0; at < int(acc[1]); {
		n, v := c.next(b[at:])
		if at > 0 {
			dst = append(dst, ',')
		}
		dst = appendJSON(dst, c.elem, v)
		at += n
	}
	out.setStr(row, string(append(dst, ']')))
}
