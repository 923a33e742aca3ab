package state

import (
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// DB is the state of a worker: leases on tasks, and one Pebble behind them. It
// is safe for concurrent use.
//
// There is no write-ahead log: the changelogs are it. What was applied since
// the last Flush is lost with the process, always a tail of whole batches, and
// is read again from the changelogs.
type DB struct {
	pdb    *pebble.DB // nil: OpenMemory
	folder *folder
	budget int64
	split  int                   // see splitBytes
	bad    atomic.Pointer[error] // a background error: the folder is damaged
	failed chan error            // the newest background error, for Flush

	mu     sync.Mutex
	idle   sync.Cond // users is 0
	users  int       // calls in Pebble
	closed bool
	last   uint64 // number of the last lease
	tasks  map[string]*taskLock
}

// taskLock serialises what is written for a task. Who holds mu may take DB.mu,
// not the other way round.
type taskLock struct {
	mu     sync.Mutex
	holder *Lease // under DB.mu
}

// Options are the settings of a DB. The zero value works.
type Options struct {
	FS       vfs.FS // nil: the disk
	Memory   int64  // bytes for Pebble's cache and memtables; 0: 64 MiB
	Identity string // worker and cluster that the folder belongs to
	Budget   int64  // bytes that each table starts with as its budget (Table.SetBudget); 0: no limit
}

const (
	defaultMemory = 64 << 20
	maxMemtable   = 64 << 20 // larger ones only make a flush longer
	minMemtable   = 256 << 10
)

// Open opens the state folder dir (made with mode 0700, its files 0600).
// ErrInUse when another process has it, ErrOtherIdentity when it is another
// worker's, ErrDamaged when its content is bad: then SetAside helps.
func Open(dir string, o Options) (*DB, error) {
	f, err := openFolder(o.FS, dir)
	if err != nil {
		return nil, err
	}
	if err := f.identify(o.Identity); err != nil {
		return nil, closeOn(f.lock, err)
	}
	db := newDB()
	db.folder, db.budget = f, o.Budget
	if err := makeFolder(f.fs, f.path(dbFolder)); err != nil {
		return nil, closeOn(f.lock, fmt.Errorf("make state folder: %w", err))
	}
	db.pdb, err = pebble.Open(f.path(dbFolder), db.pebbleOptions(o))
	if err != nil {
		if pebble.IsCorruptionError(err) || errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("%w: %w", ErrDamaged, err)
		}
		return nil, closeOn(f.lock, fmt.Errorf("open state folder %s: %w", dir, err))
	}
	return db, nil
}

// OpenMemory makes a DB without a disk: what a lease held is gone with it. For
// leat pipe and tests.
func OpenMemory() *DB { return newDB() }

// OpenScratch makes a DB whose disk is memory: what was applied is there for
// the next lease, as after a restart of the process. For tests.
func OpenScratch() (*DB, error) {
	return Open("state", Options{FS: vfs.NewMem(), Memory: minMemtable})
}

func newDB() *DB {
	db := &DB{tasks: map[string]*taskLock{}, split: splitBytes, failed: make(chan error, 1)}
	db.idle.L = &db.mu
	return db
}

func (db *DB) pebbleOptions(o Options) *pebble.Options {
	memory := o.Memory
	if memory <= 0 {
		memory = defaultMemory
	}
	po := &pebble.Options{
		FS:                          db.folder.fs,
		DisableWAL:                  true,
		FormatMajorVersion:          pebble.FormatNewest,
		CacheSize:                   memory / 2,
		MemTableSize:                uint64(min(max(memory/4, minMemtable), maxMemtable)),
		MemTableStopWritesThreshold: 4,
		L0CompactionThreshold:       4,
		L0StopWritesThreshold:       24,
		CompactionConcurrencyRange:  func() (int, int) { return 1, 2 },
		MaxOpenFiles:                500,
		Logger:                      quiet{},
		EventListener:               &pebble.EventListener{BackgroundError: db.backgroundError},
	}
	for i := range po.Levels {
		po.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	return po
}

// backgroundError notes that flushes or compactions go wrong. A full disk is
// not damage: Pebble tries again.
func (db *DB) backgroundError(err error) {
	if errors.Is(err, pebble.ErrCancelledCompaction) {
		return
	}
	if !errors.Is(err, syscall.ENOSPC) {
		err = fmt.Errorf("%w: %w", ErrDamaged, err)
		db.bad.CompareAndSwap(nil, &err)
	}
	select {
	case db.failed <- err:
	default:
	}
}

// quiet keeps Pebble from writing to the log; what matters comes back as errors.
type quiet struct{}

func (quiet) Infof(string, ...any)      {}
func (quiet) Errorf(string, ...any)     {}
func (quiet) Fatalf(f string, a ...any) { panic("state: pebble: " + fmt.Sprintf(f, a...)) }

// enter begins a use of Pebble, which exit ends; Close waits for that.
func (db *DB) enter() error {
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.closed {
		return ErrClosed
	}
	if bad := db.bad.Load(); bad != nil {
		return *bad
	}
	db.users++
	return nil
}

func (db *DB) exit() {
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.users--; db.users == 0 {
		db.idle.Broadcast()
	}
}

// damaged marks an error of Pebble that means that the folder is bad.
func damaged(err error) error {
	if err != nil && pebble.IsCorruptionError(err) {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return err
}

// get reads a key; nil where there is none.
func (db *DB) get(key []byte) ([]byte, error) {
	if err := db.enter(); err != nil {
		return nil, err
	}
	defer db.exit()
	v, closer, err := db.pdb.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, damaged(err)
	}
	b := append(make([]byte, 0, len(v)), v...)
	return b, damaged(closer.Close())
}

// walk calls fn for the keys in [from, to), in order, until it fails. Bytes are
// valid during the call.
func (db *DB) walk(from, to []byte, fn func(key, value []byte) error) (err error) {
	if err := db.enter(); err != nil {
		return err
	}
	defer db.exit()
	it, err := db.pdb.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: to})
	if err != nil {
		return damaged(err)
	}
	for ok := it.First(); ok; ok = it.Next() {
		v, err := it.ValueAndErr()
		if err == nil {
			err = fn(it.Key(), v)
		}
		if err != nil {
			return errors.Join(damaged(err), it.Close())
		}
	}
	return damaged(it.Close())
}

