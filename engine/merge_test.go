package engine_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/leatstream/leat/engine"
)

// mergeGraph has all there is to merge: streams, a table, two sources of one
// topic, and rows that reach an operator on two ways.
const mergeGraph = `
source a disorder=1s
source b
table users
source c topic=b
pass p: a
probe x: a b users p
probe y: c users
`

// mergeRows makes rows for the inputs of mergeGraph, with disorder, equal
// times, tombstones, and some that are broken.
func mergeRows(t testing.TB, rng *rand.Rand, partitions, n int) []engine.Record {
	clocks := map[string]int64{}
	var recs []engine.Record
	for id := range n {
		topic := []string{"a", "b", "users"}[rng.IntN(3)]
		p := rng.IntN(partitions)
		at := fmt.Sprint(topic, p)
		clocks[at] += rng.Int64N(40)
		line := fmt.Sprintf("%s p%d k%d@%dms", topic, p, rng.IntN(5), (clocks[at]-rng.Int64N(30))*10)
		switch rng.IntN(12) {
		case 0:
			line = fmt.Sprintf("%s p%d null k%d at=%dms", topic, p, rng.IntN(5), clocks[at]*10)
		case 1:
			line = fmt.Sprintf("%s p%d raw {%d", topic, p, id)
		}
		recs = append(recs, parseRow(t, line, int64(id+1)))
	}
	return recs
}

// merged is the naive model: what each probe of mergeGraph sees of one
// partition, the smallest head next, the table before all.
func merged(recs []engine.Record, p engine.Partition) []string {
	logs := map[string][]engine.Record{}
	for _, r := range recs {
		if r.Partition == p {
			logs[string(r.Topic)] = append(logs[string(r.Topic)], r)
		}
	}
	var out []string
	marks := map[string]int64{}
	take := func(topic string) {
		r := logs[topic][0]
		logs[topic] = logs[topic][1:]
		what, ok := seenAs(r)
		if !ok {
			return
		}
		disorder := int64(0)
		if topic == "a" {
			disorder = 1000
		}
		mark, heard := marks[topic]
		if heard && mark > timeOf(r) && topic != "users" {
			what += " behind"
		}
		if m := timeOf(r) - disorder; !heard || m > mark {
			marks[topic] = m
		}
		ports := map[string][]string{"a": {"x 3: ", "x 0: "}, "b": {"x 1: ", "y 0: "}, "users": {"x 2: ", "y 1: "}}[topic]
		for _, port := range ports {
			out = append(out, port+what)
		}
	}
	// Only the table, then all.
	for _, topics := range [][]string{{"users"}, {"a", "b", "users"}} {
		for {
			best, least := "", int64(0)
			for _, topic := range topics {
				for len(logs[topic]) > 0 {
					if _, ok := seenAs(logs[topic][0]); ok {
						break
					}
					logs[topic] = logs[topic][1:] // broken: it is nobody's turn
				}
				if len(logs[topic]) > 0 {
					if at := timeOf(logs[topic][0]); best == "" || at < least {
						best, least = topic, at
					}
				}
			}
			if best == "" {
				break
			}
			take(best)
		}
	}
	return out
}

func timeOf(r engine.Record) int64 {
	if r.Value == nil {
		return r.Time
	}
	_, ts, _ := strings.Cut(string(r.Value), `"ts":`)
	ts, _, _ = strings.Cut(ts, ",")
	return integer(ts)
}

// seenAs is the line a probe writes for a record; false: none.
func seenAs(r engine.Record) (string, bool) {
	at := "@" + since(timeOf(r))
	if r.Value == nil {
		return fmt.Sprintf("delete k=%s %s", r.Key, at), r.Topic == "users"
	}
	id, ok := strings.CutPrefix(string(r.Value), `{"id":`)
	id, _, _ = strings.Cut(id, ",")
	return fmt.Sprintf("id=%s k=%s n=1 %s", id, r.Key, at), ok
}

// seen sorts what probes wrote by partition and, as the order between two
// operators is nobody's promise, by operator.
func seen(recs []engine.Record) map[string][]string {
	all := map[string][]string{}
	for _, r := range recs {
		if r.Topic == "seen" {
			at := fmt.Sprintf("%s/%d", r.Key, r.Partition)
			all[at] = append(all[at], string(r.Key)+" "+string(r.Value))
		}
	}
	return all
}

