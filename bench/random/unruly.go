package random

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"

	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/state"
)

// unruly runs a topology over logs in memory as badly as a worker may: tasks
// get their turns in any order, commits come late, transactions are aborted,
// and machines crash in the middle. What is committed must be as ever.
type unruly struct {
	topo       *engine.Topology
	r          *rand.Rand
	partitions int
	batch      int
	now        int64
	result     func(engine.Topic, engine.Record)

	db        *state.DB
	tasks     []*engine.Task
	logs      map[engine.TopicPartition][]engine.Record
	committed map[engine.TopicPartition]engine.OffsetCommit
	fresh     map[engine.TopicPartition]bool // no task has begun to read them
	sources   map[engine.Topic]bool
	number    int64
	budget    int
	trouble   int  // aborts and crashes that are left
	steady    bool // no crashes: who starts anew counts silence anew
}

func newUnruly(topo *engine.Topology, seed uint64, partitions, batch int, now int64, result func(engine.Topic, engine.Record)) (*unruly, error) {
	u := &unruly{topo: topo, r: rand.New(rand.NewPCG(seed, 3)), partitions: partitions, batch: batch, now: now, result: result,
		logs: map[engine.TopicPartition][]engine.Record{}, committed: map[engine.TopicPartition]engine.OffsetCommit{}, fresh: map[engine.TopicPartition]bool{}, sources: map[engine.Topic]bool{}}
	u.budget = []int{50_000, 1, 2, 5}[u.r.IntN(4)]
	u.trouble = 25
	for _, sub := range topo.Subs {
		for _, s := range sub.Sources {
			for _, t := range s.Topics {
				u.sources[t] = true
			}
		}
	}
	return u, u.open()
}

func (u *unruly) open() error {
	u.db, u.tasks = state.OpenMemory(), nil
	for _, sub := range u.topo.Subs {
		for p := range engine.Partition(u.partitions) {
			t, err := u.task(sub, p)
			if err != nil {
				return err
			}
			u.tasks = append(u.tasks, t)
		}
	}
	return nil
}

func (u *unruly) task(sub *engine.SubTopology, p engine.Partition) (*engine.Task, error) {
	var lease *state.Lease
	var found engine.Recovery
	if specs := sub.StoreSpecs(); len(specs) > 0 {
		var err error
		if lease, err = u.db.Lease(u.topo.StateName(sub, p), specs); err != nil {
			return nil, err
		}
		read := func(_ context.Context, tp engine.TopicPartition, from engine.Offset, fn func(*engine.Rows) error) (engine.Offset, error) {
			end := len(u.logs[tp])
			return engine.Offset(end), fn(u.rows(tp, int(max(from, 0)), end))
		}
		if found, err = engine.Recover(context.Background(), u.topo, sub, p, lease, read, nil); err != nil {
			return nil, err
		}
	}
	t, err := engine.NewTask(u.topo, sub, p, lease, engine.TaskEnv{Lane: "unruly/0", Tasks: u.partitions, Log: slog.New(slog.DiscardHandler),
		Partitions: func(engine.Topic) int { return u.partitions }, Now: func() int64 { return u.now }})
	if err != nil {
		return nil, err
	}
	for _, tp := range t.Inputs() {
		c, ok := u.committed[tp]
		if !ok {
			u.fresh[tp] = true
		}
		meta, _ := engine.DecodeOffsetMeta(c.Metadata)
		t.Take(tp, c.Offset, meta, u.now)
	}
	return t, t.Recovered(found, u.now)
}

func (u *unruly) rows(tp engine.TopicPartition, from, to int) *engine.Rows {
	recs := u.logs[tp][from:to]
	r := &engine.Rows{Topic: tp.Topic, Partition: tp.Partition}
	for i := range recs {
		r.Keys, r.Values = append(r.Keys, recs[i].Key), append(r.Values, recs[i].Value)
		r.Times, r.Offsets = append(r.Times, recs[i].Time), append(r.Offsets, int64(from+i))
	}
	r.Headers = func(i int) []engine.Header { return recs[i].Headers }
	return r
}

// Feed appends a record to a log.
func (u *unruly) Feed(r engine.Record) {
	tp := engine.TopicPartition{Topic: r.Topic, Partition: r.Partition}
	u.logs[tp] = append(u.logs[tp], r)
}

