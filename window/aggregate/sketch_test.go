package aggregate_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/DataDog/sketches-go/ddsketch"
	"github.com/axiomhq/hyperloglog"
	"github.com/cespare/xxhash/v2"

	"github.com/leatstream/leat/window/aggregate"
)

func make1(t *testing.T, name string, typ aggregate.Type, params ...aggregate.Value) call {
	k, _ := aggregate.Lookup(name)
	agg, err := k.New([]aggregate.Type{typ}, params)
	if err != nil {
		t.Fatal(err)
	}
	return call{k, []aggregate.Type{typ}, params, agg}
}

// state is everything an accumulator holds but for room to grow.
func state(c call, acc []uint64, h aggregate.Heap) string {
	words := slices.Clone(acc)
	text := ""
	for _, w := range c.agg.Blobs() {
		if words[w] != 0 {
			text += fmt.Sprintf("%x;", bytes.TrimRight(h.Get(words[w]), "\x00"))
		}
		words[w] = 0
	}
	return fmt.Sprint(words, text)
}

// TestManyDistinct: exact up to 1024, then within 3% (more than three standard
// errors), as the library counts the same hashes; and the same rows give the
// same bytes in any order and panes.
func TestManyDistinct(t *testing.T) {
	r := random(t)
	c := make1(t, "count_distinct", aggregate.String)
	for _, n := range []int{1000, 1024, 1025, 1500, 5_000, 30_000, 100_000} {
		values := make([]any, n)
		judge := hyperloglog.NewNoSparse()
		for i := range values {
			text := fmt.Sprintf("%d of %d", i, n)
			values[i] = text
			judge.InsertHash(xxhash.Sum64String(text))
		}
		values = append(values, values[:n/2]...)
		args := []aggregate.Column{column(aggregate.String, values)}
		h := &aggregate.Scratch{}
		acc := fold(t, r, c, args, r.Perm(len(values)), h)
		got := append1(c.agg, acc, h).(int64)
		switch {
		case n <= 1024 && got != int64(n):
			t.Errorf("%d of %d", got, n)
		case n > 1024 && got != int64(judge.Estimate()):
			t.Errorf("%d of %d, the library says %d", got, n, judge.Estimate())
		case math.Abs(float64(got)/float64(n)-1) > 0.03:
			t.Errorf("%d of %d", got, n)
		}
		if other := fold(t, r, c, args, r.Perm(len(values)), h); state(c, acc, h) != state(c, other, h) {
			t.Errorf("of %d another order gives other bytes", n)
		}
	}
}

// TestQuantilesOfMany: as the library's, bin for bin, and within 1%.
func TestQuantilesOfMany(t *testing.T) {
	r := random(t)
	for _, spread := range []float64{0.1, 1, 5} {
		const n = 20_000
		values := make([]any, n)
		judge, _ := ddsketch.LogUnboundedDenseDDSketch(0.01)
		for i := range values {
			v := math.Exp(r.NormFloat64() * spread)
			if r.IntN(10) == 0 {
				v = -v
			}
			values[i] = v
			if err := judge.Add(v); err != nil {
				t.Fatal(err)
			}
		}
		args := []aggregate.Column{column(aggregate.Double, values)}
		h := &aggregate.Scratch{}
		sorted := slices.Clone(values)
		slices.SortFunc(sorted, compare)
		for _, q := range []float64{0, 0.01, 0.5, 0.95, 0.999, 1} {
			c := make1(t, "quantile", aggregate.Double, aggregate.Value{Double: q})
			got := append1(c.agg, fold(t, r, c, args, r.Perm(n), h), h).(float64)
			want := sorted[int(q*(n-1))].(float64)
			theirs, _ := judge.GetValueAtQuantile(q)
			// The library rounds the rank of negative values up.
			if math.Abs(got-want) > 0.010001*math.Abs(want) || want > 0 && got != theirs {
				t.Errorf("%v: quantile %v is %v, want %v, the library says %v", spread, q, got, want, theirs)
			}
		}
	}
}

