package operators

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"

	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/state"
)

// A row in a bucket, as a key's rows are most of what a sliding window keeps
// and sends to its changelog:
//
//	row    uvarint t - start of the bucket ┆ uvarint late ┆ words ┆ per blob that there is: uvarint length, bytes
//	words  of the aggregates, of a blob whether there is one
//	       ┌ sizes: 4 bits per word, two to a byte, low half first
//	       └ each word in as many bytes as its size says, little endian
//
//	size 0       the word is zero
//	size 1…8     the low bytes of its fold      counts, sums, ranks of small numbers
//	size 9…15    its high size-8 bytes, the rest zero      round doubles
//
// The fold of a word has the sign in the lowest bits, so that what is near 0,
// -1, or the middle of the range (ranks of min and max) is short.

func foldWord(w uint64) uint64 {
	w = bits.RotateLeft64(w, 1)
	return w<<1 ^ uint64(int64(w)>>63)
}

func unfoldWord(w uint64) uint64 {
	w = w>>1 ^ -(w & 1)
	return bits.RotateLeft64(w, -1)
}

// packWords appends words.
func packWords(dst []byte, words []uint64) []byte {
	at := len(dst)
	for range (len(words) + 1) / 2 {
		dst = append(dst, 0)
	}
	for i, w := range words {
		if w == 0 {
			continue
		}
		v := foldWord(w)
		size := max(1, (bits.Len64(v)+7)/8)
		code := size
		if high := 8 - bits.TrailingZeros64(w)/8; high < size {
			v, size, code = w>>(64-8*high), high, 8+high
		}
		dst[at+i/2] |= byte(code << (i % 2 * 4))
		for range size {
			dst = append(dst, byte(v))
			v >>= 8
		}
	}
	return dst
}

// packedForm is what a word's size says: its bytes, which bits of eight are
// these, and how far up they go.
type packedForm struct {
	mask uint64
	size uint8
	up   uint8
}

var packedForms = func() (forms [16]packedForm) {
	for code := range forms {
		size := code
		if code > 8 {
			size = code - 8
			forms[code].up = uint8(64 - 8*size)
		}
		forms[code].size, forms[code].mask = uint8(size), 1<<(8*size)-1 // all of it for 8, as a shift by 64 gives 0
	}
	return forms
}()

// unpackWords reads what packWords wrote. What lies behind b, up to its
// capacity, may be looked at and is not used.
func unpackWords(words []uint64, b []byte) (rest []byte, ok bool) {
	at := (len(words) + 1) / 2
	if len(b) < at {
		return nil, false
	}
	wide := b[:cap(b)]
	for i := range words {
		code := wide[i/2] >> (i % 2 * 4) & 15
		form := &packedForms[code]
		var v uint64
		if at+8 <= len(wide) {
			v = binary.LittleEndian.Uint64(wide[at:]) & form.mask
			at += int(form.size)
		} else {
			if at+int(form.size) > len(b) {
				return nil, false
			}
			for k := range form.size {
				v |= uint64(wide[at]) << (8 * k)
				at++
			}
		}
		if form.up > 0 {
			v <<= form.up & 63
		} else {
			v = unfoldWord(v)
		}
		words[i] = v
	}
	if at > len(b) {
		return nil, false
	}
	return b[at:], true
}

// append writes the row in s.acc to a bucket that begins at from.
func (s *slider) append(acc []uint64, from, t int64, late uint64) {
	for _, w := range s.fold.blobWords {
		s.blobs = append(s.blobs, s.acc[w])
		s.acc[w] = min(1, s.acc[w])
	}
	b := binary.AppendUvarint(s.packed[:0], uint64(t-from))
	b = binary.AppendUvarint(b, late)
	b = packWords(b, s.acc[accHead:])
	for _, ref := range s.blobs {
		if ref != 0 {
			blob := s.row.Get(ref)
			b = binary.AppendUvarint(b, uint64(len(blob)))
			b = append(b, blob...)
		}
	}
	s.packed, s.blobs = b, s.blobs[:0]

	// Room is what fills a cell of the heap, or some more where there is a lot.
	used := int(acc[bucketBytes])
	room := len(s.table.Get(acc[bucketRef]))
	if room < used+len(b) {
		const step = 32
		room = (used+len(b)+used/8+step+7)/step*step - 8
	}
	ref, to := s.table.Edit(acc[bucketRef], room)
	copy(to[used:], b)
	acc[bucketRows]++
	acc[bucketBytes], acc[bucketRef] = uint64(used+len(b)), ref
}

