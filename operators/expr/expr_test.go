package expr

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/leatstream/leat/engine"
)

func batchOf(n int) (*engine.Batch, *engine.Schema) {
	s := engine.NewSchema(
		engine.Field{Name: "status", Type: engine.String},
		engine.Field{Name: "temp", Type: engine.Double},
		engine.Field{Name: "n", Type: engine.Int})
	b := &engine.Batch{Schema: s, N: n, Cols: make([]engine.Column, 3)}
	for i := range b.Cols {
		b.Cols[i].Reset(s.Fields[i].Type, n)
	}
	for i := range n {
		b.Sel = append(b.Sel, int32(i))
		b.Cols[0].Strs[i] = []string{"ok", "ok", "failed", "ok", "unknown"}[i*7%5]
		b.Cols[1].Doubles[i] = float64(i*31%45) + 0.5
		b.Cols[2].Ints[i] = int64(i % 7)
	}
	return b, s
}

func noErrors(row int32, err error) error { return fmt.Errorf("row %d: %w", row, err) }

// A filter over a thousand rows allocates nothing once its memory is there.
func TestFilterAllocatesNothing(t *testing.T) {
	b, s := batchOf(1000)
	p, err := Compile(`status == "ok" && temp > 20.0`, Env{Schema: s})
	if err != nil {
		t.Fatal(err)
	}
	e := p.New()
	out := make([]int32, 0, 1000)
	var kept []int32
	allocs := testing.AllocsPerRun(100, func() {
		kept, err = e.Filter(b, b.Cols, b.Sel, out, noErrors)
	})
	if err != nil || allocs != 0 || len(kept) == 0 || len(kept) == len(b.Sel) {
		t.Fatalf("kept %d of %d, allocs %v, err %v", len(kept), len(b.Sel), allocs, err)
	}
}

func BenchmarkFilter(b *testing.B) {
	batch, s := batchOf(1000)
	p, err := Compile(`status == "ok" && temp > 20.0`, Env{Schema: s})
	if err != nil {
		b.Fatal(err)
	}
	e := p.New()
	out := make([]int32, 0, 1000)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := e.Filter(batch, batch.Cols, batch.Sel, out, noErrors); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/row")
}

