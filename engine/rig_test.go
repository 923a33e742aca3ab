package engine_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/state"
)

// rig is a cluster for tasks without lanes: logs, a group, and a commit that
// aborts when it likes. It does with a Task what the Task's comment allows,
// in any order and in any portions.
//
//	rows ─▶ Process* ─▶ Tick ─▶ Advance ─▶ Prepare ─▶ Committed | RolledBack
//	                                            restart: with its folder, or without
type rig struct {
	t          testing.TB
	rng        *rand.Rand
	topo       *engine.Topology
	partitions int
	now        int64
	number     int64
	logs       map[engine.TopicPartition][]engine.Record
	group      map[engine.TopicPartition]engine.OffsetCommit
	out        []committed
	disk       vfs.FS
	db         *state.DB
	tasks      []*rigTask

	abort   float64 // how likely a turn is rolled back
	batch   int     // rows of one Process, at most
	budget  int     // rows of one Advance
	limits  func(engine.Topic) engine.Limits
	commits int
	aborts  int
	splits  int // turns in which a close was not done
}

type rigTask struct {
	*engine.Task
	sub *engine.SubTopology
}

// committed is a record that readers of committed data see.
type committed struct {
	engine.Topic
	engine.Record
}

func newRig(t testing.TB, s shape, partitions int, seed uint64) *rig {
	t.Helper()
	return newRigOf(t, s.topology(t), partitions, seed)
}

func newRigOf(t testing.TB, topo *engine.Topology, partitions int, seed uint64) *rig {
	r := &rig{t: t, rng: rand.New(rand.NewPCG(seed, 7)), topo: topo, partitions: partitions, now: epoch, batch: 100, budget: 1000,
		logs: map[engine.TopicPartition][]engine.Record{}, group: map[engine.TopicPartition]engine.OffsetCommit{}}
	r.boot()
	return r
}