func (s *slider) ahead(keys []dueSlot) {
	s.refresh()
	var sum byte
	for i := range keys {
		for _, p := range s.panes {
			if acc := p.Read(keys[i].slot); acc != nil {
				if b := s.table.Get(acc[bucketRef]); len(b) > 0 {
					sum += b[0]
				}
			}
		}
	}
	s.touched = sum // or the compiler drops the loads
}

// load reads the rows of a key that matter to windows that end at from or
// later, in order of time and arrival.
func (s *slider) load(slot state.Slot, from int64) error {
	s.rows, s.accs, s.partly, s.near = s.rows[:0], s.accs[:0], false, nearby{end: engine.MinTime}
	s.refresh()
	for _, p := range s.panes {
		if from > -s.far && p.End() <= from-s.size-1 {
			continue
		}
		acc := p.Read(slot)
		if acc == nil {
			continue
		}
		first := len(s.rows)
		b := s.table.Get(acc[bucketRef])
		if uint64(len(b)) < acc[bucketBytes] {
			return errBucket
		}
		b = b[:acc[bucketBytes]]
		start, sent := p.End()-s.width, int32(acc[bucketSent])
		for seq := range int32(acc[bucketRows]) {
			rest, ok := s.read(b, start, seq, seq < sent)
			if !ok {
				return errBucket
			}
			b = rest
			// Into its place: rows come nearly in order.
			last := len(s.rows) - 1
			to := last
			for to > first && s.rows[to-1].t > s.rows[last].t {
				to--
			}
			if to < last {
				s.place(last, to)
			}
		}
	}
	return nil
}

// place moves row from to where row to is; those in between make room.
func (s *slider) place(from, to int) {
	r := s.rows[from]
	copy(s.rows[to+1:from+1], s.rows[to:from])
	s.rows[to] = r
	w := s.fold.words
	s.moved = append(s.moved[:0], s.rowAcc(from)...)
	copy(s.accs[(to+1)*w:(from+1)*w], s.accs[to*w:from*w])
	copy(s.accs[to*w:], s.moved)
}

var errBucket = fmt.Errorf("the rows of a sliding window do not decode: %w", state.ErrCorrupt)

// read reads one row off b.
func (s *slider) read(b []byte, start int64, seq int32, sent bool) (rest []byte, ok bool) {
	at, n := binary.Uvarint(b)
	if n <= 0 || at >= uint64(s.width) {
		return nil, false
	}
	late, m := binary.Uvarint(b[n:])
	if m <= 0 || late > math.MaxInt64 {
		return nil, false
	}
	r := slid{t: start + int64(at), horizon: engine.MinTime, seq: seq, sent: sent}
	if late > 0 {
		r.horizon, s.partly = r.t+int64(late)-1, true
	}
	s.accs = longer(s.accs, s.fold.words)
	acc := s.accs[len(s.accs)-s.fold.words:]
	acc[accRows], acc[accTime] = 1, uint64(r.t)
	if b, ok = unpackWords(acc[accHead:], b[n+m:]); !ok {
		return nil, false
	}
	for _, w := range s.fold.blobWords {
		if acc[w] == 0 {
			continue
		}
		size, n := binary.Uvarint(b)
		if n <= 0 || size > uint64(len(b)-n) {
			return nil, false
		}
		acc[w] = s.heap.Put(0, b[n:n+int(size):n+int(size)])
		b = b[n+int(size):]
	}
	s.rows = append(s.rows, r)
	return b, true
}

// longer gives s n entries more, whatever they hold.
func longer(s []uint64, n int) []uint64 {
	if len(s)+n > cap(s) {
		s = append(s, make([]uint64, n+len(s))...)[:len(s)]
	}
	return s[:len(s)+n]
}
