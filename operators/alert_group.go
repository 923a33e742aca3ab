package operators

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/state"
)

// AlertGroupSpec describes how notifications of an alert are put together.
// NewAlertGroup completes it with Out.
type AlertGroupSpec struct {
	In, Out *engine.Schema
	By      []int         // columns of In; none: all are one group
	Wait    time.Duration // from a group's first notification, by the clock
	// NewEncoder makes what writes a notification into the list of its group.
	NewEncoder func() RowAppender
}

// RowAppender writes a row as JSON. It is used from one goroutine.
type RowAppender interface {
	AppendRow(dst []byte, cols []engine.Column, row int32) ([]byte, error)
}

// The columns of a group behind those of By, AlertStatus, AlertSince and AlertAt.
const (
	AlertCount = "alert.count" // how many notifications it has
	Alerts     = "alerts"      // they themselves, as a JSON list, in the order in which they came
)

// mostInGroup sends a group without waiting on: so many notifications, so many
// bytes of them.
const (
	mostInGroup  = 100
	bytesInGroup = 128 << 10
)

// NewAlertGroup completes a spec; In is an alert's Out.
func NewAlertGroup(s AlertGroupSpec) AlertGroupSpec {
	var fields []engine.Field
	for _, c := range s.By {
		fields = append(fields, s.In.Fields[c])
	}
	s.Out = engine.NewSchema(append(fields, engine.Field{Name: AlertStatus, Type: engine.String}, engine.Field{Name: AlertSince, Type: engine.Timestamp},
		engine.Field{Name: AlertAt, Type: engine.Timestamp}, engine.Field{Name: AlertCount, Type: engine.Int}, engine.Field{Name: Alerts, Type: engine.Any})...)
	return s
}

// AlertGroupStores lists the one store of a group.
func AlertGroupStores(name string, s AlertGroupSpec) []state.Spec {
	print := "alert-group/1"
	for _, c := range s.By {
		print += " " + s.In.Fields[c].Name + ":" + s.In.Fields[c].Type.String()
	}
	return []state.Spec{keyedStore(name, print)}
}

// AlertGroup makes one row of the notifications of a group: what comes within
// Wait of its first. It waits by the clock, as it is people who wait, and a
// source that goes quiet must not hold an alert back. A group is firing as long
// as one of its notifications is.
//
//	fire a ──┐ fire b ──┐ resolve a ──┐
//	         └────────── Wait ────────┴──▶ one row, alerts: [a, b, a]
func AlertGroup(s AlertGroupSpec) func(*engine.Context) (engine.Operator, error) {
	return func(ctx *engine.Context) (engine.Operator, error) {
		g := &alertGrouper{spec: s, ctx: ctx, store: newKeyed(ctx, ctx.Tables[0]), rows: newRows(s.Out, false), encoder: s.NewEncoder(),
			status: s.In.Lookup(AlertStatus), since: s.In.Lookup(AlertSince)}
		return g, nil
	}
}

type alertGrouper struct {
	spec          AlertGroupSpec
	ctx           *engine.Context
	store         *keyed
	encoder       RowAppender
	rows          *rows
	timers        timers // clock times
	status, since int    // columns of In
	by            []engine.Column
	key, scratch  []byte
}

// bundle is what is remembered of a group.
type bundle struct {
	due, since, at int64 // clock; event times
	firing, count  int64
	row            []byte // the group's columns
	list           []byte // notifications, with commas between
}

func (b bundle) encode(dst []byte) []byte {
	dst = append(dst, 1)
	for _, v := range []int64{b.due, b.since, b.at, b.firing, b.count, int64(len(b.row))} {
		dst = binary.AppendVarint(dst, v)
	}
	return append(append(dst, b.row...), b.list...)
}

func decodeBundle(data []byte) (b bundle, err error) {
	if len(data) < 7 || data[0] != 1 {
		return b, errAlert
	}
	data = data[1:]
	size := int64(0)
	for _, to := range []*int64{&b.due, &b.since, &b.at, &b.firing, &b.count, &size} {
		v, n := binary.Varint(data)
		if n <= 0 {
			return b, errAlert
		}
		*to, data = v, data[n:]
	}
	if size < 0 || size > int64(len(data)) {
		return b, errAlert
	}
	b.row, b.list = data[:size], data[size:]
	return b, nil
}

