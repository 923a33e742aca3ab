package aggregate

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strconv"
)

const topKDoc = "The k values of x that come most often, with how often: a list of {\"value\": x, \"count\": n}, the most frequent first, of equal ones the lesser value; an empty list of nothing. " +
	"Null is not counted. Exact while x has no more different values than are followed: 8 per k, at least 64. " +
	"Beyond that an estimate (space-saving) that is never too low, and too high by at most the number of rows divided by the number of values followed; a value that comes more often than that is always followed. " +
	"Which of the rare values are listed then depends on the order of rows. 0 and -0 are one value, and so are all NaN."

var topKParams = []Param{{Name: "k", Type: Int, Doc: "how many values, from 1 to 1000"}}

const maxTopK = 1000

func newTopK(args []Type, params []Value) (Aggregate, error) {
	t, err := one("top_k", args)
	if err != nil {
		return nil, err
	}
	v, ok := constant(topKParams[0], params, 0)
	if !ok || v.Int < 1 || v.Int > maxTopK || len(params) > 1 {
		return nil, fmt.Errorf("top_k takes x and a k from 1 to %d, as in top_k(x, 10)", maxTopK)
	}
	return topK{elem: t, k: int(v.Int), follows: max(8*int(v.Int), 64)}, nil
}

// topK is a dict of raw values and how often they came. When it is full, a new
// value takes the place of the rarest and goes on from its count. No count is
// below floor, so the search for the rarest often ends early.
//
//	│ dict, 2 words │ floor │
type topK struct {
	elem    Type
	k       int
	follows int
}

var counted = dict{words: 1}

func (topK) Words() int   { return 3 }
func (topK) Blobs() []int { return blobsOfDict }
func (topK) Result() Type { return Any }
func (topK) Elem() Type   { return Any }

func (t topK) Add(acc []uint64, args []Column, row int32, h Heap) error {
	x := &args[0]
	if x.Null(row) {
		return nil
	}
	var buf [8]byte
	v := parts{a: distinct(x, row, &buf)}
	hash := v.hash()
	if off := counted.find(acc, h, v, hash); off != 0 {
		r := counted.edit(acc, h, off)
		r.setWord(0, r.word(0)+1)
		return nil
	}
	n := uint64(1)
	if counted.live(acc, h) >= t.follows {
		least, off := rarest(acc, h)
		acc[2] = least
		n += least
		counted.remove(acc, h, off)
	}
	counted.insert(acc, h, v, parts{}, hash).setWord(0, n)
	return nil
}

// rarest is the count that is least, and the oldest record that has it.
func rarest(acc []uint64, h Heap) (least uint64, at int) {
	least = math.MaxUint64
	b := h.Get(acc[0])
	for off, used := dictHead, int(le.Uint32(b[dictUsed:])); off < used; {
		r := counted.at(b, off)
		if !r.dead() && r.word(0) < least {
			least, at = r.word(0), off
			if least <= acc[2] {
				break
			}
		}
		off += r.size()
	}
	return least, at
}

// Merge adds counts. What one of the two does not follow may have come as often
// in it as its rarest, if it is full.
func (t topK) Merge(acc, from []uint64, h Heap) error {
	n, m := counted.live(acc, h), counted.live(from, h)
	if m == 0 {
		return nil
	}
	hidden, hiddenFrom := uint64(0), uint64(0)
	acc[2] = 0
	if n >= t.follows {
		hidden, _ = rarest(acc, h)
	}
	if m >= t.follows {
		hiddenFrom, _ = rarest(from, h)
	}
	if hiddenFrom > 0 && n > 0 {
		b := h.Get(acc[0])
		acc[0], _ = edit(h, acc[0], len(b))
		counted.each(acc, h, func(_ int, r record) {
			if counted.find(from, h, r.key(), r.hash()) == 0 {
				r.setWord(0, r.word(0)+hiddenFrom)
			}
		})
	}
	counted.each(from, h, func(_ int, r record) {
		key, hash, count := r.key(), r.hash(), r.word(0)
		if off := counted.find(acc, h, key, hash); off != 0 {
			into := counted.edit(acc, h, off)
			into.setWord(0, into.word(0)+count)
			return
		}
		counted.insert(acc, h, key, parts{}, hash).setWord(0, count+hidden)
	})
	if counted.live(acc, h) > t.follows {
		for _, r := range t.ranked(acc, h)[t.follows:] {
			counted.remove(acc, h, r.off)
		}
	}
	return nil
}

// ranking is a record, its count and value.
type ranking struct {
	off   int
	count uint64
	value []byte
}

// ranked gives all records, the most frequent first.
func (topK) ranked(acc []uint64, h Heap) []ranking {
	all := make([]ranking, 0, counted.live(acc, h))
	counted.each(acc, h, func(off int, r record) { all = append(all, ranking{off, r.word(0), r.part(0)}) })
	slices.SortFunc(all, func(a, b ranking) int {
		if a.count != b.count {
			return compareRank(b.count, a.count)
		}
		return bytes.Compare(a.value, b.value)
	})
	return all
}

func (t topK) Append(acc []uint64, h Heap, out *Column, row int32) {
	all := t.ranked(acc, h)
	dst := []byte{'['}
	for i, r := range all[:min(t.k, len(all))] {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendJSON(append(dst, `{"value":`...), t.elem, r.value)
		dst = strconv.AppendUint(append(dst, `,"count":`...), r.count, 10)
		dst = append(dst, '}')
	}
	out.setStr(row, string(append(dst, ']')))
}
