package aggregate_test

import (
	"slices"
	"testing"

	"github.com/leatstream/leat/window/aggregate"
)

// TestRun: merging many at once is merging them one after the other; where that
// overflows, so does this.
func TestRun(t *testing.T) {
	r := random(t)
	runners := 0
	each(t, func(t *testing.T, c call) {
		runner, ok := c.agg.(aggregate.Runner)
		if !ok {
			return
		}
		runners++
		if len(c.agg.Blobs()) > 0 {
			t.Fatal("it has blobs: nobody gives it a heap")
		}
		words, stride := c.agg.Words(), c.agg.Words()+r.IntN(3)
		for range 300 {
			n := r.IntN(9)
			args := randomColumns(r, c, max(n, 1), r.IntN(2) == 0)
			run := make([]uint64, n*stride+words)
			one := make([]uint64, words)
			for i := range n {
				// An accumulator with an error is empty, which is one, too.
				_ = c.agg.Add(run[i*stride:i*stride+words], args, int32(i), nil)
			}
			if n > 0 && r.IntN(2) == 0 {
				copy(one, run[:words])
			}
			many := slices.Clone(one)
			var wrong error
			for i := 0; i < n && wrong == nil; i++ {
				wrong = c.agg.Merge(one, run[i*stride:i*stride+words], nil)
			}
			err := runner.MergeRun(many, run, stride, n)
			if err != wrong {
				t.Fatalf("%d: error %v, one by one %v", n, err, wrong)
			}
			if err == nil && !slices.Equal(many, one) {
				t.Fatalf("%d: %x, one by one %x", n, many, one)
			}
		}
	})
	if runners < 5 {
		t.Errorf("only %d aggregates merge many at once", runners)
	}
}
