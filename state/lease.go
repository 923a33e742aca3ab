package state

import (
	"fmt"
	"maps"
)

// Lease is the exclusive handle on the state of a task. One goroutine uses it;
// only Abandon may come from another.
type Lease struct {
	db     *DB
	task   string
	number uint64
	tables []*Table
	pos    map[string]Position // committed, by store
	meta   []byte              // committed

	loadedPos  map[string]Position
	loadedMeta []byte
	loaded     bool
}

// Number tells leases on the same task apart; it grows.
func (l *Lease) Number() uint64 { return l.number }

// Loaded gives what the DB held when the lease was taken: the position per
// store that it has, and the meta of the last Commit that was applied. ok is
// false where it had nothing.
func (l *Lease) Loaded() (pos map[string]Position, meta []byte, ok bool) {
	return maps.Clone(l.loadedPos), l.loadedMeta, l.loaded
}

// Tables gives the tables in the order of the specs.
func (l *Lease) Tables() []*Table { return l.tables }

// Commit makes the tables' changes the committed state, in memory, at position
// pos per store (stores not named keep theirs) with meta (nil keeps it). It is
// called when the transaction that holds their changelog records is known to be
// committed. ErrStale when the lease is not current, or a position would go
// back; then nothing changes.
func (l *Lease) Commit(pos map[string]Position, meta []byte) error {
	if err := l.commit(pos, meta); err != nil {
		return fmt.Errorf("commit task %q: %w", l.task, err)
	}
	return nil
}

func (l *Lease) commit(pos map[string]Position, meta []byte) error {
	if !l.db.holds(l) {
		return ErrStale
	}
	for store, to := range pos {
		if err := l.checkForward(store, to); err != nil {
			return err
		}
	}
	for _, t := range l.tables {
		if t.err != nil {
			return t.err
		}
	}
	for _, t := range l.tables {
		if err := t.commit(); err != nil {
			return err
		}
	}
	maps.Copy(l.pos, pos)
	if meta != nil {
		l.meta = append(l.meta[:0], meta...)
	}
	return nil
}

func (l *Lease) checkForward(store string, to Position) error {
	if l.table(store) == nil {
		return fmt.Errorf("no store %q in the lease", store)
	}
	from, ok := l.pos[store]
	switch {
	case !ok:
	case to.Offset < from.Offset:
		return fmt.Errorf("%w: store %q is at offset %d, not before %d", ErrStale, store, from.Offset, to.Offset)
	case to.TopicID != from.TopicID && to.TopicID != "" && from.TopicID != "":
		return fmt.Errorf("%w: store %q is of topic %s, not %s", ErrStale, store, from.TopicID, to.TopicID)
	}
	return nil
}

func (l *Lease) table(store string) *Table {
	for _, t := range l.tables {
		if t.spec.Name == store {
			return t
		}
	}
	return nil
}

// Rollback takes back what changed since the last Commit, after an abort.
func (l *Lease) Rollback() {
	for _, t := range l.tables {
		t.rollback()
	}
}

// Apply writes what was committed since the last Apply to the disk.
func (l *Lease) Apply() error {
	if !l.db.holds(l) {
		return fmt.Errorf("apply task %q: %w", l.task, ErrStale)
	}
	return nil
}

// Wipe forgets the task's state: tables empty, positions none.
func (l *Lease) Wipe() error {
	if !l.db.holds(l) {
		return fmt.Errorf("wipe task %q: %w", l.task, ErrStale)
	}
	for i, t := range l.tables {
		*t = *newTable(t.spec, t.durable)
		l.tables[i] = t
	}
	clear(l.pos)
	l.meta = nil
	return nil
}

// Release rolls back what is uncommitted, applies, and gives the lease back.
func (l *Lease) Release() error {
	l.Rollback()
	err := l.Apply()
	l.Abandon()
	return err
}

// Abandon gives the lease back without applying. It may be called from another
// goroutine, to take the task from a lane that is stuck: whatever that lane
// still does with the lease is refused.
func (l *Lease) Abandon() { l.db.giveBack(l) }