// compareSeen fails where what the probes saw is not what the model says.
func compareSeen(t *testing.T, how string, in, out []engine.Record, partitions int) {
	t.Helper()
	got := seen(out)
	for p := range engine.Partition(partitions) {
		for _, probe := range []string{"x", "y"} {
			var want []string
			for _, line := range merged(in, p) {
				if strings.HasPrefix(line, probe) {
					want = append(want, line)
				}
			}
			have := got[fmt.Sprintf("%s/%d", probe, p)]
			for i := range max(len(want), len(have)) {
				if i >= len(want) || i >= len(have) || want[i] != have[i] {
					t.Fatalf("%s: what %s/%d saw differs from line %d of %d on: %q, want %q", how, probe, p, i, len(want),
						have[min(i, len(have)):min(i+3, len(have))], want[min(i, len(want)):min(i+3, len(want))])
				}
			}
		}
	}
}

// TestOrder: the order in which a task takes rows is that of their times,
// whatever the size of a turn.
func TestOrder(t *testing.T) {
	randomly(t, *cases/5, func(t *testing.T, seed uint64) {
		rng := rand.New(rand.NewPCG(seed, 3))
		partitions := 1 + rng.IntN(3)
		in := mergeRows(t, rng, partitions, 50+rng.IntN(400))
		for _, batch := range []int{1, 7, 64, 10_000} {
			var out []engine.Record
			d, err := engine.NewDriver(parseGraph(t, mergeGraph), engine.DriverOptions{Partitions: partitions, Now: epoch, Batch: batch, Restarts: true,
				Result: func(_ engine.Topic, r engine.Record) { out = append(out, r) }})
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range in {
				d.Feed(r)
			}
			if err := d.Restart(); err != nil { // it runs first
				t.Fatal(err)
			}
			if err := d.Close(); err != nil {
				t.Fatal(err)
			}
			compareSeen(t, fmt.Sprint("turns of ", batch), in, out, partitions)
		}
	})
}

// TestOrderOverFailures: nor does the order depend on what is rolled back,
// restarted, or comes in small portions; no row is seen twice, none is missed,
// and no error is told twice.
func TestOrderOverFailures(t *testing.T) {
	aborts, restarts := 0, 0
	randomly(t, *cases, func(t *testing.T, seed uint64) {
		rng := rand.New(rand.NewPCG(seed, 4))
		partitions := 1 + rng.IntN(2)
		in := mergeRows(t, rng, partitions, 50+rng.IntN(300))
		r := newRigOf(t, parseGraph(t, mergeGraph), partitions, seed)
		for _, rec := range in {
			r.feed(rec)
		}
		r.restart() // the table's rows were there before the tasks
		r.abort, r.batch = rng.Float64()*0.6, 1+rng.IntN(100)
		for range rng.IntN(6) {
			r.some(1 + rng.IntN(6))
			r.restart()
			restarts++
		}
		r.settle()
		aborts += r.aborts
		var out []engine.Record
		dead := 0
		for _, c := range r.out {
			out = append(out, c.Record)
			if c.Topic == "dead" {
				dead++
			}
		}
		compareSeen(t, "in the end", in, out, partitions)
		broken := 0
		for _, rec := range in {
			if _, ok := seenAs(rec); !ok && rec.Value != nil {
				broken++
				if rec.Topic == "b" {
					broken++ // two sources read it
				}
			}
		}
		if dead != broken {
			t.Errorf("%d dead letters, want %d", dead, broken)
		}
		r.check(r.db.Close())
	})
	if *cases > 20 && !t.Failed() && (aborts == 0 || restarts == 0) {
		t.Errorf("the test has not tested much: %d aborts, %d restarts", aborts, restarts)
	}
}

