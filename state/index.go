package state

import "math/bits"

// index finds a key's slot: open addressing, linear probing, no pointers.
//
//	entry = hash (32 bits) << 32 | slot + 1        0 is empty
//
// The hash in the entry decides the home position too, so that growing and
// removing (by shifting back, no tombstones) never look at the keys.
type index struct {
	entries []uint64
	n       int
}

// reserve makes room for extra more entries.
func (x *index) reserve(extra int) {
	want := x.n + extra
	if want*3 <= len(x.entries)*2 {
		return
	}
	size := max(64, 1<<bits.Len(uint(want*3/2)))
	if size < want*3/2+1 {
		size *= 2
	}
	old := x.entries
	x.entries = make([]uint64, size)
	for _, e := range old {
		if e != 0 {
			x.place(e)
		}
	}
}

func (x *index) place(e uint64) {
	mask := uint32(len(x.entries) - 1)
	i := uint32(e>>32) & mask
	for x.entries[i] != 0 {
		i = (i + 1) & mask
	}
	x.entries[i] = e
}

func (x *index) add(hash uint32, s Slot) {
	x.reserve(1)
	x.place(uint64(hash)<<32 | uint64(s+1))
	x.n++
}

func (x *index) remove(hash uint32, s Slot) {
	mask := uint32(len(x.entries) - 1)
	want := uint64(hash)<<32 | uint64(s+1)
	i := hash & mask
	for x.entries[i] != want {
		if x.entries[i] == 0 {
			panic("state: key is not in the index")
		}
		i = (i + 1) & mask
	}
	x.n--
	// Shift back what probed over the hole.
	for j := (i + 1) & mask; ; j = (j + 1) & mask {
		e := x.entries[j]
		if e == 0 {
			break
		}
		home := uint32(e>>32) & mask
		if (j-home)&mask >= (j-i)&mask {
			x.entries[i] = e
			i = j
		}
	}
	x.entries[i] = 0
}
