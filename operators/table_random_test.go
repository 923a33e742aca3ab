package operators

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/state"
)

// Tables and their joins against models made of maps: each trial is a random
// operator that takes random changes, through commits, aborts and restarts.

func trials(t *testing.T, name string, run func(*tableTrial)) {
	n := *cases / 8
	if testing.Short() {
		n /= 5
	}
	for c := range n {
		s := *seed + uint64(c)
		ok := t.Run(strconv.FormatUint(s, 10), func(t *testing.T) {
			run(&tableTrial{t: t, r: rand.New(rand.NewPCG(s, 3))})
		})
		if !ok {
			t.Fatalf("replay: go test ./operators -run '^%s$' -seed %d -cases 8", name, s)
		}
	}
}

type tableTrial struct {
	t    *testing.T
	r    *rand.Rand
	rig  *joinRig
	now  int64 // event time
	mark int64 // watermark
	log  []string
}

func (x *tableTrial) say(format string, args ...any) {
	x.log = append(x.log, fmt.Sprintf(format, args...))
}

func (x *tableTrial) fail(format string, args ...any) {
	x.t.Helper()
	x.t.Fatalf("%s\n%s", strings.Join(x.log, "\n"), fmt.Sprintf(format, args...))
}

func (x *tableTrial) open(stores []state.Spec, open func(*engine.Context) (engine.Operator, error), ins ...*engine.Schema) {
	budget := int64(0)
	if x.r.IntN(60) == 0 {
		budget = 1
	}
	x.mark = engine.MinTime
	x.rig = newJoinRig(x.t, stores, open, budget, ins...)
	x.t.Cleanup(x.rig.close)
}

// steps runs one thing after the other. keep is called at a commit with what
// came out, restore after an abort or a crash: they keep and restore models.
func (x *tableTrial) steps(feed func(), advance func(), keep func([]cellRow), restore func()) {
	thenNow, thenMark := x.now, x.mark
	commit := func() {
		x.rig.commit(true)
		came := x.rig.taken()
		x.say("commit: %v", came)
		thenNow, thenMark = x.now, x.mark
		keep(came)
		clear(x.rig.side)
	}
	for range 4 + x.r.IntN(30) {
		switch x.r.IntN(10) {
		case 0, 1, 2, 3:
			feed()
		case 4, 5:
			advance()
		case 6, 7:
			commit()
		case 8, 9:
			restart := x.r.IntN(2) == 0
			x.say("back, restart %v", restart)
			if restart {
				x.rig.restart()
			} else {
				x.rig.rollback()
			}
			x.rig.taken()
			clear(x.rig.side)
			x.now, x.mark = thenNow, thenMark
			restore()
		}
	}
	commit()
}

// tick moves the watermark to w, in small turns at times.
func (x *tableTrial) tick(w int64) {
	if w <= x.mark {
		return
	}
	x.mark = w
	rows := 1 + x.r.IntN(3)
	for {
		down, done := x.rig.tick(w, rows)
		x.say("advance %d: down %d %v", w, down, done)
		if done {
			return
		}
	}
}

// end moves the watermark past everything.
func (x *tableTrial) end() {
	switch x.r.IntN(3) {
	case 0:
		x.rig.restart()
	case 1:
		x.rig.tick(engine.MaxTime, 1<<20)
		x.rig.rollback()
	}
	x.rig.tick(engine.MaxTime, 1<<20)
	x.rig.commit(true)
}

const tableIn = "k string, n int, v string"

// modelTable is a table as a map from key to row.
type modelTable map[string]cellRow

// change makes a random change of a table that is known, and makes it.
func (x *tableTrial) change(m modelTable, key string, cells []string) (cellRow, bool) {
	row := cellRow{time: x.now, stamp: x.now + x.r.Int64N(4), origin: engine.MinTime, cells: cells}
	if x.r.IntN(4) == 0 {
		row.time -= x.r.Int64N(10)
	}
	old, known := m[key]
	switch {
	case x.r.IntN(3) == 0:
		if !known {
			return row, false
		}
		row.op, row.old, row.cells = engine.Delete, old.cells, nil
		delete(m, key)
		return row, true
	case known:
		if slices.Equal(old.cells, cells) {
			return row, false
		}
		row.op, row.old = engine.Update, old.cells
	}
	m[key] = row
	return row, true
}

