package state

import (
	"math/bits"
	"unsafe"
)

// undo is one step of what Rollback takes back, in reverse order.
//
//	touch  entry e of the pane was as in e, and its block, if it had one, as in
//	       saved[off:]
//	open   the pane did not exist
//	drop   the pane existed; its memory is untouched until Commit
type undo struct {
	kind  uint8
	pane  uint32
	block uint32
	off   uint64
	e     uint64
}

const (
	undoTouch = iota
	undoOpen
	undoDrop

	undoBytes = int64(unsafe.Sizeof(undo{}))
	// keepSaved: an undo arena above this (words) is given back when an interval
	// needed a quarter of it or less.
	keepSaved = 1 << 17
)

// touch saves a block before its first change in the commit interval.
func (t *Table) touch(p *Pane, s Slot, e *uint64) {
	if *e&dirtyMask != 0 {
		return
	}
	t.log = append(t.log, undo{kind: undoTouch, pane: p.id, block: uint32(s / blockSlots), off: uint64(len(t.saved)), e: *e})
	if b := uint32(*e >> blockShift); b != 0 {
		t.saved = append(t.saved, p.fam.slab.block(b)...)
	}
}

// Expire drops the panes of family f with end <= upTo. A key whose last pane
// goes becomes a tombstone in Changes, and its slot is freed after Commit.
func (t *Table) Expire(f Family, upTo int64) {
	fam := &t.fams[f]
	dropped := t.dropPanes(fam, upTo, func(p *Pane) {
		t.log = append(t.log, undo{kind: undoDrop, pane: p.id})
		t.spill.walked = false
	})
	if dropped {
		fam.newFloor, fam.hasNewFloor = maxFloor(fam.newFloor, fam.hasNewFloor, upTo), true
	}
}

// dropPanes takes the panes with end <= upTo out of the family; their memory
// stays for then to keep or bury.
func (t *Table) dropPanes(fam *family, upTo int64, then func(*Pane)) bool {
	i, ok := fam.find(upTo)
	if ok {
		i++
	}
	for _, p := range fam.panes[:i] {
		p.eachActive(func(s Slot, _ *uint64) { t.leave(s) })
		p.dead = true
		then(p)
	}
	if i == 0 {
		return false
	}
	rest := copy(fam.panes, fam.panes[i:])
	clear(fam.panes[rest:])
	fam.panes = fam.panes[:rest]
	fam.shape++
	return true
}

func maxFloor(old int64, has bool, upTo int64) int64 {
	if has && old > upTo {
		return old
	}
	return upTo
}

// commit makes the interval's changes the committed state.
func (t *Table) commit() error {
	if err := t.countDead(); err != nil {
		return err
	}
	for i := range t.log {
		switch u := &t.log[i]; u.kind {
		case undoTouch:
			t.commitBlock(t.byID[u.pane], u.block)
		case undoDrop:
			t.bury(t.byID[u.pane])
		}
	}
	for _, ref := range t.doomed {
		t.heap.release(ref)
	}
	for _, s := range t.edges {
		t.settle(s)
	}
	for f := range t.fams {
		fam := &t.fams[f]
		if fam.hasNewFloor && t.durable {
			fam.floor, fam.hasFloor = maxFloor(fam.floor, fam.hasFloor, fam.newFloor), true
		}
	}
	t.spill.keys -= t.spill.dead
	t.endInterval()
	return nil
}

func (t *Table) commitBlock(p *Pane, block uint32) {
	if p.dead {
		return // buried at its drop
	}
	pg, i := p.pages[block/pageBlocks], block%pageBlocks
	dirty := uint16(pg.e[i] >> dirtyShift)
	pg.e[i] &^= dirtyMask
	t.markUnsaved(p, block, dirty)
	p.settleBlock(&pg.e[i])
}

// markUnsaved queues the slots dirty of a block for Apply.
func (t *Table) markUnsaved(p *Pane, block uint32, dirty uint16) {
	if !t.durable || dirty == 0 {
		return
	}
	u := &p.pages[block/pageBlocks].unsaved[block%pageBlocks]
	if *u == 0 {
		t.unsaved = append(t.unsaved, blockID{p.id, block})
	}
	t.pending += int64(bits.OnesCount16(dirty&^*u)) * int64(p.fam.words*8+32)
	*u |= dirty
}

