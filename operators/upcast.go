package operators

import (
	"fmt"
	"slices"
	"strings"

	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/operators/expr"
)

// UpcastSpec describes an upcast. NewUpcast makes it, AddStep its steps, Done
// its output.
type UpcastSpec struct {
	In, Work, Out *engine.Schema
	Version       *expr.Program // over In: an int
	VersionColumn int           // the column that Version is, which is set to the newest; or -1
	Steps         []UpcastStep  // by From, ascending
	Keep          []int         // the columns of Work that are Out
}

// UpcastStep lifts rows of version From to that of the next step, or to the
// newest.
type UpcastStep struct {
	From int64
	Set  []UpcastSet
	Drop []string
}

// UpcastSet sets a column of Work. The expression is over Work as it was before
// the step: compile it against the Work of the spec before the step is added.
type UpcastSet struct {
	Name string
	Expr *expr.Program
	to   int // column of Work
}

// NewUpcast begins an upcast of rows of schema in, whose version is an
// expression of type int. The errors of the three functions are for the person
// who wrote it.
func NewUpcast(in *engine.Schema, version *expr.Program) (*UpcastSpec, error) {
	if version.Type() != engine.Int {
		return nil, fmt.Errorf("version is an int, and %s is %s", version, version.Type())
	}
	return &UpcastSpec{In: in, Work: in, Version: version, VersionColumn: in.Lookup(strings.TrimSpace(version.String()))}, nil
}

// AddStep adds a step; from is greater than that of the step before. A name
// that is no column yet becomes one, null for rows that the step does not
// touch.
func (s *UpcastSpec) AddStep(step UpcastStep) error {
	if n := len(s.Steps); n > 0 && step.From <= s.Steps[n-1].From {
		return fmt.Errorf("steps are in order of from, and %d comes after %d", step.From, s.Steps[n-1].From)
	}
	fields := slices.Clone(s.Work.Fields)
	step.Set = slices.Clone(step.Set)
	for k := range step.Set {
		set := &step.Set[k]
		t := set.Expr.Type()
		set.to = slices.IndexFunc(fields, func(f engine.Field) bool { return f.Name == set.Name })
		switch {
		case set.to < 0 && t == engine.Invalid:
			return fmt.Errorf("the new column %s is always null: it has no type", set.Name)
		case set.to < 0:
			set.to = len(fields)
			fields = append(fields, engine.Field{Name: set.Name, Type: t})
		case !Assignable(fields[set.to].Type, t):
			return fmt.Errorf("column %s is %s, and %s is %s", set.Name, fields[set.to].Type, set.Expr, t)
		}
	}
	for _, name := range step.Drop {
		if s.Work.Lookup(name) < 0 {
			return fmt.Errorf("there is no column %s to drop", name)
		}
	}
	s.Work = engine.NewSchema(fields...)
	s.Steps = append(s.Steps, step)
	return nil
}

// Done finds the columns that go out: those that no step drops, or that a later
// step sets again. Rows of all versions lose them, so that all have one schema.
func (s *UpcastSpec) Done() error {
	if len(s.Steps) == 0 {
		return fmt.Errorf("an upcast needs steps")
	}
	dropped := map[string]bool{}
	for _, step := range s.Steps {
		for _, set := range step.Set {
			delete(dropped, set.Name)
		}
		for _, name := range step.Drop {
			dropped[name] = true
		}
	}
	var fields []engine.Field
	s.Keep = nil
	for c, f := range s.Work.Fields {
		if !dropped[f.Name] {
			fields, s.Keep = append(fields, f), append(s.Keep, c)
		}
	}
	s.Out = engine.NewSchema(fields...)
	return nil
}

// newest is the version that all rows have behind the last step.
func (s *UpcastSpec) newest() int64 { return s.Steps[len(s.Steps)-1].From + 1 }

