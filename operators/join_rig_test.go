package operators

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/state"
)

// joinRig is a rig for operators with several inputs, whose rows are cells of
// text ("-" is null) and not lines: random tests make them.
type joinRig struct {
	*rig
	ins  []*engine.Schema
	came []cellRow // since the last take
	side map[int][]cellRow
}

// cellRow is a row, or a change, as text.
type cellRow struct {
	op                  engine.Op
	cells, old          []string
	time, stamp, origin int64
	idle                bool
}

func (r cellRow) String() string {
	s := strings.Join(r.cells, " ")
	switch r.op {
	case engine.Update:
		s = strings.Join(r.old, " ") + " -> " + s
	case engine.Delete:
		s = "- " + strings.Join(r.old, " ")
	}
	return fmt.Sprintf("%s @%d stamp %d", s, r.time, r.stamp)
}

func newJoinRig(t testing.TB, stores []state.Spec, open func(*engine.Context) (engine.Operator, error), budget int64, ins ...*engine.Schema) *joinRig {
	j := &joinRig{ins: ins, side: map[int][]cellRow{}}
	j.rig = &rig{t: t, stores: stores, budget: budget}
	j.rig.open = func(ctx *engine.Context) (engine.Operator, error) {
		ctx.Side = func(port int, b *engine.Batch) error {
			j.side[port] = append(j.side[port], cellsOf(b)...)
			return nil
		}
		return open(ctx)
	}
	j.rig.start()
	return j
}

func cellsOf(b *engine.Batch) []cellRow {
	var rows []cellRow
	null := func(cells []string) []string {
		for i, c := range cells {
			if c == "null" {
				cells[i] = "-"
			}
		}
		return cells
	}
	for _, i := range b.Sel {
		r := cellRow{time: b.Time[i], stamp: rowStamp(b, i), origin: rowOrigin(b, i), op: rowOp(b, i), idle: b.ClosedByIdle}
		if r.op != engine.Delete {
			r.cells = null(texts(b.Schema, b.Cols, i))
		}
		if r.op != engine.Insert {
			r.old = null(texts(b.Schema, b.Old, i))
		}
		rows = append(rows, r)
	}
	return rows
}

// feed hands rows to a port, as a stream's or as changes.
func (j *joinRig) feed(port int, rows []cellRow, changes bool) {
	n := len(rows)
	s := j.ins[port]
	j.rig.in = s
	b := &engine.Batch{Schema: s, N: n, Cols: make([]engine.Column, len(s.Fields))}
	if changes {
		b.Op, b.Old = make([]engine.Op, n), make([]engine.Column, len(s.Fields))
	}
	for c, f := range s.Fields {
		b.Cols[c].Reset(f.Type, n)
		if changes {
			b.Old[c].Reset(f.Type, n)
		}
	}
	for i, r := range rows {
		b.Time, b.Stamp, b.Origin = append(b.Time, r.time), append(b.Stamp, r.stamp), append(b.Origin, r.origin)
		b.Sel = append(b.Sel, int32(i))
		if changes {
			b.Op[i] = r.op
		}
		if r.op != engine.Delete {
			j.fill(b.Cols, int32(i), n, r.cells)
		}
		if r.op != engine.Insert {
			j.fill(b.Old, int32(i), n, r.old)
		}
	}
	emit := func(b *engine.Batch) error {
		j.came = append(j.came, cellsOf(b)...)
		return nil
	}
	var err error
	if p, ok := j.op.(engine.Ported); ok {
		err = p.ProcessPort(port, b, emit)
	} else {
		err = j.op.Process(b, emit)
	}
	if err != nil {
		j.t.Fatal(err)
	}
}

// tick moves the watermark and gives what may go downstream.
func (j *joinRig) tick(w int64, rows int) (down int64, done bool) {
	j.watermark = max(j.watermark, w)
	down, done, err := j.op.(engine.Advancer).Advance(w, &engine.Budget{Rows: rows, Bytes: 1 << 30}, func(b *engine.Batch) error {
		j.came = append(j.came, cellsOf(b)...)
		return nil
	})
	if err != nil {
		j.t.Fatal(err)
	}
	return down, done
}

func (j *joinRig) taken() []cellRow {
	rows := j.came
	j.came, j.rig.rows = nil, nil
	return rows
}

// sides makes a JoinSpec of two schemas with all columns of both.
func sides(t testing.TB, kind JoinKind, left, right *engine.Schema, leftKey, rightKey string) JoinSpec {
	s := JoinSpec{Kind: kind, Left: JoinSide{left, groupOf(t, leftKey, left)}, Right: JoinSide{right, groupOf(t, rightKey, right)}}
	var out []engine.Field
	for p, side := range []*engine.Schema{left, right} {
		for c, f := range side.Fields {
			f.Name = []string{"", "r."}[p] + f.Name
			out = append(out, f)
			s.Columns = append(s.Columns, JoinColumn{p == 1, c})
		}
	}
	s.Out = engine.NewSchema(out...)
	return s
}

// textTable plays changes as their reader would: each must fit the one before.
type textTable struct {
	key  func(cells []string) string
	rows map[string]string
	time map[string]int64
}

func newTextTable(key func(cells []string) string) *textTable {
	return &textTable{key: key, rows: map[string]string{}, time: map[string]int64{}}
}

func (x *textTable) apply(r cellRow) error {
	if r.op != engine.Insert {
		k, old := x.key(r.old), strings.Join(r.old, " ")
		if was, ok := x.rows[k]; !ok || was != old {
			return fmt.Errorf("%v: what was there is %q", r, was)
		}
		delete(x.rows, k)
		delete(x.time, k)
		if r.op == engine.Update && x.key(r.cells) != k {
			return fmt.Errorf("%v: the update moves the row", r)
		}
		if r.op == engine.Update && old == strings.Join(r.cells, " ") {
			return fmt.Errorf("%v: sent again unchanged", r)
		}
	}
	if r.op != engine.Delete {
		k := x.key(r.cells)
		if was, ok := x.rows[k]; ok {
			return fmt.Errorf("%v: inserted again, was %q", r, was)
		}
		x.rows[k], x.time[k] = strings.Join(r.cells, " "), r.time
	}
	return nil
}

func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }
