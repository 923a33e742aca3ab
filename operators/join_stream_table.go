package operators

import (
	"encoding/binary"
	"errors"

	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/window"
)

// StreamTable looks the rows of a stream, port 0, up in a table, port 1. Only
// the stream makes rows come out; they have its time, timestamp and origin.
//
//	port 1   changes ─▶ store: join key ─▶ newest row, or versions (history)
//	port 0   row ─▶ key ─▶ store ─▶ row with the table's columns
//
// A stream's row without a table's row, or with a null in its key, is left out
// of an inner join (null keys are counted) and has nulls in a left one. With
// history a row older than that, by its own partition's watermark, finds
// nothing; so may a row of a partition that was thought idle (late_after_idle). An input without ops is a table of inserts, and an insert of a key
// that is there replaces it; nothing is assumed about partitions.
func StreamTable(s StreamTableSpec) func(*engine.Context) (engine.Operator, error) {
	return func(ctx *engine.Context) (engine.Operator, error) {
		if err := s.check(); err != nil {
			return nil, err
		}
		if s.Kind == OuterJoin {
			return nil, errors.New("a join of a stream and a table is inner or left")
		}
		j := &streamTable{spec: s, ctx: ctx, table: newKeyed(ctx, ctx.Tables[0]), history: s.History.Milliseconds(),
			left: newJoinKeys(&s.Left), right: newChangeKeys(ctx, &s.Right),
			row: newJoinRow(&s.JoinSpec, true), cols: make([]engine.Column, len(s.Columns)), now: engine.MinTime, forgot: engine.MinTime}
		return j, nil
	}
}

type streamTable struct {
	spec    StreamTableSpec
	ctx     *engine.Context
	table   *keyed
	history int64 // ms
	left    *joinKeys
	right   *changeKeys
	row     *joinRow // the table's
	deleted timers   // keys whose newest version is a deletion
	now     int64    // the table's own time as far as it is known: never ahead, see deletions
	// forgot is the time before which versions may have been forgotten. That goes
	// by the watermark, which leaves idle partitions behind: a row of one that
	// comes back may look further back than any was thought to.
	forgot int64

	out      engine.Batch
	cols     []engine.Column
	sel      []int32
	buf      []byte
	versions []byte
}

// Process takes rows of the stream.
func (j *streamTable) Process(b *engine.Batch, out engine.Emit) error {
	return j.ProcessPort(0, b, out)
}

// ProcessPort takes rows of the stream (0) or changes of the table (1).
func (j *streamTable) ProcessPort(port int, b *engine.Batch, out engine.Emit) error {
	if port == 1 {
		return j.right.each(b, func(key string, i int32, is bool) error { return j.put(key, b, i, is) })
	}
	if b.Op != nil {
		return errStreamSide
	}
	rows, nulls, err := j.left.of(b, b.Cols, b.Sel, func(i int32, err error) error {
		return j.ctx.Bad(engine.StageExpression, b, i, err)
	})
	if err != nil {
		return err
	}
	if nulls > 0 && j.spec.Kind == InnerJoin {
		j.ctx.Count("null_keys", nulls)
	}
	// The left's columns go through as they are: what is left out is not selected.
	for o, c := range j.spec.Columns {
		if c.Right {
			j.cols[o].Reset(j.spec.Out.Fields[o].Type, b.N)
			continue
		}
		j.cols[o] = b.Cols[c.Column]
	}
	j.sel = j.sel[:0]
	for _, i := range rows {
		found := false
		if !j.left.null[i] {
			if found, err = j.lookup(b, i); err != nil {
				return err
			}
		}
		if !found {
			if j.spec.Kind == InnerJoin {
				continue
			}
			j.row.null(j.cols, i, b.N)
		}
		j.sel = append(j.sel, i)
	}
	if len(j.sel) == 0 {
		return nil
	}
	j.out = *b
	j.out.Schema, j.out.Cols, j.out.Sel = j.spec.Out, j.cols, j.sel
	return out(&j.out)
}

// lookup reads the table's row for row i into the output.
func (j *streamTable) lookup(b *engine.Batch, i int32) (bool, error) {
	stored, err := j.table.get(j.left.key(i))
	if err != nil {
		return false, err
	}
	if j.history > 0 {
		return j.asOf(stored, b, i)
	}
	if stored == nil {
		return false, nil
	}
	return true, j.row.read(j.table.hold(stored[1:]), j.cols, i, b.N, false)
}

