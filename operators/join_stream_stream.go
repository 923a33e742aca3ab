package operators

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/state"
	"github.com/leatstream/leat/window"
)

// StreamStream joins two streams: a left row at l meets the right rows of its
// key at l-before to l+after, both inclusive, whichever comes first. Every
// pair is a row, at the greater of the two times (its Kafka timestamp likewise).
//
//	left    ──────────l──────────▶      the left's window ends at l+after
//	              [ before │ after ]
//	right   ────────r─────r──────▶      the right's at r+before
//
// Two rows meet only where the window of each was open to the other: had not
// ended by more than grace, by the watermark of the partition that the other
// came from. So which rows meet is a matter of the rows, and not of the order in
// which the two streams are read. A row that is older than that watermark by
// more than before + after + grace can meet none and is late.
//
// A row without a partner comes out of left and outer joins, at its own time,
// when the watermark has passed its window's end by more than grace (at once,
// where it has when the row comes); after that it meets none.
//
// The watermark that goes downstream is w - grace for inner joins and
// w - max(before, after) - grace for the others, and the origin of a result is
// made likewise of its later row's. So a result is never late for a window that
// holds its whole window, and one of rows that are in order never for any.
//
// Rows with a null in their key meet none: they come out of an outer join, and
// of the left of a left one, and are counted and left out otherwise.
func StreamStream(s StreamStreamSpec) func(*engine.Context) (engine.Operator, error) {
	return func(ctx *engine.Context) (engine.Operator, error) {
		if err := s.check(); err != nil {
			return nil, err
		}
		for _, d := range []int64{s.Before, s.After, s.Grace} {
			if d < 0 || d > farthest {
				return nil, fmt.Errorf("a join's time span of %d ms", d)
			}
		}
		j := &streamStream{spec: s, ctx: ctx, table: ctx.Tables[0], width: s.stretch(), limit: engine.MinTime, down: engine.MinTime,
			reach: [2]int64{s.After, s.Before}, outer: [2]bool{s.Kind != InnerJoin, s.Kind == OuterJoin}, behind: s.Grace, out: newRows(s.Out, false)}
		if s.Kind != InnerJoin {
			j.behind += max(s.Before, s.After)
		}
		for p, side := range []*JoinSide{&s.Left, &s.Right} {
			j.keys[p], j.row[p] = newJoinKeys(side), newJoinRow(&s.JoinSpec, p == 1)
		}
		return j, nil
	}
}

// farthest bounds event times and spans, so that their sums are times.
const farthest = engine.MaxTime / 8

// StreamStreamStores lists the store of a stream-stream join.
func StreamStreamStores(name string, s StreamStreamSpec) []state.Spec {
	spec := state.Spec{Name: name, Fingerprint: fmt.Sprintf("%s\nbefore %d after %d width %d", s.print("stream-stream/1"), s.Before, s.After, s.stretch())}
	spec.Families[state.Panes] = state.FamilySpec{Words: 3, Blobs: []int{chunkRows}}
	return []state.Spec{spec}
}

// stretch is how much time a chunk holds, in ms: a row looks at six of them at
// most, and state is kept a quarter of the span too long at most; at least a
// second, and at most about seventy stretches are alive.
func (s *StreamStreamSpec) stretch() int64 {
	if s.width > 0 {
		return s.width
	}
	span := s.Before + s.After
	return max(1000, span/4+1, (span+s.Grace)/64+1)
}

type streamStream struct {
	spec   StreamStreamSpec
	ctx    *engine.Context
	table  *state.Table
	width  int64
	reach  [2]int64 // per side: how long after its time a row's window ends
	outer  [2]bool  // per side: rows without a partner come out
	behind int64    // how far results are behind the watermark
	keys   [2]*joinKeys
	row    [2]*joinRow
	out    *rows
	due    timers // chunks, by the end of the first window of a row without a partner

	limit   int64 // windows that end before it have ended
	down    int64 // as last returned
	release releaseCursor

	late   []int32
	name   []byte
	buf    []byte
	chunks chunk
	slots  [1]state.Slot
	names  [1]string
}

// releaseCursor is where the release of rows without a partner stands.
type releaseCursor struct {
	on  bool
	at  int64
	key string
}

// Process takes rows of the left.
func (j *streamStream) Process(b *engine.Batch, out engine.Emit) error {
	return j.ProcessPort(0, b, out)
}

