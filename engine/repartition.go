package engine

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"
	"unsafe"

	"github.com/leatstream/leat/window"
)

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

// A record of a repartition topic. All numbers are varints unless drawn wide.
//
//	rows      [1][event time zigzag][origin zigzag][op and flags][timestamp - event time zigzag, where it is another][columns…][old columns… (Update, Delete)]
//	partials  [2]  (reserved: pre-aggregated panes)
//	stamp     [3][generation][sub][task][of][watermark zigzag][flags: 1 idle, 2 moved by the clock, 4 holds rows, 8 and the clock lets them go]
//
// A column is [0] null, else [1] and: String, Bytes, Any [length][bytes]; Int,
// Timestamp zigzag; Double 8 bytes little endian; Bool one byte. The record's
// key is the wire key of the row's new key columns.
const (
	repartitionRows  byte = 1
	repartitionStamp byte = 3
)

// The flags beside a row's op.
const (
	flagOps    byte = 0x03
	flagFinals byte = 0x04 // Batch.Final is known
	flagFinal  byte = 0x08
	flagStamp  byte = 0x10 // Batch.Stamp is not Batch.Time
)

// StampEvery is the least movement of the watermark worth a stamp when
// nothing below asks for finer, and StampAtLeast the longest silence.
const (
	StampEvery   = 100 * time.Millisecond
	StampAtLeast = 10 * time.Second
)

// repartition is the operator that writes a repartition topic.
type repartition struct {
	ctx     *Context
	topic   Topic
	wire    *Schema // for the names of key columns
	key     []int
	every   int64 // ms of event time
	n       int
	nulls   bool // rows without a key go on, too
	meet    bool // and meet in one partition
	whole   bool // silent until the task's table has been read to where it ended
	copies  bool // every row goes to every partition
	scratch []byte

	// What was stamped last; a rollback makes the stamp go out again.
	stamped   int64
	idle      bool
	clock     bool // the clock had moved it there
	holds     window.Holding
	at        int64
	committed struct {
		stamped, at int64
		idle, clock bool
		holds       window.Holding
	}
}

// Repartition makes the operator that sends rows on to a repartition topic by
// the wire key of keyCols, with their event time and origin, and stamps the
// task's watermark behind them.
func Repartition(topic Topic, schema *Schema, keyCols []int, every time.Duration) func(*Context) (Operator, error) {
	return RepartitionAs(topic, schema, keyCols, nil, every)
}

// RepartitionAs is Repartition with the names that the columns have in a key of
// several: those that the other side of a join used. nil: their own.
func RepartitionAs(topic Topic, schema *Schema, keyCols []int, names []string, every time.Duration) func(*Context) (Operator, error) {
	return newRepartition(topic, schema, keyCols, names, every, repartition{})
}

// RepartitionNulls is RepartitionAs for those who want rows without a key, too:
// the streams of left and outer joins, the left tables of left joins by a
// foreign key. Such rows go, without a key, to a partition of the task's own, so
// that their changes stay in order.
func RepartitionNulls(topic Topic, schema *Schema, keyCols []int, names []string, every time.Duration) func(*Context) (Operator, error) {
	return newRepartition(topic, schema, keyCols, names, every, repartition{nulls: true})
}

// RepartitionMeeting is RepartitionNulls whose rows without a key meet in one
// partition: null is a key as others are.
func RepartitionMeeting(topic Topic, schema *Schema, keyCols []int, every time.Duration) func(*Context) (Operator, error) {
	return newRepartition(topic, schema, keyCols, nil, every, repartition{nulls: true, meet: true})
}

// RepartitionWhole is RepartitionAs for a table that is to be there whole before
// the rows that meet it go (SourceSpec.Whole): the first stamp comes when the
// task has read it to where it ended at the start. With copies every row goes to
// every partition.
func RepartitionWhole(topic Topic, schema *Schema, keyCols []int, names []string, every time.Duration, copies bool) func(*Context) (Operator, error) {
	return newRepartition(topic, schema, keyCols, names, every, repartition{whole: true, copies: copies})
}

