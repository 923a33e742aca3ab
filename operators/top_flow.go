package operators

import (
	"encoding/binary"
	"errors"
	"maps"
	"slices"

	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/operators/expr"
	"github.com/leatstream/leat/window"
)

// topper takes rows into the order of their groups, and sends what comes first.
type topper struct {
	spec       TopSpec
	ctx        *engine.Context
	windows    bool
	assign     window.Assigner // of an own window
	start, end int             // columns of the window, for same
	now, old   topSide
	topRows
	dirty    []*topGroup
	number   uint64 // of a stream's next row
	closedTo int64  // windows with an end at or before it are closed
	out      *rows
	final    int // column of Out, or -1
	cols     []engine.Column
	row      []byte
	place    []byte
	first    []topPlace
	stays    map[string]bool // ids that are among the first
}

// topSide evaluates the new rows or the old ones.
type topSide struct {
	spec  TopSpec
	by    *expr.Eval
	group *grouper
	col   *engine.Column // by
	ok    []bool         // per row
	split []int32
	key   []byte
	id    []byte
}

func (d *topSide) open(s TopSpec) {
	d.spec, d.by, d.group = s, s.By.New(), newGrouper(s.Group, groupSchema(s.Group, s.In))
}

// rows evaluates rows and tells which have gone well in d.ok.
func (d *topSide) rows(b *engine.Batch, in []engine.Column, sel []int32, bad func(int32, error) error) (nulls int, err error) {
	// A row without a group is dropped, whatever else is wrong with it.
	if sel, nulls, err = d.group.rows(b, in, sel, bad); err != nil {
		return 0, err
	}
	if d.col, sel, err = d.by.Column(b, in, sel, bad); err != nil {
		return 0, err
	}
	d.ok = reset(d.ok, b.N)
	for _, i := range sel {
		d.ok[i] = true
	}
	return nulls, nil
}

// groupKey is the key of row i's group, in the window [start, end) if there are
// windows.
func (d *topSide) groupKey(i int32, windows bool, start, end int64) string {
	if !windows {
		return d.group.keys[i]
	}
	d.key = binary.BigEndian.AppendUint64(d.key[:0], uint64(end)^1<<63)
	d.key = binary.BigEndian.AppendUint64(d.key, uint64(start)^1<<63)
	d.key = append(d.key, d.group.keys[i]...)
	return view(d.key)
}

// keyOf is the id of row i, without a stream's number.
func (d *topSide) keyOf(in []engine.Column, i int32) []byte {
	d.id = d.id[:0]
	for _, c := range d.spec.Key {
		d.id = appendOrdered(d.id, &in[c], i, false)
	}
	return d.id
}