// write commits a batch. Without a write-ahead log there is nothing to sync.
func (db *DB) write(b *pebble.Batch) error {
	if err := db.enter(); err != nil {
		return err
	}
	defer db.exit()
	return damaged(b.Commit(pebble.NoSync))
}

// Flush makes everything applied durable.
func (db *DB) Flush() error {
	if db.pdb == nil {
		return nil
	}
	err := db.enter()
	if err == nil {
		err = db.flush()
		db.exit()
	}
	if err != nil {
		return fmt.Errorf("flush state: %w", err)
	}
	return nil
}

// flush waits for a flush, or for its first failure: Pebble goes on trying for
// ever.
func (db *DB) flush() error {
	select {
	case <-db.failed: // of something before
	default:
	}
	done, err := db.pdb.AsyncFlush()
	if err != nil {
		return damaged(err)
	}
	select {
	case <-done:
		return nil
	case err := <-db.failed:
		return err
	}
}

// Close flushes and closes. Leases that are open become stale; what they did
// not apply is lost. A damaged folder is closed without a flush.
func (db *DB) Close() error {
	db.mu.Lock()
	if db.closed {
		db.mu.Unlock()
		return nil
	}
	db.closed = true
	for db.users > 0 {
		db.idle.Wait()
	}
	db.mu.Unlock()
	if db.pdb == nil {
		return nil
	}
	var err error
	if db.bad.Load() == nil {
		// Without a write-ahead log Pebble's own Close drops the memtable.
		err = db.flush()
	}
	err = errors.Join(err, damaged(db.pdb.Close()), db.folder.close())
	if err != nil {
		return fmt.Errorf("close state: %w", err)
	}
	return nil
}

// Drop forgets a task's state. ErrLeased while a lease on it is open.
func (db *DB) Drop(task string) error {
	if err := db.forget(task, func(b *pebble.Batch) error { return forgetTask(b, task) }); err != nil {
		return fmt.Errorf("drop task %q: %w", task, err)
	}
	return nil
}

// DropStore forgets one store of a task, so that the next Lease finds it
// without a position: after ErrCorrupt. ErrLeased while a lease is open.
func (db *DB) DropStore(task, store string) error {
	if err := db.forget(task, func(b *pebble.Batch) error { return forgetStore(b, task, store) }); err != nil {
		return fmt.Errorf("drop store %q of task %q: %w", store, task, err)
	}
	return nil
}

func (db *DB) forget(task string, what func(*pebble.Batch) error) error {
	self := &Lease{task: task}
	tl, err := db.take(task, self)
	if err != nil {
		return err
	}
	defer db.giveBack(task, self)
	tl.mu.Lock()
	defer tl.mu.Unlock()
	if db.pdb == nil {
		return nil
	}
	b := db.pdb.NewBatch()
	defer b.Close()
	if err := what(b); err != nil {
		return err
	}
	return db.write(b)
}

func forgetTask(b *pebble.Batch, task string) error {
	data, stores := taskKey(kindData, task), taskKey(kindStore, task)
	return errors.Join(
		b.DeleteRange(data, afterPrefix(data), nil),
		b.DeleteRange(stores, afterPrefix(stores), nil),
		b.Delete(taskKey(kindTask, task), nil))
}

func forgetStore(b *pebble.Batch, task, store string) error {
	data := storeKey(kindData, task, store)
	return errors.Join(
		b.DeleteRange(data, afterPrefix(data), nil),
		b.Delete(storeKey(kindStore, task, store), nil))
}

// Bytes is the size on disk and in memtables.
func (db *DB) Bytes() int64 {
	if db.pdb == nil || db.enter() != nil {
		return 0
	}
	defer db.exit()
	m := db.pdb.Metrics()
	return int64(m.DiskSpaceUsage() + m.MemTable.Size)
}

// take makes l the holder of the task.
func (db *DB) take(task string, l *Lease) (*taskLock, error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.closed {
		return nil, ErrClosed
	}
	tl := db.tasks[task]
	if tl == nil {
		tl = &taskLock{}
		db.tasks[task] = tl
	}
	if tl.holder != nil {
		return nil, ErrLeased
	}
	tl.holder = l
	return tl, nil
}

func (db *DB) holds(l *Lease) bool {
	db.mu.Lock()
	defer db.mu.Unlock()
	return !db.closed && db.tasks[l.task].holder == l
}

func (db *DB) giveBack(task string, l *Lease) {
	db.mu.Lock()
	defer db.mu.Unlock()
	if tl := db.tasks[task]; tl.holder == l {
		tl.holder = nil
	}
}

// number gives a new lease number, above floor.
func (db *DB) number(floor uint64) uint64 {
	db.mu.Lock()
	defer db.mu.Unlock()
	db.last = max(db.last, floor) + 1
	return db.last
}
