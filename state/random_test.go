package state

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

var (
	seedFlag = flag.Uint64("seed", 0, "seed of the random tests; 0: a new one")
	runsFlag = flag.Int("runs", 10, "random runs")
	opsFlag  = flag.Int("ops", 300, "operations per random run")
)

// TestRandom does random things to two stores and to a model made of maps, with
// a changelog beside them, and compares. It knows crashes (with more or less of
// what was not synced), restarts, hand-overs, rollbacks and tiny budgets.
func TestRandom(t *testing.T) {
	for run := range *runsFlag {
		seed := *seedFlag
		if seed == 0 {
			seed = uint64(time.Now().UnixNano()) + uint64(run)
		}
		r := newRandomRun(t, seed)
		for range *opsFlag {
			if err := r.step(); err != nil {
				t.Fatalf("after\n  %s\n%v\nreplay: go test ./state -run TestRandom -runs 1 -ops %d -seed %d",
					strings.Join(r.trace[max(0, len(r.trace)-25):], "\n  "), err, *opsFlag, seed)
			}
		}
		r.close()
		if *seedFlag != 0 {
			return
		}
	}
}

// The model: per store, key ─▶ pane ─▶ accumulator.
type (
	modelPane  struct{ family, end int64 }
	modelAcc   struct{ words, blob string }
	modelStore map[string]map[modelPane]modelAcc
	logEntry   struct {
		key, value string
		dead       bool
	}
)

func (m modelStore) clone() modelStore {
	c := modelStore{}
	for k, panes := range m {
		c[k] = maps.Clone(panes)
	}
	return c
}

type randomRun struct {
	t     *testing.T
	rng   *rand.Rand
	fs    *vfs.MemFS
	db    *DB
	lease *Lease
	trace []string

	specs     []Spec
	now       []modelStore // with what is uncommitted
	committed []modelStore
	floor     [2]int64 // expired so far, committed and not
	oldFloor  [2]int64
	log       [][]logEntry // changelog per store
	commits   int
	reopen    bool // panes below the floor come back: then no replay, which would drop them
	budget    int64
	split     int
	wiped     bool // restored from nothing, and no flush since with a position
	placed    bool // applied since, with a position
	keys      []string
}

func newRandomRun(t *testing.T, seed uint64) *randomRun {
	r := &randomRun{t: t, rng: rand.New(rand.NewPCG(seed, 0)), fs: vfs.NewCrashableMem()}
	r.reopen = r.rng.IntN(4) == 0
	r.specs = []Spec{
		{Name: "a", Fingerprint: "1", Families: [2]FamilySpec{{Words: 3, Blobs: []int{1}}, {Words: 1}}},
		{Name: "ab", Fingerprint: "1", Families: [2]FamilySpec{{Words: 2, Blobs: []int{0, 1}}, {}}},
	}
	for i := range 20 + r.rng.IntN(200) {
		r.keys = append(r.keys, []string{"k", "a", "\x00", "\xff", strings.Repeat("long", 20)}[i%5]+strconv.Itoa(i))
	}
	r.now, r.committed, r.log = make([]modelStore, 2), make([]modelStore, 2), make([][]logEntry, 2)
	for i := range r.now {
		r.now[i], r.committed[i] = modelStore{}, modelStore{}
	}
	if r.rng.IntN(3) > 0 {
		r.budget = 1 + r.rng.Int64N(20_000)
	}
	r.split = 1 << (6 + r.rng.IntN(20))
	r.floor = [2]int64{math.MinInt64, math.MinInt64}
	r.oldFloor = r.floor
	r.must(r.openDB())
	r.must(r.openLease())
	return r
}

func (r *randomRun) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *randomRun) openDB() (err error) {
	r.db, err = Open("state", Options{FS: r.fs, Memory: 8 << 20, Budget: r.budget})
	if err == nil {
		r.db.split = r.split
	}
	return err
}

// openLease takes the lease and replays what Pebble has not.
func (r *randomRun) openLease() (err error) {
	if r.lease, err = r.db.Lease("p.1/0/3", r.specs); err != nil {
		return err
	}
	// A restore that evicts writes before it has a position.
	if len(r.lease.Rebuild()) > 0 && !r.wiped {
		return errors.Join(r.lease.Rebuild()...)
	}
	pos, meta, ok := r.lease.Loaded()
	if ok && len(pos) > 0 && string(meta) != fmt.Sprint(pos["a"].Epoch) {
		return fmt.Errorf("meta %q at position %v", meta, pos)
	}
	return r.replay(pos)
}

