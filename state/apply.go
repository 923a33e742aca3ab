package state

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2"
)

// Apply writes everything committed since the last Apply to Pebble, with
// positions and meta, in one atomic batch. It compares before it sets: ErrStale
// when the lease is not current, or Pebble's positions are not those that this
// lease read or wrote last. After an error the changes stay queued. The owner
// calls it every few seconds and at release. Deferring it is deliberate:
// without a write-ahead log nothing unflushed survives anyway, and most panes
// die before they would be written. Then tables above their budget evict.
func (l *Lease) Apply() error {
	err := l.applyErr
	l.applyErr = nil
	if err == nil {
		err = l.apply()
	}
	if err != nil {
		return fmt.Errorf("apply task %q: %w", l.task, err)
	}
	return nil
}

func (l *Lease) apply() error {
	l.lock.mu.Lock()
	defer l.lock.mu.Unlock()
	if !l.db.holds(l) {
		return ErrStale
	}
	for _, t := range l.tables {
		if t.uncommitted() {
			return errUncommitted
		}
		// Ends what only read: loads and resolves become permanent.
		if err := t.commit(); err != nil {
			return err
		}
	}
	if l.db.pdb == nil || !l.dirty && l.Pending() == 0 {
		return nil
	}
	if err := l.compare(); err != nil {
		return err
	}
	if err := l.write(); err != nil {
		return err
	}
	l.dirty = false
	for _, t := range l.tables {
		t.applied()
		t.evict()
	}
	return nil
}

// compare refuses when another lease wrote since this one read.
func (l *Lease) compare() error {
	for key, want := range l.stored {
		have, err := l.db.get([]byte(key))
		if err != nil {
			return err
		}
		if string(have) != want {
			return fmt.Errorf("%w: another lease has written", ErrStale)
		}
	}
	return nil
}

// splitBytes bounds a batch. What is larger is written in several, the first
// of which takes the positions away and the last of which sets them: a crash
// between them costs a full restore, never a wrong one.
const splitBytes = 256 << 20 // DB.split, which tests lower

func (l *Lease) write() (err error) {
	w := &writer{l: l, b: l.db.pdb.NewBatch()}
	defer func() { err = errors.Join(err, w.b.Close()) }()
	for _, t := range l.tables {
		if err := t.apply(w); err != nil {
			return err
		}
	}
	for _, t := range l.tables {
		if err := w.record(storeKey(kindStore, l.task, t.spec.Name), l.storeRecord(t).encode()); err != nil {
			return err
		}
	}
	rec := taskRecord{number: l.number, meta: l.meta}
	if err := w.record(taskKey(kindTask, l.task), rec.encode()); err != nil {
		return err
	}
	return w.commit()
}

func (l *Lease) storeRecord(t *Table) *storeRecord {
	r := &storeRecord{fingerprint: t.spec.Fingerprint, families: t.spec.Families, keys: uint64(t.Len())}
	r.pos, r.hasPos = l.pos[t.spec.Name]
	for f := range t.fams {
		for _, p := range t.fams[f].panes {
			r.entries[f] += uint64(p.Len())
		}
	}
	return r
}

// writer fills batches.
type writer struct {
	l       *Lease
	b       *pebble.Batch
	records map[string]string // in b
	split   bool
}

func (w *writer) record(key, value []byte) error {
	if w.records == nil {
		w.records = map[string]string{}
	}
	w.records[string(key)] = string(value)
	return w.b.Set(key, value, nil)
}

func (w *writer) commit() error {
	if err := w.l.db.write(w.b); err != nil {
		return err
	}
	for k, v := range w.records {
		w.l.stored[k] = v
	}
	w.records = nil
	return nil
}

// room begins a new batch when this one is too large.
func (w *writer) room() error {
	if w.b.Len() < w.l.db.split {
		return nil
	}
	if !w.split {
		w.split = true
		for _, t := range w.l.tables {
			r := w.l.storeRecord(t)
			r.hasPos = false
			if err := w.record(storeKey(kindStore, w.l.task, t.spec.Name), r.encode()); err != nil {
				return err
			}
		}
	}
	if err := w.commit(); err != nil {
		return err
	}
	err := w.b.Close()
	w.b = w.l.db.pdb.NewBatch()
	return err
}

// applyItem is one accumulator to write or delete.
type applyItem struct {
	pane *Pane
	slot Slot
}

// apply adds what is not in Pebble yet to the batch: first what expired, then,
// in the order of keys, which Pebble takes three times as fast, the rest.
func (t *Table) apply(w *writer) error {
	for f := range t.fams {
		fam := &t.fams[f]
		if !fam.hasFloor {
			continue
		}
		from := append(slices.Clone(t.disk.prefix), byte(f))
		to := afterPrefix(appendPane(slices.Clone(t.disk.prefix), Family(f), fam.floor))
		if err := w.b.DeleteRange(from, to, nil); err != nil {
			return err
		}
	}
	items := t.unsavedItems()
	var key, value []byte
	for _, it := range items {
		p := it.pane
		key = append(appendPane(append(key[:0], t.disk.prefix...), p.fam.f, p.end), t.Key(it.slot)...)
		acc := p.Read(it.slot)
		if acc == nil {
			if err := w.b.Delete(key, nil); err != nil {
				return err
			}
		} else {
			value = p.fam.appendAcc(value[:0], &t.heap, acc)
			if err := w.b.Set(key, value, nil); err != nil {
				return err
			}
		}
		if err := w.room(); err != nil {
			return err
		}
	}
	return nil
}

func (t *Table) unsavedItems() []applyItem {
	var items []applyItem
	t.eachUnsaved(func(p *Pane, s Slot, _ *uint16) {
		if t.flags[s]&slotFree == 0 {
			items = append(items, applyItem{p, s})
		}
	})
	slices.SortFunc(items, func(a, b applyItem) int {
		if a.pane != b.pane {
			return cmp.Or(cmp.Compare(a.pane.fam.f, b.pane.fam.f), cmp.Compare(a.pane.end, b.pane.end))
		}
		return strings.Compare(t.Key(a.slot), t.Key(b.slot))
	})
	return items
}

// eachUnsaved calls fn for each accumulator that Pebble has not, and with where
// its bit is. Panes that are gone, and their bits with them, are passed over;
// another pane may have got the number.
func (t *Table) eachUnsaved(fn func(p *Pane, s Slot, bits *uint16)) {
	for _, id := range t.unsaved {
		p := t.byID[id.pane]
		n := int(id.block / pageBlocks)
		if p == nil || n >= len(p.pages) || p.pages[n] == nil {
			continue
		}
		u := &p.pages[n].unsaved[id.block%pageBlocks]
		for k := range Slot(blockSlots) {
			if *u>>k&1 != 0 {
				fn(p, Slot(id.block)*blockSlots+k, u)
			}
		}
	}
}

// applied forgets what Apply has to write: it is written.
func (t *Table) applied() {
	t.eachUnsaved(func(_ *Pane, s Slot, bits *uint16) {
		*bits &^= 1 << (s % blockSlots)
		if t.flags[s]&slotFree == 0 {
			t.flags[s] |= slotStored
		}
	})
	t.unsaved, t.pending = t.unsaved[:0], 0
	for f := range t.fams {
		t.fams[f].hasFloor = false
	}
	for _, s := range t.ghosts {
		if t.flags[s]&slotGhost != 0 && t.live[s] == 0 {
			t.flags[s] &^= slotGhost | slotStored
			t.settle(s)
		}
	}
	t.ghosts = t.ghosts[:0]
}
