package state

import (
	"cmp"
	"math/bits"
	"slices"
)

// Pane is one pane of a table: an accumulator per active slot.
//
//	pages  ▶ [ 64 entries ][ nil ][ 64 entries ] …     a page is 1024 slots
//	entry    block number u32 │ dirty u16 │ active u16
//	block    16 accumulators
//
// Dirty bits are of the commit interval: an accumulator without one has not been
// touched in it, so the first touch, which has to save it for Rollback, is seen
// without a stamp beside it.
type Pane struct {
	t       *Table
	fam     *family
	end     int64
	id      uint32
	pages   []*page
	n       int // active slots in memory
	evicted int // active slots in Pebble only
	dead    bool
}

type page struct {
	e       [pageBlocks]uint64
	unsaved [pageBlocks]uint16 // committed, but not in Pebble
}

const (
	blockSlots = 16
	pageBlocks = 64
	pageSlots  = blockSlots * pageBlocks
	pageBytes  = pageBlocks * 10

	activeMask = 0xffff
	dirtyShift = 16
	dirtyMask  = 0xffff << dirtyShift
	blockShift = 32
)

// End is the end of the pane in ms; math.MaxInt64 for state without windows.
func (p *Pane) End() int64 { return p.end }

// Len is the number of active slots, spilled keys included.
func (p *Pane) Len() int { return p.n + p.evicted }

// Write gives the Words words of slot s, to be changed in place until the next
// call on the table. It marks the slot dirty. fresh tells that s was inactive;
// its words are zero then.
func (p *Pane) Write(s Slot) (acc []uint64, fresh bool) {
	if n := int(s / pageSlots); n < len(p.pages) && p.pages[n] != nil {
		bit := uint64(1) << (s % blockSlots)
		if v := p.pages[n].e[s/blockSlots%pageBlocks]; v&bit != 0 && v&(bit<<dirtyShift) != 0 {
			fam := p.fam
			b := uint32(v >> blockShift)
			off := (int(b&(1<<fam.slab.shift-1))*blockSlots + int(s%blockSlots)) * fam.words
			return fam.slab.chunks[b>>fam.slab.shift][off : off+fam.words : off+fam.words], false
		}
	}
	return p.writeSlow(s)
}

func (p *Pane) writeSlow(s Slot) (acc []uint64, fresh bool) {
	t, bit := p.t, uint64(1)<<(s%blockSlots)
	switch {
	case p.dead:
		panic("state: write to a pane that is gone")
	case t.flags[s]&slotFree != 0:
		panic("state: write to a slot that is free")
	}
	e := p.entry(s)
	t.touch(p, s, e)
	if *e>>blockShift == 0 {
		*e |= uint64(p.fam.slab.alloc()) << blockShift
	}
	acc = p.acc(*e, s)
	if *e&bit != 0 {
		return acc, false
	}
	clear(acc)
	p.activate(e, s)
	t.enter(s)
	return acc, true
}

// Touch brings the accumulators of slots[i], for each i in rows, towards the
// caches: called before a batch of Write it makes the misses of a table much
// larger than the caches overlap. It changes nothing.
func (p *Pane) Touch(rows []int32, slots []Slot) {
	fam := p.fam
	touched := uint64(0)
	for _, i := range rows {
		s := slots[i]
		if n := int(s / pageSlots); n < len(p.pages) && p.pages[n] != nil {
			if b := uint32(p.pages[n].e[s/blockSlots%pageBlocks] >> blockShift); b != 0 {
				off := (int(b&(1<<fam.slab.shift-1))*blockSlots + int(s%blockSlots)) * fam.words
				touched += fam.slab.chunks[b>>fam.slab.shift][off]
			}
		}
	}
	p.t.touched = touched // or the compiler drops the loads
}

// Read gives the words of slot s, nil when it is inactive. They are only read,
// and valid until the next call on the table that writes.
func (p *Pane) Read(s Slot) []uint64 {
	if n := int(s / pageSlots); n < len(p.pages) && p.pages[n] != nil {
		if e := p.pages[n].e[s/blockSlots%pageBlocks]; e>>(s%blockSlots)&1 != 0 {
			return p.acc(e, s)
		}
	}
	return nil
}

// Remove makes slot s inactive.
func (p *Pane) Remove(s Slot) {
	acc := p.Read(s)
	if acc == nil {
		return
	}
	for _, w := range p.fam.blobs {
		p.t.forget(acc[w])
	}
	e := p.entry(s)
	p.t.touch(p, s, e)
	p.deactivate(e, s)
	p.t.leave(s)
}

// Each calls fn for the active slots, in ascending order, until it returns
// false. fn may write or remove the slot that it is given, and may open other
// panes; slots that it makes active here may or may not be seen. Spilled keys
// are loaded: use Table.Scan where that may be too much for memory.
func (p *Pane) Each(fn func(s Slot, acc []uint64) bool) {
	p.t.loadPane(p)
	for n := range p.pages {
		pg := p.pages[n]
		if pg == nil {
			continue
		}
		for i := range pg.e {
			for m := uint16(pg.e[i]); m != 0; m &= m - 1 {
				s := Slot(n*pageSlots + i*blockSlots + bits.TrailingZeros16(m))
				acc := p.Read(s)
				if acc == nil {
					continue // removed meanwhile
				}
				if !fn(s, acc) {
					return
				}
			}
		}
	}
}

