package operators

import (
	"fmt"
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
	return []state.Spec{keyedStore(name, strings.Join(print, "\n"))}
}

func Detect(s *DetectSpec) func(*engine.Context) (engine.Operator, error) {
	return func(*engine.Context) (engine.Operator, error) { return nil, fmt.Errorf("detect is being written") }
}
