package operators

import (
	"fmt"
	"slices"
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
	// Level is the priority of all, of AlertLevels; Priority, where it is given,
	// makes the name of one of each row.
	Level    int
	Priority *expr.Program
	Quiet    *Quiet // nil: none
}

// AlertLevels are the priorities of alerts, the least first.
var AlertLevels = []string{"low", "normal", "high", "urgent"}

const normalLevel = 1

// The columns that a notification has behind those of its row.
const (
	AlertStatus   = "alert.status"   // firing or resolved
	AlertPriority = "alert.priority" // one of AlertLevels
	AlertSince    = "alert.since"    // event time of the row that began it
	AlertAt       = "alert.at"       // event time of what this notification tells of
)

// alertFields are the types of these columns.
var alertFields = []engine.Field{{Name: AlertStatus, Type: engine.String}, {Name: AlertPriority, Type: engine.String},
	{Name: AlertSince, Type: engine.Timestamp}, {Name: AlertAt, Type: engine.Timestamp}}

// NewAlert completes a spec. The error is for the person who wrote it.
func NewAlert(s AlertSpec) (AlertSpec, error) {
	fields := slices.Clone(s.In.Fields)
	for _, f := range fields {
		if f.Name == "alert" || len(f.Name) > 6 && f.Name[:6] == "alert." {
			return s, fmt.Errorf("the input has a column %s: notifications have columns of that name", f.Name)
		}
	}
	s.Out = engine.NewSchema(append(fields, alertFields...)...)
	return s, nil
}

// AlertStores lists the one store of an alert. Quiet hours and priorities may
// change while there is state.
func AlertStores(name string, s AlertSpec) []state.Spec {
	print := fmt.Sprintf("alert/1 key=%s", groupPrint(s.Key, s.In))
	for _, f := range s.In.Fields {
		print += " " + f.Name + ":" + f.Type.String()
	}
	return []state.Spec{keyedStore(name, print)}
}

// Alert decides what is told, and when:
//
//	        when                       when, Repeat after the last, or with a higher priority
//	calm ─────────▶ firing: "firing" ──────────────────────────────▶ "firing"
//	  ▲                │
//	  └─ "resolved" ◀──┘ resolve, the row is deleted, or After without a firing row
//
// A row goes out as it was when that happened, with AlertStatus, AlertPriority,
// AlertSince and AlertAt behind its columns. Rows are judged in the order in
// which they come. A resolution has the highest priority that its alert had.
//
// In quiet hours nothing goes out. What is to be told is held, the newest of each
// key, until the watermark reaches their end, or until something of the key may
// be told:
//
//	22:00 ──────────────── quiet ──────────────── 07:00
//	      fires   resolves   fires                  │
//	      held ──▶ held ────▶ held ─────────────────┴──▶ "firing", as it stands
//
// With Quiet.Drop only what changes what people believe is held: that an alert is
// over of which they heard. One that fires on is told with its next row.
func Alert(s AlertSpec) func(*engine.Context) (engine.Operator, error) {
	return func(ctx *engine.Context) (engine.Operator, error) {
		schema := groupSchema(s.Key, s.In)
		a := &alerter{spec: s, ctx: ctx, group: newGrouper(s.Key, schema), before: newGrouper(s.Key, schema), store: newKeyed(ctx, ctx.Tables[0]), rows: newRows(s.Out, false)}
		for _, e := range []struct {
			from *expr.Program
			to   **expr.Eval
		}{{s.When, &a.when}, {s.Resolve, &a.resolve}, {s.Priority, &a.priority}} {
			if e.from != nil {
				*e.to = e.from.New()
			}
		}
		if s.Quiet != nil && s.Quiet.Through != nil {
			a.through = s.Quiet.Through.New()
		}
		return a, nil
	}
}

type alerter struct {
	spec                             AlertSpec
	ctx                              *engine.Context
	group, before                    *grouper // of rows as they are, and as they were
	store                            *keyed
	when, resolve, priority, through *expr.Eval
	rows                             *rows
	timers                           timers
	judged                           []verdict // per row
	buf                              []int32
	scratch                          []byte
}

// verdict is what a row is to its alert.
type verdict struct {
	keyed, gone     bool // it has a key; it had one
	fires, resolves bool
	through         bool
	level           int8
}

