package aggregate

import (
	"bytes"
	"fmt"
	"slices"
)

const orSetDoc = "A set that replicas add to and remove from (observed-remove): a row with op \"add\" adds x under a tag that no other add has; one with op \"remove\" takes back the add of x with that tag, also when it comes first. " +
	"An x is in the set while one of its tags has been added and not removed, so an add that the remover has not seen stays. The result is the list of them, in order; an empty list of nothing. " +
	"A row that comes again or in another order changes nothing. Rows where op, x or tag is null, or with another op, are skipped. The state grows with the tags, those removed too."

func newOrSet(args []Type) (Aggregate, error) {
	if len(args) != 3 {
		return nil, fmt.Errorf("or_set takes three arguments, op, x and tag, not %d", len(args))
	}
	if args[0] != String {
		return nil, fmt.Errorf("or_set needs a string as its op, \"add\" or \"remove\", not %s", args[0])
	}
	t, err := one("or_set", args[1:2])
	if err == nil {
		err = named("or_set", "tag", args[2])
	}
	if err != nil {
		return nil, err
	}
	return orSet{t}, nil
}

// orSet is a dict of x and tag, with what was seen of them.
type orSet struct{ t Type }

const (
	orAdded   = 1
	orRemoved = 2
)

func (orSet) Words() int   { return 2 }
func (orSet) Blobs() []int { return blobsOfDict }
func (orSet) Result() Type { return Any }
func (o orSet) Elem() Type { return o.t }

func (o orSet) Add(acc []uint64, args []Column, row int32, h Heap) error {
	op, x, tag := &args[0], &args[1], &args[2]
	if op.Null(row) || x.Null(row) || tag.Null(row) {
		return nil
	}
	seen := uint64(0)
	switch op.Strs[row] {
	case "add":
		seen = orAdded
	case "remove":
		seen = orRemoved
	default:
		return nil
	}
	var buf, bufTag [8]byte
	key := parts{distinct(x, row, &buf), raw(tag, row, &bufTag)}
	o.see(acc, key, key.hash(), seen, h)
	return nil
}

func (orSet) see(acc []uint64, key parts, hash uint32, seen uint64, h Heap) {
	off := counted.find(acc, h, key, hash)
	if off == 0 {
		counted.insert(acc, h, key, parts{}, hash).setWord(0, seen)
		return
	}
	if old := counted.at(h.Get(acc[0]), off).word(0); old|seen != old {
		counted.edit(acc, h, off).setWord(0, old|seen)
	}
}

func (o orSet) Merge(acc, from []uint64, h Heap) error {
	counted.each(from, h, func(_ int, r record) { o.see(acc, r.key(), r.hash(), r.word(0), h) })
	return nil
}

func (o orSet) Append(acc []uint64, h Heap, out *Column, row int32) {
	var all [][]byte
	counted.each(acc, h, func(_ int, r record) {
		if r.word(0) == orAdded {
			all = append(all, r.part(0))
		}
	})
	slices.SortFunc(all, bytes.Compare)
	dst := []byte{'['}
	for i, x := range slices.CompactFunc(all, bytes.Equal) {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendJSON(dst, o.t, x)
	}
	out.setStr(row, string(append(dst, ']')))
}