// newRepartition makes the operator of any of them; as has what they differ in.
func newRepartition(topic Topic, schema *Schema, keyCols []int, names []string, every time.Duration, as repartition) func(*Context) (Operator, error) {
	wire := schema
	if names != nil {
		fields := slices.Clone(schema.Fields)
		for i, c := range keyCols {
			fields[c].Name = names[i]
		}
		wire = &Schema{Fields: fields}
	}
	return func(ctx *Context) (Operator, error) {
		r := as
		r.ctx, r.topic, r.wire, r.key = ctx, topic, wire, keyCols
		r.every, r.n, r.stamped = max(every, StampEvery).Milliseconds(), ctx.Partitions(topic), MinTime
		r.Committed()
		if r.n <= 0 {
			return nil, fmt.Errorf("topic %s has no partitions", topic)
		}
		return &r, nil
	}
}

// Process writes one record per row. A change of a table whose key moved is a
// delete at the old key and an insert at the new one.
func (r *repartition) Process(b *Batch, _ Emit) error {
	for _, i := range b.Sel {
		op := Insert
		if b.Op != nil {
			op = b.Op[i]
		}
		if op == Insert || op == Delete {
			cols := b.Cols
			if op == Delete {
				cols = b.Old
			}
			r.write(b, cols, i, op)
			continue
		}
		before, okBefore := AppendKey(nil, &Batch{Schema: r.wire, Cols: b.Old}, r.key, i)
		after, okAfter := AppendKey(nil, &Batch{Schema: r.wire, Cols: b.Cols}, r.key, i)
		if okBefore && okAfter && string(before) == string(after) {
			r.write(b, b.Cols, i, Update)
			continue
		}
		r.write(b, b.Old, i, Delete)
		r.write(b, b.Cols, i, Insert)
	}
	return nil
}

func (r *repartition) write(b *Batch, cols []Column, i int32, op Op) {
	key, ok := AppendKey(r.scratch[:0], &Batch{Schema: r.wire, Cols: cols}, r.key, i)
	if !ok && !r.nulls {
		r.scratch = key
		r.ctx.Count("null_keys", 1)
		return
	}
	k := len(key)
	v := append(key, repartitionRows)
	v = binary.AppendVarint(v, b.Time[i])
	origin := MinTime
	if b.Origin != nil {
		origin = b.Origin[i]
	}
	v = binary.AppendVarint(v, origin)
	flags := byte(op)
	if b.Final != nil {
		flags |= flagFinals
		if b.Final[i] {
			flags |= flagFinal
		}
	}
	if b.Stamp != nil && b.Stamp[i] != b.Time[i] {
		flags |= flagStamp
	}
	v = append(v, flags)
	if flags&flagStamp != 0 {
		v = binary.AppendVarint(v, b.Stamp[i]-b.Time[i])
	}
	for c := range cols {
		v = AppendCell(v, &cols[c], i)
	}
	if op == Update {
		for c := range b.Old {
			v = AppendCell(v, &b.Old[c], i)
		}
	}
	r.scratch = v
	rec := r.ctx.Arena(len(v))
	copy(rec, v)
	if !ok {
		to := Partition(r.ctx.Task % r.n)
		if r.meet {
			to = PartitionOf(nil, r.n)
		}
		r.ctx.Produce(Record{Topic: r.topic, Partition: to, Value: rec[k:]})
		return
	}
	if r.copies {
		for p := range r.n {
			r.ctx.Produce(Record{Topic: r.topic, Partition: Partition(p), Key: rec[:k:k], Value: rec[k:]})
		}
		return
	}
	r.ctx.Produce(Record{Topic: r.topic, Partition: PartitionOf(rec[:k], r.n), Key: rec[:k:k], Value: rec[k:]})
}

