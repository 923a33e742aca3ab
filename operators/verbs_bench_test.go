package operators

import (
	"fmt"
	"testing"

	"github.com/leatstream/leat/engine"
)

// BenchmarkVerbs is the time of a batch of 1000 rows, over many keys and over
// one, with a commit every tenth batch.
func BenchmarkVerbs(b *testing.B) {
	specs := []struct {
		verb string
		keys map[string]string
	}{
		{"dedupe", map[string]string{"in": "u string, a int", "key": "u", "within": "10s"}},
		{"reduce", map[string]string{"in": "u string, a int", "group": "u", "state": "n int, last int", "init": "n = 0", "fold": "a > 3 -> set n = state.n + a; last = a | -> set last = a"}},
		{"reduce", map[string]string{"in": "u string, a int", "group": "u", "state": "n int", "init": "n = 0", "fold": "-> set n = state.n + a", "order": "event_time", "ttl": "60s"}},
		{"top", map[string]string{"in": "u string, a int", "group": "u", "by": "a", "k": "3", "window": "tumbling size=10s"}},
		{"detect", map[string]string{"in": "u string, a int", "group": "u", "pattern": "x where a == 1; y where a == 2", "within": "100ms"}},
		{"detect", map[string]string{"in": "u string, a int", "group": "u", "pattern": "x where a == 1; y where a > x.a + 4", "within": "100ms"}},
	}
	for n, s := range specs {
		for _, keys := range []int{1, 10000} {
			b.Run(fmt.Sprintf("%s%d/keys=%d", s.verb, n, keys), func(b *testing.B) {
				r := &rig{t: b, in: schema(b, s.keys["in"])}
				verbs[s.verb](b, r, s.keys)
				r.start()
				defer r.close()
				var batch engine.Batch
				batch.Schema, batch.N = r.in, 1000
				batch.Cols = make([]engine.Column, 2)
				batch.Cols[0].Reset(engine.String, 1000)
				batch.Cols[1].Reset(engine.Int, 1000)
				batch.Time = make([]int64, 1000)
				for i := range int32(1000) {
					batch.Sel = append(batch.Sel, i)
				}
				drop := func(*engine.Batch) error { return nil }
				time, row := int64(0), 0
				for b.Loop() {
					for i := range 1000 {
						time++
						row++
						batch.Cols[0].Strs[i] = fmt.Sprint("user-", row*7919%keys)
						batch.Cols[1].Ints[i], batch.Time[i] = int64(row%7), time
					}
					if err := r.op.Process(&batch, drop); err != nil {
						b.Fatal(err)
					}
					if a, ok := r.op.(engine.Advancer); ok {
						if _, _, err := a.Advance(time-1000, &engine.Budget{Rows: 1 << 30, Bytes: 1 << 40}, drop); err != nil {
							b.Fatal(err)
						}
					}
					if row%10000 == 0 {
						r.commit(true)
						r.rows, r.notes = nil, nil
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(row), "ns/row")
			})
		}
	}
}
