package state

import (
	"fmt"
	"maps"
)

// Lease is the exclusive handle on the state of a task. One goroutine uses it;
// only Abandon may come from another.
//
//	           ┌──────────── Rollback ◀─ abort
//	           ▼                │
//	Lease ─▶ tables ─ change ─▶ ┤
//	           ▲                │
//	           └───── Commit ◀──┴─ the transaction committed
//	                    │
//	                    └─ every few seconds ─▶ Apply ─▶ Pebble ─ Flush ─▶ disk
type Lease struct {
	db     *DB
	lock   *taskLock
	task   string
	number uint64
	tables []*Table
	pos    map[string]Position // committed, by store
	meta   []byte              // committed
	dirty  bool                // committed since the last Apply

	// What Pebble has, key to value, of the records that Apply compares before
	// it sets them. "" is none.
	stored map[string]string

	loadedPos  map[string]Position
	loadedMeta []byte
	loaded     bool
	rebuild    []error
	applyErr   error // of the Apply inside a Commit
}

// Lease gives the exclusive handle on a task's state, loaded with what the DB
// has. task is a safe name of up to 255 bytes, such as "p.1/0/3"; so are the
// names in specs. ErrLeased while another lease on the task is open. A store
// that does not decode, has another fingerprint or no position starts empty and
// is in Rebuild.
func (db *DB) Lease(task string, specs []Spec) (*Lease, error) {
	l := &Lease{db: db, task: task, pos: map[string]Position{}, stored: map[string]string{}}
	if err := l.open(specs); err != nil {
		return nil, fmt.Errorf("lease task %q: %w", task, err)
	}
	return l, nil
}

func (l *Lease) open(specs []Spec) (err error) {
	if err := checkName("task", l.task); err != nil {
		return err
	}
	if l.lock, err = l.db.take(l.task, l); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			l.Abandon()
		}
	}()
	// A stalled Apply of the lease before may still be on its way.
	l.lock.mu.Lock()
	defer l.lock.mu.Unlock()
	for _, spec := range specs {
		if err := l.addTable(spec); err != nil {
			return err
		}
	}
	if l.db.pdb == nil {
		l.number = l.db.number(0)
		return nil
	}
	return l.load()
}

func (l *Lease) addTable(spec Spec) error {
	if err := checkName("store", spec.Name); err != nil {
		return err
	}
	if l.table(spec.Name) != nil {
		return fmt.Errorf("store %q is there twice", spec.Name)
	}
	for f, fs := range spec.Families {
		if err := checkShape(fs); err != nil {
			return fmt.Errorf("store %q, family %d: %w", spec.Name, f, err)
		}
	}
	t := newTable(spec, l.db.pdb != nil)
	if t.durable {
		t.disk = disk{db: l.db, task: l.task, prefix: storeKey(kindData, l.task, spec.Name)}
	}
	t.budget, t.relieve = l.db.budget, l.apply
	l.tables = append(l.tables, t)
	return nil
}

// Number tells leases on the same task apart; it grows.
func (l *Lease) Number() uint64 { return l.number }

// Loaded gives what the DB held when the lease was taken: the position per
// store that it has, and the meta of the last Commit that was applied. ok is
// false where it had nothing.
func (l *Lease) Loaded() (pos map[string]Position, meta []byte, ok bool) {
	return maps.Clone(l.loadedPos), l.loadedMeta, l.loaded
}

// Rebuild tells, for the log, why stores that the DB held started empty.
func (l *Lease) Rebuild() []error { return l.rebuild }

// Tables gives the tables in the order of the specs.
func (l *Lease) Tables() []*Table { return l.tables }

// Pending is about how many bytes the next Apply writes. A long restore may
// commit the position that it has reached, and apply, when it is some MiB.
func (l *Lease) Pending() int64 {
	n := int64(0)
	for _, t := range l.tables {
		n += t.pending
	}
	return n
}

// Commit makes the tables' changes the committed state, in memory, at position
// pos per store (stores not named keep theirs) with meta (nil keeps it). It is
// called when the transaction that holds their changelog records is known to be
// committed. ErrStale when the lease is not current, or a position would go
// back; then nothing changes. Above a table's budget it applies too; an error
// of that comes from the next Apply.
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
	// All that can fail comes before the first table changes.
	for _, t := range l.tables {
		if t.err != nil {
			return t.err
		}
		if err := t.countDead(); err != nil {
			return err
		}
	}
	over := false
	for _, t := range l.tables {
		if err := t.commit(); err != nil {
			return err
		}
		over = over || t.over()
	}
	maps.Copy(l.pos, pos)
	if meta != nil {
		l.meta = append(l.meta[:0], meta...)
	}
	l.dirty = true
	if over {
		l.applyErr = l.apply()
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

// Wipe forgets the task's state, here and on disk: tables empty, positions
// none. For a full restore. Panes and slots from before are invalid.
func (l *Lease) Wipe() error {
	if err := l.wipe(); err != nil {
		return fmt.Errorf("wipe task %q: %w", l.task, err)
	}
	return nil
}

func (l *Lease) wipe() error {
	l.lock.mu.Lock()
	defer l.lock.mu.Unlock()
	if !l.db.holds(l) {
		return ErrStale
	}
	if l.db.pdb != nil {
		b := l.db.pdb.NewBatch()
		defer b.Close()
		if err := forgetTask(b, l.task); err != nil {
			return err
		}
		if err := l.db.write(b); err != nil {
			return err
		}
	}
	for _, t := range l.tables {
		t.reset()
	}
	clear(l.pos)
	for key := range l.stored {
		l.stored[key] = ""
	}
	l.meta, l.dirty, l.applyErr = nil, false, nil
	return nil
}

// Release rolls back what is uncommitted, applies, and gives the lease back,
// also when that fails: then what Pebble has is older, not wrong.
func (l *Lease) Release() error {
	l.Rollback()
	err := l.Apply()
	l.Abandon()
	return err
}

// Abandon gives the lease back without applying. It may be called from another
// goroutine, to take the task from a lane that is stuck: whatever that lane
// still does with the lease is refused.
func (l *Lease) Abandon() { l.db.giveBack(l.task, l) }