// Upcast lifts rows of old versions to the newest, step by step:
//
//	version 1 ─▶ step from 1 ─▶ step from 2 ─▶ newest, 3
//	version 2 ─────────────────▶ step from 2 ─▶
//	version 3 ─────────────────────────────────▶
//
// The newest version is the last step's from and one. Rows of that version pass
// as they are; a version that is neither it nor that of a step, or null, is an
// expression error. All of a step's set reads the row as it was before the
// step; its drop takes effect for everything that comes after. Where the
// version is a plain column it goes out as the newest. Over a table both sides
// of a change are lifted.
func Upcast(s *UpcastSpec) func(*engine.Context) (engine.Operator, error) {
	return func(ctx *engine.Context) (engine.Operator, error) {
		u := &upcaster{spec: s, ctx: ctx}
		u.now.open(s)
		u.before.open(s)
		u.out.Schema = s.Out
		return u, nil
	}
}

type upcaster struct {
	spec        *UpcastSpec
	ctx         *engine.Context
	now, before upcastSide
	out         engine.Batch
	news, olds  []int32
	sel         []int32
	ops         []engine.Op
}

// upcastSide lifts the new rows or the old ones.
type upcastSide struct {
	spec     *UpcastSpec
	version  *expr.Eval
	evals    [][]*expr.Eval  // per step and set
	own      []engine.Column // per column of Work: the copy, where a step sets it
	isOwn    []bool
	work     []engine.Column
	cols     []engine.Column // those that go out
	versions []int64         // per row
	values   []*engine.Column
	sel, at  []int32
	lifted   []bool
	batch    engine.Batch
}

func (u *upcastSide) open(s *UpcastSpec) {
	u.spec, u.version = s, s.Version.New()
	u.own, u.isOwn = make([]engine.Column, len(s.Work.Fields)), make([]bool, len(s.Work.Fields))
	for c := len(s.In.Fields); c < len(u.isOwn); c++ {
		u.isOwn[c] = true
	}
	for _, step := range s.Steps {
		var evals []*expr.Eval
		for _, set := range step.Set {
			evals = append(evals, set.Expr.New())
			u.isOwn[set.to] = true
		}
		u.evals = append(u.evals, evals)
	}
	if s.VersionColumn >= 0 {
		u.isOwn[s.VersionColumn] = true
	}
}

// Process lifts one batch.
func (u *upcaster) Process(b *engine.Batch, out engine.Emit) error {
	schema := u.out.Schema
	u.out = *b
	u.out.Schema = schema
	bad := func(row int32, err error) error { return u.ctx.Bad(engine.StageExpression, b, row, err) }
	var err error
	if b.Op == nil {
		if u.out.Cols, u.out.Sel, err = u.now.lift(b, b.Cols, b.Sel, bad); err != nil {
			return err
		}
		return out(&u.out)
	}
	news, olds := changed(b, engine.Delete, &u.news), changed(b, engine.Insert, &u.olds)
	if u.out.Cols, news, err = u.now.lift(b, b.Cols, news, bad); err != nil {
		return err
	}
	// An old row that fails now failed then, too: it was never sent.
	quiet := func(int32, error) error { return nil }
	if u.out.Old, olds, err = u.before.lift(b, b.Old, olds, quiet); err != nil {
		return err
	}
	u.out.Sel, u.out.Op, u.ops = bothSides(b, news, olds, u.ops, &u.sel)
	return out(&u.out)
}

// bothSides is what a table's changes come to where only the new rows news and
// the old rows olds are left, both ascending.
func bothSides(b *engine.Batch, news, olds []int32, ops []engine.Op, buf *[]int32) (sel []int32, op, again []engine.Op) {
	ops, sel = append(ops[:0], b.Op...), (*buf)[:0]
	for _, i := range b.Sel {
		_, isNew := slices.BinarySearch(news, i)
		_, wasOld := slices.BinarySearch(olds, i)
		switch {
		case isNew && wasOld:
			ops[i] = engine.Update
		case isNew:
			ops[i] = engine.Insert
		case wasOld:
			ops[i] = engine.Delete
		default:
			continue
		}
		sel = append(sel, i)
	}
	*buf = sel
	return sel, ops, ops
}