func (r *randomRun) replay(pos map[string]Position) error {
	replayed := false
	for i, tb := range r.lease.Tables() {
		from := int64(0)
		if p, ok := pos[r.specs[i].Name]; ok {
			from = p.Offset
		} else {
			r.wiped, r.placed = true, false
		}
		if r.reopen && from < int64(len(r.log[i])) {
			return fmt.Errorf("store %d is at %d of %d after a clean stop", i, from, len(r.log[i]))
		}
		for _, e := range r.log[i][from:] {
			replayed = true
			var value []byte
			if !e.dead {
				value = []byte(e.value)
			}
			if err := tb.Restore([]byte(e.key), value); err != nil {
				return err
			}
		}
		if !r.reopen {
			for f := range r.specs[i].Families {
				tb.RestoreExpire(Family(f), r.floor[f])
			}
		}
	}
	if replayed {
		r.trace = append(r.trace, "replayed")
	}
	return r.lease.Commit(r.position(), []byte(fmt.Sprint(r.commits)))
}

func (r *randomRun) position() map[string]Position {
	pos := map[string]Position{}
	for i, s := range r.specs {
		pos[s.Name] = Position{TopicID: "t", Offset: int64(len(r.log[i])), Epoch: int32(r.commits)}
	}
	return pos
}

func (r *randomRun) say(format string, args ...any) {
	r.trace = append(r.trace, fmt.Sprintf(format, args...))
}

func (r *randomRun) step() error {
	type op struct {
		weight int
		do     func() error
	}
	ops := []op{
		{40, r.write}, {8, r.remove}, {8, r.expire}, {12, r.commit}, {4, r.rollback}, {6, r.apply}, {2, r.flush},
		{3, r.crash}, {1, r.restart}, {1, r.handOver}, {4, r.find}, {6, r.compare}, {1, r.setBudget}, {1, r.wipe},
	}
	sum := 0
	for _, o := range ops {
		sum += o.weight
	}
	n := r.rng.IntN(sum)
	for _, o := range ops {
		if n -= o.weight; n < 0 {
			return o.do()
		}
	}
	return nil
}

func (r *randomRun) pickPane(i int) (f Family, end int64) {
	for {
		f = Family(r.rng.IntN(2))
		if r.specs[i].Families[f].Words == 0 {
			continue
		}
		base := int64(-50)
		if !r.reopen && r.floor[f] > base {
			base = r.floor[f]
		}
		end = base + 1 + r.rng.Int64N(8)
		if r.rng.IntN(10) == 0 {
			end = math.MaxInt64
		}
		return f, end
	}
}

// write changes a batch of accumulators.
func (r *randomRun) write() error {
	i := r.rng.IntN(2)
	tb := r.lease.Tables()[i]
	n := 1 + r.rng.IntN(20)
	keys, rows, slots := make([]string, n), make([]int32, n), make([]Slot, n)
	for k := range keys {
		keys[k], rows[k] = r.keys[r.rng.IntN(len(r.keys))], int32(k)
	}
	r.say("write %d keys to store %d", n, i)
	if err := tb.Resolve(keys, rows, slots); err != nil {
		return err
	}
	for k, s := range slots {
		if r.rng.IntN(8) == 0 {
			continue // resolved and never written
		}
		f, end := r.pickPane(i)
		if tb.Key(s) != keys[k] {
			return fmt.Errorf("slot of %q has key %q", keys[k], tb.Key(s))
		}
		acc, fresh := tb.Open(f, end).Write(s)
		old, had := r.now[i][keys[k]][modelPane{int64(f), end}]
		if fresh == had {
			return fmt.Errorf("key %q, pane %d: fresh %v, model has it %v", keys[k], end, fresh, had)
		}
		if got := readAcc(tb, r.specs[i].Families[f], acc); had && got != old {
			return fmt.Errorf("key %q, pane %d: is %v, want %v", keys[k], end, got, old)
		}
		for w := range acc {
			if slices.Contains(r.specs[i].Families[f].Blobs, w) {
				var b []byte
				kind := r.rng.IntN(5)
				switch kind {
				case 0: // none
				case 1:
					b = append(tb.Get(acc[w]), byte(r.rng.Uint32())) // grows
				case 2:
					b = make([]byte, r.rng.IntN(40))
				case 3:
					b = bytes.Repeat([]byte{byte(r.rng.Uint32())}, r.rng.IntN(20_000)*(r.rng.IntN(20)/19))
				}
				if kind == 4 {
					acc[w] = r.edit(tb, acc[w])
					continue
				}
				acc[w] = tb.Put(acc[w], b)
			} else {
				acc[w] = []uint64{0, 1, acc[w] + 1, math.Float64bits(20.5), ^uint64(0), r.rng.Uint64(), 256}[r.rng.IntN(7)]
			}
		}
		r.set(i, keys[k], modelPane{int64(f), end}, readAcc(tb, r.specs[i].Families[f], acc))
	}
	return nil
}

