package operators

import (
	"maps"
	"math/bits"
	"slices"

	"github.com/leatstream/leat/state"
)

// pending is what changed since the last update was sent: per pane, by its id
// in the table, the slots that have changes.
//
//	pane 12:00:10 ▶ bits of slots     the windows of several panes are the
//	pane 12:00:20 ▶ bits of slots     union of their bits: no slot comes twice
type pending struct {
	panes map[int64]*slotSet
	free  []*slotSet
	at    int64 // the pane noted last; rows come nearly in order
	set   *slotSet
}

type slotSet []uint64

// add notes a change and tells whether it is new.
func (p *pending) add(pane int64, slot state.Slot) bool {
	if p.set == nil || p.at != pane {
		p.at, p.set = pane, p.open(pane)
	}
	return p.set.add(slot)
}

func (p *pending) open(pane int64) *slotSet {
	if s := p.panes[pane]; s != nil {
		return s
	}
	s := new(slotSet)
	if n := len(p.free); n > 0 {
		s, p.free = p.free[n-1], p.free[:n-1]
	}
	if p.panes == nil {
		p.panes = map[int64]*slotSet{}
	}
	p.panes[pane] = s
	return s
}

// ids are the panes with changes, ascending.
func (p *pending) ids() []int64 { return slices.Sorted(maps.Keys(p.panes)) }

// clear forgets everything.
func (p *pending) clear() {
	for _, s := range p.panes {
		*s = (*s)[:0]
		p.free = append(p.free, s)
	}
	clear(p.panes)
	p.set = nil
}

func (s *slotSet) add(slot state.Slot) bool {
	for int(slot/64) >= len(*s) {
		*s = append(*s, 0)
	}
	bit := uint64(1) << (slot % 64)
	if (*s)[slot/64]&bit != 0 {
		return false
	}
	(*s)[slot/64] |= bit
	return true
}

// union adds the slots of o.
func (s *slotSet) union(o *slotSet) {
	for len(*s) < len(*o) {
		*s = append(*s, 0)
	}
	for i, m := range *o {
		(*s)[i] |= m
	}
}

// slots appends the slots, ascending.
func (s slotSet) slots(to []state.Slot) []state.Slot {
	for i, m := range s {
		for ; m != 0; m &= m - 1 {
			to = append(to, state.Slot(i*64+bits.TrailingZeros64(m)))
		}
	}
	return to
}
