package operators

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/window"
)

// ordered holds rows until the watermark has passed them, and gives them in
// order of event time, those of one time as they came. The rows are in a store;
// the heap of their keys is derived from it.
//
//	add(row) ─▶ store: [time][number] ─▶ row       until the watermark is past it
//	                       │
//	                     heap ─▶ release(w): rows before w, in order
//
// A row that comes when the watermark of its source partition is past it
// already is late.
type ordered struct {
	ctx    *engine.Context
	store  *keyed
	rows   *rows
	heap   minHeap[place]
	taken  []place // since the last commit
	number uint64  // of the next row
	passed int64   // rows before it have been given away
	key    [16]byte
	buf    []byte
	places []place // of the rows gathered
}

// place is where a row stands in the order.
type place struct {
	time   int64
	number uint64
}

func (p place) before(o place) bool {
	return p.time < o.time || p.time == o.time && p.number < o.number
}

func newOrdered(ctx *engine.Context, store *keyed, in *engine.Schema) *ordered {
	return &ordered{ctx: ctx, store: store, rows: newRows(in, false), passed: engine.MinTime}
}

var errLateForOrder = errors.New("late: the watermark has passed the row, and rows go in order of event time")

// add takes in row i.
func (o *ordered) add(b *engine.Batch, i int32) error {
	t, origin := b.Time[i], rowOrigin(b, i)
	if t < max(origin, o.passed) {
		if t >= origin {
			o.ctx.Count("late_after_idle", 1)
		}
		return o.ctx.Bad(engine.StageLate, b, i, errLateForOrder)
	}
	p := place{t, o.number}
	o.number++
	o.buf = binary.AppendVarint(append(o.buf[:0], 1), rowStamp(b, i))
	o.buf = appendRow(o.buf, b.Cols, i)
	o.heap.push(p)
	return o.store.put(view(o.at(p)), o.buf)
}

// at is the key of a row, in the order of rows.
func (o *ordered) at(p place) []byte {
	binary.BigEndian.PutUint64(o.key[:8], uint64(p.time)^1<<63)
	binary.BigEndian.PutUint64(o.key[8:], p.number)
	return o.key[:]
}

// release gives at most a batch of rows before w, in order, with the place of
// each; nil where there are none. Rows are held until the transaction ends.
func (o *ordered) release(w int64) (*engine.Batch, []place, error) {
	o.passed = max(o.passed, w)
	o.rows.reset()
	o.places = o.places[:0]
	for len(o.heap) > 0 && o.heap[0].time < w && len(o.places) < rowsPerBatch {
		p := o.heap.pop()
		key := view(o.at(p))
		value, err := o.store.get(key)
		if err != nil {
			return nil, nil, err
		}
		if value == nil {
			continue // an abort took it back
		}
		o.taken = append(o.taken, p)
		text := o.store.hold(value)
		if err := o.store.remove(key); err != nil {
			return nil, nil, err
		}
		if err := o.read(p, text); err != nil {
			return nil, nil, err
		}
	}
	if len(o.places) == 0 {
		return nil, nil, nil
	}
	return &o.rows.b, o.places, nil
}

func (o *ordered) read(p place, text string) error {
	if len(text) > 0 && text[0] == 1 {
		if stamp, n := binary.Varint(head(text[1:])); n > 0 {
			i, err := o.rows.next(nil, engine.Insert, p.time, stamp, engine.MinTime)
			if err != nil {
				return err
			}
			if rest, ok := readRow(text[1+n:], o.rows.b.Cols, i, rowsPerBatch); ok && rest == "" {
				o.places = append(o.places, p)
				return nil
			}
		}
	}
	return fmt.Errorf("a row of %s that waits for the watermark does not decode", window.Format(p.time))
}

// recovered finds the rows that wait.
func (o *ordered) recovered() error {
	o.heap, o.taken = o.heap[:0], o.taken[:0]
	return o.store.each(func(key string, _ []byte) error {
		if len(key) != 16 {
			return errors.New("the key of a row that waits for the watermark does not decode")
		}
		p := place{int64(u64(key) ^ 1<<63), u64(key[8:])}
		o.heap.push(p)
		o.number = max(o.number, p.number+1)
		return nil
	})
}

func (o *ordered) committed() { o.taken = o.taken[:0] }

// rolledBack brings back what was given away since the last commit. What was
// added since then stays in the heap: the store has it no more.
func (o *ordered) rolledBack() {
	for _, p := range o.taken {
		o.heap.push(p)
	}
	o.taken = o.taken[:0]
}

// remember is the order's part of what the verb remembers; recall reads it.
func (o *ordered) remember(b []byte) []byte {
	return binary.AppendUvarint(binary.AppendVarint(b, o.passed), o.number)
}

func (o *ordered) recall(b []byte) error {
	passed, n := binary.Varint(b)
	if n > 0 {
		if number, m := binary.Uvarint(b[n:]); m > 0 && n+m == len(b) {
			o.passed, o.number = passed, number
			return nil
		}
	}
	return errors.New("what the verb remembered does not decode")
}
