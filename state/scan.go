package state

import (
	"bytes"
	pq "container/heap"
	"errors"
	"slices"
	"sort"
	"strings"

	"github.com/cespare/xxhash/v2"
	"github.com/cockroachdb/pebble/v2"
)

// Scan calls fn for the keys that have a pane of family f with lo < end <= hi,
// in key order, until fn returns false. It begins behind the key after, or
// where that is "" at the first key: so a window too large for one turn is
// closed in several. acc gives the key's words in the pane that ends at end,
// nil if it has none in the range, valid until fn returns. Spilled
// keys are read from Pebble as they come and are not loaded. fn may write to
// the table, but to keys that Scan has already given only. After an error the
// last key may have been given in part: roll back.
func (t *Table) Scan(f Family, lo, hi int64, after string, fn func(key string, acc func(end int64) []uint64) bool) error {
	sc := &scan{t: t, fam: &t.fams[f], lo: lo, hi: hi}
	defer sc.close()
	if err := sc.open(after); err != nil {
		return err
	}
	for {
		ok, err := sc.next()
		if !ok || err != nil {
			return err
		}
		more := fn(sc.key, sc.acc)
		if sc.err != nil || !more {
			return sc.err
		}
	}
}

// scan merges the keys in memory with those of each pane in Pebble.
type scan struct {
	t      *Table
	fam    *family
	lo, hi int64
	err    error

	slots []Slot  // in memory, in key order: the rest
	disk  cursors // the panes' keys in Pebble that are not in memory

	key   string
	slot  Slot
	inMem bool
	words []uint64 // of the accumulators decoded for the present key
	refs  []uint64
}

// scanOrder is the sorted list of the last scan, good until a slot becomes
// active or inactive: a window closed in a hundred turns is sorted once.
type scanOrder struct {
	fam    *family
	lo, hi int64
	shape  uint64
	slots  []Slot
}

func (sc *scan) open(after string) error {
	t := sc.t
	sc.slots = t.sorted(sc.fam, sc.lo, sc.hi)
	if after != "" {
		n := sort.Search(len(sc.slots), func(i int) bool { return t.Key(sc.slots[i]) > after })
		sc.slots = sc.slots[n:]
	}
	for _, p := range sc.fam.between(sc.lo, sc.hi) {
		if p.evicted == 0 {
			continue
		}
		c, err := newCursor(t, p, after)
		if err != nil {
			return err
		}
		if c != nil {
			sc.disk = append(sc.disk, c)
		}
	}
	pq.Init(&sc.disk)
	return sc.drop()
}

func (sc *scan) close() {
	sc.release()
	for _, c := range sc.disk {
		c.close()
	}
}

// next goes to the next key.
func (sc *scan) next() (bool, error) {
	sc.release()
	// Leave the present key's cursors behind.
	for len(sc.disk) > 0 && sc.disk[0].used {
		if err := sc.advance(); err != nil {
			return false, err
		}
	}
	if err := sc.drop(); err != nil {
		return false, err
	}
	switch {
	case len(sc.slots) > 0 && (len(sc.disk) == 0 || sc.t.Key(sc.slots[0]) < sc.disk[0].key):
		sc.slot, sc.inMem = sc.slots[0], true
		sc.key = sc.t.Key(sc.slot)
		sc.slots = sc.slots[1:]
	case len(sc.disk) > 0:
		sc.key, sc.inMem = sc.disk[0].key, false
		for _, c := range sc.disk {
			c.used = c.key == sc.key
		}
	default:
		return false, nil
	}
	return true, nil
}

// drop passes over keys in Pebble that are in memory.
func (sc *scan) drop() error {
	for len(sc.disk) > 0 {
		key := sc.disk[0].key
		if _, ok := sc.t.lookup(key, uint32(xxhash.Sum64String(key))); !ok {
			return nil
		}
		if err := sc.advance(); err != nil {
			return err
		}
	}
	return nil
}

// advance moves the first cursor on, or out of the heap at its end.
func (sc *scan) advance() error {
	c := sc.disk[0]
	if ok, err := c.next(); err != nil {
		return err
	} else if !ok {
		pq.Pop(&sc.disk)
		c.close()
		return nil
	}
	pq.Fix(&sc.disk, 0)
	return nil
}

