package operators

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/operators/expr"
	"github.com/leatstream/leat/state"
)

// AlertSpec describes which rows of a stream or table make notifications.
// NewAlert completes it with Out.
type AlertSpec struct {
	In, Out *engine.Schema
	Key     []GroupColumn // one alert for each; none: one for all rows
	When    *expr.Program // nil: every row
	Resolve *expr.Program // nil: not When
	Repeat  time.Duration // a firing alert is sent again after this, event time; 0: never
	After   time.Duration // without a firing row for this long it is resolved; 0: never
}

// The columns that a notification has behind those of its row.
const (
	AlertStatus = "alert.status" // firing or resolved
	AlertSince  = "alert.since"  // event time of the row that began it
	AlertAt     = "alert.at"     // event time of this notification
)

// NewAlert completes a spec. The error is for the person who wrote it.
func NewAlert(s AlertSpec) (AlertSpec, error) {
	fields := append([]engine.Field(nil), s.In.Fields...)
	for _, f := range fields {
		if f.Name == "alert" || len(f.Name) > 6 && f.Name[:6] == "alert." {
			return s, fmt.Errorf("the input has a column %s: notifications have columns of that name", f.Name)
		}
	}
	s.Out = engine.NewSchema(append(fields, engine.Field{Name: AlertStatus, Type: engine.String},
		engine.Field{Name: AlertSince, Type: engine.Timestamp}, engine.Field{Name: AlertAt, Type: engine.Timestamp})...)
	return s, nil
}

// AlertStores lists the one store of an alert.
func AlertStores(name string, s AlertSpec) []state.Spec {
	print := fmt.Sprintf("alert/1 key=%s", groupPrint(s.Key, s.In))
	for _, f := range s.In.Fields {
		print += " " + f.Name + ":" + f.Type.String()
	}
	return []state.Spec{keyedStore(name, print)}
}

// Alert decides what is told, and when:
//
//	        when                       when, Repeat after the last
//	quiet ────────▶ firing: "firing" ──────────────────────────────▶ "firing"
//	  ▲                │
//	  └─ "resolved" ◀──┘ resolve, the row is deleted, or After without a firing row
//
// A row goes out as it was when that happened, with AlertStatus, AlertSince and
// AlertAt behind its columns. Only firing keys are remembered. Rows are judged
// in the order in which they come.
func Alert(s AlertSpec) func(*engine.Context) (engine.Operator, error) {
	return func(ctx *engine.Context) (engine.Operator, error) {
		a := &alerter{spec: s, ctx: ctx, group: newGrouper(s.Key, groupSchema(s.Key, s.In)), store: newKeyed(ctx, ctx.Tables[0]), rows: newRows(s.Out, false)}
		if s.When != nil {
			a.when = s.When.New()
		}
		if s.Resolve != nil {
			a.resolve = s.Resolve.New()
		}
		return a, nil
	}
}

type alerter struct {
	spec          AlertSpec
	ctx           *engine.Context
	group         *grouper
	store         *keyed
	when, resolve *expr.Eval
	rows          *rows
	timers        timers
	fires, calms  []bool // per row
	buf           []int32
	scratch       []byte
}

// firing is what is remembered of a key that fires.
type firing struct {
	since, sent, last int64  // first row, last notification, last firing row: event times
	row               []byte // the last firing row
}

func (f firing) encode(dst []byte) []byte {
	dst = append(dst, 1)
	for _, t := range []int64{f.since, f.sent, f.last} {
		dst = binary.AppendVarint(dst, t)
	}
	return append(dst, f.row...)
}

var errAlert = errors.New("the state of an alert does not decode")

func decodeFiring(b []byte) (f firing, err error) {
	if len(b) < 4 || b[0] != 1 {
		return f, errAlert
	}
	b = b[1:]
	for _, to := range []*int64{&f.since, &f.sent, &f.last} {
		v, n := binary.Varint(b)
		if n <= 0 {
			return f, errAlert
		}
		*to, b = v, b[n:]
	}
	f.row = b
	return f, nil
}

// Process judges one batch.
func (a *alerter) Process(b *engine.Batch, out engine.Emit) error {
	bad := func(row int32, err error) error { return a.ctx.Bad(engine.StageExpression, b, row, err) }
	var news, gone []int32
	for _, i := range b.Sel {
		if b.Op != nil && b.Op[i] == engine.Delete {
			gone = append(gone, i)
		} else {
			news = append(news, i)
		}
	}
	if len(news) > 0 {
		if err := a.news(b, news, bad, out); err != nil {
			return err
		}
	}
	if len(gone) > 0 {
		sel, _, err := a.group.rows(b, b.Old, gone, func(int32, error) error { return nil })
		if err != nil {
			return err
		}
		for _, i := range sel {
			if err := a.end(a.group.keys[i], b.Time[i], out); err != nil {
				return err
			}
		}
	}
	return a.rows.flush(out)
}

