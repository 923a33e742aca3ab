package operators

import (
	"encoding/binary"

	"github.com/leatstream/leat/engine"
)

// deletions is what a versioned table remembers of keys that are gone, so that
// a version older than its deletion does not bring a key back.
//
// A deletion is remembered until the table's own time, the greatest event time
// of the rows before, is history past it. What is forgotten leaves one number
// behind, the greatest time of a forgotten deletion: a row of a key that is not
// known and that is older than that may be what was deleted, and is late.
//
//	history 10   a 5   - a 6   b 16     a 5    c 5    c 6   b 1
//	own time     5     6       16       16
//	             + a   - a     + b      late   late   + c   an older version of b
//
// All of it goes by the rows before, in the order of their partition, and never
// by the watermark: so every run finds the same.
type deletions struct {
	history int64 // ms
	store   *keyed
	due     timers
	now     int64  // the table's own time
	before  int64  // the greatest time of a forgotten deletion
	buf     []byte // as stored: [1][now zigzag][before zigzag]
}

// clockKey is the only key of the store, which is a pane of its own beside the
// table's.
const clockKey = ""

// load reads what was stored last: after a rollback or a restart, too.
func (d *deletions) load() error {
	d.now, d.before, d.buf = engine.MinTime, engine.MinTime, d.buf[:0]
	b, err := d.store.get(clockKey)
	if err != nil || b == nil {
		return err
	}
	now, n := binary.Varint(b[1:])
	if n <= 0 {
		return errStored
	}
	before, m := binary.Varint(b[1+n:])
	if m <= 0 {
		return errStored
	}
	d.now, d.before, d.buf = now, before, append(d.buf, b...)
	return nil
}

// save stores what has changed since load.
func (d *deletions) save() error {
	b := binary.AppendVarint(binary.AppendVarint([]byte{1}, d.now), d.before)
	if string(b) == string(d.buf) {
		return nil
	}
	return d.store.put(clockKey, b)
}

// forget removes the deletions that the rows before have made old.
func (d *deletions) forget(t *tableSource) error {
	for {
		_, key, ok := d.due.next(d.now)
		if !ok {
			return nil
		}
		n, err := t.newest(key)
		if err != nil {
			return err
		}
		if !n.known || n.is {
			continue
		}
		if at := after(n.at, d.history); at > d.now {
			d.due.set(at, key)
			continue
		}
		d.before = max(d.before, n.at)
		if err := t.table.remove(key); err != nil {
			return err
		}
	}
}
