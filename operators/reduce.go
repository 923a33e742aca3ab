package operators

import (
	"fmt"
	"strings"
	"time"

	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/operators/expr"
	"github.com/leatstream/leat/state"
)

// ReduceSpec describes a reduce. NewReduce makes it, without Init and Fold.
type ReduceSpec struct {
	In, Out *engine.Schema // Out: the group columns, then those of the state
	// Env is what the expressions of Init and Fold read: the columns of In, then
	// state.<column> for each column of the state.
	Env      *engine.Schema
	Group    []GroupColumn
	State    []engine.Field
	Init     []*expr.Program // per column of State; nil: null
	Fold     []ReduceCase
	Throttle time.Duration // of updates; 0: at each commit
	TTL      time.Duration // event time since the key's last row; 0: for ever
	ByTime   bool          // order: event_time
}

// ReduceCase is an entry of fold. The first whose condition is true counts.
type ReduceCase struct {
	When   *expr.Program // nil: always
	Set    []ReduceSet
	Delete bool // the key's row goes; nothing is set
}

// ReduceSet sets a column of the state. Its type is Assignable.
type ReduceSet struct {
	Column int // of State
	Expr   *expr.Program
}

// NewReduce describes a reduce of rows of schema in. The error is for the
// person who wrote it.
func NewReduce(in *engine.Schema, group []GroupColumn, state []engine.Field) (ReduceSpec, error) {
	s := ReduceSpec{In: in, Group: group, State: state, Init: make([]*expr.Program, len(state))}
	env := append([]engine.Field(nil), in.Fields...)
	out := append([]engine.Field(nil), groupSchema(group, in).Fields...)
	taken := map[string]bool{}
	for _, f := range out {
		taken[f.Name] = true
	}
	for _, f := range state {
		name := "state." + f.Name
		if in.Lookup(name) >= 0 {
			return s, fmt.Errorf("the input has a column %s: rename it with a map before", name)
		}
		if taken[f.Name] {
			return s, fmt.Errorf("%s is a group column or stands twice: the state needs another name", f.Name)
		}
		taken[f.Name] = true
		env = append(env, engine.Field{Name: name, Type: f.Type, Unit: f.Unit})
		out = append(out, f)
	}
	s.Env, s.Out = engine.NewSchema(env...), engine.NewSchema(out...)
	return s, nil
}

// ReduceStores lists the one store of a reduce.
func ReduceStores(name string, s ReduceSpec) []state.Spec {
	print := []string{fmt.Sprintf("reduce/1 key=%s ordered=%v", groupPrint(s.Group, s.In), s.ByTime)}
	for _, f := range s.State {
		print = append(print, f.Name+":"+f.Type.String())
	}
	if s.ByTime {
		for _, f := range s.In.Fields {
			print = append(print, "in "+f.Name+":"+f.Type.String())
		}
	}
	return []state.Spec{keyedStore(name, strings.Join(print, "\n"))}
}

func Reduce(s ReduceSpec) func(*engine.Context) (engine.Operator, error) {
	return func(*engine.Context) (engine.Operator, error) { return nil, fmt.Errorf("reduce is being written") }
}
