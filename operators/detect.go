package operators

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/operators/expr"
	"github.com/leatstream/leat/state"
)

// DetectSpec describes a detect. NewDetect makes it, AddStep adds its steps in
// order, Done says what comes out.
type DetectSpec struct {
	In, Out *engine.Schema
	Group   []GroupColumn
	Steps   []DetectStep
	Within  time.Duration // from the first row to the last; at least 1 ms
	Overlap bool          // skip: none
	// Env is what the next step's where reads: the columns of In, then
	// <step>.<column> for the steps so far that are not absent.
	Env    *engine.Schema
	Select []DetectColumn
}

// DetectStep is one step of a pattern.
type DetectStep struct {
	As     string
	Where  *expr.Program // over Env as it is before the step; nil: every row
	Times  int           // 0 is 1
	Absent bool
}

// DetectColumn is one column of the outcome, over SelectEnv.
type DetectColumn struct {
	Name string
	Expr *expr.Program
}

// NewDetect describes a pattern over rows of schema in. The errors of the
// methods are for the person who wrote it.
func NewDetect(in *engine.Schema, group []GroupColumn, within time.Duration, overlap bool) *DetectSpec {
	return &DetectSpec{In: in, Env: in, Group: group, Within: within, Overlap: overlap}
}

// AddStep adds the next step.
func (s *DetectSpec) AddStep(step DetectStep) error {
	if step.Times == 0 {
		step.Times = 1
	}
	switch {
	case step.Absent && len(s.Steps) == 0:
		return fmt.Errorf("the first step is absent: there is nothing to wait from")
	case step.Absent && step.Times != 1:
		return fmt.Errorf("step %s is absent: it has no times", step.As)
	case step.Times < 1 || step.Times > maxTimes:
		return fmt.Errorf("times is from 1 to %d, not %d", maxTimes, step.Times)
	case step.Where != nil && step.Where.Type() != engine.Bool && step.Where.Type() != engine.Invalid:
		return fmt.Errorf("where is a condition, and %s is %s", step.Where, step.Where.Type())
	}
	for _, o := range s.Steps {
		if o.As == step.As {
			return fmt.Errorf("there are two steps named %s", step.As)
		}
	}
	for _, f := range s.In.Fields {
		if f.Name == step.As || strings.HasPrefix(f.Name, step.As+".") {
			return fmt.Errorf("the step %s has the name of a column: give it another", step.As)
		}
	}
	s.Steps = append(s.Steps, step)
	if !step.Absent {
		s.Env = engine.NewSchema(append(s.Env.Fields[:len(s.Env.Fields):len(s.Env.Fields)], stepFields(s.In, step.As)...)...)
	}
	return nil
}

const maxTimes = 1000

func stepFields(in *engine.Schema, as string) []engine.Field {
	var fields []engine.Field
	for _, f := range in.Fields {
		f.Name = as + "." + f.Name
		fields = append(fields, f)
	}
	return fields
}

// SelectEnv is what select reads: the group columns, started_at and matched_at,
// then <step>.<column> of the steps that are not absent; of a step with times,
// its last row.
func (s *DetectSpec) SelectEnv() *engine.Schema {
	fields := groupSchema(s.Group, s.In).Fields
	fields = append(fields, engine.Field{Name: "started_at", Type: engine.Timestamp}, engine.Field{Name: "matched_at", Type: engine.Timestamp})
	return engine.NewSchema(append(fields, s.Env.Fields[len(s.In.Fields):]...)...)
}

