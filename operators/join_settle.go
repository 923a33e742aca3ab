package operators

import (
	"encoding/binary"

	"github.com/leatstream/leat/engine"
)

// Version numbers the changes of a table, in a column behind its own, so that
// Settle can put them in order when they have gone different ways: a new row
// has the number of its change, an old row one less, which is not less than
// the number it had as a new one. The numbers grow per task, so changes of one
// key must come through one task; they are in the store, as a task may have no
// other place that lives as long.
func Version(s VersionSpec) func(*engine.Context) (engine.Operator, error) {
	return func(ctx *engine.Context) (engine.Operator, error) {
		return &version{schema: s.Out, table: newKeyed(ctx, ctx.Tables[0])}, nil
	}
}

type version struct {
	schema    *engine.Schema
	table     *keyed
	out       engine.Batch
	cols, old []engine.Column
	now, then engine.Column
	buf       []byte
}

const versionKey = "n"

// Process numbers one batch.
func (v *version) Process(b *engine.Batch, out engine.Emit) error {
	n, err := v.last()
	if err != nil {
		return err
	}
	v.now.Reset(engine.Int, b.N)
	v.then.Reset(engine.Int, b.N)
	for _, i := range b.Sel {
		v.then.Ints[i], v.now.Ints[i] = n, n+1
		n++
	}
	v.cols = append(append(v.cols[:0], b.Cols...), v.now)
	v.out = *b
	v.out.Schema, v.out.Cols = v.schema, v.cols
	if b.Op != nil {
		v.old = append(append(v.old[:0], b.Old...), v.then)
		v.out.Old = v.old
	}
	v.buf = binary.AppendVarint(append(v.buf[:0], 1), n)
	if err := v.table.put(versionKey, v.buf); err != nil {
		return err
	}
	return out(&v.out)
}

func (v *version) last() (int64, error) {
	b, err := v.table.get(versionKey)
	if err != nil || b == nil {
		return 0, err
	}
	n, w := binary.Varint(b[1:])
	if w <= 0 {
		return 0, errStored
	}
	return n, nil
}

// Settle makes one table of changes that Version has numbered and that came
// through several tasks, each in order but not among each other: of one key
// the newest version stays, and a delete takes what is not newer than it.
//
//	a left row moves from A to B:   A: + v1 … - v1      B: + v2
//	any order of arrival ends with v2
//
// In between an old row may be seen for a moment, never at the end. Unchanged
// rows are not sent.
func Settle(s SettleSpec) func(*engine.Context) (engine.Operator, error) {
	return func(ctx *engine.Context) (engine.Operator, error) {
		side := JoinSide{Schema: s.In}
		for _, c := range s.Key {
			side.Key = append(side.Key, GroupColumn{Name: s.In.Fields[c].Name, From: c})
		}
		spec := JoinSpec{Kind: LeftJoin, Left: side, Out: s.Out}
		for c := range s.In.Fields {
			if c != s.Version {
				spec.Columns = append(spec.Columns, JoinColumn{Column: c})
			}
		}
		t := &settle{version: s.Version, table: newKeyed(ctx, ctx.Tables[0]), keys: newChangeKeys(ctx, &side), pair: newJoinPair(spec)}
		t.pair.hold = t.table.hold
		return t, nil
	}
}

// settle stores per key [1][version zigzag][row].
type settle struct {
	version int
	table   *keyed
	keys    *changeKeys
	pair    *joinPair
	buf     []byte
}

// Process settles one batch.
func (t *settle) Process(b *engine.Batch, out engine.Emit) error { return t.ProcessPort(0, b, out) }

// ProcessPort takes changes; the ports are as many as the ways they come.
func (t *settle) ProcessPort(_ int, b *engine.Batch, out engine.Emit) error {
	err := t.keys.each(b, func(key string, i int32, is bool) error {
		return t.change(key, b, i, is, out)
	})
	if err != nil {
		return err
	}
	return t.pair.out.flush(out)
}

func (t *settle) change(key string, b *engine.Batch, i int32, is bool, out engine.Emit) error {
	stored, err := t.table.get(key)
	if err != nil {
		return err
	}
	var was, now [2]storedRow
	number := b.Cols[t.version].Ints
	if !is {
		number = b.Old[t.version].Ints
	}
	if stored != nil {
		v, w := binary.Varint(stored[1:])
		if w <= 0 {
			return errStored
		}
		if v > number[i] {
			return nil // a newer one has come already
		}
		was[0] = storedRow{has: true, bytes: stored[1+w:]}
	}
	t.buf = binary.AppendVarint(append(t.buf[:0], 1), number[i])
	head := len(t.buf)
	if is {
		t.buf = t.pair.row[0].append(t.buf, b.Cols, i)
		now[0] = storedRow{has: true, bytes: t.buf[head:]}
	}
	if err := t.pair.change(&was, &now, b.Time[i], rowStamp(b, i), rowOrigin(b, i), out); err != nil {
		return err
	}
	if is {
		return t.table.put(key, t.buf)
	}
	if stored == nil {
		return nil
	}
	return t.table.remove(key)
}

var _ engine.Ported = (*settle)(nil)
