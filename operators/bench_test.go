package operators

import (
	"strconv"
	"testing"

	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/window"
)

// dense makes a batch of one row per key at a time: the work of an aggregate
// whose keys all report every second.
type dense struct {
	r     *rig
	batch engine.Batch
	time  int64
	key   int
	keys  int
}

const denseRows = 1000

func newDense(t testing.TB, a aggregateText, keys int) *dense {
	in := schema(t, "user string, amount int, ratio double")
	d := &dense{r: a.rig(t, in, 0), keys: keys}
	b := &d.batch
	*b = engine.Batch{Schema: in, N: denseRows, Cols: make([]engine.Column, 3), Time: make([]int64, denseRows), Origin: make([]int64, denseRows)}
	for c, f := range in.Fields {
		b.Cols[c].Reset(f.Type, denseRows)
	}
	for i := range denseRows {
		b.Sel = append(b.Sel, int32(i))
	}
	return d
}

var denseNames = func() (names []string) {
	for i := range 10_000 {
		names = append(names, "user-"+strconv.Itoa(i*7919%10_000))
	}
	return names
}()

// next is the next batch: keys in turn, a second later after each round.
func (d *dense) next() *engine.Batch {
	b := &d.batch
	for i := range denseRows {
		b.Cols[0].Strs[i] = denseNames[d.key]
		b.Cols[1].Ints[i] = int64(d.key*31+i) % 1000
		b.Cols[2].Doubles[i] = float64(d.key+i) / 4
		b.Time[i], b.Origin[i] = d.time, d.time-1000
		if d.key++; d.key == d.keys {
			d.key = 0
			d.time += 1000
		}
	}
	return b
}

var denseText = aggregateText{
	group: "user", columns: "n = count(); total = sum(amount); low = min(amount); high = max(ratio); mean = avg(ratio)",
	window: window.Spec{Kind: "hopping", Size: 60_000, Advance: 10_000},
}

func drop(*engine.Batch) error { return nil }

// BenchmarkAggregate folds and closes: 10,000 keys, one row per key and second,
// windows of 60 s every 10 s. One op is a row. fold is Process alone.
func BenchmarkAggregate(b *testing.B) {
	for _, mode := range []string{"fold", "close", "update"} {
		b.Run(mode, func(b *testing.B) {
			a := denseText
			a.update = mode == "update"
			d := newDense(b, a, 10_000)
			defer d.r.close()
			turn := func(timed bool) {
				if timed {
					b.StopTimer()
				}
				next := d.next()
				if timed {
					b.StartTimer()
				}
				if err := d.r.op.Process(next, drop); err != nil {
					b.Fatal(err)
				}
				if timed && mode == "fold" {
					b.StopTimer()
				}
				if _, _, err := d.r.op.(engine.Advancer).Advance(d.time-5000, &engine.Budget{Rows: 1 << 30, Bytes: 1 << 40}, drop); err != nil {
					b.Fatal(err)
				}
				// A commit every 200 ms of a lane that does a million rows a second.
				if d.key == 0 && d.time%2000 == 0 {
					if err := d.r.op.(engine.Flusher).Flush(d.time, true, drop); err != nil {
						b.Fatal(err)
					}
					if err := d.r.lease.Commit(nil, nil); err != nil {
						b.Fatal(err)
					}
				}
				if timed && mode == "fold" {
					b.StartTimer()
				}
			}
			for d.time < 70_000 {
				turn(false)
			}
			b.ResetTimer()
			for n := 0; n < b.N; n += denseRows {
				turn(true)
			}
		})
	}
}

