package operators

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestPackWords: what is written is read, takes few bytes, and nothing that is
// cut short is read.
func TestPackWords(t *testing.T) {
	small := []uint64{1, 2, 250, 0, math.MaxUint64 - 3, 1<<63 | 40, 1<<63 - 40} // count, sum, ranks of min and max
	if n := len(packWords(nil, small)); n > 4+9 {
		t.Errorf("small numbers take %d bytes", n)
	}
	if n := len(packWords(nil, []uint64{math.Float64bits(2.5)})); n > 1+2 {
		t.Errorf("a round double takes %d bytes", n)
	}
	r := rand.New(rand.NewPCG(*seed, 9))
	for range 10_000 {
		words := make([]uint64, r.IntN(9))
		for i := range words {
			words[i] = r.Uint64() >> r.IntN(65) << r.IntN(65)
			if r.IntN(4) == 0 {
				words[i] = ^words[i]
			}
		}
		b := packWords(nil, words)
		got := make([]uint64, len(words))
		for _, tail := range []int{0, 1, 8} {
			rest, ok := unpackWords(got, append(slices.Clone(b), make([]byte, tail)...))
			if !ok || len(rest) != tail || !slices.Equal(got, words) {
				t.Fatalf("seed %d: %x was read as %x, %v, with %d of %d bytes left", *seed, words, got, ok, len(rest), tail)
			}
		}
		if len(b) > 0 {
			if _, ok := unpackWords(got, b[:r.IntN(len(b))]); ok {
				t.Fatalf("seed %d: %x cut short was read", *seed, b)
			}
		}
	}
}
