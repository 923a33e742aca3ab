package operators

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/leatstream/leat/engine"
)

// TestStreamStreamAgainstModel joins random streams, through commits, aborts
// and restarts, and compares what was committed with a model that holds every
// row with every other.
func TestStreamStreamAgainstModel(t *testing.T) {
	n := *cases / 4
	if testing.Short() {
		n /= 10
	}
	for c := range n {
		s := *seed + uint64(c)
		if !t.Run(strconv.FormatUint(s, 10), func(t *testing.T) { newJoinTrial(t, s).run() }) {
			t.Fatalf("replay: go test ./operators -run '^TestStreamStreamAgainstModel$' -seed %d -cases 4", s)
		}
	}
}

// modelJoin is what the model knows; all of it is a commit's.
type modelJoin struct {
	rows  [2][]joined
	seen  [4]int64 // per partition; two to a side
	limit int64    // the watermark less grace
	time  int64
}

func (m *modelJoin) clone() modelJoin {
	c := *m
	c.rows = [2][]joined{slices.Clone(m.rows[0]), slices.Clone(m.rows[1])}
	return c
}

type joined struct {
	cellRow
	key   string // "": has a null
	n     int    // order of arrival
	limit int64  // the model's, then
}

type joinTrial struct {
	t         *testing.T
	r         *rand.Rand
	spec      StreamStreamSpec
	key       string
	idle      bool // the watermark may pass partitions
	rig       *joinRig
	now, then modelJoin
	facts     []cellRow
	down      int64
	thenDown  int64
	closing   bool
	wasClosed bool
	ids       int
	checked   int              // of what came
	at        map[string]int64 // times of rows, by id
	log       []string
}

const joinIn = "k string, n int, id int, s string"

func newJoinTrial(t *testing.T, seed uint64) *joinTrial {
	r := rand.New(rand.NewPCG(seed, 2))
	x := &joinTrial{t: t, r: r, at: map[string]int64{}, idle: r.IntN(5) == 0, down: engine.MinTime, thenDown: engine.MinTime}
	in := schema(t, joinIn)
	x.key = pick(r, "k", "k; n", "n", "m = n % 2")
	x.spec = StreamStreamSpec{JoinSpec: sides(t, JoinKind(r.IntN(3)), in, in, x.key, x.key),
		Before: r.Int64N(12), After: r.Int64N(12), Grace: max(0, r.Int64N(12)-6), width: 1 + r.Int64N(9)}
	if r.IntN(4) == 0 {
		x.spec.Before, x.spec.After = 0, 0
	}
	if r.IntN(4) == 0 {
		x.spec.width = 0
	}
	x.now.limit = engine.MinTime
	for p := range x.now.seen {
		x.now.seen[p] = engine.MinTime
	}
	x.then = x.now.clone()
	budget := int64(0)
	if r.IntN(60) == 0 {
		budget = 1
	}
	x.say("%v key %s before %d after %d grace %d width %d idle %v memory %d", x.spec.Kind, x.key, x.spec.Before, x.spec.After, x.spec.Grace, x.spec.width, x.idle, budget)
	x.rig = newJoinRig(t, StreamStreamStores("it", x.spec), StreamStream(x.spec), budget, in, in)
	return x
}

func (x *joinTrial) say(format string, args ...any) {
	x.log = append(x.log, fmt.Sprintf(format, args...))
}

func (x *joinTrial) fail(format string, args ...any) {
	x.t.Helper()
	x.t.Fatalf("%s\n%s", strings.Join(x.log, "\n"), fmt.Sprintf(format, args...))
}

func (x *joinTrial) run() {
	defer x.rig.close()
	for range 4 + x.r.IntN(30) {
		if x.closing {
			x.advance(x.rig.watermark)
			continue
		}
		switch x.r.IntN(10) {
		case 0, 1, 2, 3:
			x.feed()
		case 4, 5:
			x.advance(x.mark())
		case 6, 7:
			x.commit()
		case 8:
			x.back(false)
		case 9:
			x.back(true)
		}
	}
	for x.now.limit != engine.MaxTime || x.closing {
		x.advance(engine.MaxTime)
	}
	x.commit()
	if n := x.rig.ctx.Tables[0].Len(); n != 0 {
		x.fail("%d keys are left at the end", n)
	}
}

// mark is a watermark that a task could have: that of the partition furthest
// behind, or, where idleness is assumed, some other.
func (x *joinTrial) mark() int64 {
	if x.idle {
		return x.now.time + x.r.Int64N(30) - 15
	}
	return slices.Min(x.now.seen[:])
}

func (x *joinTrial) feed() {
	port := x.r.IntN(2)
	var rows []cellRow
	for range 1 + x.r.IntN(10) {
		x.now.time += pick[int64](x.r, 0, 0, 1, 2, 7)
		row := cellRow{time: x.now.time}
		if x.r.IntN(3) == 0 {
			row.time -= x.r.Int64N(30)
		}
		row.stamp = row.time + x.r.Int64N(5)
		part := 2*port + x.r.IntN(2)
		row.origin = x.now.seen[part]
		x.now.seen[part] = max(row.origin, row.time-3)
		x.ids++
		x.at[strconv.Itoa(x.ids)] = row.time
		row.cells = []string{pick(x.r, "a", "b", "''", "-"), pick(x.r, "0", "1", "2", "-"), strconv.Itoa(x.ids), pick(x.r, "-", "x", "yy")}
		rows = append(rows, row)
		x.arrive(port, row)
	}
	x.say("rows of %d: %v", port, rows)
	for _, r := range rows {
		x.say("   origin %d", r.origin)
	}
	x.rig.feed(port, rows, false)
}

