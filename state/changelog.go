package state

import (
	"math/bits"

	"github.com/cespare/xxhash/v2"
)

// Changes calls fn with the changelog records of everything that changed since
// the last Commit or Rollback: one per key, with all its open panes; a nil
// value, a tombstone, for a key without any. Panes that expire are in no record
// as long as their key has others: RestoreExpire drops them. The bytes are
// valid during the call only. Calling it again gives the same records.
func (t *Table) Changes(fn func(key, value []byte) error) error {
	if t.err != nil {
		return t.err
	}
	t.markChanged()
	defer clear(t.changed)
	for n, m := range t.changed {
		for ; m != 0; m &= m - 1 {
			s := Slot(n*64 + bits.TrailingZeros64(m))
			if err := t.change(s, fn); err != nil {
				return err
			}
		}
	}
	return t.spilledDeaths(fn)
}

func (t *Table) change(s Slot, fn func(key, value []byte) error) error {
	switch {
	case t.live[s] > 0:
		t.scratch = t.appendRecord(t.scratch[:0], s)
		return fn(t.heap.get(t.keys[s]), t.scratch)
	case t.flags[s]&(slotUnlogged|slotFree) == 0:
		return fn(t.heap.get(t.keys[s]), nil)
	}
	return nil
}

// markChanged sets the bits of the slots that were written, removed or lost
// their last pane in this interval.
func (t *Table) markChanged() {
	if n := (len(t.keys) + 63) / 64; len(t.changed) < n {
		t.changed = make([]uint64, n+n/4+1)
	}
	for i := range t.log {
		u := &t.log[i]
		if u.kind <= undoWrite && !t.byID[u.pane].dead {
			t.changed[u.slot/64] |= 1 << (u.slot % 64)
		}
	}
	for _, s := range t.edges {
		if t.live[s] == 0 {
			t.changed[s/64] |= 1 << (s % 64)
		}
	}
}

// Restore applies one changelog record: value replaces all panes of the key,
// nil removes it. It counts as committed and is queued for Apply; nothing may
// be uncommitted. Above the budget it applies and evicts, so set the budget
// before a restore: the data is then ahead of the position, which does no harm,
// as whoever goes on from there applies the same records again.
func (t *Table) Restore(key, value []byte) error {
	if t.uncommitted() {
		return errUncommitted
	}
	if value != nil {
		// All of it decodes, or nothing changes.
		if err := t.scanRecord(value, t.checkPane); err != nil {
			return t.corrupt(err)
		}
	}
	s, ok, err := t.Find(string(key))
	if err != nil {
		return err
	}
	if ok {
		t.restoreRemove(s)
	}
	if value != nil {
		if !ok {
			if s, err = t.resolve(string(key), uint32(xxhash.Sum64(key))); err != nil {
				return err
			}
		}
		_ = t.scanRecord(value, func(fam *family, end int64, src []byte) ([]byte, error) {
			return t.restorePane(s, fam, end, src), nil
		})
	}
	t.pending += int64(len(key) + len(value))
	if err := t.commit(); err != nil {
		return err
	}
	if t.over() && t.pending > t.budget/4 {
		return t.relieve()
	}
	return nil
}

// restoreRemove makes s inactive everywhere, for good.
func (t *Table) restoreRemove(s Slot) {
	for f := range t.fams {
		for _, p := range t.fams[f].panes {
			acc := p.Read(s)
			if acc == nil {
				continue
			}
			for _, w := range p.fam.blobs {
				if acc[w] != 0 {
					t.heap.release(acc[w])
				}
			}
			e := p.entry(s)
			p.deactivate(e, s)
			t.leave(s)
			t.markUnsaved(p, s)
			p.settleBlock(e)
		}
	}
}

// restorePane makes s active in a pane, with the accumulator at src, which is
// known to decode.
func (t *Table) restorePane(s Slot, fam *family, end int64, src []byte) (rest []byte) {
	i, ok := fam.find(end)
	if !ok {
		t.open(fam, i, end)
	}
	p := fam.panes[i]
	rest, _ = t.insert(p, s, src)
	t.markUnsaved(p, s)
	return rest
}

// insert makes s, which is not active in p, active with the accumulator at
// src. Nothing is logged: it is for state that is committed already.
func (t *Table) insert(p *Pane, s Slot, src []byte) (rest []byte, err error) {
	e := p.entry(s)
	if *e>>blockShift == 0 {
		*e |= uint64(p.fam.slab.alloc()) << blockShift
	}
	rest, err = p.fam.decodeAcc(p.acc(*e, s), src, func(b []byte) uint64 {
		return t.heap.putBytes(b, genCommitted)
	})
	if err != nil {
		p.settleBlock(e)
		return nil, err
	}
	p.activate(e, s)
	if !p.dead {
		t.enter(s)
	}
	return rest, nil
}

func (t *Table) checkPane(fam *family, _ int64, src []byte) ([]byte, error) {
	if cap(t.words) < fam.words {
		t.words = make([]uint64, fam.words)
	}
	return fam.scanAcc(t.words[:fam.words], src, nil)
}

// RestoreExpire drops, after a restore, the panes of family f with end <= upTo;
// like Restore it counts as committed.
func (t *Table) RestoreExpire(f Family, upTo int64) {
	if t.uncommitted() {
		t.fail(errUncommitted)
		return
	}
	t.Expire(f, upTo)
	if err := t.commit(); err != nil {
		t.fail(err)
	}
}

func (t *Table) corrupt(err error) error {
	return &CorruptError{Task: t.disk.task, Store: t.spec.Name, Err: err}
}
