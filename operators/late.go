package operators

import (
	"errors"

	"github.com/leatstream/leat/engine"
)

var errLate = errors.New("late: every window of the row has closed")

// lateRows is where late rows go: to the policy of their stage, or, with
// `late: {as: name}`, to the operator's other output, as they came.
type lateRows struct {
	ctx   *engine.Context
	side  bool
	sel   []int32 // of the batch at hand
	batch engine.Batch
}

func newLateRows(ctx *engine.Context, side bool) *lateRows { return &lateRows{ctx: ctx, side: side} }

// add notes row i. idle: its own partition is not past its windows, they have
// closed because idleness was assumed.
func (l *lateRows) add(b *engine.Batch, i int32, idle bool) error {
	if idle {
		l.ctx.Count("late_after_idle", 1)
	}
	if !l.side {
		return l.ctx.Bad(engine.StageLate, b, i, errLate)
	}
	l.ctx.Count("late", 1)
	if n := len(l.sel); n == 0 || l.sel[n-1] != i { // an update has two sides
		l.sel = append(l.sel, i)
	}
	return nil
}

// send hands the late rows of the batch on.
func (l *lateRows) send(b *engine.Batch) error {
	if len(l.sel) == 0 {
		return nil
	}
	l.batch = *b
	l.batch.Sel = l.sel
	err := l.ctx.Side(1, &l.batch)
	l.sel = l.sel[:0]
	return err
}
