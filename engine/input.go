package engine

import (
	"errors"
	"fmt"

	"github.com/leatstream/leat/window"
)

// input is one partition a task reads: its decoder, its position and its time.
type input struct {
	spec     *SourceSpec
	mark     int // index of the source in the task's marks
	tp       TopicPartition
	decoder  Decoder
	batch    Batch
	children []*node

	position Offset // first unprocessed row; -1: not known yet
	water    window.Watermark
	vector   *window.Vector // repartition inputs: the upstream tasks' stamps
	idle     bool           // read to its end and silent for idle_timeout
	stalled  bool           // silent, but not read to its end: holds time back
	lastRow  int64          // driver's clock, ms: last row, or the assignment
	maxTime  int64          // greatest event time seen
	clock    bool           // the clock moves the watermark (close_after_idle)
	clockMax int64          // greatest watermark stamped by an upstream task whose clock moves it
	saved    inputState
}

// inputState is what a rollback brings back.
type inputState struct {
	position Offset
	water    int64
	vector   []byte
	idle     bool
	maxTime  int64
	clock    bool
	clockMax int64
}

func newInput(s *SourceSpec, mark int, tp TopicPartition) *input {
	in := &input{spec: s, mark: mark, tp: tp, decoder: s.NewDecoder(), position: -1, maxTime: MinTime, clockMax: MinTime}
	in.water = window.NewWatermark(s.Watermark.MaxOutOfOrderness.Milliseconds())
	if s.Repartition {
		in.vector = window.NewVector(0)
	}
	in.batch.Schema = s.Schema
	in.batch.Cols = make([]Column, len(s.Schema.Fields))
	return in
}

// decode turns rows into the input's batch with event times and origins.
func (in *input) decode(t *Task, rows *Rows) (*Batch, error) {
	b := &in.batch
	n := rows.Len()
	b.N, b.Src, b.Sel = n, rows, b.Sel[:0]
	b.Time, b.Origin = grow(b.Time, n), grow(b.Origin, n)
	stage := StageDecode
	err := in.decoder.Decode(b, func(row int32, err error) error {
		if errors.Is(err, ErrNullValue) {
			t.Stats.count("null_values", 1)
			return nil
		}
		return t.bad(in.spec.Name, in.spec.Errors, stage, b, row, err)
	})
	if err != nil {
		return nil, err
	}
	if in.spec.Repartition {
		b.Src = nil
		return b, in.stamps(t)
	}
	return b, in.time(t, b)
}

var (
	errNoTime   = errors.New("the event time is null")
	errNegative = errors.New("the event time is negative")
)

// time fills event times and origins: the origin is the partition's watermark
// just before the row, which is what lateness is judged by.
func (in *input) time(t *Task, b *Batch) error {
	future := in.spec.Watermark.MaxFuture.Milliseconds()
	keep := b.Sel[:0]
	var col *Column
	if in.spec.EventTime >= 0 {
		col = &b.Cols[in.spec.EventTime]
	}
	for _, i := range b.Sel {
		at := b.Src.Times[i]
		ref := at
		if col == nil {
			ref = t.env.Now()
		} else {
			if col.Null(i) {
				if err := t.bad(in.spec.Name, in.spec.Errors, StageEventTime, b, i, errNoTime); err != nil {
					return err
				}
				continue
			}
			at = col.Ints[i]
		}
		var err error
		if at < 0 {
			err = errNegative
		} else if future > 0 && at > ref+future && ref >= 0 {
			err = fmt.Errorf("the event time is %d ms ahead of the record's timestamp (max_future %d ms)", at-ref, future)
		}
		if err != nil {
			if err := t.bad(in.spec.Name, in.spec.Errors, StageEventTime, b, i, err); err != nil {
				return err
			}
			continue
		}
		b.Time[i] = at
		b.Origin[i] = in.water.Observe(at)
		in.maxTime = max(in.maxTime, at)
		keep = append(keep, i)
	}
	b.Sel = keep
	return nil
}

// stamps takes over what upstream tasks said about time.
func (in *input) stamps(t *Task) error {
	d, ok := in.decoder.(*repartitionDecoder)
	if !ok {
		return nil
	}
	for _, s := range d.stamps {
		if s.generation != t.topo.Generation {
			continue
		}
		if err := in.vector.Stamp(s.task, s.of, s.watermark, s.idle); err != nil {
			return E(Fatal, "read "+string(in.tp.Topic), err)
		}
		if s.clock {
			in.clockMax = max(in.clockMax, s.watermark)
		}
	}
	return nil
}

// watermark is the input's present watermark.
func (in *input) watermark() int64 {
	if in.vector == nil {
		return in.water.Value()
	}
	w := in.vector.Value()
	if in.vector.Idle() {
		w = max(w, in.clockMax)
	}
	return w
}

func (in *input) isIdle() bool {
	if in.vector == nil {
		return in.idle
	}
	return in.vector.Idle()
}

// sourceMark is the minimum over a source's inputs that are not idle; with
// all of them idle, the greatest that a clock moved, else MinTime (the mark
// stays where it was, as marks are monotone).
func (t *Task) sourceMark(s int) int64 {
	low, clock, live := MaxTime, MinTime, false
	for _, in := range t.inputs {
		if in.mark != s {
			continue
		}
		w := in.watermark()
		if !in.isIdle() {
			low, live = min(low, w), true
		} else if in.clock || in.vector != nil || w == MaxTime {
			clock = max(clock, w)
		}
	}
	if live {
		return low
	}
	return clock
}

func (t *Task) idle() bool {
	for _, in := range t.inputs {
		if !in.isIdle() {
			return false
		}
	}
	return true
}