// edit changes a byte string where it is, or gives it another length.
func (r *randomRun) edit(tb *Table, ref uint64) uint64 {
	before := bytes.Clone(tb.Get(ref))
	n := len(before)
	if r.rng.IntN(2) == 0 {
		n = r.rng.IntN(60)
	}
	ref, b := tb.Edit(ref, n)
	want := append(before[:min(n, len(before))], make([]byte, max(0, n-len(before)))...)
	if !bytes.Equal(b, want) || !bytes.Equal(tb.Get(ref), want) {
		r.t.Fatalf("edit gave %x, want %x", b, want)
	}
	if n > 0 {
		b[r.rng.IntN(n)] = byte(r.rng.Uint32())
	}
	return ref
}

func (r *randomRun) set(i int, key string, p modelPane, acc modelAcc) {
	if r.now[i][key] == nil {
		r.now[i][key] = map[modelPane]modelAcc{}
	}
	r.now[i][key][p] = acc
}

func readAcc(tb *Table, spec FamilySpec, acc []uint64) modelAcc {
	var m modelAcc
	for w, v := range acc {
		if slices.Contains(spec.Blobs, w) {
			m.blob += strconv.FormatBool(v != 0) + ":" + string(tb.Get(v)) + ";"
		} else {
			m.words += strconv.FormatUint(v, 10) + " "
		}
	}
	return m
}

func (r *randomRun) remove() error {
	i := r.rng.IntN(2)
	tb := r.lease.Tables()[i]
	key := r.keys[r.rng.IntN(len(r.keys))]
	r.say("remove %q from store %d", key, i)
	s, ok, err := tb.Find(key)
	if err != nil || !ok {
		return err
	}
	for p := range r.now[i][key] {
		if r.rng.IntN(2) == 0 {
			tb.Pane(Family(p.family), p.end).Remove(s)
			delete(r.now[i][key], p)
		}
	}
	if len(r.now[i][key]) == 0 {
		delete(r.now[i], key)
	}
	return nil
}

func (r *randomRun) expire() error {
	f := r.rng.IntN(2)
	if r.floor[f] < -40 {
		r.floor[f] = -40
	} else if !r.reopen || r.rng.IntN(2) == 0 {
		r.floor[f] += r.rng.Int64N(3)
	}
	r.say("expire family %d up to %d", f, r.floor[f])
	for i, tb := range r.lease.Tables() {
		tb.Expire(Family(f), r.floor[f])
		for key, panes := range r.now[i] {
			maps.DeleteFunc(panes, func(p modelPane, _ modelAcc) bool { return p.family == int64(f) && p.end <= r.floor[f] })
			if len(panes) == 0 {
				delete(r.now[i], key)
			}
		}
	}
	return nil
}

func (r *randomRun) commit() error {
	r.say("commit")
	for i, tb := range r.lease.Tables() {
		var last []logEntry
		for range 1 + r.rng.IntN(2) { // the same twice
			entries := []logEntry{}
			if err := tb.Changes(func(k, v []byte) error {
				entries = append(entries, logEntry{string(k), string(v), v == nil})
				return nil
			}); err != nil {
				return err
			}
			if last != nil && !slices.Equal(last, entries) {
				return fmt.Errorf("store %d: changes differ the second time", i)
			}
			last = entries
		}
		for _, e := range last {
			_, before := r.committed[i][e.key]
			_, after := r.now[i][e.key]
			if e.dead != !after || e.dead && !before {
				return fmt.Errorf("store %d: change of %q: tombstone %v, model had it %v, has it %v", i, e.key, e.dead, before, after)
			}
		}
		r.log[i] = append(r.log[i], last...)
		for key := range r.committed[i] {
			if r.now[i][key] == nil && !slices.ContainsFunc(last, func(e logEntry) bool { return e.key == key && e.dead }) {
				return fmt.Errorf("store %d: no tombstone for %q", i, key)
			}
		}
		r.committed[i] = r.now[i].clone()
	}
	r.oldFloor = r.floor
	r.commits++
	if err := r.lease.Commit(r.position(), []byte(fmt.Sprint(r.commits))); err != nil {
		return err
	}
	return r.verify(false)
}

