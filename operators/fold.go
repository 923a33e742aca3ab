package operators

import (
	"fmt"
	"slices"

	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/operators/expr"
	"github.com/leatstream/leat/state"
	"github.com/leatstream/leat/window/aggregate"
)

// side evaluates the new rows of batches, or the old ones: their groups, the
// slots of these and the arguments of the aggregates.
type side struct {
	group     *grouper
	arguments *arguments
	slots     []state.Slot // per row
	split     []int32      // rows of a table's change that have this side
}

func newSide(s AggregateSpec) *side {
	return &side{group: newGrouper(s.Group, s.Out), arguments: newArguments(s.Aggregates)}
}

// rows gives the rows to fold: those with a group, whose expressions do not
// fail. nulls is how many had a null in their group.
func (s *side) rows(t *state.Table, b *engine.Batch, cols []engine.Column, sel []int32, bad func(int32, error) error) (rows []int32, nulls int, err error) {
	if len(sel) == 0 {
		return nil, 0, nil
	}
	if sel, nulls, err = s.group.rows(b, cols, sel, bad); err != nil {
		return nil, 0, err
	}
	if sel, err = s.arguments.eval(b, cols, sel, bad); err != nil {
		return nil, 0, err
	}
	if cap(s.slots) < b.N {
		s.slots = make([]state.Slot, b.N)
	}
	s.slots = s.slots[:b.N]
	return sel, nulls, t.Resolve(s.group.keys, sel, s.slots)
}

// arguments evaluates the arguments and conditions of aggregates over a batch.
type arguments struct {
	args   [][]*expr.Eval
	wheres []*expr.Eval
	cols   [][]aggregate.Column // of the batch at hand
	masks  [][]bool             // rows that pass the where; nil: all
	timed  []int                // aggregates whose last column is the event time
	sel    []int32

	bad          func(int32, error) error // of the batch at hand
	fail         func(int32, error) error // a.failed and a.bad
	failed, kept []int32
}

func newArguments(columns []AggregateColumn) *arguments {
	a := &arguments{cols: make([][]aggregate.Column, len(columns)), masks: make([][]bool, len(columns))}
	for k, c := range columns {
		var evals []*expr.Eval
		for _, p := range c.Args {
			evals = append(evals, p.New())
		}
		a.args = append(a.args, evals)
		var where *expr.Eval
		if c.Where != nil {
			where = c.Where.New()
		}
		a.wheres = append(a.wheres, where)
		a.cols[k] = make([]aggregate.Column, len(c.Args))
		if c.Time {
			a.cols[k] = append(a.cols[k], aggregate.Column{})
			a.timed = append(a.timed, k)
		}
	}
	a.fail = func(row int32, err error) error {
		a.failed = append(a.failed, row)
		return a.bad(row, err)
	}
	return a
}

// eval evaluates all arguments; rows where one fails are reported and left out
// of the selection it returns. An aggregate's arguments are only evaluated
// where its condition holds.
func (a *arguments) eval(b *engine.Batch, in []engine.Column, sel []int32, bad func(int32, error) error) ([]int32, error) {
	a.bad, a.failed = bad, a.failed[:0]
	for _, k := range a.timed {
		a.cols[k][len(a.args[k])] = aggregate.Column{Type: aggregate.Timestamp, Ints: b.Time}
	}
	for k := range a.args {
		rows := sel
		if w := a.wheres[k]; w != nil {
			var err error
			if a.sel, err = w.Filter(b, in, sel, a.sel, a.fail); err != nil {
				return nil, err
			}
			a.masks[k] = reset(a.masks[k], b.N)
			for _, i := range a.sel {
				a.masks[k][i] = true
			}
			rows = a.sel
		}
		for j, e := range a.args[k] {
			col, rest, err := e.Column(b, in, rows, a.fail)
			if err != nil {
				return nil, err
			}
			rows = rest
			a.cols[k][j] = columnOf(col)
		}
		if len(a.failed) > 0 {
			a.kept = without(a.kept[:0], sel, a.failed)
			sel, a.failed = a.kept, a.failed[:0]
		}
	}
	return sel, nil
}

// without appends the rows of sel that are not in drop to dst, which may be
// sel's own memory.
func without(dst, sel, drop []int32) []int32 {
	slices.Sort(drop)
	for _, i := range sel {
		if _, dropped := slices.BinarySearch(drop, i); !dropped {
			dst = append(dst, i)
		}
	}
	return dst
}

// fold folds rows into accumulators.
type fold struct {
	steps     []step // in the order of folding: those that can fail first
	at        []int  // offset of each aggregate's words
	words     int
	blobs     bool
	blobWords []int
	undo      []uint64
	refs      []uint64 // scratch of keep
	names     []string
}

// step is one aggregate: its number, and its words of the accumulator.
type step struct {
	k, from, to int
	fn          aggregate.Aggregate
	back        aggregate.Subtracter // nil where it cannot take back rows
	unmerge     aggregate.Unmerger   // nil where it cannot take back panes
	run         aggregate.Runner     // nil where it merges one by one
}

