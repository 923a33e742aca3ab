package operators

import (
	"encoding/binary"

	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/window"
)

// Table makes true changes of the rows of a table's topic: a value of a known
// key is an Update with its old row, or nothing where they are equal; a
// tombstone is a Delete with the old row, or nothing where the key is unknown.
//
//	value a 1   value a 1   value a 2    tombstone a   tombstone a
//	+ a 1       (nothing)   ~ a 1 → a 2  - a 2         (nothing)
//
// As in Kafka Streams a table goes by offset, and a versioned one (history) by
// event time: a value older than its key's newest changes nothing, and one
// older than history, by its own partition's watermark, is late. What is not
// late of a versioned table goes to Side(1) too, as it came: a stream-table
// join with history that is wired there knows versions that came out of order.
func Table(s TableSpec) func(*engine.Context) (engine.Operator, error) {
	return func(ctx *engine.Context) (engine.Operator, error) {
		side := JoinSide{Schema: s.Schema}
		for _, c := range s.Key {
			side.Key = append(side.Key, GroupColumn{Name: s.Schema.Fields[c].Name, From: c})
		}
		return &tableSource{ctx: ctx, table: newKeyed(ctx, ctx.Tables[0]), history: s.History.Milliseconds(),
			keys: newChangeKeys(ctx, &side), out: newRows(s.Schema, true)}, nil
	}
}

// tableSource keeps the newest row of each key:
//
//	unversioned   [1][row]
//	versioned     [1][time zigzag][0 deleted | 1][row]      until history has passed, if deleted
type tableSource struct {
	ctx     *engine.Context
	table   *keyed
	history int64 // ms
	keys    *changeKeys
	out     *rows
	deleted timers
	batch   engine.Batch
	sel     []int32
	buf     []byte
}

// Process takes raw changes.
func (t *tableSource) Process(b *engine.Batch, out engine.Emit) error {
	if t.history > 0 {
		var err error
		if b, err = t.punctual(b); err != nil {
			return err
		}
	}
	err := t.keys.each(b, func(key string, i int32, is bool) error {
		return t.change(key, b, i, is, out)
	})
	if err != nil {
		return err
	}
	if t.history > 0 && len(b.Sel) > 0 {
		if err := t.ctx.Side(1, b); err != nil {
			return err
		}
	}
	return t.out.flush(out)
}

// punctual leaves late versions out of a batch.
func (t *tableSource) punctual(b *engine.Batch) (*engine.Batch, error) {
	t.sel = t.sel[:0]
	for _, i := range b.Sel {
		if b.Time[i] < window.Behind(rowOrigin(b, i), t.history) {
			if err := t.ctx.Bad(engine.StageLate, b, i, errOldVersion); err != nil {
				return nil, err
			}
			continue
		}
		t.sel = append(t.sel, i)
	}
	if len(t.sel) == len(b.Sel) {
		return b, nil
	}
	t.batch = *b
	t.batch.Sel = t.sel
	return &t.batch, nil
}

// newest is what is stored of a key.
type newest struct {
	known bool
	at    int64 // of versioned tables
	is    bool
	row   []byte
}

func (t *tableSource) decode(b []byte) (n newest, err error) {
	if b == nil {
		return n, nil
	}
	if t.history == 0 {
		return newest{known: true, is: true, row: b[1:]}, nil
	}
	at, w := binary.Varint(b[1:])
	if w <= 0 || len(b) < w+2 {
		return n, errStored
	}
	return newest{known: true, at: at, is: b[w+1] == 1, row: b[w+2:]}, nil
}

// change makes row i the newest of its key, or, where is is false, says that
// the key is gone.
func (t *tableSource) change(key string, b *engine.Batch, i int32, is bool, out engine.Emit) error {
	stored, err := t.table.get(key)
	if err != nil {
		return err
	}
	was, err := t.decode(stored)
	if err != nil {
		return err
	}
	if t.history > 0 && was.known && b.Time[i] < was.at {
		return nil
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
		t.deleted.set(after(b.Time[i], t.history), key)
	}
	if string(t.buf) == string(stored) {
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

// Advance forgets keys that were deleted longer ago than history.
func (t *tableSource) Advance(w int64, budget *engine.Budget, _ engine.Emit) (int64, bool, error) {
	for {
		_, key, ok := t.deleted.next(w)
		if !ok {
			return w, true, nil
		}
		stored, err := t.table.get(key)
		if err != nil {
			return w, false, err
		}
		n, err := t.decode(stored)
		if err != nil {
			return w, false, err
		}
		if !n.known || n.is {
			continue
		}
		if at := after(n.at, t.history); at > w {
			t.deleted.set(at, key)
			continue
		}
		if err := t.table.remove(key); err != nil {
			return w, false, err
		}
		if !budget.Take(len(key)) {
			return w, false, nil
		}
	}
}

// Committed and RolledBack keep the timers in step with the store.
func (t *tableSource) Committed()  { t.deleted.committed() }
func (t *tableSource) RolledBack() { t.deleted.rolledBack() }

// Recovered finds the keys that are deleted.
func (t *tableSource) Recovered() error {
	if t.history == 0 {
		return nil
	}
	t.deleted.clear()
	var failed error
	err := t.table.each(func(key string, stored []byte) bool {
		n, err := t.decode(stored)
		if err == nil && !n.is {
			t.deleted.set(after(n.at, t.history), key)
		}
		failed = err
		return err == nil
	})
	if err == nil {
		err = failed
	}
	return err
}

var (
	_ engine.Advancer  = (*tableSource)(nil)
	_ engine.Undoer    = (*tableSource)(nil)
	_ engine.Recoverer = (*tableSource)(nil)
)