// Run gives turns until all is quiet.
func (u *unruly) Run() error {
	quiet := 0
	for quiet < 2 {
		busy := false
		for _, i := range u.r.Perm(len(u.tasks)) {
			// After a crash the tasks of this round are gone.
			b, err := u.turn(u.tasks[i], quiet > 0)
			if err != nil {
				return err
			}
			busy = busy || b
		}
		if u.trouble > 0 && !u.steady && u.r.IntN(40) == 0 {
			u.trouble--
			if err := u.Crash(); err != nil {
				return err
			}
			busy = true
		}
		if quiet++; busy {
			quiet = 0
		}
	}
	return nil
}

// turn reads some rows, lets time move and commits, or does not. settle makes
// it commit.
func (u *unruly) turn(t *engine.Task, settle bool) (busy bool, err error) {
	if !settle && u.r.IntN(4) == 0 {
		return false, nil // another task first
	}
	for _, tp := range t.Silent(u.now) {
		t.AtEnd(tp, engine.Offset(len(u.logs[tp])))
	}
	t.Tick(u.now)
	if busy = t.Closing(); !busy {
		for _, tp := range t.Inputs() {
			end := engine.Offset(len(u.logs[tp]))
			t.Ends(tp, end)
			if u.fresh[tp] {
				delete(u.fresh, tp)
				t.ReadFirst(tp, end)
			}
		}
		for _, tp := range t.Inputs() {
			at := int(t.Next(tp))
			to := min(len(u.logs[tp]), at+1+u.r.IntN(u.batch))
			if at >= to || t.Paused(tp) || u.r.IntN(5) == 0 && !settle {
				continue
			}
			busy = true
			if err := t.Process(u.rows(tp, at, to)); err != nil {
				return false, err
			}
		}
	}
	done, err := t.Advance(&engine.Budget{Rows: u.budget, Bytes: 1 << 20})
	if err != nil {
		return false, err
	}
	if !settle && u.r.IntN(3) == 0 {
		return busy, nil // the commit comes later
	}
	u.number++
	dirty, err := t.Prepare(!done, u.number)
	if err != nil || !dirty {
		return busy || !done, err
	}
	if u.trouble > 0 && u.r.IntN(8) == 0 {
		u.trouble--
		return true, t.RolledBack()
	}
	return true, u.commit(t)
}

func (u *unruly) commit(t *engine.Task) error {
	produced := map[engine.TopicPartition]engine.Offset{}
	for _, r := range t.Records() {
		r.Key, r.Value = clone(r.Key), clone(r.Value)
		tp := engine.TopicPartition{Topic: r.Topic, Partition: r.Partition}
		s := string(r.Topic)
		internal := strings.HasPrefix(s, u.topo.Pipeline+".") && (strings.HasSuffix(s, ".changelog") || strings.HasSuffix(s, ".repartition"))
		if internal || u.sources[r.Topic] {
			u.logs[tp] = append(u.logs[tp], r)
			produced[tp] = engine.Offset(len(u.logs[tp]))
		}
		if !internal {
			u.result(r.Topic, r)
		}
	}
	for _, c := range t.Offsets(u.number) {
		u.committed[c.TopicPartition] = c
	}
	return t.Committed(produced)
}

func clone(b []byte) []byte {
	if b == nil {
		return nil
	}
	return append([]byte{}, b...)
}

// Crash throws everything away that is not committed.
func (u *unruly) Crash() error {
	u.db.Close()
	return u.open()
}

// Restart is a crash when all is quiet.
func (u *unruly) Restart() error {
	if err := u.Run(); err != nil {
		return err
	}
	return u.Crash()
}

// AdvanceClock lets time pass without a row. A commit that is aborted does not
// take the clock back.
func (u *unruly) AdvanceClock(ms int64) error {
	u.steady = true
	defer func() { u.steady = false }()
	for end := u.now + ms; u.now < end; {
		u.now = min(end, u.now+1+u.r.Int64N(1<<u.r.IntN(15)))
		if err := u.Run(); err != nil {
			return err
		}
	}
	return nil
}

// Close ends the input.
func (u *unruly) Close() error {
	for tries := 0; ; tries++ {
		for _, t := range u.tasks {
			t.CloseAll() // again, where a crash took it back
		}
		if err := u.Run(); err != nil {
			return err
		}
		finished := true
		for _, t := range u.tasks {
			finished = finished && t.Finished()
		}
		if finished {
			break
		}
		if tries > 100 {
			return fmt.Errorf("the end of input does not reach every task")
		}
	}
	// Updates that a throttle held back, and what is made of them further on.
	for range u.topo.Subs {
		for _, t := range u.tasks {
			u.number++
			if _, err := t.Prepare(true, u.number); err != nil {
				return err
			}
			if err := u.commit(t); err != nil {
				return err
			}
		}
		u.trouble = 0
		if err := u.Run(); err != nil {
			return err
		}
	}
	return nil
}