// asOf reads the version of row i's time, of a key that may have none.
func (j *streamTable) asOf(history []byte, b *engine.Batch, i int32) (bool, error) {
	t := b.Time[i]
	if history != nil && t < window.Behind(rowOrigin(b, i), j.history) {
		j.ctx.Count("older_than_history", 1)
		return false, nil
	}
	var row []byte
	var ok, known bool
	if history != nil {
		var err error
		if row, ok, known, err = versionAt(history, t); err != nil {
			return false, err
		}
	}
	if !known && t < j.forgot && t >= window.Behind(rowOrigin(b, i), j.history) {
		j.ctx.Count("late_after_idle", 1) // there may have been a version
	}
	if !ok {
		return false, nil
	}
	return true, j.row.read(j.table.hold(row), j.cols, i, b.N, false)
}

// put stores row i as the newest of its key, or, where is is false, that the
// key has none.
func (j *streamTable) put(key string, b *engine.Batch, i int32, is bool) error {
	if j.history > 0 {
		return j.version(key, b, i, is)
	}
	if !is {
		return j.table.remove(key)
	}
	j.buf = j.row.append(append(j.buf[:0], 1), b.Cols, i)
	return j.table.put(key, j.buf)
}

// version adds a version to those of its key.
func (j *streamTable) version(key string, b *engine.Batch, i int32, is bool) error {
	history, err := j.table.get(key)
	if err != nil {
		return err
	}
	var row []byte
	if is {
		j.buf = j.row.append(j.buf[:0], b.Cols, i)
		row = j.buf
	}
	next, err := addVersion(j.versions[:0], history, b.Time[i], is, row, j.horizon(j.ctx.Watermark()))
	if err != nil {
		return err
	}
	j.now = max(j.now, b.Time[i])
	if next != nil {
		j.versions = next
	}
	return j.keepVersions(key, history != nil, next)
}

// horizon tells what is forgotten when the stream is at w.
func (j *streamTable) horizon(w int64) horizon {
	j.forgot = max(j.forgot, window.Behind(w, j.history))
	return horizon{asked: window.Behind(w, j.history), deleted: window.Behind(j.both(w), j.history)}
}

// both is the time that stream and table have reached: the table remembers its
// deletions by its own time, and until then older versions may come. At the end
// of input none does.
func (j *streamTable) both(w int64) int64 {
	if w == engine.MaxTime {
		return w
	}
	return min(w, j.now)
}

func (j *streamTable) keepVersions(key string, was bool, next []byte) error {
	if next == nil {
		if was {
			return j.table.remove(key)
		}
		return nil
	}
	if at, is, _, _, err := nextVersion(next[1:]); err != nil {
		return err
	} else if !is {
		j.deleted.set(after(at, j.history), key)
	}
	return j.table.put(key, next)
}

// Advance forgets keys that were deleted longer ago than history, by the time
// of the stream and by that of the table.
func (j *streamTable) Advance(w int64, budget *engine.Budget, _ engine.Emit) (int64, bool, error) {
	for {
		_, key, ok := j.deleted.next(j.both(w))
		if !ok {
			return w, true, nil
		}
		history, err := j.table.get(key)
		if err != nil {
			return w, false, err
		}
		if history == nil {
			continue
		}
		next, err := pruned(nil, history, j.horizon(w))
		if err != nil {
			return w, false, err
		}
		if err := j.keepVersions(key, true, next); err != nil {
			return w, false, err
		}
		if !budget.Take(len(key)) {
			return w, false, nil
		}
	}
}

// Remember is what has been forgotten.
func (j *streamTable) Remember() []byte { return binary.AppendVarint([]byte{1}, j.forgot) }

// Recall reads what Remember wrote.
func (j *streamTable) Recall(b []byte) error {
	if len(b) < 2 || b[0] != 1 {
		return errJoinCursor
	}
	at, n := binary.Varint(b[1:])
	if n <= 0 {
		return errJoinCursor
	}
	j.forgot = at
	return nil
}

// Committed and RolledBack keep the timers in step with the store.
func (j *streamTable) Committed() { j.deleted.committed() }
func (j *streamTable) RolledBack() {
	j.deleted.rolledBack()
	j.now = engine.MinTime // until the next row of the table
}

// Recovered finds the keys whose newest version is a deletion.
func (j *streamTable) Recovered() error {
	if j.history == 0 {
		return nil
	}
	j.deleted.clear()
	j.now = engine.MinTime
	return j.table.each(func(key string, history []byte) error {
		at, is, _, _, err := nextVersion(history[1:])
		j.now = max(j.now, at)
		if err == nil && !is {
			j.deleted.set(after(at, j.history), key)
		}
		return err
	})
}

var (
	_ engine.Ported    = (*streamTable)(nil)
	_ engine.Advancer  = (*streamTable)(nil)
	_ engine.Undoer    = (*streamTable)(nil)
	_ engine.Recoverer = (*streamTable)(nil)
)
