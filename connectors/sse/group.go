package sse

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// group is the clients of a view that share a filter, so that each frame is
// encoded once for all of them.
//
// A client is at a version of the table. Its next frame is
//
//	the newest one       if it begins at or before the client's version
//	one from its version if it fell behind: only the newest value of each row
//	                     that changed meanwhile (conflation)
//	a snapshot           if that is more than half of the table
//
// A frame may repeat rows that a client has: rows replace each other.
//
// Where an expression decides which rows a client sees, or rows change by
// patches, the group holds the rows that its clients have (held.go), and all
// that it writes is of the last tick's version. Under a right nothing is told
// of rows that are not held, not even a key or an offset: who falls behind
// gets a snapshot, and a cursor is a digest of the rows, good only where
// nothing has changed.
type group struct {
	view    *view
	table   *table // the view's when the group began: after a reset the old one, which stays as it is
	epoch   string
	filter  filter
	clients int       // under view.mu
	idle    time.Time // since when there are no clients; under view.mu

	beat atomic.Pointer[beat]

	mu      sync.Mutex        // one encodes, the others wait; taken before view.mu
	snap    *frame            // at or after the last tick; nil: none yet
	behind  map[uint64]*frame // by the version it begins at, since the last tick
	resumes map[string]*frame // by cursor, since the last tick
	held    *held             // nil: not needed
	head    head              // held's
}

// beat is the state a group's clients wait for; immutable.
type beat struct {
	version uint64
	frame   *frame // the newest; nil: none
	mark    *block // nil: none yet
	seq     uint64 // the mark's number
	cursor  *block // id block at this version
	next    chan struct{}
}

// maxResumes bounds the cursors whose frames are kept between two ticks.
// Clients that lose one node together have few different cursors.
const maxResumes = 64

// news is what a tick has for each group.
type news struct {
	rows   []row // that changed since from, or all where fits is false
	fits   bool  // false: no delta from that version can be made
	from   uint64
	head   head
	mark   *block // nil: none this time
	status status // that mark was made of
	seq    uint64
}

// publish makes the next beat; called by the view's frame goroutine.
func (g *group) publish(n news) {
	g.mu.Lock()
	old := g.beat.Load()
	b := &beat{version: n.head.version, frame: old.frame, mark: old.mark, seq: old.seq, next: make(chan struct{})}
	if n.head.version > n.from {
		g.behind, g.resumes, b.frame = nil, nil, nil
		if g.held == nil && n.fits {
			b.frame = g.delta(split(n.rows, g.filter), n.from, n.head, false)
		}
		if g.snap != nil && g.snap.to < n.head.version {
			g.snap = nil
		}
	}
	if g.held != nil {
		n.head, b.frame = g.advance(n, b.frame)
	}
	if n.mark != nil {
		b.mark, b.seq = g.markOf(n), n.seq
	}
	b.cursor = cursorBlock(n.head.cursor)
	g.beat.Store(b)
	g.mu.Unlock()
	close(old.next)
}

// advance brings what the group holds to a tick's version. last is the frame
// before, which stays the newest where the version does.
func (g *group) advance(n news, last *frame) (head, *frame) {
	g.begin()
	if !n.fits {
		g.held = newHeld(n.rows)
		g.held.begin(g.filter)
		g.head = n.head.under(g.filter, g.held.sum, g.epoch)
		return g.head, nil
	}
	from := g.head.version
	sum := g.held.sum
	c := g.held.apply(n.rows, g.filter, n.head.floor)
	g.head = n.head.under(g.filter, g.held.sum, g.epoch)
	if g.held.sum != sum {
		g.snap, g.resumes = nil, nil // windows may go without a new version
	}
	if n.head.version > from {
		last = g.delta(c, from, g.head, false)
	}
	return g.head, last
}

// begin looks at the rows that were there when the group began.
func (g *group) begin() {
	if g.held.fill == nil {
		return
	}
	g.held.begin(g.filter)
	g.head = g.head.under(g.filter, g.held.sum, g.epoch)
}

// markOf is the mark as this group's clients may see it: under a right it
// counts their rows only.
func (g *group) markOf(n news) *block {
	if g.filter.right == nil {
		return n.mark
	}
	s := n.status
	s.Rows, s.Rest = len(g.held.rows), 0
	return markBlock(s)
}

