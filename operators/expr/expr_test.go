package expr

import (
	"fmt"
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
