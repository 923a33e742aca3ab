package operators

import (
	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/state"
	"github.com/leatstream/leat/window/aggregate"
)

// ring makes closing a hopping window of many panes cost a few merges per key,
// however many panes there are. It remembers, per slot, what the panes of the
// last window came to; a pane whose first window has closed does not change any
// more, as later rows go to its parts (see aggregator.splits).
//
//	panes    left │ front …        │ back …      │ not yet
//	              lo               mid           hi
//	total[slot]       = front + back, of aggregates that can take back: a pane
//	                    that enters is merged, one that leaves unmerged
//	front[pane][slot] = that pane … mid merged, of the others: two stacks
//	back[slot]        = mid … hi merged
//
// When lo has come to mid all of it is made anew: a turn of the ring. It is a cache: never stored, dropped at a rollback,
// and where some keys have been spilled.
type ring struct {
	a    *aggregator
	on   bool // knows a window
	lo   int64
	mid  int64
	hi   int64
	back []uint64 // packed, as front
	// head words and those of the swift steps, per slot
	total []uint64
	front []ringPane
	swift []step
	stack []packedStep
	words int // of a packed accumulator
	heap  ringHeap
	slots int // that total and back have room for
	off   bool
}

// ringPane is the accumulators of a pane and those behind it, by slot.
type ringPane struct {
	id   int64
	accs []uint64
}

// packedStep is a step with its words in packed accumulators.
type packedStep struct {
	step
	at, end int
}

const (
	// ringLeast is below how many panes merging them one by one is as good.
	ringLeast = 8
	// ringBytes bounds what the ring of one table may use.
	ringBytes = 128 << 20
)

// ringHeap is the bytes of packed accumulators, till the next turn. Its
// references have a bit of their own, as those of a Scratch over it have.
type ringHeap struct {
	aggregate.Scratch
	bytes int
}

const (
	scratchRef = 1 << 63
	ringRef    = 1 << 62 // ringBytes are far below the start that has it
)

func inner(ref uint64) uint64 {
	if ref&ringRef != 0 {
		return ref ^ (scratchRef | ringRef)
	}
	return ref
}

func outer(ref uint64) uint64 {
	if ref&scratchRef != 0 {
		return ref ^ (scratchRef | ringRef)
	}
	return ref
}

// Get gives the bytes of a reference.
func (h *ringHeap) Get(ref uint64) []byte { return h.Scratch.Get(inner(ref)) }

// Put stores a copy of b.
func (h *ringHeap) Put(old uint64, b []byte) uint64 {
	h.bytes += len(b)
	return outer(h.Scratch.Put(inner(old), b))
}

// Edit gives bytes to be written.
func (h *ringHeap) Edit(old uint64, n int) (uint64, []byte) {
	ref, b := h.Scratch.Edit(inner(old), n)
	if outer(ref) != old {
		h.bytes += n
	}
	return outer(ref), b
}

func newRing(a *aggregator) *ring {
	r := &ring{a: a, off: a.spec.plain || a.spec.TableInput || !a.windowed || a.splits <= ringLeast}
	for _, s := range a.fold.steps {
		if s.unmerge != nil {
			r.swift = append(r.swift, s)
			continue
		}
		n := s.to - s.from
		r.stack = append(r.stack, packedStep{s, r.words, r.words + n})
		r.words += n
	}
	r.heap.Base = a.table
	return r
}

func (r *ring) drop() { r.on = false }

// window brings the ring to the window of the panes with lo < id <= hi. ok is
// false where it is better, or only right, to merge them one by one.
func (r *ring) window(lo, hi int64, panes []*state.Pane) (ok bool) {
	if r.off || len(panes) <= ringLeast {
		r.on = false
		return false
	}
	for _, p := range panes {
		if floorDiv(p.End(), r.a.splits)*r.a.splits != p.End() {
			r.on = false // a part
			return false
		}
	}
	if r.heap.bytes > ringBytes {
		r.on, r.off = false, true // the bytes of its accumulators are too many
		return false
	}
	if !r.on || lo < r.lo || hi < r.hi || lo >= r.mid {
		r.on = r.turn(lo, hi, panes)
		return r.on
	}
	r.leave(lo)
	for _, p := range panes {
		if r.on && p.End() > r.hi {
			r.enter(p)
		}
	}
	r.hi = hi
	return r.on
}

// room makes place for a slot.
func (r *ring) room(slot state.Slot) {
	if int(slot) < r.slots {
		return
	}
	n := int(slot) + 1 + int(slot)/4
	r.total = append(r.total, make([]uint64, n*r.a.fold.words-len(r.total))...)
	r.back = append(r.back, make([]uint64, n*r.words-len(r.back))...)
	r.slots = n
}

func (r *ring) totalOf(slot state.Slot) []uint64 {
	w := r.a.fold.words
	return r.total[int(slot)*w:][:w:w]
}

func (r *ring) packed(of []uint64, slot state.Slot) []uint64 {
	return of[int(slot)*r.words:][:r.words:r.words]
}

// enter merges a pane behind the others.
func (r *ring) enter(p *state.Pane) {
	p.Each(func(slot state.Slot, acc []uint64) bool {
		if acc[accRows] == 0 {
			return true
		}
		r.room(slot)
		if r.add(r.totalOf(slot), acc) != nil || r.pack(r.packed(r.back, slot), acc) != nil {
			r.on = false
		}
		return r.on
	})
}

