package operators

import (
	"encoding/binary"
	"fmt"
	"slices"
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

// The columns of a group behind those of By and of a notification.
const (
	AlertCount = "alert.count" // how many notifications it has
	Alerts     = "alerts"      // they themselves, as a JSON list: the higher priority first, else as they came
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
	s.Out = engine.NewSchema(append(append(fields, alertFields...), engine.Field{Name: AlertCount, Type: engine.Int}, engine.Field{Name: Alerts, Type: engine.Any})...)
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
// as one of its notifications is, and has the highest of their priorities.
//
//	fire a ──┐ fire b, high ──┐ resolve a ──┐
//	         └───────────── Wait ───────────┴──▶ one row, alerts: [b, a, a]
func AlertGroup(s AlertGroupSpec) func(*engine.Context) (engine.Operator, error) {
	return func(ctx *engine.Context) (engine.Operator, error) {
		g := &alertGrouper{spec: s, ctx: ctx, store: newKeyed(ctx, ctx.Tables[0]), rows: newRows(s.Out, false), encoder: s.NewEncoder(),
			status: s.In.Lookup(AlertStatus), priority: s.In.Lookup(AlertPriority), since: s.In.Lookup(AlertSince), at: s.In.Lookup(AlertAt)}
		return g, nil
	}
}

type alertGrouper struct {
	spec                        AlertGroupSpec
	ctx                         *engine.Context
	store                       *keyed
	encoder                     RowAppender
	rows                        *rows
	timers                      timers // clock times
	status, priority, since, at int    // columns of In
	by                          []engine.Column
	key, scratch                []byte
}

// levels is how many lists a group has: one for each of AlertLevels.
const levels = 4

// bundle is what is remembered of a group.
//
//	[2][due][since][at][firing][count][length of row][length of each list][row][lists, the least priority first]
//	[1][due][since][at][firing][count][length of row][row][list]    before a notification had a priority
type bundle struct {
	due, since, at int64 // clock; event times
	firing, count  int64
	row            []byte         // the group's columns
	lists          [levels][]byte // notifications by their priority, with commas between
}

func (b *bundle) encode(dst []byte) []byte {
	dst = append(dst, 2)
	for _, v := range []int64{b.due, b.since, b.at, b.firing, b.count, int64(len(b.row))} {
		dst = binary.AppendVarint(dst, v)
	}
	for _, list := range b.lists {
		dst = binary.AppendVarint(dst, int64(len(list)))
	}
	dst = append(dst, b.row...)
	for _, list := range b.lists {
		dst = append(dst, list...)
	}
	return dst
}

func decodeBundle(data []byte) (b bundle, err error) {
	if len(data) < 7 || data[0] != 1 && data[0] != 2 {
		return b, errAlert
	}
	old := data[0] == 1
	data = data[1:]
	var row int64
	var lists [levels]int64
	numbers := []*int64{&b.due, &b.since, &b.at, &b.firing, &b.count, &row}
	for i := range lists {
		if !old {
			numbers = append(numbers, &lists[i])
		}
	}
	for _, to := range numbers {
		v, n := binary.Varint(data)
		if n <= 0 {
			return b, errAlert
		}
		*to, data = v, data[n:]
	}
	take := func(n int64) []byte {
		if n < 0 || n > int64(len(data)) {
			err = errAlert
			return nil
		}
		part := data[:n:n]
		data = data[n:]
		return part
	}
	b.row = take(row)
	if old {
		lists[normalLevel] = int64(len(data))
	}
	for i := range lists {
		b.lists[i] = take(lists[i])
	}
	return b, err
}

// size is what the lists take, in bytes.
func (b *bundle) size() (n int) {
	for _, list := range b.lists {
		n += len(list) + 1
	}
	return n
}

// level is the highest priority of a notification.
func (b *bundle) level() int {
	for i := levels - 1; i > 0; i-- {
		if len(b.lists[i]) > 0 {
			return i
		}
	}
	return 0
}

// list is all notifications as JSON, the higher priority first.
func (b *bundle) list() []byte {
	out := []byte{'['}
	for i := levels - 1; i >= 0; i-- {
		if len(b.lists[i]) == 0 {
			continue
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(out, b.lists[i]...)
	}
	return append(out, ']')
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
	at := b.Cols[g.at].Ints[i]
	one := bundle{due: g.ctx.Now() + g.spec.Wait.Milliseconds(), since: since, at: at, row: appendRow(nil, g.by, i)}
	if was != nil {
		if one, err = decodeBundle(was); err != nil {
			return err
		}
		one.since, one.at = min(one.since, since), max(one.at, at)
	}
	if b.Cols[g.status].Strs[i] == "firing" {
		one.firing++
	}
	one.count++
	level := max(0, slices.Index(AlertLevels, b.Cols[g.priority].Strs[i]))
	list := slices.Clone(one.lists[level])
	if len(list) > 0 {
		list = append(list, ',')
	}
	if one.lists[level], err = g.encoder.AppendRow(list, b.Cols, i); err != nil {
		return fmt.Errorf("write a notification: %w", err)
	}
	g.scratch = one.encode(g.scratch[:0])
	if err := g.store.put(key, g.scratch); err != nil {
		return err
	}
	if one.count >= mostInGroup || one.size() >= bytesInGroup {
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
	row, list, level := g.store.hold(b.row), g.store.hold(b.list()), b.level()
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
	cols[n].Strs[i], cols[n+1].Strs[i], cols[n+2].Ints[i], cols[n+3].Ints[i], cols[n+4].Ints[i], cols[n+5].Strs[i] = status, AlertLevels[level], b.since, b.at, b.count, list
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
	return g.store.each(func(key string, value []byte) error {
		b, err := decodeBundle(value)
		if err != nil {
			return err
		}
		g.timers.set(b.due, key)
		return nil
	})
}
