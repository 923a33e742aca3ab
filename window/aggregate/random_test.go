package aggregate_test

import (
	"cmp"
	"flag"
	"math"
	"math/big"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/leatstream/leat/window"
	"github.com/leatstream/leat/window/aggregate"
)

var seed = flag.Uint64("seed", uint64(time.Now().UnixNano()), "seed of random tests")

func random(t *testing.T) *rand.Rand {
	t.Logf("replay: go test ./window/aggregate -run '^%s$' -seed %d", t.Name(), *seed)
	return rand.New(rand.NewPCG(*seed, 0))
}

// each calls fn for every aggregate over every type that it takes.
func each(t *testing.T, fn func(t *testing.T, k aggregate.Kind, typ aggregate.Type, agg aggregate.Aggregate)) {
	for _, k := range aggregate.Kinds() {
		for typ := aggregate.String; typ <= aggregate.Any; typ++ {
			if agg, err := k.New([]aggregate.Type{typ}, nil); err == nil {
				t.Run(k.Name+"("+typ.String()+")", func(t *testing.T) { fn(t, k, typ, agg) })
			}
		}
	}
}

// randomValues draws from few enough values that they meet again. A sum or a
// square of them does not overflow; where wild, they may be any.
func randomValues(r *rand.Rand, typ aggregate.Type, n int, wild bool) []any {
	values := make([]any, n)
	odd := []float64{math.NaN(), math.Inf(1), math.Inf(-1), math.Copysign(0, -1), 0}
	texts := []string{"", "a", "b", "ab", "B", "é", "\x00", "\xff", `{"a":1}`}
	for i := range values {
		if r.IntN(5) == 0 {
			continue // null
		}
		switch typ {
		case aggregate.Int, aggregate.Timestamp:
			values[i] = r.Int64N(2000) - 1000
			if wild && r.IntN(3) == 0 {
				values[i] = []int64{math.MinInt64, math.MaxInt64, math.MaxInt64 - 1, -1, 0}[r.IntN(5)]
			}
		case aggregate.Double:
			values[i] = 1000 + r.NormFloat64()
			if r.IntN(20) == 0 {
				values[i] = odd[r.IntN(len(odd))]
			}
			if wild && r.IntN(3) == 0 {
				values[i] = []float64{math.MaxFloat64, -math.MaxFloat64, math.SmallestNonzeroFloat64}[r.IntN(3)]
			}
		case aggregate.Bool:
			values[i] = r.IntN(2) == 0
		default:
			values[i] = texts[r.IntN(len(texts))]
		}
	}
	return values
}

// naive is the result over rows in order, by the plainest means. ok is false
// where it is out of range.
func naive(name string, typ aggregate.Type, rows []any) (result any, ok bool) {
	rows = slices.DeleteFunc(slices.Clone(rows), func(v any) bool { return v == nil })
	if name == "count" {
		return int64(len(rows)), true
	}
	if len(rows) == 0 {
		return nil, true
	}
	switch name {
	case "first":
		return rows[0], true
	case "last":
		return rows[len(rows)-1], true
	case "min":
		return slices.MinFunc(rows, compare), true
	case "max":
		return slices.MaxFunc(rows, compare), true
	case "sum":
		if typ == aggregate.Int {
			sum := new(big.Int)
			for _, v := range rows {
				sum.Add(sum, big.NewInt(v.(int64)))
			}
			return sum.Int64(), sum.IsInt64()
		}
		return sum(rows), true
	case "avg":
		return sum(rows) / float64(len(rows)), true
	case "variance", "stddev":
		if len(rows) < 2 {
			return nil, true
		}
		mean, squares := sum(rows)/float64(len(rows)), 0.0
		for _, v := range rows {
			squares += (double(v) - mean) * (double(v) - mean)
		}
		variance := squares / float64(len(rows)-1)
		if name == "stddev" {
			return math.Sqrt(variance), true
		}
		return variance, true
	}
	panic("no naive " + name)
}

func sum(rows []any) float64 {
	s := 0.0
	for _, v := range rows {
		s += double(v)
	}
	return s
}

func double(v any) float64 {
	if i, ok := v.(int64); ok {
		return float64(i)
	}
	return v.(float64)
}

// compare is the order of min and max: NaN last, -0 before 0, false first.
func compare(a, b any) int {
	switch a := a.(type) {
	case int64:
		return cmp.Compare(a, b.(int64))
	case bool:
		return map[bool]int{false: 0, true: 1}[a] - map[bool]int{false: 0, true: 1}[b.(bool)]
	case string:
		return cmp.Compare(a, b.(string))
	}
	x, y := a.(float64), b.(float64)
	switch {
	case x != x || y != y:
		return map[bool]int{true: 1}[x != x] - map[bool]int{true: 1}[y != y]
	case x == 0 && y == 0:
		return map[bool]int{true: 1}[math.Signbit(y)] - map[bool]int{true: 1}[math.Signbit(x)]
	}
	return cmp.Compare(x, y)
}