// TestLaneMerges: a lane waits for the rows of a partition that is known to
// have more, stops fetching the one of which too many wait, and lets it go on;
// what waits is never committed, whatever happens to transactions and to the
// assignment.
func TestLaneMerges(t *testing.T) {
	const each = 10_000
	for _, c := range []struct {
		name string
		end  func(s *fakeSession, turn int) engine.Outcome
	}{
		{"quiet", func(*fakeSession, int) engine.Outcome { return engine.Done }},
		{"rebalances", func(s *fakeSession, turn int) engine.Outcome {
			if turn%2 == 0 && turn < 20 {
				s.generation++
			}
			return engine.Done
		}},
		{"aborts", func(_ *fakeSession, turn int) engine.Outcome {
			if turn%3 == 1 && turn < 40 {
				return engine.Aborted
			}
			return engine.Done
		}},
		{"lost", func(s *fakeSession, turn int) engine.Outcome {
			if turn == 2 || turn == 4 {
				s.generation++
				return engine.LostLease
			}
			return engine.Done
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(map[engine.Topic]int{"a": 1, "b": 1, "users": 1})
				var in []engine.Record
				for i := range each {
					// a is polled first, and all of it comes after b's.
					in = append(in, parseRow(t, fmt.Sprintf("a k@%dms", each+i), int64(2*i)), parseRow(t, fmt.Sprintf("b k@%dms", i), int64(2*i+1)))
				}
				for i := range 5000 {
					in = append(in, parseRow(t, fmt.Sprintf("users k@%dms", 3*i), int64(i)))
				}
				for _, r := range in {
					f.feed(r)
				}
				pauses, turns := 0, 0
				f.pause = func(on bool) {
					if on {
						pauses++
					}
				}
				f.pace = 20 * time.Millisecond
				f.end = func(s *fakeSession, offsets []engine.OffsetCommit) (engine.Outcome, error) {
					if len(offsets) == 0 {
						return engine.Done, nil
					}
					// What the last commit has left: as many rows seen as offsets say.
					rows := map[string]int{}
					for _, r := range s.logs[engine.TopicPartition{Topic: "seen"}] {
						port, _, _ := strings.Cut(string(r.Value), ":")
						rows[string(r.Key)+port]++
					}
					for at, topic := range map[string]engine.Topic{"x0": "a", "x1": "b", "x2": "users", "x3": "a", "y0": "b", "y1": "users"} {
						if got := s.group[engine.TopicPartition{Topic: topic}].Offset; rows[at] != int(got) {
							t.Errorf("%s has seen %d rows of %s, the group is at %d", at, rows[at], topic, got)
						}
					}
					turns++
					return c.end(s, turns), nil
				}
				w := workOn(t, f, parseGraph(t, mergeGraph), func(o *engine.Options) { o.CommitInterval = 15 * time.Millisecond })
				for range 60 {
					time.Sleep(time.Second)
					if len(f.topic("seen")) == 2*len(in) {
						break
					}
				}
				if err := w.end(); err != nil {
					t.Fatal(err)
				}
				compareSeen(t, "in the end", in, f.topic("seen"), 1)
				if pauses < 1 || turns < 4 {
					t.Errorf("%d pauses, %d transactions", pauses, turns)
				}
			})
		})
	}
}

// TestWaitWhole: rows of streams wait, also across a restart, until a table of
// which each task has a copy has been read to where it ended at the start.
func TestWaitWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(map[engine.Topic]int{"a": 2, "users": 3})
		f.withhold = map[engine.Topic]bool{"users": true}
		for i, line := range []string{"p0 a k@5s", "p1 a k@1s", "p0 users u@30s", "p1 users v@30s", "p2 users w@30s"} {
			f.feed(parseRow(t, line, int64(i)))
		}
		graph := "table users\ncopy all: users\nsub\nsource a\nrepartition all from=0 whole copies\nprobe x: a all"
		for range 2 {
			w := workOn(t, f, parseGraph(t, graph))
			time.Sleep(time.Minute)
			if got := f.topic("seen"); len(got) > 0 {
				t.Errorf("without the table: %q", got[0].Value)
			}
			if err := w.end(); err != nil {
				t.Fatal(err)
			}
		}
		f.mu.Lock()
		f.withhold = nil
		f.mu.Unlock()
		w := workOn(t, f, parseGraph(t, graph))
		time.Sleep(time.Minute)
		if err := w.end(); err != nil {
			t.Fatal(err)
		}
		seen := map[engine.Partition]string{}
		for _, r := range f.topic("seen") {
			seen[r.Partition] += string(r.Value[:1])
		}
		if len(seen) != 2 || seen[0] != "1110" || seen[1] != "1110" {
			t.Errorf("inputs of the rows seen, in order: %q; want three of the table, then one of the stream", seen)
		}
	})
}

