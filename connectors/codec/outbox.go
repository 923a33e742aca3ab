package codec

import (
	"errors"
	"fmt"
	"slices"

	"github.com/leatstream/leat/engine"
)

// outboxMeta are the columns that a schema may name beside the payload's own.
var outboxMeta = []engine.Field{
	{Name: "__id", Type: engine.String},
	{Name: "__aggregatetype", Type: engine.String},
	{Name: "__aggregateid", Type: engine.String},
	{Name: "__type", Type: engine.String},
}

// outboxColumns are the columns of an outbox table, as Debezium's event router
// names them: those of outboxMeta, then the payload.
var outboxColumns = []string{"id", "aggregatetype", "aggregateid", "type", "payload"}

// Outbox makes decoders for the rows of an outbox table, as a connector without
// an event router sends them: change events of Debezium, as JSON with or
// without {"schema", "payload"} around it, or as avro; or, as JSON, the rows
// alone.
//
//	{"op": "c", "after": {"id": "7", "aggregatetype": "order", "aggregateid": "42",
//	                      "type": "OrderPaid", "payload": "{\"amount\": 5}"}}
//
// A row is the payload, which is JSON or text that is JSON. A schema that names
// them has also __id, __aggregatetype, __aggregateid and __type (string). Only
// rows that are created (op c, r) count: that a service clears its outbox is
// nothing. A payload that is null is counted as a null value.
func Outbox(format Kind, schema *engine.Schema, opts Options) (func() engine.Decoder, error) {
	if err := enveloped("outbox", format); err != nil {
		return nil, err
	}
	if opts.Table {
		return nil, errors.New("envelope outbox is of a source: its rows are events")
	}
	p := &outboxPlan{schema: schema, json: format.Name == "json"}
	var rest []engine.Field
	p.meta, rest, p.at = metaColumns(schema, outboxMeta)
	row := rowOptions(opts)
	outer := []engine.Field{{Name: "op", Type: engine.Any}}
	fields := []engine.Field{}
	for _, name := range outboxColumns {
		fields = append(fields, engine.Field{Name: name, Type: engine.Any})
	}
	var err error
	if p.json {
		outer = append(outer,
			engine.Field{Name: "after", Type: engine.Any}, engine.Field{Name: "payload", Type: engine.Any}, engine.Field{Name: "aggregateid", Type: engine.Any},
			engine.Field{Name: "payload.op", Type: engine.Any}, engine.Field{Name: "payload.after", Type: engine.Any}, engine.Field{Name: "payload.aggregateid", Type: engine.Any},
			engine.Field{Name: "aggregatetype", Type: engine.Any}, engine.Field{Name: "payload.aggregatetype", Type: engine.Any})
		if p.table, err = newStage(format, fields, row); err != nil {
			return nil, err
		}
	} else {
		for _, f := range fields {
			outer = append(outer, engine.Field{Name: "after." + f.Name, Type: f.Type})
		}
	}
	if p.outer, err = newStage(format, outer, row); err != nil {
		return nil, fmt.Errorf("envelope outbox: %w", err)
	}
	if p.row, err = newStage(Kind{Name: "json", New: JSON}, rest, Options{Validate: opts.Validate}); err != nil {
		return nil, err
	}
	return func() engine.Decoder {
		d := &outboxDecoder{outboxPlan: p, outer: p.outer(), row: p.row(), extra: make([]engine.Column, len(outboxMeta))}
		if p.json {
			d.table = p.table()
		}
		return d
	}, nil
}

type outboxPlan struct {
	schema            *engine.Schema
	json              bool
	meta, at          []int
	outer, table, row func() *stage
}

type outboxDecoder struct {
	*outboxPlan
	outer, table, row *stage
	extra             []engine.Column
	arena             arena
}

// columns of the outer stage, as JSON has them.
const (
	boxOp = iota
	boxAfter
	boxPayload
	boxAggregateID
	boxInsideOp
	boxInsideAfter
	boxInsideAggregateID
	boxAggregate
	boxInsideAggregate
)