func (x *tableTrial) cells() []string {
	return []string{pick(x.r, "a", "b", "''", "c"), pick(x.r, "0", "1"), pick(x.r, "x", "yy", "-")}
}

// TestTableTableAgainstModel joins two tables by their key.
func TestTableTableAgainstModel(t *testing.T) {
	trials(t, "TestTableTableAgainstModel", func(x *tableTrial) {
		in := schema(x.t, tableIn)
		spec := TableTableSpec{JoinSpec: sides(x.t, JoinKind(x.r.IntN(3)), in, in, "k; n", "k; n")}
		if x.r.IntN(2) == 0 {
			spec.TTL = time.Duration(1+x.r.IntN(30)) * time.Millisecond
		}
		x.say("%v ttl %v", spec.Kind, spec.TTL)
		x.open(TableTableStores("it", spec), TableTable(spec), in, in)
		type model struct {
			// side is what the tables hold; joined what of it the join remembers.
			side, joined [2]modelTable
			last         map[string]int64
		}
		clone := func(m model) model {
			c := model{last: maps.Clone(m.last)}
			for p := range m.side {
				c.side[p], c.joined[p] = maps.Clone(m.side[p]), maps.Clone(m.joined[p])
			}
			return c
		}
		now := model{last: map[string]int64{}}
		for p := range now.side {
			now.side[p], now.joined[p] = modelTable{}, modelTable{}
		}
		then := clone(now)
		down := newTextTable(func(cells []string) string { return cells[0] + " " + cells[1] })
		x.steps(func() {
			port := x.r.IntN(2)
			var rows []cellRow
			for range 1 + x.r.IntN(8) {
				x.now += x.r.Int64N(3)
				cells := x.cells()
				key := cells[0] + " " + cells[1]
				row, ok := x.change(now.side[port], key, cells)
				if !ok {
					continue
				}
				rows = append(rows, row)
				if spec.TTL > 0 && row.time > now.last[key]+spec.TTL.Milliseconds() {
					delete(now.joined[0], key)
					delete(now.joined[1], key)
				}
				if _, known := now.joined[port][key]; row.op == engine.Delete && !known {
					continue
				}
				_, l := now.joined[0][key]
				_, r := now.joined[1][key]
				if last, ok := now.last[key]; !ok || !l && !r || row.time > last {
					now.last[key] = row.time
				}
				now.joined[port][key] = row
				if row.op == engine.Delete {
					delete(now.joined[port], key)
				}
			}
			x.say("changes of %d: %v", port, rows)
			x.rig.feed(port, rows, true)
		}, func() {
			x.tick(x.now - x.r.Int64N(10))
			if spec.TTL == 0 {
				return
			}
			for key, last := range now.last {
				if last+spec.TTL.Milliseconds() < x.mark {
					delete(now.joined[0], key)
					delete(now.joined[1], key)
				}
			}
		}, func(came []cellRow) {
			for _, r := range came {
				if err := down.apply(r); err != nil {
					x.fail("%v", err)
				}
			}
			then = clone(now)
			want, times := map[string]string{}, map[string]int64{}
			none := []string{"-", "-", "-"}
			for k, l := range now.joined[0] {
				if r, ok := now.joined[1][k]; ok {
					want[k] = strings.Join(append(slices.Clone(l.cells), r.cells...), " ")
					if spec.Kind != OuterJoin || l.cells[2] != "-" { // else it may look as the right alone did
						times[k] = max(l.time, r.time)
					}
				} else if spec.Kind != InnerJoin {
					want[k] = strings.Join(append(slices.Clone(l.cells), none...), " ")
				}
			}
			for k, r := range now.joined[1] {
				if _, ok := now.joined[0][k]; !ok && spec.Kind == OuterJoin {
					want[k] = k + " - " + strings.Join(r.cells, " ") // the left's key is the right's
				}
			}
			if !maps.Equal(want, down.rows) {
				x.fail("downstream has %v, want %v", down.rows, want)
			}
			for k, at := range times {
				if down.time[k] != at {
					x.fail("%s is at %d, want %d", k, down.time[k], at)
				}
			}
		}, func() { now = clone(then) })
	})
}

