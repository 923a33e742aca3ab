package operators

import (
	"errors"
	"slices"

	"github.com/leatstream/leat/engine"
)

var errStored = errors.New("a stored row does not decode")

// joinKeys finds the join key of each row of a side.
type joinKeys struct {
	group  *grouper
	null   []bool // per row: some column of its key is null
	failed []int32
	keep   []int32
}

func newJoinKeys(s *JoinSide) *joinKeys {
	var fields []engine.Field
	for i, t := range s.types() {
		fields = append(fields, engine.Field{Name: s.Key[i].Name, Type: t})
	}
	return &joinKeys{group: newGrouper(s.Key, engine.NewSchema(fields...))}
}

// of gives the rows of sel whose key could be computed, and how many of them
// have a null in it. cols is b.Cols or b.Old. Valid until the next call.
func (k *joinKeys) of(b *engine.Batch, cols []engine.Column, sel []int32, bad func(int32, error) error) (rows []int32, nulls int, err error) {
	k.null, k.failed = reset(k.null, b.N), k.failed[:0]
	for _, i := range sel {
		k.null[i] = true
	}
	with, nulls, err := k.group.rows(b, cols, sel, func(i int32, err error) error {
		k.failed = append(k.failed, i)
		return bad(i, err)
	})
	if err != nil {
		return nil, 0, err
	}
	for _, i := range with {
		k.null[i] = false
	}
	if len(k.failed) == 0 {
		return sel, nulls, nil
	}
	for _, i := range k.failed {
		k.null[i] = false
	}
	failed := k.failed // ascending, as the rows were given
	k.keep = k.keep[:0]
	for _, i := range sel {
		for len(failed) > 0 && failed[0] < i {
			failed = failed[1:]
		}
		if len(failed) == 0 || failed[0] != i {
			k.keep = append(k.keep, i)
		}
	}
	return k.keep, nulls, nil
}

// key is the key of a row that has no null in it.
func (k *joinKeys) key(i int32) string { return k.group.keys[i] }

// joinRow knows which columns of a side are put out, and where. Only those are
// stored, so two rows are the same to the join where their bytes are.
type joinRow struct {
	need []int
	outs [][]int // per column of need: columns of the output
	// alone is outs where the other side has no row: of the right of an outer
	// join the key is the left's key columns, too.
	alone [][]int
	skip  []engine.Column // for columns that go nowhere
}

func newJoinRow(s *JoinSpec, right bool) *joinRow {
	side := s.Left.Schema
	if right {
		side = s.Right.Schema
	}
	r := &joinRow{need: s.needed(right)}
	for _, c := range r.need {
		var outs []int
		for o, col := range s.Columns {
			if col.Right == right && col.Column == c {
				outs = append(outs, o)
			}
		}
		alone := slices.Clone(outs)
		for o, col := range s.Columns {
			if right && !col.Right && slices.Contains(s.keyFrom(col.Column), c) {
				alone = append(alone, o)
			}
		}
		r.outs, r.alone = append(r.outs, outs), append(r.alone, alone)
		skip := engine.Column{}
		skip.Reset(side.Fields[c].Type, 1)
		r.skip = append(r.skip, skip)
	}
	return r
}

// append appends row i of the side's columns.
func (r *joinRow) append(dst []byte, cols []engine.Column, i int32) []byte {
	for _, c := range r.need {
		dst = engine.AppendCell(dst, &cols[c], i)
	}
	return dst
}

// read writes a stored row into row i of the output; alone: the other side has
// none, and its columns are null already. Strings are views of s.
func (r *joinRow) read(s string, out []engine.Column, i int32, n int, alone bool) error {
	ok := true
	for k, outs := range r.dests(out, i, alone) {
		if len(outs) == 0 {
			if s, ok = readCell(s, &r.skip[k], 0, 1); !ok {
				return errStored
			}
			continue
		}
		if s, ok = readCell(s, &out[outs[0]], i, n); !ok {
			return errStored
		}
		for _, o := range outs[1:] {
			copyCell(&out[o], i, n, &out[outs[0]], i)
		}
	}
	if s != "" {
		return errStored
	}
	return nil
}

// copy writes row j of the side's columns into row i of the output.
func (r *joinRow) copy(out []engine.Column, i int32, n int, cols []engine.Column, j int32, alone bool) {
	for k, outs := range r.dests(out, i, alone) {
		for _, o := range outs {
			copyCell(&out[o], i, n, &cols[r.need[k]], j)
		}
	}
}

func (r *joinRow) dests(out []engine.Column, i int32, alone bool) [][]int {
	if !alone {
		return r.outs
	}
	for k, outs := range r.alone {
		for _, o := range outs[len(r.outs[k]):] {
			out[o].Nulls[i] = false // the other side's null
		}
	}
	return r.alone
}

// null makes the side's columns null in row i of the output.
func (r *joinRow) null(out []engine.Column, i int32, n int) {
	for _, outs := range r.outs {
		for _, o := range outs {
			setNull(&out[o], i, n)
		}
	}
}
