package aggregate

import (
	"bytes"
	"fmt"
	"slices"
)

const lwwMapDoc = "A map whose every key holds the v of its last writer: that of the row with the greatest ts, of equal ones that of the greatest actor, of the same actor the greatest v. " +
	"A row where v is null removes the key, if it is the last. A JSON object with its keys in order; an empty one of nothing. Ts is a timestamp or an int (a logical clock). " +
	"A row that comes again or in another order changes nothing. Rows where k, ts or actor is null are skipped. The state grows with the keys, those removed too."

func newLwwMap(args []Type) (Aggregate, error) {
	if len(args) != 4 {
		return nil, fmt.Errorf("lww_map takes four arguments, k, v, ts and actor, not %d", len(args))
	}
	if args[0] != String {
		return nil, fmt.Errorf("lww_map needs a string as its k, not %s", args[0])
	}
	t, err := one("lww_map", args[1:2])
	if err == nil {
		err = stamped("lww_map", args[2], args[3])
	}
	if err != nil {
		return nil, err
	}
	return lwwMap{t}, nil
}

// lwwMap is a dict from key to the actor and its v. Its words are the rank of
// ts and whether there is a v: of equal writers one that removes is the least.
type lwwMap struct{ t Type }

var writes = dict{words: 2}

func (lwwMap) Words() int   { return 2 }
func (lwwMap) Blobs() []int { return blobsOfDict }
func (lwwMap) Result() Type { return Any }

func (m lwwMap) Add(acc []uint64, args []Column, row int32, h Heap) error {
	k, v, ts, actor := &args[0], &args[1], &args[2], &args[3]
	if k.Null(row) || ts.Null(row) || actor.Null(row) {
		return nil
	}
	var buf, bufActor [8]byte
	w := parts{a: raw(actor, row, &bufActor)}
	is := uint64(0)
	if !v.Null(row) {
		w.b, is = raw(v, row, &buf), 1
	}
	key := parts{a: bytesOf(k.Strs[row])}
	m.write(acc, key, key.hash(), rankInt(ts.Ints[row]), is, w, h)
	return nil
}

func (m lwwMap) Merge(acc, from []uint64, h Heap) error {
	writes.each(from, h, func(_ int, r record) {
		m.write(acc, r.key(), r.hash(), r.word(0), r.word(1), r.value(), h)
	})
	return nil
}

func (lwwMap) write(acc []uint64, key parts, hash uint32, ts, is uint64, w parts, h Heap) {
	off := writes.find(acc, h, key, hash)
	var r record
	if off == 0 {
		r = writes.insert(acc, h, key, w, hash)
	} else {
		old := writes.at(h.Get(acc[0]), off)
		order := compareRank(ts, old.word(0))
		if order == 0 {
			order = bytes.Compare(w.a, old.part(2))
		}
		if order == 0 {
			order = compareRank(is, old.word(1))
		}
		if order == 0 {
			order = bytes.Compare(w.b, old.part(3))
		}
		if order <= 0 {
			return
		}
		r = writes.replace(acc, h, off, key, w)
	}
	r.setWord(0, ts)
	r.setWord(1, is)
}

func (m lwwMap) Append(acc []uint64, h Heap, out *Column, row int32) {
	var all []record
	writes.each(acc, h, func(_ int, r record) {
		if r.word(1) == 1 {
			all = append(all, r)
		}
	})
	slices.SortFunc(all, func(a, b record) int { return bytes.Compare(a.part(0), b.part(0)) })
	dst := []byte{'{'}
	for i, r := range all {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendText(dst, r.part(0)), ':')
		dst = appendJSON(dst, m.t, r.part(3))
	}
	out.setStr(row, string(append(dst, '}')))
}
