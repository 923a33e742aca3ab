package aggregate

import (
	"bytes"
	"encoding/binary"

	"github.com/cespare/xxhash/v2"
)

// A dict is a dictionary in two blobs of a heap: its records in the order they
// came, and an index of their places, by hash, which may be made anew from
// them. Keys and values have two parts each, so that nobody has to join them.
//
//	accumulator  │ records │ index │
//	records      │ live u32 │ all u32 │ used u32 │ dead u32 │ record … │ slack │
//	record       │ size u32 │ hash u32 │ key 2 × u32 │ value 2 × u32 │ words … │ key │ value │ slack │
//	index        │ offset u32 … │     0: free, the offset of a dead record: skip it
//
// live and all count records, used and dead bytes; a dead record has no hash
// but deadRecord's size bit. Offsets are from the start of the blob.
type dict struct{ words int } // the words of a record, 2 at most

const (
	dictLive, dictAll, dictUsed, dictDead = 0, 4, 8, 12
	dictHead                              = 16
	recordHead                            = 24
	deadRecord                            = 1 << 31
	// Up to this many records are searched one by one.
	dictSmall = 8
)

var le = binary.LittleEndian

var blobsOfDict = []int{0, 1}

// parts is a key, or a value.
type parts struct{ a, b []byte }

func (p parts) len() int { return len(p.a) + len(p.b) }

func (p parts) hash() uint32 {
	h := xxhash.Sum64(p.a)
	if len(p.b) > 0 {
		h = h*31 + xxhash.Sum64(p.b)
	}
	return uint32(h ^ h>>32)
}

// record is a view of one record, valid until the heap changes.
type record struct {
	b     []byte // from its start to the end of its room
	words int
}

func (r record) size() int         { return int(le.Uint32(r.b) &^ deadRecord) }
func (r record) dead() bool        { return le.Uint32(r.b)&deadRecord != 0 }
func (r record) hash() uint32      { return le.Uint32(r.b[4:]) }
func (r record) word(k int) uint64 { return le.Uint64(r.b[recordHead+8*k:]) }

func (r record) setWord(k int, v uint64) { le.PutUint64(r.b[recordHead+8*k:], v) }

func (r record) part(k int) []byte {
	at := recordHead + 8*r.words
	for i := range k {
		at += int(le.Uint32(r.b[8+4*i:]))
	}
	return r.b[at : at+int(le.Uint32(r.b[8+4*k:]))]
}

func (r record) key() parts   { return parts{r.part(0), r.part(1)} }
func (r record) value() parts { return parts{r.part(2), r.part(3)} }

// at is the record at an offset.
func (d dict) at(b []byte, off int) record {
	size := int(le.Uint32(b[off:]) &^ deadRecord)
	return record{b[off : off+size : off+size], d.words}
}

// live is how many records there are.
func (dict) live(acc []uint64, h Heap) int {
	if acc[0] == 0 {
		return 0
	}
	return int(le.Uint32(h.Get(acc[0])[dictLive:]))
}

// each calls fn for each live record, oldest first.
func (d dict) each(acc []uint64, h Heap, fn func(off int, r record)) {
	if acc[0] == 0 {
		return
	}
	b := h.Get(acc[0])
	for off, used := dictHead, int(le.Uint32(b[dictUsed:])); off < used; {
		r := d.at(b, off)
		if !r.dead() {
			fn(off, r)
		}
		off += r.size()
	}
}

// find gives the offset of the record with a key, 0 where there is none.
func (d dict) find(acc []uint64, h Heap, key parts, hash uint32) int {
	if acc[0] == 0 {
		return 0
	}
	b := h.Get(acc[0])
	if acc[1] == 0 {
		for off, used := dictHead, int(le.Uint32(b[dictUsed:])); off < used; {
			if d.has(b, off, key, hash) {
				return off
			}
			off += int(le.Uint32(b[off:]) &^ deadRecord)
		}
		return 0
	}
	index := h.Get(acc[1])
	mask := len(index)/4 - 1
	for slot := int(hash) & mask; ; slot = (slot + 1) & mask {
		off := int(le.Uint32(index[4*slot:]))
		if off == 0 || d.has(b, off, key, hash) {
			return off
		}
	}
}

func (d dict) has(b []byte, off int, key parts, hash uint32) bool {
	if le.Uint32(b[off+4:]) != hash || le.Uint32(b[off:])&deadRecord != 0 {
		return false
	}
	n := len(key.a)
	if int(le.Uint32(b[off+8:])) != n || int(le.Uint32(b[off+12:])) != len(key.b) {
		return false
	}
	k := b[off+recordHead+8*d.words:]
	return bytes.Equal(k[:n], key.a) && bytes.Equal(k[n:n+len(key.b)], key.b)
}

// edit gives the record at off to be written.
func (d dict) edit(acc []uint64, h Heap, off int) record {
	b := h.Get(acc[0])
	acc[0], b = edit(h, acc[0], len(b))
	return d.at(b, off)
}