// Process judges one batch.
func (a *alerter) Process(b *engine.Batch, out engine.Emit) error {
	if err := a.judge(b); err != nil {
		return err
	}
	for _, i := range b.Sel {
		var err error
		v := a.judged[i]
		if v.gone && !(v.keyed && a.group.keys[i] == a.before.keys[i]) {
			err = a.lose(b, i, out)
		}
		switch {
		case err != nil:
		case v.keyed && v.fires:
			err = a.fire(b, i, v, out)
		case v.keyed && v.resolves:
			err = a.calm(b, i, out)
		}
		if err != nil {
			return err
		}
	}
	return a.rows.flush(out)
}

// judge asks the expressions of all rows.
func (a *alerter) judge(b *engine.Batch) error {
	a.judged = reset(a.judged, b.N)
	bad := func(row int32, err error) error {
		a.judged[row].keyed = false // it neither fires nor resolves
		return a.ctx.Bad(engine.StageExpression, b, row, err)
	}
	var sel, was []int32
	for _, i := range b.Sel {
		if b.Op == nil || b.Op[i] != engine.Delete {
			sel = append(sel, i)
		}
		if b.Op != nil && b.Op[i] != engine.Insert {
			was = append(was, i)
		}
	}
	if len(was) > 0 {
		keyed, _, err := a.before.rows(b, b.Old, was, bad)
		if err != nil {
			return err
		}
		for _, i := range keyed {
			a.judged[i].gone = true
		}
	}
	if len(sel) == 0 {
		return nil
	}
	keyed, nulls, err := a.group.rows(b, b.Cols, sel, bad)
	if err != nil {
		return err
	}
	if nulls > 0 {
		a.ctx.Count("null_keys", nulls)
	}
	sel = slices.Clone(keyed)
	mark := func(e *expr.Eval, among []int32, set func(v *verdict)) ([]int32, error) {
		if a.buf, err = e.Filter(b, b.Cols, among, a.buf, bad); err != nil {
			return nil, err
		}
		for _, i := range a.buf {
			set(&a.judged[i])
		}
		return slices.Clone(a.buf), nil
	}
	for _, i := range sel {
		a.judged[i] = verdict{keyed: true, gone: a.judged[i].gone, fires: a.when == nil, resolves: a.resolve == nil, level: int8(a.spec.Level), through: a.lets(a.spec.Level)}
	}
	fires := sel
	if a.when != nil {
		if fires, err = mark(a.when, sel, func(v *verdict) { v.fires = true }); err != nil {
			return err
		}
	}
	if a.resolve != nil {
		if _, err = mark(a.resolve, sel, func(v *verdict) { v.resolves = true }); err != nil {
			return err
		}
	}
	if a.through != nil {
		if _, err = mark(a.through, fires, func(v *verdict) { v.through = true }); err != nil {
			return err
		}
	}
	if a.priority == nil {
		return nil
	}
	col, fine, err := a.priority.Column(b, b.Cols, fires, bad)
	if err != nil {
		return err
	}
	for _, i := range fires {
		a.judged[i].fires = false // unless it has a priority
	}
	for _, i := range fine {
		v := &a.judged[i]
		v.level, v.fires = normalLevel, true
		if !col.Null(i) {
			level := slices.Index(AlertLevels, col.Strs[i])
			if level < 0 {
				if err := bad(i, fmt.Errorf("the priority is %q: low, normal, high and urgent are there", col.Strs[i])); err != nil {
					return err
				}
			}
			v.level = int8(level)
		}
		if a.through == nil {
			v.through = a.lets(int(v.level))
		}
	}
	return nil
}

// lets tells whether quiet hours let a priority through.
func (a *alerter) lets(level int) bool {
	q := a.spec.Quiet
	return q != nil && q.FromLevel > 0 && level >= q.FromLevel
}

// quiet tells whether what happens at t is held, and until when. Quiet hours that
// have ended by over, the watermark of the row's partition, hold nothing: it would
// go out at once.
func (a *alerter) quiet(t, over int64) (end int64, yes bool) {
	end, yes = a.spec.Quiet.End(t)
	return end, yes && end > over
}

func (a *alerter) load(key string) (f firing, there bool, err error) {
	was, err := a.store.get(key)
	if err != nil || was == nil {
		return firing{level: -1}, false, err
	}
	f, err = decodeFiring(was)
	return f, true, err
}

// settled is load after all that time has done to a key before a row came: as
// the watermark of the row's partition tells, not when the task is told, so that
// it makes no difference how rows are batched.
func (a *alerter) settled(key string, over int64, out engine.Emit) (firing, error) {
	for {
		f, there, err := a.load(key)
		if err != nil || !there {
			return f, err
		}
		if did, err := a.pass(key, &f, over, out); err != nil || !did {
			return f, err
		}
	}
}