func (sc *scan) acc(end int64) []uint64 {
	if end <= sc.lo || end > sc.hi {
		return nil
	}
	if sc.inMem {
		if p := sc.t.Pane(sc.fam.f, end); p != nil {
			return p.Read(sc.slot)
		}
		return nil
	}
	for _, c := range sc.disk {
		if c.key == sc.key && c.pane.end == end {
			return sc.decode(c)
		}
	}
	return nil
}

func (sc *scan) decode(c *cursor) []uint64 {
	at := len(sc.words)
	sc.words = append(sc.words, make([]uint64, sc.fam.words)...)
	acc := sc.words[at : at+sc.fam.words : at+sc.fam.words]
	v, err := c.it.ValueAndErr()
	if err != nil {
		sc.err = damaged(err)
		return nil
	}
	rest, err := sc.fam.decodeAcc(acc, v, func(b []byte) uint64 {
		ref := sc.t.heap.putBytes(b, genCommitted)
		sc.refs = append(sc.refs, ref)
		return ref
	})
	if err == nil && len(rest) > 0 {
		err = errTrail
	}
	if err != nil {
		sc.err = sc.t.corrupt(err)
		return nil
	}
	return acc
}

// release frees what was decoded for the present key.
func (sc *scan) release() {
	for _, ref := range sc.refs {
		sc.t.heap.release(ref)
	}
	sc.refs, sc.words = sc.refs[:0], sc.words[:0]
}

// sorted gives the slots in memory that are active in the panes, by key.
func (t *Table) sorted(fam *family, lo, hi int64) []Slot {
	o := &t.order
	if o.fam == fam && o.lo == lo && o.hi == hi && o.shape == fam.shape {
		return o.slots
	}
	slots := fam.active(lo, hi, o.slots[:0])
	slices.SortFunc(slots, func(a, b Slot) int { return strings.Compare(t.Key(a), t.Key(b)) })
	*o = scanOrder{fam: fam, lo: lo, hi: hi, shape: fam.shape, slots: slots}
	return slots
}

// cursor walks the keys of one pane in Pebble.
type cursor struct {
	pane   *Pane
	db     *DB
	it     *pebble.Iterator
	prefix int
	key    string
	used   bool // its key was given out
}

// newCursor gives nil where the pane has no key behind after.
func newCursor(t *Table, p *Pane, after string) (*cursor, error) {
	if err := t.disk.db.enter(); err != nil {
		return nil, err
	}
	from := bytes.Clone(t.disk.at(p, ""))
	c := &cursor{pane: p, db: t.disk.db, prefix: len(from)}
	lower := from
	if after != "" {
		lower = append(bytes.Clone(t.disk.at(p, after)), 0) // the first key behind it
	}
	var err error
	c.it, err = t.disk.db.pdb.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: afterPrefix(from)})
	if err != nil {
		c.db.exit()
		return nil, damaged(err)
	}
	if !c.it.First() {
		err := errors.Join(c.it.Error(), c.close())
		return nil, damaged(err)
	}
	c.key = string(c.it.Key()[c.prefix:])
	return c, nil
}

func (c *cursor) next() (bool, error) {
	c.used = false
	if !c.it.Next() {
		return false, damaged(c.it.Error())
	}
	c.key = string(c.it.Key()[c.prefix:])
	return true, nil
}

func (c *cursor) close() error {
	defer c.db.exit()
	return damaged(c.it.Close())
}

// cursors is a heap of cursors by key.
type cursors []*cursor

func (c cursors) Len() int           { return len(c) }
func (c cursors) Less(i, j int) bool { return c[i].key < c[j].key }
func (c cursors) Swap(i, j int)      { c[i], c[j] = c[j], c[i] }
func (c *cursors) Push(x any)        { *c = append(*c, x.(*cursor)) }
func (c *cursors) Pop() any {
	old := *c
	x := old[len(old)-1]
	*c = old[:len(old)-1]
	return x
}
