package operators

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/state"
	"github.com/leatstream/leat/window"
)

// DedupeSpec describes a dedupe. What comes out has the schema of In.
type DedupeSpec struct {
	In     *engine.Schema
	Key    []GroupColumn
	Within time.Duration // at least 1 ms
}

// DedupeStores lists the one store of a dedupe.
func DedupeStores(name string, s DedupeSpec) []state.Spec {
	spec := state.Spec{Name: name, Fingerprint: fmt.Sprintf("dedupe/1 within=%s key=%s", s.Within, groupPrint(s.Key, s.In))}
	spec.Families[state.Panes] = state.FamilySpec{Words: 1}
	return []state.Spec{spec}
}

// groupSchema has the types of group columns.
func groupSchema(columns []GroupColumn, in *engine.Schema) *engine.Schema {
	var fields []engine.Field
	for _, c := range columns {
		f := engine.Field{Name: c.Name}
		if c.From >= 0 {
			f.Type = in.Fields[c.From].Type
		} else {
			f.Type = c.Expr.Type()
		}
		fields = append(fields, f)
	}
	return engine.NewSchema(fields...)
}

// groupPrint is the part of a fingerprint that says what keys are made of.
func groupPrint(columns []GroupColumn, in *engine.Schema) string {
	var print []string
	for _, f := range groupSchema(columns, in).Fields {
		print = append(print, f.Name+":"+f.Type.String())
	}
	return strings.Join(print, ",")
}

// Dedupe lets the first row per key and time span through. A row is a duplicate
// where a row of its key has passed whose event time is at most `within` from
// its own, before or after. Duplicates are dropped and counted (duplicates).
//
//	passed rows of a key      ●───────within──────┤   ●──────within──────┤
//	rows that come            │   ✗      ✗            │ ✗
//
// What has passed is forgotten when the watermark is two spans past it: so rows
// up to one span behind the watermark of their source partition are judged
// exactly. A row further behind is late, and dropped: whether its key has
// passed is not known any more, and a redelivery is what it most likely is.
func Dedupe(s DedupeSpec) func(*engine.Context) (engine.Operator, error) {
	return func(ctx *engine.Context) (engine.Operator, error) {
		within := s.Within.Milliseconds()
		if within < 1 || within > maxSpanMs {
			return nil, fmt.Errorf("dedupe within %s: a span of 1ms to 35000 years is needed", s.Within)
		}
		return &deduper{ctx: ctx, table: ctx.Tables[0], within: within, group: newGrouper(s.Key, groupSchema(s.Key, s.In)), closedTo: engine.MinTime}, nil
	}
}

// maxSpanMs bounds spans so that sums of a few of them and a time fit.
const maxSpanMs = 1 << 50

// maxTimeMs bounds event times for verbs that reckon with spans: so far from
// 1970 is no time.
const maxTimeMs = 1 << 60

var errFarTime = errors.New("the event time is too far from 1970 to reckon with")

// A pane holds the rows that passed in one span of time, at most one per key:
// they are more than a span apart. Its accumulator is the time of the row.
type deduper struct {
	ctx      *engine.Context
	table    *state.Table
	within   int64 // ms; the width of a pane, too
	group    *grouper
	slots    []state.Slot
	closedTo int64 // the watermark
	sel      []int32
	out      engine.Batch
}

// Process lets the rows of one batch through that are no duplicates.
func (d *deduper) Process(b *engine.Batch, out engine.Emit) error {
	if b.Op != nil {
		return errors.New("dedupe over a table: its keys are unique already")
	}
	bad := func(row int32, err error) error { return d.ctx.Bad(engine.StageExpression, b, row, err) }
	sel, nulls, err := d.group.rows(b, b.Cols, b.Sel, bad)
	if err != nil {
		return err
	}
	if nulls > 0 {
		d.ctx.Count("null_keys", nulls)
	}
	d.slots = reset(d.slots, b.N)
	if err := d.table.Resolve(d.group.keys, sel, d.slots); err != nil {
		return err
	}
	keep, duplicates := d.sel[:0], 0
	for _, i := range sel {
		t := b.Time[i]
		if t > maxTimeMs || t < -maxTimeMs {
			if err := d.ctx.Bad(engine.StageEventTime, b, i, errFarTime); err != nil {
				return err
			}
			continue
		}
		byOrigin := window.Behind(rowOrigin(b, i), d.within)
		if horizon := max(byOrigin, window.Behind(d.closedTo, d.within)); t < horizon {
			if t >= byOrigin {
				d.ctx.Count("late_after_idle", 1)
			}
			if err := d.ctx.Bad(engine.StageLate, b, i, errLateDuplicate); err != nil {
				return err
			}
			continue
		}
		if d.seen(d.slots[i], t) {
			duplicates++
			continue
		}
		acc, _ := d.table.Open(state.Panes, d.paneEnd(t)).Write(d.slots[i])
		acc[0] = uint64(t)
		keep = append(keep, i)
	}
	if duplicates > 0 {
		d.ctx.Count("duplicates", duplicates)
	}
	d.sel, d.out = keep, *b
	d.out.Sel = keep
	return out(&d.out)
}

var errLateDuplicate = errors.New("late: further behind the watermark than duplicates are remembered")

// seen tells whether a row of the key has passed within the span around t.
func (d *deduper) seen(slot state.Slot, t int64) bool {
	for end, last := d.paneEnd(t-d.within), d.paneEnd(t+d.within); end <= last; end += d.within {
		p := d.table.Pane(state.Panes, end)
		if p == nil {
			continue
		}
		if acc := p.Read(slot); acc != nil {
			if s := int64(acc[0]); t-s <= d.within && s-t <= d.within {
				return true
			}
		}
	}
	return false
}

func (d *deduper) paneEnd(t int64) int64 { return (floorDiv(t, d.within) + 1) * d.within }

// Advance forgets what is two spans before the watermark.
func (d *deduper) Advance(w int64, _ *engine.Budget, _ engine.Emit) (int64, bool, error) {
	if w > d.closedTo {
		d.closedTo = w
		d.table.Expire(state.Panes, window.Behind(w, 2*d.within))
	}
	return w, true, nil
}

// Remember is the watermark that keys were forgotten by.
func (d *deduper) Remember() []byte { return binary.AppendVarint([]byte{1}, d.closedTo) }

// Recall reads what Remember wrote.
func (d *deduper) Recall(b []byte) error {
	if len(b) < 2 || b[0] != 1 {
		return errors.New("what a dedupe remembered does not decode")
	}
	v, n := binary.Varint(b[1:])
	if n != len(b)-1 {
		return errors.New("what a dedupe remembered does not decode")
	}
	d.closedTo = v
	return nil
}

// Recovered drops what had been forgotten: a changelog may still have it.
func (d *deduper) Recovered() error {
	d.table.RestoreExpire(state.Panes, window.Behind(d.closedTo, 2*d.within))
	return nil
}