func newFold(columns []AggregateColumn) *fold {
	f := &fold{words: accHead}
	var last []step
	for k, c := range columns {
		s := step{k: k, from: f.words, to: f.words + c.Fn.Words(), fn: c.Fn}
		s.back, _ = c.Fn.(aggregate.Subtracter)
		s.unmerge, _ = c.Fn.(aggregate.Unmerger)
		s.run, _ = c.Fn.(aggregate.Runner)
		f.at = append(f.at, f.words)
		f.names = append(f.names, c.Name)
		for _, w := range c.Fn.Blobs() {
			f.blobWords = append(f.blobWords, f.words+w)
			f.blobs = true
		}
		f.words = s.to
		// A sum can overflow; it has no blobs, so that its words are all there is
		// to put back when a later one fails. What has blobs goes last.
		if len(c.Fn.Blobs()) > 0 {
			last = append(last, s)
		} else {
			f.steps = append(f.steps, s)
		}
	}
	f.steps = append(f.steps, last...)
	f.undo = make([]uint64, f.words)
	return f
}

// row folds row i into acc, or takes it back. After an error acc is unchanged.
func (f *fold) row(acc []uint64, a *arguments, i int32, back bool, h aggregate.Heap) error {
	if len(f.steps) > 1 {
		copy(f.undo, acc)
	}
	for n := range f.steps {
		s := &f.steps[n]
		if m := a.masks[s.k]; m != nil && !m[i] {
			continue
		}
		var err error
		if back {
			err = s.back.Subtract(acc[s.from:s.to], a.cols[s.k], i, h)
		} else {
			err = s.fn.Add(acc[s.from:s.to], a.cols[s.k], i, h)
		}
		if err != nil {
			if n > 0 {
				copy(acc, f.undo)
			}
			return err
		}
	}
	return nil
}

// merge folds the accumulator of a later pane, or part, into acc.
func (f *fold) merge(acc, from []uint64, h aggregate.Heap) error {
	if from[accRows] == 0 {
		if acc[accRows] == 0 {
			acc[accTime] = from[accTime] // of a table's group that is empty now: of its deletion
		}
		return nil
	}
	if acc[accRows] == 0 && !f.blobs {
		copy(acc, from[:f.words])
		return nil
	}
	if acc[accRows] == 0 || int64(from[accTime]) > int64(acc[accTime]) {
		acc[accTime] = from[accTime]
	}
	acc[accRows] += from[accRows]
	for n := range f.steps {
		s := &f.steps[n]
		if err := s.fn.Merge(acc[s.from:s.to], from[s.from:s.to], h); err != nil {
			return fmt.Errorf("merge %s: %w", f.names[s.k], err)
		}
	}
	return nil
}

// mergeRun is merge of n accumulators of one row each that lie one after the
// other, in order of time.
func (f *fold) mergeRun(acc, from []uint64, n int, h aggregate.Heap) error {
	if n > 0 && acc[accRows] == 0 && !f.blobs {
		copy(acc, from[:f.words])
		from, n = from[f.words:], n-1
	}
	if n == 0 {
		return nil
	}
	if last := from[(n-1)*f.words+accTime]; acc[accRows] == 0 || int64(last) > int64(acc[accTime]) {
		acc[accTime] = last
	}
	acc[accRows] += uint64(n)
	for k := range f.steps {
		s := &f.steps[k]
		var err error
		if s.run != nil {
			err = s.run.MergeRun(acc[s.from:s.to], from[s.from:], f.words, n)
		} else {
			for at := 0; at < n*f.words && err == nil; at += f.words {
				err = s.fn.Merge(acc[s.from:s.to], from[at+s.from:at+s.to], h)
			}
		}
		if err != nil {
			return fmt.Errorf("merge %s: %w", f.names[s.k], err)
		}
	}
	return nil
}

// keep makes to, an accumulator of a table, a copy of from, whose bytes are in
// heap. Words behind the accumulator are copied as they are.
func (f *fold) keep(to, from []uint64, table *state.Table, heap aggregate.Heap) {
	if !f.blobs {
		copy(to, from)
		return
	}
	f.refs = f.refs[:0]
	for _, w := range f.blobWords {
		f.refs = append(f.refs, to[w])
	}
	copy(to, from)
	for n, w := range f.blobWords {
		if from[w] == 0 {
			to[w] = table.Put(f.refs[n], nil)
			continue
		}
		to[w] = table.Put(f.refs[n], heap.Get(from[w]))
	}
}

// columnOf shows a column to the aggregates, which know nothing of the engine;
// the two types have the same shape.
func columnOf(c *engine.Column) aggregate.Column {
	return aggregate.Column{Type: aggregate.Type(c.Type), Ints: c.Ints, Doubles: c.Doubles, Bools: c.Bools, Strs: c.Strs, Nulls: c.Nulls}
}