// reach is how far a row's window goes beyond it.
func (x *joinTrial) reach(port int) int64 { return []int64{x.spec.After, x.spec.Before}[port] }

// behind is t - grace.
func (x *joinTrial) behind(t int64) int64 {
	if t == engine.MinTime || t == engine.MaxTime {
		return t
	}
	return t - x.spec.Grace
}

func (x *joinTrial) arrive(port int, row cellRow) {
	if last := row.time + x.spec.Before + x.spec.After; last < x.behind(row.origin) || last < x.now.limit {
		return
	}
	j := joined{cellRow: row, n: x.ids, limit: x.now.limit}
	switch k, n := row.cells[0], row.cells[1]; x.key {
	case "k":
		j.key = k
	case "n":
		j.key = n
	case "k; n":
		if j.key = k + " " + n; k == "-" || n == "-" {
			j.key = "-"
		}
	default:
		j.key = n
		if n == "2" {
			j.key = "0"
		}
	}
	x.now.rows[port] = append(x.now.rows[port], j)
}

// meet tells whether two rows are a pair.
func (x *joinTrial) meet(l, r joined) bool {
	if l.key == "-" || l.key != r.key || r.time < l.time-x.spec.Before || r.time > l.time+x.spec.After {
		return false
	}
	endL, endR := l.time+x.spec.After, r.time+x.spec.Before
	if endL < x.behind(r.origin) || endR < x.behind(l.origin) {
		return false
	}
	if x.idle { // what had been given up stays so
		if l.n < r.n && endL < r.limit || r.n < l.n && endR < l.limit {
			return false
		}
	}
	return true
}

// expected counts the rows that must have come by now.
func (x *joinTrial) expected() map[string]int {
	want := map[string]int{}
	none := []string{"-", "-", "-", "-"}
	met := map[int]bool{}
	for _, l := range x.now.rows[0] {
		for _, r := range x.now.rows[1] {
			if x.meet(l, r) {
				met[l.n], met[r.n] = true, true
				want[cellRow{cells: append(slices.Clone(l.cells), r.cells...), time: max(l.time, r.time), stamp: max(l.stamp, r.stamp)}.String()]++
			}
		}
	}
	for port, rows := range x.now.rows {
		if x.spec.Kind == InnerJoin || port == 1 && x.spec.Kind == LeftJoin {
			continue
		}
		for _, row := range rows {
			if met[row.n] || row.key != "-" && row.time+x.reach(port) >= x.now.limit {
				continue
			}
			cells := append(slices.Clone(row.cells), none...)
			if port == 1 {
				cells = append(slices.Clone(none), row.cells...)
				if strings.Contains(x.key, "k") {
					cells[0] = row.cells[0]
				}
				if x.key == "n" || x.key == "k; n" {
					cells[1] = row.cells[1]
				}
			}
			want[cellRow{cells: cells, time: row.time, stamp: row.stamp}.String()]++
		}
	}
	return want
}

func (x *joinTrial) advance(w int64) {
	if w < x.rig.watermark || w == engine.MinTime {
		return
	}
	rows := 1 << 20
	if x.r.IntN(3) == 0 {
		rows = 1 + x.r.IntN(3)
	}
	down, done := x.rig.tick(w, rows)
	x.say("advance %d rows %d: down %d %v", w, rows, down, done)
	x.closing = !done
	x.now.limit = max(x.now.limit, x.behind(w))
	x.check()
	x.down = max(x.down, down)
	if done {
		d := x.spec.Grace
		if x.spec.Kind != InnerJoin {
			d += max(x.spec.Before, x.spec.After)
		}
		if w != engine.MaxTime && down != w-d {
			x.fail("down %d", down)
		}
		return
	}
	switch x.r.IntN(4) {
	case 0, 1:
		x.commit()
	case 2:
		x.back(x.r.IntN(2) == 0)
	}
}

// check looks at what came since the last time: nothing is late downstream
// that must not be.
func (x *joinTrial) check() {
	came := x.rig.came[x.checked:]
	x.checked = len(x.rig.came)
	for _, r := range came {
		if !x.idle && r.origin < x.down && r.origin != engine.MinTime {
			x.fail("%v: origin %d is behind the watermark %d that went before it", r, r.origin, x.down)
		}
		whole := engine.MinTime // the end of the window that holds its rows' windows
		for port := range 2 {
			if id := r.cells[4*port+2]; id != "-" {
				whole = max(whole, x.at[id]+x.reach(port))
			}
		}
		if r.origin > whole {
			x.fail("%v: origin %d is late for its own window, which ends at %d", r, r.origin, whole)
		}
	}
}

func (x *joinTrial) commit() {
	x.check()
	x.rig.commit(true)
	came := x.rig.taken()
	x.checked = 0
	x.say("commit: %v", came)
	x.facts = append(x.facts, came...)
	x.then, x.thenDown, x.wasClosed = x.now.clone(), x.down, x.closing
	if x.closing {
		return
	}
	got := map[string]int{}
	for _, f := range x.facts {
		got[f.String()]++
	}
	want := x.expected()
	if !maps.Equal(got, want) {
		for k, n := range want {
			if got[k] != n {
				x.say("want %d, came %d: %s", n, got[k], k)
			}
		}
		for k, n := range got {
			if want[k] == 0 {
				x.say("want none, came %d: %s", n, k)
			}
		}
		x.fail("the join is another")
	}
}

// back is an abort, or a crash.
func (x *joinTrial) back(restart bool) {
	x.say("back, restart %v", restart)
	if restart {
		x.rig.restart()
	} else {
		x.rig.rollback()
	}
	x.rig.taken()
	x.checked = 0
	x.now, x.down, x.closing = x.then.clone(), x.thenDown, x.wasClosed
	if x.r.IntN(2) == 0 {
		x.commit()
	}
}
