package operators

import (
	"math"

	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/state"
	"github.com/leatstream/leat/window"
	"github.com/leatstream/leat/window/aggregate"
)

// counter is the aggregate over count windows: the last rows of a key, by
// arrival. It is a hopping window over the numbers of rows, so rows are folded
// in parts of gcd(size, advance), in a ring.
//
//	row     0 1 2 3 4 5 6 7 8 9       size 6, advance 4
//	part    [0] [1] [2] [3] [4]       of 2 rows
//	result        ^ of 0-3    ^ of 2-7
//
// The result at the last multiple of advance is made when it is sent, so the
// ring has room for the rows that came behind it: another advance.
type counter struct {
	*follow
	size, every, part int64
	ring              int64 // parts
	panes             []*state.Pane
	ttl               int64 // ms; 0: keys live for ever
	head, sent        *state.Pane
	acc               []uint64
	scratch           aggregate.Scratch
}

// The words of a key's head, which is in the pane of MaxTime.
// With a ttl the last word is the time of its newest row.
const (
	headRows = 0 // that have come
	headSent = 1 // that had come as of the result that was sent last; headAnew
)

// headAnew is in place of headSent where the result that was sent last is of
// rows which are forgotten.
const headAnew = math.MaxUint64

func countStore(name string, s AggregateSpec) state.Spec {
	f := state.FamilySpec{Words: accHead}
	for _, a := range s.Aggregates {
		for _, w := range a.Fn.Blobs() {
			f.Blobs = append(f.Blobs, f.Words+w)
		}
		f.Words += a.Fn.Words()
	}
	format := "count/1"
	if s.TTL > 0 {
		f.Words++
		format = "count/1 ttl"
	}
	spec := state.Spec{Name: name, Fingerprint: s.print(format, true)}
	spec.Families = [2]state.FamilySpec{f, f}
	return spec
}

// CountParts is in how many parts the rows of a key are folded.
func CountParts(w window.Spec) int64 {
	_, parts := countParts(w.Count, max(1, w.Every))
	return parts
}

func countParts(size, every int64) (rows, parts int64) {
	rows = size
	for b := every; b > 0; {
		rows, b = b, rows%b
	}
	return rows, (size + every) / rows
}

func newCounter(spec AggregateSpec) func(*engine.Context) (engine.Operator, error) {
	return func(ctx *engine.Context) (engine.Operator, error) {
		spec.Update = true
		c := &counter{size: spec.Window.Count, every: max(1, spec.Window.Every)}
		f, err := newFollow(ctx, spec, c, false)
		if err != nil {
			return nil, err
		}
		f.forever = true
		if c.ttl = spec.TTL.Milliseconds(); c.ttl > 0 {
			f.outlive = c.outlive
		}
		c.part, c.ring = countParts(c.size, c.every)
		c.follow, c.acc = f, make([]uint64, f.fold.words)
		c.panes = make([]*state.Pane, c.ring)
		c.scratch.Base = f.table
		return c, nil
	}
}

func (c *counter) take(b *engine.Batch, i int32, slot state.Slot, _ engine.Emit) error {
	c.open()
	head, _ := c.head.Write(slot)
	if c.ttl > 0 && head[headRows] > 0 && reached(b, i) > after(int64(head[len(head)-1]), c.ttl) {
		was := head[headSent]
		c.drop(slot)
		if head, _ = c.head.Write(slot); was > 0 {
			head[headSent] = headAnew
		}
	}
	n := int64(head[headRows])
	at := n / c.part % c.ring
	if c.panes[at] == nil {
		c.panes[at] = c.table.Open(state.Panes, at)
	}
	p := c.panes[at]
	if n%c.part == 0 {
		p.Remove(slot) // of a turn ago
	}
	acc, _ := p.Write(slot)
	if err := c.fold.row(acc, c.now.arguments, i, false, c.table); err != nil {
		return c.ctx.Bad(engine.StageAggregate, b, i, err)
	}
	if acc[accRows] == 0 || b.Time[i] > int64(acc[accTime]) {
		acc[accTime] = uint64(b.Time[i])
	}
	acc[accRows]++
	head, _ = c.head.Write(slot)
	head[headRows]++
	if c.ttl > 0 {
		newest := &head[len(head)-1]
		if n == 0 || b.Time[i] > int64(*newest) {
			*newest = uint64(b.Time[i])
		}
		c.due.set(after(int64(*newest), c.ttl), slot)
	}
	c.await(slot)
	return nil
}

func (c *counter) open() {
	if c.head == nil {
		c.head = c.table.Open(state.Panes, engine.MaxTime)
	}
}

