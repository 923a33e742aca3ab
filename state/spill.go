package state

import "github.com/cespare/xxhash/v2"

// spill is the part of a table that is in Pebble only. A key is in memory with
// all its panes, or spilled with all of them; each pane counts its spilled
// accumulators, so that a pane without any is never asked.
type spill struct {
	keys   int  // spilled keys
	dead   int  // spilled keys whose last pane expired in this interval
	walked bool // dead is counted
	hand   Slot // where eviction goes on looking
}

// disk is where a table's Pebble keys are.
type disk struct {
	db     *DB
	task   string
	prefix []byte // of the table's data keys
	key    []byte // scratch
}

// at gives the Pebble key of a key in a pane, valid until the next call.
func (d *disk) at(p *Pane, key string) []byte {
	d.key = append(appendPane(append(d.key[:0], d.prefix...), p.fam.f, p.end), key...)
	return d.key
}

func (s *spill) endInterval() { s.dead, s.walked = 0, false }

// SetBudget sets how many bytes the table may use; 0 is without limit. Above
// it, Commit and Apply evict keys that are safe in Pebble, and a key that is
// asked for again is loaded. Without a disk there is nowhere to evict to.
func (t *Table) SetBudget(bytes int64) { t.budget = bytes }

func (t *Table) over() bool { return t.durable && t.budget > 0 && t.resident() > t.budget }

// load brings a key from Pebble into memory, for good: it is no change, and not
// undone by Rollback. ok is false when it is not there.
func (t *Table) load(key string, hash uint32) (s Slot, ok bool, err error) {
	for f := range t.fams {
		if s, ok, err = t.loadFrom(t.fams[f].panes, key, hash, s, ok); err != nil {
			return 0, false, err
		}
	}
	if !ok {
		return 0, false, nil
	}
	// Rollback may bring back panes that expired in this interval.
	if s, ok, err = t.loadFrom(t.dropped, key, hash, s, ok); err != nil {
		return 0, false, err
	}
	t.spill.walked = false
	return s, ok, nil
}

// loadFrom loads what panes have of a key, which has slot s if ok, and gets one
// when it is found. On an error nothing of the key is in memory.
func (t *Table) loadFrom(panes []*Pane, key string, hash uint32, s Slot, ok bool) (Slot, bool, error) {
	for _, p := range panes {
		if p.evicted == 0 {
			continue
		}
		v, err := t.disk.db.get(t.disk.at(p, key))
		if err == nil && v == nil {
			continue
		}
		if err == nil {
			if !ok {
				s, ok = t.newSlot(key, hash), true
				t.flags[s] = slotStored | slotUsed
				t.spill.keys--
			}
			err = t.insertWhole(p, s, v)
		}
		if err != nil {
			if ok {
				t.evictSlot(s)
			}
			return 0, false, err
		}
		p.evicted--
	}
	return s, ok, nil
}

// loadPane loads all spilled keys of a pane. An error comes from Changes or
// Commit: the interval cannot be committed then.
func (t *Table) loadPane(p *Pane) {
	if p.evicted == 0 {
		return
	}
	if err := t.eachSpilled(p, func(key string, hash uint32) error {
		_, _, err := t.load(key, hash)
		return err
	}); err != nil {
		t.fail(err)
	}
}

// eachSpilled calls fn for the keys that Pebble has in pane p and memory has not.
func (t *Table) eachSpilled(p *Pane, fn func(key string, hash uint32) error) error {
	from := append([]byte(nil), t.disk.at(p, "")...)
	return t.disk.db.walk(from, afterPrefix(from), func(k, _ []byte) error {
		key := string(k[len(from):])
		hash := uint32(xxhash.Sum64String(key))
		if s, ok := t.lookup(key, hash); ok && t.flags[s]&slotMade == 0 {
			return nil
		}
		return fn(key, hash)
	})
}

// evict brings the table under its budget, right after Apply, when all of it is
// in Pebble: keys that were not resolved since it last looked go first.
func (t *Table) evict() {
	if !t.over() {
		return
	}
	defer func() { t.edges = t.edges[:0] }()       // eviction is no change
	goal := t.resident() - (t.budget - t.budget/8) // some room, or each commit would come here
	freed := int64(0)
	for range 2 * len(t.keys) {
		if freed >= goal {
			return
		}
		if int(t.spill.hand) >= len(t.keys) {
			t.spill.hand = 0
		}
		s := t.spill.hand
		t.spill.hand++
		switch fl := t.flags[s]; {
		case fl&(slotFree|slotPinned) != 0 || t.live[s] == 0:
		case fl&slotUsed != 0:
			t.flags[s] &^= slotUsed
		default:
			freed += t.evictSlot(s)
		}
	}
}

// evictSlot takes a key, of which Pebble has everything, out of memory.
func (t *Table) evictSlot(s Slot) (freed int64) {
	used := t.heap.used
	for f := range t.fams {
		fam := &t.fams[f]
		blocks := fam.slab.inUse
		for _, p := range fam.panes {
			t.evictFrom(p, s)
		}
		freed += int64(blocks-fam.slab.inUse) * int64(fam.slab.stride) * 8
	}
	for _, p := range t.dropped {
		t.evictFrom(p, s)
	}
	t.freeSlot(s)
	t.spill.keys++
	return freed + used - t.heap.used + slotBytes + indexBytes
}

func (t *Table) evictFrom(p *Pane, s Slot) {
	acc := p.Read(s)
	if acc == nil {
		return
	}
	for _, w := range p.fam.blobs {
		if acc[w] != 0 {
			t.heap.release(acc[w])
		}
	}
	e := p.entry(s)
	p.deactivate(e, s)
	p.evicted++
	if !p.dead {
		t.leave(s)
	}
	p.settleBlock(e)
}

// spilledDeaths calls fn with a tombstone for each spilled key whose last pane
// expired in this interval, and counts them.
func (t *Table) spilledDeaths(fn func(key, value []byte) error) error {
	dead := 0
	for i, p := range t.dropped {
		if p.evicted == 0 {
			continue
		}
		err := t.eachSpilled(p, func(key string, hash uint32) error {
			if has, err := t.spilledIn(t.dropped[:i], key); has || err != nil {
				return err // has died already
			}
			s, made := t.lookup(key, hash)
			if !made {
				if has, err := t.spilledInOpen(key); has || err != nil {
					return err
				}
			}
			dead++
			if made && t.live[s] > 0 {
				return nil // lives again: Changes has its record
			}
			return fn([]byte(key), nil)
		})
		if err != nil {
			return err
		}
	}
	t.spill.dead, t.spill.walked = dead, true
	return nil
}

func (t *Table) spilledInOpen(key string) (bool, error) {
	for f := range t.fams {
		if has, err := t.spilledIn(t.fams[f].panes, key); has || err != nil {
			return has, err
		}
	}
	return false, nil
}

func (t *Table) spilledIn(panes []*Pane, key string) (bool, error) {
	for _, p := range panes {
		if p.evicted == 0 {
			continue
		}
		v, err := t.disk.db.get(t.disk.at(p, key))
		if v != nil || err != nil {
			return v != nil, err
		}
	}
	return false, nil
}

// countDead counts the spilled keys that died, unless Changes just did.
func (t *Table) countDead() error {
	if t.spill.walked || t.spill.keys == 0 {
		return nil
	}
	return t.spilledDeaths(func(_, _ []byte) error { return nil })
}