func (a *alerter) news(b *engine.Batch, sel []int32, bad func(int32, error) error, out engine.Emit) error {
	sel, nulls, err := a.group.rows(b, b.Cols, sel, bad)
	if err != nil {
		return err
	}
	if nulls > 0 {
		a.ctx.Count("null_keys", nulls)
	}
	a.fires, a.calms = reset(a.fires, b.N), reset(a.calms, b.N)
	pass := func(e *expr.Eval, to []bool) error {
		if a.buf, err = e.Filter(b, b.Cols, sel, a.buf, bad); err != nil {
			return err
		}
		for _, i := range a.buf {
			to[i] = true
		}
		return nil
	}
	switch {
	case a.when == nil:
		for _, i := range sel {
			a.fires[i] = true
		}
	default:
		if err := pass(a.when, a.fires); err != nil {
			return err
		}
	}
	if a.resolve != nil {
		if err := pass(a.resolve, a.calms); err != nil {
			return err
		}
	}
	for _, i := range sel {
		key := a.group.keys[i]
		switch {
		case a.fires[i]:
			err = a.fire(b, i, key, out)
		case a.resolve == nil || a.calms[i]:
			err = a.calm(b, i, key, out)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// fire begins an alert, or goes on with it.
func (a *alerter) fire(b *engine.Batch, i int32, key string, out engine.Emit) error {
	t := b.Time[i]
	f := firing{since: t, sent: t, last: t}
	was, err := a.store.get(key)
	if err != nil {
		return err
	}
	send := true
	if was != nil {
		if f, err = decodeFiring(was); err != nil {
			return err
		}
		f.last = max(f.last, t)
		every := a.spec.Repeat.Milliseconds()
		if send = every > 0 && t-f.sent >= every; send {
			f.sent = t
		}
	}
	f.row = appendRow(nil, b.Cols, i)
	a.scratch = f.encode(a.scratch[:0])
	if err := a.store.put(key, a.scratch); err != nil {
		return err
	}
	if silence := a.spec.After.Milliseconds(); silence > 0 {
		a.timers.set(after(f.last, silence), key)
	}
	if !send {
		return nil
	}
	return a.send(b.Cols, i, "firing", f.since, t, out)
}

// calm resolves an alert by a row that does not fire.
func (a *alerter) calm(b *engine.Batch, i int32, key string, out engine.Emit) error {
	was, err := a.store.get(key)
	if err != nil || was == nil {
		return err
	}
	f, err := decodeFiring(was)
	if err != nil {
		return err
	}
	if err := a.store.remove(key); err != nil {
		return err
	}
	return a.send(b.Cols, i, "resolved", f.since, b.Time[i], out)
}

// end resolves an alert with the row that last fired.
func (a *alerter) end(key string, at int64, out engine.Emit) error {
	was, err := a.store.get(key)
	if err != nil || was == nil {
		return err
	}
	f, err := decodeFiring(was)
	if err != nil {
		return err
	}
	row := a.store.hold(f.row)
	if err := a.store.remove(key); err != nil {
		return err
	}
	i, err := a.rows.next(out, engine.Insert, at, at, engine.MinTime)
	if err != nil {
		return err
	}
	n := len(a.spec.In.Fields)
	if _, ok := readRow(row, a.rows.b.Cols[:n], i, rowsPerBatch); !ok {
		return errAlert
	}
	a.status(i, "resolved", f.since, at)
	return nil
}

func (a *alerter) send(cols []engine.Column, from int32, status string, since, at int64, out engine.Emit) error {
	i, err := a.rows.next(out, engine.Insert, at, at, engine.MinTime)
	if err != nil {
		return err
	}
	for c := range a.spec.In.Fields {
		copyCell(&a.rows.b.Cols[c], i, rowsPerBatch, &cols[c], from)
	}
	a.status(i, status, since, at)
	return nil
}

func (a *alerter) status(i int32, status string, since, at int64) {
	n := len(a.spec.In.Fields)
	cols := a.rows.b.Cols
	cols[n].Strs[i], cols[n+1].Ints[i], cols[n+2].Ints[i] = status, since, at
}

// Advance resolves what has not fired for After.
func (a *alerter) Advance(w int64, budget *engine.Budget, out engine.Emit) (int64, bool, error) {
	silence := a.spec.After.Milliseconds()
	if silence == 0 || w == engine.MaxTime { // the end of input resolves nothing
		return w, true, nil
	}
	for {
		_, key, ok := a.timers.next(w)
		if !ok {
			break
		}
		was, err := a.store.get(key)
		if err != nil {
			return 0, false, err
		}
		if was == nil {
			continue
		}
		f, err := decodeFiring(was)
		if err != nil {
			return 0, false, err
		}
		due := after(f.last, silence)
		if due > w {
			a.timers.set(due, key)
			continue
		}
		if err := a.end(key, due, out); err != nil {
			return 0, false, err
		}
		if !budget.Take(64 + 16*len(a.spec.Out.Fields)) {
			return w, false, a.rows.flush(out)
		}
	}
	return w, true, a.rows.flush(out)
}

// Committed and RolledBack keep the timers in step with the store.
func (a *alerter) Committed() { a.timers.committed() }

// RolledBack sets again what was due.
func (a *alerter) RolledBack() { a.timers.rolledBack() }

// Recovered sets the timers of all that fires.
func (a *alerter) Recovered() error {
	a.timers.clear()
	silence := a.spec.After.Milliseconds()
	if silence == 0 {
		return nil
	}
	var failed error
	err := a.store.each(func(key string, value []byte) bool {
		f, err := decodeFiring(value)
		if err != nil {
			failed = err
			return false
		}
		a.timers.set(after(f.last, silence), key)
		return true
	})
	return errors.Join(err, failed)
}