func (r *rig) check(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// boot opens a new folder.
func (r *rig) boot() {
	r.disk = vfs.NewMem()
	r.openAll()
}

func (r *rig) openAll() {
	r.t.Helper()
	var err error
	if r.rng.IntN(3) == 0 {
		r.db = state.OpenMemory()
	} else {
		r.db, err = state.Open("state", state.Options{FS: r.disk, Memory: 1 << 20})
		r.check(err)
	}
	r.tasks = nil
	for _, sub := range r.topo.Subs {
		for p := range engine.Partition(r.partitions) {
			r.tasks = append(r.tasks, r.open(sub, p))
		}
	}
}

func (r *rig) read(_ context.Context, tp engine.TopicPartition, from engine.Offset, fn func(*engine.Rows) error) (engine.Offset, error) {
	log := r.logs[tp]
	if from > engine.Offset(len(log)) {
		return from, engine.ErrOffsetOutOfRange
	}
	return engine.Offset(len(log)), fn(r.rows(tp, int(max(from, 0)), len(log)))
}

// rows gives part of a log.
func (r *rig) rows(tp engine.TopicPartition, from, to int) *engine.Rows {
	rows := &engine.Rows{Topic: tp.Topic, Partition: tp.Partition}
	for i, rec := range r.logs[tp][from:to] {
		rows.Keys, rows.Values = append(rows.Keys, rec.Key), append(rows.Values, rec.Value)
		rows.Times, rows.Offsets = append(rows.Times, rec.Time), append(rows.Offsets, int64(from+i))
	}
	rows.Headers = func(i int) []engine.Header { return r.logs[tp][from+i].Headers }
	return rows
}

func (r *rig) open(sub *engine.SubTopology, p engine.Partition) *rigTask {
	r.t.Helper()
	var lease *state.Lease
	var found engine.Recovery
	var err error
	if specs := sub.StoreSpecs(); len(specs) > 0 {
		lease, err = r.db.Lease(r.topo.StateName(sub, p), specs)
		r.check(err)
		found, err = engine.Recover(r.t.Context(), r.topo, sub, p, lease, r.read, nil)
		r.check(err)
	}
	task, err := engine.NewTask(r.topo, sub, p, lease, engine.TaskEnv{Lane: "rig/0", Tasks: r.partitions, Log: slog.New(slog.DiscardHandler),
		Partitions: func(engine.Topic) int { return r.partitions }, Limits: r.limits, Now: func() int64 { return r.now }})
	r.check(err)
	states, stateful := found.StateOffsets()
	for _, tp := range task.Inputs() {
		c, known := r.group[tp]
		if at, ok := states[tp]; stateful && (!ok || at != c.Offset) {
			r.t.Fatalf("task %s: its state has seen %s up to %d, the group says %d", task.ID, tp.Topic, at, c.Offset)
		}
		meta, _ := engine.DecodeOffsetMeta(c.Metadata)
		task.Take(tp, c.Offset, meta, r.now)
		task.Ends(tp, engine.Offset(len(r.logs[tp])))
		if !known {
			task.ReadFirst(tp, engine.Offset(len(r.logs[tp])))
		}
	}
	r.check(task.Recovered(found, r.now))
	return &rigTask{task, sub}
}

// feed appends a record to a source.
func (r *rig) feed(rec engine.Record) {
	tp := engine.TopicPartition{Topic: rec.Topic, Partition: rec.Partition}
	r.logs[tp] = append(r.logs[tp], rec)
}

// turn is a lane's turn for one task. It tells whether anything happened.
func (r *rig) turn(t *rigTask) (busy bool) {
	r.t.Helper()
	if !t.Closing() {
		for range 1 + r.rng.IntN(3) {
			for _, tp := range t.Inputs() {
				at, end := int(t.Next(tp)), len(r.logs[tp])
				t.Ends(tp, engine.Offset(end))
				if at >= end || t.Paused(tp) || r.rng.IntN(4) == 0 {
					busy = busy || at < end
					continue
				}
				busy = true
				r.check(t.Process(r.rows(tp, at, min(end, at+1+r.rng.IntN(r.batch)))))
			}
		}
	}
	for _, tp := range t.Silent(r.now) {
		t.AtEnd(tp, engine.Offset(len(r.logs[tp])))
	}
	t.Tick(r.now)
	done, err := t.Advance(&engine.Budget{Rows: 1 + r.rng.IntN(r.budget), Bytes: 1 << 20})
	r.check(err)
	if !done {
		r.splits++
		busy = true
	}
	r.number++
	dirty, err := t.Prepare(false, r.number)
	r.check(err)
	if !dirty {
		return busy
	}
	r.end(t)
	return true
}

// end commits, or not.
func (r *rig) end(t *rigTask) {
	r.t.Helper()
	if r.rng.Float64() < r.abort {
		r.aborts++
		r.check(t.RolledBack())
		return
	}
	r.commits++
	produced := map[engine.TopicPartition]engine.Offset{}
	for _, rec := range t.Records() {
		rec.Key, rec.Value = slices.Clone(rec.Key), slices.Clone(rec.Value)
		tp := engine.TopicPartition{Topic: rec.Topic, Partition: rec.Partition}
		r.logs[tp] = append(r.logs[tp], rec)
		produced[tp] = engine.Offset(len(r.logs[tp]))
		r.out = append(r.out, committed{rec.Topic, rec})
	}
	for _, c := range t.Offsets(r.number) {
		if was := r.group[c.TopicPartition]; c.Offset < was.Offset {
			r.t.Fatalf("task %s: %s/%d goes back from %d to %d", t.ID, c.Topic, c.Partition, was.Offset, c.Offset)
		}
		if len(c.Metadata) > 4096 {
			r.t.Fatalf("task %s: %d bytes of offset metadata", t.ID, len(c.Metadata))
		}
		r.group[c.TopicPartition] = c
	}
	r.check(t.Committed(produced))
	if l := t.Lease(); l != nil && r.rng.IntN(4) == 0 {
		r.check(l.Apply())
	}
}

// settle runs turns, in any order, until nothing happens any more.
func (r *rig) settle() {
	r.t.Helper()
	for quiet := 0; quiet < 3; {
		quiet++
		for _, i := range r.rng.Perm(len(r.tasks)) {
			if r.turn(r.tasks[i]) {
				quiet = 0
			}
		}
	}
}

// some runs a few turns.
func (r *rig) some(n int) {
	r.t.Helper()
	for range n {
		r.turn(r.tasks[r.rng.IntN(len(r.tasks))])
	}
}

// restart ends all tasks in the middle of what they do, and opens them again,
// on the same folder or on none.
func (r *rig) restart() {
	r.t.Helper()
	keep := r.rng.IntN(2) == 0
	for _, t := range r.tasks {
		if l := t.Lease(); l != nil {
			l.Rollback()
			if keep && r.rng.IntN(2) == 0 {
				r.check(l.Release())
			} else {
				l.Abandon()
			}
		}
	}
	r.check(r.db.Close())
	if !keep {
		r.disk = vfs.NewMem()
	}
	r.openAll()
}

// finish ends the input.
func (r *rig) finish() {
	r.t.Helper()
	for done := false; !done; {
		r.settle()
		done = true
		for _, t := range r.tasks {
			if !t.Finished() {
				t.CloseAll()
				done = false
			}
		}
	}
	r.settle()
}

// pane names a window's row of results.
type pane struct {
	group string
	end   int64
}

type total struct{ count, sum int64 }

// finals are the committed final rows, each of which must be there once, and
// the ids of the dead letters, sorted.
func (r *rig) finals(update bool) (map[pane]total, []int64) {
	r.t.Helper()
	finals, last := map[pane]total{}, map[pane]total{}
	var late []int64
	for _, c := range r.out {
		var v struct {
			ID    int64  `json:"id"`
			K     string `json:"k"`
			G     string `json:"g"`
			End   int64  `json:"window_end"`
			Count int64  `json:"count"`
			Sum   int64  `json:"sum"`
			Final bool   `json:"final"`
		}
		switch c.Topic {
		case "dead":
			r.check(json.Unmarshal(c.Value, &v))
			late = append(late, v.ID)
		case "out":
			r.check(json.Unmarshal(c.Value, &v))
			p, now := pane{v.K + v.G, v.End}, total{v.Count, v.Sum}
			if was, ok := finals[p]; ok {
				r.t.Fatalf("%v comes again with %v, was final with %v", p, now, was)
			}
			if was, ok := last[p]; ok && (was.count > now.count || was == now && !v.Final) {
				r.t.Fatalf("%v goes from %v to %v", p, was, now)
			}
			last[p] = now
			if v.Final || !update {
				finals[p] = now
			}
		}
	}
	slices.Sort(late)
	return finals, late
}

// expect compares results with the naive model's.
func (r *rig) expect(s shape, in []engine.Record) {
	r.t.Helper()
	want, wantLate := naive(r.t, s, in)
	got, late := r.finals(s.update)
	if !maps.Equal(got, want) {
		for p, w := range want {
			if got[p] != w {
				r.t.Errorf("%v is %v, want %v", p, got[p], w)
			}
		}
		for p, g := range got {
			if _, ok := want[p]; !ok {
				r.t.Errorf("%v is %v, want nothing", p, g)
			}
		}
	}
	if !slices.Equal(late, wantLate) {
		r.t.Errorf("late rows: %v, want %v", late, wantLate)
	}
}

// naive computes windows and late rows from records as they lie in their
// partitions, row by row.
func naive(t testing.TB, s shape, in []engine.Record) (map[pane]total, []int64) {
	t.Helper()
	totals := map[pane]total{}
	var late []int64
	marks := map[string]int64{}
	size, advance := s.size.Milliseconds(), s.advance.Milliseconds()
	if advance == 0 {
		advance = size
	}
	for _, rec := range in {
		var v struct {
			ID int64  `json:"id"`
			K  string `json:"k"`
			G  string `json:"g"`
			TS int64  `json:"ts"`
			N  int64  `json:"n"`
		}
		if err := json.Unmarshal(rec.Value, &v); err != nil {
			t.Fatal(err)
		}
		group := v.K
		if s.group == "g" {
			group = v.G
		}
		tp := fmt.Sprint(rec.Topic, "/", rec.Partition)
		mark, heard := marks[tp]
		fits := false
		for start := (v.TS/advance + 1) * advance; start > v.TS-size; start -= advance {
			if start > v.TS || heard && start+size <= mark-s.grace.Milliseconds() {
				continue
			}
			fits = true
			p := pane{group, start + size}
			totals[p] = total{totals[p].count + 1, totals[p].sum + v.N}
		}
		if !fits {
			late = append(late, v.ID)
		}
		if m := v.TS - s.disorder.Milliseconds(); !heard || m > mark {
			marks[tp] = m
		}
	}
	slices.Sort(late)
	return totals, late
}