// TestTooManyBins: beyond 2048 those nearest to 0 count as 0, in any order
// alike; the others are as exact as before.
func TestTooManyBins(t *testing.T) {
	r := random(t)
	c := make1(t, "quantile", aggregate.Double, aggregate.Value{Double: 0.5})
	for range 5 {
		const n = 6000
		values := make([]any, n)
		for i := range values {
			values[i] = math.Exp(r.Float64()*100 - 50) // 5000 bins
			if r.IntN(4) == 0 {
				values[i] = -values[i].(float64)
			}
		}
		args := []aggregate.Column{column(aggregate.Double, values)}
		h := &aggregate.Scratch{}
		acc, other := fold(t, r, c, args, r.Perm(n), h), fold(t, r, c, args, r.Perm(n), h)
		if state(c, acc, h) != state(c, other, h) {
			t.Fatal("another order gives other bytes")
		}
		if got := append1(c.agg, acc, h); got != 0.0 {
			t.Fatalf("the median is %v", got)
		}
		slices.SortFunc(values, compare)
		for _, q := range []float64{0, 0.01, 0.1, 0.7, 0.95, 1} {
			at := make1(t, "quantile", aggregate.Double, aggregate.Value{Double: q})
			got, want := append1(at.agg, acc, h).(float64), values[int(q*(n-1))].(float64)
			if math.Abs(got-want) > 0.010001*math.Abs(want) {
				t.Fatalf("quantile %v is %v, want %v", q, got, want)
			}
		}
		hist := make1(t, "histogram", aggregate.Double)
		var bins []struct{ Count int }
		if err := json.Unmarshal([]byte(append1(hist.agg, acc, h).(string)), &bins); err != nil {
			t.Fatal(err)
		}
		total := 0
		for _, b := range bins {
			total += b.Count
		}
		if len(bins) != 2048 || total != n {
			t.Fatalf("%d bins of %d values", len(bins), total)
		}
		// All can be taken back, also what has become one.
		for _, i := range r.Perm(n) {
			_ = c.agg.(aggregate.Subtracter).Subtract(acc, args, int32(i), h)
		}
		if acc[0]|acc[1]|acc[2] != 0 {
			t.Fatalf("nothing is left, but %x", acc)
		}
	}
}

