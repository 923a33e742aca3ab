package state

import (
	"errors"
	"fmt"
	"maps"
	"slices"
)

// Check is the checker: it walks every key on disk, decodes everything, and
// holds the data against the stores' records. All faults are reported, joined.
// It knows no pipeline: the records describe the data. It sees what was
// applied, at one moment per store; run it while nothing applies.
func (db *DB) Check() error {
	if db.pdb == nil {
		return nil
	}
	c := &checker{stores: map[[2]string]*checkedStore{}, tasks: map[string]bool{}}
	if err := db.walk(nil, nil, func(k, v []byte) error { c.key(k, v, true); return nil }); err != nil {
		return fmt.Errorf("check state: %w", err)
	}
	if err := db.walk(nil, nil, func(k, v []byte) error { c.key(k, v, false); return nil }); err != nil {
		return fmt.Errorf("check state: %w", err)
	}
	c.finish()
	if len(c.faults) > 0 {
		return fmt.Errorf("check state: %w: %w", ErrCorrupt, errors.Join(c.faults...))
	}
	return nil
}

type checker struct {
	stores map[[2]string]*checkedStore
	tasks  map[string]bool
	faults []error
}

type checkedStore struct {
	rec     storeRecord
	table   *Table // for its decoder
	entries [2]uint64
}

// maxFaults keeps a folder full of garbage from a report as large.
const maxFaults = 20

func (c *checker) fault(format string, args ...any) {
	if len(c.faults) < maxFaults {
		c.faults = append(c.faults, fmt.Errorf(format, args...))
	}
}

// key looks at one key: in the first walk at records, in the second at data,
// which lies before them.
func (c *checker) key(k, v []byte, records bool) {
	task, rest, ok := splitName(k[min(1, len(k)):])
	switch {
	case !ok:
		if records {
			c.fault("key %q: no task name", k)
		}
	case k[0] == kindTask && records:
		c.task(k, v, task, rest)
	case k[0] == kindStore && records:
		c.store(k, v, task, rest)
	case k[0] == kindData && !records:
		c.data(k, v, task, rest)
	case k[0] != kindTask && k[0] != kindStore && k[0] != kindData && records:
		c.fault("key %q: unknown kind", k)
	}
}

func (c *checker) task(k, v []byte, task string, rest []byte) {
	c.tasks[task] = true
	if len(rest) > 0 {
		c.fault("key %q: bytes after the task", k)
	}
	if _, err := decodeTaskRecord(v); err != nil {
		c.fault("record of task %q: %w", task, err)
	}
}

func (c *checker) store(k, v []byte, task string, rest []byte) {
	store, rest, ok := splitName(rest)
	if !ok || len(rest) > 0 {
		c.fault("key %q: bad store name", k)
		return
	}
	rec, err := decodeStoreRecord(v)
	if err != nil {
		c.fault("record of store %q of task %q: %w", store, task, err)
	}
	table := newTable(Spec{Name: store, Families: rec.families}, false)
	c.stores[[2]string{task, store}] = &checkedStore{rec: rec, table: table}
}

func (c *checker) data(k, v []byte, task string, rest []byte) {
	store, rest, ok := splitName(rest)
	if !ok {
		c.fault("key %q: bad store name", k)
		return
	}
	s := c.stores[[2]string{task, store}]
	if s == nil {
		c.fault("key %q: store %q of task %q has no record", k, store, task)
		return
	}
	f, _, _, ok := splitPane(rest)
	if !ok || s.table.fams[f].words == 0 {
		c.fault("key %q: bad pane", k)
		return
	}
	s.entries[f]++
	fam := &s.table.fams[f]
	left, err := fam.scanAcc(make([]uint64, fam.words), v, nil)
	if err == nil && len(left) > 0 {
		err = errTrail
	}
	if err != nil {
		c.fault("key %q of store %q of task %q: %w", k, store, task, err)
	}
}

func (c *checker) finish() {
	ids := slices.SortedFunc(maps.Keys(c.stores), func(a, b [2]string) int { return slices.Compare(a[:], b[:]) })
	for _, id := range ids {
		s := c.stores[id]
		if !c.tasks[id[0]] {
			c.fault("store %q of task %q: the task has no record", id[1], id[0])
		}
		if !s.rec.hasPos {
			continue // a restore that did not end: counts nothing, is never loaded
		}
		total := s.entries[0] + s.entries[1]
		if s.entries != s.rec.entries {
			c.fault("store %q of task %q has %d accumulators, its record says %d", id[1], id[0], s.entries, s.rec.entries)
		}
		if s.rec.keys > total || s.rec.keys == 0 && total > 0 {
			c.fault("store %q of task %q has %d keys in %d accumulators", id[1], id[0], s.rec.keys, total)
		}
	}
}
