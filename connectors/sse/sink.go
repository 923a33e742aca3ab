package sse

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/leatstream/leat/engine"
)

// SinkSpec is what a sink must know: the view it writes.
type SinkSpec struct {
	View engine.ViewSpec
}

// maxPending bounds, in bytes, the updates held back for a refresh. They
// travel in the task's meta record at every commit, so holding more back
// would cost what writing them costs.
const maxPending = 32 << 10

// Sink gives the constructor of the sse sink's operator: NodeSpec.New. The
// operator is called by its task only.
func Sink(spec SinkSpec) func(*engine.Context) (engine.Operator, error) {
	return func(ctx *engine.Context) (engine.Operator, error) {
		v := spec.View
		if v.Topic == "" {
			return nil, engine.E(engine.Fatal, "open sse sink "+strconv.Quote(ctx.Name), errors.New("the view has no topic"))
		}
		return &sink{ctx: ctx, view: defaults(v),
			keys: map[string]int64{}, recent: map[string]int64{}, pending: map[string][]byte{}}, nil
	}
}

// sink writes the rows of one task into its partition of the view topic.
//
//	row ─▶ gone? ─▶ over max_keys? ─▶ final? ─▶ pending ─▶ Flush: written less than
//	          └ skip        └ count      └ produce          refresh ago? it waits on
type sink struct {
	ctx  *engine.Context
	view engine.ViewSpec

	schema *engine.Schema // the columns below belong to it
	cols   []int          // columns written
	key    []int          // columns of the identity
	end    int            // column of window_end, or -1
	names  [][]byte       // `"name":` of each written column
	final  bool           // the row says "final" by itself

	keys     map[string]int64  // rows in the view and their window_end (0: none), for max_keys
	swept    int64             // when expired keys were last taken out of keys, epoch ms
	rest     int64             // rows refused by max_keys since the start
	recent   map[string]int64  // when a row was written, for those within refresh
	pending  map[string][]byte // newest value of rows not written yet; nil: deleted
	held     int               // bytes in pending
	newest   []engine.Record   // a stream's rows of this commit, at most MaxRows
	counter  int64             // identity of stream rows without a source record
	markedAt int64             // epoch ms of the last mark; 0: none

	keyBuf, valBuf []byte
}

// Process takes the rows of a batch; nothing goes downstream of a sink.
func (s *sink) Process(b *engine.Batch, _ engine.Emit) error {
	if b.Schema != s.schema {
		if err := s.bind(b.Schema); err != nil {
			return err
		}
	}
	var old *engine.Batch
	if b.Old != nil {
		o := *b
		o.Cols = b.Old
		old = &o
	}
	now := s.ctx.Now()
	floor := floorOf(s.ctx.Watermark(), s.view)
	for _, i := range b.Sel {
		op := engine.Insert
		if b.Op != nil {
			op = b.Op[i]
		}
		if s.view.Stream {
			s.appendRow(b, i)
			continue
		}
		if op == engine.Delete {
			s.delete(s.rowKey(old, i))
			continue
		}
		key := s.rowKey(b, i)
		if op == engine.Update && old != nil {
			if was := s.rowKey(old, i); was != key {
				s.delete(was)
			}
		}
		var end int64
		if s.end >= 0 && !b.Cols[s.end].Null(i) {
			if end = b.Cols[s.end].Ints[i]; end < floor {
				continue // a backfill: nobody would see it
			}
		}
		if !s.admit(key, end, floor, now) {
			continue
		}
		s.upsert(key, s.row(b, i), b.Final != nil && b.Final[i], now)
	}
	return nil
}

// bind finds the view's columns in a schema.
func (s *sink) bind(schema *engine.Schema) error {
	s.schema, s.cols, s.key, s.names, s.end, s.final = schema, nil, nil, nil, -1, false
	names := schema.Names()
	if len(s.view.Columns) > 0 {
		names = nil
		for _, c := range s.view.Columns {
			names = append(names, c.Name)
		}
	}
	for _, name := range names {
		i := schema.Lookup(name)
		if i < 0 {
			if name == "final" {
				continue // written from Batch.Final
			}
			return s.unknown(name)
		}
		s.final = s.final || name == "final"
		s.cols = append(s.cols, i)
		s.names = append(s.names, append(engine.AppendString(nil, name), ':'))
	}
	for _, name := range s.view.KeyColumns {
		i := schema.Lookup(name)
		if i < 0 {
			return s.unknown(name)
		}
		s.key = append(s.key, i)
	}
	if s.view.Windowed {
		if s.end = schema.Lookup("window_end"); s.end < 0 {
			return s.unknown("window_end")
		}
	}
	return nil
}

