package operators

import (
	"encoding/binary"
	"errors"
	"strings"

	"github.com/leatstream/leat/engine"
)

// This is what a top keeps: each row under a key of its own in the store, and,
// derived from that, the order of the rows of each group in memory.
//
//	[uvarint length][window, group][id] ─▶ topRow
//
// window is [end][start], 8 bytes each, where there are windows.

// topRow is a row in the store. A row that is gone but was sent stays until
// its delete has been sent.
//
//	[1][flags][varint time][varint stamp][uvarint rank][uvarint length][by]
//	[uvarint length][row][sent row, where it is another]
type topRow struct {
	has, sent   bool
	time, stamp int64
	rank        int64 // that it was sent with; of a stream's: its position
	by          string
	row, was    string // as it is; as it was sent
}

const (
	topHas   = 1 << iota // the row is there
	topSent              // it was sent
	topEqual             // as it is now
)

var errTopRow = errors.New("a row of a top does not decode")

func (e *topRow) append(b []byte) []byte {
	flags := byte(0)
	if e.has {
		flags |= topHas
	}
	if e.sent {
		flags |= topSent
		if e.has && e.row == e.was {
			flags |= topEqual
		}
	}
	b = binary.AppendVarint(append(b, 1, flags), e.time)
	b = binary.AppendVarint(b, e.stamp)
	b = binary.AppendUvarint(b, uint64(e.rank))
	b = append(binary.AppendUvarint(b, uint64(len(e.by))), e.by...)
	b = append(binary.AppendUvarint(b, uint64(len(e.row))), e.row...)
	if flags&topEqual == 0 {
		b = append(b, e.was...)
	}
	return b
}

// readTopRow reads a row; its texts are views of s.
func readTopRow(s string) (e topRow, ok bool) {
	if len(s) < 2 || s[0] != 1 {
		return e, false
	}
	flags := s[1]
	e.has, e.sent = flags&topHas != 0, flags&topSent != 0
	s = s[2:]
	ok = true
	number := func() int64 {
		v, n := binary.Varint(head(s))
		if n <= 0 {
			ok = false
			return 0
		}
		s = s[n:]
		return v
	}
	text := func() string {
		v, n := binary.Uvarint(head(s))
		if n <= 0 || v > uint64(len(s)-n) {
			ok = false
			return ""
		}
		t := s[n : n+int(v)]
		s = s[n+int(v):]
		return t
	}
	e.time, e.stamp = number(), number()
	rank, n := binary.Uvarint(head(s))
	if n <= 0 {
		return e, false
	}
	e.rank, s = int64(rank), s[n:]
	e.by, e.row, e.was = text(), text(), ""
	if e.was = s; flags&topEqual != 0 {
		e.was = e.row
	}
	return e, ok
}

// topGroup is the order of one group's rows.
type topGroup struct {
	key   string // with the window
	end   int64  // of the window; MaxTime where there is none
	order ranking
	// sent are the ids of the rows that were sent: of a table in no order, of a
	// stream by position. A change makes a new slice.
	sent  []string
	dirty bool
	time  int64 // greatest event time of the changes that were not sent
}

// topUndo is one step back.
type topUndo struct {
	g    *topGroup
	what uint8
	text string   // put in, taken out
	sent []string // as it was
}

const (
	undoInsert = iota
	undoRemove
	undoSentRows
	undoClosed
)

// topRows are the rows of a top.
type topRows struct {
	store   *keyed
	windows bool
	groups  map[string]*topGroup
	ends    map[int64]map[string]*topGroup // groups with windows, by end
	undo    []topUndo
	key     []byte
	buf     []byte
}

func newTopRows(store *keyed, windows bool) topRows {
	return topRows{store: store, windows: windows, groups: map[string]*topGroup{}, ends: map[int64]map[string]*topGroup{}}
}

// group finds a group, or makes it.
func (r *topRows) group(key string) *topGroup {
	if g := r.groups[key]; g != nil {
		return g
	}
	g := &topGroup{key: strings.Clone(key), end: engine.MaxTime, time: engine.MinTime}
	if r.windows {
		g.end = int64(u64(key) ^ 1<<63)
	}
	r.open(g)
	return g
}

