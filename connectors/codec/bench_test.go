package codec

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/leatstream/leat/engine"
)

// readings are records like those of the benchmark topics, about 178 bytes.
func readings(n int) [][]byte {
	values := make([][]byte, n)
	for i := range values {
		values[i] = fmt.Appendf(nil, `{"sensor_id":"s-%05d","site":"%s","ts":%d,"temp":%.2f,"hum":%.1f,"bat":%.3f,"status":"%s","fw":"2.4.%d","unit":"C","loc":{"lat":52.52,"lon":13.405},"seq":%d}`,
			i*7919%10000, []string{"oslo", "berlin", "krakow"}[i%3], 1700000000000+int64(i), float64(i%4000)/100, float64(i%900)/10, 3+float64(i%997)/1000,
			[]string{"ok", "ok", "ok", "warn"}[i%4], i%7, i)
	}
	return values
}

var readingSchema = engine.NewSchema(
	engine.Field{Name: "sensor_id", Type: engine.String},
	engine.Field{Name: "ts", Type: engine.Timestamp},
	engine.Field{Name: "temp", Type: engine.Double},
	engine.Field{Name: "status", Type: engine.String},
)

// BenchmarkEncodingJSON is the scale: machines differ, the ratio less.
func BenchmarkEncodingJSON(b *testing.B) {
	values := readings(1000)
	var r struct {
		SensorID string  `json:"sensor_id"`
		TS       int64   `json:"ts"`
		Temp     float64 `json:"temp"`
		Status   string  `json:"status"`
	}
	for n := range b.N {
		if err := json.Unmarshal(values[n%1000], &r); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkJSON(b *testing.B) {
	for _, bench := range []struct {
		name   string
		schema *engine.Schema
		opts   Options
	}{
		{"4of12-full", readingSchema, Options{}},
		{"4of12-columns", readingSchema, Options{Validate: Columns}},
		{"4of12-full-plain", readingSchema, Options{plain: true}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			values := readings(1000)
			newDecoder, err := JSON(bench.schema, bench.opts)
			if err != nil {
				b.Fatal(err)
			}
			d, batch := newDecoder(), &engine.Batch{Src: &engine.Rows{Values: values}}
			bad := func(row int32, err error) error { return err }
			b.ReportAllocs()
			for n := 0; n < b.N; n += len(values) {
				if err := d.Decode(batch, bad); err != nil {
					b.Fatal(err)
				}
			}
			if n := len(batch.Sel); n != len(values) {
				b.Fatalf("%d rows", n)
			}
		})
	}
}

// Rows of eight columns, as each format writes and reads them.
func BenchmarkFormats(b *testing.B) {
	schema := engine.NewSchema(
		engine.Field{Name: "id", Type: engine.String}, engine.Field{Name: "user", Type: engine.String}, engine.Field{Name: "n", Type: engine.Int}, engine.Field{Name: "at", Type: engine.Timestamp},
		engine.Field{Name: "amount", Type: engine.Double}, engine.Field{Name: "ok", Type: engine.Bool}, engine.Field{Name: "loc.lat", Type: engine.Double}, engine.Field{Name: "loc.lon", Type: engine.Double},
	)
	const rows = 1000
	cols := randomRows(rand.New(rand.NewPCG(1, 2)), schema, rows)
	for _, format := range []string{"avro", "csv", "json", "protobuf"} {
		newEncoder, err := NewRowEncoder(format, schema, EncoderOptions{})
		if err != nil {
			b.Fatal(err)
		}
		e := newEncoder()
		var values [][]byte
		for i := range int32(rows) {
			value, err := e.AppendRow([]byte{}, cols, i)
			if err != nil {
				b.Fatal(err)
			}
			values = append(values, value)
		}
		b.Run("encode/"+format, func(b *testing.B) {
			var dst []byte
			for k := range b.N {
				dst, _ = e.AppendRow(dst[:0], cols, int32(k%rows))
			}
		})
		opts := Options{}
		if kind, _ := Find(format); kind.HasSchemas {
			if opts.Schema, err = SchemaOf(format, schema, EncoderOptions{}); err != nil {
				b.Fatal(err)
			}
		}
		newDecoder, err := NewDecoder(format, "", schema, opts)
		if err != nil {
			b.Fatal(err)
		}
		d := newDecoder()
		batch := &engine.Batch{Src: &engine.Rows{Values: values}}
		b.Run("decode/"+format, func(b *testing.B) {
			for k := 0; k < b.N; k += rows {
				if err := d.Decode(batch, func(_ int32, err error) error { return err }); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
