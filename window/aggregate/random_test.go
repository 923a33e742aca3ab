package aggregate_test

import (
	"flag"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
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

// call is an aggregate for given types of arguments and constants.
type call struct {
	aggregate.Kind
	types  []aggregate.Type
	params []aggregate.Value
	agg    aggregate.Aggregate
}

func (c call) String() string {
	text := c.Name + "("
	for i, t := range c.types {
		text += map[bool]string{true: " "}[i > 0] + t.String()
	}
	for i, p := range c.params {
		text += fmt.Sprintf(" %s=%v", c.Params[i].Name, map[bool]any{true: p.Double, false: p.Int}[c.Params[i].Type == aggregate.Double])
	}
	return text + ")"
}

// columns are the types of the columns of Add: the event time is the last.
func (c call) columns() []aggregate.Type {
	if c.Time {
		return append(slices.Clone(c.types), aggregate.Timestamp)
	}
	return c.types
}

// several are types for aggregates of several arguments.
var several = map[string][][]aggregate.Type{
	"arg_max":    {{aggregate.Int, aggregate.Int}, {aggregate.String, aggregate.Double}, {aggregate.Any, aggregate.String}, {aggregate.Double, aggregate.Bytes}, {aggregate.Bool, aggregate.Timestamp}, {aggregate.Timestamp, aggregate.Bool}},
	"arg_min":    {{aggregate.Int, aggregate.Int}, {aggregate.String, aggregate.Double}, {aggregate.Any, aggregate.String}, {aggregate.Double, aggregate.Bytes}, {aggregate.Bool, aggregate.Timestamp}, {aggregate.Timestamp, aggregate.Bool}},
	"g_counter":  {{aggregate.Int, aggregate.String}, {aggregate.Double, aggregate.Int}},
	"pn_counter": {{aggregate.Int, aggregate.Bytes}, {aggregate.Double, aggregate.String}},
	"lww":        {{aggregate.Int, aggregate.Timestamp, aggregate.String}, {aggregate.String, aggregate.Int, aggregate.Int}, {aggregate.Any, aggregate.Int, aggregate.Bytes}},
	"lww_map":    {{aggregate.String, aggregate.Int, aggregate.Timestamp, aggregate.String}, {aggregate.String, aggregate.String, aggregate.Int, aggregate.Int}},
	"or_set":     {{aggregate.String, aggregate.String, aggregate.String}, {aggregate.String, aggregate.Double, aggregate.Int}},
}

// constants are those to try.
var constants = map[string][][]aggregate.Value{
	"collect":     {nil, {{Int: 5}}},
	"collect_set": {nil, {{Int: 5}}},
	"ema":         {{{Int: 20}}},
	"quantile":    {{{Double: 0}}, {{Double: 0.9}}, {{Double: 1}}},
	"top_k":       {{{Int: 3}}},
}

// calls are all aggregates over every type that they take.
func calls() []call {
	var all []call
	for _, k := range aggregate.Kinds() {
		types := several[k.Name]
		for typ := aggregate.String; typ <= aggregate.Any; typ++ {
			types = append(types, []aggregate.Type{typ})
		}
		params := constants[k.Name]
		if params == nil {
			params = [][]aggregate.Value{nil}
		}
		for _, p := range params {
			for _, types := range types {
				if agg, err := k.New(types, p); err == nil {
					all = append(all, call{k, types, p, agg})
				}
			}
		}
	}
	return all
}

// each calls fn for every aggregate.
func each(t *testing.T, fn func(t *testing.T, c call)) {
	for _, c := range calls() {
		t.Run(c.String(), func(t *testing.T) { fn(t, c) })
	}
}

// randomColumns makes n rows of arguments. Rows are in no order of time.
func randomColumns(r *rand.Rand, c call, n int, wild bool) []aggregate.Column {
	var args []aggregate.Column
	for i, typ := range c.types {
		values := randomValues(r, typ, n, wild)
		if c.Name == "or_set" && i == 0 {
			for k := range values {
				values[k] = []any{"add", "add", "remove", "other", nil}[r.IntN(5)]
			}
		}
		args = append(args, column(typ, values))
	}
	if c.Time {
		times := make([]any, n)
		for i, t := range r.Perm(n) {
			times[i] = int64(t)
		}
		args = append(args, column(aggregate.Timestamp, times))
		steady(c, args)
	}
	return args
}

// steady makes the counters of increase and rate grow with time: how they take
// resets in rows out of order is in their manual.
func steady(c call, args []aggregate.Column) {
	if c.Name != "increase" && c.Name != "rate" {
		return
	}
	for i, t := range args[1].Ints {
		if args[0].Ints != nil {
			args[0].Ints[i] = 3*t + 1000
		} else {
			args[0].Doubles[i] = 1.5 * float64(t)
		}
	}
}

// rowsOf are rows as Go values.
func rowsOf(args []aggregate.Column, n int) [][]any {
	rows := make([][]any, n)
	for i := range rows {
		for k := range args {
			rows[i] = append(rows[i], value(&args[k], int32(i)))
		}
	}
	return rows
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
			if r.IntN(2) == 0 {
				values[i] = r.Int64N(4) // they meet
			}
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
		case aggregate.Any:
			values[i] = []any{`{"a":1}`, `[2,3]`, `"x"`, `4.5`, `true`}[r.IntN(5)]
		default:
			values[i] = texts[r.IntN(len(texts))]
		}
	}
	return values
}

