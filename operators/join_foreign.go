package operators

import (
	"encoding/binary"
	"errors"

	"github.com/leatstream/leat/engine"
)

// ForeignKey joins two tables where the left holds the key of the right and
// has one of its own. A change of the left changes one row, one of the right
// every left row that holds its key.
//
//	left ─▶ Version ─▶ repartition by the foreign key ─▶ ForeignKey ─▶ repartition by the left key ─▶ Settle
//	                                            right ─▶ (port 1)
//
// A left row that moves to another key is a delete here and an insert there,
// perhaps in another task: Settle puts them in order again by the column of
// Version, which is one of Out's. The kinds are inner and left. A left row
// whose key is null comes out unmatched of a left join, from whatever task it
// is in, and not at all of an inner one.
func ForeignKey(s ForeignKeySpec) func(*engine.Context) (engine.Operator, error) {
	return func(ctx *engine.Context) (engine.Operator, error) {
		if err := s.check(); err != nil {
			return nil, err
		}
		if s.Kind == OuterJoin {
			return nil, errors.New("a join by a foreign key is inner or left")
		}
		own := JoinSide{Schema: s.Left.Schema}
		for _, c := range s.LeftKey {
			own.Key = append(own.Key, GroupColumn{Name: s.Left.Schema.Fields[c].Name, From: c})
		}
		j := &foreignKey{ctx: ctx, table: newKeyed(ctx, ctx.Tables[0]), now: newJoinKeys(&own), before: newJoinKeys(&own), pair: newJoinPair(s.JoinSpec)}
		j.pair.hold = j.table.hold
		for p, side := range []*JoinSide{&s.Left, &s.Right} {
			j.keys[p] = newChangeKeys(ctx, side)
		}
		j.keys[0].null = j.null
		return j, nil
	}
}

// foreignKey keeps, per foreign key, the right's row and the left's rows as an
// array, with an index by their own key:
//
//	'r' key            [1][row]                      the right's
//	'n' key            [1][count]                    left rows that hold it
//	's' [n] key        [1][own key][row]             the n-th of them
//	'l' [key] own key  [1][n]                        where it is
//
// The last takes the place of one that goes, so all stays dense and nothing
// here is as large as the rows of one key.
type foreignKey struct {
	ctx         *engine.Context
	table       *keyed
	keys        [2]*changeKeys
	now, before *joinKeys // own keys of the left
	pair        *joinPair
	batch       *engine.Batch // at hand
	out         engine.Emit
	news, olds  []int32
	key, row    []byte
	name        []byte
}

// Process takes changes of the left.
func (j *foreignKey) Process(b *engine.Batch, out engine.Emit) error { return j.ProcessPort(0, b, out) }

// ProcessPort takes changes of the left (0) or the right (1).
func (j *foreignKey) ProcessPort(port int, b *engine.Batch, out engine.Emit) error {
	j.batch, j.out = b, out
	change := j.right
	if port == 0 {
		if err := j.own(b); err != nil {
			return err
		}
		change = j.left
	}
	if err := j.keys[port].each(b, change); err != nil {
		return err
	}
	return j.pair.out.flush(out)
}

// own finds the left's own keys.
func (j *foreignKey) own(b *engine.Batch) error {
	news, olds := j.news[:0], j.olds[:0]
	for _, i := range b.Sel {
		if rowOp(b, i) != engine.Delete {
			news = append(news, i)
		}
		if rowOp(b, i) != engine.Insert {
			olds = append(olds, i)
		}
	}
	j.news, j.olds = news, olds
	never := func(_ int32, err error) error { return err } // they are columns
	if _, _, err := j.now.of(b, b.Cols, news, never); err != nil || len(olds) == 0 {
		return err
	}
	_, _, err := j.before.of(b, b.Old, olds, never)
	return err
}

// null takes a change of the left between rows with a null key, or from or to
// one. There is nothing to keep: no right row will ever match.
func (j *foreignKey) null(i int32, was, is bool) error {
	b := j.batch
	if j.pair.kind == InnerJoin {
		if is {
			j.ctx.Count("null_keys", 1)
		}
		return nil
	}
	var before, now [2]storedRow
	j.row = j.row[:0]
	if was {
		j.row = j.pair.row[0].append(j.row, b.Old, i)
		before[0] = storedRow{has: true, bytes: j.row}
	}
	if is {
		at := len(j.row)
		j.row = j.pair.row[0].append(j.row, b.Cols, i)
		now[0] = storedRow{has: true, bytes: j.row[at:]}
	}
	return j.pair.change(&before, &now, b.Time[i], rowStamp(b, i), rowOrigin(b, i), j.out)
}

// left sets or removes a left row that holds key.
func (j *foreignKey) left(key string, i int32, is bool) error {
	b := j.batch
	mine := j.now
	if !is {
		mine = j.before
	}
	if mine.null[i] {
		j.ctx.Count("null_keys", 1)
		return nil
	}
	own := mine.key(i)
	n, known, err := j.find(key, own)
	if err != nil || !is && !known {
		return err
	}
	var was, now [2]storedRow
	if was[1], err = j.stored(j.rightKey(key)); err != nil {
		return err
	}
	now[1] = was[1]
	if known {
		if _, was[0], err = j.slot(key, n); err != nil {
			return err
		}
	}
	if is {
		now[0] = storedRow{has: true, time: b.Time[i], stamp: rowStamp(b, i)}
		j.row = j.pair.row[0].append(j.row[:0], b.Cols, i)
		now[0].bytes = j.row
	}
	time, stamp := b.Time[i], rowStamp(b, i)
	if now[1].has {
		time, stamp = max(time, now[1].time), max(stamp, now[1].stamp)
	}
	if err := j.pair.change(&was, &now, time, stamp, rowOrigin(b, i), j.out); err != nil {
		return err
	}
	if !is {
		return j.remove(key, own, n)
	}
	if !known {
		if n, err = j.count(key); err != nil {
			return err
		}
		if err := j.setCount(key, n+1); err != nil {
			return err
		}
		if err := j.setIndex(key, own, n); err != nil {
			return err
		}
	}
	return j.setSlot(key, n, own, &now[0])
}

