package sse

import (
	"encoding/base64"
	"strconv"
	"unicode/utf8"

	"github.com/leatstream/leat/engine"
)

// maxBlock is the size in bytes above which the rows of a frame go on in a
// further block, so that no client must hold a whole snapshot to read its
// beginning.
const maxBlock = 64 << 10

// frame brings a client from any version in [from, to) to version to. It is
// encoded once and shared: never changed after it is made.
type frame struct {
	from, to uint64
	blocks   []*block // the id is in the last one
	snapshot bool
	empty    bool // no row in it
}

// changes are the rows of a delta.
type changes struct {
	kept    []*row
	gone    []string // record keys
	patches [][]byte // encoded
}

func (c changes) empty() bool { return len(c.kept)+len(c.gone)+len(c.patches) == 0 }

// head is what goes with the rows of a frame: how far the view was when they
// were copied.
type head struct {
	version   uint64
	watermark int64
	floor     int64
	cursor    string
}

// encodeSnapshot writes rows as snapshot blocks and a ready block.
func encodeSnapshot(rows []*row, h head) *frame {
	e := encoder{changes: changes{kept: rows}}
	for more := true; more; more = len(e.kept) > 0 {
		e.begin("snapshot")
		e.upserts(`"rows":[`)
		e.finish(h)
	}
	return &frame{to: h.version, snapshot: true, blocks: blocksOf(append(e.blocks, ready(len(rows), h.cursor)))}
}

// encodeDelta writes changed rows as delta blocks. Where the filter hides
// them all, a block with only the id moves the cursor without waking the
// page's script; a resume (always) says where time is even so.
func encodeDelta(c changes, from uint64, h head, always bool) *frame {
	fr := &frame{from: from, to: h.version, empty: c.empty()}
	if fr.empty && !always {
		fr.blocks = []*block{cursorBlock(h.cursor)}
		return fr
	}
	e := encoder{changes: c}
	for more := true; more; more = !e.empty() {
		e.begin("delta")
		e.upserts(`"upsert":[`)
		e.deletes()
		e.patched()
		e.finish(h)
	}
	last := &e.blocks[len(e.blocks)-1]
	*last = append((*last)[:len(*last)-1], idBlock(h.cursor)...)
	fr.blocks = blocksOf(e.blocks)
	return fr
}

// split sorts rows into those a filter keeps and the deleted ones. Of a
// deleted row only the key is known, so each filter is told.
func split(rows []row, f filter) (c changes) {
	for i := range rows {
		switch r := &rows[i]; {
		case r.value == nil:
			c.gone = append(c.gone, r.key)
		case f.match(r.value):
			c.kept = append(c.kept, r)
		}
	}
	return c
}

// encoder writes rows into as many blocks as they need.
type encoder struct {
	changes // left to write
	blocks  [][]byte
	buf     []byte
}

func (e *encoder) begin(event string) {
	size := 256
	for _, r := range e.kept {
		if size += len(r.value) + len(r.key) + 16; size > maxBlock {
			break
		}
	}
	e.buf = append(append(append(make([]byte, 0, size), "event: "...), event...), "\ndata: {"...)
}

func (e *encoder) upserts(open string) {
	e.buf = append(e.buf, open...)
	for n := 0; len(e.kept) > 0; n++ {
		r := e.kept[0]
		if n > 0 {
			if !e.fits(len(r.value) + len(r.key)) {
				break
			}
			e.buf = append(e.buf, ',')
		}
		e.buf = appendRow(e.buf, r)
		e.kept = e.kept[1:]
	}
	e.buf = append(e.buf, ']')
}

func (e *encoder) deletes() {
	e.buf = append(e.buf, `,"delete":[`...)
	for n := 0; len(e.gone) > 0 && len(e.kept) == 0; n++ {
		key := e.gone[0]
		if n > 0 {
			e.buf = append(e.buf, ',')
		}
		if !e.fits(len(key)) && n > 0 {
			e.buf = e.buf[:len(e.buf)-1]
			break
		}
		e.buf = engine.AppendString(e.buf, keyText(key))
		e.gone = e.gone[1:]
	}
	e.buf = append(e.buf, ']')
}

// patched writes patches, where there are any: clients that did not ask for
// them never see the field.
func (e *encoder) patched() {
	if len(e.patches) == 0 || len(e.kept)+len(e.gone) > 0 {
		return
	}
	e.buf = append(e.buf, `,"patch":[`...)
	for n := 0; len(e.patches) > 0; n++ {
		if n > 0 {
			if !e.fits(len(e.patches[0])) {
				break
			}
			e.buf = append(e.buf, ',')
		}
		e.buf = append(e.buf, e.patches[0]...)
		e.patches = e.patches[1:]
	}
	e.buf = append(e.buf, ']')
}

// fits tells whether n bytes more leave room for the block's end.
func (e *encoder) fits(n int) bool { return len(e.buf)+n+256 <= maxBlock }

func (e *encoder) finish(h head) {
	e.buf = appendTime(append(e.buf, `,"watermark":`...), h.watermark)
	if h.floor != engine.MinTime {
		e.buf = strconv.AppendInt(append(e.buf, `,"expire_before":`...), h.floor, 10)
	}
	e.blocks = append(e.blocks, append(e.buf, "}\n\n"...))
}

// appendRow writes a row with its identity, by which a client replaces and
// deletes it, as the last field: of a name that stands twice the last counts.
func appendRow(dst []byte, r *row) []byte {
	body := r.value[:len(r.value)-1]
	dst = append(dst, body...)
	if skipSpace(body, 1) < len(body) {
		dst = append(dst, ',')
	}
	dst = engine.AppendString(append(dst, `"_key":`...), keyText(r.key))
	return append(dst, '}')
}

// keyText is a record key as text. Keys of bytes are base64 behind a NUL,
// which no other key begins with but our own.
func keyText(key string) string {
	if utf8.ValidString(key) {
		return key
	}
	return "\x00b" + base64.StdEncoding.EncodeToString([]byte(key))
}

// appendTime writes an instant; the ends of time are null.
func appendTime(dst []byte, ms int64) []byte {
	if timePtr(ms) == nil {
		return append(dst, "null"...)
	}
	return strconv.AppendInt(dst, ms, 10)
}

func ready(rows int, cursor string) []byte {
	b := strconv.AppendInt([]byte("event: ready\ndata: {\"row_count\":"), int64(rows), 10)
	return append(append(b, "}\n"...), idBlock(cursor)...)
}

// idBlock moves a client's cursor and, standing alone, wakes no script. A
// cursor is URL-safe ASCII by construction.
func idBlock(cursor string) []byte {
	return []byte("id: " + cursor + "\n\n")
}
