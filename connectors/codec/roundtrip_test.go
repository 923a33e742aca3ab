package codec

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/twmb/avro"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/leatstream/leat/engine"
)

// plainColumns are columns that every format with rows can write and read.
var plainColumns = engine.NewSchema(
	engine.Field{Name: "id", Type: engine.String},
	engine.Field{Name: "loc.lat", Type: engine.Double},
	engine.Field{Name: "n", Type: engine.Int},
	engine.Field{Name: "loc.in.floor", Type: engine.Int},
	engine.Field{Name: "ok", Type: engine.Bool},
	engine.Field{Name: "ts", Type: engine.Timestamp},
	engine.Field{Name: "bin", Type: engine.Bytes},
	engine.Field{Name: "raw", Type: engine.Any},
	engine.Field{Name: "loc.name", Type: engine.String},
)

// randomRows fills columns of a schema, about one value in six null.
func randomRows(g *rand.Rand, schema *engine.Schema, rows int) []engine.Column {
	cols := make([]engine.Column, len(schema.Fields))
	texts := []string{"", "a", "x,y", `quote "`, "line\nbreak", "grün", "a \r\n b", " spaces ", "'", ";", "\t", "long text without anything odd in it, or so"}
	numbers := []int64{0, 1, -1, 42, 1700000000000, math.MaxInt32, math.MinInt32, 1 << 53, -(1 << 53)}
	raws := []string{`{}`, `[]`, `{"a":[1,2.5,"x",null,true]}`, `"text"`, `1`, `false`, `[[],{"b":{}}]`, `"a,b"`}
	for c := range cols {
		col := &cols[c]
		col.Reset(schema.Fields[c].Type, rows)
		for i := range rows {
			if g.IntN(6) == 0 {
				nullAt(col, i, rows)
				continue
			}
			switch col.Type {
			case engine.Int:
				col.Ints[i] = numbers[g.IntN(len(numbers))]
				if g.IntN(3) == 0 {
					col.Ints[i] = int64(g.Uint64())
				}
			case engine.Timestamp:
				col.Ints[i] = g.Int64N(1<<48) - 1<<47
			case engine.Double:
				col.Doubles[i] = math.Round(g.NormFloat64()*1e6) / 1e3
				if f := math.Float64frombits(g.Uint64()); g.IntN(4) == 0 && !math.IsNaN(f) && !math.IsInf(f, 0) {
					col.Doubles[i] = f
				}
			case engine.Bool:
				col.Bools[i] = g.IntN(2) == 0
			case engine.Bytes:
				b := make([]byte, g.IntN(20))
				for k := range b {
					b[k] = byte(g.Uint32())
				}
				col.Strs[i] = string(b)
			case engine.Any:
				col.Strs[i] = raws[g.IntN(len(raws))]
			default:
				col.Strs[i] = texts[g.IntN(len(texts))]
			}
		}
	}
	return cols
}

// encodeRows writes all rows, each into memory of its own.
func encodeRows(t *testing.T, format string, schema *engine.Schema, opts EncoderOptions, cols []engine.Column, rows int) [][]byte {
	t.Helper()
	newEncoder, err := NewRowEncoder(format, schema, opts)
	if err != nil {
		t.Fatal(err)
	}
	e := newEncoder()
	values := make([][]byte, rows)
	for i := range values {
		if values[i], err = e.AppendRow([]byte{}, cols, int32(i)); err != nil {
			t.Fatalf("row %d: %v", i, err)
		}
	}
	return values
}

// decodeRows reads all values, which must be good.
func decodeRows(t *testing.T, format string, schema *engine.Schema, opts Options, values [][]byte) *engine.Batch {
	t.Helper()
	newDecoder, err := NewDecoder(format, "", schema, opts)
	if err != nil {
		t.Fatal(err)
	}
	b := &engine.Batch{Src: &engine.Rows{Values: values}}
	d := newDecoder()
	for range 2 { // the second time into used memory
		if err := d.Decode(b, func(row int32, err error) error { return fmt.Errorf("row %d: %q: %w", row, values[row], err) }); err != nil {
			t.Fatal(err)
		}
	}
	if len(b.Sel) != len(values) {
		t.Fatalf("%d of %d rows", len(b.Sel), len(values))
	}
	return b
}