// right sets or removes the right row of key.
func (j *foreignKey) right(key string, i int32, is bool) error {
	b := j.batch
	var was, now [2]storedRow
	old, err := j.stored(j.rightKey(key))
	if err != nil || !is && !old.has {
		return err
	}
	if is {
		j.row = j.pair.row[1].append(j.row[:0], b.Cols, i)
		now[1] = storedRow{has: true, time: b.Time[i], stamp: rowStamp(b, i), bytes: j.row}
	}
	n, err := j.count(key)
	if err != nil {
		return err
	}
	if n > 0 {
		// One copy for all rows that go out.
		was[1], now[1] = j.held(old), j.held(now[1])
	}
	for k := range n {
		_, left, err := j.slot(key, k)
		if err != nil {
			return err
		}
		was[0], now[0] = left, left
		if err := j.pair.change(&was, &now, max(left.time, b.Time[i]), max(left.stamp, rowStamp(b, i)), rowOrigin(b, i), j.out); err != nil {
			return err
		}
	}
	if !is {
		return j.table.remove(j.rightKey(key))
	}
	j.name = appendStored(append(j.name[:0], 1), &now[1])
	return j.table.put(j.rightKey(key), j.name)
}

func (j *foreignKey) held(r storedRow) storedRow {
	if r.has {
		r.bytes, r.held = []byte(j.table.hold(r.bytes)), true
	}
	return r
}

// remove takes the left row at n out of the array of key.
func (j *foreignKey) remove(key, own string, n uint64) error {
	count, err := j.count(key)
	if err != nil {
		return err
	}
	last := count - 1
	if n != last {
		moved, row, err := j.slot(key, last)
		if err != nil {
			return err
		}
		// What is read is the store's: it goes with the write.
		at := string(moved)
		row.bytes = append([]byte(nil), row.bytes...)
		if err := j.setSlot(key, n, at, &row); err != nil {
			return err
		}
		if err := j.setIndex(key, at, n); err != nil {
			return err
		}
	}
	if err := j.table.remove(j.slotKey(key, last)); err != nil {
		return err
	}
	if err := j.table.remove(j.indexKey(key, own)); err != nil {
		return err
	}
	return j.setCount(key, last)
}

func (j *foreignKey) rightKey(key string) string {
	j.key = append(append(j.key[:0], 'r'), key...)
	return view(j.key)
}

func (j *foreignKey) countKey(key string) string {
	j.key = append(append(j.key[:0], 'n'), key...)
	return view(j.key)
}

func (j *foreignKey) slotKey(key string, n uint64) string {
	j.key = append(binary.AppendUvarint(append(j.key[:0], 's'), n), key...)
	return view(j.key)
}

func (j *foreignKey) indexKey(key, own string) string {
	j.key = binary.AppendUvarint(append(j.key[:0], 'l'), uint64(len(key)))
	j.key = append(append(j.key, key...), own...)
	return view(j.key)
}

func (j *foreignKey) number(at string) (uint64, bool, error) {
	b, err := j.table.get(at)
	if err != nil || b == nil {
		return 0, false, err
	}
	n, w := binary.Uvarint(b[1:])
	if w <= 0 {
		return 0, false, errStored
	}
	return n, true, nil
}

func (j *foreignKey) setNumber(at string, n uint64) error {
	j.name = binary.AppendUvarint(append(j.name[:0], 1), n)
	return j.table.put(at, j.name)
}

func (j *foreignKey) find(key, own string) (uint64, bool, error) {
	return j.number(j.indexKey(key, own))
}

func (j *foreignKey) setIndex(key, own string, n uint64) error {
	return j.setNumber(j.indexKey(key, own), n)
}

func (j *foreignKey) count(key string) (uint64, error) {
	n, _, err := j.number(j.countKey(key))
	return n, err
}

func (j *foreignKey) setCount(key string, n uint64) error {
	if n == 0 {
		return j.table.remove(j.countKey(key))
	}
	return j.setNumber(j.countKey(key), n)
}

// slot reads the n-th left row of key: its own key and the row.
func (j *foreignKey) slot(key string, n uint64) (own []byte, row storedRow, err error) {
	b, err := j.table.get(j.slotKey(key, n))
	if err != nil {
		return nil, row, err
	}
	if b == nil {
		return nil, row, errStored
	}
	d := numbers{b: b[1:]}
	own = d.bytes()
	row = d.stored()
	return own, row, d.err
}

func (j *foreignKey) setSlot(key string, n uint64, own string, row *storedRow) error {
	j.name = binary.AppendUvarint(append(j.name[:0], 1), uint64(len(own)))
	j.name = appendStored(append(j.name, own...), row)
	return j.table.put(j.slotKey(key, n), j.name)
}

// stored reads a row alone.
func (j *foreignKey) stored(at string) (storedRow, error) {
	b, err := j.table.get(at)
	if err != nil || b == nil {
		return storedRow{}, err
	}
	d := numbers{b: b[1:]}
	row := d.stored()
	return row, d.err
}

var _ engine.Ported = (*foreignKey)(nil)