// same compares results, doubles up to rounding.
func same(a, b any) bool {
	x, ok1 := a.(float64)
	y, ok2 := b.(float64)
	switch {
	case !ok1 || !ok2:
		return a == b
	case x != x || y != y:
		return x != x && y != y
	}
	return x == y && math.Signbit(x) == math.Signbit(y) || math.Abs(x-y) <= 1e-9*max(1, math.Abs(x))
}

// TestPanes: the merge of a window's panes is what the window's rows give.
func TestPanes(t *testing.T) {
	r := random(t)
	each(t, func(t *testing.T, k aggregate.Kind, typ aggregate.Type, agg aggregate.Aggregate) {
		for range 60 {
			s := window.Spec{Kind: "hopping", Size: 1 + r.Int64N(40)}
			s.Advance = 1 + r.Int64N(s.Size)
			s.Offset = r.Int64N(s.Advance)
			a, err := window.New(s)
			if err != nil {
				t.Fatal(err)
			}
			n := r.IntN(60)
			rows := []aggregate.Column{column(typ, randomValues(r, typ, n, false))}
			at := make([]int64, n)
			h := newHeap(t)
			panes, windows := map[int64][]uint64{}, map[int64]bool{}
			for i := range at {
				at[i] = r.Int64N(100) - 50 // arrives in any order
				end := a.PaneEnd(at[i])
				if panes[end] == nil {
					panes[end] = make([]uint64, agg.Words())
				}
				if err := agg.Add(panes[end], rows, int32(i), h); err != nil {
					t.Fatal(err)
				}
				for end := range window.Ends(a, at[i]) {
					windows[end] = true
				}
			}
			live := len(h.blobs)
			scratch := aggregate.Scratch{Base: h}
			for end := range windows {
				scratch.Reset()
				acc := make([]uint64, agg.Words())
				for pane := range window.Panes(a, end) {
					if from := panes[pane]; from != nil {
						if err := agg.Merge(acc, from, &scratch); err != nil {
							t.Fatal(err)
						}
					}
				}
				want, _ := naive(k.Name, typ, inWindow(&rows[0], at, a, end))
				if got := append1(agg, acc, &scratch); !same(got, want) {
					t.Fatalf("%+v: window to %d: %v, want %v", s, end, got, want)
				}
			}
			if len(h.blobs) != live {
				t.Fatalf("the merge left %d blobs where there were %d", len(h.blobs), live)
			}
		}
	})
}

// inWindow gives the rows of a window, pane after pane, by arrival in each.
func inWindow(c *aggregate.Column, at []int64, a window.Assigner, end int64) []any {
	var rows []any
	for pane := range window.Panes(a, end) {
		for i := range at {
			if at[i] >= a.Start(end) && at[i] < end && a.PaneEnd(at[i]) == pane {
				rows = append(rows, value(c, int32(i)))
			}
		}
	}
	return rows
}

// TestSubtract: taking back what was added gives what was before, and all
// zeros where nothing was; NaN and infinities are taken back too.
func TestSubtract(t *testing.T) {
	r := random(t)
	each(t, func(t *testing.T, k aggregate.Kind, typ aggregate.Type, agg aggregate.Aggregate) {
		sub, ok := agg.(aggregate.Subtracter)
		if ok != k.Subtracts {
			t.Fatalf("is a Subtracter: %v, the table says %v", ok, k.Subtracts)
		}
		if !ok {
			return
		}
		for range 300 {
			kept := randomValues(r, typ, r.IntN(8), false)
			gone := randomValues(r, typ, r.IntN(60), false)
			rows := []aggregate.Column{column(typ, append(slices.Clone(kept), gone...))}
			add := func(acc []uint64, from, to int) {
				for i := from; i < to; i++ {
					if err := agg.Add(acc, rows, int32(i), nil); err != nil {
						t.Fatal(err)
					}
				}
			}
			acc, pane := make([]uint64, agg.Words()), make([]uint64, agg.Words())
			add(acc, 0, len(kept))
			split := len(kept) + r.IntN(len(gone)+1)
			add(acc, len(kept), split)
			add(pane, split, len(kept)+len(gone))
			if err := agg.Merge(acc, pane, nil); err != nil {
				t.Fatal(err)
			}
			// Back again, rows in any order before or after the pane.
			order := r.Perm(split - len(kept))
			half := r.IntN(len(order) + 1)
			take := func(order []int) {
				for _, i := range order {
					if err := sub.Subtract(acc, rows, int32(len(kept)+i), nil); err != nil {
						t.Fatal(err)
					}
				}
			}
			take(order[:half])
			if err := sub.Unmerge(acc, pane, nil); err != nil {
				t.Fatal(err)
			}
			take(order[half:])
			want, _ := naive(k.Name, typ, kept)
			if got := append1(agg, acc, nil); !near(got, want) {
				t.Fatalf("%v without %v: %v, want %v", kept, gone, got, want)
			}
			empty := !slices.ContainsFunc(kept, func(v any) bool { return v != nil })
			if empty && slices.ContainsFunc(acc, func(w uint64) bool { return w != 0 }) {
				t.Fatalf("nothing is left, but %x", acc)
			}
		}
	})
}