// BenchmarkWindows folds and closes windows of every type: 10,000 keys, one row
// per key and second; sliding windows hold some 7 rows. One op is a row.
func BenchmarkWindows(b *testing.B) {
	minute := int64(60_000)
	subtracts := "n = count(); total = sum(amount); mean = avg(amount)"
	for _, x := range []struct {
		name    string
		window  window.Spec
		columns string
		plain   bool
	}{
		{name: "tumbling", window: window.Spec{Kind: "tumbling", Size: minute}},
		{name: "hopping 6", window: window.Spec{Kind: "hopping", Size: minute, Advance: minute / 6}},
		{name: "hopping 60", window: window.Spec{Kind: "hopping", Size: 10 * minute, Advance: minute / 6}},
		{name: "hopping 60 plain", window: window.Spec{Kind: "hopping", Size: 10 * minute, Advance: minute / 6}, plain: true},
		{name: "subtracts 6", window: window.Spec{Kind: "hopping", Size: minute, Advance: minute / 6}, columns: subtracts},
		{name: "subtracts 60", window: window.Spec{Kind: "hopping", Size: 10 * minute, Advance: minute / 6}, columns: subtracts},
		{name: "subtracts 60 plain", window: window.Spec{Kind: "hopping", Size: 10 * minute, Advance: minute / 6}, columns: subtracts, plain: true},
		{name: "fine 6", window: window.Spec{Kind: "hopping", Size: 6000, Advance: 1000}},
		{name: "fine 60", window: window.Spec{Kind: "hopping", Size: minute, Advance: 1000}},
		{name: "fine subtracts 60", window: window.Spec{Kind: "hopping", Size: minute, Advance: 1000}, columns: subtracts},
		{name: "cumulate", window: window.Spec{Kind: "cumulate", Size: minute, Step: minute / 6}},
		{name: "exact", window: window.Spec{Kind: "sliding", Size: 6000, Mode: window.Exact}},
		{name: "trailing", window: window.Spec{Kind: "sliding", Size: 6000, Mode: window.Trailing}},
		{name: "trailing 60", window: window.Spec{Kind: "sliding", Size: minute, Mode: window.Trailing}},
		{name: "session", window: window.Spec{Kind: "session", Gap: 5000}},
		{name: "count", window: window.Spec{Kind: "count", Count: 7}},
	} {
		b.Run(x.name, func(b *testing.B) {
			a := denseText
			a.window, a.plain = x.window, x.plain
			if x.columns != "" {
				a.columns = x.columns
			}
			d := newDense(b, a, 10_000)
			defer d.r.close()
			turn := func() {
				if err := d.r.op.Process(d.next(), drop); err != nil {
					b.Fatal(err)
				}
				if _, _, err := d.r.op.(engine.Advancer).Advance(d.time-1500, &engine.Budget{Rows: 1 << 30, Bytes: 1 << 40}, drop); err != nil {
					b.Fatal(err)
				}
				if d.key == 0 {
					if err := d.r.op.(engine.Flusher).Flush(d.time, true, drop); err != nil {
						b.Fatal(err)
					}
					if err := d.r.lease.Commit(nil, nil); err != nil {
						b.Fatal(err)
					}
				}
			}
			for d.time < x.window.Size+20_000 {
				turn()
			}
			b.ResetTimer()
			for n := 0; n < b.N; n += denseRows {
				turn()
			}
		})
	}
}

// BenchmarkFilter keeps half of the rows. One op is a row.
func BenchmarkFilter(b *testing.B) {
	d := newDense(b, denseText, 10_000)
	defer d.r.close()
	op, err := Filter(compile(b, "amount > 500", d.r.in))(d.r.ctx)
	if err != nil {
		b.Fatal(err)
	}
	batch := d.next()
	b.ResetTimer()
	for n := 0; n < b.N; n += denseRows {
		if err := op.Process(batch, drop); err != nil {
			b.Fatal(err)
		}
	}
}

// TestNoAllocations: rows of keys that are known cost no memory.
func TestNoAllocations(t *testing.T) {
	d := newDense(t, denseText, denseRows)
	defer d.r.close()
	batch := d.next()
	check := func(name string, most float64, f func() error) {
		t.Helper()
		var failed error
		n := testing.AllocsPerRun(50, func() {
			if err := f(); err != nil {
				failed = err
			}
		})
		if failed != nil {
			t.Fatal(name, failed)
		}
		if n > most {
			t.Errorf("%s: %v allocations per batch of %d rows, at most %v wanted", name, n, denseRows, most)
		}
	}
	filter, err := Filter(compile(t, "amount > 500 and user != nil", d.r.in))(d.r.ctx)
	if err != nil {
		t.Fatal(err)
	}
	check("filter", 0, func() error { return filter.Process(batch, drop) })
	check("aggregate over windows", 0, func() error { return d.r.op.Process(batch, drop) })

	a := denseText
	a.window = window.Spec{}
	a.group = "user; amount"
	d = newDense(t, a, denseRows)
	defer d.r.close()
	batch = d.next()
	check("aggregate without a window", 0, func() error { return d.r.op.Process(batch, drop) })

	a = denseText
	a.columns += "; word = max(user); paid = sum(amount) where ratio > 10.0"
	d = newDense(t, a, denseRows)
	defer d.r.close()
	batch = d.next()
	check("aggregate with text and a condition", 0, func() error { return d.r.op.Process(batch, drop) })
}