// ProcessPort takes rows of the left (0) or the right (1).
func (j *streamStream) ProcessPort(port int, b *engine.Batch, out engine.Emit) error {
	if b.Op != nil {
		return errStreamSide
	}
	j.out.b.ClosedByIdle = false
	rows, _, err := j.keys[port].of(b, b.Cols, b.Sel, func(i int32, err error) error {
		return j.ctx.Bad(engine.StageExpression, b, i, err)
	})
	if err != nil {
		return err
	}
	j.late = j.late[:0]
	for _, i := range rows {
		if err := j.take(port, b, i, out); err != nil {
			return err
		}
	}
	if len(j.late) > 0 {
		late := *b
		late.Sel = j.late
		if err := j.ctx.Side(1+port, &late); err != nil {
			return err
		}
	}
	return j.out.flush(out)
}

var (
	errLateJoin = errors.New("late: the windows of all rows that it could meet have ended")
	errJoinTime = errors.New("the event time is beyond what a join can hold")
)

// take joins one row with what is there and keeps it for what comes.
func (j *streamStream) take(port int, b *engine.Batch, i int32, out engine.Emit) error {
	t := b.Time[i]
	if t > farthest || t < -farthest {
		return j.ctx.Bad(engine.StageEventTime, b, i, errJoinTime)
	}
	horizon := window.Behind(rowOrigin(b, i), j.spec.Grace)
	if last := t + j.spec.Before + j.spec.After; last < max(horizon, j.limit) {
		return j.tooLate(b, i, last >= horizon)
	}
	if t >= horizon && t < j.limit {
		j.ctx.Count("late_partly", 1) // its partition was thought idle: rows from before it have gone
	}
	if j.keys[port].null[i] {
		if !j.outer[port] {
			j.ctx.Count("null_keys", 1)
			return nil
		}
		return j.alone(port, b, i, out)
	}
	met, err := j.meet(port, b, i, horizon, out)
	switch {
	case err != nil:
		return err
	case t+j.reach[port] >= j.limit:
		return j.keep(port, b, i, met)
	case !met && j.outer[port]:
		return j.alone(port, b, i, out)
	}
	return nil
}

// tooLate takes a row that can meet none. idle: not by its own partition.
func (j *streamStream) tooLate(b *engine.Batch, i int32, idle bool) error {
	if idle {
		j.ctx.Count("late_after_idle", 1)
	}
	if j.spec.LateSide {
		j.ctx.Count("late", 1)
		j.late = append(j.late, i)
		return nil
	}
	return j.ctx.Bad(engine.StageLate, b, i, errLateJoin)
}

// alone emits row i without a partner.
func (j *streamStream) alone(port int, b *engine.Batch, i int32, out engine.Emit) error {
	o, err := j.out.next(out, engine.Insert, b.Time[i], rowStamp(b, i), j.aloneOrigin(port, b.Time[i], rowOrigin(b, i)))
	if err != nil {
		return err
	}
	j.row[1-port].null(j.out.b.Cols, o, rowsPerBatch)
	j.row[port].copy(j.out.b.Cols, o, rowsPerBatch, b.Cols, i, true)
	return nil
}

// aloneOrigin is what a row without a partner is judged by downstream: never
// late, unless its own window had ended when it came.
func (j *streamStream) aloneOrigin(port int, t, origin int64) int64 {
	if t+j.reach[port] >= window.Behind(origin, j.spec.Grace) {
		return t
	}
	return window.Behind(origin, j.behind)
}

// meet emits the pairs of row i with the other side's rows.
func (j *streamStream) meet(port int, b *engine.Batch, i int32, horizon int64, out engine.Emit) (met bool, err error) {
	other := 1 - port
	t, stamp := b.Time[i], rowStamp(b, i)
	end, open := t+j.reach[port], max(horizon, j.limit)
	lo, hi := t-j.reach[other], t+j.reach[port]
	for bucket := floorDiv(lo, j.width); bucket <= floorDiv(hi, j.width); bucket++ {
		pane := j.table.Pane(state.Panes, j.paneOf(other, bucket))
		if pane == nil || pane.Len() == 0 {
			continue
		}
		for n, chunks := uint64(0), uint64(1); n < chunks; n++ {
			slot, ok, err := j.table.Find(j.chunkName(other, bucket, n, j.keys[port].key(i)))
			if err != nil {
				return met, err
			}
			if !ok {
				break
			}
			acc := pane.Read(slot)
			if acc == nil {
				break
			}
			if n == 0 {
				chunks = acc[chunkCount] >> 8
			}
			bits := acc[chunkMet]
			c := &j.chunks
			c.open(j.table.Get(acc[chunkRows]), bucket*j.width)
			for k := 0; c.next(); k++ {
				if c.time < lo || c.time > hi || c.time+j.reach[other] < open || end < window.Behind(c.origin, j.spec.Grace) {
					continue
				}
				met = true
				bits |= 1 << k
				if err := j.pair(port, b, i, t, stamp, c, out); err != nil {
					return met, err
				}
			}
			if c.err != nil {
				return met, c.err
			}
			if j.outer[other] && bits != acc[chunkMet] {
				acc, _ = pane.Write(slot)
				acc[chunkMet] = bits
			}
		}
	}
	return met, nil
}

