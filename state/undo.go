package state

import "unsafe"

// undo is one step of what Rollback takes back, in reverse order.
//
//	fresh  the slot was inactive in the pane
//	write  the slot was active in the pane, its words are in saved[off:]
//	open   the pane did not exist
//	drop   the pane existed; its memory is untouched until Commit
//
// The unit is the accumulator, not its block: where keys are many and rows per
// key few, copying fifteen neighbours would cost more than the row.
type undo struct {
	kind uint32
	pane uint32
	slot Slot
	off  uint32 // in words
}

const (
	undoFresh = iota
	undoWrite
	undoOpen
	undoDrop

	undoBytes = int64(unsafe.Sizeof(undo{}))
	// keepSaved: an undo arena above this (words) is given back when an interval
	// needed a quarter of it or less.
	keepSaved = 1 << 17
)

// touch saves an accumulator before its first change in the commit interval,
// and marks it dirty.
func (t *Table) touch(p *Pane, s Slot, e *uint64) {
	bit := uint64(1) << (s % blockSlots)
	if *e&(bit<<dirtyShift) != 0 {
		return
	}
	u := undo{kind: undoFresh, pane: p.id, slot: s, off: uint32(len(t.saved))}
	if *e&bit != 0 {
		u.kind = undoWrite
		t.saved = append(t.saved, p.acc(*e, s)...)
	}
	t.log = append(t.log, u)
	*e |= bit << dirtyShift
}

// Expire drops the panes of family f with end <= upTo. A key whose last pane
// goes becomes a tombstone in Changes, and its slot is freed after Commit.
func (t *Table) Expire(f Family, upTo int64) {
	fam := &t.fams[f]
	dropped := t.dropPanes(fam, upTo, func(p *Pane) {
		t.log = append(t.log, undo{kind: undoDrop, pane: p.id})
		t.dropped = append(t.dropped, p)
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
		case undoFresh, undoWrite:
			t.commitWrite(t.byID[u.pane], u.slot)
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

func (t *Table) commitWrite(p *Pane, s Slot) {
	if p.dead {
		return // buried at its drop
	}
	e := &p.pages[s/pageSlots].e[s/blockSlots%pageBlocks]
	*e &^= 1 << (s % blockSlots) << dirtyShift
	t.markUnsaved(p, s)
	p.settleBlock(e)
}

// markUnsaved queues an accumulator for Apply.
func (t *Table) markUnsaved(p *Pane, s Slot) {
	if !t.durable {
		return
	}
	u := &p.pages[s/pageSlots].unsaved[s/blockSlots%pageBlocks]
	bit := uint16(1) << (s % blockSlots)
	if *u&bit != 0 {
		return
	}
	if *u == 0 {
		t.unsaved = append(t.unsaved, blockID{p.id, uint32(s / blockSlots)})
	}
	*u |= bit
	t.pending += int64(p.fam.words*8 + 32)
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
		case undoFresh, undoWrite:
			t.undoWrite(p, u)
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

func (t *Table) undoWrite(p *Pane, u *undo) {
	s, e := u.slot, &p.pages[u.slot/pageSlots].e[u.slot/blockSlots%pageBlocks]
	*e &^= 1 << (s % blockSlots) << dirtyShift
	active := *e>>(s%blockSlots)&1 != 0
	if u.kind == undoWrite {
		if *e>>blockShift == 0 {
			*e |= uint64(p.fam.slab.alloc()) << blockShift
		}
		copy(p.acc(*e, s), t.saved[u.off:])
		if !active {
			p.activate(e, s)
			t.enter(s)
		}
		return
	}
	if active {
		p.deactivate(e, s)
		t.leave(s)
	}
	p.settleBlock(e)
}

// reset makes the table empty, as new.
func (t *Table) reset() {
	for _, p := range t.byID {
		if p != nil {
			p.dead, p.pages = true, nil
		}
	}
	fresh := newTable(t.spec, t.durable)
	fresh.disk, fresh.budget, fresh.relieve = t.disk, t.budget, t.relieve
	*t = *fresh
}

// endInterval empties everything that is of one commit interval.
func (t *Table) endInterval() {
	for _, id := range t.dying {
		t.byID[id] = nil
		t.ids = append(t.ids, id)
	}
	t.dying = t.dying[:0]
	clear(t.dropped)
	t.dropped = t.dropped[:0]
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
