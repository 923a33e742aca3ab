package state

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/cespare/xxhash/v2"
)

// load fills the lease with what Pebble has of its task.
func (l *Lease) load() error {
	l.loadedPos = map[string]Position{}
	raw, err := l.read(taskKey(kindTask, l.task))
	if err != nil {
		return err
	}
	rec := taskRecord{}
	if raw != nil {
		if rec, err = decodeTaskRecord(raw); err != nil {
			// Without it the stores' data is of an unknown time.
			l.rebuild = append(l.rebuild, fmt.Errorf("task record: %w: %w", ErrCorrupt, err))
			l.number = l.db.number(0)
			return l.forgetAll()
		}
		l.loaded, l.loadedMeta, l.meta = true, rec.meta, append([]byte(nil), rec.meta...)
	}
	l.number = l.db.number(rec.number)
	for _, t := range l.tables {
		why, err := l.loadStore(t)
		if err != nil {
			return err
		}
		if why == nil {
			continue
		}
		l.rebuild = append(l.rebuild, why)
		t.reset()
		if err := l.forgetStore(t); err != nil {
			return err
		}
	}
	return nil
}

// read reads a record, and notes it for Apply to compare.
func (l *Lease) read(key []byte) ([]byte, error) {
	raw, err := l.db.get(key)
	l.stored[string(key)] = string(raw)
	return raw, err
}

// loadStore loads a store. why tells that it cannot be used.
func (l *Lease) loadStore(t *Table) (why, err error) {
	name := t.spec.Name
	raw, err := l.read(storeKey(kindStore, l.task, name))
	if raw == nil || err != nil {
		return nil, err
	}
	rec, err := decodeStoreRecord(raw)
	switch {
	case err != nil:
		return t.corrupt(err), nil
	case !t.spec.reads(rec.fingerprint) || !sameShape(rec.families, t.spec.Families):
		return fmt.Errorf("store %q has fingerprint %q, not %q", name, rec.fingerprint, t.spec.Fingerprint), nil
	case !rec.hasPos && rec.keys == 0:
		return nil, nil // nothing has been written to it yet
	case !rec.hasPos:
		return fmt.Errorf("store %q was left in the middle of a restore: what it has is of no known time", name), nil
	}
	if err := t.loadAll(&rec); err != nil {
		if errors.Is(err, ErrCorrupt) {
			return err, nil
		}
		return nil, err
	}
	l.pos[name], l.loadedPos[name] = rec.pos, rec.pos
	return nil, nil
}

func sameShape(a, b [2]FamilySpec) bool {
	for f := range a {
		if a[f].Words != b[f].Words || len(a[f].Blobs) != len(b[f].Blobs) ||
			len(a[f].Blobs) > 0 && !reflect.DeepEqual(a[f].Blobs, b[f].Blobs) {
			return false
		}
	}
	return true
}

func (l *Lease) forgetStore(t *Table) error {
	b := l.db.pdb.NewBatch()
	defer b.Close()
	if err := forgetStore(b, l.task, t.spec.Name); err != nil {
		return err
	}
	l.stored[string(storeKey(kindStore, l.task, t.spec.Name))] = ""
	return l.db.write(b)
}

func (l *Lease) forgetAll() error {
	b := l.db.pdb.NewBatch()
	defer b.Close()
	if err := forgetTask(b, l.task); err != nil {
		return err
	}
	l.stored[string(taskKey(kindTask, l.task))] = ""
	for _, t := range l.tables {
		l.stored[string(storeKey(kindStore, l.task, t.spec.Name))] = ""
	}
	return l.db.write(b)
}

// loadAll loads the table from Pebble. Keys beyond its budget stay there.
//
// Pebble has panes one after the other. Once the budget is reached no key is
// begun, but those begun get all their panes: a key is in memory or it is not.
func (t *Table) loadAll(rec *storeRecord) error {
	d := &t.disk
	var entries [2]uint64
	full := false
	err := d.db.walk(d.prefix, afterPrefix(d.prefix), func(key, value []byte) error {
		f, end, user, ok := splitPane(key[len(d.prefix):])
		if !ok || t.fams[f].words == 0 {
			return t.corrupt(fmt.Errorf("key %q", key))
		}
		entries[f]++
		full = full || t.over()
		fam := &t.fams[f]
		i, ok := fam.find(end)
		if !ok {
			t.open(fam, i, end)
		}
		p := fam.panes[i]
		hash := uint32(xxhash.Sum64(user))
		s, ok := t.lookup(string(user), hash)
		if !ok && full {
			p.evicted++
			return nil
		}
		if !ok {
			s = t.newSlot(string(user), hash)
			t.flags[s] = slotStored
		}
		return t.insertWhole(p, s, value)
	})
	if err != nil {
		return err
	}
	if t.spill.keys = int(rec.keys) - t.alive; entries != rec.entries || t.spill.keys < 0 || !full && t.spill.keys > 0 {
		return t.corrupt(fmt.Errorf("has %d and %d accumulators of %d keys, should have %d and %d of %d",
			entries[0], entries[1], t.alive, rec.entries[0], rec.entries[1], rec.keys))
	}
	return t.commit()
}

// insertWhole inserts an accumulator that has to be all of src.
func (t *Table) insertWhole(p *Pane, s Slot, src []byte) error {
	rest, err := t.insert(p, s, src)
	if err == nil && len(rest) > 0 {
		err = errTrail
	}
	if err != nil {
		return t.corrupt(err)
	}
	return nil
}