// pair emits row i with a stored row of the other side.
func (j *streamStream) pair(port int, b *engine.Batch, i int32, t, stamp int64, c *chunk, out engine.Emit) error {
	o, err := j.out.next(out, engine.Insert, max(t, c.time), max(stamp, c.stamp), window.Behind(rowOrigin(b, i), j.behind))
	if err != nil {
		return err
	}
	j.row[port].copy(j.out.b.Cols, o, rowsPerBatch, b.Cols, i, false)
	return j.row[1-port].read(j.held(c.row), j.out.b.Cols, o, rowsPerBatch, false)
}

func (j *streamStream) held(b []byte) string {
	c := j.ctx.Arena(len(b))
	copy(c, b)
	return view(c)
}

// keep stores row i of a side.
func (j *streamStream) keep(port int, b *engine.Batch, i int32, met bool) error {
	t, key := b.Time[i], j.keys[port].key(i)
	bucket := floorDiv(t, j.width)
	pane := j.table.Open(state.Panes, j.paneOf(port, bucket))
	row := binary.AppendUvarint(j.buf[:0], uint64(t-bucket*j.width))
	row = binary.AppendVarint(row, t-rowOrigin(b, i)) // wraps around for a partition without a watermark, and back
	row = binary.AppendVarint(row, rowStamp(b, i)-t)
	row = j.row[port].append(row, b.Cols, i)
	j.buf = row
	size := len(row) + binary.MaxVarintLen32

	first, err := j.slot(j.chunkName(port, bucket, 0, key))
	if err != nil {
		return err
	}
	acc, fresh := pane.Write(first)
	if fresh {
		acc[chunkCount] = 1 << 8
	}
	slot, last := first, acc[chunkCount]>>8-1
	if last > 0 {
		if slot, err = j.slot(j.chunkName(port, bucket, last, key)); err != nil {
			return err
		}
		acc, _ = pane.Write(slot)
	}
	if n := acc[chunkCount] & 0xff; n == chunkMaxRows || n > 0 && len(j.table.Get(acc[chunkRows]))+size > chunkMaxBytes {
		acc, _ = pane.Write(first)
		acc[chunkCount] += 1 << 8
		last++
		if slot, err = j.slot(j.chunkName(port, bucket, last, key)); err != nil {
			return err
		}
		acc, _ = pane.Write(slot)
	}
	n := acc[chunkCount] & 0xff
	acc[chunkCount]++
	if met {
		acc[chunkMet] |= 1 << n
	} else if j.outer[port] {
		j.due.set(t+j.reach[port], view(j.name))
	}
	old := j.table.Get(acc[chunkRows])
	at := len(j.buf)
	j.buf = append(j.buf, old...)
	j.buf = binary.AppendUvarint(j.buf, uint64(at))
	j.buf = append(j.buf, j.buf[:at]...)
	acc[chunkRows] = j.table.Put(acc[chunkRows], j.buf[at:])
	return nil
}

// slot finds or makes the slot of a chunk.
func (j *streamStream) slot(name string) (state.Slot, error) {
	j.names[0] = name
	err := j.table.Resolve(j.names[:], oneRow, j.slots[:])
	return j.slots[0], err
}

// Advance lets the rows go that will meet none any more, in order of the ends
// of their windows, and forgets what no row to come can meet.
func (j *streamStream) Advance(w int64, budget *engine.Budget, out engine.Emit) (int64, bool, error) {
	if limit := window.Behind(w, j.spec.Grace); limit > j.limit {
		j.limit = limit
	}
	if j.limit == engine.MinTime {
		return engine.MinTime, true, nil
	}
	j.out.b.ClosedByIdle = j.ctx.Idle()
	for {
		at, key, ok := j.due.next(j.limit - 1)
		if !ok {
			break
		}
		n, err := j.let(at, key, out)
		if err != nil {
			return j.down, false, err
		}
		left := true
		for range n {
			left = budget.Take(64)
		}
		if !left {
			j.release = releaseCursor{on: true, at: at, key: strings.Clone(key)}
			return j.down, false, j.out.flush(out)
		}
	}
	j.release = releaseCursor{}
	if err := j.out.flush(out); err != nil {
		return j.down, false, err
	}
	j.table.Expire(state.Panes, j.limit-1)
	j.down = max(j.down, window.Behind(w, j.behind))
	return j.down, true, nil
}