func (r *topRows) open(g *topGroup) {
	r.groups[g.key] = g
	if r.windows {
		if r.ends[g.end] == nil {
			r.ends[g.end] = map[string]*topGroup{}
		}
		r.ends[g.end][g.key] = g
	}
}

// close forgets a group; its rows have been removed from the store.
func (r *topRows) close(g *topGroup) {
	r.forget(g)
	r.undo = append(r.undo, topUndo{g: g, what: undoClosed})
}

func (r *topRows) forget(g *topGroup) {
	delete(r.groups, g.key)
	if r.windows {
		if delete(r.ends[g.end], g.key); len(r.ends[g.end]) == 0 {
			delete(r.ends, g.end)
		}
	}
}

func (r *topRows) insert(g *topGroup, s string) {
	g.order.insert(s)
	r.undo = append(r.undo, topUndo{g: g, what: undoInsert, text: s})
}

func (r *topRows) remove(g *topGroup, s string) {
	if g.order.remove(s) {
		r.undo = append(r.undo, topUndo{g: g, what: undoRemove, text: strings.Clone(s)})
	}
}

func (r *topRows) setSent(g *topGroup, sent []string) {
	r.undo = append(r.undo, topUndo{g: g, what: undoSentRows, sent: g.sent})
	g.sent = sent
}

func (r *topRows) committed() {
	clear(r.undo)
	r.undo = r.undo[:0]
}

// rolledBack goes back to the last commit. Before a commit all changes are
// sent, so nothing is dirty there.
func (r *topRows) rolledBack() {
	for n := len(r.undo) - 1; n >= 0; n-- {
		switch u := r.undo[n]; u.what {
		case undoInsert:
			u.g.order.remove(u.text)
		case undoRemove:
			u.g.order.insert(u.text)
		case undoSentRows:
			u.g.sent = u.sent
		case undoClosed:
			r.open(u.g)
		}
	}
	r.committed()
	for _, g := range r.groups {
		g.dirty, g.time = false, engine.MinTime
		if g.order.n == 0 && len(g.sent) == 0 {
			r.forget(g)
		}
	}
}

// at is the key of a row in the store.
func (r *topRows) at(group, id string) string {
	r.key = binary.AppendUvarint(r.key[:0], uint64(len(group)))
	r.key = append(append(r.key, group...), id...)
	return view(r.key)
}

// get reads a row; ok is false where there is none. The row's texts are the
// store's, until the row is put, or held until the transaction ends.
func (r *topRows) get(group, id string, held bool) (e topRow, ok bool, err error) {
	value, err := r.store.get(r.at(group, id))
	if err != nil || value == nil {
		return e, false, err
	}
	text := view(value)
	if held {
		text = r.store.hold(value)
	}
	if e, ok = readTopRow(text); !ok {
		err = errTopRow
	}
	return e, ok, err
}

// put keeps a row, or removes it where there is nothing to keep.
func (r *topRows) put(group, id string, e *topRow) error {
	if !e.has && !e.sent {
		return r.store.remove(r.at(group, id))
	}
	r.buf = e.append(r.buf[:0])
	return r.store.put(r.at(group, id), r.buf)
}

// recovered makes the order of a restored store; valid tells whether bytes are
// the first part of a place.
func (r *topRows) recovered(byPosition bool, valid func(by string) bool) error {
	clear(r.groups)
	clear(r.ends)
	r.undo = r.undo[:0]
	return r.store.each(func(key string, value []byte) error {
		n, w := binary.Uvarint(head(key))
		e, ok := readTopRow(view(value))
		if !ok || w <= 0 || n > uint64(len(key)-w) || r.windows && n < 16 {
			return errTopRow
		}
		g := r.group(key[w : w+int(n)])
		id := key[w+int(n):]
		if e.has {
			if !valid(e.by) {
				return errTopRow
			}
			g.order.insert(e.by + id)
		}
		if !e.sent {
			return nil
		}
		id = strings.Clone(id)
		if !byPosition {
			g.sent = append(g.sent, id)
			return nil
		}
		if e.rank <= 0 || e.rank > maxTop {
			return errTopRow
		}
		for int64(len(g.sent)) < e.rank {
			g.sent = append(g.sent, "")
		}
		g.sent[e.rank-1] = id
		return nil
	})
}