// insert appends a record, whose key is not there. Its words are zeros.
func (d dict) insert(acc []uint64, h Heap, key, value parts, hash uint32) record {
	size := recordHead + 8*d.words + key.len() + value.len()
	used, have := dictHead, 0
	if acc[0] != 0 {
		b := h.Get(acc[0])
		used, have = int(le.Uint32(b[dictUsed:])), len(b)
		if dead := int(le.Uint32(b[dictDead:])); dead > 1024 && dead > used/2 {
			used = d.compact(acc, h)
		}
	}
	var b []byte
	acc[0], b = edit(h, acc[0], max(room(used+size), have))
	le.PutUint32(b[dictLive:], le.Uint32(b[dictLive:])+1)
	all := int(le.Uint32(b[dictAll:])) + 1
	le.PutUint32(b[dictAll:], uint32(all))
	le.PutUint32(b[dictUsed:], uint32(used+size))
	r := record{b[used : used+size : used+size], d.words}
	le.PutUint32(r.b, uint32(size))
	le.PutUint32(r.b[4:], hash)
	at := recordHead + 8*d.words
	clear(r.b[recordHead:at])
	for k, part := range [4][]byte{key.a, key.b, value.a, value.b} {
		le.PutUint32(r.b[8+4*k:], uint32(len(part)))
		at += copy(r.b[at:], part)
	}
	if all <= dictSmall {
		return r
	}
	index := get(h, acc[1])
	if all*4 > len(index)/4*3 {
		d.reindex(acc, h, all)
	} else {
		acc[1], index = edit(h, acc[1], len(index))
		put(index, hash, used)
	}
	return d.at(h.Get(acc[0]), used)
}

func put(index []byte, hash uint32, off int) {
	mask := len(index)/4 - 1
	slot := int(hash) & mask
	for le.Uint32(index[4*slot:]) != 0 {
		slot = (slot + 1) & mask
	}
	le.PutUint32(index[4*slot:], uint32(off))
}

// reindex makes the index anew, with room for n records and as many again.
func (d dict) reindex(acc []uint64, h Heap, n int) {
	slots := 16
	for slots < 2*n {
		slots *= 2
	}
	var index []byte
	acc[1], index = edit(h, acc[1], 4*slots)
	clear(index)
	b := h.Get(acc[0])
	for off, used := dictHead, int(le.Uint32(b[dictUsed:])); off < used; {
		r := d.at(b, off)
		if !r.dead() {
			put(index, r.hash(), off)
		}
		off += r.size()
	}
}

// remove kills the record at off. The last one takes the blobs with it.
func (d dict) remove(acc []uint64, h Heap, off int) {
	b := h.Get(acc[0])
	if le.Uint32(b[dictLive:]) == 1 {
		drop(h, acc[0])
		drop(h, acc[1])
		acc[0], acc[1] = 0, 0
		return
	}
	acc[0], b = edit(h, acc[0], len(b))
	d.kill(b, off)
}

// replace gives the record at off, which has this key, another value; its words
// stay. It returns the record, which may be another, behind all others. The key
// is not of this dict's bytes.
func (d dict) replace(acc []uint64, h Heap, off int, key, value parts) record {
	r := d.edit(acc, h, off)
	start := recordHead + 8*d.words + key.len()
	if start+value.len() <= r.size() {
		le.PutUint32(r.b[16:], uint32(len(value.a)))
		le.PutUint32(r.b[20:], uint32(len(value.b)))
		copy(r.b[start+copy(r.b[start:], value.a):], value.b)
		return r
	}
	var words [2]uint64
	for k := range d.words {
		words[k] = r.word(k)
	}
	hash := r.hash()
	d.kill(h.Get(acc[0]), off)
	r = d.insert(acc, h, key, value, hash)
	for k := range d.words {
		r.setWord(k, words[k])
	}
	return r
}

// kill marks a record dead.
func (dict) kill(b []byte, off int) {
	size := le.Uint32(b[off:])
	le.PutUint32(b[off:], size|deadRecord)
	le.PutUint32(b[dictLive:], le.Uint32(b[dictLive:])-1)
	le.PutUint32(b[dictDead:], le.Uint32(b[dictDead:])+size)
}

// compact moves the live records together and says how many bytes they use.
func (d dict) compact(acc []uint64, h Heap) int {
	b := h.Get(acc[0])
	acc[0], b = edit(h, acc[0], len(b))
	into, live := dictHead, 0
	used := int(le.Uint32(b[dictUsed:]))
	for off := dictHead; off < used; {
		size := int(le.Uint32(b[off:]) &^ deadRecord)
		if le.Uint32(b[off:])&deadRecord == 0 {
			copy(b[into:], b[off:off+size])
			into += size
			live++
		}
		off += size
	}
	clear(b[into:used])
	le.PutUint32(b[dictAll:], uint32(live))
	le.PutUint32(b[dictUsed:], uint32(into))
	le.PutUint32(b[dictDead:], 0)
	if live <= dictSmall {
		drop(h, acc[1])
		acc[1] = 0
	} else {
		d.reindex(acc, h, live)
	}
	return into
}
