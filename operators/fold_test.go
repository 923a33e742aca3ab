package operators

import (
	"testing"

	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/window/aggregate"
)

// TestEventTime: aggregates by event time get the time of the rows as their
// last argument, beside others that do not, and under a condition.
func TestEventTime(t *testing.T) {
	in := engine.NewSchema(engine.Field{Name: "x", Type: engine.Int})
	column := func(name, where string) AggregateColumn {
		kind, _ := aggregate.Lookup(name)
		fn, err := kind.New([]aggregate.Type{aggregate.Int}, nil)
		if err != nil {
			t.Fatal(err)
		}
		c := AggregateColumn{Name: name, Fn: fn, Time: kind.Time}
		c.Args = append(c.Args, compile(t, "x * 10", in))
		if where != "" {
			c.Where = compile(t, where, in)
		}
		return c
	}
	columns := []AggregateColumn{column("latest", ""), column("sum", ""), column("delta", "x > 1")}
	args, f := newArguments(columns), newFold(columns)
	acc, h := make([]uint64, f.words), &aggregate.Scratch{}
	for _, times := range [][]int64{{30, 10, 20}, {5, 40, 15}} {
		b := &engine.Batch{Schema: in, N: 3, Sel: []int32{0, 1, 2}, Time: times,
			Cols: []engine.Column{{Type: engine.Int, Ints: []int64{1, 2, 3}}}}
		rows, err := args.eval(b, b.Cols, b.Sel, func(_ int32, err error) error { return err })
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range rows {
			if err := f.row(acc, args, i, false, h); err != nil {
				t.Fatal(err)
			}
		}
	}
	for k, want := range []int64{20, 120, 0} { // of delta: 20 at 10 ms, 20 at 40 ms
		out := aggregate.Column{Type: aggregate.Int, Ints: []int64{-1}}
		columns[k].Fn.Append(acc[f.at[k]:], h, &out, 0)
		if out.Ints[0] != want || out.Null(0) {
			t.Errorf("%s is %d, want %d", columns[k].Name, out.Ints[0], want)
		}
	}
}