// bury frees the memory of a dead pane.
func (t *Table) bury(p *Pane) {
	p.eachActive(func(s Slot, e *uint64) {
		if len(p.fam.blobs) == 0 {
			return
		}
		acc := p.acc(*e, s)
		for _, w := range p.fam.blobs {
			if acc[w] != 0 {
				t.heap.release(acc[w])
			}
		}
	})
	for _, pg := range p.pages {
		if pg == nil {
			continue
		}
		for i := range pg.e {
			if b := uint32(pg.e[i] >> blockShift); b != 0 {
				p.fam.slab.release(b)
			}
		}
	}
	p.freePages()
	t.dying = append(t.dying, p.id)
}

// rollback takes the interval's changes back.
func (t *Table) rollback() {
	for i := len(t.log) - 1; i >= 0; i-- {
		u := &t.log[i]
		p := t.byID[u.pane]
		switch u.kind {
		case undoTouch:
			t.restoreBlock(p, u)
		case undoOpen:
			at, _ := p.fam.find(p.end)
			p.fam.panes = append(p.fam.panes[:at], p.fam.panes[at+1:]...)
			p.dead = true
			p.freePages()
			t.dying = append(t.dying, p.id)
		case undoDrop:
			p.dead = false
			at, _ := p.fam.find(p.end)
			p.fam.panes = append(p.fam.panes, nil)
			copy(p.fam.panes[at+1:], p.fam.panes[at:])
			p.fam.panes[at] = p
			p.eachActive(func(s Slot, _ *uint64) { t.enter(s) })
			p.fam.shape++
		}
	}
	t.unload()
	for _, ref := range t.fresh {
		if t.heap.gen(ref) == t.gen { // else freed before
			t.heap.release(ref)
		}
	}
	for _, s := range t.edges {
		if t.flags[s]&slotMade != 0 {
			t.freeSlot(s)
		} else if t.live[s] == 0 {
			t.settle(s)
		}
	}
	t.err = nil
	t.endInterval()
}

func (t *Table) restoreBlock(p *Pane, u *undo) {
	e := &p.pages[u.block/pageBlocks].e[u.block%pageBlocks]
	base := Slot(u.block) * blockSlots
	was, is := uint16(u.e), uint16(*e)
	for m := is &^ was; m != 0; m &= m - 1 {
		t.leave(base + Slot(bits.TrailingZeros16(m)))
		p.n--
	}
	for m := was &^ is; m != 0; m &= m - 1 {
		t.enter(base + Slot(bits.TrailingZeros16(m)))
		p.n++
	}
	p.fam.shape++
	if b := uint32(u.e >> blockShift); b != 0 {
		copy(p.fam.slab.block(b), t.saved[u.off:])
	} else if b := uint32(*e >> blockShift); b != 0 {
		p.fam.slab.release(b)
	}
	*e = u.e
}

// reset makes the table empty, as new.
func (t *Table) reset() {
	for _, p := range t.byID {
		if p != nil {
			p.dead, p.pages = true, nil
		}
	}
	fresh := newTable(t.spec, t.durable)
	fresh.disk, fresh.budget = t.disk, t.budget
	*t = *fresh
}

// endInterval empties everything that is of one commit interval.
func (t *Table) endInterval() {
	for _, id := range t.dying {
		t.byID[id] = nil
		t.ids = append(t.ids, id)
	}
	t.dying = t.dying[:0]
	if used := len(t.saved); cap(t.saved) > keepSaved && used <= cap(t.saved)/4 {
		t.saved = nil
	}
	t.log, t.saved = t.log[:0], t.saved[:0]
	t.edges, t.fresh, t.doomed = t.edges[:0], t.fresh[:0], t.doomed[:0]
	for f := range t.fams {
		t.fams[f].hasNewFloor = false
	}
	t.spill.endInterval()
	t.gen++
	if t.gen == genKey {
		t.gen = genFirst
	}
}
