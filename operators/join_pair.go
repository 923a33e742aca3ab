package operators

import (
	"encoding/binary"

	"github.com/leatstream/leat/engine"
)

// changeKeys takes a table's batch apart into what happens to single keys.
type changeKeys struct {
	ctx         *engine.Context
	now, before *joinKeys
	news, olds  []int32
	// null is told of rows with a null in their key: whether the old one had, and
	// the new one. nil: they are left out and counted.
	null func(i int32, was, is bool) error
}

func newChangeKeys(ctx *engine.Context, s *JoinSide) *changeKeys {
	return &changeKeys{ctx: ctx, now: newJoinKeys(s), before: newJoinKeys(s)}
}

// each calls fn in the order of rows: is true sets the row of a key to row i,
// is false removes it. A change that moves a row to another key is a removal
// and then a row. Rows without a key are left out and counted.
func (k *changeKeys) each(b *engine.Batch, fn func(key string, i int32, is bool) error) error {
	news, olds := k.news[:0], k.olds[:0]
	for _, i := range b.Sel {
		if rowOp(b, i) != engine.Delete {
			news = append(news, i)
		}
		if rowOp(b, i) != engine.Insert {
			olds = append(olds, i)
		}
	}
	k.news, k.olds = news, olds
	quiet := func(int32, error) error { return nil } // it never got in
	var err error
	if len(olds) > 0 {
		if olds, _, err = k.before.of(b, b.Old, olds, quiet); err != nil {
			return err
		}
	}
	news, nulls, err := k.now.of(b, b.Cols, news, func(i int32, err error) error {
		return k.ctx.Bad(engine.StageExpression, b, i, err)
	})
	if err != nil {
		return err
	}
	if nulls > 0 && k.null == nil {
		k.ctx.Count("null_keys", nulls)
	}
	for _, i := range b.Sel {
		key, has, isNull, wasNull := "", false, false, false
		if len(news) > 0 && news[0] == i {
			news = news[1:]
			if isNull = k.now.null[i]; !isNull {
				key, has = k.now.key(i), true
			}
		}
		if len(olds) > 0 && olds[0] == i {
			olds = olds[1:]
			// A row that stays at its key is replaced there.
			if wasNull = k.before.null[i]; !wasNull && (!has || k.before.key(i) != key) {
				if err := fn(k.before.key(i), i, false); err != nil {
					return err
				}
			}
		}
		if k.null != nil && (wasNull || isNull) {
			if err := k.null(i, wasNull, isNull); err != nil {
				return err
			}
		}
		if has {
			if err := fn(key, i, true); err != nil {
				return err
			}
		}
	}
	return nil
}

// joinPair writes the changes of joined rows.
type joinPair struct {
	hold func([]byte) string
	kind JoinKind
	row  [2]*joinRow
	out  *rows
}

func newJoinPair(s JoinSpec) *joinPair {
	return &joinPair{kind: s.Kind, out: newRows(s.Out, true),
		row: [2]*joinRow{newJoinRow(&s, false), newJoinRow(&s, true)}}
}

// is tells whether two sides make a row.
func (p *joinPair) is(r *[2]storedRow) bool {
	switch p.kind {
	case InnerJoin:
		return r[0].has && r[1].has
	case LeftJoin:
		return r[0].has
	default:
		return r[0].has || r[1].has
	}
}

// change sends what the change of two sides does to their row, if anything.
func (p *joinPair) change(was, now *[2]storedRow, time, stamp, origin int64, out engine.Emit) error {
	before, after := p.is(was), p.is(now)
	var op engine.Op
	switch {
	case !before && !after, before && after && same(was, now):
		return nil
	case !before:
		op = engine.Insert
	case !after:
		op = engine.Delete
	default:
		op = engine.Update
	}
	i, err := p.out.next(out, op, time, stamp, origin)
	if err != nil {
		return err
	}
	if after {
		if err := p.write(p.out.b.Cols, i, now); err != nil {
			return err
		}
	}
	if before {
		if err := p.write(p.out.b.Old, i, was); err != nil {
			return err
		}
	}
	// A row of nulls and none at all may look the same.
	if op == engine.Update && p.alike(i) {
		p.out.drop()
	}
	return nil
}

func (p *joinPair) alike(i int32) bool {
	b := &p.out.b
	for c := range b.Cols {
		if !equal(&b.Cols[c], &b.Old[c], i) {
			return false
		}
	}
	return true
}

func same(x, y *[2]storedRow) bool {
	for p := range x {
		if x[p].has != y[p].has || string(x[p].bytes) != string(y[p].bytes) {
			return false
		}
	}
	return true
}

func (p *joinPair) write(cols []engine.Column, i int32, r *[2]storedRow) error {
	for s := range r {
		if !r[s].has {
			p.row[s].null(cols, i, rowsPerBatch)
		}
	}
	for s := range r {
		if !r[s].has {
			continue
		}
		row := view(r[s].bytes)
		if !r[s].held {
			row = p.hold(r[s].bytes)
		}
		if err := p.row[s].read(row, cols, i, rowsPerBatch, !r[1-s].has); err != nil {
			return err
		}
	}
	return nil
}

// storedRow is one side of a joined row: the columns that are put out.
type storedRow struct {
	has         bool
	time, stamp int64
	bytes       []byte
	held        bool // bytes live until the transaction ends
}

// appendStored appends time, stamp, length, row.
func appendStored(dst []byte, r *storedRow) []byte {
	dst = binary.AppendVarint(dst, r.time)
	dst = binary.AppendVarint(dst, r.stamp-r.time)
	dst = binary.AppendUvarint(dst, uint64(len(r.bytes)))
	return append(dst, r.bytes...)
}

func (d *numbers) stored() storedRow {
	r := storedRow{has: true, time: d.varint()}
	r.stamp = r.time + d.varint()
	r.bytes = d.bytes()
	return r
}

// numbers reads stored numbers; after the first that is cut all are zero.
type numbers struct {
	b   []byte
	err error
}

func (d *numbers) varint() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.b, d.err = nil, errStored
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *numbers) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.b, d.err = nil, errStored
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *numbers) bytes() []byte {
	n := d.uvarint()
	if n > uint64(len(d.b)) {
		d.b, d.err = nil, errStored
		return nil
	}
	b := d.b[:n]
	d.b = d.b[n:]
	return b
}
