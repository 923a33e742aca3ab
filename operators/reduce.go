package operators

import (
	"errors"
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
	spec := keyedStore(name, "")
	if s.ByTime {
		spec = withSecond(spec)
		for _, f := range s.In.Fields {
			print = append(print, "in "+f.Name+":"+f.Type.String())
		}
	}
	spec.Fingerprint = strings.Join(print, "\n")
	return []state.Spec{spec}
}

// Reduce folds the rows of a key, one after the other, into its state: a row of
// a table.
//
//	row ─▶ first case whose `when` is true ─▶ set | delete ─▶ state of the key
//	                                                             │ changed?
//	commit ─▶ old row, new row ◀─────────────────────────────────┘
//
// A key has no row until a case takes one of its rows; before that, and after a
// delete, state.x reads init. All of a set reads the state as it was before the
// row. A row that no case takes leaves the state as it is, and so does one
// whose expression fails, which is reported. What goes downstream at a commit
// is the change since the last one; a state that is again what it was, or that
// came and went, is not sent.
//
// The time of a result is the greatest event time of the rows that a case took,
// since the key has its row.
// With a ttl the row is deleted when the watermark is more than that past the
// key's last row, taken or not, and a row more than the ttl after it finds init.
// The end of the input deletes nothing.
//
// Rows are folded as they come or, by time, when the watermark has passed them.
// There is no snapshot to take: the state of a key is its newest row, kept in
// the changelog, and no history of events is kept beside it.
func Reduce(s ReduceSpec) func(*engine.Context) (engine.Operator, error) {
	return func(ctx *engine.Context) (engine.Operator, error) {
		r := &reducer{spec: s, ctx: ctx, store: newKeyed(ctx, ctx.Tables[0]), group: newGrouper(s.Group, groupSchema(s.Group, s.In)),
			out: newRows(s.Out, true), pending: map[string]bool{}, ttl: s.TTL.Milliseconds()}
		if r.ttl < 0 || r.ttl > maxSpanMs {
			return nil, fmt.Errorf("reduce with a ttl of %s: at most 35000 years", s.TTL)
		}
		for _, p := range s.Init {
			var e *expr.Eval
			if p != nil {
				e = p.New()
			}
			r.init = append(r.init, e)
		}
		for _, c := range s.Fold {
			e := reduceEvals{}
			if c.When != nil {
				e.when = c.When.New()
			}
			for _, set := range c.Set {
				if t := s.State[set.Column].Type; !Assignable(t, set.Expr.Type()) {
					return nil, fmt.Errorf("reduce: %s is %s, and %s is %s", s.State[set.Column].Name, t, set.Expr, set.Expr.Type())
				}
				e.set = append(e.set, set.Expr.New())
			}
			r.cases = append(r.cases, e)
		}
		if s.ByTime {
			waiting := newKeyed(ctx, ctx.Tables[0])
			waiting.family = state.Sent
			r.order = newOrdered(ctx, waiting, s.In)
		}
		r.pre, r.post = make([]engine.Column, len(s.State)), make([]engine.Column, len(s.State))
		return r, nil
	}
}

type reducer struct {
	spec  ReduceSpec
	ctx   *engine.Context
	store *keyed
	group *grouper
	init  []*expr.Eval
	cases []reduceEvals
	out   *rows
	order *ordered // nil: rows are folded as they come
	ttl   int64    // ms; 0: for ever
	due   timers   // of the ttl

	pending map[string]bool // keys with changes that were not sent, or may have
	changed []string        // the same, in the order of the first change
	flushed []string        // keys that were sent since the last commit
	sent    int64           // ctx.Now of the last update
	kept    int64           // sent, as of the last commit

	foldMemory
	buf, row []byte
}

// Process folds one batch, or makes it wait.
func (r *reducer) Process(b *engine.Batch, _ engine.Emit) error {
	if b.Op != nil {
		return errors.New("reduce over a table: its changes are no events")
	}
	if r.order == nil {
		return r.fold(b)
	}
	for _, i := range b.Sel {
		if err := r.order.add(b, i); err != nil {
			return err
		}
	}
	return nil
}

// Advance folds the rows that the watermark has passed, and deletes the keys
// that had none for too long.
func (r *reducer) Advance(w int64, budget *engine.Budget, _ engine.Emit) (int64, bool, error) {
	for r.order != nil {
		b, _, err := r.order.release(w)
		if err != nil {
			return w, false, err
		}
		if b == nil {
			break
		}
		if err := r.fold(b); err != nil {
			return w, false, err
		}
		budget.Rows -= len(b.Sel) - 1
		if !budget.Take(len(b.Sel) * 16 * len(b.Cols)) {
			return engine.MinTime, false, nil
		}
	}
	for r.ttl > 0 && w != engine.MaxTime { // the end of the input is no time that passes
		_, key, ok := r.due.next(w)
		if !ok {
			break
		}
		if err := r.expire(key, w); err != nil {
			return w, false, err
		}
	}
	return w, true, nil
}

