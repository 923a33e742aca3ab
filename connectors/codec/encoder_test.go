package codec

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/leatstream/leat/engine"
)

// An encoder writes what engine.AppendJSON writes, whatever row came before.
func TestEncoderEqualsAppendJSON(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	g := rand.New(rand.NewPCG(seed, 1))
	schema := engine.NewSchema(
		engine.Field{Name: "s", Type: engine.String}, engine.Field{Name: "i", Type: engine.Int}, engine.Field{Name: "window_start", Type: engine.Timestamp},
		engine.Field{Name: "d", Type: engine.Double}, engine.Field{Name: "b", Type: engine.Bool}, engine.Field{Name: "y", Type: engine.Bytes}, engine.Field{Name: "a", Type: engine.Any},
	)
	const rows = 2000
	cols := make([]engine.Column, len(schema.Fields))
	for c := range cols {
		cols[c].Reset(schema.Fields[c].Type, rows)
	}
	text := []string{"", "a", "s-00042", "quote \" and \\", "line\nbreak", "grün", "\xff", "long text without anything odd in it", "\x00", "del \x7f"}
	numbers := []int64{0, -1, 7, 42, 100, 105, 987, 1000, 4050, 9999, 10_000, 10_001, -9_999, -10_001, 1700000000000, 1700000000001, 1700000009999, 1700000010000,
		1 << 53, 1<<53 + 1, -(1<<53 + 1), math.MinInt64, math.MinInt64 + 1, math.MaxInt64, math.MaxInt64 - 1}
	doubles := []float64{0, math.Copysign(0, -1), 0.1, 21.5, 1e300, 5e-324, math.NaN(), math.Inf(1), 1.0 / 3, -12.3456, 1e15, 1e21}
	for r := range int32(rows) {
		cols[0].Strs[r] = text[g.IntN(len(text))]
		cols[1].Ints[r] = numbers[g.IntN(len(numbers))]
		if cols[2].Ints[r] = numbers[g.IntN(len(numbers))]; g.IntN(2) == 0 {
			cols[2].Ints[r] = 1700000000000 + g.Int64N([]int64{50_000, 200_000_000}[g.IntN(2)]) // near the last one
		}
		cols[3].Doubles[r] = doubles[g.IntN(len(doubles))]
		cols[4].Bools[r] = g.IntN(2) == 0
		cols[5].Strs[r] = text[g.IntN(len(text))]
		cols[6].Strs[r] = `{"x":[1]}`
		if c := g.IntN(4 * len(cols)); c < len(cols) {
			cols[c].SetNull(r, rows)
		}
	}
	for _, style := range []engine.ValueStyle{{}, {RFC3339: true}, {BigText: true}} {
		e := NewEncoder(schema, EncoderOptions{Style: style})
		for r := range int32(rows) {
			want := []byte("{")
			for c := range cols {
				if c > 0 {
					want = append(want, ',')
				}
				want = engine.AppendString(want, schema.Fields[c].Name)
				want = append(want, ':')
				want = engine.AppendJSON(want, &cols[c], r, style)
			}
			want = append(want, '}')
			if got := e.AppendRow(nil, cols, r); string(got) != string(want) {
				t.Fatalf("%+v, row %d:\n got %s\nwant %s", style, r, got, want)
			}
			if !json.Valid(want) {
				t.Fatalf("not JSON: %s", want)
			}
		}
	}
	// A value that begins as its key goes on from it.
	whole, head := NewEncoder(schema, EncoderOptions{}), NewEncoder(schema, EncoderOptions{Columns: []int{0, 1, 2}, Flat: true})
	rest := NewEncoder(schema, EncoderOptions{})
	if !rest.Extends(head) {
		t.Fatal("a value does not extend its first columns")
	}
	for r := range int32(rows) {
		key := head.AppendRow([]byte("before"), cols, r)
		want := whole.AppendRow(key[:len(key):len(key)], cols, r)
		if got := rest.AppendRest(key, head, key[len("before"):], cols, r); string(got) != string(want) {
			t.Fatalf("row %d:\n got %s\nwant %s", r, got, want)
		}
	}
}

// What is not the first columns in the same words is not extended.
func TestEncoderExtends(t *testing.T) {
	schema := engine.NewSchema(engine.Field{Name: "at", Type: engine.Timestamp}, engine.Field{Name: "loc.lat", Type: engine.Double},
		engine.Field{Name: "loc.lon", Type: engine.Double}, engine.Field{Name: "n", Type: engine.Int})
	value := EncoderOptions{}
	for _, c := range []struct {
		what       string
		value, key EncoderOptions
		want       bool
	}{
		{"the first column", value, EncoderOptions{Columns: []int{0}}, true},
		{"all columns", value, EncoderOptions{Columns: []int{0, 1, 2, 3}}, false},
		{"no column", value, EncoderOptions{Columns: []int{}}, false},
		{"another order", value, EncoderOptions{Columns: []int{1, 0}}, false},
		{"not the first", value, EncoderOptions{Columns: []int{1}}, false},
		{"one that values leave out", EncoderOptions{Drop: []int{0}}, EncoderOptions{Columns: []int{0}}, false},
		{"times as text in values", EncoderOptions{Style: engine.ValueStyle{RFC3339: true}}, EncoderOptions{Columns: []int{0}}, false},
		{"part of an object", value, EncoderOptions{Columns: []int{0, 1}}, false},
		{"nested names as they are", value, EncoderOptions{Columns: []int{0, 1}, Flat: true}, false},
	} {
		if got := NewEncoder(schema, c.value).Extends(NewEncoder(schema, c.key)); got != c.want {
			t.Errorf("%s: %v", c.what, got)
		}
	}
}