func (r *ring) add(total, acc []uint64) error {
	total[accRows] += acc[accRows]
	total[accTime] = acc[accTime] // later panes have later rows
	return mergeSteps(r.swift, total, acc, &r.heap)
}

// pack merges an accumulator of a pane into a packed one.
func (r *ring) pack(to, acc []uint64) error {
	for i := range r.stack {
		s := &r.stack[i]
		if err := s.fn.Merge(to[s.at:s.end], acc[s.from:s.to], &r.heap); err != nil {
			return err
		}
	}
	return nil
}

// leave unmerges the panes up to lo. It must be told before they expire.
func (r *ring) leave(lo int64) {
	if !r.on || lo <= r.lo {
		return
	}
	for _, id := range r.a.table.Ends(state.Panes) {
		if id <= r.lo || id > min(lo, r.hi) {
			continue
		}
		r.a.table.Pane(state.Panes, id).Each(func(slot state.Slot, acc []uint64) bool {
			if acc[accRows] == 0 || int(slot) >= r.slots {
				return true
			}
			total := r.totalOf(slot)
			total[accRows] -= acc[accRows]
			for i := range r.swift {
				s := &r.swift[i]
				if s.unmerge.Unmerge(total[s.from:s.to], acc[s.from:s.to], &r.heap) != nil {
					r.on = false
				}
			}
			return r.on
		})
	}
	r.lo = lo
}

// turn makes everything anew, with all panes in the front.
func (r *ring) turn(lo, hi int64, panes []*state.Pane) bool {
	r.lo, r.mid, r.hi = lo, hi, hi
	clear(r.total)
	clear(r.back)
	r.heap.Reset()
	r.heap.bytes = 0
	ok := true
	for _, p := range panes {
		p.Each(func(slot state.Slot, acc []uint64) bool {
			if acc[accRows] == 0 {
				return true
			}
			r.room(slot)
			ok = ok && r.add(r.totalOf(slot), acc) == nil
			return ok
		})
	}
	for len(r.front) < len(panes) {
		r.front = append(r.front, ringPane{})
	}
	r.front = r.front[:len(panes)]
	size := r.slots * r.words
	if size*len(panes)*8 > ringBytes {
		r.off, r.front = true, nil
		return false
	}
	for i := len(panes) - 1; i >= 0 && ok && r.words > 0; i-- {
		f := &r.front[i]
		f.id = panes[i].End()
		if cap(f.accs) < size {
			f.accs = make([]uint64, size)
		}
		f.accs = f.accs[:size]
		if i+1 < len(panes) {
			copy(f.accs, r.front[i+1].accs)
		} else {
			clear(f.accs)
		}
		panes[i].Each(func(slot state.Slot, acc []uint64) bool {
			if acc[accRows] == 0 {
				return true
			}
			to := r.packed(f.accs, slot)
			clear(to)
			if r.pack(to, acc) != nil || i+1 < len(panes) && r.join(to, r.packed(r.front[i+1].accs, slot)) != nil {
				ok = false
			}
			return ok
		})
	}
	return ok
}

// join merges a packed accumulator into one of earlier panes.
func (r *ring) join(to, from []uint64) error {
	for i := range r.stack {
		s := &r.stack[i]
		if err := s.fn.Merge(to[s.at:s.end], from[s.at:s.end], &r.heap); err != nil {
			return err
		}
	}
	return nil
}

// rows writes the rows of the window that the ring is at.
func (r *ring) rows(budget *engine.Budget) error {
	out := r.a.out
	out.heap.Base = &r.heap
	defer func() { out.heap.Base = r.a.table }()
	first := 0
	for first < len(r.front) && r.front[first].id <= r.lo {
		first++
	}
	for n := range r.slots {
		slot := state.Slot(n)
		total := r.totalOf(slot)
		if total[accRows] == 0 {
			continue
		}
		key := r.a.table.Key(slot)
		if err := r.row(out.acc, total, slot, first, &out.heap); err != nil {
			if err := out.overflowed(key, err); err != nil {
				return err
			}
		} else if err := out.row(key, slot, true); err != nil {
			return err
		}
		budget.Take(out.rowBytes())
	}
	return nil
}

// row merges front and back of a slot into acc.
func (r *ring) row(acc, total []uint64, slot state.Slot, first int, h aggregate.Heap) error {
	copy(acc, total)
	for i := range r.stack {
		s := &r.stack[i]
		clear(acc[s.from:s.to])
		if first < len(r.front) && (int(slot)+1)*r.words <= len(r.front[first].accs) {
			from := r.packed(r.front[first].accs, slot)
			if err := s.fn.Merge(acc[s.from:s.to], from[s.at:s.end], h); err != nil {
				return err
			}
		}
		from := r.packed(r.back, slot)
		if err := s.fn.Merge(acc[s.from:s.to], from[s.at:s.end], h); err != nil {
			return err
		}
	}
	return nil
}

// keys is about how many rows the window has.
func (r *ring) keys() (n int) {
	w := r.a.fold.words
	for i := 0; i < r.slots; i++ {
		if r.total[i*w+accRows] != 0 {
			n++
		}
	}
	return n
}
