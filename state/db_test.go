package state

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

func numbers(name string) []Spec {
	return []Spec{{Name: name, Families: [2]FamilySpec{{Words: 2}}}}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// put writes n to key in the pane that ends at 10.
func put(t testing.TB, l *Lease, key string, n uint64) {
	t.Helper()
	tb := l.Tables()[0]
	slots := make([]Slot, 1)
	must(t, tb.Resolve([]string{key}, []int32{0}, slots))
	acc, _ := tb.Open(Panes, 10).Write(slots[0])
	acc[0] = n
}

func at(offset int64) map[string]Position { return map[string]Position{"s": {Offset: offset}} }

// On a real disk: only the owner may read, one DB at a time, all there after
// Close.
func TestFolderOnDisk(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "state")
	db, err := Open(dir, Options{Identity: "w"})
	must(t, err)
	if _, err := Open(dir, Options{Identity: "w"}); !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), "in use by pid") {
		t.Errorf("opened twice: %v", err)
	}
	l, err := db.Lease("t", numbers("s"))
	must(t, err)
	put(t, l, "k", 7)
	must(t, l.Commit(at(3), []byte("m")))
	must(t, l.Release())
	must(t, db.Flush())
	if db.Bytes() <= 0 {
		t.Errorf("%d bytes", db.Bytes())
	}
	must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return nil
	}))
	must(t, db.Close())
	must(t, db.Close())

	db, err = Open(dir, Options{Identity: "w"})
	must(t, err)
	defer db.Close()
	l, err = db.Lease("t", numbers("s"))
	must(t, err)
	if pos, meta, ok := l.Loaded(); !ok || pos["s"].Offset != 3 || string(meta) != "m" {
		t.Errorf("loaded %v %q %v", pos, meta, ok)
	}
	s, ok, err := l.Tables()[0].Find("k")
	if err != nil || !ok || l.Tables()[0].Pane(Panes, 10).Read(s)[0] != 7 {
		t.Errorf("k is lost: %v %v", ok, err)
	}
	must(t, db.Check())
}

// Another lease has written between what this one read and what it applies,
// while this one is, wrongly, still the holder: the comparison refuses.
func TestCompareAndSet(t *testing.T) {
	db, err := Open("state", Options{FS: vfs.NewMem()})
	must(t, err)
	defer db.Close()
	old, err := db.Lease("t", numbers("s"))
	must(t, err)
	put(t, old, "k", 1)
	must(t, old.Commit(at(1), nil))
	old.Abandon()
	young, err := db.Lease("t", numbers("s"))
	must(t, err)
	put(t, young, "k", 2)
	must(t, young.Commit(at(2), nil))
	must(t, young.Apply())

	db.tasks["t"].holder = old
	if err := old.Apply(); !errors.Is(err, ErrStale) {
		t.Errorf("the old lease applied: %v", err)
	}
	db.tasks["t"].holder = young
	put(t, young, "k", 3)
	must(t, young.Commit(at(3), nil))
	must(t, young.Apply())
}

// A batch that is too large is split. A crash in the middle leaves a store
// without position, which is not used.
func TestSplitApply(t *testing.T) {
	disk := vfs.NewCrashableMem()
	db, err := Open("state", Options{FS: disk})
	must(t, err)
	l, err := db.Lease("t", numbers("s"))
	must(t, err)
	put(t, l, "k0", 1)
	must(t, l.Commit(at(1), nil))
	must(t, l.Apply())

	for i := range 100 {
		put(t, l, fmt.Sprint("k", i), 2)
	}
	must(t, l.Commit(at(2), nil))
	db.split = 256
	w := &writer{l: l, b: db.pdb.NewBatch()}
	must(t, l.Tables()[0].apply(w)) // and not the rest of it
	must(t, w.b.Close())
	must(t, db.Flush())
	if !w.split {
		t.Fatal("not split")
	}
	after := disk.CrashClone(vfs.CrashCloneCfg{})

	must(t, l.Apply()) // the same again, to its end
	must(t, db.Check())
	l.Abandon()
	l, err = db.Lease("t", numbers("s"))
	must(t, err)
	if n := l.Tables()[0].Len(); n != 100 || len(l.Rebuild()) > 0 {
		t.Errorf("%d keys, want 100; %v", n, l.Rebuild())
	}
	must(t, db.Close())

	db, err = Open("state", Options{FS: after})
	must(t, err)
	defer db.Close()
	must(t, db.Check())
	l, err = db.Lease("t", numbers("s"))
	must(t, err)
	if pos, _, _ := l.Loaded(); len(pos) > 0 || l.Tables()[0].Len() > 0 || len(l.Rebuild()) != 1 {
		t.Errorf("half a batch was used: %v, %d keys, %v", pos, l.Tables()[0].Len(), l.Rebuild())
	}
}

// A disk that fails is damage; a full one is only an error.
func TestBackgroundError(t *testing.T) {
	for _, c := range []struct {
		cause error
		bad   bool
	}{{syscall.EIO, true}, {syscall.ENOSPC, false}} {
		toggle := &errorfs.Toggle{Injector: errorfs.InjectorFunc(func(op errorfs.Op) error {
			if op.Kind == errorfs.OpCreate && strings.HasSuffix(op.Path, ".sst") {
				return c.cause
			}
			return nil
		})}
		db, err := Open("state", Options{FS: errorfs.Wrap(vfs.NewMem(), toggle)})
		must(t, err)
		l, err := db.Lease("t", numbers("s"))
		must(t, err)
		put(t, l, "k", 1)
		must(t, l.Commit(at(1), nil))
		must(t, l.Apply())
		toggle.On()
		if err := db.Flush(); !errors.Is(err, c.cause) || errors.Is(err, ErrDamaged) != c.bad {
			t.Errorf("%v: flush gives %v", c.cause, err)
		}
		toggle.Off()
		put(t, l, "k", 2)
		must(t, l.Commit(at(2), nil))
		if err := l.Apply(); errors.Is(err, ErrDamaged) != c.bad {
			t.Errorf("%v: apply gives %v", c.cause, err)
		}
		// Pebble's tries from before may still report.
		for !c.bad && db.Flush() != nil {
		}
		must(t, db.Close())
	}
}

