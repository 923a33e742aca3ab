package state

import (
	"encoding/binary"
	"math/bits"
)

// heap holds byte strings (keys, and accumulators that do not fit words) in
// large chunks, so that the garbage collector sees a pointer per chunk and
// none per string.
//
//	ref = chunk number << 32 | offset of the bytes     0 is none
//
//	        ┌─ len u32 ─┬─ gen u32 ─┬─ bytes … ─────┬─ slack ─┐
//	 cell   │           │           │▲ ref          │         │   size: one of 21 classes
//	        └───────────┴───────────┴┼──────────────┴─────────┘
//	 free cell: gen = 0, the bytes begin with the ref of the next free cell of its class
//
// gen is the commit interval that made the cell: what an abort has to free,
// and what may be freed before the commit.
type heap struct {
	chunks [][]byte
	holes  []uint32 // numbers of chunks given back (large cells)
	free   [heapClasses]uint64
	cur    uint32 // chunk that cells are cut from
	off    uint32 // where in it
	used   int64  // bytes of cells in use, slack included
	cells  int    // in use
}

const (
	cellHeader  = 8
	heapClasses = 21       // 16, 24, 32, 48, 64 … 16 KiB
	largeCell   = 16 << 10 // above this a cell has a chunk of its own
	minChunk    = 4 << 10  // most tables are small
	maxChunk    = 256 << 10

	genFree      = 0
	genCommitted = 1          // made by a load or a restore: never free before commit
	genKey       = ^uint32(0) // a key; not an accumulator's
	genFirst     = 2
)

// alloc gives room for n bytes.
func (h *heap) alloc(n int, gen uint32) uint64 {
	size := n + cellHeader
	h.cells++
	if size > largeCell {
		return h.allocLarge(n, gen)
	}
	c := heapClass(size)
	size = heapClassSize(c)
	h.used += int64(size)
	ref := h.free[c]
	if ref != 0 {
		h.free[c] = binary.LittleEndian.Uint64(h.at(ref))
	} else {
		ref = h.cut(uint32(size))
	}
	h.setHeader(ref, n, gen)
	return ref
}

func (h *heap) cut(size uint32) uint64 {
	if len(h.chunks) == 0 || h.off+size > uint32(len(h.chunks[h.cur])) {
		n := minChunk
		for want := h.used / 4; n < maxChunk && (int64(n) < want || n < int(size)); {
			n *= 2
		}
		h.cur, h.off = h.addChunk(n), 0
	}
	ref := uint64(h.cur)<<32 | uint64(h.off+cellHeader)
	h.off += size
	return ref
}

func (h *heap) allocLarge(n int, gen uint32) uint64 {
	ref := uint64(h.addChunk(n+cellHeader))<<32 | cellHeader
	h.used += int64(n + cellHeader)
	h.setHeader(ref, n, gen)
	return ref
}

func (h *heap) addChunk(size int) uint32 {
	if n := len(h.holes); n > 0 {
		c := h.holes[n-1]
		h.holes = h.holes[:n-1]
		h.chunks[c] = make([]byte, size)
		return c
	}
	h.chunks = append(h.chunks, make([]byte, size))
	return uint32(len(h.chunks) - 1)
}

func (h *heap) put(b string, gen uint32) uint64 {
	ref := h.alloc(len(b), gen)
	copy(h.at(ref), b)
	return ref
}

func (h *heap) putBytes(b []byte, gen uint32) uint64 {
	ref := h.alloc(len(b), gen)
	copy(h.at(ref), b)
	return ref
}

func (h *heap) release(ref uint64) {
	n := len(h.get(ref))
	h.cells--
	if size := n + cellHeader; size > largeCell {
		h.used -= int64(size)
		c := uint32(ref >> 32)
		h.chunks[c] = nil
		h.holes = append(h.holes, c)
		return
	}
	c := heapClass(n + cellHeader)
	h.used -= int64(heapClassSize(c))
	h.setHeader(ref, n, genFree)
	binary.LittleEndian.PutUint64(h.at(ref), h.free[c])
	h.free[c] = ref
}

// get gives a cell's bytes, valid until the cell is released.
func (h *heap) get(ref uint64) []byte {
	c := h.chunks[ref>>32]
	off := uint32(ref)
	n := binary.LittleEndian.Uint32(c[off-cellHeader:])
	return c[off : off+n : off+n]
}

// gen gives a cell's generation; genFree for one whose chunk is gone.
func (h *heap) gen(ref uint64) uint32 {
	c := h.chunks[ref>>32]
	if c == nil {
		return genFree
	}
	return binary.LittleEndian.Uint32(c[uint32(ref)-cellHeader+4:])
}

func (h *heap) at(ref uint64) []byte { return h.chunks[ref>>32][uint32(ref):] }

func (h *heap) setHeader(ref uint64, n int, gen uint32) {
	b := h.chunks[ref>>32][uint32(ref)-cellHeader:]
	binary.LittleEndian.PutUint32(b, uint32(n))
	binary.LittleEndian.PutUint32(b[4:], gen)
}

// heapClass numbers the sizes 16, 24, 32, 48, 64, 96 …: each power of two and
// the middle below it.
func heapClass(size int) int {
	if size <= 16 {
		return 0
	}
	k := bits.Len32(uint32(size - 1))
	c := (k - 4) * 2
	if size <= 3<<(k-2) {
		c--
	}
	return c
}

func heapClassSize(c int) int {
	if c%2 == 1 {
		return 3 << ((c+1)/2 + 2)
	}
	return 16 << (c / 2)
}
