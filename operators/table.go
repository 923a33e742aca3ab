package operators

import (
	"encoding/binary"

	"github.com/leatstream/leat/engine"
)

// Table makes true changes of the rows of a table's topic: a value of a known
// key is an Update with its old row, or nothing where they are equal; a
// tombstone is a Delete with the old row, or nothing where the key is unknown.
//
//	value a 1   value a 1   value a 2    tombstone a   tombstone a
//	+ a 1       (nothing)   ~ a 1 → a 2  - a 2         (nothing)
//
// As in Kafka Streams a table goes by offset, and a versioned one (history) by
// event time: a value older than its key's newest changes nothing, and one that
// may be older than a deletion that has been forgotten is late, see deletions.
// What is not late of a versioned table goes to Side(1) too, as it came: a
// stream-table join with history that is wired there knows versions that came
// out of order.
func Table(s TableSpec) func(*engine.Context) (engine.Operator, error) {
	return func(ctx *engine.Context) (engine.Operator, error) {
		side := JoinSide{Schema: s.Schema}
		for _, c := range s.Key {
			side.Key = append(side.Key, GroupColumn{Name: s.Schema.Fields[c].Name, From: c})
		}
		t := &tableSource{ctx: ctx, table: newKeyed(ctx, ctx.Tables[0]), history: s.History.Milliseconds(),
			keys: newChangeKeys(ctx, &side), out: newRows(s.Schema, true)}
		if t.history > 0 {
			t.gone = deletions{history: t.history, store: newKeyed(ctx, ctx.Tables[0])}
			t.gone.store.end--
		}
		return t, nil
	}
}

// tableSource keeps the newest row of each key:
//
//	unversioned   [1][row]
//	versioned     [1][time zigzag][0 deleted | 1][row]      a deletion until it is forgotten
type tableSource struct {
	ctx     *engine.Context
	table   *keyed
	history int64 // ms
	keys    *changeKeys
	out     *rows
	gone    deletions // of a versioned table
	batch   engine.Batch
	sel     []int32
	buf     []byte
}

// Process takes raw changes.
func (t *tableSource) Process(b *engine.Batch, out engine.Emit) error {
	change := func(key string, i int32, is bool) error { return t.change(key, b, i, is, out) }
	if t.history == 0 {
		if err := t.keys.each(b, change); err != nil {
			return err
		}
		return t.out.flush(out)
	}
	if err := t.gone.load(); err != nil {
		return err
	}
	t.sel = t.sel[:0]
	if err := t.keys.each(b, change); err != nil {
		return err
	}
	if err := t.gone.save(); err != nil {
		return err
	}
	if len(t.sel) > 0 {
		t.batch = *b
		t.batch.Sel = t.sel
		if err := t.ctx.Side(1, &t.batch); err != nil {
			return err
		}
	}
	return t.out.flush(out)
}

// version tells whether row i of a versioned table is its key's newest. Where
// it is not late it is a version.
func (t *tableSource) version(was *newest, b *engine.Batch, i int32, is bool) (bool, error) {
	at := b.Time[i]
	if !was.known && at < t.gone.before {
		if !is {
			return false, nil // of what is not there
		}
		return false, t.ctx.Bad(engine.StageLate, b, i, errOldVersion)
	}
	t.sel = append(t.sel, i)
	return !was.known || at >= was.at, nil
}

// newest is what is stored of a key.
type newest struct {
	known bool
	at    int64 // of versioned tables
	is    bool
	row   []byte

	stored []byte // all of it
}

func (t *tableSource) newest(key string) (newest, error) {
	stored, err := t.table.get(key)
	if err != nil {
		return newest{}, err
	}
	return t.decode(stored)
}

func (t *tableSource) decode(b []byte) (n newest, err error) {
	if b == nil {
		return n, nil
	}
	if t.history == 0 {
		return newest{known: true, is: true, row: b[1:], stored: b}, nil
	}
	at, w := binary.Varint(b[1:])
	if w <= 0 || len(b) < w+2 {
		return n, errStored
	}
	return newest{known: true, at: at, is: b[w+1] == 1, row: b[w+2:], stored: b}, nil
}

// change makes row i the newest of its key, or, where is is false, says that
// the key is gone.
func (t *tableSource) change(key string, b *engine.Batch, i int32, is bool, out engine.Emit) error {
	if t.history > 0 {
		if err := t.gone.forget(t); err != nil {
			return err
		}
		t.gone.now = max(t.gone.now, b.Time[i])
	}
	was, err := t.newest(key)
	if err != nil {
		return err
	}
	if t.history > 0 {
		if newest, err := t.version(&was, b, i, is); err != nil || !newest {
			return err
		}
	}
	t.buf = append(t.buf[:0], 1)
	if t.history > 0 {
		t.buf = append(binary.AppendVarint(t.buf, b.Time[i]), 0)
	}
	head := len(t.buf)
	if is {
		if t.history > 0 {
			t.buf[head-1] = 1
		}
		t.buf = appendRow(t.buf, b.Cols, i)
	}
	if err := t.send(&was, b, i, is, t.buf[head:], out); err != nil {
		return err
	}
	switch {
	case !is && t.history == 0:
		if was.known {
			return t.table.remove(key)
		}
		return nil
	case !is:
		t.gone.due.set(after(b.Time[i], t.history), key)
	}
	if string(t.buf) == string(was.stored) {
		return nil
	}
	return t.table.put(key, t.buf)
}

func (t *tableSource) send(was *newest, b *engine.Batch, i int32, is bool, row []byte, out engine.Emit) error {
	op := engine.Insert
	switch {
	case !is && !was.is, is && was.is && string(row) == string(was.row):
		return nil
	case !is:
		op = engine.Delete
	case was.is:
		op = engine.Update
	}
	o, err := t.out.next(out, op, b.Time[i], rowStamp(b, i), rowOrigin(b, i))
	if err != nil {
		return err
	}
	if is {
		for c := range t.out.b.Cols {
			copyCell(&t.out.b.Cols[c], o, rowsPerBatch, &b.Cols[c], i)
		}
	}
	if was.is {
		if rest, ok := readRow(t.table.hold(was.row), t.out.b.Old, o, rowsPerBatch); !ok || rest != "" {
			return errStored
		}
	}
	return nil
}

// Committed and RolledBack keep the timers in step with the store.
func (t *tableSource) Committed()  { t.gone.due.committed() }
func (t *tableSource) RolledBack() { t.gone.due.rolledBack() }

// Recovered finds the keys that are deleted.
func (t *tableSource) Recovered() error {
	if t.history == 0 {
		return nil
	}
	t.gone.due.clear()
	return t.table.each(func(key string, stored []byte) error {
		n, err := t.decode(stored)
		if err == nil && !n.is {
			t.gone.due.set(after(n.at, t.history), key)
		}
		return err
	})
}

var (
	_ engine.Undoer    = (*tableSource)(nil)
	_ engine.Recoverer = (*tableSource)(nil)
)
