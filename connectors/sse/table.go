package sse

import (
	"bytes"
	"container/heap"
	"encoding/json"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/leatstream/leat/engine"
)

// table is a view's rows in memory: the newest value of every key, in the
// order of their last change. It is told the time and holds no lock; the view
// around it does.
//
//	oldest change ──────────────────────────────▶ newest change
//	[k7 v12] [k2 v31] [k9 †v40] [k1 v58] [k4 v61]          version 61
//	                            └─ what a client at version 40 lacks
//
// Version counts changes of this table, so a client's backlog is a suffix of
// the list: being slow costs no memory. A deleted key stays as a tombstone (†)
// for the resume window; what expires leaves none, as clients apply the same
// rule (floor).
type table struct {
	spec engine.ViewSpec

	rows     map[string]*row
	list     row // sentinel of the ring: list.next is the oldest change
	live     int // rows that are no tombstones
	version  uint64
	forgot   uint64  // the newest version whose tombstone is gone: deltas from before it are impossible
	pos      []int64 // next offset, per partition
	horizon  []int64 // per partition: cursors below it may have missed a forgotten tombstone
	fresh    []bool  // per partition: a record within the resume window was read
	dead     []tomb  // tombstones, oldest first
	marks    []mark  // per task; At 0: not heard
	floor    int64   // window_end below it is gone; only grows
	expiring endHeap
	streams  []ring // per partition, for streams: keys in offset order
	changes  int64  // rows changed since the last frame, for the count of conflated ones
	bad      int64  // records that are no rows
}

// row is one key's newest state. value and key never change in place: frames
// share them.
type row struct {
	key        string
	value      []byte // JSON object; nil: tombstone
	part       int32
	off        int64
	version    uint64
	end        int64 // window_end, epoch ms
	at         int64 // append time of the record, epoch ms
	heap       int   // place in expiring, -1: none
	prev, next *row
}

// tomb remembers when a row became a tombstone.
type tomb struct {
	row     *row
	version uint64
}

// ring is a queue of a stream partition's rows.
type ring []struct {
	key string
	off int64
}

func newTable(spec engine.ViewSpec) *table {
	t := &table{spec: spec, rows: map[string]*row{}, floor: engine.MinTime, marks: make([]mark, spec.Tasks)}
	t.list.prev, t.list.next = &t.list, &t.list
	t.grow(max(1, spec.Tasks))
	return t
}

// grow makes room for n partitions, each a task's: where the spec does not say
// how many tasks there are, every partition must have told its time.
func (t *table) grow(n int) {
	for t.spec.Tasks == 0 && len(t.marks) < n {
		t.marks = append(t.marks, mark{})
	}
	for len(t.pos) < n {
		t.pos = append(t.pos, 0)
		t.horizon = append(t.horizon, 0)
		t.fresh = append(t.fresh, false)
		t.streams = append(t.streams, nil)
	}
}

// apply takes what a fetch brought. now is epoch ms. Bytes are copied: the
// fetch is gone after the call.
func (t *table) apply(rows []*engine.Rows, pos map[engine.Partition]engine.Offset, now int64) {
	for _, r := range rows {
		t.grow(int(r.Partition) + 1)
		for i := range r.Offsets {
			at := now
			if i < len(r.Times) && r.Times[i] > 0 {
				at = r.Times[i]
			}
			t.record(int32(r.Partition), r.Offsets[i], at, now, string(r.Keys[i]), r.Values[i])
			t.pos[r.Partition] = r.Offsets[i] + 1
		}
	}
	for p, o := range pos {
		t.grow(int(p) + 1)
		t.pos[p] = max(t.pos[p], int64(o))
	}
}

func (t *table) record(part int32, off, at, now int64, key string, value []byte) {
	old := at < now-t.spec.ResumeWindow.Milliseconds()
	switch {
	case old:
		// The log may have been compacted below an old record, and tombstones
		// with it: who has seen less than this cannot resume.
		t.horizon[part] = max(t.horizon[part], off+1)
	case !t.fresh[part]:
		// The same for the hole before the first record that is recent.
		t.fresh[part] = true
		t.horizon[part] = max(t.horizon[part], off)
	}
	if strings.HasPrefix(key, markPrefix) {
		t.mark(key, value)
		return
	}
	r := t.rows[key]
	if value == nil {
		if r != nil && (r.value == nil || r.part != part) {
			return // gone already, or the key has moved to another partition
		}
		if r == nil {
			if old {
				return
			}
			r = t.insert(key)
		} else {
			t.live--
			t.unexpire(r)
		}
		t.bury(r, part, off, at)
		return
	}
	value = flat(value)
	if value == nil {
		t.bad++
		return
	}
	var end int64
	if t.spec.Windowed {
		var ok bool
		if end, ok = intField(value, "window_end"); !ok {
			t.bad++
			return
		}
		if end < t.floor {
			return
		}
	}
	if r == nil {
		r = t.insert(key)
		t.live++
	} else if r.value == nil {
		t.live++
	}
	r.value, r.part, r.off, r.at = value, part, off, at
	if t.spec.Windowed && (r.heap < 0 || r.end != end) {
		t.unexpire(r)
		r.end = end
		heap.Push(&t.expiring, r)
	}
	t.touch(r)
	if t.spec.Stream {
		t.evict(part, off, at, key)
	}
}