// near is same with the rounding that taking back costs: the rows taken away
// were a thousand times the spread of those left.
func near(a, b any) bool {
	x, ok1 := a.(float64)
	y, ok2 := b.(float64)
	if ok1 && ok2 && math.Abs(x-y) <= 1e-3 {
		return true
	}
	return same(a, b)
}

// TestErrorsChangeNothing: with values at the ends of their ranges, what
// reports an error has left the accumulator as it was, and what does not is
// right.
func TestErrorsChangeNothing(t *testing.T) {
	r := random(t)
	each(t, func(t *testing.T, k aggregate.Kind, typ aggregate.Type, agg aggregate.Aggregate) {
		sub, _ := agg.(aggregate.Subtracter)
		overflows := 0
		for range 300 {
			h := newHeap(t)
			var kept []any
			acc := make([]uint64, agg.Words())
			try := func(fn func() error) bool {
				before := slices.Clone(acc)
				err := fn()
				if err == nil {
					return true
				}
				overflows++
				if err != aggregate.ErrOverflow || !slices.Equal(acc, before) {
					t.Fatalf("%v, and %x became %x", err, before, acc)
				}
				return false
			}
			for range 12 {
				values := randomValues(r, typ, 3, true)
				rows := []aggregate.Column{column(typ, values)}
				if try(func() error { return agg.Add(acc, rows, 0, h) }) {
					kept = append(kept, values[0])
				}
				pane := make([]uint64, agg.Words())
				if agg.Add(pane, rows, 1, h) == nil && try(func() error { return agg.Merge(acc, pane, h) }) {
					kept = append(kept, values[1])
				}
				if sub != nil && typ == aggregate.Int && try(func() error { return agg.Add(acc, rows, 2, h) }) {
					if !try(func() error { return sub.Subtract(acc, rows, 2, h) }) {
						kept = append(kept, values[2])
					}
				}
			}
			exact := typ != aggregate.Double || k.OrderFree && k.Name[:1] == "m" || k.Name == "first" || k.Name == "last"
			if want, ok := naive(k.Name, typ, kept); exact && k.Name != "stddev" && k.Name != "variance" {
				got := append1(agg, acc, h)
				if x, isDouble := got.(float64); isDouble && k.Name == "avg" {
					want, got = exactAvg(kept), x
				}
				if !ok || !same(got, want) {
					t.Fatalf("%v: %v, want %v", kept, got, want)
				}
			}
		}
		if may := typ == aggregate.Int && k.Name == "sum" || typ == aggregate.Double && (k.Name == "avg" || k.Name == "sum" || k.Name == "variance" || k.Name == "stddev"); may != (overflows > 0) {
			t.Fatalf("%d overflows", overflows)
		}
	})
}

// exactAvg is the average of ints whose sum is beyond an int64.
func exactAvg(rows []any) float64 {
	total, n := new(big.Int), int64(0)
	for _, v := range rows {
		if v != nil {
			total.Add(total, big.NewInt(v.(int64)))
			n++
		}
	}
	avg, _ := new(big.Rat).SetFrac(total, big.NewInt(n)).Float64()
	return avg
}

