package engine_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/leatstream/leat/engine"
)

var (
	seed  = flag.Uint64("seed", uint64(time.Now().UnixNano()%1_000_000), "first seed of random tests")
	cases = flag.Int("cases", 150, "cases of random tests")
)

// randomly runs cases, each with its seed, and says how to replay one.
func randomly(t *testing.T, n int, f func(t *testing.T, seed uint64)) {
	t.Helper()
	for i := range uint64(n) {
		s := *seed + i
		if !t.Run(fmt.Sprint(s), func(t *testing.T) { f(t, s) }) {
			t.Fatalf("replay: go test ./engine -run '^%s$' -seed %d -cases 1", t.Name(), s)
		}
	}
}

// randomShape is one of the pipelines whose results do not depend on the way
// they are computed.
func randomShape(rng *rand.Rand) shape {
	s := shape{size: time.Duration(1+rng.IntN(10)) * time.Second, disorder: time.Duration(rng.IntN(3000)) * time.Millisecond, includeValue: true,
		policies: map[engine.Stage]engine.Policy{engine.StageLate: engine.DeadLetter}}
	if rng.IntN(2) == 0 {
		s.advance = max(time.Second, s.size-time.Duration(rng.IntN(int(s.size/time.Second)))*time.Second)
	}
	if rng.IntN(3) == 0 {
		s.grace = time.Duration(rng.IntN(4000)) * time.Millisecond
	}
	if rng.IntN(3) == 0 {
		s.update = true
		if rng.IntN(2) == 0 {
			s.throttle = time.Duration(rng.IntN(3000)) * time.Millisecond
		}
	}
	if rng.IntN(2) == 0 {
		s.group, s.through = "g", true
		s.stamp = time.Duration(rng.IntN(3000)) * time.Millisecond
		if rng.IntN(4) == 0 {
			s.topics = []string{"in", "also"}
		}
	}
	return s
}

// randomRows makes n rows: partitions with times of their own, disorder, and
// some that are late.
func randomRows(t testing.TB, s shape, rng *rand.Rand, partitions, n int) []engine.Record {
	topics := s.topics
	if topics == nil {
		topics = []string{"in"}
	}
	clocks := map[string]int64{}
	var recs []engine.Record
	for id := range n {
		topic := topics[rng.IntN(len(topics))]
		k := rng.IntN(12)
		p := int(engine.PartitionOf(fmt.Append(nil, "k", k), partitions))
		at := fmt.Sprint(topic, p)
		clocks[at] += int64(rng.IntN(300 * (1 + p)))
		ts := clocks[at] - rng.Int64N(s.disorder.Milliseconds()+1)
		if rng.IntN(20) == 0 {
			ts -= rng.Int64N(2 * s.size.Milliseconds())
		}
		recs = append(recs, parseRow(t, fmt.Sprintf("%s p%d k%d@%dms g=g%d n=%d", topic, p, k, ts, rng.IntN(6), rng.IntN(100)), int64(id+1)))
	}
	return recs
}

// TestSameResults feeds the same rows in any portions, over any number of
// partitions, with turns rolled back and tasks restarted in between, on their
// folders and without, and budgets that close windows in many turns: what is
// committed is what the naive model says, once.
func TestSameResults(t *testing.T) {
	var aborts, restarts, splits int
	randomly(t, *cases, func(t *testing.T, seed uint64) {
		rng := rand.New(rand.NewPCG(seed, 1))
		s, partitions := randomShape(rng), 1+rng.IntN(4)
		in := randomRows(t, s, rng, partitions, 50+rng.IntN(250))
		r := newRig(t, s, partitions, seed)
		r.abort, r.batch, r.budget = rng.Float64()*0.5, 1+rng.IntN(60), 1+rng.IntN(30)
		for _, rec := range in {
			r.feed(rec)
			switch rng.IntN(40) {
			case 0:
				r.restart()
				restarts++
			case 1, 2, 3:
				r.now += rng.Int64N(3000)
				r.some(1 + rng.IntN(8))
			}
		}
		r.finish()
		r.expect(s, in)
		aborts, splits = aborts+r.aborts, splits+r.splits
		r.check(r.db.Close())
	})
	if *cases > 20 && !t.Failed() && (aborts == 0 || restarts == 0 || splits == 0) {
		t.Errorf("the test has not tested much: %d aborts, %d restarts, %d closes in several turns", aborts, restarts, splits)
	}
}

// TestIdleLosesNothing: with partitions that fall idle and clocks that close
// windows the results depend on when rows came. But each row is in its window
// or with the late ones, and no window comes twice, whatever is rolled back or
// restarted in between.
func TestIdleLosesNothing(t *testing.T) {
	byClock := 0
	randomly(t, *cases, func(t *testing.T, seed uint64) {
		rng := rand.New(rand.NewPCG(seed, 2))
		s, partitions := randomShape(rng), 1+rng.IntN(4)
		s.advance = 0 // a row has one window
		s.idle = time.Duration(1+rng.IntN(5)) * time.Second
		if rng.IntN(2) == 0 {
			s.closeAfter = time.Duration(1+rng.IntN(5)) * time.Second
		}
		in := randomRows(t, s, rng, partitions, 50+rng.IntN(150))
		r := newRig(t, s, partitions, seed)
		r.abort, r.batch, r.budget = rng.Float64()*0.5, 1+rng.IntN(60), 1+rng.IntN(30)
		for _, rec := range in {
			r.feed(rec)
			switch rng.IntN(25) {
			case 0:
				r.restart()
			case 1:
				for range rng.IntN(10) {
					r.now += rng.Int64N(1500)
					r.settle()
				}
			case 2, 3:
				r.now += rng.Int64N(1000)
				r.some(1 + rng.IntN(8))
			}
		}
		r.finish()
		finals, late := r.finals(s.update)
		n := int64(len(late))
		for _, got := range finals {
			n += got.count
		}
		if n != int64(len(in)) {
			t.Errorf("%d rows came, %d are in windows or late (%d)", len(in), n, len(late))
		}
		for _, c := range r.out {
			if by, _ := header(c.Record, "leat.closed_by"); by == "idle" {
				byClock++
			}
		}
		r.check(r.db.Close())
	})
	if *cases > 20 && !t.Failed() && byClock == 0 {
		t.Error("no window was closed by the clock")
	}
}