// markNow is the newest mark, or where there was none yet, one made now.
func (g *group) markNow() *block {
	if b := g.beat.Load(); b.mark != nil {
		return b.mark
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	v := g.view
	v.mu.Lock()
	s := v.status(g.table)
	v.mu.Unlock()
	return g.markOf(news{status: s, mark: markBlock(s)})
}

// from gives the frame for a client at a version that the newest frame does
// not fit.
func (g *group) from(version uint64) *frame {
	g.mu.Lock()
	defer g.mu.Unlock()
	if f := g.behind[version]; f != nil {
		return f
	}
	v := g.view
	v.mu.Lock()
	rows, ok := g.table.since(version)
	live := g.table.live
	h := headOf(g.table, g.epoch)
	v.mu.Unlock()
	if g.held != nil {
		live = len(g.held.rows)
	}
	if !ok || 2*len(rows) > live || g.filter.right != nil {
		v.metrics.Resync(v.name, reasonSlow)
		return g.snapshotLocked()
	}
	f := g.whole(rows, version, h, false)
	if g.behind == nil {
		g.behind = map[uint64]*frame{}
	}
	g.behind[version] = f
	return f
}

// snapshot gives the whole table, encoded at most once between two ticks.
func (g *group) snapshot() *frame {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.snapshotLocked()
}

func (g *group) snapshotLocked() *frame {
	if g.snap != nil {
		return g.snap
	}
	v := g.view
	if g.held != nil {
		g.begin()
		g.snap = encodeSnapshot(g.held.all(), g.head)
	} else {
		v.mu.Lock()
		rows := g.table.all()
		h := headOf(g.table, g.epoch)
		v.mu.Unlock()
		g.snap = encodeSnapshot(split(rows, g.filter).kept, h)
	}
	v.metrics.Encoded(v.name, "snapshot")
	return g.snap
}

// resume gives the rows that changed since a cursor, or why there must be a
// snapshot.
func (g *group) resume(cursor string) (f *frame, reason string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if f := g.resumes[cursor]; f != nil {
		return f, ""
	}
	if g.held != nil {
		g.begin()
	}
	if g.filter.right != nil {
		if f, reason = g.resumeDigest(cursor); reason != "" {
			return nil, reason
		}
		return g.keep(cursor, f), ""
	}
	v := g.view
	v.mu.Lock()
	var rows []row
	vector, reason := decodeCursor(cursor, g.epoch, len(g.table.pos))
	if reason == "" {
		rows, reason = g.table.above(vector)
	}
	h := headOf(g.table, g.epoch)
	v.mu.Unlock()
	if reason == "" && g.held != nil {
		rows, reason = g.before(rows, vector)
	}
	if reason != "" {
		return nil, reason
	}
	return g.keep(cursor, g.whole(rows, 0, h, true)), ""
}

// resumeDigest resumes a client under a right where its rows are those now.
func (g *group) resumeDigest(cursor string) (*frame, string) {
	switch {
	case cursor == "":
		return nil, reasonNone
	case cursor != g.head.cursor:
		return nil, reasonFiltered
	}
	return g.delta(changes{}, 0, g.head, true), ""
}

// keep remembers the frame of a cursor until the next tick.
func (g *group) keep(cursor string, f *frame) *frame {
	if g.resumes == nil {
		g.resumes = map[string]*frame{}
	}
	if len(g.resumes) < maxResumes {
		g.resumes[cursor] = f
	}
	return f
}

// before leaves of the rows that changed since a cursor those that did so
// before the last tick, perhaps: the others are news of the next one. A cursor
// beyond the tick waits for it.
func (g *group) before(rows []row, vector []int64) ([]row, string) {
	tick, reason := decodeCursor(g.head.cursor, g.epoch, len(vector))
	if reason != "" { // a partition is new
		return nil, reasonAhead
	}
	for p, o := range tick {
		if vector[p] > o {
			return nil, reasonAhead
		}
	}
	return slices.DeleteFunc(rows, func(r row) bool { return vector[r.part] == tick[r.part] }), ""
}

// whole is a frame of rows that changed since a version that clients were at
// some time ago; h is the table's head, of which they were copied.
func (g *group) whole(rows []row, from uint64, h head, always bool) *frame {
	if g.held == nil {
		return g.delta(split(rows, g.filter), from, h, always)
	}
	return g.delta(g.held.since(rows), from, g.head, always)
}

func (g *group) delta(c changes, from uint64, h head, always bool) *frame {
	if g.filter.right != nil && c.empty() && !always {
		return &frame{from: from, to: h.version, empty: true} // not even that something has changed
	}
	g.view.metrics.Encoded(g.view.name, "delta")
	return encodeDelta(c, from, h, always)
}
