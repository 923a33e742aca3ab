package state

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
)

// The bytes of accumulators, in Pebble and in the changelog alike. They are a
// format on disk and on the wire: change only with the version.
//
//	accumulator  ┌ sizes: 4 bits per plain word, two to a byte, low half first
//	             ├ plain words, each in as many bytes as its size says
//	             └ per blob: uvarint length+1 (0: none), bytes
//
//	size 0       the word is zero
//	size 1…7     its low bytes, the rest zero      counts and small sums
//	size 8       all of it
//	size 9…15    its high size-8 bytes, the rest zero      round doubles
//
// All bytes of a word are little endian. A word takes the shorter form.
//
//	changelog value (form `single`, version 1)
//	  ┌ 1 ┬ panes of family 0 ┬ panes of family 1 ┐
//	  panes   uvarint count, then per pane, by ascending end:
//	          first end: uvarint zigzag(end)+2, which for math.MaxInt64 is 0
//	          later end: uvarint difference to the one before
//	          accumulator
//	An empty value (nil) is a tombstone.
const changelogVersion = 1

var (
	errShort   = errors.New("bytes end early")
	errTrail   = errors.New("bytes after the end")
	errVersion = errors.New("unknown version")
)

// wordSize gives the size code of a word.
func wordSize(w uint64) uint {
	if w == 0 {
		return 0
	}
	low := uint(bits.Len64(w)+7) / 8
	high := 8 - uint(bits.TrailingZeros64(w))/8
	if high < low {
		return 8 + high
	}
	return low // 8: all of it
}

func (f *family) appendAcc(dst []byte, h *heap, acc []uint64) []byte {
	at := len(dst)
	for range (len(f.plain) + 1) / 2 {
		dst = append(dst, 0)
	}
	for i, w := range f.plain {
		v := acc[w]
		size := wordSize(v)
		dst[at+i/2] |= byte(size << (i % 2 * 4))
		if size > 8 {
			size -= 8
			v >>= 64 - 8*size
		}
		for ; size > 0; size-- {
			dst = append(dst, byte(v))
			v >>= 8
		}
	}
	for _, w := range f.blobs {
		if acc[w] == 0 {
			dst = append(dst, 0)
			continue
		}
		b := h.get(acc[w])
		dst = binary.AppendUvarint(dst, uint64(len(b))+1)
		dst = append(dst, b...)
	}
	return dst
}

// decodeAcc fills acc from src, with the blobs put on the heap by put, and
// gives the rest of src. On an error acc holds no ref.
func (f *family) decodeAcc(acc []uint64, src []byte, put func([]byte) uint64) (rest []byte, err error) {
	rest, err = f.scanAcc(acc, src, nil)
	if err != nil || len(f.blobs) == 0 {
		return rest, err
	}
	i := 0
	return f.scanAcc(acc, src, func(b []byte) {
		if b != nil {
			acc[f.blobs[i]] = put(b)
		}
		i++
	})
}

// scanAcc reads an accumulator: its plain words into acc, its blobs, in order,
// to blob (may be nil).
func (f *family) scanAcc(acc []uint64, src []byte, blob func([]byte)) (rest []byte, err error) {
	clear(acc)
	sizes := src
	n := (len(f.plain) + 1) / 2
	if len(src) < n {
		return nil, errShort
	}
	src = src[n:]
	if len(f.plain)%2 == 1 && sizes[n-1]>>4 != 0 {
		return nil, errTrail
	}
	for i, w := range f.plain {
		size := uint(sizes[i/2] >> (i % 2 * 4) & 15)
		shift := uint(0)
		if size > 8 {
			size -= 8
			shift = 64 - 8*size
		}
		if uint(len(src)) < size {
			return nil, errShort
		}
		var v uint64
		for k := range size {
			v |= uint64(src[k]) << (8 * k)
		}
		acc[w] = v << shift
		src = src[size:]
	}
	for range f.blobs {
		size, k := binary.Uvarint(src)
		if k <= 0 || size > 0 && size-1 > uint64(len(src)-k) {
			return nil, errShort
		}
		src = src[k:]
		var b []byte
		if size > 0 {
			b, src = src[:size-1:size-1], src[size-1:]
		}
		if blob != nil {
			blob(b)
		}
	}
	return src, nil
}

// appendRecord appends the changelog value of slot s.
func (t *Table) appendRecord(dst []byte, s Slot) []byte {
	dst = append(dst, changelogVersion)
	for f := range t.fams {
		fam := &t.fams[f]
		n := 0
		for _, p := range fam.panes {
			if p.Read(s) != nil {
				n++
			}
		}
		dst = binary.AppendUvarint(dst, uint64(n))
		first, last := true, int64(0)
		for _, p := range fam.panes {
			acc := p.Read(s)
			if acc == nil {
				continue
			}
			dst = appendEnd(dst, first, last, p.end)
			dst = fam.appendAcc(dst, &t.heap, acc)
			first, last = false, p.end
		}
	}
	return dst
}

func appendEnd(dst []byte, first bool, last, end int64) []byte {
	if first {
		return binary.AppendUvarint(dst, zigzag(end)+2)
	}
	return binary.AppendUvarint(dst, uint64(end)-uint64(last))
}

func zigzag(v int64) uint64   { return uint64(v)<<1 ^ uint64(v>>63) }
func unzigzag(u uint64) int64 { return int64(u>>1) ^ -int64(u&1) }

// scanRecord walks a changelog value: fn is given each pane's end and bytes,
// which begin with its accumulator, and gives the rest.
func (t *Table) scanRecord(value []byte, fn func(fam *family, end int64, src []byte) ([]byte, error)) error {
	if len(value) == 0 {
		return errShort
	}
	if value[0] != changelogVersion {
		return fmt.Errorf("%w %d", errVersion, value[0])
	}
	src := value[1:]
	for f := range t.fams {
		n, k := binary.Uvarint(src)
		if k <= 0 {
			return errShort
		}
		src = src[k:]
		if n > 0 && t.fams[f].words == 0 {
			return fmt.Errorf("panes of family %d, which the store has not", f)
		}
		end := int64(0)
		for i := range n {
			u, k := binary.Uvarint(src)
			if k <= 0 {
				return errShort
			}
			src = src[k:]
			next := unzigzag(u - 2)
			if i > 0 {
				if next = int64(uint64(end) + u); next <= end {
					return errors.New("panes are not in order")
				}
			}
			end = next
			var err error
			if src, err = fn(&t.fams[f], end, src); err != nil {
				return err
			}
		}
	}
	if len(src) > 0 {
		return errTrail
	}
	return nil
}