// TestStreamTableAgainstModel looks streams up in tables, with history and without.
func TestStreamTableAgainstModel(t *testing.T) {
	trials(t, "TestStreamTableAgainstModel", func(x *tableTrial) {
		in := schema(x.t, tableIn)
		spec := StreamTableSpec{JoinSpec: sides(x.t, JoinKind(x.r.IntN(2)), in, in, "k", "k")}
		history := int64(0)
		if x.r.IntN(3) > 0 {
			history = x.r.Int64N(20) + 1
			spec.History = time.Duration(history) * time.Millisecond
		}
		x.say("%v history %d", spec.Kind, history)
		x.open(StreamTableStores("it", spec), StreamTable(spec), in, in)
		// All versions that ever were, in order of arrival.
		now := map[string][]cellRow{}
		clone := func(m map[string][]cellRow) map[string][]cellRow {
			c := map[string][]cellRow{}
			for k, v := range m {
				c[k] = slices.Clone(v)
			}
			return c
		}
		table, want := modelTable{}, []string(nil)
		then, thenTable := clone(now), maps.Clone(table)
		asOf := func(key string, at, origin int64) (cells []string) {
			if history > 0 && origin != engine.MinTime && at < origin-history {
				return nil
			}
			best := engine.MinTime
			for _, v := range now[key] {
				if history == 0 || v.time <= at && v.time >= best {
					best, cells = v.time, v.cells // nil of a delete
				}
			}
			return cells
		}
		x.steps(func() {
			var rows []cellRow
			if x.r.IntN(2) == 0 {
				for range 1 + x.r.IntN(6) {
					x.now += x.r.Int64N(3)
					cells := x.cells()
					if row, ok := x.change(table, cells[0], cells); ok {
						rows = append(rows, row)
						now[cells[0]] = append(now[cells[0]], row)
					}
				}
				x.say("changes: %v", rows)
				x.rig.feed(1, rows, true)
				return
			}
			for range 1 + x.r.IntN(6) {
				x.now += x.r.Int64N(3)
				row := cellRow{time: x.now - x.r.Int64N(12), stamp: x.now, cells: x.cells()}
				row.origin = max(x.mark, row.time-5+x.r.Int64N(25)) // no partition is behind the watermark
				if x.mark == engine.MinTime && x.r.IntN(3) == 0 {
					row.origin = x.mark
				}
				if x.r.IntN(8) == 0 {
					row.cells[0] = "-"
				}
				rows = append(rows, row)
				right := asOf(row.cells[0], row.time, row.origin)
				if right == nil && spec.Kind == InnerJoin {
					continue
				}
				if right == nil {
					right = []string{"-", "-", "-"}
				}
				out := row
				out.cells = append(slices.Clone(row.cells), right...)
				want = append(want, out.String()+" from "+strconv.FormatInt(row.origin, 10))
			}
			x.say("rows: %v", rows)
			x.rig.feed(0, rows, false)
		}, func() { x.tick(x.now - x.r.Int64N(10)) }, func(came []cellRow) {
			var got []string
			for _, r := range came {
				got = append(got, r.String()+" from "+strconv.FormatInt(r.origin, 10))
			}
			if !slices.Equal(got, want) {
				x.fail("came\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
			then, thenTable, want = clone(now), maps.Clone(table), nil
		}, func() { now, table, want = clone(then), maps.Clone(thenTable), nil })
		if history > 0 {
			// Past history only what is the newest of its key is kept.
			x.end()
			for key, versions := range then {
				newest := versions[0]
				for _, v := range versions {
					if v.time >= newest.time {
						newest = v
					}
				}
				if b, _ := x.rig.op.(*streamTable).table.get(strings.Trim(key, "'")); (b != nil) != (newest.op != engine.Delete) {
					x.fail("%q: %v is stored as %q", key, newest, b)
				}
			}
		}
	})
}

// TestTableAgainstModel makes changes of raw rows.
func TestTableAgainstModel(t *testing.T) {
	trials(t, "TestTableAgainstModel", func(x *tableTrial) {
		in := schema(x.t, tableIn)
		spec := TableSpec{Schema: in, Key: []int{0, 1}}
		history := int64(0)
		if x.r.IntN(2) == 0 {
			history = x.r.Int64N(20) + 1
			spec.History = time.Duration(history) * time.Millisecond
		}
		x.say("history %d", history)
		x.open(TableStores("it", spec), Table(spec), in)
		key := func(cells []string) string { return cells[0] + " " + cells[1] }
		// What the table has of each key, its own time, and the latest deletion
		// that it has forgotten.
		type model struct {
			rows        map[string][]cellRow
			now, before int64
		}
		clone := func(m model) model { m.rows = maps.Clone(m.rows); return m }
		newest := func(rows []cellRow) cellRow {
			last := rows[0]
			for _, r := range rows {
				if history == 0 || r.time >= last.time {
					last = r
				}
			}
			return last
		}
		now := model{map[string][]cellRow{}, engine.MinTime, engine.MinTime}
		then := clone(now)
		down := newTextTable(key)
		versions := []string(nil)
		x.steps(func() {
			var rows []cellRow
			for range 1 + x.r.IntN(8) {
				x.now += x.r.Int64N(3)
				row := cellRow{time: x.now - max(0, x.r.Int64N(60)-30), stamp: x.now, cells: x.cells()}
				k := key(row.cells)
				if x.r.IntN(4) == 0 {
					row.op, row.old, row.cells = engine.Delete, []string{row.cells[0], row.cells[1], "-"}, nil
				}
				rows = append(rows, row)
				for k, rows := range now.rows {
					if last := newest(rows); history > 0 && last.op == engine.Delete && last.time+history <= now.now {
						now.before = max(now.before, last.time)
						delete(now.rows, k)
					}
				}
				now.now = max(now.now, row.time)
				if _, known := now.rows[k]; !known && row.time < now.before {
					continue
				}
				now.rows[k] = append(slices.Clone(now.rows[k]), row)
				versions = append(versions, row.String())
			}
			x.say("rows: %v", rows)
			x.rig.feed(0, rows, true)
		}, func() {
			x.rig.watermark += x.r.Int64N(30) // which means nothing to a table
		}, func(came []cellRow) {
			for _, r := range came {
				if err := down.apply(r); err != nil {
					x.fail("%v", err)
				}
			}
			want := map[string]string{}
			for k, rows := range now.rows {
				if last := newest(rows); last.op != engine.Delete {
					want[k] = strings.Join(last.cells, " ")
				}
			}
			if !maps.Equal(want, down.rows) {
				x.fail("downstream has %v, want %v", down.rows, want)
			}
			var side []string
			for _, r := range x.rig.side[1] {
				side = append(side, r.String())
			}
			if history > 0 && !slices.Equal(side, versions) {
				x.fail("versions\n%v\nwant\n%v", side, versions)
			}
			then, versions = clone(now), nil
		}, func() { now, versions = clone(then), nil })
		// Deletions are forgotten: a row that is late enough is not for them.
		kept := len(down.rows)
		if history > 0 {
			for range 2 { // the first moves time, the second finds that it has moved
				x.now += 1000
				x.rig.feed(0, []cellRow{{time: x.now, stamp: x.now, cells: []string{"end", "0", "-"}}}, true)
			}
			x.rig.commit(true)
			kept += 2 // the end's, and the table's own time
		}
		if n := x.rig.ctx.Tables[0].Len(); n != kept {
			x.fail("%d keys are stored of %d", n, kept)
		}
	})
}
