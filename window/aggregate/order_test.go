package aggregate_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/leatstream/leat/window/aggregate"
)

// fold adds rows in the order given, to panes cut at random, and merges these
// in order. The panes' blobs are then freed.
func fold(t *testing.T, r *rand.Rand, c call, args []aggregate.Column, order []int, h aggregate.Heap) []uint64 {
	total := make([]uint64, c.agg.Words())
	for len(order) > 0 {
		n := 1 + r.IntN(len(order))
		pane := make([]uint64, c.agg.Words())
		for _, i := range order[:n] {
			if err := c.agg.Add(pane, args, int32(i), h); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.agg.Merge(total, pane, h); err != nil {
			t.Fatal(err)
		}
		for _, w := range c.agg.Blobs() {
			if pane[w] != 0 {
				h.Put(pane[w], nil)
			}
		}
		order = order[n:]
	}
	return total
}

// TestOrderFree: those that say so give the same in any order and any panes.
func TestOrderFree(t *testing.T) {
	r := random(t)
	each(t, func(t *testing.T, c call) {
		if !c.OrderFree {
			return
		}
		for range 100 {
			n := r.IntN(60)
			args := randomColumns(r, c, n, false) // event times differ
			h := newHeap(t)
			got := append1(c.agg, fold(t, r, c, args, r.Perm(n), h), h)
			if want := append1(c.agg, fold(t, r, c, args, r.Perm(n), h), h); !near(got, want) {
				t.Fatalf("%v: %v and %v", rowsOf(args, n), got, want)
			}
		}
	})
}

// TestReplicas: the replicated types converge: Merge is commutative,
// associative and idempotent, and rows may come again in any order.
func TestReplicas(t *testing.T) {
	r := random(t)
	each(t, func(t *testing.T, c call) {
		if !slices.Contains([]string{"g_counter", "pn_counter", "lww", "lww_map", "or_set"}, c.Name) {
			return
		}
		for range 300 {
			n := 1 + r.IntN(60)
			args := randomColumns(r, c, n, r.IntN(2) == 0)
			h := newHeap(t)
			// Three replicas, each with some of the rows.
			var replicas [3][]uint64
			for k := range replicas {
				replicas[k] = fold(t, r, c, args, r.Perm(n)[:r.IntN(n+1)], h)
			}
			merge := func(accs ...[]uint64) []uint64 {
				total := make([]uint64, c.agg.Words())
				for _, from := range accs {
					if err := c.agg.Merge(total, from, h); err != nil {
						t.Fatal(err)
					}
				}
				return total
			}
			a, b, d := replicas[0], replicas[1], replicas[2]
			result := func(acc []uint64) any { return append1(c.agg, acc, h) }
			for name, pair := range map[string][2][]uint64{
				"commutative": {merge(a, b), merge(b, a)},
				"associative": {merge(merge(a, b), d), merge(a, merge(b, d))},
				"idempotent":  {merge(a, b, a, b, b), merge(a, b)},
			} {
				if x, y := fmt.Sprint(result(pair[0])), fmt.Sprint(result(pair[1])); x != y { // to the last digit
					t.Fatalf("not %s: %v and %v, of %v", name, x, y, rowsOf(args, n))
				}
			}
			// All rows once, or some of them again and in another order.
			again := append(r.Perm(n), r.Perm(n)[:r.IntN(n)]...)
			r.Shuffle(len(again), func(i, j int) { again[i], again[j] = again[j], again[i] })
			once, twice := result(fold(t, r, c, args, r.Perm(n), h)), result(fold(t, r, c, args, again, h))
			if fmt.Sprint(once) != fmt.Sprint(twice) {
				t.Fatalf("again: %v and %v, of %v", once, twice, rowsOf(args, n))
			}
		}
	})
}

// TestIncreaseInOrder: of rows in the order of time, with resets, increase and
// rate are exact, whatever the panes.
func TestIncreaseInOrder(t *testing.T) {
	r := random(t)
	each(t, func(t *testing.T, c call) {
		if c.Name != "increase" && c.Name != "rate" {
			return
		}
		for range 300 {
			n := r.IntN(40)
			values, times := make([]any, n), make([]any, n)
			v, at := int64(0), int64(0)
			var order []int
			for i := range values {
				v += r.Int64N(10)
				if r.IntN(6) == 0 {
					v = r.Int64N(5)
				}
				at += r.Int64N(3)
				values[i], times[i] = v, at
				if c.types[0] == aggregate.Double {
					values[i] = float64(v)
				}
				order = append(order, i)
			}
			args := []aggregate.Column{column(c.types[0], values), column(aggregate.Timestamp, times)}
			got := append1(c.agg, fold(t, r, c, args, order, nil), nil)
			if want, _ := naive(c, rowsOf(args, n)); !same(got, want) {
				t.Fatalf("%v: %v, want %v", rowsOf(args, n), got, want)
			}
		}
	})
}
