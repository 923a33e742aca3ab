package operators

import (
	"fmt"
	"slices"

	"github.com/leatstream/leat/engine"
)

// UnionSpec describes a union. NewUnion makes it.
type UnionSpec struct {
	Out    *engine.Schema
	Inputs []UnionInput // in the order of the operator's inputs
	Source int          // the column of Out that takes the input's name, or -1
}

// UnionInput is one input of a union.
type UnionInput struct {
	Name string
	From []int // per column of Out: the input's, or -1 where it has none
}

// NewUnion describes the union of inputs: the columns of all of them, in the
// order in which they first appear, then the input's name as column sourceName
// unless that is "". The error, of columns that do not go together, is for the
// person who wrote it.
func NewUnion(names []string, inputs []*engine.Schema, sourceName string) (UnionSpec, error) {
	s := UnionSpec{Source: -1}
	var fields []engine.Field
	first := map[string]int{} // column: the input that it came from
	for n, in := range inputs {
		for _, f := range in.Fields {
			k := slices.IndexFunc(fields, func(o engine.Field) bool { return o.Name == f.Name })
			switch {
			case f.Name == sourceName:
				return s, fmt.Errorf("source_name %s is a column of %s", sourceName, names[n])
			case k < 0:
				fields, first[f.Name] = append(fields, f), n
			case fields[k].Type != f.Type:
				return s, fmt.Errorf("column %s is %s in %s and %s in %s", f.Name, fields[k].Type, names[first[f.Name]], f.Type, names[n])
			}
		}
	}
	if sourceName != "" {
		s.Source = len(fields)
		fields = append(fields, engine.Field{Name: sourceName, Type: engine.String})
	}
	s.Out = engine.NewSchema(fields...)
	for n, in := range inputs {
		u := UnionInput{Name: names[n]}
		for _, f := range fields {
			u.From = append(u.From, in.Lookup(f.Name))
		}
		s.Inputs = append(s.Inputs, u)
	}
	return s, nil
}

// Union merges its inputs; nothing waits, rows pass as they come. A column that
// an input lacks is null.
//
// The inputs are streams or all of them tables. A union of tables has the rows
// of both: where two inputs have a row of one key these are two rows, told
// apart by source_name; whoever keeps only the key (a compacted topic) has the
// one that changed last.
func Union(s UnionSpec) func(*engine.Context) (engine.Operator, error) {
	return func(ctx *engine.Context) (engine.Operator, error) {
		return &unioner{spec: s, cols: make([]engine.Column, len(s.Out.Fields)), old: make([]engine.Column, len(s.Out.Fields)),
			nulls: make([]engine.Column, len(s.Out.Fields))}, nil
	}
}

type unioner struct {
	spec      UnionSpec
	out       engine.Batch
	cols, old []engine.Column
	nulls     []engine.Column // per column: all null, where some input lacks it
	source    engine.Column   // the name, as often as there are rows
}

// Process takes rows of the only input.
func (u *unioner) Process(b *engine.Batch, out engine.Emit) error { return u.ProcessPort(0, b, out) }

// ProcessPort takes rows of one input.
func (u *unioner) ProcessPort(port int, b *engine.Batch, out engine.Emit) error {
	in := u.spec.Inputs[port]
	u.out = *b
	u.out.Schema = u.spec.Out
	u.side(in, b.Cols, b.N, u.cols)
	u.out.Cols = u.cols
	if b.Op != nil {
		u.side(in, b.Old, b.N, u.old)
		u.out.Old = u.old
	}
	return out(&u.out)
}

// side puts the columns of an input where the union has them.
func (u *unioner) side(in UnionInput, from []engine.Column, n int, to []engine.Column) {
	for c, f := range in.From {
		switch {
		case f >= 0:
			to[c] = from[f]
		case c == u.spec.Source:
			u.source.Reset(engine.String, n)
			for i := range u.source.Strs {
				u.source.Strs[i] = in.Name
			}
			to[c] = u.source
		default:
			to[c] = u.null(c, n)
		}
	}
}

// null is a column of nulls, whose entries are the zero value.
func (u *unioner) null(c, n int) engine.Column {
	col := &u.nulls[c]
	if len(col.Nulls) < n {
		col.Reset(u.spec.Out.Fields[c].Type, n)
		for i := range int32(n) {
			col.SetNull(i, n)
		}
	}
	cut := engine.Column{Type: col.Type, Nulls: col.Nulls[:n]}
	switch col.Type {
	case engine.Int, engine.Timestamp:
		cut.Ints = col.Ints[:n]
	case engine.Double:
		cut.Doubles = col.Doubles[:n]
	case engine.Bool:
		cut.Bools = col.Bools[:n]
	default:
		cut.Strs = col.Strs[:n]
	}
	return cut
}