// Process takes in one batch.
func (t *topper) Process(b *engine.Batch, _ engine.Emit) error {
	bad := func(row int32, err error) error { return t.ctx.Bad(engine.StageExpression, b, row, err) }
	if t.spec.TableInput != (b.Op != nil) {
		return errors.New("a top over a stream got changes of a table, or one over a table a stream")
	}
	news := b.Sel
	if b.Op != nil {
		news = changed(b, engine.Delete, &t.now.split)
		// An old row that fails was never in the order.
		quiet := func(int32, error) error { return nil }
		if _, err := t.old.rows(b, b.Old, changed(b, engine.Insert, &t.old.split), quiet); err != nil {
			return err
		}
	}
	nulls, err := t.now.rows(b, b.Cols, news, bad)
	if err != nil {
		return err
	}
	if nulls > 0 {
		t.ctx.Count("null_keys", nulls)
	}
	for _, i := range b.Sel {
		switch {
		case b.Op != nil:
			err = t.change(b, i)
		case t.now.ok[i]:
			err = t.streamRow(b, i)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// change takes in a change of a table.
func (t *topper) change(b *engine.Batch, i int32) error {
	isNew, wasOld := t.now.ok[i] && b.Op[i] != engine.Delete, t.old.ok[i] && b.Op[i] != engine.Insert
	var key, oldKey string
	if isNew {
		key = t.now.groupKey(i, t.windows, t.bound(b.Cols, t.start, i), t.bound(b.Cols, t.end, i))
		t.now.keyOf(b.Cols, i)
	}
	if wasOld {
		oldKey = t.old.groupKey(i, t.windows, t.bound(b.Old, t.start, i), t.bound(b.Old, t.end, i))
		t.old.keyOf(b.Old, i)
	}
	if wasOld && !(isNew && key == oldKey && string(t.now.id) == string(t.old.id)) {
		if err := t.delete(oldKey, view(t.old.id), b.Time[i]); err != nil {
			return err
		}
	}
	if !isNew {
		return nil
	}
	if t.windows && t.bound(b.Cols, t.end, i) <= t.closedTo {
		return t.late(b, i)
	}
	return t.upsert(b, i, key, view(t.now.id))
}

func (t *topper) bound(cols []engine.Column, c int, i int32) int64 {
	if !t.windows || cols[c].Null(i) {
		return 0
	}
	return cols[c].Ints[i]
}

func (t *topper) late(b *engine.Batch, i int32) error {
	return t.ctx.Bad(engine.StageLate, b, i, errLate)
}

// streamRow takes in a row of a stream, into each of its windows.
func (t *topper) streamRow(b *engine.Batch, i int32) error {
	id := binary.BigEndian.AppendUint64(t.now.keyOf(b.Cols, i), t.number)
	t.now.id = id
	t.number++
	if t.assign == nil {
		start, end := t.bound(b.Cols, t.start, i), t.bound(b.Cols, t.end, i)
		if t.windows && end <= t.closedTo {
			return t.late(b, i)
		}
		return t.offer(b, i, t.now.groupKey(i, t.windows, start, end), view(id))
	}
	at := b.Time[i]
	if at > maxTimeMs || at < -maxTimeMs {
		return t.ctx.Bad(engine.StageEventTime, b, i, errFarTime)
	}
	byOrigin := window.Behind(rowOrigin(b, i), t.spec.Window.Grace)
	horizon := max(byOrigin, t.closedTo)
	if last := t.assign.LastEnd(at); last <= horizon {
		if last > byOrigin {
			t.ctx.Count("late_after_idle", 1)
		}
		return t.late(b, i)
	}
	partly := false
	for end := range window.Ends(t.assign, at) {
		if end <= horizon {
			partly = true
			continue
		}
		if err := t.offer(b, i, t.now.groupKey(i, true, t.assign.Start(end), end), view(id)); err != nil {
			return err
		}
	}
	if partly {
		t.ctx.Count("late_partly", 1)
	}
	return nil
}

// placeOf is the place of row i, with id, and the length of its first part.
func (t *topper) placeOf(i int32, id string) (by int) {
	t.place = appendOrdered(t.place[:0], t.now.col, i, !t.spec.Ascending)
	by = len(t.place)
	t.place = append(t.place, id...)
	return by
}

// offer takes a stream's row in where it is among the first.
func (t *topper) offer(b *engine.Batch, i int32, key, id string) error {
	by := t.placeOf(i, id)
	g := t.topRows.group(key)
	if g.order.n >= t.spec.K {
		last := g.order.at(t.spec.K - 1)
		if t.spec.Ties {
			last = last[:t.byLen(last)]
			if string(t.place[:by]) > last {
				return nil
			}
		} else if string(t.place) > last {
			return nil
		}
	}
	if err := t.keep(b, i, g, id, by); err != nil {
		return err
	}
	for g.order.n > t.spec.K {
		last := g.order.at(g.order.n - 1)
		kth := g.order.at(t.spec.K - 1)
		cut := t.byLen(last)
		if t.spec.Ties && last[:cut] == kth[:t.byLen(kth)] {
			break
		}
		if err := t.delete(g.key, last[cut:], b.Time[i]); err != nil {
			return err
		}
	}
	return nil
}

// byLen is the length of the first part of a place.
func (t *topper) byLen(s string) int { return orderedLen(s, t.spec.By.Type(), !t.spec.Ascending) }

// upsert takes in a table's row.
func (t *topper) upsert(b *engine.Batch, i int32, key, id string) error {
	by := t.placeOf(i, id)
	return t.keep(b, i, t.topRows.group(key), id, by)
}

// keep stores row i, whose place is t.place.
func (t *topper) keep(b *engine.Batch, i int32, g *topGroup, id string, by int) error {
	e, _, err := t.get(g.key, id, false)
	if err != nil {
		return err
	}
	t.row = appendRow(t.row[:0], b.Cols, i)
	if e.has && e.by == string(t.place[:by]) && e.row == string(t.row) {
		return nil // an unchanged row is not sent
	}
	if !e.has || e.by != string(t.place[:by]) {
		if e.has {
			t.remove(g, e.by+id)
		}
		t.insert(g, string(t.place))
	}
	e.has, e.by, e.row, e.time, e.stamp = true, view(t.place[:by]), view(t.row), b.Time[i], rowStamp(b, i)
	if err := t.put(g.key, id, &e); err != nil {
		return err
	}
	t.touch(g, b.Time[i])
	return nil
}

// delete takes a row out; it stays in the store until that has been sent.
func (t *topper) delete(key, id string, time int64) error {
	g := t.groups[key]
	if g == nil {
		return nil
	}
	e, _, err := t.get(key, id, false)
	if err != nil || !e.has {
		return err
	}
	t.remove(g, e.by+id)
	e.has, e.by, e.row = false, "", ""
	if err := t.put(g.key, id, &e); err != nil {
		return err
	}
	t.touch(g, time)
	return nil
}

func (t *topper) touch(g *topGroup, time int64) {
	g.time = max(g.time, time)
	if !g.dirty && !t.spec.Closes() {
		g.dirty = true
		t.dirty = append(t.dirty, g)
	}
}

// Advance closes the windows that the watermark has passed.
func (t *topper) Advance(w int64, budget *engine.Budget, out engine.Emit) (int64, bool, error) {
	if !t.windows {
		return w, true, nil
	}
	limit := window.Behind(w, t.spec.Window.Grace)
	t.closedTo = max(t.closedTo, limit)
	for _, end := range slices.Sorted(maps.Keys(t.ends)) {
		if end > limit {
			break
		}
		for _, key := range slices.Sorted(maps.Keys(t.ends[end])) {
			left, err := t.closeGroup(t.groups[key], budget, out)
			if err == nil && !left {
				err = t.out.flush(out)
				return engine.MinTime, false, err
			}
			if err != nil {
				return engine.MinTime, false, err
			}
		}
	}
	return limit, true, t.out.flush(out)
}

// closeGroup sends what is to be sent of a group whose window closes, and
// forgets it. It tells whether anything of the budget is left.
func (t *topper) closeGroup(g *topGroup, budget *engine.Budget, out engine.Emit) (left bool, err error) {
	left = true
	if t.spec.Closes() {
		t.out.b.ClosedByIdle = t.ctx.Idle()
		for _, p := range t.places(g) {
			e, ok, err := t.get(g.key, p.id, true)
			if err == nil && !ok {
				err = errTopRow
			}
			if err != nil {
				return false, err
			}
			i, err := t.out.next(out, engine.Insert, g.end-1, e.stamp, engine.MinTime)
			if err != nil {
				return false, err
			}
			if err := t.fill(t.out.b.Cols, i, g, e.row, p.rank); err != nil {
				return false, err
			}
			left = budget.Take(64 + len(e.row))
		}
	} else {
		if err := t.send([]*topGroup{g}, out); err != nil {
			return false, err
		}
		left = budget.Take(64)
	}
	g.order.each(func(s string) bool {
		err = t.store.remove(t.at(g.key, s[t.byLen(s):]))
		return err == nil
	})
	for _, id := range g.sent {
		if err == nil {
			err = t.store.remove(t.at(g.key, id))
		}
	}
	g.dirty = false
	t.topRows.close(g)
	return left, err
}

// topPlace is a row among the first.
type topPlace struct {
	id   string
	rank int64
}

// places are the rows of a group that come first, with their ranks.
func (t *topper) places(g *topGroup) []topPlace {
	t.first = t.first[:0]
	var by string
	rank := int64(0)
	g.order.each(func(s string) bool {
		cut := t.byLen(s)
		n := int64(len(t.first))
		if !t.spec.Ties || n == 0 || s[:cut] != by {
			rank, by = n+1, s[:cut]
			if rank > int64(t.spec.K) {
				return false
			}
		}
		t.first = append(t.first, topPlace{s[cut:], rank})
		return true
	})
	return t.first
}

// fill writes a row of the result.
func (t *topper) fill(cols []engine.Column, i int32, g *topGroup, row string, rank int64) error {
	for c, f := range t.spec.In.Fields {
		t.cols[c].Reset(f.Type, 1)
	}
	if rest, ok := readRow(row, t.cols, 0, 1); !ok || rest != "" {
		return errTopRow
	}
	last := len(cols) - 1
	for c, from := range t.spec.From {
		switch {
		case from >= 0:
			copyCell(&cols[c], i, rowsPerBatch, &t.cols[from], 0)
		case c == last:
			cols[c].Ints[i] = rank
		case c == last-1:
			cols[c].Ints[i] = g.end
		default:
			cols[c].Ints[i] = int64(u64(g.key[8:]) ^ 1<<63)
		}
	}
	return nil
}

// Flush sends the changes since the last commit.
func (t *topper) Flush(_ int64, _ bool, out engine.Emit) error {
	// Those whose window has closed are clean.
	t.dirty = slices.DeleteFunc(t.dirty, func(g *topGroup) bool { return !g.dirty })
	if err := t.send(t.dirty, out); err != nil {
		return err
	}
	for _, g := range t.dirty {
		if g.order.n == 0 && len(g.sent) == 0 {
			t.topRows.close(g)
		}
	}
	clear(t.dirty)
	t.dirty = t.dirty[:0]
	return t.out.flush(out)
}

// Committed keeps what has changed.
func (t *topper) Committed() { t.topRows.committed() }

// RolledBack makes the order what it was at the last commit.
func (t *topper) RolledBack() {
	clear(t.dirty)
	t.dirty = t.dirty[:0]
	t.topRows.rolledBack()
}

// Recovered makes the order anew.
func (t *topper) Recovered() error {
	t.dirty = t.dirty[:0]
	return t.topRows.recovered(!t.spec.TableInput, func(by string) bool { return t.byLen(by) == len(by) })
}

// Remember is the time that has passed, and a stream's next number.
func (t *topper) Remember() []byte {
	return binary.AppendUvarint(binary.AppendVarint([]byte{1}, t.closedTo), t.number)
}

// Recall reads what Remember wrote.
func (t *topper) Recall(b []byte) error {
	if len(b) > 0 && b[0] == 1 {
		if closedTo, n := binary.Varint(b[1:]); n > 0 {
			if number, m := binary.Uvarint(b[1+n:]); m > 0 && 1+n+m == len(b) {
				t.closedTo, t.number = closedTo, number
				return nil
			}
		}
	}
	return errors.New("what a top remembered does not decode")
}
