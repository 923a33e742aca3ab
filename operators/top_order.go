package operators

import (
	"encoding/binary"
	"math"
	"slices"
	"sort"
	"strings"

	"github.com/leatstream/leat/engine"
)

// The place of a row in a top is bytes that compare as the rows do:
//
//	[by][id]      by: the value of `by`, turned round for the greatest first
//	              id: the key columns, smallest first; of a stream's row its number behind
//
// A value is [1] and, for Int and Timestamp, 8 bytes with the sign turned;
// Double 8 bytes, all turned where negative; Bool one; String, Bytes and Any
// their bytes with 00 as 00 FF and the end as 00 01. Null is [2], NaN [3]: both
// come last, whichever way round.
const (
	orderValue = 1
	orderNull  = 2
	orderNaN   = 3
)

// appendOrdered appends row i of a column so that bytes compare as values do.
func appendOrdered(dst []byte, c *engine.Column, i int32, reverse bool) []byte {
	if c.Null(i) {
		return append(dst, orderNull)
	}
	if c.Type == engine.Double && c.Doubles[i] != c.Doubles[i] {
		return append(dst, orderNaN)
	}
	dst = append(dst, orderValue)
	from := len(dst)
	switch c.Type {
	case engine.Int, engine.Timestamp:
		dst = binary.BigEndian.AppendUint64(dst, uint64(c.Ints[i])^1<<63)
	case engine.Double:
		bits := math.Float64bits(c.Doubles[i] + 0) // -0 is 0
		if bits>>63 != 0 {
			bits = ^bits
		} else {
			bits |= 1 << 63
		}
		dst = binary.BigEndian.AppendUint64(dst, bits)
	case engine.Bool:
		if c.Bools[i] {
			dst = append(dst, 1)
		} else {
			dst = append(dst, 0)
		}
	default:
		for s := c.Strs[i]; ; {
			k := strings.IndexByte(s, 0)
			if k < 0 {
				dst = append(dst, s...)
				break
			}
			dst = append(append(dst, s[:k]...), 0, 0xff)
			s = s[k+1:]
		}
		dst = append(dst, 0, 1)
	}
	if reverse {
		for k := from; k < len(dst); k++ {
			dst[k] = ^dst[k]
		}
	}
	return dst
}

// orderedLen is the length of the value that s begins with, -1 where it begins
// with none.
func orderedLen(s string, t engine.Type, reverse bool) int {
	n := 1
	switch {
	case s == "":
		return -1
	case s[0] == orderNull, s[0] == orderNaN:
	case s[0] != orderValue:
		return -1
	case t == engine.Int, t == engine.Timestamp, t == engine.Double:
		n = 9
	case t == engine.Bool:
		n = 2
	default:
		zero, one := byte(0), byte(1)
		if reverse {
			zero, one = 0xff, 0xfe
		}
		for {
			k := strings.IndexByte(s[n:], zero)
			if k < 0 || n+k+1 >= len(s) {
				return -1
			}
			if n += k + 2; s[n-1] == one {
				return n
			}
		}
	}
	if n > len(s) {
		return -1
	}
	return n
}

// ranking is strings in order. They are in pieces of at most rankingPiece, so
// that an insert moves a piece and not all.
type ranking struct {
	pieces [][]string
	n      int
}

const rankingPiece = 256

// piece is where s is, or would be.
func (r *ranking) piece(s string) int {
	p := sort.Search(len(r.pieces), func(p int) bool {
		last := r.pieces[p]
		return last[len(last)-1] >= s
	})
	return min(p, len(r.pieces)-1)
}

// insert adds a string that is not there.
func (r *ranking) insert(s string) {
	r.n++
	if len(r.pieces) == 0 {
		r.pieces = [][]string{{s}}
		return
	}
	p := r.piece(s)
	at, _ := slices.BinarySearch(r.pieces[p], s)
	r.pieces[p] = slices.Insert(r.pieces[p], at, s)
	if x := r.pieces[p]; len(x) > rankingPiece {
		half := len(x) / 2
		right := append(make([]string, 0, rankingPiece), x[half:]...)
		clear(x[half:])
		r.pieces[p] = x[:half]
		r.pieces = slices.Insert(r.pieces, p+1, right)
	}
}

// remove takes a string out; it tells whether it was there.
func (r *ranking) remove(s string) bool {
	if len(r.pieces) == 0 {
		return false
	}
	p := r.piece(s)
	at, ok := slices.BinarySearch(r.pieces[p], s)
	if !ok {
		return false
	}
	r.n--
	if r.pieces[p] = slices.Delete(r.pieces[p], at, at+1); len(r.pieces[p]) == 0 {
		r.pieces = slices.Delete(r.pieces, p, p+1)
	}
	return true
}

// at is the k-th string, from 0.
func (r *ranking) at(k int) string {
	for _, p := range r.pieces {
		if k < len(p) {
			return p[k]
		}
		k -= len(p)
	}
	panic("operators: no such place in a ranking")
}

// each calls fn for the strings in order until it says false.
func (r *ranking) each(fn func(s string) bool) {
	for _, p := range r.pieces {
		for _, s := range p {
			if !fn(s) {
				return
			}
		}
	}
}