// flat copies a row and takes raw line ends out of it, so that it is one line
// of an event stream. Between the tokens of JSON they are white space, and
// inside a string they would not be valid. Text that is not UTF-8 would end a
// client's stream. It gives nil for what is no object.
func flat(value []byte) []byte {
	if !json.Valid(value) || value[skipSpace(value, 0)] != '{' {
		return nil
	}
	if utf8.Valid(value) {
		value = bytes.Clone(value)
	} else {
		value = bytes.ToValidUTF8(value, []byte("\uFFFD"))
	}
	value = bytes.TrimSpace(value)
	for i, c := range value {
		if c == '\n' || c == '\r' {
			value[i] = ' '
		}
	}
	return value
}

// mark keeps what a task says about itself.
func (t *table) mark(key string, value []byte) {
	task, m, ok := parseMark(key, value)
	if !ok || task >= 1<<16 {
		t.bad++
		return
	}
	for len(t.marks) <= task {
		t.marks = append(t.marks, mark{})
	}
	t.marks[task] = m
	t.expire(floorOf(t.watermark(), t.spec))
}

// expire raises the floor: windows that end below it are gone.
func (t *table) expire(floor int64) {
	if floor <= t.floor {
		return
	}
	t.floor = floor
	for len(t.expiring) > 0 && t.expiring[0].end < floor {
		r := t.expiring[0]
		t.unexpire(r)
		t.remove(r)
		t.live--
	}
}

// watermark is how far the whole view is complete: the minimum over its
// tasks, MinTime until each has been heard.
func (t *table) watermark() int64 {
	w := engine.MaxTime
	for _, m := range t.marks {
		if m.At == 0 {
			return engine.MinTime
		}
		w = min(w, m.watermark())
	}
	return w
}

// evict drops a stream partition's oldest row beyond MaxRows. The tombstone
// stands at the record that pushed it out, so every node agrees on it.
func (t *table) evict(part int32, off, at int64, key string) {
	q := append(t.streams[part], struct {
		key string
		off int64
	}{key, off})
	if len(q) > t.spec.MaxRows {
		oldest := q[0]
		if r := t.rows[oldest.key]; r != nil && r.value != nil && r.off == oldest.off {
			t.live--
			t.bury(r, part, off, at)
		}
		q = q[1:]
	}
	t.streams[part] = q
}

// bury makes r a tombstone.
func (t *table) bury(r *row, part int32, off, at int64) {
	r.value, r.part, r.off, r.at = nil, part, off, at
	t.touch(r)
	t.dead = append(t.dead, tomb{r, r.version})
}

// forget drops tombstones older than the resume window and remembers that
// clients from before them need a snapshot. now is epoch ms.
func (t *table) forget(now int64) {
	limit := now - t.spec.ResumeWindow.Milliseconds()
	for len(t.dead) > 0 && (t.dead[0].stale() || t.dead[0].row.at < limit) {
		if d := t.dead[0]; !d.stale() {
			t.forgot = max(t.forgot, d.version)
			t.horizon[d.row.part] = max(t.horizon[d.row.part], d.row.off+1)
			t.remove(d.row)
		}
		t.dead = t.dead[1:]
	}
}

// stale tells that the row has changed again since.
func (d tomb) stale() bool { return d.row.version != d.version }

// since copies the rows changed after version v, oldest change first; ok is
// false where that needs a snapshot: tombstones are forgotten.
func (t *table) since(v uint64) (rows []row, ok bool) {
	if v < t.forgot {
		return nil, false
	}
	for r := t.list.prev; r != &t.list && r.version > v; r = r.prev {
		rows = append(rows, *r)
	}
	slices.Reverse(rows)
	return rows, true
}

// above copies the rows at or above a cursor's offsets. reason is "" or why a
// snapshot is needed.
func (t *table) above(vector []int64) (rows []row, reason string) {
	for p, o := range vector {
		switch {
		case o < t.horizon[p]:
			return nil, reasonTooOld
		case o > t.pos[p]:
			return nil, reasonAhead
		}
	}
	for r := t.list.next; r != &t.list; r = r.next {
		if r.off >= vector[r.part] {
			rows = append(rows, *r)
		}
	}
	return rows, ""
}

// all copies the live rows, oldest change first.
func (t *table) all() []row {
	rows := make([]row, 0, t.live)
	for r := t.list.next; r != &t.list; r = r.next {
		if r.value != nil {
			rows = append(rows, *r)
		}
	}
	return rows
}

func (t *table) insert(key string) *row {
	r := &row{key: key, heap: -1}
	r.prev, r.next = r, r
	t.rows[key] = r
	return r
}

// touch makes r the newest change.
func (t *table) touch(r *row) {
	t.version++
	t.changes++
	r.version = t.version
	r.prev.next, r.next.prev = r.next, r.prev
	r.prev, r.next = t.list.prev, &t.list
	r.prev.next, t.list.prev = r, r
}

func (t *table) remove(r *row) {
	r.prev.next, r.next.prev = r.next, r.prev
	delete(t.rows, r.key)
}

func (t *table) unexpire(r *row) {
	if r.heap >= 0 {
		heap.Remove(&t.expiring, r.heap)
	}
}

// endHeap orders rows by window_end.
type endHeap []*row

func (h endHeap) Len() int           { return len(h) }
func (h endHeap) Less(i, j int) bool { return h[i].end < h[j].end }
func (h endHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i]; h[i].heap, h[j].heap = i, j }

// Push is heap's.
func (h *endHeap) Push(x any) { r := x.(*row); r.heap = len(*h); *h = append(*h, r) }

// Pop is heap's.
func (h *endHeap) Pop() any {
	old := *h
	r := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	r.heap = -1
	return r
}
