package operators

import (
	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/operators/expr"
	"github.com/leatstream/leat/window/aggregate"
)

// fold evaluates the arguments of aggregates over a batch and folds rows into
// accumulators.
type fold struct {
	columns   []AggregateColumn
	at        []int // offset of each aggregate's words
	order     []int // in which rows are folded: those that can fail first
	args      [][]*expr.Eval
	wheres    []*expr.Eval
	cols      [][]aggregate.Column // arguments of the batch at hand
	masks     [][]bool             // rows that pass the where
	sel       []int32
	blobs     bool
	blobWords []int
	undo      []uint64
}

func newFold(columns []AggregateColumn, table bool) *fold {
	f := &fold{columns: columns, cols: make([][]aggregate.Column, len(columns)), masks: make([][]bool, len(columns))}
	o := accHead
	for k, c := range columns {
		f.at = append(f.at, o)
		for _, w := range c.Fn.Blobs() {
			f.blobWords = append(f.blobWords, o+w)
			f.blobs = true
		}
		o += c.Fn.Words()
		var evals []*expr.Eval
		for _, p := range c.Args {
			evals = append(evals, p.New())
		}
		f.args = append(f.args, evals)
		var where *expr.Eval
		if c.Where != nil {
			where = c.Where.New()
		}
		f.wheres = append(f.wheres, where)
		f.cols[k] = make([]aggregate.Column, len(c.Args))
	}
	// A sum of ints can overflow; it has no blobs, so that its words are all
	// there is to put back when a later one fails. It goes first.
	for k, c := range columns {
		if len(c.Fn.Blobs()) == 0 {
			f.order = append(f.order, k)
		}
	}
	for k, c := range columns {
		if len(c.Fn.Blobs()) > 0 {
			f.order = append(f.order, k)
		}
	}
	f.undo = make([]uint64, o)
	return f
}

// arguments evaluates all arguments; rows where one fails are reported and
// left out of the selection it returns.
func (f *fold) arguments(b *engine.Batch, in []engine.Column, sel []int32, bad func(int32, error) error) ([]int32, error) {
	for k := range f.columns {
		if w := f.wheres[k]; w != nil {
			f.masks[k] = reset(f.masks[k], b.N)
			var err error
			if f.sel, err = w.Filter(b, in, sel, f.sel, bad); err != nil {
				return nil, err
			}
			for _, i := range f.sel {
				f.masks[k][i] = true
			}
		}
		for j, e := range f.args[k] {
			col, rest, err := e.Column(b, in, sel, bad)
			if err != nil {
				return nil, err
			}
			sel = rest
			f.cols[k][j] = columnOf(col)
		}
	}
	return sel, nil
}

// row folds row i into acc, or takes it back. After an error acc is unchanged.
func (f *fold) row(acc []uint64, i int32, back bool, h aggregate.Heap) error {
	copied := false
	for _, k := range f.order {
		if f.masks[k] != nil && !f.masks[k][i] {
			continue
		}
		c := &f.columns[k]
		words := acc[f.at[k] : f.at[k]+c.Fn.Words()]
		var err error
		if back {
			err = c.Fn.(aggregate.Subtracter).Subtract(words, f.cols[k], i, h)
		} else {
			if !copied && len(f.order) > 1 {
				copy(f.undo, acc)
				copied = true
			}
			err = c.Fn.Add(words, f.cols[k], i, h)
		}
		if err != nil {
			if copied {
				copy(acc, f.undo)
			}
			return err
		}
	}
	return nil
}

// columnOf shows a column to the aggregates, which know nothing of the engine;
// the two types have the same shape.
func columnOf(c *engine.Column) aggregate.Column {
	return aggregate.Column{Type: aggregate.Type(c.Type), Ints: c.Ints, Doubles: c.Doubles, Bools: c.Bools, Strs: c.Strs, Nulls: c.Nulls}
}