// TestPanes: the merge of a window's panes is what the window's rows give.
func TestPanes(t *testing.T) {
	r := random(t)
	each(t, func(t *testing.T, c call) {
		agg := c.agg
		for range 25 {
			s := window.Spec{Kind: "hopping", Size: 1 + r.Int64N(40)}
			s.Advance = 1 + r.Int64N(s.Size)
			s.Offset = r.Int64N(s.Advance)
			a, err := window.New(s)
			if err != nil {
				t.Fatal(err)
			}
			n := r.IntN(60)
			rows := randomColumns(r, c, n, false)
			at := make([]int64, n)
			for i := range at {
				at[i] = r.Int64N(100) - 50 // arrives in any order
			}
			if c.Time {
				rows[len(rows)-1].Ints = at
				steady(c, rows)
			}
			h := newHeap(t)
			panes, windows := map[int64][]uint64{}, map[int64]bool{}
			for i := range at {
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
				want, _ := naive(c, inWindow(rowsOf(rows, n), at, a, end))
				if got := append1(agg, acc, &scratch); !agree(c, got, want) {
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
func inWindow(all [][]any, at []int64, a window.Assigner, end int64) [][]any {
	var rows [][]any
	for pane := range window.Panes(a, end) {
		for i := range at {
			if at[i] >= a.Start(end) && at[i] < end && a.PaneEnd(at[i]) == pane {
				rows = append(rows, all[i])
			}
		}
	}
	return rows
}

// TestSubtract: taking back what was added gives what was before, and all
// zeros where nothing was; NaN and infinities are taken back too.
func TestSubtract(t *testing.T) {
	r := random(t)
	each(t, func(t *testing.T, c call) {
		agg := c.agg
		sub, ok := agg.(aggregate.Subtracter)
		if ok != c.Subtracts {
			t.Fatalf("is a Subtracter: %v, the table says %v", ok, c.Subtracts)
		}
		if !ok || c.Name == "collect" && c.params != nil {
			return // a full list does not get back what it left out
		}
		for range 120 {
			kept, gone := r.IntN(8), r.IntN(60)
			rows := randomColumns(r, c, kept+gone, false)
			h := newHeap(t)
			add := func(acc []uint64, from, to int) {
				for i := from; i < to; i++ {
					if err := agg.Add(acc, rows, int32(i), h); err != nil {
						t.Fatal(err)
					}
				}
			}
			acc, pane := make([]uint64, agg.Words()), make([]uint64, agg.Words())
			add(acc, 0, kept)
			split := kept + r.IntN(gone+1)
			add(acc, kept, split)
			add(pane, split, kept+gone)
			if err := agg.Merge(acc, pane, h); err != nil {
				t.Fatal(err)
			}
			// Back again, rows in any order before or after the pane.
			order := r.Perm(split - kept)
			half := r.IntN(len(order) + 1)
			take := func(order []int) {
				for _, i := range order {
					if err := sub.Subtract(acc, rows, int32(kept+i), h); err != nil {
						t.Fatal(err)
					}
				}
			}
			take(order[:half])
			if un, ok := agg.(aggregate.Unmerger); ok {
				if err := un.Unmerge(acc, pane, h); err != nil {
					t.Fatal(err)
				}
			} else {
				for i := split; i < kept+gone; i++ {
					take([]int{i - kept})
				}
			}
			take(order[half:])
			if _, ok := agg.(aggregate.Unmerger); ok {
				fresh := make([]uint64, agg.Words())
				add(fresh, 0, kept)
				if !slices.Equal(acc, fresh) {
					t.Fatalf("%x is left, %x was there before", acc, fresh)
				}
			}
			left := rowsOf(rows, kept)
			want, _ := naive(c, left)
			if got := append1(agg, acc, h); !near(got, want) && !agree(c, got, want) {
				t.Fatalf("%v of %v: %v, want %v", left, rowsOf(rows, kept+gone), got, want)
			}
			empty := !slices.ContainsFunc(left, func(row []any) bool { return len(row) == 0 || row[0] != nil })
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
// right. What has blobs reports none.
func TestErrorsChangeNothing(t *testing.T) {
	r := random(t)
	each(t, func(t *testing.T, c call) {
		agg, typ := c.agg, aggregate.Invalid
		if len(c.types) > 0 {
			typ = c.types[0]
		}
		sub, _ := agg.(aggregate.Subtracter)
		overflows := 0
		for range 120 {
			h := newHeap(t)
			var kept [][]any
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
			for k := range 12 {
				args := make([]aggregate.Column, 0, 5)
				for _, typ := range c.types {
					args = append(args, column(typ, randomValues(r, typ, 3, true)))
				}
				if c.Time {
					args = append(args, column(aggregate.Timestamp, []any{int64(3 * k), int64(3*k + 1), int64(3*k + 2)}))
				}
				rows := rowsOf(args, 3)
				if try(func() error { return agg.Add(acc, args, 0, h) }) {
					kept = append(kept, rows[0])
				}
				pane := make([]uint64, agg.Words())
				if agg.Add(pane, args, 1, h) == nil && try(func() error { return agg.Merge(acc, pane, h) }) {
					kept = append(kept, rows[1])
				}
				if sub != nil && typ == aggregate.Int && c.Name != "collect" && try(func() error { return agg.Add(acc, args, 2, h) }) {
					if !try(func() error { return sub.Subtract(acc, args, 2, h) }) {
						kept = append(kept, rows[2])
					}
				}
			}
			inexact := typ == aggregate.Double && slices.Contains([]string{"sum", "avg"}, c.Name)
			if inexact || slices.Contains([]string{"stddev", "variance", "ema", "increase", "rate"}, c.Name) {
				continue
			}
			want, ok := naive(c, kept)
			got := append1(agg, acc, h)
			if x, isDouble := got.(float64); isDouble && c.Name == "avg" {
				want, got = exactAvg(kept), x
			}
			if !ok || !agree(c, got, want) {
				t.Fatalf("%v: %v, want %v", kept, got, want)
			}
		}
		may := typ == aggregate.Int && slices.Contains([]string{"sum", "increase", "rate"}, c.Name) ||
			typ == aggregate.Double && slices.Contains([]string{"avg", "sum", "variance", "stddev", "ema", "increase", "rate"}, c.Name)
		if may != (overflows > 0) {
			t.Fatalf("%d overflows", overflows)
		}
		if overflows > 0 && len(agg.Blobs()) > 0 {
			t.Fatal("an error of an aggregate with blobs")
		}
	})
}

// exactAvg is the average of ints whose sum is beyond an int64.
func exactAvg(rows [][]any) float64 {
	total, n := new(big.Int), int64(0)
	for _, row := range rows {
		if v := row[0]; v != nil {
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
