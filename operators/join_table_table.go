package operators

import (
	"encoding/binary"

	"github.com/leatstream/leat/engine"
)

// TableTable joins two tables by the key that both have whole. A change of
// either side changes the result's row of its key:
//
//	key ─▶ store: left row │ right row ─▶ result before, result after
//	                                      none, row    Insert
//	                                      row,  row    Update, unless nothing that is put out changed
//	                                      row,  none   Delete
//
// The time of a change is the greater of the changed row's and the other
// side's. With a ttl a key is forgotten once the watermark has passed the time
// of its last change by that; the delete's time is then. A row that comes for
// a key that was forgotten begins it anew, as does one that comes when the time
// of its partition, or its own, is past that: nothing depends on when time is
// looked at.
func TableTable(s TableTableSpec) func(*engine.Context) (engine.Operator, error) {
	return func(ctx *engine.Context) (engine.Operator, error) {
		if err := s.check(); err != nil {
			return nil, err
		}
		j := &tableTable{ctx: ctx, table: newKeyed(ctx, ctx.Tables[0]), ttl: s.TTL.Milliseconds(), pair: newJoinPair(s.JoinSpec)}
		j.pair.hold = j.table.hold
		for p, side := range []*JoinSide{&s.Left, &s.Right} {
			j.keys[p] = newChangeKeys(ctx, side)
		}
		return j, nil
	}
}

type tableTable struct {
	ctx   *engine.Context
	table *keyed
	ttl   int64 // ms
	keys  [2]*changeKeys
	pair  *joinPair
	due   timers // keys, by ttl
	buf   []byte
}

// Process takes changes of the left.
func (j *tableTable) Process(b *engine.Batch, out engine.Emit) error { return j.ProcessPort(0, b, out) }

// ProcessPort takes changes of the left (0) or the right (1).
func (j *tableTable) ProcessPort(port int, b *engine.Batch, out engine.Emit) error {
	err := j.keys[port].each(b, func(key string, i int32, is bool) error {
		return j.change(port, key, b, i, is, out)
	})
	if err != nil {
		return err
	}
	return j.pair.out.flush(out)
}

// both is what the store has of a key.
//
//	[1][1 left, 2 right][time of the last change][per row: see appendStored]
type both struct {
	last int64
	row  [2]storedRow
}

func (k *both) encode(dst []byte) []byte {
	var flags byte
	for p := range k.row {
		if k.row[p].has {
			flags |= 1 << p
		}
	}
	dst = binary.AppendVarint(append(dst, 1, flags), k.last)
	for p := range k.row {
		if r := &k.row[p]; r.has {
			dst = appendStored(dst, r)
		}
	}
	return dst
}

func decodeBoth(b []byte) (k both, err error) {
	if b == nil {
		return k, nil
	}
	if len(b) < 3 {
		return k, errStored
	}
	flags := b[1]
	d := numbers{b: b[2:]}
	k.last = d.varint()
	for p := range k.row {
		if flags&(1<<p) != 0 {
			k.row[p] = d.stored()
		}
	}
	return k, d.err
}

// change sets or removes the row that one side has of a key.
func (j *tableTable) change(port int, key string, b *engine.Batch, i int32, is bool, out engine.Emit) error {
	stored, err := j.table.get(key)
	if err != nil {
		return err
	}
	was, err := decodeBoth(stored)
	if err != nil {
		return err
	}
	over := stored != nil && j.over(&was, b, i)
	if !is && !was.row[port].has && !over {
		return nil
	}
	now := was
	if over {
		now, stored = both{}, nil
	}
	j.buf = j.buf[:0]
	now.row[port] = storedRow{}
	if is {
		j.buf = j.pair.row[port].append(j.buf, b.Cols, i)
		now.row[port] = storedRow{has: true, time: b.Time[i], stamp: rowStamp(b, i), bytes: j.buf}
	}
	if stored == nil || b.Time[i] > now.last {
		now.last = b.Time[i]
	}
	time, stamp := b.Time[i], rowStamp(b, i)
	if other := &now.row[1-port]; other.has {
		time, stamp = max(time, other.time), max(stamp, other.stamp)
	}
	if err := j.pair.change(&was.row, &now.row, time, stamp, rowOrigin(b, i), out); err != nil {
		return err
	}
	return j.keep(key, &now)
}

// over tells whether a key had been forgotten when row i came: what it finds
// does not depend on when Advance was asked last.
func (j *tableTable) over(k *both, b *engine.Batch, i int32) bool {
	return j.ttl > 0 && reached(b, i) > after(k.last, j.ttl)
}

// keep stores what is known of a key, and when it is to be forgotten.
func (j *tableTable) keep(key string, k *both) error {
	if !k.row[0].has && !k.row[1].has {
		return j.table.remove(key)
	}
	if j.ttl > 0 {
		j.due.set(j.end(k), key)
	}
	at := len(j.buf)
	j.buf = k.encode(j.buf) // behind the row that is in it
	return j.table.put(key, j.buf[at:])
}

// end is when a key is forgotten: once the watermark is past its ttl.
func (j *tableTable) end(k *both) int64 { return after(after(k.last, j.ttl), 1) }

// Advance forgets keys by ttl. The end of the input is no time that passes.
func (j *tableTable) Advance(w int64, budget *engine.Budget, out engine.Emit) (int64, bool, error) {
	if w == engine.MaxTime {
		return w, true, nil
	}
	for {
		_, key, ok := j.due.next(w)
		if !ok {
			return w, true, j.pair.out.flush(out)
		}
		stored, err := j.table.get(key)
		if err != nil {
			return w, false, err
		}
		was, err := decodeBoth(stored)
		if err != nil {
			return w, false, err
		}
		if stored == nil {
			continue
		}
		if end := j.end(&was); end > w {
			j.due.set(end, key)
			continue
		}
		at := after(was.last, j.ttl)
		if err := j.pair.change(&was.row, &[2]storedRow{}, at, at, engine.MinTime, out); err != nil {
			return w, false, err
		}
		size := len(stored)
		if err := j.table.remove(key); err != nil {
			return w, false, err
		}
		if !budget.Take(size) {
			return w, false, j.pair.out.flush(out)
		}
	}
}

// Committed and RolledBack keep the timers in step with the store.
func (j *tableTable) Committed()  { j.due.committed() }
func (j *tableTable) RolledBack() { j.due.rolledBack() }

// Recovered finds out when keys are to be forgotten.
func (j *tableTable) Recovered() error {
	if j.ttl == 0 {
		return nil
	}
	j.due.clear()
	return j.table.each(func(key string, stored []byte) error {
		k, err := decodeBoth(stored)
		if err == nil {
			j.due.set(j.end(&k), key)
		}
		return err
	})
}

var (
	_ engine.Ported    = (*tableTable)(nil)
	_ engine.Advancer  = (*tableTable)(nil)
	_ engine.Undoer    = (*tableTable)(nil)
	_ engine.Recoverer = (*tableTable)(nil)
)