// clocked tells whether the clock moved time to where it is.
func (t *Task) clocked() bool {
	for _, in := range t.inputs {
		if in.clock || in.vector != nil && in.clockMax != MinTime && in.clockMax >= in.vector.Value() {
			return true
		}
	}
	return false
}

func (t *Task) input(tp TopicPartition) *input {
	for _, in := range t.inputs {
		if in.tp == tp {
			return in
		}
	}
	return nil
}

// Silent lists the inputs that had no row for their idle_timeout (or
// close_after_idle, where that is shorter) and are not known to be idle: the
// lane asks for their high watermarks and answers with AtEnd.
func (t *Task) Silent(now int64) []TopicPartition {
	var tps []TopicPartition
	if t.closing {
		return nil // its inputs are paused, which is not idle
	}
	for _, in := range t.inputs {
		if in.vector == nil && !in.idle && now-in.lastRow >= in.silence() {
			tps = append(tps, in.tp)
		}
	}
	return tps
}

func (in *input) silence() int64 {
	ms := in.spec.Watermark.IdleTimeout.Milliseconds()
	if c := in.spec.Watermark.CloseAfterIdle.Milliseconds(); c > 0 && (c < ms || ms == 0) {
		ms = c
	}
	if ms == 0 {
		return MaxTime / 2 // idle_timeout 0: never
	}
	return ms
}

// AtEnd answers Silent: the partition's high watermark, asked for afresh. An
// input that is behind it is stalled, not idle: it holds time back.
func (t *Task) AtEnd(tp TopicPartition, high Offset) {
	in := t.input(tp)
	if in == nil {
		return
	}
	if in.position >= high {
		in.idle, in.stalled, t.changed = true, false, true
		return
	}
	in.stalled = true
}

// Tick lets the clock move the watermark of sources that are idle as a whole
// (close_after_idle).
func (t *Task) Tick(now int64) {
	for s, spec := range t.sub.Sources {
		wait := spec.Watermark.CloseAfterIdle.Milliseconds()
		if wait == 0 || spec.Repartition {
			continue
		}
		last, greatest, all := MinTime, MinTime, true
		for _, in := range t.inputs {
			if in.mark == s {
				all = all && in.idle
				last, greatest = max(last, in.lastRow), max(greatest, in.maxTime)
			}
		}
		if !all || greatest == MinTime || now-last < wait {
			continue
		}
		to := greatest - spec.Watermark.MaxOutOfOrderness.Milliseconds() + now - last
		for _, in := range t.inputs {
			if in.mark == s && to > in.water.Value() {
				in.water.Advance(to)
				in.clock, t.changed = true, true
			}
		}
	}
}

// CloseAll moves the watermark of the task's own sources past every window:
// the end of input (leat pipe, --close-windows).
func (t *Task) CloseAll() {
	for _, in := range t.inputs {
		if in.vector == nil {
			in.water.Advance(MaxTime)
			in.idle, t.changed = false, true
		}
	}
}

// AdvanceTo moves the watermark of the task's own sources (tests).
func (t *Task) AdvanceTo(w int64) {
	for _, in := range t.inputs {
		if in.vector == nil {
			in.water.Advance(w)
			in.idle, t.changed = false, true
		}
	}
}

// Finished tells that every input's watermark is past everything.
func (t *Task) Finished() bool {
	for _, in := range t.inputs {
		if in.watermark() != MaxTime {
			return false
		}
	}
	return true
}

func (in *input) state() inputState {
	s := inputState{position: in.position, water: in.water.Value(), idle: in.idle, maxTime: in.maxTime, clock: in.clock, clockMax: in.clockMax}
	if in.vector != nil {
		s.vector = in.vector.Append(nil)
	}
	return s
}

func (in *input) restore(s inputState) {
	in.position, in.idle, in.maxTime, in.clock, in.clockMax = s.position, s.idle, s.maxTime, s.clock, s.clockMax
	in.water.Restore(s.water)
	if in.vector != nil {
		in.setVector(s.vector)
	}
}

// setVector takes an encoded vector over; one that does not decode (foreign
// offset metadata) leaves the input waiting for stamps.
func (in *input) setVector(b []byte) {
	if v, _, err := window.DecodeVector(b); err == nil {
		in.vector = v
	}
}

func (in *input) inputMeta() inputMeta {
	m := inputMeta{Topic: in.tp.Topic, Partition: in.tp.Partition, Offset: in.position, Watermark: in.water.Value(), Idle: in.idle}
	if in.vector != nil {
		m.Vector = in.vector.Append(nil)
	}
	return m
}

func (in *input) meta(env TaskEnv, commit int64) OffsetMeta {
	m := OffsetMeta{Lane: env.Lane, Commit: commit, Txn: env.Txn, Watermark: in.water.Value(), Idle: in.idle}
	if in.vector != nil {
		m.Vector = encodeVector(in.vector.Append(nil))
	}
	return m
}

// Take sets where an input starts: the committed offset, or the source's
// start, with the watermark that the metadata carries.
func (t *Task) Take(tp TopicPartition, at Offset, meta OffsetMeta, now int64) {
	in := t.input(tp)
	if in == nil {
		return
	}
	in.position, in.lastRow = at, now
	in.water.Restore(max(in.water.Value(), meta.Watermark))
	if in.maxTime == MinTime && meta.Watermark > MinTime && meta.Watermark < MaxTime {
		in.maxTime = meta.Watermark + in.spec.Watermark.MaxOutOfOrderness.Milliseconds()
	}
	if in.vector != nil && meta.Vector != "" {
		in.setVector(decodeVector(meta.Vector))
	}
	t.snapshot()
}