func (r *randomRun) rollback() error {
	r.say("rollback")
	r.lease.Rollback()
	for i := range r.now {
		r.now[i] = r.committed[i].clone()
	}
	r.floor = r.oldFloor
	if err := r.verify(false); err != nil {
		return err
	}
	return r.compare()
}

func (r *randomRun) apply() error {
	if err := r.commit(); err != nil {
		return err
	}
	r.say("apply")
	if err := r.lease.Apply(); err != nil {
		return err
	}
	r.placed = true
	if err := r.verify(true); err != nil {
		return err
	}
	return r.db.Check()
}

func (r *randomRun) verify(saved bool) error {
	for i, tb := range r.lease.Tables() {
		if err := tb.verify(saved); err != nil {
			return fmt.Errorf("store %d: %w", i, err)
		}
		if tb.Len() != len(r.now[i]) {
			return fmt.Errorf("store %d: %d keys, want %d", i, tb.Len(), len(r.now[i]))
		}
	}
	return nil
}

func (r *randomRun) flush() error {
	r.say("flush")
	if r.placed {
		r.wiped = false
	}
	return r.db.Flush()
}

// forget drops what is uncommitted from the model.
func (r *randomRun) forget() {
	for i := range r.now {
		r.now[i] = r.committed[i].clone()
	}
	r.floor = r.oldFloor
}

func (r *randomRun) crash() error {
	if r.reopen {
		return nil
	}
	percent := []int{0, 50, 100}[r.rng.IntN(3)]
	r.say("crash, %d%% of the unsynced survives", percent)
	fs := r.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: r.rng})
	r.must(r.db.Close())
	r.fs = fs
	r.forget()
	if err := r.openDB(); err != nil {
		return err
	}
	if err := r.db.Check(); err != nil {
		return err
	}
	if err := r.openLease(); err != nil {
		return err
	}
	return r.compare()
}

func (r *randomRun) restart() error {
	r.say("restart")
	r.forget()
	if err := r.lease.Release(); err != nil {
		return err
	}
	if err := r.db.Close(); err != nil {
		return err
	}
	if err := r.openDB(); err != nil {
		return err
	}
	if err := r.openLease(); err != nil {
		return err
	}
	return r.compare()
}

func (r *randomRun) handOver() error {
	r.say("hand over")
	old := r.lease
	if r.reopen || r.rng.IntN(2) == 0 {
		if err := old.Release(); err != nil {
			return err
		}
	} else {
		old.Abandon()
	}
	r.forget()
	if err := r.openLease(); err != nil {
		return err
	}
	if err := old.Apply(); !errors.Is(err, ErrStale) {
		return fmt.Errorf("apply of the old lease: %v", err)
	}
	return r.compare()
}

func (r *randomRun) wipe() error {
	if r.reopen {
		return nil
	}
	r.say("wipe")
	r.forget()
	if err := r.lease.Wipe(); err != nil {
		return err
	}
	if err := r.replay(nil); err != nil {
		return err
	}
	return r.compare()
}

func (r *randomRun) setBudget() error {
	r.say("budget")
	for _, tb := range r.lease.Tables() {
		tb.SetBudget(r.rng.Int64N(2) * r.rng.Int64N(50_000))
	}
	return nil
}