// equalRows compares a row with what it was, by its JSON. JSON in columns is
// compared by its value: a format may write it in another way.
func equalRows(got, want []engine.Column, i int32) error {
	for c := range want {
		a, b := engine.AppendJSON(nil, &got[c], i, engine.ValueStyle{}), engine.AppendJSON(nil, &want[c], i, engine.ValueStyle{})
		if want[c].Type == engine.Any {
			var x, y any
			if json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && fmt.Sprint(x) == fmt.Sprint(y) {
				continue
			}
		}
		if string(a) != string(b) {
			return fmt.Errorf("column %d: got %s, want %s", c, a, b)
		}
	}
	return nil
}

// What a format writes it reads back as it was.
func TestRoundTrip(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	const rows = 3000
	for _, c := range []struct {
		format string
		enc    EncoderOptions
		dec    Options
	}{
		{"avro", EncoderOptions{Name: "orders-live/out"}, Options{}},
		{"protobuf", EncoderOptions{Name: "orders-live/out"}, Options{}},
		{"json", EncoderOptions{}, Options{}},
		{"csv", EncoderOptions{}, Options{}},
		{"csv", EncoderOptions{CSV: CSV{Header: true, Delimiter: ';', Quote: '\''}}, Options{CSV: CSV{Header: true, Delimiter: ';', Quote: '\''}}},
		{"csv", EncoderOptions{CSV: CSV{Delimiter: '\t'}}, Options{CSV: CSV{Delimiter: '\t'}}},
	} {
		t.Run(fmt.Sprintf("%s%v", c.format, c.enc.CSV), func(t *testing.T) {
			g := rand.New(rand.NewPCG(seed, 3))
			cols := randomRows(g, plainColumns, rows)
			if kind, _ := Find(c.format); kind.HasSchemas {
				var err error
				if c.dec.Schema, err = SchemaOf(c.format, plainColumns, c.enc); err != nil {
					t.Fatal(err)
				}
				t.Log(c.dec.Schema.Text)
			}
			values := encodeRows(t, c.format, plainColumns, c.enc, cols, rows)
			for i, value := range values[:200] {
				if err := byLibrary(c.dec.Schema, value); err != nil {
					t.Fatalf("row %d, %q: %v", i, value, err)
				}
			}
			b := decodeRows(t, c.format, plainColumns, c.dec, values)
			for i := range int32(rows) {
				if err := equalRows(b.Cols, cols, i); err != nil {
					t.Fatalf("row %d, %q: %v", i, values[i], err)
				}
			}
		})
	}
}

// byLibrary tells whether a format's own library reads a value as a whole, and
// writes it again as it was.
func byLibrary(s Schema, value []byte) error {
	var again []byte
	switch s.Format {
	case "avro":
		parsed, err := avro.Parse(s.Text)
		if err != nil {
			return err
		}
		var v any
		if rest, err := parsed.Decode(value, &v); err != nil || len(rest) > 0 {
			return fmt.Errorf("%d bytes behind: %v", len(rest), err)
		}
		if again, err = parsed.Encode(v); err != nil {
			return err
		}
	case "protobuf":
		f, err := parseProto(s)
		if err != nil {
			return err
		}
		m := dynamicpb.NewMessage(f.Messages().Get(0))
		if err := proto.Unmarshal(value, m); err != nil {
			return err
		}
		if again, err = (proto.MarshalOptions{Deterministic: true}).Marshal(m); err != nil {
			return err
		}
	default:
		return nil
	}
	if !bytes.Equal(again, value) {
		return fmt.Errorf("the library writes %q", again)
	}
	return nil
}
