package state

import (
	"fmt"
	"math/bits"

	"github.com/cespare/xxhash/v2"
)

// verify checks the invariants of a table in memory that has nothing
// uncommitted. saved tells that Apply was just called.
func (t *Table) verify(saved bool) error {
	live := make([]uint32, len(t.keys))
	blobs, alive, slots, pages := 0, 0, 0, 0
	for f := range t.fams {
		fam := &t.fams[f]
		blocks := 0
		for i, p := range fam.panes {
			if i > 0 && fam.panes[i-1].end >= p.end {
				return fmt.Errorf("panes are not in order at %d", p.end)
			}
			if p.dead || t.byID[p.id] != p || p.evicted < 0 {
				return fmt.Errorf("pane %d: dead %v, evicted %d", p.end, p.dead, p.evicted)
			}
			n := 0
			for _, pg := range p.pages {
				if pg == nil {
					continue
				}
				pages++
				for _, e := range pg.e {
					if e&dirtyMask != 0 {
						return fmt.Errorf("pane %d: dirty after the interval", p.end)
					}
					if (e&activeMask != 0) != (e>>blockShift != 0) {
						return fmt.Errorf("pane %d: entry %x", p.end, e)
					}
					n += bits.OnesCount16(uint16(e))
					if e != 0 {
						blocks++
					}
				}
				for _, u := range pg.unsaved {
					if saved && u != 0 {
						return fmt.Errorf("pane %d: unsaved after Apply", p.end)
					}
				}
			}
			if n != p.n {
				return fmt.Errorf("pane %d: %d active, counted %d", p.end, n, p.n)
			}
			p.eachActive(func(s Slot, e *uint64) {
				live[s]++
				for _, w := range fam.blobs {
					if p.acc(*e, s)[w] != 0 {
						blobs++
					}
				}
			})
		}
		if fam.words > 0 && blocks != fam.slab.inUse {
			return fmt.Errorf("family %d: %d blocks, %d in use", f, blocks, fam.slab.inUse)
		}
	}
	for s := range t.keys {
		fl := t.flags[s]
		if fl&slotFree != 0 {
			if live[s] != 0 {
				return fmt.Errorf("slot %d is free and active", s)
			}
			continue
		}
		slots++
		if fl&slotMade != 0 {
			return fmt.Errorf("slot %d: made after the interval", s)
		}
		if live[s] != t.live[s] {
			return fmt.Errorf("slot %d: in %d panes, counted %d", s, live[s], t.live[s])
		}
		if live[s] > 0 {
			alive++
			if fl&(slotGhost|slotUnlogged) != 0 {
				return fmt.Errorf("slot %d: alive with flags %b", s, fl)
			}
		} else if fl&(slotGhost|slotPinned) == 0 {
			return fmt.Errorf("slot %d: leaked, flags %b", s, fl)
		} else if saved && fl&slotPinned == 0 {
			return fmt.Errorf("slot %d: ghost after Apply", s)
		}
		key := t.Key(Slot(s))
		if at, ok := t.lookup(key, uint32(xxhash.Sum64String(key))); !ok || at != Slot(s) {
			return fmt.Errorf("slot %d: key %q finds %d, %v", s, key, at, ok)
		}
	}
	switch {
	case pages != t.pages:
		return fmt.Errorf("%d pages, counted %d", pages, t.pages)
	case alive != t.alive:
		return fmt.Errorf("%d keys alive, counted %d", alive, t.alive)
	case slots != t.idx.n || slots+len(t.holes) != len(t.keys):
		return fmt.Errorf("%d slots, index has %d, %d holes of %d", slots, t.idx.n, len(t.holes), len(t.keys))
	case slots+blobs != t.heap.cells:
		return fmt.Errorf("%d keys and %d blobs, heap has %d cells", slots, blobs, t.heap.cells)
	case len(t.log)+len(t.doomed)+len(t.fresh)+len(t.dying)+len(t.dropped) > 0:
		return fmt.Errorf("something of the interval is left")
	}
	if saved && t.durable {
		return t.verifySpilled()
	}
	return nil
}

// verifySpilled holds the counts of spilled keys against Pebble.
func (t *Table) verifySpilled() error {
	keys := map[string]bool{}
	for f := range t.fams {
		for _, p := range t.fams[f].panes {
			n := 0
			if err := t.eachSpilled(p, func(key string, _ uint32) error { n++; keys[key] = true; return nil }); err != nil {
				return err
			}
			if n != p.evicted {
				return fmt.Errorf("pane %d: %d spilled, counted %d", p.end, n, p.evicted)
			}
		}
	}
	if len(keys) != t.spill.keys {
		return fmt.Errorf("%d keys spilled, counted %d", len(keys), t.spill.keys)
	}
	return nil
}
