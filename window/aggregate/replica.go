package aggregate

import (
	"bytes"
	"fmt"
	"math"
	"slices"
)

// The replicated types (g_counter, pn_counter, lww, lww_map, or_set): their
// Merge is commutative, associative and idempotent, so replicas that have seen
// the same rows agree, whatever the order and however often. For that no row
// may be an error by the state it meets: sums beyond their range stay at its end.

// named checks that a type can name an actor or a tag.
func named(name, what string, t Type) error {
	if t != String && t != Int && t != Bytes {
		return fmt.Errorf("%s needs a string, an int or bytes as its %s, not %s", name, what, t)
	}
	return nil
}

// totals are the running totals of actors: a dict from actor to words, each the
// greatest seen, as a rank where 0 is none.
type totals struct {
	ints bool
	dict dict
}

func newTotals(name string, args []Type, words int) (totals, error) {
	if len(args) != 2 {
		return totals{}, fmt.Errorf("%s takes two arguments, x and actor, not %d", name, len(args))
	}
	t, err := number(name, args[:1])
	if err == nil {
		err = named(name, "actor", args[1])
	}
	return totals{ints: t == Int, dict: dict{words}}, err
}

func (totals) Words() int   { return 2 }
func (totals) Blobs() []int { return blobsOfDict }

func (t totals) Result() Type {
	if t.ints {
		return Int
	}
	return Double
}

// sizeOf is how far x at row is from 0, as bits that are ordered as it is, and
// whether x is negative; ok is false for null and NaN.
func (t totals) sizeOf(c *Column, row int32) (size uint64, negative, ok bool) {
	if c.Null(row) {
		return 0, false, false
	}
	if t.ints {
		if v := c.Ints[row]; v < 0 {
			return uint64(min(-(v+1), math.MaxInt64-1)) + 1, true, true
		}
		return uint64(c.Ints[row]), false, true
	}
	v := c.Doubles[row]
	return math.Float64bits(math.Abs(v)), v < 0, v == v
}

// raise makes word k of an actor at least size.
func (t totals) raise(acc []uint64, actor parts, hash uint32, k int, size uint64, h Heap) {
	off := t.dict.find(acc, h, actor, hash)
	if off == 0 {
		t.dict.insert(acc, h, actor, parts{}, hash).setWord(k, size)
		return
	}
	if t.dict.at(h.Get(acc[0]), off).word(k) < size {
		t.dict.edit(acc, h, off).setWord(k, size)
	}
}

func (t totals) Merge(acc, from []uint64, h Heap) error {
	t.dict.each(from, h, func(_ int, r record) {
		for k := range t.dict.words {
			t.raise(acc, r.key(), r.hash(), k, r.word(k), h)
		}
	})
	return nil
}

// sum is that of word k over all actors: of ints in 128 bits, of doubles in
// their order, so that it does not depend on that of rows.
func (t totals) sum(acc []uint64, k int, h Heap) (ints uint64, doubles float64) {
	if t.ints {
		t.dict.each(acc, h, func(_ int, r record) {
			if ints += r.word(k); ints > math.MaxInt64 {
				ints = math.MaxInt64 // each is at most that: no carry is lost
			}
		})
		return ints, 0
	}
	var all []uint64
	t.dict.each(acc, h, func(_ int, r record) { all = append(all, r.word(k)) })
	slices.Sort(all)
	for _, v := range all {
		doubles += math.Float64frombits(v)
	}
	return 0, doubles
}

// compareParts orders a before b.
func compareParts(a, b parts) int {
	if c := bytes.Compare(a.a, b.a); c != 0 {
		return c
	}
	return bytes.Compare(a.b, b.b)
}
