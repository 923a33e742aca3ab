package aggregate_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/leatstream/leat/window/aggregate"
)

// TestKinds walks the table.
func TestKinds(t *testing.T) {
	types := []aggregate.Type{aggregate.Invalid, aggregate.Any + 1}
	for typ := aggregate.String; typ <= aggregate.Any; typ++ {
		types = append(types, typ)
	}
	for i, k := range aggregate.Kinds() {
		if i > 0 && aggregate.Kinds()[i-1].Name >= k.Name {
			t.Errorf("%s is not in order", k.Name)
		}
		if found, ok := aggregate.Lookup(k.Name); !ok || found.Name != k.Name || k.Doc == "" {
			t.Errorf("%s is not complete", k.Name)
		}
		if _, err := os.Stat(filepath.Join("testdata", k.Name+".txt")); err != nil {
			t.Errorf("%s has no manual: %v", k.Name, err)
		}
		// Whatever the arguments, an aggregate or an error.
		for _, params := range append(constants[k.Name], nil, []aggregate.Value{{Int: -1, Double: math.NaN()}}, make([]aggregate.Value, 9)) {
			check(t, k, nil, params)
			for _, x := range types {
				check(t, k, []aggregate.Type{x}, params)
				for _, y := range types {
					check(t, k, []aggregate.Type{x, y}, params)
					for _, z := range types {
						check(t, k, []aggregate.Type{x, y, z}, params)
						check(t, k, []aggregate.Type{aggregate.String, x, y, z}, params)
					}
				}
			}
		}
		if !slices.ContainsFunc(calls(), func(c call) bool { return c.Name == k.Name }) {
			t.Errorf("%s is in no random test", k.Name)
		}
	}
}

func check(t *testing.T, k aggregate.Kind, args []aggregate.Type, params []aggregate.Value) {
	agg, err := k.New(args, params)
	if (agg == nil) != (err != nil) {
		t.Fatalf("%s%v: %v and %v", k.Name, args, agg, err)
	}
	if err != nil {
		return
	}
	if agg.Words() < 1 || agg.Result() == aggregate.Invalid {
		t.Errorf("%s%v: %d words, result %s", k.Name, args, agg.Words(), agg.Result())
	}
	for _, w := range agg.Blobs() {
		if w < 0 || w >= agg.Words() {
			t.Errorf("%s%v: blob at word %d of %d", k.Name, args, w, agg.Words())
		}
	}
}

// TestNoAllocations: the record's path allocates nothing.
func TestNoAllocations(t *testing.T) {
	r := random(t)
	each(t, func(t *testing.T, c call) {
		const n = 64
		agg, rows := c.agg, randomColumns(r, c, n, false)
		h := &aggregate.Scratch{}
		acc, pane := make([]uint64, agg.Words()), make([]uint64, agg.Words())
		sub, _ := agg.(aggregate.Subtracter)
		un, _ := agg.(aggregate.Unmerger)
		run := func() {
			h.Reset()
			clear(acc)
			clear(pane)
			for i := range int32(n) {
				_ = agg.Add(pane, rows, i, h)
			}
			_ = agg.Merge(acc, pane, h)
			if sub != nil {
				_ = sub.Subtract(acc, rows, 0, h)
			}
			if un != nil {
				_ = un.Unmerge(acc, pane, h)
			}
		}
		if allocs := testing.AllocsPerRun(20, run); allocs != 0 {
			t.Errorf("%v allocations in %d rows", allocs, n)
		}
	})
}

// BenchmarkAdd adds rows of a thousand different values; BenchmarkMerge merges
// panes of a thousand rows.
func BenchmarkAdd(b *testing.B) {
	benchmark(b, func(b *testing.B, c call, rows []aggregate.Column, n int) {
		acc, h := make([]uint64, c.agg.Words()), &aggregate.Scratch{}
		for i := 0; b.Loop(); i++ {
			if i%n == 0 {
				h.Reset()
				clear(acc)
			}
			_ = c.agg.Add(acc, rows, int32(i%n), h)
		}
	})
}

func BenchmarkMerge(b *testing.B) {
	benchmark(b, func(b *testing.B, c call, rows []aggregate.Column, n int) {
		base := &aggregate.Scratch{}
		pane := make([]uint64, c.agg.Words())
		for i := range int32(n) {
			_ = c.agg.Add(pane, rows, i, base)
		}
		acc, h := make([]uint64, c.agg.Words()), &aggregate.Scratch{}
		for b.Loop() {
			h.Reset()
			clear(acc)
			copy(acc, pane)
			for _, w := range c.agg.Blobs() {
				if pane[w] != 0 {
					acc[w] = h.Put(0, base.Get(pane[w]))
				}
			}
			from := slices.Clone(acc)
			_ = c.agg.Merge(acc, from, h)
		}
	})
}

func benchmark(b *testing.B, run func(b *testing.B, c call, rows []aggregate.Column, n int)) {
	const n = 1024
	r := rand.New(rand.NewPCG(1, 1))
	for _, c := range calls() {
		if len(c.types) == 1 && c.types[0] != aggregate.Int && c.types[0] != aggregate.Double && c.types[0] != aggregate.String {
			continue
		}
		var rows []aggregate.Column
		for at, typ := range c.columns() {
			values := make([]any, n)
			for i := range values {
				if c.Name == "or_set" && at == 0 {
					values[i] = []any{"add", "remove"}[i%2]
					continue
				}
				k := r.Int64N(1000)
				values[i] = map[aggregate.Type]any{aggregate.Int: k, aggregate.Double: r.Float64(), aggregate.Bool: k%2 == 0, aggregate.Timestamp: int64(i)}[typ]
				if values[i] == nil {
					values[i] = fmt.Sprintf("some text %d", k)
				}
			}
			rows = append(rows, column(typ, values))
		}
		b.Run(c.String(), func(b *testing.B) { run(b, c, rows, n) })
	}
}
