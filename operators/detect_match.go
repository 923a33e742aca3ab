package operators

import (
	"errors"
	"fmt"
	"slices"

	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/operators/expr"
	"github.com/leatstream/leat/state"
)

// detector finds the matches of a pattern.
//
//	rows ─▶ ordered, until the watermark ─▶ open matches of the key ─▶ select
//	                                              ▲
//	deadlines (timers) ───────────────────────────┘
type detector struct {
	spec   *DetectSpec
	ctx    *engine.Context
	within int64
	group  *grouper
	order  *ordered
	store  *keyed
	due    timers
	steps  []detectStep
	kept   [][]int // per step that is not absent, see DetectSpec.kept
	widths int     // columns of In
	found  *rows   // matches, as select reads them
	out    engine.Operator
	emit   engine.Emit

	keys    map[string]*detectKey // touched by the rows at hand
	touched []*detectKey
	batch   *engine.Batch // the rows at hand
	matched [][]bool      // per step: the rows that its own condition is true for
	failed  []bool
	sel     []int32
	env     engine.Batch // one row and what the steps before it kept
	cells   []byte
	buf     []byte
}

// detectStep is a step, ready to be evaluated.
type detectStep struct {
	DetectStep
	eval  *expr.Eval // nil: every row
	alone bool       // it reads only the row
	place int        // among the steps that are not absent
	reads []int      // columns of Env
}

// open is an open match: what it has, and what it waits for.
type open struct {
	step  int // the next step
	count int // rows that it has of that
	start place
	last  place
	kept  []string // per step that is not absent, so far: the cells kept
}

// detectKey is the open matches of a key, in order of their first rows.
type detectKey struct {
	key  string
	open []open
}

func newDetector(s *DetectSpec, ctx *engine.Context) (engine.Operator, error) {
	waiting := newKeyed(ctx, ctx.Tables[0])
	waiting.family = state.Sent
	d := &detector{spec: s, ctx: ctx, within: s.Within.Milliseconds(), group: newGrouper(s.Group, groupSchema(s.Group, s.In)),
		order: newOrdered(ctx, waiting, s.In), store: newKeyed(ctx, ctx.Tables[0]), kept: s.kept(), widths: len(s.In.Fields),
		found: newRows(s.SelectEnv(), false), keys: map[string]*detectKey{}, matched: make([][]bool, len(s.Steps))}
	place := 0
	for _, step := range s.Steps {
		x := detectStep{DetectStep: step, place: place, alone: true}
		if step.Where != nil {
			x.eval, x.reads = step.Where.New(), step.Where.Columns()
			x.alone = !slices.ContainsFunc(x.reads, func(c int) bool { return c >= d.widths })
		}
		if !step.Absent {
			place++
		}
		d.steps = append(d.steps, x)
	}
	var columns []MapColumn
	for c := range s.Out.Fields {
		if len(s.Select) == 0 {
			columns = append(columns, MapColumn{From: c})
		} else {
			columns = append(columns, MapColumn{From: -1, Expr: s.Select[c].Expr})
		}
	}
	d.env = engine.Batch{Schema: s.Env, N: 1, Sel: oneRow, Cols: make([]engine.Column, len(s.Env.Fields)), Time: make([]int64, 1)}
	var err error
	d.out, err = Map(s.Out, columns)(ctx)
	return d, err
}

// Process makes rows wait for the watermark.
func (d *detector) Process(b *engine.Batch, _ engine.Emit) error {
	if b.Op != nil {
		return errors.New("detect over a table: its changes are no events")
	}
	for _, i := range b.Sel {
		if t := b.Time[i]; t > maxTimeMs || t < -maxTimeMs {
			if err := d.ctx.Bad(engine.StageEventTime, b, i, errFarTime); err != nil {
				return err
			}
			continue
		}
		if err := d.order.add(b, i); err != nil {
			return err
		}
	}
	return nil
}

// Advance takes the rows that the watermark has passed, and the deadlines that
// it has passed, in order of time.
func (d *detector) Advance(w int64, budget *engine.Budget, out engine.Emit) (int64, bool, error) {
	d.emit = func(b *engine.Batch) error { return d.out.Process(b, out) }
	done, err := d.advance(w, budget)
	if err == nil {
		err = d.save()
	}
	if err == nil {
		err = d.found.flush(d.emit)
	}
	if err != nil || !done {
		return engine.MinTime, false, err
	}
	return w, true, nil
}