func TestAppendDouble(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	g := rand.New(rand.NewPCG(seed, 2))
	for range 200_000 {
		v := math.Round(g.NormFloat64()*math.Pow(10, float64(g.IntN(14)))) / math.Pow(10, float64(g.IntN(7)))
		switch g.IntN(8) {
		case 0:
			v = math.Float64frombits(g.Uint64())
		case 1:
			v = math.Nextafter(v, math.Inf(g.IntN(2)*2-1))
		}
		got, want := string(appendDouble(nil, v)), string(engine.AppendDouble(nil, v))
		if got != want {
			t.Fatalf("%v: got %s, want %s", v, got, want)
		}
		if back, err := strconv.ParseFloat(got, 64); got != "null" && (err != nil || back != v) {
			t.Fatalf("%v: %s reads back as %v", v, got, back)
		}
	}
}

// Nested columns are written as they are read.
func TestEncoderNests(t *testing.T) {
	schema := engine.NewSchema(
		engine.Field{Name: "loc.lat", Type: engine.Double}, engine.Field{Name: "id", Type: engine.Int}, engine.Field{Name: "loc.at.floor", Type: engine.Int},
		engine.Field{Name: "loc.lon", Type: engine.Double}, engine.Field{Name: "loc.at.room", Type: engine.String},
	)
	input := `{"loc":{"lat":1.5,"lon":2,"at":{"floor":3,"room":"x"}},"id":7}`
	b, errs := decodeAll(t, schema, Options{}, []byte(input), []byte(`{}`))
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	for _, test := range []struct {
		opts EncoderOptions
		row  int32
		want string
	}{
		{EncoderOptions{}, 0, `{"loc":{"lat":1.5,"at":{"floor":3,"room":"x"},"lon":2},"id":7}`},
		{EncoderOptions{}, 1, `{"loc":{"lat":null,"at":{"floor":null,"room":null},"lon":null},"id":null}`},
		{EncoderOptions{Flat: true}, 0, `{"loc.lat":1.5,"id":7,"loc.at.floor":3,"loc.lon":2,"loc.at.room":"x"}`},
		{EncoderOptions{Drop: []int{0, 2, 4}}, 0, `{"id":7,"loc":{"lon":2}}`},
		{EncoderOptions{Drop: []int{0, 1, 2, 3, 4}}, 0, `{}`},
	} {
		if got := string(NewEncoder(schema, test.opts).AppendRow([]byte("> "), b.Cols, test.row)); got != "> "+test.want {
			t.Errorf("%+v:\n got %s\nwant > %s", test.opts, got, test.want)
		}
	}

	// An `any` beside a column inside it: the whole is written, the part under its own name.
	schema = engine.NewSchema(engine.Field{Name: "loc", Type: engine.Any}, engine.Field{Name: "loc.lat", Type: engine.Double})
	b, _ = decodeAll(t, schema, Options{}, []byte(input))
	if got, want := string(NewEncoder(schema, EncoderOptions{}).AppendRow(nil, b.Cols, 0)), `{"loc":{"lat":1.5,"lon":2,"at":{"floor":3,"room":"x"}},"loc.lat":1.5}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// windowResults are rows as an aggregate over windows makes them.
func windowResults(n int) (*engine.Schema, []engine.Column) {
	schema := engine.NewSchema(
		engine.Field{Name: "sensor_id", Type: engine.String}, engine.Field{Name: "site", Type: engine.String},
		engine.Field{Name: "window_start", Type: engine.Timestamp}, engine.Field{Name: "window_end", Type: engine.Timestamp},
		engine.Field{Name: "count", Type: engine.Int}, engine.Field{Name: "sum", Type: engine.Double},
		engine.Field{Name: "min", Type: engine.Double}, engine.Field{Name: "max", Type: engine.Double}, engine.Field{Name: "avg", Type: engine.Double},
	)
	cols := make([]engine.Column, len(schema.Fields))
	for c := range cols {
		cols[c].Reset(schema.Fields[c].Type, n)
	}
	sites := []string{"oslo", "berlin", "krakow"}
	for r := range n {
		rows := 55 + r*13%10
		sum := 0.0
		for k := range rows {
			sum += float64((r*31+k*17)%3000) / 100
		}
		cols[0].Strs[r] = "s-0" + string([]byte{'0' + byte(r/1000%10), '0' + byte(r/100%10), '0' + byte(r/10%10), '0' + byte(r%10)})
		cols[1].Strs[r] = sites[r%3]
		cols[2].Ints[r] = 1700000000000
		cols[3].Ints[r] = 1700000060000
		cols[4].Ints[r] = int64(rows)
		cols[5].Doubles[r] = sum
		cols[6].Doubles[r] = float64(r%500) / 100
		cols[7].Doubles[r] = 25 + float64(r%500)/100
		cols[8].Doubles[r] = sum / float64(rows)
	}
	return schema, cols
}

func TestEncoderAllocatesNothing(t *testing.T) {
	schema, cols := windowResults(100)
	e := NewEncoder(schema, EncoderOptions{})
	dst := make([]byte, 0, 1<<10)
	row := int32(0)
	if n := testing.AllocsPerRun(1000, func() {
		dst = e.AppendRow(dst[:0], cols, row%100)
		row++
	}); n != 0 {
		t.Errorf("%v allocations per row", n)
	}
}

func BenchmarkEncoder(b *testing.B) {
	schema, cols := windowResults(1000)
	e := NewEncoder(schema, EncoderOptions{})
	dst := make([]byte, 0, 1<<10)
	b.ReportAllocs()
	for n := range b.N {
		dst = e.AppendRow(dst[:0], cols, int32(n%1000))
	}
	b.SetBytes(int64(len(dst)))
}