// TestVarianceFarFromZero: where the mean is a billion times the spread, sums
// of squares would have lost every digit.
func TestVarianceFarFromZero(t *testing.T) {
	k, _ := aggregate.Lookup("variance")
	agg, _ := k.New([]aggregate.Type{aggregate.Double}, nil)
	acc, pane := make([]uint64, agg.Words()), make([]uint64, agg.Words())
	for i := range 10_000 {
		rows := []aggregate.Column{column(aggregate.Double, []any{1e9 + float64(i%2)})}
		into := acc
		if i >= 3_000 {
			into = pane
		}
		if err := agg.Add(into, rows, 0, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := agg.Merge(acc, pane, nil); err != nil {
		t.Fatal(err)
	}
	if got, want := append1(agg, acc, nil).(float64), 0.25*10_000/9_999; math.Abs(got-want) > 1e-6 {
		t.Fatalf("%v, want %v", got, want)
	}
}

// TestAllNaNsAreOne: whatever their bits, and they have an order place of
// their own, above +Inf.
func TestAllNaNsAreOne(t *testing.T) {
	for _, bits := range []uint64{math.MaxUint64, 1<<63 - 1, 0xfff0000000000001, 0x7ff0000000000001} {
		rows := []aggregate.Column{column(aggregate.Double, []any{math.Float64frombits(bits), math.Inf(1)})}
		for name, want := range map[string]any{"min": math.Inf(1), "max": math.NaN()} {
			k, _ := aggregate.Lookup(name)
			agg, _ := k.New([]aggregate.Type{aggregate.Double}, nil)
			acc := make([]uint64, agg.Words())
			_ = agg.Add(acc, rows, 0, nil)
			if got := append1(agg, acc, nil); !same(got, math.NaN()) {
				t.Errorf("%s of the NaN %x is %v", name, bits, got)
			}
			_ = agg.Add(acc, rows, 1, nil)
			if got := append1(agg, acc, nil); !same(got, want) {
				t.Errorf("%s of the NaN %x and +Inf is %v", name, bits, got)
			}
		}
	}
}

// TestManyNaNs: beyond 62 of them in one accumulator they are not counted one
// by one, and stay until nothing is left.
func TestManyNaNs(t *testing.T) {
	values := []any{1.0, 4.0}
	for range 100 {
		values = append(values, math.NaN())
	}
	rows := []aggregate.Column{column(aggregate.Double, values)}
	for _, name := range []string{"sum", "avg", "variance", "stddev"} {
		k, _ := aggregate.Lookup(name)
		agg, _ := k.New([]aggregate.Type{aggregate.Double}, nil)
		acc := make([]uint64, agg.Words())
		for i := range values {
			_ = agg.Add(acc, rows, int32(i), nil)
		}
		for i := len(values) - 1; i >= 0; i-- {
			if got := append1(agg, acc, nil); i > 1 && !same(got, math.NaN()) {
				t.Fatalf("%s with %d NaN: %v", name, i-1, got)
			}
			_ = agg.(aggregate.Subtracter).Subtract(acc, rows, int32(i), nil)
		}
		if slices.ContainsFunc(acc, func(w uint64) bool { return w != 0 }) {
			t.Fatalf("%s: nothing is left, but %x", name, acc)
		}
	}
}

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
		for _, x := range types {
			check(t, k, nil)
			check(t, k, []aggregate.Type{x})
			for _, y := range types {
				check(t, k, []aggregate.Type{x, y})
			}
		}
	}
}

func check(t *testing.T, k aggregate.Kind, args []aggregate.Type) {
	agg, err := k.New(args, nil)
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
	each(t, func(t *testing.T, _ aggregate.Kind, typ aggregate.Type, agg aggregate.Aggregate) {
		const n = 64
		rows := []aggregate.Column{column(typ, randomValues(r, typ, n, false))}
		h := &aggregate.Scratch{}
		acc, pane := make([]uint64, agg.Words()), make([]uint64, agg.Words())
		sub, _ := agg.(aggregate.Subtracter)
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
				_ = sub.Unmerge(acc, pane, h)
			}
		}
		if allocs := testing.AllocsPerRun(20, run); allocs != 0 {
			t.Errorf("%v allocations in %d rows", allocs, n)
		}
	})
}

func BenchmarkAdd(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 1))
	for _, k := range aggregate.Kinds() {
		for _, typ := range []aggregate.Type{aggregate.Int, aggregate.Double, aggregate.String} {
			agg, err := k.New([]aggregate.Type{typ}, nil)
			if err != nil {
				continue
			}
			b.Run(k.Name+"/"+typ.String(), func(b *testing.B) {
				const n = 1024
				values := make([]any, n)
				for i := range values {
					values[i] = map[aggregate.Type]any{aggregate.Int: r.Int64N(1000), aggregate.Double: r.Float64(), aggregate.String: "some text"}[typ]
				}
				rows := []aggregate.Column{column(typ, values)}
				acc := make([]uint64, agg.Words())
				h := &aggregate.Scratch{}
				for i := 0; b.Loop(); i++ {
					if i%n == 0 {
						h.Reset()
						clear(acc)
					}
					_ = agg.Add(acc, rows, int32(i%n), h)
				}
			})
		}
	}
}