// Process adds notifications to their groups.
func (g *alertGrouper) Process(b *engine.Batch, out engine.Emit) error {
	g.by = g.by[:0]
	for _, c := range g.spec.By {
		g.by = append(g.by, b.Cols[c])
	}
	for _, i := range b.Sel {
		// Null is a group, too: no alert is lost for want of a value.
		g.key = append(g.key[:0], 1)
		for c := range g.by {
			g.key = append(engine.AppendJSON(g.key, &g.by[c], i, engine.ValueStyle{}), 0)
		}
		if err := g.add(b, i, out); err != nil {
			return err
		}
	}
	return g.rows.flush(out)
}

func (g *alertGrouper) add(b *engine.Batch, i int32, out engine.Emit) error {
	key, since := view(g.key), b.Cols[g.since].Ints[i]
	was, err := g.store.get(key)
	if err != nil {
		return err
	}
	one := bundle{due: g.ctx.Now() + g.spec.Wait.Milliseconds(), since: since, at: b.Time[i], row: appendRow(nil, g.by, i)}
	if was != nil {
		if one, err = decodeBundle(was); err != nil {
			return err
		}
		one.since, one.at = min(one.since, since), max(one.at, b.Time[i])
	}
	if b.Cols[g.status].Strs[i] == "firing" {
		one.firing++
	}
	list := append([]byte(nil), one.list...)
	if one.count++; one.count > 1 {
		list = append(list, ',')
	}
	if list, err = g.encoder.AppendRow(list, b.Cols, i); err != nil {
		return fmt.Errorf("write a notification: %w", err)
	}
	one.list = list
	g.scratch = one.encode(g.scratch[:0])
	if err := g.store.put(key, g.scratch); err != nil {
		return err
	}
	if one.count >= mostInGroup || len(list) >= bytesInGroup {
		return g.send(key, out)
	}
	g.timers.set(one.due, key)
	return nil
}

// send lets a group go.
func (g *alertGrouper) send(key string, out engine.Emit) error {
	was, err := g.store.get(key)
	if err != nil || was == nil {
		return err
	}
	b, err := decodeBundle(was)
	if err != nil {
		return err
	}
	row, list := g.store.hold(b.row), g.store.hold(append(append([]byte{'['}, b.list...), ']'))
	if err := g.store.remove(key); err != nil {
		return err
	}
	i, err := g.rows.next(out, engine.Insert, b.at, b.at, engine.MinTime)
	if err != nil {
		return err
	}
	n := len(g.spec.By)
	cols := g.rows.b.Cols
	if _, ok := readRow(row, cols[:n], i, rowsPerBatch); !ok {
		return errAlert
	}
	status := "resolved"
	if b.firing > 0 {
		status = "firing"
	}
	cols[n].Strs[i], cols[n+1].Ints[i], cols[n+2].Ints[i], cols[n+3].Ints[i], cols[n+4].Strs[i] = status, b.since, b.at, b.count, list
	return nil
}

// Flush lets the groups go that have waited long enough, at the end of input all.
func (g *alertGrouper) Flush(now int64, all bool, out engine.Emit) error {
	limit := now
	if all {
		limit = engine.MaxTime
	}
	for {
		_, key, ok := g.timers.next(limit)
		if !ok {
			return g.rows.flush(out)
		}
		was, err := g.store.get(key)
		if err != nil {
			return err
		}
		if was == nil {
			continue // it went by its size
		}
		b, err := decodeBundle(was)
		if err != nil {
			return err
		}
		if b.due > limit { // one that came after it
			g.timers.set(b.due, key)
			continue
		}
		if err := g.send(key, out); err != nil {
			return err
		}
	}
}

// Committed and RolledBack keep the timers in step with the store.
func (g *alertGrouper) Committed() { g.timers.committed() }

// RolledBack sets again what was due.
func (g *alertGrouper) RolledBack() { g.timers.rolledBack() }

// Recovered sets the timers of all groups.
func (g *alertGrouper) Recovered() error {
	g.timers.clear()
	var failed error
	err := g.store.each(func(key string, value []byte) bool {
		b, err := decodeBundle(value)
		if err != nil {
			failed = err
			return false
		}
		g.timers.set(b.due, key)
		return true
	})
	if err == nil {
		err = failed
	}
	return err
}