func (r *randomRun) find() error {
	i := r.rng.IntN(2)
	tb := r.lease.Tables()[i]
	for range 10 {
		key := r.keys[r.rng.IntN(len(r.keys))]
		s, ok, err := tb.Find(key)
		if err != nil {
			return err
		}
		if want := r.now[i][key]; want == nil {
			if ok && tb.live[s] > 0 {
				return fmt.Errorf("store %d: %q is there", i, key)
			}
		} else if !ok {
			return fmt.Errorf("store %d: %q is not there", i, key)
		} else if err := r.compareKey(i, key, want, func(f Family, end int64) []uint64 {
			if p := tb.Pane(f, end); p != nil {
				return p.Read(s)
			}
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}

func (r *randomRun) compareKey(i int, key string, want map[modelPane]modelAcc, read func(Family, int64) []uint64) error {
	tb := r.lease.Tables()[i]
	for p, acc := range want {
		words := read(Family(p.family), p.end)
		if words == nil {
			return fmt.Errorf("store %d: %q has no pane %v", i, key, p)
		}
		if got := readAcc(tb, r.specs[i].Families[p.family], words); got != acc {
			return fmt.Errorf("store %d: %q, pane %v: is %v, want %v", i, key, p, got, acc)
		}
	}
	return nil
}

// compare compares everything, by Scan (which loads nothing) or by Active.
func (r *randomRun) compare() error {
	for i, tb := range r.lease.Tables() {
		for f, spec := range r.specs[i].Families {
			if spec.Words == 0 {
				continue
			}
			if err := r.compareEnds(i, Family(f)); err != nil {
				return err
			}
			lo := []int64{math.MinInt64, -40, r.floor[f] + 2}[r.rng.IntN(3)]
			hi := []int64{math.MaxInt64, math.MaxInt64 - 1, r.floor[f] + 5}[r.rng.IntN(3)]
			want := r.inRange(i, f, lo, hi)
			if r.rng.IntN(3) == 0 {
				got := []string{}
				for _, s := range tb.Active(Family(f), lo, hi, nil) {
					got = append(got, tb.Key(s))
				}
				slices.Sort(got)
				if !slices.Equal(got, want) {
					return fmt.Errorf("store %d, family %d, (%d, %d]: active %q, want %q", i, f, lo, hi, got, want)
				}
			}
			if err := r.compareScan(i, Family(f), lo, hi, want); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *randomRun) inRange(i, f int, lo, hi int64) []string {
	keys := []string{}
	for key, panes := range r.now[i] {
		for p := range panes {
			if p.family == int64(f) && lo < p.end && p.end <= hi {
				keys = append(keys, key)
				break
			}
		}
	}
	slices.Sort(keys)
	return keys
}

func (r *randomRun) compareEnds(i int, f Family) error {
	tb := r.lease.Tables()[i]
	want := map[int64]int{}
	for _, panes := range r.now[i] {
		for p := range panes {
			if p.family == int64(f) {
				want[p.end]++
			}
		}
	}
	ends := tb.Ends(f)
	if !slices.IsSorted(ends) {
		return fmt.Errorf("store %d: ends %v", i, ends)
	}
	for _, end := range ends {
		if n := tb.Pane(f, end).Len(); n != want[end] {
			return fmt.Errorf("store %d, family %d, pane %d: %d keys, want %d", i, f, end, n, want[end])
		}
		delete(want, end)
	}
	if len(want) > 0 {
		return fmt.Errorf("store %d, family %d: panes %v, lacks %v", i, f, ends, want)
	}
	return nil
}

func (r *randomRun) compareScan(i int, f Family, lo, hi int64, want []string) error {
	tb := r.lease.Tables()[i]
	got, after := []string{}, ""
	for done := false; !done; {
		budget := 1 + r.rng.IntN(30)
		var bad error
		done = true
		err := tb.Scan(f, lo, hi, after, func(key string, acc func(int64) []uint64) bool {
			key = strings.Clone(key)
			got = append(got, key)
			want := maps.Clone(r.now[i][key])
			maps.DeleteFunc(want, func(p modelPane, _ modelAcc) bool {
				return p.family != int64(f) || p.end <= lo || p.end > hi
			})
			bad = r.compareKey(i, key, want, func(_ Family, end int64) []uint64 { return acc(end) })
			after = key
			budget--
			done = budget > 0
			return bad == nil && budget > 0
		})
		if err = errors.Join(err, bad); err != nil {
			return err
		}
	}
	if !slices.Equal(got, want) {
		return fmt.Errorf("store %d, family %d, (%d, %d]: scan gives %q, want %q", i, f, lo, hi, got, want)
	}
	return nil
}

func (r *randomRun) close() {
	r.lease.Abandon()
	r.must(r.db.Close())
}
