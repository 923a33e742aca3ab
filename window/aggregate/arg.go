package aggregate

import (
	"bytes"
	"fmt"
	"math"
)

// at is the value of x where something else is greatest, or least: what
// arg_max, arg_min, earliest and latest share.
//
//	│ 1 if there is one │ rank of by, or reference │ value of x, or reference │
type at struct {
	x    cell
	by   Type
	flip uint64 // all ones for the least
	// later: of equal ones the last that came, else the first.
	later bool
}

func newArg(name string, args []Type, flip uint64) (Aggregate, error) {
	if len(args) != 2 {
		return nil, fmt.Errorf("%s takes two arguments, x and by, not %d", name, len(args))
	}
	for i := range args {
		if _, err := one(name, args[i:i+1]); err != nil {
			return nil, err
		}
	}
	if args[1] == Any {
		return nil, fmt.Errorf("%s needs a second argument that has an order, not any: convert it, as in %s(x, float(by))", name, name)
	}
	return at{x: cell{args[0]}, by: args[1], flip: flip}, nil
}

var blobsOfAt = [4][]int{nil, {1}, {2}, {1, 2}}

func (at) Words() int     { return 3 }
func (a at) Result() Type { return a.x.t }

func (a at) Blobs() []int {
	n := 0
	if a.text() {
		n++
	}
	if a.x.inHeap() {
		n += 2
	}
	return blobsOfAt[n]
}

func (a at) text() bool { return a.by == String || a.by == Bytes }

// better tells whether something new with this order replaces what is there.
func (a at) better(order int) bool {
	if a.flip != 0 {
		order = -order
	}
	return order > 0 || order == 0 && a.later
}

// rank is the rank of by at row; of what is not text.
func (a at) rank(by *Column, row int32) uint64 {
	switch a.by {
	case Double:
		return rankDouble(by.Doubles[row])
	case Bool:
		return rankBool(by.Bools[row])
	}
	return rankInt(by.Ints[row])
}

func compareRank(a, b uint64) int {
	switch {
	case a > b:
		return 1
	case a < b:
		return -1
	}
	return 0
}

func (a at) Add(acc []uint64, args []Column, row int32, h Heap) error {
	x, by := &args[0], &args[1]
	if x.Null(row) || by.Null(row) {
		return nil
	}
	if a.text() {
		b := bytesOf(by.Strs[row])
		if acc[0] != 0 && !a.better(bytes.Compare(b, get(h, acc[1]))) {
			return nil
		}
		acc[1] = h.Put(acc[1], b)
	} else {
		r := a.rank(by, row)
		if acc[0] != 0 && !a.better(compareRank(r, acc[1])) {
			return nil
		}
		acc[1] = r
	}
	acc[0] = 1
	var v [2]uint64
	v[1] = acc[2]
	a.x.load(v[:], x, row, h)
	acc[2] = v[1]
	return nil
}

func (a at) Merge(acc, from []uint64, h Heap) error {
	if from[0] == 0 {
		return nil
	}
	if acc[0] != 0 {
		order := 0
		if a.text() {
			order = bytes.Compare(get(h, from[1]), get(h, acc[1]))
		} else {
			order = compareRank(from[1], acc[1])
		}
		if !a.better(order) {
			return nil
		}
	}
	acc[0] = 1
	if a.text() {
		acc[1] = h.Put(acc[1], get(h, from[1]))
	} else {
		acc[1] = from[1]
	}
	if a.x.inHeap() {
		acc[2] = h.Put(acc[2], get(h, from[2]))
	} else {
		acc[2] = from[2]
	}
	return nil
}

func (a at) Append(acc []uint64, h Heap, out *Column, row int32) {
	a.x.Append([]uint64{acc[0], acc[2]}, h, out, row)
}

const least = math.MaxUint64
