package operators

import (
	"testing"

	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/window"
	"github.com/leatstream/leat/window/aggregate"
)

// counted counts what an aggregate is asked to do.
type counted struct {
	aggregate.Aggregate
	work *int
}

func (c counted) Add(acc []uint64, args []aggregate.Column, row int32, h aggregate.Heap) error {
	*c.work++
	return c.Aggregate.Add(acc, args, row, h)
}

func (c counted) Merge(acc, from []uint64, h aggregate.Heap) error {
	*c.work++
	return c.Aggregate.Merge(acc, from, h)
}

func (c counted) Append(acc []uint64, h aggregate.Heap, out *aggregate.Column, row int32) {
	*c.work++
	c.Aggregate.Append(acc, h, out, row)
}

// countedBack does so of one that can take panes back.
type countedBack struct {
	counted
	back aggregate.Unmerger
}

func (c countedBack) Unmerge(acc, from []uint64, h aggregate.Heap) error {
	*c.work++
	return c.back.Unmerge(acc, from, h)
}

// TestFineWindows: ten times as many windows per row, 60 in place of 6, are at
// most three times the work per row, and one and a half where the aggregate can
// take back. Work is calls: they do not depend on how busy the machine is.
// BenchmarkWindows has the time.
func TestFineWindows(t *testing.T) {
	for _, x := range []struct {
		column string
		most   float64
	}{
		{"v = sum(amount)", 1.5}, {"v = avg(ratio)", 1.5}, {"v = min(amount)", 3}, {"v = max(user)", 3},
	} {
		few, many := workPerRow(t, x.column, 6, false), workPerRow(t, x.column, 60, false)
		t.Logf("%s: %.2f calls per row with 6 windows, %.2f with 60: %.2f times", x.column, few, many, many/few)
		if many > x.most*few {
			t.Errorf("%s: 60 windows are %.2f times the work of 6 per row, at most %v wanted", x.column, many/few, x.most)
		}
	}
	// Merging one by one is what this forbids.
	if few, many := workPerRow(t, "v = min(amount)", 6, true), workPerRow(t, "v = min(amount)", 60, true); many <= 3*few {
		t.Errorf("%.2f calls per row with 6 windows one by one, %.2f with 60: what is counted?", few, many)
	}
}

// workPerRow counts the calls per row of windows every second that a row is in
// so many of, from when the first is full.
func workPerRow(t *testing.T, column string, windows int64, plain bool) float64 {
	a := aggregateText{group: "user", columns: column, window: window.Spec{Kind: "hopping", Size: windows * 1000, Advance: 1000}, plain: plain}
	d := newDense(t, a, denseRows)
	d.r.close()
	spec, work := a.spec(t, d.r.in), 0
	for k := range spec.Aggregates {
		c := counted{spec.Aggregates[k].Fn, &work}
		spec.Aggregates[k].Fn = c
		if back, ok := c.Aggregate.(aggregate.Unmerger); ok {
			spec.Aggregates[k].Fn = countedBack{c, back}
		}
	}
	d.r = &rig{t: t, in: d.r.in, stores: AggregateStores("it", spec), open: Aggregate(spec)}
	d.r.start()
	defer d.r.close()
	rows := 0
	for full := windows*1000 + 5000; d.time < full+windows*1000; {
		if d.time == full {
			work, rows = 0, 0
		}
		if err := d.r.op.Process(d.next(), drop); err != nil {
			t.Fatal(err)
		}
		if _, _, err := d.r.op.(engine.Advancer).Advance(d.time-1500, &engine.Budget{Rows: 1 << 30, Bytes: 1 << 40}, drop); err != nil {
			t.Fatal(err)
		}
		if err := d.r.lease.Commit(nil, nil); err != nil {
			t.Fatal(err)
		}
		rows += denseRows
	}
	return float64(work) / float64(rows)
}