func (d *detector) advance(w int64, budget *engine.Budget) (done bool, err error) {
	for {
		b, places, err := d.order.release(w)
		if err != nil {
			return false, err
		}
		if b == nil {
			break
		}
		if err := d.rows(b, places); err != nil {
			return false, err
		}
		if err := d.save(); err != nil {
			return false, err
		}
		budget.Rows -= len(b.Sel) - 1
		if !budget.Take(len(b.Sel) * 16 * d.widths) {
			return false, nil
		}
	}
	for {
		at, key, ok := d.due.next(w)
		if !ok {
			return true, nil
		}
		if err := d.deadline(key, at); err != nil {
			return false, err
		}
		if !budget.Take(64) {
			return false, nil
		}
	}
}

// rows takes a batch of rows in order.
func (d *detector) rows(b *engine.Batch, places []place) error {
	d.batch, d.failed = b, reset(d.failed, b.N)
	bad := func(row int32, err error) error {
		if d.failed[row] {
			return nil // reported already
		}
		d.failed[row] = true
		return d.ctx.Bad(engine.StageExpression, b, row, err)
	}
	sel, nulls, err := d.group.rows(b, b.Cols, b.Sel, bad)
	if err != nil {
		return err
	}
	if nulls > 0 {
		d.ctx.Count("null_keys", nulls)
	}
	for k := range d.steps {
		step := &d.steps[k]
		if !step.alone || step.eval == nil {
			continue
		}
		d.matched[k] = reset(d.matched[k], b.N)
		if d.sel, err = step.eval.Filter(b, b.Cols, sel, d.sel, bad); err != nil {
			return err
		}
		for _, i := range d.sel {
			d.matched[k][i] = true
		}
	}
	for _, i := range sel {
		for {
			at, key, ok := d.due.next(b.Time[i])
			if !ok {
				break
			}
			if err := d.deadline(key, at); err != nil {
				return err
			}
		}
		if d.failed[i] {
			continue
		}
		if err := d.take(d.group.keys[i], i, places[i]); err != nil {
			return err
		}
	}
	return nil
}

// take takes row i into the open matches of its key.
func (d *detector) take(key string, i int32, at place) error {
	k, err := d.get(key)
	if err != nil {
		return err
	}
	left := k.open[:0]
	for n := range k.open {
		o := k.open[n]
		stays, complete, err := d.step(&o, i, at)
		if err != nil {
			return err
		}
		if complete {
			if err := d.match(key, &o, at.time); err != nil {
				return err
			}
			if !d.spec.Overlap {
				k.open = k.open[:0]
				return nil
			}
		}
		if stays {
			left = append(left, o)
		}
	}
	k.open = left
	is, err := d.is(0, nil, i)
	if err != nil || !is {
		return err
	}
	if len(k.open) == maxOpen {
		return d.ctx.Bad(engine.StageAggregate, d.batch, i, fmt.Errorf("%d matches are open for the key", maxOpen))
	}
	o := open{start: at}
	complete := d.put(&o, 0, i, at)
	if complete {
		return d.match(key, &o, at.time)
	}
	k.open = append(k.open, o)
	d.due.set(at.time+d.within+1, key)
	return nil
}

// step takes row i into an open match: whether that stays open, and whether it
// is complete.
func (d *detector) step(o *open, i int32, at place) (stays, complete bool, err error) {
	next := o.step
	for next < len(d.steps) && d.steps[next].Absent {
		next++
	}
	if next < len(d.steps) {
		is, err := d.is(next, o, i)
		if err != nil {
			return false, false, err
		}
		if is {
			complete = d.put(o, next, i, at)
			return !complete, complete, nil
		}
	}
	for k := o.step; k < next; k++ {
		if is, err := d.is(k, o, i); err != nil || is {
			return false, false, err
		}
	}
	return true, false, nil
}

// put puts row i in as a row of step k, and tells whether the match is complete.
func (d *detector) put(o *open, k int, i int32, at place) (complete bool) {
	step := &d.steps[k]
	o.step, o.last = k, at
	o.count++
	d.cells = d.cells[:0]
	for _, c := range d.kept[step.place] {
		d.cells = engine.AppendCell(d.cells, &d.batch.Cols[c], i)
	}
	// The list of a copy of the match must not change with it.
	o.kept = append(slices.Clip(o.kept[:step.place]), string(d.cells))
	if o.count == step.Times {
		o.step, o.count = k+1, 0
	}
	return o.step == len(d.steps)
}