// expire deletes a key's row when its time has come.
func (r *reducer) expire(key string, w int64) error {
	value, err := r.store.get(key)
	if err != nil || value == nil {
		return err
	}
	e, ok := readReduced(view(value))
	if !ok {
		return errReduced
	}
	if !e.has {
		return nil // deleted, and not sent yet
	}
	if at := e.last + r.ttl + 1; at > w {
		r.due.set(at, key)
		return nil
	}
	e.has, e.row, e.time = false, "", max(e.time, e.last+r.ttl)
	r.buf = e.append(r.buf[:0])
	if err := r.store.put(key, r.buf); err != nil {
		return err
	}
	r.await(key)
	return nil
}

// await notes a key that has changed.
func (r *reducer) await(key string) {
	if !r.pending[key] {
		key = strings.Clone(key)
		r.pending[key] = true
		r.changed = append(r.changed, key)
	}
}

// Flush sends the rows that have changed, at most once per throttle.
func (r *reducer) Flush(now int64, all bool, out engine.Emit) error {
	// A clock that was set back must not hold updates up.
	since := now - r.sent
	if len(r.changed) == 0 || !all && since >= 0 && since < r.spec.Throttle.Milliseconds() {
		return nil
	}
	r.sent = now
	for _, key := range r.changed {
		if err := r.send(key, out); err != nil {
			return err
		}
	}
	r.flushed = append(r.flushed, r.changed...)
	clear(r.pending)
	r.changed = r.changed[:0]
	return r.out.flush(out)
}

// send sends what has changed of a key, and makes it what was sent.
func (r *reducer) send(key string, out engine.Emit) error {
	value, err := r.store.get(key)
	if err != nil || value == nil {
		return err
	}
	e, ok := readReduced(r.store.hold(value))
	if !ok {
		return errReduced
	}
	op := engine.Update
	switch {
	case !e.has && !e.wasSent:
		return r.store.remove(key) // it came and went
	case !e.has:
		op = engine.Delete
	case !e.wasSent:
		op = engine.Insert
	case e.row == e.sent:
		return nil
	}
	i, err := r.out.next(out, op, e.time, e.time, engine.MinTime)
	if err != nil {
		return err
	}
	held := r.store.hold([]byte(key))
	b := &r.out.b
	if op != engine.Delete && !r.read(held, e.row, b.Cols, i) || op != engine.Insert && !r.read(held, e.sent, b.Old, i) {
		return errReduced
	}
	if !e.has {
		return r.store.remove(key)
	}
	e.wasSent, e.sent = true, e.row
	r.buf = e.append(r.buf[:0])
	return r.store.put(key, r.buf)
}

// read fills in a row of the table.
func (r *reducer) read(key, row string, cols []engine.Column, i int32) bool {
	r.group.decode(key, cols, i)
	rest, ok := readRow(row, cols[len(r.spec.Group):], i, rowsPerBatch)
	return ok && rest == ""
}

// Committed keeps when updates were sent; what is pending stays pending.
func (r *reducer) Committed() {
	r.kept, r.flushed = r.sent, r.flushed[:0]
	r.due.committed()
	if r.order != nil {
		r.order.committed()
	}
}

// RolledBack awaits again what was sent since the last commit. What changed
// since then is awaited still; there is nothing to send of it.
func (r *reducer) RolledBack() {
	r.sent = r.kept
	for _, key := range r.flushed {
		r.await(key)
	}
	r.flushed = r.flushed[:0]
	r.due.rolledBack()
	if r.order != nil {
		r.order.rolledBack()
	}
}

// Recovered finds the changes that were not sent, the times at which keys end
// and the rows that wait.
func (r *reducer) Recovered() error {
	r.due.clear()
	clear(r.pending)
	r.changed = r.changed[:0]
	err := r.store.each(func(key string, value []byte) error {
		e, ok := readReduced(view(value))
		if !ok {
			return errReduced
		}
		if e.has && r.ttl > 0 {
			r.due.set(e.last+r.ttl+1, key)
		}
		if e.has != e.wasSent || e.row != e.sent {
			r.await(key)
		}
		return nil
	})
	if err == nil && r.order != nil {
		err = r.order.recovered()
	}
	return err
}

// Remember is where the order of rows stands.
func (r *reducer) Remember() []byte {
	b := []byte{1}
	if r.order != nil {
		b = r.order.remember(b)
	}
	return b
}

// Recall reads what Remember wrote.
func (r *reducer) Recall(b []byte) error {
	switch {
	case len(b) > 0 && b[0] == 1 && r.order != nil:
		return r.order.recall(b[1:])
	case len(b) == 1 && b[0] == 1:
		return nil
	}
	return errors.New("what a reduce remembered does not decode")
}