// entry finds the page entry of slot s, making its page.
func (p *Pane) entry(s Slot) *uint64 {
	n := int(s / pageSlots)
	for len(p.pages) <= n {
		p.pages = append(p.pages, nil)
	}
	if p.pages[n] == nil {
		p.pages[n] = new(page)
		p.t.pages++
	}
	return &p.pages[n].e[s/blockSlots%pageBlocks]
}

func (p *Pane) acc(e uint64, s Slot) []uint64 {
	words := p.fam.words
	off := int(s%blockSlots) * words
	return p.fam.slab.block(uint32(e >> blockShift))[off : off+words : off+words]
}

func (p *Pane) activate(e *uint64, s Slot) {
	*e |= 1 << (s % blockSlots)
	p.n++
	p.fam.shape++
}

func (p *Pane) deactivate(e *uint64, s Slot) {
	*e &^= 1 << (s % blockSlots)
	p.n--
	p.fam.shape++
}

// settleBlock gives back the memory of a block without an active slot, unless a
// Rollback may need it.
func (p *Pane) settleBlock(e *uint64) {
	if *e&(activeMask|dirtyMask) == 0 && *e>>blockShift != 0 {
		p.fam.slab.release(uint32(*e >> blockShift))
		*e = 0
	}
}

// eachActive calls fn for the active slots in memory; the table must not change.
func (p *Pane) eachActive(fn func(s Slot, e *uint64)) {
	for n, pg := range p.pages {
		if pg == nil {
			continue
		}
		for i := range pg.e {
			for m := uint16(pg.e[i]); m != 0; m &= m - 1 {
				fn(Slot(n*pageSlots+i*blockSlots+bits.TrailingZeros16(m)), &pg.e[i])
			}
		}
	}
}

// freePages gives back the pages of a pane that is gone; its blocks are free.
func (p *Pane) freePages() {
	for _, pg := range p.pages {
		if pg != nil {
			p.t.pages--
		}
	}
	p.pages = nil
}

// Pane finds the pane of family f that ends at end (ms), nil if there is none.
func (t *Table) Pane(f Family, end int64) *Pane {
	fam := &t.fams[f]
	if i, ok := fam.find(end); ok {
		return fam.panes[i]
	}
	return nil
}

// Open finds or makes the pane of family f that ends at end (ms).
func (t *Table) Open(f Family, end int64) *Pane {
	fam := t.family(f)
	i, ok := fam.find(end)
	if ok {
		return fam.panes[i]
	}
	p := t.open(fam, i, end)
	t.log = append(t.log, undo{kind: undoOpen, pane: p.id})
	return p
}

func (t *Table) open(fam *family, i int, end int64) *Pane {
	p := &Pane{t: t, fam: fam, end: end}
	if n := len(t.ids); n > 0 {
		p.id = t.ids[n-1]
		t.ids = t.ids[:n-1]
		t.byID[p.id] = p
	} else {
		p.id = uint32(len(t.byID))
		t.byID = append(t.byID, p)
	}
	fam.panes = slices.Insert(fam.panes, i, p)
	return p
}

func (f *family) find(end int64) (int, bool) {
	// Panes are opened at the young end.
	if n := len(f.panes); n == 0 || f.panes[n-1].end < end {
		return n, false
	}
	return slices.BinarySearchFunc(f.panes, end, func(p *Pane, end int64) int { return cmp.Compare(p.end, end) })
}

// between gives the panes with lo < end <= hi.
func (f *family) between(lo, hi int64) []*Pane {
	i, ok := f.find(lo)
	if ok {
		i++
	}
	j, ok := f.find(hi)
	if ok {
		j++
	}
	if j < i {
		return nil
	}
	return f.panes[i:j]
}

// Ends gives the ends of the panes of family f, ascending. A pane stays until
// it expires, even when its last slot is removed.
func (t *Table) Ends(f Family) []int64 {
	ends := make([]int64, len(t.fams[f].panes))
	for i, p := range t.fams[f].panes {
		ends[i] = p.end
	}
	return ends
}

// Active appends to buf, ascending, the slots active in any pane of family f
// with lo < end <= hi. Spilled keys are loaded: use Scan where that may be too
// much for memory.
func (t *Table) Active(f Family, lo, hi int64, buf []Slot) []Slot {
	fam := &t.fams[f]
	for _, p := range fam.between(lo, hi) {
		t.loadPane(p)
	}
	return fam.active(lo, hi, buf)
}

func (f *family) active(lo, hi int64, buf []Slot) []Slot {
	panes := f.between(lo, hi)
	size := 0
	for _, p := range panes {
		size = max(size, len(p.pages))
	}
	var or [pageBlocks]uint64
	for n := range size {
		clear(or[:])
		for _, p := range panes {
			if n < len(p.pages) && p.pages[n] != nil {
				for i, e := range &p.pages[n].e {
					or[i] |= e
				}
			}
		}
		for i, e := range &or {
			for m := uint16(e); m != 0; m &= m - 1 {
				buf = append(buf, Slot(n*pageSlots+i*blockSlots+bits.TrailingZeros16(m)))
			}
		}
	}
	return buf
}