// Done ends the spec with what comes out; with no columns the group columns,
// started_at and matched_at.
func (s *DetectSpec) Done(columns []DetectColumn) error {
	if len(s.Steps) == 0 {
		return fmt.Errorf("a pattern needs steps")
	}
	for _, g := range s.Group {
		if g.Name == "started_at" || g.Name == "matched_at" {
			return fmt.Errorf("%s is the time of a match: the group column needs another name", g.Name)
		}
	}
	if ms := s.Within.Milliseconds(); ms < 1 || ms > maxSpanMs {
		return fmt.Errorf("detect within %s: a span of 1ms to 35000 years is needed", s.Within)
	}
	s.Select = columns
	var fields []engine.Field
	if len(columns) == 0 {
		fields = s.SelectEnv().Fields[:len(s.Group)+2]
	}
	for _, c := range columns {
		if c.Expr.Type() == engine.Invalid {
			return fmt.Errorf("the column %s is always null: it has no type", c.Name)
		}
		fields = append(fields, engine.Field{Name: c.Name, Type: c.Expr.Type()})
	}
	s.Out = engine.NewSchema(fields...)
	return nil
}

// kept are, per step that is not absent, the columns of In that are read once
// the row is past: by a later where, or by select.
func (s *DetectSpec) kept() [][]int {
	width, steps := len(s.In.Fields), 0
	for _, step := range s.Steps {
		if !step.Absent {
			steps++
		}
	}
	used := make([]map[int]bool, steps)
	for k := range used {
		used[k] = map[int]bool{}
	}
	read := func(p *expr.Program, before int) {
		for _, c := range p.Columns() {
			if c >= before {
				used[(c-before)/width][(c-before)%width] = true
			}
		}
	}
	for _, step := range s.Steps {
		if step.Where != nil {
			read(step.Where, width)
		}
	}
	for _, c := range s.Select {
		read(c.Expr, len(s.Group)+2)
	}
	kept := make([][]int, steps)
	for k := range used {
		kept[k] = slices.Sorted(maps.Keys(used[k]))
	}
	return kept
}

// DetectStores lists the one store of a detect.
func DetectStores(name string, s *DetectSpec) []state.Spec {
	print := []string{fmt.Sprintf("detect/1 key=%s within=%s", groupPrint(s.Group, s.In), s.Within)}
	for _, f := range s.In.Fields {
		print = append(print, f.Name+":"+f.Type.String())
	}
	for _, step := range s.Steps {
		where := ""
		if step.Where != nil {
			where = step.Where.String()
		}
		print = append(print, fmt.Sprintf("%s times=%d absent=%v %s", step.As, step.Times, step.Absent, where))
	}
	for k, columns := range s.kept() {
		print = append(print, fmt.Sprintf("kept of %d: %v", k, columns))
	}
	return []state.Spec{withSecond(keyedStore(name, strings.Join(print, "\n")))}
}

// Detect finds sequences of rows of one key, in order of event time: rows wait
// until the watermark has passed them, and one that comes after that is late.
//
//	pattern a, b          rows   a . a . b        . is a row that matches neither
//	a match                      └───────┘ first  skipped rows are between
//	                                 └───┘ second
//
// Each row that matches the first step begins an open match, which takes the
// next row that matches its next step, and so on; with times it takes so many,
// and the name of the step is the last of them. A row takes part in an open
// match at most once. `skip: past_last` ends the others of the key when one is
// complete: a match begins behind the last row of the one before. With
// `skip: none` all are found, also those that overlap.
//
// An open match ends when a row of its key comes more than `within` after its
// first row. Absent steps: a row that matches one, after the step before it and
// before the first row of the step behind it, ends the open match; a row that
// matches the step behind it as well counts as that one. An absent step at the
// end holds when the watermark passes the first row's time plus `within` and no
// such row has come: its match has that time. So it does at the end of input.
//
// A condition that reads only the row is evaluated on every row of the input,
// and a row where one fails is an error and no part of anything. One that reads
// earlier steps is evaluated for the open matches that ask for it, and a row
// where it fails does not match. A key has at most maxOpen open matches; a row
// that would begin another is an error.
func Detect(s *DetectSpec) func(*engine.Context) (engine.Operator, error) {
	return func(ctx *engine.Context) (engine.Operator, error) {
		if s.Out == nil {
			return nil, fmt.Errorf("detect: the spec is not complete, see Done")
		}
		return newDetector(s, ctx)
	}
}

// maxOpen bounds the open matches of a key.
const maxOpen = 1000