// let emits the rows of a chunk that have met none and whose window ends at
// at, and sets its next timer. It gives their number.
func (j *streamStream) let(at int64, name string, out engine.Emit) (n int, err error) {
	port, bucket := chunkOf(name)
	pane := j.table.Pane(state.Panes, j.paneOf(port, bucket))
	if pane == nil {
		return 0, nil
	}
	slot, ok, err := j.table.Find(name)
	if err != nil || !ok {
		return 0, err
	}
	acc := pane.Read(slot)
	if acc == nil {
		return 0, nil
	}
	later := engine.MaxTime
	c := &j.chunks
	c.open(j.table.Get(acc[chunkRows]), bucket*j.width)
	for k := 0; c.next(); k++ {
		end := c.time + j.reach[port]
		if acc[chunkMet]>>k&1 != 0 || end < at {
			continue
		}
		if end > at {
			later = min(later, end)
			continue
		}
		o, err := j.out.next(out, engine.Insert, c.time, c.stamp, j.aloneOrigin(port, c.time, c.origin))
		if err != nil {
			return n, err
		}
		j.row[1-port].null(j.out.b.Cols, o, rowsPerBatch)
		if err := j.row[port].read(j.held(c.row), j.out.b.Cols, o, rowsPerBatch, true); err != nil {
			return n, err
		}
		n++
	}
	if later != engine.MaxTime {
		j.due.set(later, name)
	}
	return n, c.err
}

// Remember is the time that has passed and where the release stands.
func (j *streamStream) Remember() []byte {
	b := binary.AppendVarint([]byte{1}, j.limit)
	b = binary.AppendVarint(b, j.down)
	if j.release.on {
		b = binary.AppendVarint(b, j.release.at)
		b = append(b, j.release.key...)
	}
	return b
}

// Recall reads what Remember wrote.
func (j *streamStream) Recall(b []byte) error {
	if len(b) == 0 || b[0] != 1 {
		return errJoinCursor
	}
	d := numbers{b: b[1:]}
	j.limit, j.down, j.release = d.varint(), d.varint(), releaseCursor{}
	if len(d.b) > 0 {
		j.release = releaseCursor{on: true, at: d.varint()}
		j.release.key = string(d.b)
	}
	if d.err != nil {
		return errJoinCursor
	}
	return nil
}

var errJoinCursor = errors.New("the join's cursor does not decode")

// Committed and RolledBack keep the timers in step with the store.
func (j *streamStream) Committed()  { j.due.committed() }
func (j *streamStream) RolledBack() { j.due.rolledBack() }

// Recovered drops what has expired and finds when rows are to go.
func (j *streamStream) Recovered() error {
	if j.limit != engine.MinTime && !j.release.on {
		j.table.RestoreExpire(state.Panes, j.limit-1)
	}
	if j.spec.Kind == InnerJoin {
		return nil
	}
	j.due.clear()
	var failed error
	err := j.table.Scan(state.Panes, engine.MinTime, engine.MaxTime, "", func(name string, acc func(int64) []uint64) bool {
		port, bucket := chunkOf(name)
		if !j.outer[port] {
			return true
		}
		words := acc(j.paneOf(port, bucket))
		first := engine.MaxTime
		var c chunk
		c.open(j.table.Get(words[chunkRows]), bucket*j.width)
		for k := 0; c.next(); k++ {
			if end := c.time + j.reach[port]; words[chunkMet]>>k&1 == 0 && !j.released(end, name) {
				first = min(first, end)
			}
		}
		if first != engine.MaxTime {
			j.due.set(first, name)
		}
		failed = c.err
		return failed == nil
	})
	return errors.Join(err, failed)
}

// released tells whether a row of a chunk, without a partner, has gone.
func (j *streamStream) released(end int64, name string) bool {
	if j.release.on {
		return end < j.release.at || end == j.release.at && name <= j.release.key
	}
	return end < j.limit
}

var (
	_ engine.Ported     = (*streamStream)(nil)
	_ engine.Advancer   = (*streamStream)(nil)
	_ engine.Rememberer = (*streamStream)(nil)
	_ engine.Undoer     = (*streamStream)(nil)
	_ engine.Recoverer  = (*streamStream)(nil)
)