// TestTopKOfMany: where there are more values than are followed, no count is
// too low, none too high by more than rows / followed, and what is more
// frequent than that is there.
func TestTopKOfMany(t *testing.T) {
	r := random(t)
	const n, k, follows = 20_000, 5, 64
	c := make1(t, "top_k", aggregate.Int, aggregate.Value{Int: k})
	for run := range 10 {
		zipf := rand.NewZipf(r, 1.3, 1, 5000)
		values := make([]any, n)
		count := map[int64]int{}
		for i := range values {
			v := int64(zipf.Uint64())
			if run%2 == 0 {
				v = r.Int64N(200)
			}
			values[i] = v
			count[v]++
		}
		args := []aggregate.Column{column(aggregate.Int, values)}
		h := &aggregate.Scratch{}
		var order []int
		for i := range n {
			order = append(order, i)
		}
		var top []struct{ Value, Count int64 }
		acc := make([]uint64, c.agg.Words())
		if run%4 < 2 {
			acc = fold(t, r, c, args, order, h)
		} else {
			for from := 0; from < n; from += n / 20 {
				if err := c.agg.Merge(acc, fold(t, r, c, args, order[from:from+n/20], h), h); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := json.Unmarshal([]byte(append1(c.agg, acc, h).(string)), &top); err != nil {
			t.Fatal(err)
		}
		listed := map[int64]bool{}
		for _, e := range top {
			if high := e.Count - int64(count[e.Value]); high < 0 || high > n/follows {
				t.Errorf("%d came %d times, not %d", e.Value, count[e.Value], e.Count)
			}
			listed[e.Value] = true
		}
		often := slices.SortedFunc(maps.Keys(count), func(a, b int64) int { return count[b] - count[a] })
		for _, v := range often[:k] {
			if count[v]-count[often[k]] > n/follows && !listed[v] {
				t.Errorf("%d came %d times and is not listed: %v", v, count[v], top)
			}
		}
	}
}

// TestTopKHidden: a value that one of two panes does not follow any more counts
// there as often as it may have come.
func TestTopKHidden(t *testing.T) {
	c := make1(t, "top_k", aggregate.Int, aggregate.Value{Int: 1})
	for _, swap := range []bool{false, true} {
		h := newHeap(t)
		pane := func(runs ...[2]int64) []uint64 {
			acc := make([]uint64, c.agg.Words())
			for _, run := range runs {
				args := []aggregate.Column{column(aggregate.Int, []any{run[0]})}
				for range run[1] {
					if err := c.agg.Add(acc, args, 0, h); err != nil {
						t.Fatal(err)
					}
				}
			}
			return acc
		}
		runs := [][2]int64{{7, 10}} // of 64 others that come 20 times the last displaces it
		for v := range int64(64) {
			runs = append(runs, [2]int64{100 + v, 20})
		}
		acc, from := pane([2]int64{7, 100}), pane(runs...)
		if swap {
			acc, from = from, acc
		}
		if err := c.agg.Merge(acc, from, h); err != nil {
			t.Fatal(err)
		}
		if got := append1(c.agg, acc, h); got != `[{"value":7,"count":120}]` {
			t.Errorf("swap %v: 7 came 110 times, at most 120: %v", swap, got)
		}
	}
}

// TestLargeDictionaries: thousands of keys, values that grow and move, against
// a map; what is moved leaves no holes for ever.
func TestLargeDictionaries(t *testing.T) {
	r := random(t)
	k, _ := aggregate.Lookup("lww_map")
	types := []aggregate.Type{aggregate.String, aggregate.String, aggregate.Int, aggregate.Int}
	agg, err := k.New(types, nil)
	if err != nil {
		t.Fatal(err)
	}
	c := call{k, types, nil, agg}
	for _, keys := range []int{5, 3000} {
		const n = 20_000
		var columns [4][]any
		size := 0
		last := map[string]int{}
		for i := range n {
			key, v := fmt.Sprint("key ", r.IntN(keys)), fmt.Sprintf("%0*d", 1+r.IntN(60), i)
			for k, v := range []any{key, v, int64(i), int64(1)} {
				columns[k] = append(columns[k], v)
			}
			last[key] = i
		}
		var args []aggregate.Column
		for k, typ := range types {
			args = append(args, column(typ, columns[k]))
		}
		h := &aggregate.Scratch{}
		acc := fold(t, r, c, args, r.Perm(n), h)
		want := map[string]any{}
		for key, i := range last {
			want[key] = columns[1][i]
			size += 150
		}
		if got := append1(agg, acc, h); !agree(c, got, want) {
			t.Fatalf("%d keys: %.300v", keys, got)
		}
		if have := len(h.Get(acc[0])); have > 3*size+4096 {
			t.Errorf("%d keys take %d bytes", keys, have)
		}
	}
	// Sets beyond what is searched one by one.
	set := make1(t, "collect_set", aggregate.String, aggregate.Value{Int: 100_000})
	values := make([]any, 5000)
	for i := range values {
		values[i] = fmt.Sprint(r.IntN(3000))
	}
	args := []aggregate.Column{column(aggregate.String, values)}
	order := make([]int, len(values))
	for i := range order {
		order[i] = i
	}
	h := &aggregate.Scratch{}
	want, _ := naive(call{set.Kind, set.types, []aggregate.Value{{Int: 100_000}}, set.agg}, rowsOf(args, len(values)))
	if got := append1(set.agg, fold(t, r, set, args, order, h), h); !agree(set, got, want) {
		t.Fatalf("%.300v, want %.300v", got, want)
	}
}

// TestPlainHeap: a Heap that is no Editor serves as well.
func TestPlainHeap(t *testing.T) {
	r := random(t)
	each(t, func(t *testing.T, c call) {
		n := 40
		args := randomColumns(r, c, n, false)
		order := r.Perm(n)
		at, seed := make([]any, 2), r.Uint64()
		for i, h := range []aggregate.Heap{newHeap(t), &aggregate.Scratch{}} {
			at[i] = append1(c.agg, fold(t, rand.New(rand.NewPCG(seed, 1)), c, args, order, h), h)
		}
		if !same(at[0], at[1]) {
			t.Fatalf("%v and %v", at[0], at[1])
		}
	})
}
