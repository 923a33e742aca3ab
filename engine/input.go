package engine

import (
	"errors"
	"fmt"

	"github.com/leatstream/leat/window"
)

// input is one partition of one source: its decoder and its time. Where it
// has been read to is the feed's, which several inputs may share.
type input struct {
	spec     *SourceSpec
	mark     int // index of the source in the task's marks
	feed     *feed
	tp       TopicPartition
	decoder  Decoder
	batch    Batch
	table    *tableRows // nil: a stream
	children []edge

	// Where rows wait for their turn (merge.go): of the decoded portion
	lazy   bool
	sel    []int32 // the rows to process, and how many were
	cursor int
	events []event // of its other rows, and how many were dealt with
	told   int

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
	water    int64
	vector   []byte
	idle     bool
	maxTime  int64
	clock    bool
	clockMax int64
}

func newInput(s *SourceSpec, mark int, f *feed) *input {
	in := &input{spec: s, mark: mark, feed: f, tp: f.tp, decoder: s.NewDecoder(), maxTime: MinTime, clockMax: MinTime}
	in.water = window.NewWatermark(s.Watermark.MaxOutOfOrderness.Milliseconds())
	if s.Repartition {
		in.vector = window.NewVector(0)
	} else if s.Table {
		in.table = newTableRows(s)
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
	bad := func(row int32, err error) error { return in.bad(t, StageDecode, row, err) }
	if in.table != nil {
		in.table.begin(b)
	}
	if err := in.decoder.Decode(b, bad); err != nil {
		return nil, err
	}
	if in.table != nil {
		if err := in.table.finish(b, bad); err != nil {
			return nil, err
		}
	}
	if in.spec.Repartition {
		b.Src = nil
		for _, i := range b.Sel {
			in.maxTime = max(in.maxTime, b.Time[i])
		}
		if in.lazy {
			return b, nil
		}
		return b, in.stamps(t)
	}
	return b, in.time(t, b)
}

// bad reports row i of the input's batch as gone wrong, or not to be processed.
func (in *input) bad(t *Task, stage Stage, row int32, err error) error {
	if in.table != nil && errors.Is(err, ErrNullValue) {
		in.table.nulls = append(in.table.nulls, row)
		return nil
	}
	if in.lazy {
		in.events = append(in.events, event{row: row, stage: stage, err: err})
		return nil
	}
	return in.reject(t, stage, row, err)
}

// reject does with a row that is left out what its source says.
func (in *input) reject(t *Task, stage Stage, row int32, err error) error {
	switch {
	case errors.Is(err, ErrNullValue):
		t.Stats.count("null_values", 1)
		return nil
	case errors.Is(err, errNullKey):
		t.Stats.count("null_keys", 1)
		return nil
	}
	return t.bad(in.spec.Name, in.spec.Errors, stage, &in.batch, row, err)
}

// heard notes that rows have come.
func (in *input) heard(now int64) {
	in.lastRow, in.idle, in.stalled, in.clock = now, false, false, false
}

var (
	errNoTime   = errors.New("the event time is null")
	errNegative = errors.New("the event time is negative")
)

// time fills event times and origins: the origin is the partition's watermark
// just before the row, which is what lateness is judged by.
func (in *input) time(t *Task, b *Batch) error {
	future := in.spec.Watermark.MaxFuture.Milliseconds()
	timeless := in.spec.Timeless
	keep := b.Sel[:0]
	var col *Column
	if in.spec.EventTime >= 0 {
		col = &b.Cols[in.spec.EventTime]
	}
	for _, i := range b.Sel {
		at := b.Src.Times[i]
		ref := at
		var err error
		switch {
		case col != nil && (b.Op == nil || b.Op[i] != Delete):
			if at = col.Ints[i]; col.Null(i) {
				err = errNoTime
			}
		case in.table != nil:
			at = max(at, 0) // a producer without timestamps: before all others
		case col == nil:
			ref = t.env.Now()
		}
		if err == nil && at < 0 {
			err = errNegative
		} else if err == nil && future > 0 && at > ref+future && ref >= 0 {
			err = fmt.Errorf("the event time is %d ms ahead of the record's timestamp (max_future %d ms)", at-ref, future)
		}
		if err != nil {
			if err := in.bad(t, StageEventTime, i, err); err != nil {
				return err
			}
			continue
		}
		b.Time[i] = at
		if !in.lazy { // in place: this loop is every pipeline's
			b.Origin[i] = in.water.Observe(at)
			in.maxTime = max(in.maxTime, at)
			if timeless {
				b.Origin[i] = MinTime
			}
		}
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
	for i := range d.stamps {
		if err := in.stamp(t, &d.stamps[i]); err != nil {
			return err
		}
	}
	return nil
}

func (in *input) stamp(t *Task, s *stamp) error {
	if s.generation != t.topo.Generation {
		return nil
	}
	if err := in.vector.Stamp(s.task, s.of, s.watermark, s.idle, s.holds); err != nil {
		return E(Fatal, "read "+string(in.tp.Topic), err)
	}
	if s.clock {
		in.clockMax = max(in.clockMax, s.watermark)
	}
	return nil
}

// watermark is the input's present watermark.
func (in *input) watermark() int64 {
	if in.vector == nil {
		return in.water.Value()
	}
	w := in.vector.Value()
	if in.vector.Idle() && !in.vector.Holds() {
		w = max(w, in.clockMax)
	}
	return w
}

func (in *input) isIdle() bool {
	if in.vector == nil {
		return in.idle
	}
	return in.vector.Idle() && !in.vector.Drains()
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

// Silent lists the inputs that had no row for their idle_timeout (or
// close_after_idle, where that is shorter) and are not known to be idle: the
// lane asks for their high watermarks and answers with AtEnd. Tables that hold
// all rows up (ReadFirst) are asked for sooner, and those with rows that wait
// are not silent.
func (t *Task) Silent(now int64) []TopicPartition {
	var tps []TopicPartition
	if t.closing {
		return nil // its inputs are paused, which is not idle
	}
	for _, f := range t.feeds {
		for _, in := range f.inputs {
			if len(f.queue) == 0 && (in.silent(now) || f.reading() && now-in.lastRow >= askEvery.Milliseconds()) {
				tps = append(tps, f.tp)
				break
			}
		}
	}
	return tps
}

func (in *input) silent(now int64) bool {
	return in.vector == nil && !in.idle && now-in.lastRow >= in.silence()
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
	f := t.feed(tp)
	if f == nil {
		return
	}
	f.end = max(f.end, high)
	if len(f.queue) > 0 {
		return
	}
	if f.position >= high {
		f.first = 0 // also where the topic has become shorter
	}
	for _, in := range f.inputs {
		switch {
		case f.reading():
			in.stalled = true
		case !in.silent(t.env.Now()):
		case f.position >= high:
			in.idle, in.stalled, t.changed = true, false, true
		default:
			in.stalled = true
		}
	}
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
	s := inputState{water: in.water.Value(), idle: in.idle, maxTime: in.maxTime, clock: in.clock, clockMax: in.clockMax}
	if in.vector != nil {
		s.vector = in.vector.Append(nil)
	}
	return s
}

func (in *input) restore(s inputState) {
	in.idle, in.maxTime, in.clock, in.clockMax = s.idle, s.maxTime, s.clock, s.clockMax
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
	m := inputMeta{Source: in.spec.Name, Topic: in.tp.Topic, Partition: in.tp.Partition, Offset: in.feed.position, Watermark: in.water.Value(), Greatest: in.greatest(), Idle: in.idle}
	if in.feed.first > in.feed.position {
		m.First = in.feed.first
	}
	if in.vector != nil {
		m.Vector = in.vector.Append(nil)
	}
	return m
}

// Take sets where an input starts: the committed offset, or the source's
// start, with the watermark that the metadata carries.
func (t *Task) Take(tp TopicPartition, at Offset, meta OffsetMeta, now int64) {
	f := t.feed(tp)
	if f == nil {
		return
	}
	f.seek(at)
	f.first = max(f.first, meta.First)
	for k, in := range f.inputs {
		mark := meta.Watermark
		if k > 0 {
			var ok bool
			if mark, ok = meta.Others[in.spec.Name]; !ok {
				mark = MinTime
			}
		}
		in.take(mark, meta.Greatest[in.spec.Name], now)
		if in.vector != nil && meta.Vector != "" {
			in.setVector(decodeVector(meta.Vector))
		}
	}
	t.snapshot()
}

// greatest is the greatest event time as metadata has it: 0 where there is none.
func (in *input) greatest() int64 {
	if in.maxTime == MinTime {
		return 0
	}
	return in.maxTime
}

// take gives the input the watermark and the greatest event time (0: not known)
// that a commit has left.
func (in *input) take(mark, greatest, now int64) {
	in.lastRow = now
	in.water.Restore(max(in.water.Value(), mark))
	if greatest > 0 {
		in.maxTime = max(in.maxTime, greatest)
	}
	if in.maxTime == MinTime && mark > MinTime && mark < MaxTime {
		in.maxTime = mark + in.spec.Watermark.MaxOutOfOrderness.Milliseconds()
	}
}