// drop forgets the rows of a key.
func (c *counter) drop(slot state.Slot) {
	for at := range c.ring {
		if p := c.table.Pane(state.Panes, at); p != nil {
			p.Remove(slot)
		}
	}
	c.head.Remove(slot)
}

// outlive deletes the keys whose ttl is over, downstream too.
func (c *counter) outlive(w int64, budget *engine.Budget, out engine.Emit) (int64, bool, error) {
	if w == engine.MaxTime {
		return w, true, nil // the end of the input is no time that passes
	}
	c.open()
	c.out.begin(out, false)
	done, err := c.due.expire(w, func(slot state.Slot) (end int64, there bool) {
		head := c.head.Read(slot)
		if head == nil {
			return 0, false
		}
		return after(int64(head[len(head)-1]), c.ttl), true
	}, func(slot state.Slot, end int64) (more bool, err error) {
		c.drop(slot)
		err = c.unsend(slot, end)
		return budget.Take(c.out.rowBytes()), err
	})
	if err != nil {
		return 0, false, err
	}
	if !done { // the next call goes on: what is due still is
		w = engine.MinTime
	}
	return w, done, c.out.flush()
}

// unsend deletes downstream what had been sent of a key, at time t.
func (c *counter) unsend(slot state.Slot, t int64) error {
	c.openSent()
	acc := c.sent.Read(slot)
	if acc == nil {
		return nil
	}
	err := c.out.row(c.table.Key(slot), &outcome{stamp: t, acc: acc, heap: c.table}, nil, false)
	c.sent.Remove(slot)
	return err
}

func (c *counter) openSent() {
	if c.sent == nil {
		c.sent = c.table.Open(state.Sent, engine.MaxTime)
	}
}

// at is how many rows had come at the last result, 0 for none.
func (c *counter) at(head []uint64) int64 {
	n := int64(head[headRows]) / c.every * c.every
	if c.spec.Window.Full && n < c.size {
		return 0
	}
	return n
}

func (c *counter) update(slot state.Slot) error {
	c.open()
	head := c.head.Read(slot)
	if head == nil {
		return nil
	}
	n := c.at(head)
	if uint64(n) == head[headSent] {
		return nil
	}
	if n == 0 { // anew, and not enough rows yet
		head, _ = c.head.Write(slot)
		head[headSent] = 0
		return c.unsend(slot, int64(head[len(head)-1]))
	}
	c.scratch.Reset()
	clear(c.acc)
	for from := max(0, n-c.size); from < n; from += c.part {
		p := c.panes[from/c.part%c.ring]
		if p == nil {
			if p = c.table.Pane(state.Panes, from/c.part%c.ring); p == nil {
				continue
			}
			c.panes[from/c.part%c.ring] = p
		}
		if acc := p.Read(slot); acc != nil {
			if err := c.fold.merge(c.acc, acc, &c.scratch); err != nil {
				return c.overflowed(slot, err)
			}
		}
	}
	c.openSent()
	var was *outcome
	if acc := c.sent.Read(slot); acc != nil {
		was = &outcome{stamp: int64(acc[accTime]), acc: acc, heap: c.table}
	}
	if err := c.out.row(c.table.Key(slot), was, &outcome{stamp: int64(c.acc[accTime]), acc: c.acc, heap: &c.scratch}, false); err != nil {
		return err
	}
	to, _ := c.sent.Write(slot)
	c.fold.keep(to, c.acc, c.table, &c.scratch)
	head, _ = c.head.Write(slot)
	head[headSent] = uint64(n)
	return nil
}

// overflowed reports a result whose parts fit one by one and not together; the
// one before stays.
func (c *counter) overflowed(slot state.Slot, err error) error {
	head, _ := c.head.Write(slot)
	head[headSent] = uint64(c.at(head))
	b, i := c.out.failed(c.table.Key(slot), &outcome{end: int64(c.acc[accTime])})
	return c.ctx.Bad(engine.StageAggregate, b, i, err)
}

func (c *counter) unsent(slot state.Slot) bool {
	c.open()
	head := c.head.Read(slot)
	return head != nil && uint64(c.at(head)) != head[headSent]
}

func (c *counter) forget() {
	c.head, c.sent = nil, nil
	clear(c.panes)
}

// Nothing closes.
func (*counter) ahead([]dueSlot) {}

func (c *counter) closings(state.Slot, int64, int64) (int64, error) { return engine.MaxTime, nil }
func (c *counter) emit(*closing) error                              { return nil }
func (c *counter) passed(int64, bool)                               {}