// Lanes use the DB at once; one task moves from hand to hand.
func TestConcurrent(t *testing.T) {
	db, err := Open("state", Options{FS: vfs.NewMem(), Budget: 1})
	must(t, err)
	var wg sync.WaitGroup
	for lane := range 4 {
		wg.Go(func() {
			for turn := range 50 {
				task := fmt.Sprint("own-", lane)
				if turn%2 == 0 {
					task = "shared"
				}
				l, err := db.Lease(task, numbers("s"))
				if errors.Is(err, ErrLeased) {
					continue
				}
				if err != nil {
					t.Error(err)
					return
				}
				put(t, l, fmt.Sprint("k", turn), 1)
				pos, _, _ := l.Loaded()
				if err := l.Commit(at(pos["s"].Offset+1), nil); err != nil {
					t.Error(err)
				}
				if turn%3 == 0 {
					go l.Abandon()
				}
				if err := l.Release(); err != nil && !errors.Is(err, ErrStale) {
					t.Error(err)
				}
				_ = db.Bytes()
			}
		})
	}
	wg.Wait()
	must(t, db.Check())
	must(t, db.Close())
}

// A pinned slot stays its key's, through eviction and death.
func TestPin(t *testing.T) {
	db, err := Open("state", Options{FS: vfs.NewMem(), Budget: 1})
	must(t, err)
	defer db.Close()
	l, err := db.Lease("t", numbers("s"))
	must(t, err)
	tb := l.Tables()[0]
	put(t, l, "a", 1)
	put(t, l, "b", 1)
	s, _, err := tb.Find("a")
	must(t, err)
	tb.Pin(s)
	must(t, l.Commit(at(1), nil))
	if tb.Key(s) != "a" || tb.Pane(Panes, 10).Read(s)[0] != 1 || tb.spill.keys != 1 {
		t.Fatal("a was evicted, or b was not")
	}
	tb.Expire(Panes, 10)
	must(t, l.Commit(at(2), nil))
	must(t, l.Apply())
	if tb.Key(s) != "a" {
		t.Error("a lost its slot")
	}
	tb.Unpin(s)
	must(t, l.Commit(at(3), nil))
	if len(tb.holes) != len(tb.keys) {
		t.Error("the slot of a was not freed")
	}
	must(t, tb.verify(false))
}

// More keys than the budget holds: memory stays in bounds, nothing is lost.
func TestBudget(t *testing.T) {
	const keys, budget = 20_000, 256 << 10
	db, err := Open("state", Options{FS: vfs.NewMem(), Budget: budget})
	must(t, err)
	defer db.Close()
	l, err := db.Lease("t", numbers("s"))
	must(t, err)
	tb := l.Tables()[0]
	for i := range keys {
		put(t, l, fmt.Sprint("key-", i), uint64(i))
		if i%500 == 499 {
			must(t, l.Commit(at(int64(i)), nil))
			if tb.resident() > budget {
				t.Fatalf("%d bytes after commit", tb.resident())
			}
		}
	}
	if tb.Len() != keys || !tb.Spilled() || tb.Pane(Panes, 10).Len() != keys {
		t.Errorf("%d keys, spilled %v", tb.Len(), tb.Spilled())
	}
	sum, n := uint64(0), 0
	must(t, tb.Scan(Panes, math.MinInt64, 10, "", func(_ string, acc func(int64) []uint64) bool {
		sum += acc(10)[0]
		n++
		return true
	}))
	if n != keys || sum != keys*(keys-1)/2 {
		t.Errorf("scan gives %d keys, sum %d", n, sum)
	}
	count := 0
	tb.Pane(Panes, 10).Each(func(Slot, []uint64) bool { count++; return true })
	if count != keys {
		t.Errorf("each gives %d keys", count)
	}
}

// A restore of more than the budget stays in bounds too, and can be continued
// from after it.
func TestRestoreBeyondBudget(t *testing.T) {
	const keys, budget = 20_000, 256 << 10
	_, from, _, _ := benchTable(t, keys)
	for _, s := range from.Active(Panes, math.MinInt64, math.MaxInt64, nil) {
		acc, _ := from.Pane(Panes, math.MaxInt64).Write(s)
		acc[0]++
	}
	db, err := Open("state", Options{FS: vfs.NewMem(), Budget: budget})
	must(t, err)
	defer db.Close()
	l, err := db.Lease("t", []Spec{{Name: "s", Families: [2]FamilySpec{{Words: 4}}}})
	must(t, err)
	tb := l.Tables()[0]
	must(t, from.Changes(func(key, value []byte) error {
		if tb.resident() > 2*budget {
			t.Fatalf("%d bytes with %d keys", tb.resident(), tb.Len())
		}
		return tb.Restore(key, value)
	}))
	must(t, l.Commit(at(keys), nil))
	must(t, l.Release())
	must(t, db.Check())
	l, err = db.Lease("t", []Spec{{Name: "s", Families: [2]FamilySpec{{Words: 4}}}})
	must(t, err)
	if tb = l.Tables()[0]; tb.Len() != keys || !tb.Spilled() || len(l.Rebuild()) > 0 {
		t.Errorf("%d keys, spilled %v, %v", tb.Len(), tb.Spilled(), l.Rebuild())
	}
}