// Decode finds the outbox table's rows, then their payloads, then the columns.
func (d *outboxDecoder) Decode(b *engine.Batch, bad func(row int32, err error) error) error {
	n := len(b.Src.Values)
	if err := d.outer.run(b.Src.Values, bad); err != nil {
		return err
	}
	found := d.outer
	first := 1
	if d.json {
		rows := d.table.empty(n)
		for _, i := range d.outer.batch.Sel {
			text, err := d.tableRow(b.Src.Values[i], i)
			if err != nil {
				if err := bad(i, err); err != nil {
					return err
				}
			}
			rows[i] = text
		}
		if err := d.table.run(rows, notThere(bad)); err != nil {
			return err
		}
		found, first = d.table, 0
	}
	payloads := d.row.empty(n)
	var nulls []int32
	for _, i := range found.batch.Sel {
		if !d.json {
			if made, err := created(anyText(&d.arena, d.outer.text(boxOp, i))); !made {
				if err != nil {
					err = bad(i, err)
				}
				if err != nil {
					return err
				}
				continue
			}
		}
		if text := found.text(first+len(outboxMeta), i); text != "" {
			payloads[i] = bytesOf(anyText(&d.arena, text))
		} else {
			nulls = append(nulls, i)
		}
	}
	for _, i := range nulls {
		if err := bad(i, engine.ErrNullValue); err != nil {
			return err
		}
	}
	err := d.row.run(payloads, notThere(func(i int32, err error) error { return bad(i, fmt.Errorf("payload: %w", err)) }))
	if err != nil {
		return err
	}
	d.put(b, n, found, first)
	return nil
}

// tableRow is the outbox table's row in a value, as JSON: nil if there is none.
func (d *outboxDecoder) tableRow(value []byte, i int32) ([]byte, error) {
	op, after := anyText(&d.arena, d.outer.text(boxOp, i)), d.outer.text(boxAfter, i)
	alone := d.outer.text(boxAggregate, i) != "" || d.outer.text(boxAggregateID, i) != ""
	aloneInside := d.outer.text(boxInsideAggregate, i) != "" || d.outer.text(boxInsideAggregateID, i) != ""
	if inside := d.outer.text(boxInsideOp, i); op == "" && inside != "" && !alone {
		op, after = anyText(&d.arena, inside), d.outer.text(boxInsideAfter, i)
	}
	switch {
	case op != "":
		made, err := created(op)
		if made && after == "" {
			err = fmt.Errorf("a change of op %q has no after", op)
		}
		if !made || err != nil {
			return nil, err
		}
		return bytesOf(after), nil
	case alone:
		return value, nil
	case aloneInside:
		return bytesOf(d.outer.text(boxPayload, i)), nil
	}
	return nil, errors.New("want a row of an outbox table, got a value without op and without aggregatetype")
}

// created tells whether a change is of a new row.
func created(op string) (bool, error) {
	switch op {
	case "c", "r":
		return true, nil
	case "u", "d", "t", "m":
		return false, nil
	}
	return false, fmt.Errorf("want op c, u, d or r, got %q", op)
}

// put makes the batch's columns and its selection.
func (d *outboxDecoder) put(b *engine.Batch, n int, found *stage, first int) {
	prepareEmpty(b, d.schema, n)
	for k, c := range d.at {
		b.Cols[c] = d.row.batch.Cols[k]
	}
	b.Sel = slices.Concat(b.Sel, d.row.batch.Sel)
	for k, c := range d.meta {
		if c < 0 {
			continue
		}
		col := &d.extra[k]
		col.Reset(engine.String, n)
		for i := range n {
			col.Strs[i] = ""
		}
		for _, i := range b.Sel {
			if text := found.text(first+k, i); text != "" {
				col.Strs[i] = anyText(&d.arena, text)
			} else {
				nullAt(col, int(i), n)
			}
		}
		b.Cols[c] = *col
	}
}