// AppendCell appends row i of a column as records of repartition topics and
// rows in stores have it, see above. Any goroutine may call it.
func AppendCell(v []byte, c *Column, i int32) []byte {
	if c.Null(i) {
		return append(v, 0)
	}
	v = append(v, 1)
	switch c.Type {
	case Int, Timestamp:
		return binary.AppendVarint(v, c.Ints[i])
	case Double:
		return binary.LittleEndian.AppendUint64(v, math.Float64bits(c.Doubles[i]))
	case Bool:
		if c.Bools[i] {
			return append(v, 1)
		}
		return append(v, 0)
	default:
		v = binary.AppendUvarint(v, uint64(len(c.Strs[i])))
		return append(v, c.Strs[i]...)
	}
}

// Advance only notes the time: the stamp is written by Flush, behind the rows
// it covers.
func (r *repartition) Advance(w int64, _ *Budget, _ Emit) (int64, bool, error) { return w, true, nil }

// Flush stamps the watermark to every partition when it moved far enough, when
// idleness changed, when the clock begins to move it, and every StampAtLeast.
// all stamps whatever is not stamped yet.
func (r *repartition) Flush(now int64, all bool, _ Emit) error {
	if r.whole && r.ctx.booting != nil && r.ctx.booting() {
		return nil
	}
	w, idle := r.ctx.Watermark(), r.ctx.Idle()
	clock := idle && r.ctx.clocked != nil && r.ctx.clocked()
	holds := window.None
	if idle && r.ctx.holds != nil {
		holds = r.ctx.holds()
	}
	moved := w > r.stamped && (all || r.stamped == MinTime || w == MaxTime || w-r.stamped >= r.every)
	if !moved && idle == r.idle && holds == r.holds && (clock == r.clock || w <= r.stamped) && now-r.at < StampAtLeast.Milliseconds() {
		return nil
	}
	var flags byte
	if idle {
		flags |= 1
	}
	if clock {
		flags |= 2
	}
	flags |= byte(holds) << 2
	v := []byte{repartitionStamp}
	v = binary.AppendUvarint(v, uint64(r.ctx.Generation))
	v = binary.AppendUvarint(v, uint64(r.ctx.Sub))
	v = binary.AppendUvarint(v, uint64(r.ctx.Task))
	v = binary.AppendUvarint(v, uint64(r.ctx.Tasks))
	v = binary.AppendVarint(v, w)
	v = append(v, flags)
	for p := range r.n {
		r.ctx.Produce(Record{Topic: r.topic, Partition: Partition(p), Value: v})
	}
	r.stamped, r.idle, r.clock, r.holds, r.at = w, idle, clock, holds, now
	return nil
}

// Committed and RolledBack keep what was stamped in step with what was sent.
func (r *repartition) Committed() {
	c := &r.committed
	c.stamped, c.idle, c.clock, c.holds, c.at = r.stamped, r.idle, r.clock, r.holds, r.at
}

// RolledBack makes a stamp that was aborted go out again.
func (r *repartition) RolledBack() {
	c := &r.committed
	r.stamped, r.idle, r.clock, r.holds, r.at = c.stamped, c.idle, c.clock, c.holds, c.at
}

type stamp struct {
	row                       int32 // of its batch
	generation, sub, task, of int
	watermark                 int64
	idle, clock               bool
	holds                     window.Holding
}

// repartitionDecoder reads what repartition wrote; stamps of the batch are
// kept aside for the input.
type repartitionDecoder struct {
	table  bool // batches have ops, also where all are inserts
	stamps []stamp
}

// RepartitionTableDecoder makes decoders of a table's changes.
func RepartitionTableDecoder() func() Decoder {
	return func() Decoder { return &repartitionDecoder{table: true} }
}

// RepartitionDecoder makes decoders of a repartition topic's records.
func RepartitionDecoder() func() Decoder {
	return func() Decoder { return new(repartitionDecoder) }
}

var errRepartition = errors.New("a record of a repartition topic does not decode")