func (a *alerter) save(key string, f *firing) error {
	a.scratch = f.encode(a.scratch[:0])
	return a.store.put(key, a.scratch)
}

// fire begins an alert, or goes on with it.
func (a *alerter) fire(b *engine.Batch, i int32, v verdict, out engine.Emit) error {
	t, key, level := b.Time[i], a.group.keys[i], int(v.level)
	f, err := a.settled(key, rowOrigin(b, i), out)
	if err != nil {
		return err
	}
	tell := true
	if f.on {
		every := a.spec.Repeat.Milliseconds()
		tell = f.held == heldFiring || level > f.level || every > 0 && t-f.sent >= every
		f.last = max(f.last, t)
	} else {
		// What is held of the one before it is told with this one, if at all.
		f = firing{on: true, open: f.open, level: -1, since: t, sent: t, last: t}
	}
	f.row = appendRow(nil, b.Cols, i)
	if tell {
		f.level, f.through = max(f.level, level), f.through || v.through
		end, quiet := a.quiet(t, rowOrigin(b, i))
		switch {
		case !quiet || v.through:
			f.held, f.heldRow, f.open, f.sent = nothing, nil, true, t
			err = a.send(b.Cols, i, f.level, f.since, t, out)
		case f.held == nothing:
			f.held, f.heldAt, f.heldSince = heldFiring, t, f.since
			if !a.spec.Quiet.Drop {
				a.timers.set(end, key)
			}
		}
		if err != nil {
			return err
		}
	}
	if silence := a.spec.After.Milliseconds(); silence > 0 {
		a.timers.set(after(f.last, silence), key)
	}
	return a.save(key, &f)
}

// calm resolves an alert by a row that does not fire.
func (a *alerter) calm(b *engine.Batch, i int32, out engine.Emit) error {
	key := a.group.keys[i]
	f, err := a.settled(key, rowOrigin(b, i), out)
	if err != nil || !f.on {
		return err
	}
	t := b.Time[i]
	now, err := a.finish(key, &f, t, rowOrigin(b, i), func() []byte { return appendRow(nil, b.Cols, i) })
	if err != nil || !now {
		return err
	}
	return a.sendAs(b.Cols, i, "resolved", f.level, f.since, t, t, out)
}

// lose resolves the alert of a row that was deleted, or has another key now.
func (a *alerter) lose(b *engine.Batch, i int32, out engine.Emit) error {
	key := a.before.keys[i]
	f, err := a.settled(key, rowOrigin(b, i), out)
	if err != nil || !f.on {
		return err
	}
	return a.end(key, &f, b.Time[i], rowOrigin(b, i), out)
}

// end resolves an alert with the row that last fired.
func (a *alerter) end(key string, f *firing, at, over int64, out engine.Emit) error {
	row := a.store.hold(f.row)
	now, err := a.finish(key, f, at, over, func() []byte { return []byte(row) })
	if err != nil || !now {
		return err
	}
	return a.again(row, "resolved", f.level, f.since, at, at, out)
}

// finish makes an alert one that is over, at a time; now: it is to be told.
func (a *alerter) finish(key string, f *firing, at, over int64, row func() []byte) (now bool, err error) {
	drop := a.spec.Quiet != nil && a.spec.Quiet.Drop
	if drop && !f.open {
		return false, a.store.remove(key) // nobody has heard of it
	}
	end, quiet := a.quiet(at, over)
	if !quiet || f.through {
		return true, a.store.remove(key)
	}
	f.on, f.held, f.heldAt, f.heldSince, f.heldRow, f.row = false, heldResolved, at, f.since, row(), nil
	a.timers.set(end, key)
	return false, a.save(key, f)
}

func (a *alerter) send(cols []engine.Column, from int32, level int, since, at int64, out engine.Emit) error {
	return a.sendAs(cols, from, "firing", level, since, at, at, out)
}

// sendAs sends a row of a batch; at is AlertAt, t the row's own time.
func (a *alerter) sendAs(cols []engine.Column, from int32, status string, level int, since, at, t int64, out engine.Emit) error {
	i, err := a.rows.next(out, engine.Insert, t, t, engine.MinTime)
	if err != nil {
		return err
	}
	for c := range a.spec.In.Fields {
		copyCell(&a.rows.b.Cols[c], i, rowsPerBatch, &cols[c], from)
	}
	a.told(i, status, level, since, at)
	return nil
}

