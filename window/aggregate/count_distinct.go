package aggregate

import (
	"fmt"
	"math/bits"

	"github.com/axiomhq/hyperloglog"
	"github.com/cespare/xxhash/v2"
)

const countDistinctDoc = "How many different values x has, null not counted: an int, 0 of nothing. " +
	"Exact up to 1024 of them; beyond that an estimate (HyperLogLog with 16384 registers, standard error 0.81%) that takes 16 KiB and does not depend on the order of rows. " +
	"0 and -0 are one value, and so are all NaN. Any is compared by its text."

func newCountDistinct(args []Type) (Aggregate, error) {
	if _, err := one("count_distinct", args); err != nil {
		return nil, err
	}
	return countDistinct{}, nil
}

// countDistinct keeps the hashes of values, in order and 8 bytes each, and when
// they would be more than distinctExact the registers of a HyperLogLog. Either
// way the same values give the same bytes, in whatever order they came.
//
//	│ form, hashes │ reference │
type countDistinct struct{}

const (
	distinctExact     = 1024
	distinctPrecision = 14
	distinctRegisters = 1 << distinctPrecision

	// The forms, in the highest byte of the first word. A change of the
	// encoding gets a new number.
	distinctHashes = 1 << 56
	distinctHLL    = 2 << 56
	distinctCount  = 1<<56 - 1
)

func (countDistinct) Words() int   { return 2 }
func (countDistinct) Blobs() []int { return blobAt1 }
func (countDistinct) Result() Type { return Int }

func (countDistinct) Add(acc []uint64, args []Column, row int32, h Heap) error {
	if x := &args[0]; !x.Null(row) {
		var buf [8]byte
		addHash(acc, xxhash.Sum64(distinct(x, row, &buf)), h)
	}
	return nil
}

func addHash(acc []uint64, hash uint64, h Heap) {
	if acc[0]&^distinctCount == distinctHLL {
		i, rho := register(hash)
		if b := h.Get(acc[1]); b[i] < rho {
			acc[1], b = edit(h, acc[1], distinctRegisters)
			b[i] = rho
		}
		return
	}
	b, n := get(h, acc[1]), int(acc[0]&distinctCount)
	at, found := searchHash(b, n, hash)
	switch {
	case found:
		return
	case n == distinctExact:
		toRegisters(acc, h)
		addHash(acc, hash, h)
		return
	}
	acc[1], b = edit(h, acc[1], max(room(8*(n+1)), len(b)))
	copy(b[8*(at+1):], b[8*at:8*n])
	le.PutUint64(b[8*at:], hash)
	acc[0] = distinctHashes | uint64(n+1)
}

// searchHash finds a hash, or its place, among n. They are spread evenly, so
// the search starts about where it must be.
func searchHash(b []byte, n int, hash uint64) (int, bool) {
	lo, hi := 0, n
	if n > 16 {
		guess, _ := bits.Mul64(hash, uint64(n))
		const reach = 8
		if i := int(guess) - reach; i > 0 && le.Uint64(b[8*i:]) < hash {
			lo = i
		}
		if i := int(guess) + reach; i < n && le.Uint64(b[8*i:]) >= hash {
			hi = i
		}
	}
	for lo < hi {
		mid := (lo + hi) / 2
		if le.Uint64(b[8*mid:]) < hash {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo, lo < n && le.Uint64(b[8*lo:]) == hash
}

// register is where HyperLogLog counts a hash, and its rank there.
func register(hash uint64) (i int, rho uint8) {
	const p = distinctPrecision
	return int(hash >> (64 - p)), uint8(bits.LeadingZeros64(hash<<p|1<<(p-1))) + 1
}

func toRegisters(acc []uint64, h Heap) {
	from := acc[1]
	ref, b := edit(h, 0, distinctRegisters)
	hashes := get(h, from)
	for k := range int(acc[0] & distinctCount) {
		i, rho := register(le.Uint64(hashes[8*k:]))
		b[i] = max(b[i], rho)
	}
	drop(h, from)
	acc[0], acc[1] = distinctHLL, ref
}

func (countDistinct) Merge(acc, from []uint64, h Heap) error {
	if from[0] == 0 {
		return nil
	}
	if from[0]&^distinctCount == distinctHLL {
		if acc[0]&^distinctCount != distinctHLL {
			toRegisters(acc, h)
		}
		var b []byte
		acc[1], b = edit(h, acc[1], distinctRegisters)
		for i, rho := range get(h, from[1]) {
			b[i] = max(b[i], rho)
		}
		return nil
	}
	n, m := int(acc[0]&distinctCount), int(from[0]&distinctCount)
	if acc[0]&^distinctCount == distinctHLL || union(get(h, acc[1]), n, get(h, from[1]), m) > distinctExact {
		hashes := get(h, from[1])
		for k := range m {
			addHash(acc, le.Uint64(hashes[8*k:]), h)
		}
		return nil
	}
	// Two lists in order become one, from its end on.
	b, both := edit(h, acc[1], max(room(8*(n+m)), len(get(h, acc[1]))))
	acc[1] = b
	other, into := get(h, from[1]), n+m
	i, j := n, m
	for j > 0 {
		y := le.Uint64(other[8*(j-1):])
		if i > 0 {
			x := le.Uint64(both[8*(i-1):])
			if x >= y {
				i--
				into--
				le.PutUint64(both[8*into:], x)
				if x == y {
					j--
				}
				continue
			}
		}
		j--
		into--
		le.PutUint64(both[8*into:], y)
	}
	// What is left of acc's own is in place; equal ones left a gap behind it.
	copy(both[8*i:], both[8*into:8*(n+m)])
	total := i + n + m - into
	clear(both[8*total : 8*(n+m)])
	acc[0] = distinctHashes | uint64(total)
	return nil
}

// union is how many different hashes two lists have.
func union(a []byte, n int, b []byte, m int) int {
	both := n + m
	for i, j := 0, 0; i < n && j < m; {
		x, y := le.Uint64(a[8*i:]), le.Uint64(b[8*j:])
		if x <= y {
			i++
		}
		if y <= x {
			j++
		}
		if x == y {
			both--
		}
	}
	return both
}

func (countDistinct) Append(acc []uint64, h Heap, out *Column, row int32) {
	if acc[0]&^distinctCount != distinctHLL {
		out.setInt(row, int64(acc[0]&distinctCount))
		return
	}
	n, err := estimate(h.Get(acc[1]))
	if err != nil {
		out.SetNull(row) // bytes that are not ours
		return
	}
	out.setInt(row, int64(n))
}

// estimate asks the library, in the form that it reads: version 2, precision,
// 0, dense, and how many registers.
func estimate(registers []byte) (uint64, error) {
	b := make([]byte, 0, 8+distinctRegisters)
	b = append(b, 2, distinctPrecision, 0, 0, 0, 0, distinctRegisters>>8, distinctRegisters&0xff)
	var s hyperloglog.Sketch
	if err := s.UnmarshalBinary(append(b, registers...)); err != nil {
		return 0, fmt.Errorf("read registers of count_distinct: %w", err)
	}
	return s.Estimate(), nil
}