// TestWaitEnds: a partition that is known to have more and does not give it is
// waited for a quarter of a second, not for ever; a table that is new is.
func TestWaitEnds(t *testing.T) {
	for _, c := range []struct {
		holds string // the topic whose rows do not come
		wants int
	}{{"b", 1 + 2}, {"users", 0}} {
		synctest.Test(t, func(t *testing.T) {
			f := newFake(map[engine.Topic]int{"a": 1, "b": 1, "users": 1})
			f.withhold = map[engine.Topic]bool{engine.Topic(c.holds): true}
			for i, line := range []string{"a k@5s", "b k@1s", "users k@3s"} {
				f.feed(parseRow(t, line, int64(i)))
			}
			w := workOn(t, f, parseGraph(t, "source a\nsource b\ntable users\nprobe x: a b users\nprobe y: users"))
			time.Sleep(200 * time.Millisecond)
			early := len(f.topic("seen"))
			time.Sleep(time.Minute)
			if got := len(f.topic("seen")); got != c.wants || early > 2 {
				t.Errorf("without %s: %d rows seen at first, %d after a minute, want %d", c.holds, early, got, c.wants)
			}
			f.mu.Lock()
			f.withhold = nil
			f.mu.Unlock()
			time.Sleep(time.Minute)
			if err := w.end(); err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, r := range f.topic("seen") {
				if string(r.Key) == "x" {
					got = append(got, strings.Fields(string(r.Value))[4])
				}
			}
			want := []string{"@3s", "@1s", "@5s"}
			if c.holds == "b" {
				want = []string{"@3s", "@5s", "@1s"}
			}
			if slices.CompareFunc(got, want, cmp.Compare[string]) != 0 {
				t.Errorf("without %s the order was %v, want %v", c.holds, got, want)
			}
		})
	}
}

// TestOrderBehindRepartition: with all rows there, the order behind a
// repartition topic does not depend on the size of a turn either, and is that
// of time where the rows of each partition are.
func TestOrderBehindRepartition(t *testing.T) {
	const graph = "source a\nmove r: a\nsub\nrepartition r\ntable v\nprobe x: r v\nprobe y: r"
	randomly(t, *cases/5, func(t *testing.T, seed uint64) {
		rng := rand.New(rand.NewPCG(seed, 5))
		partitions := 2 + rng.IntN(3)
		sorted := rng.IntN(2) == 0
		var in []engine.Record
		clocks := map[string]int64{}
		for id := range 200 {
			topic, p := []string{"a", "a", "v"}[rng.IntN(3)], rng.IntN(partitions)
			at := fmt.Sprint(topic, p)
			clocks[at] += rng.Int64N(50)
			ts := clocks[at]
			if !sorted {
				ts -= rng.Int64N(100)
			}
			in = append(in, parseRow(t, fmt.Sprintf("%s p%d k@%dms g=g%d", topic, p, ts, rng.IntN(9)), int64(id)))
		}
		var first []string
		for _, batch := range []int{1, 3, 50, 1000} {
			var out []string
			last := map[engine.Partition]string{}
			d, err := engine.NewDriver(parseGraph(t, graph), engine.DriverOptions{Partitions: partitions, Now: epoch, Batch: batch, Result: func(_ engine.Topic, r engine.Record) {
				if string(r.Key) == "y" && sorted {
					_, at, _ := strings.Cut(string(r.Value), "@")
					d, _ := time.ParseDuration(strings.Fields(at)[0])
					now := fmt.Sprintf("%09d", d.Milliseconds())
					if now < last[r.Partition] {
						t.Errorf("turns of %d: %s comes after %s", batch, now, last[r.Partition])
					}
					last[r.Partition] = now
				}
				out = append(out, fmt.Sprintf("%s/%d %s", r.Key, r.Partition, r.Value))
			}})
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range in {
				d.Feed(r)
			}
			if err := d.Run(); err != nil {
				t.Fatal(err)
			}
			slices.SortStableFunc(out, func(a, b string) int { return cmp.Compare(a[:3], b[:3]) }) // by operator and partition
			if first == nil {
				first = out
			}
			if !slices.Equal(out, first) {
				t.Fatalf("turns of %d give another order than turns of 1", batch)
			}
		}
	})
}