func BenchmarkMap(b *testing.B) {
	batch, s := batchOf(1000)
	p, err := Compile(`temp * 1.8 + 32`, Env{Schema: s})
	if err != nil {
		b.Fatal(err)
	}
	e := p.New()
	for b.Loop() {
		if _, _, err := e.Column(batch, batch.Cols, batch.Sel, noErrors); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/row")
}

// Null flags exist only while some row is null: nodes behind skip the look.
func TestNullFlagsGoAway(t *testing.T) {
	b, s := batchOf(10)
	p, err := Compile(`n * 2`, Env{Schema: s})
	if err != nil {
		t.Fatal(err)
	}
	e := p.New()
	b.Cols[2].SetNull(3, b.N)
	if c, _, err := e.Column(b, b.Cols, b.Sel, noErrors); err != nil || !c.Null(3) {
		t.Fatalf("row 3 is not null: %v", err)
	}
	b.Cols[2].Nulls = nil
	if c, _, err := e.Column(b, b.Cols, b.Sel, noErrors); err != nil || c.Nulls != nil {
		t.Fatalf("nulls %v, err %v", c.Nulls, err)
	}
}

// The old rows of a change are read with b.Old; a plain column is not copied.
func TestColumnsOfTheOldRows(t *testing.T) {
	b, s := batchOf(4)
	b.Old = make([]engine.Column, 3)
	b.Old[2] = engine.Column{Type: engine.Int, Ints: []int64{10, 20, 30, 40}}
	for text, want := range map[string]int64{"n": 30, "n + 1": 31} {
		p, err := Compile(text, Env{Schema: s})
		if err != nil {
			t.Fatal(err)
		}
		c, sel, err := p.New().Column(b, b.Old, []int32{2}, noErrors)
		if err != nil || len(sel) != 1 || c.Ints[2] != want || (text == "n") != (c == &b.Old[2]) {
			t.Errorf("%s: %v, %v, %v", text, c.Ints, sel, err)
		}
	}
}

// A failed row goes to bad, and an error of bad stops the evaluation.
func TestBadStops(t *testing.T) {
	b, s := batchOf(20)
	p, err := Compile(`100 % n == 0`, Env{Schema: s})
	if err != nil {
		t.Fatal(err)
	}
	stop := errors.New("stop")
	calls := 0
	bad := func(int32, error) error { calls++; return stop }
	if _, _, err := p.New().Column(b, b.Cols, b.Sel, bad); err != stop || calls != 1 {
		t.Errorf("column: %v after %d calls", err, calls)
	}
	if _, err := p.New().Filter(b, b.Cols, b.Sel, nil, bad); err != stop || calls != 2 {
		t.Errorf("filter: %v after %d calls", err, calls)
	}
}

// What one row may cost is bounded.
func TestLimits(t *testing.T) {
	b, s := batchOf(1)
	long := "[" + strings.Repeat("1, ", 1100) + "1]"
	for text, want := range map[string]error{
		`len(repeat("x", 2000000))`:                                                  errTooLong,
		`len(repeat("x", 1000000) + repeat("y", 1000000))`:                           errTooLong,
		"count(" + long + ", any(" + long + ", # == 2))":                             errTooManySteps,
		`len(join(map(split(repeat("a,", 1000), ","), repeat("x", 2000)), ""))`:      errTooLong,
		`len(regex_replace(repeat("a", 100000), "a", "aaaaaaaaaaaaaaaaaaaaaaaaa"))`:  errTooLong,
		`len(split(repeat("a,", 500000) + repeat(",", 10000) + string(n), ",")) > 0`: errTooLong,
		`len(split(repeat("a,", 200000), ",")) == 200001`:                            nil,
		`sum(1..150000) == 11250075000`:                                              nil,
		`len(1..1000000)`:                                                            errTooLong,
		`len(n..9223372036854775807)`:                                                errTooManySteps,
		// A thousand texts of a million: each is small enough, all are not.
		`count(1..1000, len(repeat(string(n), 1000000)) > 0)`:                  errTooMuch,
		`count(1..1000, len(repeat(string(n), 80)) > 0)`:                       nil,
		`len(reduce(1..60, #acc + #acc, "x"))`:                                 errTooLong,
		`reduce(1..10, #acc + #, 0) == 55`:                                     nil,
		`len(concat(1..100000, 1..100000))`:                                    errTooLong,
		`let l = 1..100000; len(flatten(map(1..1000, l)))`:                     errTooLong,
		`let l = 1..100000; count(l, l[#index] == #)`:                          errTooManySteps,
		`let l = 1..100000; count(l, -1 in l)`:                                 errTooManySteps,
		`let s = repeat(string(n), 1000000); count(1..100000, s matches "y")`:  errTooManySteps,
		`let s = repeat(string(n), 1000000); count(1..100000, s == status)`:    errTooManySteps,
		`let l = 1..1000; count(l, any(l, any(l, # < 0)))`:                     errTooManySteps,
		`let l = 1..900; count(l, any(l, # == 0)) == 0`:                        nil,
		`let s = repeat(string(n), 1000000); [s, s]`:                           errTooLong,
		`len(replace(repeat("x", 100000), "", repeat("y", 100)))`:              errTooLong,
		`len(uniq(map(1..20000, { {a: #} }))) == 20000`:                        nil,
		`len(toJSON(repeat("\u0001", 500000)))`:                                errTooLong,
		`len(mask(repeat("x", 1000000), 1)) + len(upper(repeat("ß", 500000)))`: nil,
	} {
		p, err := Compile(text, Env{Schema: s})
		if err != nil {
			t.Errorf("%.60s: %v", text, err)
			continue
		}
		var got error
		if _, _, err := p.New().Column(b, b.Cols, b.Sel, func(_ int32, err error) error { got = err; return nil }); err != nil || got != want {
			t.Errorf("%.60s: %v, want %v", text, got, want)
		}
	}
	for _, text := range []string{strings.Repeat("(", 10000) + "1", strings.Repeat("n+", 8000) + "n", strings.Repeat("-", 16000) + "1", strings.Repeat("x", maxTextBytes+1), "\xff", " "} {
		if _, err := Compile(text, Env{Schema: s}); err == nil {
			t.Errorf("%.20s… compiles", text)
		}
	}
}

// Whatever the text is, Compile and Call answer, and errors lie within it.
func FuzzCompile(f *testing.F) {
	b, s := batchOf(3)
	for _, text := range []string{
		`status == "ok" && temp > 20.0`, `let x = n; x ?? 2`, `any(split(status, ","), # in ["a"])`, `status[1:-1] | upper()`,
		`{a: [n, nil]}.a[0]`, `n not in 1..3 ? round(temp, 1) : -n ** 2`, `json(status)?.a["b"][0]`, `if n > 1 {1} else {2}`,
		`map(["é"], #index + len(#))`, "`raw` + 'x' /* c */ // d", `$env["n"]`, `parse_time(status, "%Y")`, `filter([[1]], {let y = #; true})`,
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if _, _, _, err := Call(text); err != nil {
			inside(t, text, err)
		}
		p, err := Compile(text, Env{Schema: s})
		if err != nil {
			inside(t, text, err)
			return
		}
		e := p.New()
		if _, _, err := e.Column(b, b.Cols, b.Sel, func(int32, error) error { return nil }); err != nil {
			t.Errorf("%q: %v", text, err)
		}
		if p.Type() == engine.Bool {
			if _, err := e.Filter(b, b.Cols, b.Sel, nil, func(int32, error) error { return nil }); err != nil {
				t.Errorf("%q: %v", text, err)
			}
		}
	})
}