// Decode fills columns, times, origins and ops; stamps are no rows.
func (d *repartitionDecoder) Decode(b *Batch, bad func(row int32, err error) error) error {
	d.stamps = d.stamps[:0]
	n := b.N
	fresh := func(cols []Column) {
		for c, f := range b.Schema.Fields {
			cols[c].Reset(f.Type, n)
		}
	}
	fresh(b.Cols)
	b.Op, b.Sel = b.Op[:0], b.Sel[:0]
	old := b.Old
	b.Old, b.Final, b.Stamp = nil, nil, nil
	changes, stamped := d.table, false
	if changes {
		if old == nil {
			old = make([]Column, len(b.Cols))
		}
		fresh(old)
	}
	ops := grow(b.Op, n)
	for i := range int32(n) {
		v := reader{b: b.Src.Values[i]}
		switch v.byte() {
		case repartitionStamp:
			s := stamp{row: i, generation: int(v.uvarint()), sub: int(v.uvarint()), task: int(v.uvarint()), of: int(v.uvarint()), watermark: v.varint()}
			f := v.byte()
			s.idle, s.clock, s.holds = f&1 != 0, f&2 != 0, window.Holding(f>>2&3)
			if v.bad {
				return E(Fatal, "decode stamp", errRepartition)
			}
			d.stamps = append(d.stamps, s)
			continue
		case repartitionRows:
			b.Time[i], b.Origin[i] = v.varint(), v.varint()
			flags := v.byte()
			ops[i] = Op(flags & flagOps)
			if flags&flagFinals != 0 {
				if b.Final == nil {
					b.Final = make([]bool, n)
				}
				b.Final[i] = flags&flagFinal != 0
			}
			if flags&flagStamp != 0 {
				if b.Stamp == nil {
					b.Stamp = slices.Clone(b.Time)
					stamped = true
				}
				b.Stamp[i] = b.Time[i] + v.varint()
			} else if stamped {
				b.Stamp[i] = b.Time[i]
			}
			if ops[i] != Insert && !changes {
				changes = true
				if old == nil {
					old = make([]Column, len(b.Cols))
				}
				fresh(old)
			}
			if ops[i] != Delete {
				v.columns(b.Cols, i, n)
			}
			if ops[i] != Insert {
				v.columns(old, i, n)
			}
			if v.bad || len(v.b) != 0 {
				return E(Fatal, fmt.Sprintf("decode %s/%d@%d", b.Src.Topic, b.Src.Partition, b.Src.Offsets[i]), errRepartition)
			}
			b.Sel = append(b.Sel, i)
		default:
			return E(Fatal, fmt.Sprintf("decode %s/%d@%d", b.Src.Topic, b.Src.Partition, b.Src.Offsets[i]), errRepartition)
		}
	}
	if changes {
		b.Op, b.Old = ops, old
	} else {
		b.Op = nil
	}
	return nil
}

// movedTime is the event time of a row in a repartition topic; a stamp goes
// with the row before it: MinTime.
func movedTime(value []byte) (int64, error) {
	v := reader{b: value}
	if v.byte() != repartitionRows {
		return MinTime, nil
	}
	at := v.varint()
	if v.bad {
		return 0, E(Fatal, "read a repartition topic", errRepartition)
	}
	return at, nil
}

// reader takes a value apart; after a short read bad is set and all is zero.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) byte() byte {
	if len(r.b) == 0 {
		r.bad = true
		return 0
	}
	c := r.b[0]
	r.b = r.b[1:]
	return c
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) take(n uint64) []byte {
	if n > uint64(len(r.b)) {
		r.bad, r.b = true, nil
		return nil
	}
	s := r.b[:n]
	r.b = r.b[n:]
	return s
}

func (r *reader) columns(cols []Column, i int32, n int) {
	for c := range cols {
		col := &cols[c]
		if r.byte() == 0 {
			col.SetNull(i, n)
			continue
		}
		switch col.Type {
		case Int, Timestamp:
			col.Ints[i] = r.varint()
		case Double:
			if s := r.take(8); s != nil {
				col.Doubles[i] = math.Float64frombits(binary.LittleEndian.Uint64(s))
			}
		case Bool:
			col.Bools[i] = r.byte() != 0
		default:
			s := r.take(r.uvarint())
			col.Strs[i] = unsafe.String(unsafe.SliceData(s), len(s))
		}
	}
}