// lift gives the columns and rows that go out.
func (u *upcastSide) lift(b *engine.Batch, in []engine.Column, sel []int32, bad func(int32, error) error) ([]engine.Column, []int32, error) {
	s := u.spec
	version, sel, err := u.version.Column(b, in, sel, bad)
	if err != nil {
		return nil, nil, err
	}
	u.versions = reset(u.versions, b.N)
	keep := u.sel[:0]
	for _, i := range sel {
		v := s.newest()
		switch {
		case version.Null(i):
			err = bad(i, fmt.Errorf("the version is null"))
		case version.Ints[i] != v && !slices.ContainsFunc(s.Steps, func(step UpcastStep) bool { return step.From == version.Ints[i] }):
			err = bad(i, fmt.Errorf("unknown version %d (known: %s)", version.Ints[i], s.known()))
		default:
			u.versions[i] = version.Ints[i]
			keep = append(keep, i)
		}
		if err != nil {
			return nil, nil, err
		}
	}
	u.sel, sel = keep, keep
	u.work = u.work[:0]
	for c, f := range s.Work.Fields {
		if !u.isOwn[c] {
			u.work = append(u.work, in[c])
			continue
		}
		col := &u.own[c]
		col.Reset(f.Type, b.N)
		for _, i := range sel {
			if c < len(in) {
				copyCell(col, i, b.N, &in[c], i)
			} else {
				setNull(col, i, b.N)
			}
		}
		u.work = append(u.work, *col)
	}
	for k := range s.Steps {
		if sel, err = u.step(b, k, sel, bad); err != nil {
			return nil, nil, err
		}
	}
	if c := s.VersionColumn; c >= 0 {
		for _, i := range sel {
			u.work[c].Ints[i] = s.newest()
		}
	}
	u.cols = u.cols[:0]
	for _, c := range s.Keep {
		u.cols = append(u.cols, u.work[c])
	}
	return u.cols, sel, nil
}

// step takes the rows of a step's version, and those that were lifted to it,
// through the step. It gives the rows of sel that have not failed.
func (u *upcastSide) step(b *engine.Batch, k int, sel []int32, bad func(int32, error) error) ([]int32, error) {
	step := u.spec.Steps[k]
	at := u.at[:0]
	for _, i := range sel {
		if u.versions[i] <= step.From {
			at = append(at, i)
		}
	}
	u.at = at
	if len(at) == 0 || len(step.Set) == 0 {
		return sel, nil
	}
	u.values = u.values[:0]
	u.batch = *b
	u.batch.Schema = u.spec.Work
	for n := range step.Set {
		value, rest, err := u.evals[k][n].Column(&u.batch, u.work, at, bad)
		if err != nil {
			return nil, err
		}
		u.values, at = append(u.values, value), rest
	}
	// A plain column is the working column itself: what one set writes another
	// may have to read. Each row is read before it is written.
	u.keepValues(step, at, b.N)
	for n, set := range step.Set {
		col := &u.work[set.to]
		for _, i := range at {
			assign(col, i, b.N, u.values[n], i)
		}
	}
	if len(at) == len(u.at) {
		return sel, nil
	}
	u.lifted = reset(u.lifted, b.N)
	for _, i := range at {
		u.lifted[i] = true
	}
	keep := sel[:0]
	for _, i := range sel {
		if u.versions[i] > step.From || u.lifted[i] {
			keep = append(keep, i)
		}
	}
	return keep, nil
}

// keepValues copies the values that are working columns which the step sets.
func (u *upcastSide) keepValues(step UpcastStep, at []int32, n int) {
	for k := range u.values {
		for _, set := range step.Set {
			if u.values[k] != &u.work[set.to] {
				continue
			}
			c := new(engine.Column)
			c.Reset(u.values[k].Type, n)
			for _, i := range at {
				copyCell(c, i, n, u.values[k], i)
			}
			u.values[k] = c
			break
		}
	}
}

func (s *UpcastSpec) known() string {
	var known []string
	for _, step := range s.Steps {
		known = append(known, fmt.Sprint(step.From))
	}
	return strings.Join(append(known, fmt.Sprint(s.newest())), ", ")
}
