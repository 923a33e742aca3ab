package sse

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
)

// held is the rows that the clients of a group hold, where the group must know
// them: where an expression decides, so that a row may move out of the filter
// when it changes, and for patches, which begin at the row before.
//
// It is the table seen through the filter at one version, the last tick's.
// Everything such a group writes is of that version: a snapshot that was newer
// could show a row that comes and goes between two ticks, and nobody would
// ever say that it went.
type held struct {
	rows   map[string]heldRow
	oldest int64  // no row's window ends before it
	sum    digest // of all rows
	fill   []row  // the table when the group began, not looked at yet
}

// heldRow is one row of held; the bytes are the table's.
type heldRow struct {
	value   []byte
	version uint64
	end     int64
	sum     digest
}

func newHeld(rows []row) *held {
	return &held{rows: map[string]heldRow{}, oldest: math.MaxInt64, fill: rows}
}

// begin looks at the rows of the beginning: not in newHeld, which is called
// under the view's lock.
func (h *held) begin(f filter) {
	for i := range h.fill {
		if r := &h.fill[i]; f.match(r.value) {
			h.set(r, f)
		}
	}
	h.fill = nil
}

// apply takes the rows that changed and gives what the group's clients must
// be told: nothing of rows that they do not hold and may not see.
func (h *held) apply(rows []row, f filter, floor int64) changes {
	var c changes
	for i := range rows {
		r := &rows[i]
		old, was := h.rows[r.key]
		switch {
		case r.value != nil && f.match(r.value):
			if p := patchOf(r, old.value, f); p != nil {
				c.patches = append(c.patches, p)
			} else {
				c.kept = append(c.kept, r)
			}
			h.set(r, f)
		case was:
			h.drop(r.key)
			c.gone = append(c.gone, r.key)
		}
	}
	h.expire(floor)
	return c
}

func (h *held) set(r *row, f filter) {
	h.drop(r.key)
	n := heldRow{value: r.value, version: r.version, end: r.end}
	if f.right != nil {
		n.sum = digestOf(r)
		h.sum = h.sum.plus(n.sum)
	}
	h.rows[r.key] = n
	if r.end != 0 {
		h.oldest = min(h.oldest, r.end)
	}
}

func (h *held) drop(key string) {
	if old, ok := h.rows[key]; ok {
		h.sum = h.sum.minus(old.sum)
		delete(h.rows, key)
	}
}

// expire drops the rows of windows that are gone, as clients do by themselves.
func (h *held) expire(floor int64) {
	if h.oldest >= floor {
		return
	}
	h.oldest = math.MaxInt64
	for key, r := range h.rows {
		switch {
		case r.end == 0:
		case r.end < floor:
			h.drop(key)
		default:
			h.oldest = min(h.oldest, r.end)
		}
	}
}

// all gives the rows, oldest change first.
func (h *held) all() []*row {
	rows := make([]*row, 0, len(h.rows))
	for key, r := range h.rows {
		rows = append(rows, &row{key: key, value: r.value, version: r.version, end: r.end})
	}
	slices.SortFunc(rows, func(a, b *row) int { return cmp.Compare(a.version, b.version) })
	return rows
}

// since gives what rows that changed are at the held version: they may have
// changed again. Who asks may hold any of those that are not there.
func (h *held) since(rows []row) changes {
	var c changes
	for i := range rows {
		r := &rows[i]
		if now, ok := h.rows[r.key]; ok {
			c.kept = append(c.kept, &row{key: r.key, value: now.value, version: now.version, end: now.end})
		} else {
			c.gone = append(c.gone, r.key)
		}
	}
	return c
}

// A digest tells sets of rows apart: the sum of their hashes, so that it can
// be kept up with every change. The cursor of a view under a right is made of
// it: offsets would tell of rows that the viewer may not see, and which of the
// rows that changed they held is not known to another node.
//
//	f1.<epoch>.<digest>
type digest [2]uint64

func digestOf(r *row) digest {
	h := sha256.New()
	var n [8]byte
	binary.LittleEndian.PutUint64(n[:], uint64(len(r.key)))
	h.Write(n[:])
	h.Write([]byte(r.key))
	h.Write(r.value)
	s := h.Sum(nil)
	return digest{binary.LittleEndian.Uint64(s), binary.LittleEndian.Uint64(s[8:])}
}

func (d digest) plus(o digest) digest  { return digest{d[0] + o[0], d[1] + o[1]} }
func (d digest) minus(o digest) digest { return digest{d[0] - o[0], d[1] - o[1]} }

func (d digest) cursor(epoch string) string {
	return fmt.Sprintf("f1.%s.%016x%016x", epoch, d[0], d[1])
}

// hides tells whether an expression decides which rows a group sees.
func (f filter) hides() bool { return f.asked != nil || f.right != nil }

// holds tells whether a group with this filter must know its clients' rows.
func (f filter) holds() bool { return f.hides() || f.patch }

// under gives the head as a group under a right shows it.
func (h head) under(f filter, sum digest, epoch string) head {
	if f.right != nil {
		h.cursor = sum.cursor(epoch)
	}
	return h
}
