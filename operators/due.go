package operators

import (
	"strings"

	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/state"
)

// due tells which keys may have a window to close, and from when on. Like a
// timer (timers.go) an entry is a question, at or before the true time, and in
// no format. As long as all keys are in memory they are known by their slots,
// which costs no memory per entry; of a table with spilled keys by their bytes.
type due struct {
	table *state.Table
	heap  minHeap[dueSlot]
	armed []int64 // by slot: its earliest entry; MaxTime: none
	keys  *timers // in place of both: some keys have been spilled
}

type dueSlot struct {
	at   int64
	slot state.Slot
}

func (a dueSlot) before(b dueSlot) bool { return a.at < b.at || a.at == b.at && a.slot < b.slot }

// set makes a key due at or before at.
func (d *due) set(at int64, slot state.Slot) {
	if d.keys != nil {
		d.keys.set(at, d.table.Key(slot))
		return
	}
	for int(slot) >= len(d.armed) {
		d.armed = append(d.armed, engine.MaxTime)
	}
	if d.armed[slot] <= at {
		return
	}
	d.armed[slot] = at
	d.heap.push(dueSlot{at, slot})
}

// peek is the earliest time at which a key may be due; MaxTime: none is.
func (d *due) peek() int64 {
	if d.keys != nil {
		if at, ok := d.keys.peek(); ok {
			return at
		}
		return engine.MaxTime
	}
	if len(d.heap) == 0 {
		return engine.MaxTime
	}
	return d.heap[0].at
}

// next takes the earliest key that is due before limit. found is false where
// it has no state any more.
func (d *due) next(limit int64) (slot state.Slot, found, ok bool, err error) {
	if limit == engine.MinTime {
		return 0, false, false, nil
	}
	if d.keys != nil {
		_, key, ok := d.keys.next(limit - 1)
		if !ok {
			return 0, false, false, nil
		}
		slot, found, err = d.table.Find(key)
		return slot, found, true, err
	}
	for len(d.heap) > 0 && d.heap[0].at < limit {
		x := d.heap.pop()
		if d.armed[x.slot] != x.at {
			continue // an earlier one was set after it, and taken
		}
		d.armed[x.slot] = engine.MaxTime
		return x.slot, true, true, nil
	}
	return 0, false, false, nil
}

// expire forgets the keys that ended before limit, the earliest first: ends tells
// when a key does (there is false: it is gone already), forget drops it and
// whether there is time for more. done is false where it had not.
func (d *due) expire(limit int64, ends func(state.Slot) (end int64, there bool), forget func(slot state.Slot, end int64) (more bool, err error)) (done bool, err error) {
	for {
		slot, found, ok, err := d.next(limit)
		if err != nil || !ok {
			return err == nil, err
		}
		if !found {
			continue
		}
		end, there := ends(slot)
		if !there {
			continue
		}
		if end >= limit {
			d.set(end, slot)
			continue
		}
		if more, err := forget(slot, end); err != nil || !more {
			return false, err
		}
	}
}

// follow must be asked before slots are used: where keys have been spilled
// since, entries by slot mean nothing any more.
func (d *due) follow(from int64) error {
	if d.keys != nil || !d.table.Spilled() {
		return nil
	}
	return d.rebuild(from)
}

// rebuild makes all keys due from on: after a rollback, a restart, a spill.
func (d *due) rebuild(from int64) error {
	d.heap, d.keys = d.heap[:0], nil
	for i := range d.armed {
		d.armed[i] = engine.MaxTime
	}
	if !d.table.Spilled() {
		for _, slot := range d.table.Active(state.Panes, engine.MinTime, engine.MaxTime, nil) {
			d.set(from, slot)
		}
		return nil
	}
	d.keys = new(timers)
	return d.table.Scan(state.Panes, engine.MinTime, engine.MaxTime, "", func(key string, _ func(int64) []uint64) bool {
		d.keys.set(from, strings.Clone(key))
		return true
	})
}