// again sends a row that was kept.
func (a *alerter) again(row, status string, level int, since, at, t int64, out engine.Emit) error {
	i, err := a.rows.next(out, engine.Insert, t, t, engine.MinTime)
	if err != nil {
		return err
	}
	if _, ok := readRow(row, a.rows.b.Cols[:len(a.spec.In.Fields)], i, rowsPerBatch); !ok {
		return errAlert
	}
	a.told(i, status, level, since, at)
	return nil
}

func (a *alerter) told(i int32, status string, level int, since, at int64) {
	cols := a.rows.b.Cols[len(a.spec.In.Fields):]
	cols[0].Strs[i], cols[1].Strs[i], cols[2].Ints[i], cols[3].Ints[i] = status, AlertLevels[max(level, 0)], since, at
}

// due is when something is to be done with a key next: it is silent for long
// enough, or what is held of it may go.
func (a *alerter) due(f *firing) (silent, free int64) {
	silent, free = engine.MaxTime, engine.MaxTime
	if silence := a.spec.After.Milliseconds(); silence > 0 && f.on {
		silent = after(f.last, silence)
	}
	if f.held == heldResolved || f.held == heldFiring && !(a.spec.Quiet != nil && a.spec.Quiet.Drop) {
		free, _ = a.spec.Quiet.End(f.heldAt)
	}
	return silent, free
}

// pass does the first of what is due with a key until a time; did: it was
// something.
func (a *alerter) pass(key string, f *firing, until int64, out engine.Emit) (did bool, err error) {
	silent, free := a.due(f)
	switch {
	case free <= min(silent, until) && free < engine.MaxTime:
		return true, a.release(key, f, free, out)
	case silent <= until && silent < engine.MaxTime:
		return true, a.end(key, f, silent, engine.MinTime, out)
	}
	return false, nil
}

// Advance resolves what has not fired for After, and lets go what was held
// until w. At the end of input nothing is resolved, and nothing held any longer.
func (a *alerter) Advance(w int64, budget *engine.Budget, out engine.Emit) (int64, bool, error) {
	for {
		_, key, ok := a.timers.next(w)
		if !ok {
			break
		}
		f, there, err := a.load(key)
		if err != nil {
			return 0, false, err
		}
		if !there {
			continue
		}
		silent, free := a.due(&f)
		did := false
		if w < engine.MaxTime {
			did, err = a.pass(key, &f, w, out)
		} else if did = free < engine.MaxTime; did {
			err, silent = a.release(key, &f, free, out), engine.MaxTime
		}
		if err != nil {
			return 0, false, err
		}
		switch {
		case did && w < engine.MaxTime:
			a.timers.set(w, key) // there may be more
		case !did && w < engine.MaxTime && min(silent, free) < engine.MaxTime:
			a.timers.set(min(silent, free), key)
		}
		if did && !budget.Take(64+16*len(a.spec.Out.Fields)) {
			return w, false, a.rows.flush(out)
		}
	}
	return w, true, a.rows.flush(out)
}

// release tells what was held of a key.
func (a *alerter) release(key string, f *firing, at int64, out engine.Emit) error {
	if f.held == heldResolved {
		row := a.store.hold(f.heldRow)
		if err := a.store.remove(key); err != nil {
			return err
		}
		return a.again(row, "resolved", f.level, f.heldSince, f.heldAt, at, out)
	}
	row := a.store.hold(f.row)
	f.row = []byte(row)
	f.held, f.open, f.sent = nothing, true, at
	if err := a.save(key, f); err != nil {
		return err
	}
	if silent, _ := a.due(f); silent < engine.MaxTime {
		a.timers.set(silent, key)
	}
	return a.again(row, "firing", f.level, f.since, f.last, at, out)
}

// Committed and RolledBack keep the timers in step with the store.
func (a *alerter) Committed() { a.timers.committed() }

// RolledBack sets again what was due.
func (a *alerter) RolledBack() { a.timers.rolledBack() }

// Recovered sets the timers of all keys that wait for something.
func (a *alerter) Recovered() error {
	a.timers.clear()
	return a.store.each(func(key string, value []byte) error {
		f, err := decodeFiring(value)
		if err != nil {
			return err
		}
		if silent, free := a.due(&f); min(silent, free) < engine.MaxTime {
			a.timers.set(min(silent, free), key)
		}
		return nil
	})
}
