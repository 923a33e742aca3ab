package operators

import (
	"errors"
	"fmt"

	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/operators/expr"
)

// FlatMapSpec describes a flat_map: one row per element of a list. NewFlatMap
// makes it.
type FlatMapSpec struct {
	In, Out *engine.Schema
	List    *expr.Program
	As      int // the column of Out that takes the element
}

// NewFlatMap describes the rows that unnesting a list makes: the columns of in,
// and the element as column `as`, in place of one of that name or behind them.
// Its type is that of the list's elements, any where that is not known. The
// error is for the person who wrote it.
func NewFlatMap(in *engine.Schema, list *expr.Program, as string) (FlatMapSpec, error) {
	if t := list.Type(); t != engine.Any {
		return FlatMapSpec{}, fmt.Errorf("flat_map unnests a list, and %s is %s", list, t)
	}
	elem := list.Elem()
	if elem == engine.Invalid {
		elem = engine.Any
	}
	fields := append([]engine.Field(nil), in.Fields...)
	at := in.Lookup(as)
	if at < 0 {
		at = len(fields)
		fields = append(fields, engine.Field{Name: as})
	}
	fields[at] = engine.Field{Name: as, Type: elem}
	return FlatMapSpec{In: in, Out: engine.NewSchema(fields...), List: list, As: at}, nil
}

// FlatMap makes a row of each element of a list, in order, with the other
// columns, the times and the lateness of its row. A null or empty list makes
// none. A list that is none, and an element that is not of the list's type,
// are errors of the row: such a row makes no rows at all.
//
// The rows are more than the source's records, so they have no Src: key() and
// the like do not reach behind a flat_map.
func FlatMap(s FlatMapSpec) func(*engine.Context) (engine.Operator, error) {
	return func(ctx *engine.Context) (engine.Operator, error) {
		return &flatMapper{spec: s, ctx: ctx, list: s.List.New(), rows: newRows(s.Out, false)}, nil
	}
}

type flatMapper struct {
	spec  FlatMapSpec
	ctx   *engine.Context
	list  *expr.Eval
	rows  *rows
	elems engine.Column // of one list, to see that all of them are well
	texts []string
}

var (
	errNoList      = errors.New("not a list")
	errTableUnnest = errors.New("flat_map over a table: its elements have no key to change them by")
)

// Process unnests the lists of one batch.
func (f *flatMapper) Process(b *engine.Batch, out engine.Emit) error {
	if b.Op != nil {
		return errTableUnnest
	}
	bad := func(row int32, err error) error { return f.ctx.Bad(engine.StageExpression, b, row, err) }
	lists, sel, err := f.list.Column(b, b.Cols, b.Sel, bad)
	if err != nil {
		return err
	}
	for _, i := range sel {
		if lists.Null(i) {
			continue
		}
		if err := f.row(b, i, lists.Strs[i], out); err != nil {
			return err
		}
	}
	return f.rows.flush(out)
}

// row makes the rows of one list.
func (f *flatMapper) row(b *engine.Batch, i int32, list string, out engine.Emit) error {
	f.texts = f.texts[:0]
	isList := expr.Elements(list, func(elem string) bool {
		f.texts = append(f.texts, elem)
		return true
	})
	if !isList {
		return f.ctx.Bad(engine.StageExpression, b, i, fmt.Errorf("%s is %w", short(list), errNoList))
	}
	n := len(f.texts)
	f.elems.Reset(f.spec.Out.Fields[f.spec.As].Type, n)
	for k, elem := range f.texts {
		if err := expr.SetElement(&f.elems, int32(k), n, elem); err != nil {
			return f.ctx.Bad(engine.StageExpression, b, i, err)
		}
	}
	stamp, origin := rowStamp(b, i), rowOrigin(b, i)
	for k := range f.texts {
		r, err := f.rows.next(out, engine.Insert, b.Time[i], stamp, origin)
		if err != nil {
			return err
		}
		cols := f.rows.b.Cols
		for c := range cols {
			if c == f.spec.As {
				copyCell(&cols[c], r, rowsPerBatch, &f.elems, int32(k))
				continue
			}
			copyCell(&cols[c], r, rowsPerBatch, &b.Cols[c], i)
		}
	}
	return nil
}

// short cuts a text for a message.
func short(s string) string {
	const most = 40
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}
