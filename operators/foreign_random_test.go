package operators

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/leatstream/leat/engine"
)

// TestForeignKeyAgainstModel runs the whole wiring of a join by a foreign key:
// two tasks each number the left's changes, join, and settle, with queues in
// between that stand for repartition topics. Which task takes its turn, and
// whether its transaction commits, aborts or crashes, is random; the settled
// table must be the join of the two tables in the end.
func TestForeignKeyAgainstModel(t *testing.T) {
	trials(t, "TestForeignKeyAgainstModel", func(x *tableTrial) { newForeignTrial(x).run() })
}

// foreignTask is one task of the wiring.
type foreignTask struct {
	rig *joinRig
	in  [2][]cellRow // queues, by port
	at  [2]int       // read in this transaction
	out func(cellRow)
}

type foreignTrial struct {
	*tableTrial
	kind                 JoinKind
	number, join, settle [2]*foreignTask
	left, right          modelTable
	down                 *textTable
}

func newForeignTrial(x *tableTrial) *foreignTrial {
	f := &foreignTrial{tableTrial: x, kind: JoinKind(x.r.IntN(2)), left: modelTable{}, right: modelTable{}}
	left := schema(x.t, "id string, n int, fk string, v string")
	numbered := engine.NewSchema(append(slices.Clone(left.Fields), engine.Field{Name: VersionColumn, Type: engine.Int})...)
	right := schema(x.t, "k string, w string")
	version := VersionSpec{In: left, Out: numbered}
	join := ForeignKeySpec{JoinSpec: sides(x.t, f.kind, numbered, right, "fk", "k"), LeftKey: []int{0, 1}}
	settled := append(slices.Clone(left.Fields), engine.Field{Name: "r.k", Type: engine.String}, engine.Field{Name: "r.w", Type: engine.String})
	settle := SettleSpec{In: join.Out, Out: engine.NewSchema(settled...), Key: []int{0, 1}, Version: 4}
	f.down = newTextTable(func(cells []string) string { return cells[0] + " " + cells[1] })
	task := func(r *joinRig, out func(cellRow)) *foreignTask {
		x.t.Cleanup(r.close)
		return &foreignTask{rig: r, out: out}
	}
	for p := range 2 {
		f.number[p] = task(newJoinRig(x.t, VersionStores("it"), Version(version), 0, left), func(r cellRow) {
			f.move(&f.join, 0, r, func(cells []string) int {
				if cells[2] == "-" {
					return p // it has to go somewhere
				}
				return partition(cells[2])
			})
		})
		f.join[p] = task(newJoinRig(x.t, ForeignKeyStores("it", join), ForeignKey(join), 0, numbered, right), func(r cellRow) {
			f.move(&f.settle, 0, r, func(cells []string) int { return partition(cells[0] + cells[1]) })
		})
		f.settle[p] = task(newJoinRig(x.t, SettleStores("it", settle), Settle(settle), 0, join.Out), func(r cellRow) {
			if err := f.down.apply(r); err != nil {
				x.fail("%v", err)
			}
		})
	}
	x.say("%v", f.kind)
	return f
}

func partition(s string) int { return int(engine.PartitionOf([]byte(s), 2)) }

// move does what a repartition does with a change.
func (f *foreignTrial) move(to *[2]*foreignTask, port int, r cellRow, part func([]string) int) {
	put := func(p int, r cellRow) { to[p].in[port] = append(to[p].in[port], r) }
	switch {
	case r.op == engine.Insert:
		put(part(r.cells), r)
	case r.op == engine.Delete:
		put(part(r.old), r)
	case part(r.old) == part(r.cells) && r.old[2] == r.cells[2]:
		put(part(r.cells), r)
	default:
		gone, came := r, r
		gone.op, gone.cells = engine.Delete, nil
		came.op, came.old = engine.Insert, nil
		put(part(r.old), gone)
		put(part(r.cells), came)
	}
}

func (f *foreignTrial) run() {
	tasks := slices.Concat(f.number[:], f.join[:], f.settle[:])
	for range 20 + f.r.IntN(100) {
		switch f.r.IntN(4) {
		case 0:
			f.change()
		default:
			f.turn(tasks[f.r.IntN(len(tasks))])
		}
	}
	for range 3 {
		for _, task := range tasks {
			for task.at[0] > 0 || task.at[1] > 0 || len(task.in[0]) > 0 || len(task.in[1]) > 0 {
				f.turn(task)
			}
		}
	}
	want := map[string]string{}
	for k, l := range f.left {
		r, ok := f.right[l.cells[2]]
		switch {
		case ok:
			want[k] = strings.Join(append(slices.Clone(l.cells), r.cells...), " ")
		case f.kind == LeftJoin:
			want[k] = strings.Join(append(slices.Clone(l.cells), "-", "-"), " ")
		}
	}
	if !maps.Equal(want, f.down.rows) {
		f.fail("settled %v\nwant %v", f.down.rows, want)
	}
	keys := 0
	for p := range 2 {
		keys += f.settle[p].rig.ctx.Tables[0].Len()
	}
	if keys != len(want) {
		f.fail("%d keys are stored of %d", keys, len(want))
	}
}

// change changes one of the two tables.
func (f *foreignTrial) change() {
	f.now++
	if f.r.IntN(3) == 0 {
		k := pick(f.r, "A", "B", "C", "''")
		if row, ok := f.tableTrial.change(f.right, k, []string{k, pick(f.r, "x", "y", "-")}); ok {
			f.say("right %v", row)
			p := partition(k)
			f.join[p].in[1] = append(f.join[p].in[1], row)
		}
		return
	}
	id, n := pick(f.r, "a", "b", "c"), strconv.Itoa(f.r.IntN(2))
	if row, ok := f.tableTrial.change(f.left, id+" "+n, []string{id, n, pick(f.r, "A", "B", "C", "''", "-"), pick(f.r, "x", "y")}); ok {
		f.say("left %v", row)
		p := partition(id + n)
		f.number[p].in[0] = append(f.number[p].in[0], row)
	}
}

// turn lets a task read a bit, and ends its transaction or not.
func (f *foreignTrial) turn(task *foreignTask) {
	for port := range task.in {
		rest := task.in[port][task.at[port]:]
		if n := min(len(rest), f.r.IntN(5)); n > 0 {
			task.rig.feed(port, rest[:n], true)
			task.at[port] += n
		}
	}
	switch f.r.IntN(4) {
	case 0, 1:
		task.rig.commit(true)
		for _, r := range task.rig.taken() {
			task.out(r)
		}
		for port := range task.in {
			task.in[port] = task.in[port][task.at[port]:]
		}
	case 2:
		if f.r.IntN(2) == 0 {
			task.rig.restart()
		} else {
			task.rig.rollback()
		}
		task.rig.taken()
	default:
		return
	}
	task.at = [2]int{}
}