func (s *sink) unknown(column string) error {
	return engine.E(engine.Fatal, "write view "+strconv.Quote(s.view.Name), fmt.Errorf("the rows have no column %q", column))
}

// rowKey is the identity of a row: its key columns on the wire. What begins
// with NUL is ours (marks), so a key that does so is escaped.
func (s *sink) rowKey(b *engine.Batch, i int32) string {
	key, ok := engine.AppendKey(s.keyBuf[:0], b, s.key, i)
	s.keyBuf = key
	switch {
	case !ok:
		return nullKey
	case len(key) > 0 && key[0] == 0:
		return escapedKey + string(key)
	}
	return string(key)
}

// row writes row i as a JSON object into valBuf.
func (s *sink) row(b *engine.Batch, i int32) []byte {
	v := append(s.valBuf[:0], '{')
	for n, c := range s.cols {
		if n > 0 {
			v = append(v, ',')
		}
		v = append(v, s.names[n]...)
		v = appendValue(v, &b.Cols[c], i)
	}
	if b.Final != nil && !s.final {
		if len(s.cols) > 0 {
			v = append(v, ',')
		}
		v = strconv.AppendBool(append(v, `"final":`...), b.Final[i])
	}
	v = append(v, '}')
	s.valBuf = v
	return v
}

// appendValue is engine.AppendJSON for a browser: big ints are text. Any is
// raw text from a record: what is no JSON goes as a string, so that one bad
// value cannot spoil its row.
func appendValue(dst []byte, c *engine.Column, i int32) []byte {
	if c.Type == engine.Any && !c.Null(i) {
		if raw := c.Strs[i]; !json.Valid([]byte(raw)) {
			return engine.AppendString(dst, raw)
		}
	}
	return engine.AppendJSON(dst, c, i, engine.ValueStyle{BigText: true})
}

// appendRow keeps a stream's row for this commit: only the newest MaxRows of
// a commit can be seen, the others are not written at all.
func (s *sink) appendRow(b *engine.Batch, i int32) {
	var key []byte
	if src := b.Src; src != nil {
		key = append(s.keyBuf[:0], src.Topic...)
		key = strconv.AppendInt(append(key, '/'), int64(src.Partition), 10)
		key = strconv.AppendInt(append(key, '/'), src.Offsets[i], 10)
	} else {
		s.counter++
		key = strconv.AppendInt(append(s.keyBuf[:0], 't'), int64(s.ctx.Task), 10)
		key = strconv.AppendInt(append(key, '/'), s.ctx.Now(), 10)
		key = strconv.AppendInt(append(key, '/'), s.counter, 10)
	}
	s.keyBuf = key
	v := s.row(b, i)
	if b.Time != nil {
		v = v[:len(v)-1]
		if len(v) > 1 {
			v = append(v, ',')
		}
		v = append(strconv.AppendInt(append(v, `"_time":`...), b.Time[i], 10), '}')
		s.valBuf = v
	}
	if len(s.newest) >= 2*s.view.MaxRows {
		s.newest = append(s.newest[:0], s.newest[s.view.MaxRows:]...)
	}
	s.newest = append(s.newest, s.record(string(key), v))
}

// admit keeps the number of rows of this partition at MaxKeys: a row beyond
// it is counted and left out, one that is already there may change.
func (s *sink) admit(key string, end, floor, now int64) bool {
	if _, ok := s.keys[key]; !ok && len(s.keys) >= s.view.MaxKeys {
		if s.swept == 0 || now-s.swept >= 1000 {
			s.swept = now
			maps.DeleteFunc(s.keys, func(_ string, e int64) bool { return e != 0 && e < floor })
		}
		if len(s.keys) >= s.view.MaxKeys {
			s.rest++
			s.ctx.Count("view_overflow", 1)
			return false
		}
	}
	s.keys[key] = end
	return true
}

// upsert keeps a row's newest value for Flush. A final row goes at once: none
// comes after it, and closing a large window should not pile up here.
func (s *sink) upsert(key string, value []byte, final bool, now int64) {
	if final {
		s.drop(key)
		s.write(key, value, now)
		return
	}
	s.hold(key, slices.Clone(value))
}

// delete keeps a tombstone for Flush.
func (s *sink) delete(key string) {
	delete(s.keys, key)
	s.hold(key, nil)
}

func (s *sink) hold(key string, value []byte) {
	s.drop(key)
	s.pending[key] = value
	s.held += len(key) + len(value)
}