func inside(t *testing.T, text string, err error) {
	e, ok := err.(*Error)
	if !ok || e.Offset < 0 || e.Len < 0 || e.Offset+e.Len > len(text) || e.Msg == "" || strings.Contains(e.Msg, "cannot parse the expression: ") {
		t.Errorf("%q: %#v", text, err)
	}
}

// What a program says of itself: its type, the columns it reads, its value
// where it reads none.
func TestProgram(t *testing.T) {
	_, s := batchOf(1)
	s = engine.NewSchema(append(s.Fields, engine.Field{Name: "tags", Type: engine.Any})...)
	env := Env{Schema: s, Lists: map[string]engine.Type{"tags": engine.String}, Vars: map[string]Value{"q": DoubleValue(0.5), "l": ListValue(IntValue(1), DoubleValue(2))}}
	for text, want := range map[string]string{
		`temp > n`:                  "bool [1 2]",
		`lower(tags[0])`:            "string [3]",
		`map(tags, # + status)`:     "any of string [0 3]",
		`vars.q * 2`:                "double [] = 1",
		`vars.l[1] + 1`:             "double [] = 3",
		`nil`:                       "invalid [] = null",
		`["a", "b"]`:                `any of string [] = ["a","b"]`,
		`n > 0 ? status : "x" + ""`: "string [0 2]",
	} {
		p, err := Compile(text, env)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		got := p.Type().String()
		if p.Elem() != engine.Invalid {
			got += " of " + p.Elem().String()
		}
		got += fmt.Sprint(" ", p.Columns())
		if v, ok := p.Const(); ok {
			got += " = " + v.String()
		}
		if got != want || p.String() != text {
			t.Errorf("%s: %s, want %s", p, got, want)
		}
	}
}
