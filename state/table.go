package state

import (
	"fmt"
	"slices"
	"unsafe"

	"github.com/cespare/xxhash/v2"
)

// Table is the memory in front of one store: keys with dense slots, and panes
// of accumulators indexed by slot.
//
//	key ─▶ index ─▶ slot ─┬─▶ pane 10:00 [ block of 16 │ block of 16 │ … ]
//	                      ├─▶ pane 10:10 [ block of 16 │             │ … ]
//	                      └─▶ …            an accumulator is Words words
//
// Everything is blocks of words and bytes: the garbage collector sees nothing
// per key. A table belongs to its lease's goroutine. Changes become the
// committed state at Lease.Commit, or vanish at Lease.Rollback.
//
// A slot is valid until the next Commit, Rollback or Apply; Pin keeps one
// longer. (Without a budget it stays valid while its key has a pane.) A *Pane is
// valid until it expires, until the Rollback that undoes its opening, or Wipe.
type Table struct {
	spec Spec
	fams [2]family

	idx   index
	heap  heap
	keys  []uint64 // by slot: ref of the key's bytes
	live  []uint32 // by slot: panes in which it is active
	flags []uint8  // by slot
	holes []Slot   // free slots
	alive int      // keys with a pane, in memory

	gen     uint32 // of the commit interval, see heap
	log     []undo
	saved   []uint64 // words of touched accumulators
	edges   []Slot   // slots that came to life, died or were made in this interval
	fresh   []uint64 // refs made in this interval
	doomed  []uint64 // refs to free at commit
	byID    []*Pane
	ids     []uint32 // free pane ids
	dying   []uint32 // pane ids to free at commit
	dropped []*Pane  // in this interval

	durable bool // there is a Pebble behind: keep what Apply needs
	disk    disk
	relieve func() error // the lease's Apply
	unsaved []blockID
	ghosts  []Slot // dead, but Pebble still has them
	pages   int    // of all panes
	pending int64  // about how many bytes Apply will write
	budget  int64
	spill   spill
	err     error // what went wrong where no error can be returned
	hashes  []uint64
	refs    []uint64
	touched uint64
	changed []uint64 // bitmap of slots, scratch of Changes
	scratch []byte
	words   []uint64 // scratch of Restore
	order   scanOrder
}

// family is one of a table's two kinds of panes.
type family struct {
	f     Family
	words int
	plain []int // words that are numbers
	blobs []int // words that are heap references
	slab  slab
	panes []*Pane // by end
	shape uint64  // changes when a slot becomes active or inactive anywhere

	floor, newFloor       int64 // drop panes in Pebble up to here: committed, of this interval
	hasFloor, hasNewFloor bool
}

// blockID names a block of a pane with changes that Apply has to write.
type blockID struct{ pane, block uint32 }

// Flags of a slot.
const (
	slotFree     = 1 << iota
	slotMade     // made in this interval
	slotUnlogged // the changelog has no record of it
	slotStored   // Pebble has, or may have, records of it
	slotGhost    // dead and waiting for Apply
	slotUsed     // resolved since eviction last looked
	slotPinned
)

func newTable(spec Spec, durable bool) *Table {
	t := &Table{spec: spec, durable: durable, gen: genFirst}
	for f := range t.fams {
		fam, fs := &t.fams[f], spec.Families[f]
		fam.f, fam.words, fam.blobs = Family(f), fs.Words, slices.Clone(fs.Blobs)
		slices.Sort(fam.blobs)
		for w := range fs.Words {
			if !slices.Contains(fam.blobs, w) {
				fam.plain = append(fam.plain, w)
			}
		}
		if fs.Words > 0 {
			fam.slab = newSlab(fs.Words * blockSlots)
		}
	}
	return t
}

// Spec is what the table was made for.
func (t *Table) Spec() Spec { return t.spec }