// is tells whether row i matches step k of an open match.
func (d *detector) is(k int, o *open, i int32) (bool, error) {
	step := &d.steps[k]
	switch {
	case step.eval == nil:
		return true, nil
	case step.alone:
		return d.matched[k][i], nil
	}
	for _, c := range step.reads {
		if c < d.widths {
			d.env.Cols[c].Reset(d.batch.Cols[c].Type, 1)
			copyCell(&d.env.Cols[c], 0, 1, &d.batch.Cols[c], i)
		}
	}
	if !d.cellsOf(o, d.env.Cols[d.widths:], 0, 1) {
		return false, errOpen
	}
	d.env.Time[0] = d.batch.Time[i]
	bad := func(_ int32, err error) error {
		if d.failed[i] {
			return nil // reported already, for another open match
		}
		d.failed[i] = true
		return d.ctx.Bad(engine.StageExpression, d.batch, i, err)
	}
	var one [1]int32
	is, err := step.eval.Filter(&d.env, d.env.Cols, oneRow, one[:0], bad)
	return len(is) > 0, err
}

// cellsOf reads what the steps of an open match have kept into row i of the
// columns of all steps; what a step does not have is null.
func (d *detector) cellsOf(o *open, cols []engine.Column, i int32, n int) bool {
	for place, columns := range d.kept {
		text := ""
		if place < len(o.kept) {
			text = o.kept[place]
		}
		for _, c := range columns {
			col := &cols[place*d.widths+c]
			if n == 1 {
				col.Reset(d.spec.In.Fields[c].Type, 1)
			}
			if place >= len(o.kept) {
				setNull(col, i, n)
				continue
			}
			var ok bool
			if text, ok = readCell(text, col, i, n); !ok {
				return false
			}
		}
	}
	return true
}

// match sends a match.
func (d *detector) match(key string, o *open, at int64) error {
	i, err := d.found.next(d.emit, engine.Insert, at, at, engine.MinTime)
	if err != nil {
		return err
	}
	held := open{}
	for _, cells := range o.kept {
		held.kept = append(held.kept, d.store.hold([]byte(cells)))
	}
	cols, g := d.found.b.Cols, len(d.spec.Group)
	d.group.decode(d.store.hold([]byte(key)), cols, i)
	cols[g].Ints[i], cols[g+1].Ints[i] = o.start.time, at
	if !d.cellsOf(&held, cols[g+2:], i, rowsPerBatch) {
		return errOpen
	}
	return nil
}

// deadline ends the open matches of a key whose time is over before at: those
// that wait for nothing but absence are matches.
func (d *detector) deadline(key string, at int64) error {
	k, err := d.get(key)
	if err != nil {
		return err
	}
	for len(k.open) > 0 && k.open[0].start.time+d.within < at {
		o := k.open[0]
		k.open = slices.Delete(k.open, 0, 1)
		if slices.ContainsFunc(d.steps[o.step:], func(s detectStep) bool { return !s.Absent }) {
			continue
		}
		if err := d.match(key, &o, o.start.time+d.within); err != nil {
			return err
		}
		if !d.spec.Overlap {
			k.open = slices.DeleteFunc(k.open, func(other open) bool { return !o.last.before(other.start) })
		}
	}
	if len(k.open) > 0 {
		d.due.set(k.open[0].start.time+d.within+1, key)
	}
	return nil
}

// Committed keeps what has changed.
func (d *detector) Committed() {
	d.order.committed()
	d.due.committed()
}

// RolledBack brings back the rows and deadlines that were taken.
func (d *detector) RolledBack() {
	d.order.rolledBack()
	d.due.rolledBack()
}

// Recovered finds the rows that wait and the deadlines.
func (d *detector) Recovered() error {
	d.due.clear()
	if err := d.store.each(func(key string, value []byte) error {
		all, ok := d.readOpen(view(value))
		if !ok || len(all) == 0 {
			return errOpen
		}
		d.due.set(all[0].start.time+d.within+1, key)
		return nil
	}); err != nil {
		return err
	}
	return d.order.recovered()
}

// Remember is where the order of rows stands.
func (d *detector) Remember() []byte { return d.order.remember([]byte{1}) }

// Recall reads what Remember wrote.
func (d *detector) Recall(b []byte) error {
	if len(b) == 0 || b[0] != 1 {
		return errors.New("what a detect remembered does not decode")
	}
	return d.order.recall(b[1:])
}