func (s *sink) drop(key string) {
	if old, ok := s.pending[key]; ok {
		s.held -= len(key) + len(old)
		delete(s.pending, key)
	}
}

// write produces a row, or a tombstone.
func (s *sink) write(key string, value []byte, now int64) {
	s.recent[key] = now
	s.ctx.Produce(s.record(key, value))
}

// record copies a key and a value into the transaction's arena.
func (s *sink) record(key string, value []byte) engine.Record {
	r := engine.Record{Topic: s.view.Topic, Partition: engine.Partition(s.ctx.Task), Key: s.ctx.Arena(len(key))}
	copy(r.Key, key)
	if value != nil {
		r.Value = s.ctx.Arena(len(value))
		copy(r.Value, value)
	}
	return r
}

// Flush is called before each commit. It writes the rows whose last write is
// refresh ago or longer and all tombstones, a stream's newest rows, and once a
// second the task's mark.
func (s *sink) Flush(now int64, all bool, _ engine.Emit) error {
	if n := len(s.newest) - s.view.MaxRows; n > 0 {
		s.newest = s.newest[n:]
	}
	for _, r := range s.newest {
		s.ctx.Produce(r)
	}
	s.newest = s.newest[:0]
	s.release(now, all)
	if s.held > maxPending {
		s.release(now, true)
	}
	if s.markedAt == 0 || now-s.markedAt >= 1000 || now < s.markedAt {
		s.markedAt = now
		s.ctx.Produce(s.record(markKey(s.ctx.Task), s.mark(now).encode()))
	}
	return nil
}

// release writes what need not wait any longer, in the order of keys.
func (s *sink) release(now int64, all bool) {
	refresh := s.view.Refresh.Milliseconds()
	maps.DeleteFunc(s.recent, func(_ string, at int64) bool { return now-at >= refresh || now < at })
	for _, key := range slices.Sorted(maps.Keys(s.pending)) {
		value := s.pending[key]
		if _, wait := s.recent[key]; wait && value != nil && !all {
			continue
		}
		s.drop(key)
		s.write(key, value, now)
	}
}

func (s *sink) mark(now int64) mark {
	m := mark{Watermark: timePtr(s.ctx.Watermark()), Rest: s.rest, At: now}
	m.Ended = s.ctx.Watermark() == engine.MaxTime
	if s.ctx.Stats == nil {
		return m
	}
	st := s.ctx.Stats()
	m.LagRecords, m.Late, m.Dropped, m.Holding, m.Idle = st.LagRecords, st.Late, st.Dropped, st.Holding, st.Idle
	if w := timePtr(st.Watermark); w != nil && !st.Idle {
		m.LagMillis = max(0, now-*w)
	}
	return m
}

// Remember gives the rows held back: they were read and committed, but are
// not in the view yet.
func (s *sink) Remember() []byte {
	if len(s.pending) == 0 {
		return nil
	}
	var b []byte
	for _, key := range slices.Sorted(maps.Keys(s.pending)) {
		b = binary.AppendUvarint(b, uint64(len(key)))
		b = append(b, key...)
		b = binary.AppendUvarint(b, uint64(len(s.pending[key])))
		b = append(b, s.pending[key]...)
	}
	return b
}

// Recall takes back what Remember gave; also on a rollback.
func (s *sink) Recall(b []byte) error {
	clear(s.pending)
	s.held = 0
	for len(b) > 0 {
		key, rest, ok := takeBytes(b)
		if !ok {
			return errors.New("recall sse sink: the held rows are cut short")
		}
		value, rest, ok := takeBytes(rest)
		if !ok {
			return errors.New("recall sse sink: the held rows are cut short")
		}
		if value = slices.Clone(value); len(value) == 0 {
			value = nil
		}
		s.hold(string(key), value)
		b = rest
	}
	return nil
}

func takeBytes(b []byte) (field, rest []byte, ok bool) {
	n, w := binary.Uvarint(b)
	if w <= 0 || n > uint64(len(b)-w) {
		return nil, nil, false
	}
	return b[w : w+int(n)], b[w+int(n):], true
}

// Committed: what was produced is in the view.
func (s *sink) Committed() {}

// RolledBack: nothing since the last commit was written, the mark neither.
// The rows come again; they may go out at once.
func (s *sink) RolledBack() {
	clear(s.recent)
	s.newest = s.newest[:0]
	s.markedAt = 0
}

var (
	_ engine.Flusher    = (*sink)(nil)
	_ engine.Rememberer = (*sink)(nil)
	_ engine.Undoer     = (*sink)(nil)
)