// Resolve finds the slot of keys[i] for each i in rows, and makes one where the
// key is new. The key's bytes are copied. An error is a read of spilled state
// that failed.
func (t *Table) Resolve(keys []string, rows []int32, slots []Slot) error {
	if len(rows) == 0 {
		return nil
	}
	t.idx.reserve(0)
	if len(t.idx.entries) == 0 {
		t.idx.reserve(1)
	}
	// In a table larger than the caches each step below is a miss. Done one
	// step at a time for the whole batch, the misses overlap.
	if cap(t.hashes) < len(rows) {
		t.hashes = make([]uint64, len(rows)+len(rows)/4)
		t.refs = make([]uint64, len(rows)+len(rows)/4)
	}
	hashes, refs := t.hashes[:len(rows)], t.refs[:len(rows)]
	entries, mask := t.idx.entries, uint64(len(t.idx.entries)-1)
	touched := uint64(0)
	for n, i := range rows {
		h := xxhash.Sum64String(keys[i])
		hashes[n] = h
		touched += entries[h&mask]
	}
	for n, i := range rows {
		slots[i], refs[n] = t.candidate(hashes[n])
	}
	for _, ref := range refs {
		if ref != 0 {
			touched += uint64(t.heap.chunks[ref>>32][uint32(ref)])
		}
	}
	t.touched = touched // or the compiler drops the loads
	for n, i := range rows {
		key := keys[i]
		if ref := refs[n]; ref != 0 && string(t.heap.get(ref)) == key {
			t.use(slots[i])
			continue
		}
		s, err := t.resolve(key, uint32(hashes[n]))
		if err != nil {
			return err
		}
		slots[i] = s
	}
	return nil
}

// candidate gives the first slot with a key of this hash, and the key's ref; 0
// where there is none. The key is not compared.
func (t *Table) candidate(hash uint64) (Slot, uint64) {
	entries, mask := t.idx.entries, uint64(len(t.idx.entries)-1)
	for i := hash & mask; ; i = (i + 1) & mask {
		e := entries[i]
		if e == 0 {
			return 0, 0
		}
		if uint32(e>>32) == uint32(hash) {
			s := Slot(uint32(e) - 1)
			return s, t.keys[s]
		}
	}
}

// use tells eviction that a slot is in use.
func (t *Table) use(s Slot) {
	if t.budget > 0 {
		t.flags[s] |= slotUsed
	}
}

func (t *Table) resolve(key string, hash uint32) (Slot, error) {
	if s, ok := t.lookup(key, hash); ok {
		t.use(s)
		return s, nil
	}
	if t.spill.keys > 0 {
		if s, ok, err := t.load(key, hash); ok || err != nil {
			return s, err
		}
	}
	s := t.newSlot(key, hash)
	t.flags[s] = slotMade | slotUnlogged | slotUsed
	t.edges = append(t.edges, s)
	return s, nil
}

// Find gives the slot of a key that has a pane, or was resolved in this commit
// interval.
func (t *Table) Find(key string) (Slot, bool, error) {
	hash := uint32(xxhash.Sum64String(key))
	s, ok := t.lookup(key, hash)
	if !ok && t.spill.keys > 0 {
		var err error
		if s, ok, err = t.load(key, hash); err != nil {
			return 0, false, err
		}
	}
	if !ok || t.live[s] == 0 && t.flags[s]&slotMade == 0 {
		return 0, false, nil
	}
	t.use(s)
	return s, true, nil
}

func (t *Table) lookup(key string, hash uint32) (Slot, bool) {
	if t.idx.n == 0 {
		return 0, false
	}
	mask := uint32(len(t.idx.entries) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		e := t.idx.entries[i]
		if e == 0 {
			return 0, false
		}
		if uint32(e>>32) != hash {
			continue
		}
		if s := Slot(uint32(e) - 1); string(t.heap.get(t.keys[s])) == key {
			return s, true
		}
	}
}

// Key gives a slot's key. The string is the table's own memory: valid until
// the key is freed, that is at least until the next Commit, Rollback or Apply.
func (t *Table) Key(s Slot) string {
	b := t.heap.get(t.keys[s])
	return unsafe.String(unsafe.SliceData(b), len(b))
}

// Len is the number of keys that have a pane, spilled ones included.
func (t *Table) Len() int { return t.alive + t.spill.keys }

// Pin keeps a slot valid, in memory and unused by another key, until Unpin. For
// operators that keep slots across commits (pending sets). Not undone by
// Rollback, except that a slot made in this interval is gone after it.
func (t *Table) Pin(s Slot) { t.flags[s] |= slotPinned }

// Unpin lets go of a pinned slot.
func (t *Table) Unpin(s Slot) {
	t.flags[s] &^= slotPinned
	if t.live[s] == 0 {
		t.edges = append(t.edges, s) // to be settled
	}
}

// newSlot gives key a slot. The flags are the caller's to set.
func (t *Table) newSlot(key string, hash uint32) Slot {
	var s Slot
	if n := len(t.holes); n > 0 {
		s = t.holes[n-1]
		t.holes = t.holes[:n-1]
	} else {
		s = Slot(len(t.keys))
		t.keys = append(t.keys, 0)
		t.live = append(t.live, 0)
		t.flags = append(t.flags, 0)
	}
	t.keys[s] = t.heap.put(key, genKey)
	t.live[s] = 0
	t.idx.add(hash, s)
	return s
}

