package sse

import (
	"sync"
	"sync/atomic"
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
type group struct {
	view    *view
	table   *table // the view's when the group began: after a reset the old one, which stays as it is
	epoch   string
	filter  filter
	clients int // under view.mu

	beat atomic.Pointer[beat]

	mu      sync.Mutex        // one encodes, the others wait; taken before view.mu
	snap    *frame            // at or after the last tick; nil: none yet
	behind  map[uint64]*frame // by the version it begins at, since the last tick
	resumes map[string]*frame // by cursor, since the last tick
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

// publish makes the next beat; called by the view's frame goroutine. fits
// false: no delta from that version can be made.
func (g *group) publish(rows []row, fits bool, from uint64, h head, mark *block, seq uint64) {
	g.mu.Lock()
	old := g.beat.Load()
	b := &beat{version: h.version, frame: old.frame, mark: old.mark, seq: old.seq, cursor: cursorBlock(h.cursor), next: make(chan struct{})}
	if h.version > from {
		g.behind, g.resumes, b.frame = nil, nil, nil
		if fits {
			b.frame = g.delta(rows, from, h, false)
		}
		if g.snap != nil && g.snap.to < h.version {
			g.snap = nil
		}
	}
	if mark != nil {
		b.mark, b.seq = mark, seq
	}
	g.beat.Store(b)
	g.mu.Unlock()
	close(old.next)
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
	if !ok || 2*len(rows) > live {
		v.metrics.Resync(v.name, reasonSlow)
		return g.snapshotLocked()
	}
	f := g.delta(rows, version, h, false)
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
	v.mu.Lock()
	rows := g.table.all()
	h := headOf(g.table, g.epoch)
	v.mu.Unlock()
	g.snap = encodeSnapshot(rows, g.filter, h)
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
	v := g.view
	v.mu.Lock()
	var rows []row
	vector, reason := decodeCursor(cursor, g.epoch, len(g.table.pos))
	if reason == "" {
		rows, reason = g.table.above(vector)
	}
	h := headOf(g.table, g.epoch)
	v.mu.Unlock()
	if reason != "" {
		return nil, reason
	}
	f = g.delta(rows, 0, h, true)
	if g.resumes == nil {
		g.resumes = map[string]*frame{}
	}
	if len(g.resumes) < maxResumes {
		g.resumes[cursor] = f
	}
	return f, ""
}

func (g *group) delta(rows []row, from uint64, h head, always bool) *frame {
	g.view.metrics.Encoded(g.view.name, "delta")
	return encodeDelta(rows, g.filter, from, h, always)
}
