package state

import (
	"fmt"
	"sync"
)

// DB is the state of a worker: leases on tasks, and one Pebble behind them. It
// is safe for concurrent use.
type DB struct {
	mu      sync.Mutex
	closed  bool
	last    uint64 // number of the last lease
	holders map[string]*Lease
}

// OpenMemory makes a DB without a disk: what a lease held is gone with it. For
// leat pipe and tests.
func OpenMemory() *DB { return &DB{holders: map[string]*Lease{}} }

// Lease gives the exclusive handle on a task's state, loaded with what the DB
// has. ErrLeased while another lease on the task is open.
func (db *DB) Lease(task string, specs []Spec) (*Lease, error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.closed {
		return nil, ErrClosed
	}
	if db.holders[task] != nil {
		return nil, fmt.Errorf("lease task %q: %w", task, ErrLeased)
	}
	db.last++
	l := &Lease{db: db, task: task, number: db.last, pos: map[string]Position{}}
	for _, spec := range specs {
		l.tables = append(l.tables, newTable(spec, false))
	}
	db.holders[task] = l
	return l, nil
}

// Flush makes everything applied durable.
func (db *DB) Flush() error { return nil }

// Close flushes and closes.
func (db *DB) Close() error {
	db.mu.Lock()
	defer db.mu.Unlock()
	db.closed = true
	clear(db.holders)
	return nil
}

// Drop forgets a task's state.
func (db *DB) Drop(task string) error { return nil }

// Bytes is the size on disk and in memtables.
func (db *DB) Bytes() int64 { return 0 }

// Check walks every key.
func (db *DB) Check() error { return nil }

func (db *DB) holds(l *Lease) bool {
	db.mu.Lock()
	defer db.mu.Unlock()
	return !db.closed && db.holders[l.task] == l
}

func (db *DB) giveBack(l *Lease) {
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.holders[l.task] == l {
		delete(db.holders, l.task)
	}
}