func (t *Table) freeSlot(s Slot) {
	t.idx.remove(uint32(xxhash.Sum64(t.heap.get(t.keys[s]))), s)
	t.heap.release(t.keys[s])
	t.keys[s], t.flags[s] = 0, slotFree
	t.holes = append(t.holes, s)
}

// enter and leave keep the number of panes in which a slot is active.
func (t *Table) enter(s Slot) {
	t.live[s]++
	if t.live[s] == 1 {
		t.alive++
		t.edges = append(t.edges, s)
	}
}

func (t *Table) leave(s Slot) {
	t.live[s]--
	if t.live[s] == 0 {
		t.alive--
		t.edges = append(t.edges, s)
	}
}

// settle ends a change of slot s for good: frees a dead one, at once or, where
// Pebble still has it, at the next Apply.
func (t *Table) settle(s Slot) {
	switch fl := t.flags[s]; {
	case fl&slotFree != 0:
	case t.live[s] > 0:
		t.flags[s] &^= slotMade | slotUnlogged | slotGhost
	case fl&slotPinned != 0:
		t.flags[s] = fl&^slotMade | slotUnlogged
	case fl&slotStored != 0:
		if fl&slotGhost == 0 {
			t.ghosts = append(t.ghosts, s)
		}
		t.flags[s] = fl&^slotMade | slotUnlogged | slotGhost
	default:
		t.freeSlot(s)
	}
}

// Get gives a byte string of the heap, valid until it is replaced with Put or
// its accumulator goes. Ref 0 is none: nil.
func (t *Table) Get(ref uint64) []byte {
	if ref == 0 {
		return nil
	}
	return t.heap.get(ref)
}

// Put stores b in place of old and gives the new ref, which the caller keeps
// in one, and only one, word that its FamilySpec names as a blob; nil gives 0.
// b may be part of what old refers to.
func (t *Table) Put(old uint64, b []byte) uint64 {
	var ref uint64
	if b != nil {
		ref = t.heap.putBytes(b, t.gen)
		t.fresh = append(t.fresh, ref)
	}
	t.forget(old)
	return ref
}

// Edit gives n bytes in place of old's, to be written until the next Edit or
// Put, and their ref: they begin with what old has, as much as fits; the rest
// are zeros. The ref is kept as that of Put. Bytes of this commit interval are
// given as they are; older ones are copied once, as an abort would want them.
func (t *Table) Edit(old uint64, n int) (uint64, []byte) {
	var from []byte
	if old != 0 {
		if from = t.heap.get(old); len(from) == n && t.heap.gen(old) == t.gen {
			return old, from
		}
	}
	ref := t.heap.alloc(n, t.gen)
	t.fresh = append(t.fresh, ref)
	b := t.heap.get(ref)
	clear(b[copy(b, from):])
	t.forget(old)
	return ref, b
}

// forget frees a ref: at once if this interval made it, else at commit, as an
// abort would want it back.
func (t *Table) forget(ref uint64) {
	if ref == 0 {
		return
	}
	if t.heap.gen(ref) == t.gen {
		t.heap.release(ref)
		return
	}
	t.doomed = append(t.doomed, ref)
}

// Bytes is about how much memory the table uses.
func (t *Table) Bytes() int64 {
	return t.resident() + int64(cap(t.saved))*8 + int64(cap(t.log))*undoBytes
}

// resident is the memory of what is in the table: what eviction can lower.
func (t *Table) resident() int64 {
	n := t.heap.used + int64(t.idx.n)*indexBytes + int64(len(t.keys)-len(t.holes))*slotBytes
	for f := range t.fams {
		slab := &t.fams[f].slab
		n += int64(slab.inUse) * int64(slab.stride) * 8
	}
	return n + int64(t.pages)*pageBytes
}

const (
	slotBytes  = 8 + 4 + 1 // of a slot: key ref, live, flags
	indexBytes = 12        // of a key in the index, which is two thirds full at most
)

// Spilled tells whether some keys are in Pebble only.
func (t *Table) Spilled() bool { return t.spill.keys > 0 }

// uncommitted tells whether there are changes to commit or roll back. Keys that
// were only resolved or loaded are none.
func (t *Table) uncommitted() bool { return len(t.log)+len(t.doomed) > 0 }

func (t *Table) fail(err error) {
	if t.err == nil {
		t.err = err
	}
}

func (t *Table) family(f Family) *family {
	fam := &t.fams[f]
	if fam.words == 0 {
		panic(fmt.Sprintf("state: store %q has no family %d", t.spec.Name, f))
	}
	return fam
}
