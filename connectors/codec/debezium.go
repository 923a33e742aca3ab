package codec

import (
	"errors"
	"fmt"
	"slices"

	"github.com/leatstream/leat/engine"
)

// debeziumMeta are the columns that a schema may name beside the row's own.
var debeziumMeta = []engine.Field{
	{Name: "__op", Type: engine.String},
	{Name: "before", Type: engine.Any},
	{Name: "__ts_ms", Type: engine.Timestamp},
}

// Debezium makes decoders for Debezium's change events, as JSON with or without
// {"schema", "payload"} around it, or as avro.
//
//	{"op": "u", "before": {"id": 1, …}, "after": {"id": 1, …}, "ts_ms": …}
//
// On a source each change is a row of what is in after, which is nothing, all
// null, where the row was deleted. A schema that names them has also __op
// (string: c created, u updated, d deleted, r read by a snapshot), before (any)
// and __ts_ms (timestamp: when Debezium saw it). A null value is no row.
//
// On a table c, u and r are engine.Insert of after. d is engine.Delete: Old has
// what before tells, and key columns that it does not tell from the record's
// key, which is an object of them, with or without {"schema", "payload"} around
// it, or the one column's value alone. A null value, which follows a delete and
// stays where a compacted topic has lost that, is a delete of the record's key
// again, or no row where the key does not tell it.
//
// Truncations (op t) are errors of a table, and no rows of a source; messages
// (op m) are no rows.
func Debezium(format Kind, schema *engine.Schema, opts Options) (func() engine.Decoder, error) {
	if err := enveloped("debezium", format); err != nil {
		return nil, err
	}
	p := &debeziumPlan{schema: schema, table: opts.Table, json: format.Name == "json"}
	var rest []engine.Field
	p.meta, rest, p.at = metaColumns(schema, debeziumMeta)
	if len(rest) == 0 {
		return nil, errors.New("envelope debezium: no column of the row is declared")
	}
	row := rowOptions(opts)
	outer := []engine.Field{{Name: "op", Type: engine.String}, {Name: "ts_ms", Type: engine.Int}}
	var err error
	if p.json {
		// {"schema", "payload"} is around all values of a topic, or none: the one
		// that is not costs a column or four that are null.
		outer = append(outer, engine.Field{Name: "before", Type: engine.Any}, engine.Field{Name: "after", Type: engine.Any})
		for _, f := range outer[:4] {
			outer = append(outer, engine.Field{Name: "payload." + f.Name, Type: f.Type})
		}
		if p.row, err = newStage(format, rest, row); err != nil {
			return nil, err
		}
	} else {
		outer = append(outer, engine.Field{Name: "before", Type: engine.Any})
		if !opts.Table && p.meta[1] < 0 {
			outer = outer[:2]
		}
		p.after = len(outer)
		for _, f := range rest {
			f.Name = "after." + f.Name
			outer = append(outer, f)
		}
		p.before = len(outer)
		for _, f := range rest {
			if f.Name = "before." + f.Name; opts.Table {
				outer = append(outer, f)
			}
		}
	}
	if p.outer, err = newStage(format, outer, row); err != nil {
		return nil, fmt.Errorf("envelope debezium: %w", err)
	}
	if opts.Table {
		if err := p.keys(format, schema, opts, row); err != nil {
			return nil, err
		}
	}
	return func() engine.Decoder { return p.decoder() }, nil
}

// debeziumPlan is what all decoders of a source share.
type debeziumPlan struct {
	schema        *engine.Schema
	table         bool
	json          bool
	meta          []int // per column of debeziumMeta: its number, or -1
	at            []int // per column of the row: its number
	outer, row    func() *stage
	after, before int // of outer: the first column of the row, where that is no JSON
	keyColumns    []int
	key           func() *stage // nil: the record's key cannot be read
	keyFields     []engine.Field
}

// keys plans how a record's key is read.
func (p *debeziumPlan) keys(format Kind, schema *engine.Schema, opts, row Options) error {
	for _, name := range opts.Key {
		c := schema.Lookup(name)
		if c < 0 {
			return fmt.Errorf("envelope debezium: the table's key %q is no column", name)
		}
		p.keyColumns = append(p.keyColumns, c)
		p.keyFields = append(p.keyFields, schema.Fields[c])
	}
	if len(p.keyFields) == 0 || !p.json && opts.Schemas == nil {
		return nil // avro without a registry: the schema that we know is the value's
	}
	row.Schema = Schema{}
	fields := p.keyFields
	if p.json {
		for _, f := range p.keyFields {
			f.Name = "payload." + f.Name
			fields = append(slices.Clip(fields), f)
		}
	}
	var err error
	p.key, err = newStage(format, fields, row)
	return err
}

func (p *debeziumPlan) decoder() *debeziumDecoder {
	d := &debeziumDecoder{debeziumPlan: p, outer: p.outer()}
	if p.row != nil {
		d.row, d.old = p.row(), p.row()
	}
	if p.key != nil {
		d.key = p.key()
	}
	d.extra = make([]engine.Column, len(debeziumMeta))
	return d
}

type debeziumDecoder struct {
	*debeziumPlan
	outer, row, old, key *stage
	what                 []changeKind
	extra                []engine.Column // of debeziumMeta
	cols, oldCols        []engine.Column
	ops                  []engine.Op
}

// changeKind is what a record is to its row.
type changeKind uint8

const (
	changeNone changeKind = iota // no row, or an error that was told
	changeSet
	changeDelete
	changeTombstone
)

// Decode opens the envelopes, reads the rows, and puts them together.
func (d *debeziumDecoder) Decode(b *engine.Batch, bad func(row int32, err error) error) error {
	n := len(b.Src.Values)
	d.what = slices.Grow(d.what[:0], n)[:n]
	clear(d.what)
	err := d.outer.run(b.Src.Values, func(i int32, err error) error {
		if d.table && errors.Is(err, engine.ErrNullValue) {
			d.what[i] = changeTombstone
			return nil
		}
		return bad(i, err)
	})
	if err != nil {
		return err
	}
	for _, i := range d.outer.batch.Sel {
		if d.what[i], err = d.kind(i); err != nil {
			if err := bad(i, err); err != nil {
				return err
			}
		}
	}
	failed := func(i int32, err error) error {
		d.what[i] = changeNone
		return bad(i, err)
	}
	if d.json {
		err = d.rows(n, failed)
	} else {
		d.cols = d.outer.batch.Cols[d.after : d.after+len(d.at)]
		if d.table {
			d.oldCols = d.outer.batch.Cols[d.before:]
		}
	}
	if err != nil {
		return err
	}
	d.put(b, n)
	if d.table {
		return d.putOld(b, n, failed)
	}
	return nil
}

// wrapped columns of the outer stage, as JSON has them, are 4 behind.
const (
	outerOp     = 0
	outerTime   = 1
	outerBefore = 2
	outerAfter  = 3
	outerInside = 4
)

// kind says what the change of row i is.
func (d *debeziumDecoder) kind(i int32) (changeKind, error) {
	switch op := d.op(i); op {
	case "c", "u", "r":
		if d.json && d.find(outerAfter, i) == "" {
			return changeNone, fmt.Errorf("a change of op %q has no after", op)
		}
		return changeSet, nil
	case "d":
		return changeDelete, nil
	case "m":
		return changeNone, nil
	case "t":
		if d.table {
			return changeNone, errors.New("a truncation (op t) cannot be followed: replay the table from a snapshot")
		}
		return changeNone, nil
	case "":
		return changeNone, errors.New("want a change event of Debezium, got a value without op")
	default:
		return changeNone, fmt.Errorf("want op c, u, d or r, got %q", op)
	}
}

func (d *debeziumDecoder) op(i int32) string { return d.find(outerOp, i) }

// find is a text of the outer stage, at the top or inside payload.
func (d *debeziumDecoder) find(col int, i int32) string {
	text := d.outer.text(col, i)
	if text == "" && d.json {
		text = d.outer.text(col+outerInside, i)
	}
	return text
}

// rows decodes what is in after and before, which is JSON.
func (d *debeziumDecoder) rows(n int, bad func(row int32, err error) error) error {
	after := d.row.empty(n)
	for i, what := range d.what {
		if what == changeSet {
			after[i] = bytesOf(d.find(outerAfter, int32(i)))
		}
	}
	if err := d.row.run(after, notThere(bad)); err != nil {
		return err
	}
	d.cols = d.row.batch.Cols
	if !d.table {
		return nil
	}
	before := d.old.empty(n)
	for i, what := range d.what {
		if what != changeDelete {
			continue
		}
		if text := d.find(outerBefore, int32(i)); text != "" {
			before[i] = bytesOf(text)
		}
	}
	err := d.old.run(before, notThere(bad))
	d.oldCols = d.old.batch.Cols
	return err
}

// put makes the batch's columns and its selection.
func (d *debeziumDecoder) put(b *engine.Batch, n int) {
	prepareEmpty(b, d.schema, n)
	for k, c := range d.at {
		b.Cols[c] = d.cols[k]
	}
	for k, c := range d.meta {
		if c >= 0 {
			d.extra[k].Reset(debeziumMeta[k].Type, n)
			b.Cols[c] = d.extra[k]
		}
	}
	for i, what := range d.what {
		row := int32(i)
		if what == changeSet || what == changeDelete && !d.table {
			b.Sel = append(b.Sel, row)
		}
		if what != changeSet {
			for _, c := range d.at {
				nullAt(&b.Cols[c], i, n)
			}
		}
		d.putMeta(b, i, n)
	}
	for k, c := range d.at { // with the nulls that they have now
		d.cols[k] = b.Cols[c]
	}
}

// putMeta sets the envelope's own columns of row i.
func (d *debeziumDecoder) putMeta(b *engine.Batch, i, n int) {
	if slices.Max(d.meta) < 0 {
		return
	}
	known := d.what[i] == changeSet || d.what[i] == changeDelete
	for k, c := range d.meta {
		if c < 0 {
			continue
		}
		col := &b.Cols[c]
		text := ""
		switch {
		case !known:
		case k == 0:
			text = d.op(int32(i))
		case k == 1:
			text = d.find(outerBefore, int32(i))
		default:
			for _, at := range []int{outerTime, outerTime + outerInside} {
				if at < len(d.outer.batch.Cols) && (at == outerTime || d.json) && !d.outer.batch.Cols[at].Null(int32(i)) {
					col.Ints[i] = d.outer.batch.Cols[at].Ints[i]
					text = "set"
				}
			}
		}
		switch {
		case text == "":
			nullAt(col, i, n)
		case k < 2:
			col.Strs[i] = text
		}
	}
}

// putOld makes deletes of a table.
func (d *debeziumDecoder) putOld(b *engine.Batch, n int, bad func(row int32, err error) error) error {
	d.ops = slices.Grow(d.ops[:0], n)[:n]
	clear(d.ops)
	b.Op = d.ops
	b.Old = slices.Grow(b.Old[:0], len(d.schema.Fields))[:len(d.schema.Fields)]
	for c, f := range d.schema.Fields {
		if k := slices.Index(d.at, c); k >= 0 {
			b.Old[c] = d.oldCols[k]
		} else {
			b.Old[c] = engine.Column{}
			b.Old[c].Reset(f.Type, n)
		}
	}
	if err := d.readKeys(b, n); err != nil {
		return err
	}
	b.Sel = b.Sel[:0]
	for i, what := range d.what {
		row := int32(i)
		if what == changeSet {
			b.Sel = append(b.Sel, row)
			continue
		}
		for _, c := range d.meta {
			if c >= 0 {
				nullAt(&b.Cols[c], i, n)
				nullAt(&b.Old[c], i, n)
			}
		}
		if what == changeNone {
			continue
		}
		if what == changeTombstone || d.json && d.find(outerBefore, row) == "" {
			for _, c := range d.at {
				nullAt(&b.Old[c], i, n)
			}
		}
		if !d.fillKey(b, row, n) {
			if what == changeDelete {
				if err := bad(row, errors.New("a delete tells the key neither in before nor in the record's key")); err != nil {
					return err
				}
			}
			continue
		}
		d.ops[i] = engine.Delete
		b.Sel = append(b.Sel, row)
	}
	return nil
}

// readKeys decodes the keys of records that delete.
func (d *debeziumDecoder) readKeys(b *engine.Batch, n int) error {
	if d.key == nil {
		return nil
	}
	if d.key.batch.Sel = d.key.batch.Sel[:0]; len(b.Src.Keys) < n {
		return nil
	}
	keys := d.key.empty(n)
	for i, what := range d.what {
		if key := b.Src.Keys[i]; key != nil && (what == changeDelete || what == changeTombstone) {
			keys[i] = d.keyObject(key)
		}
	}
	// A key that cannot be read is as one that is not there.
	return d.key.run(keys, func(_ int32, err error) error {
		if isStop(err) {
			return err
		}
		return nil
	})
}

// keyObject is a key as an object: that of one column may be its value alone.
func (d *debeziumDecoder) keyObject(key []byte) []byte {
	if !d.json || len(d.keyFields) != 1 {
		return key
	}
	p := space(key, 0)
	if p < len(key) && key[p] == '{' {
		return key
	}
	dst := append(engine.AppendString([]byte("{"), d.keyFields[0].Name), ':')
	var s scanner
	if end := s.skip(key, p, 0); end >= 0 && space(key, end) == len(key) {
		dst = append(dst, key...)
	} else {
		dst = engine.AppendString(dst, view(key))
	}
	return append(dst, '}')
}

// fillKey sets key columns of Old that before did not tell, and says whether
// all are known now.
func (d *debeziumDecoder) fillKey(b *engine.Batch, i int32, n int) bool {
	for k, c := range d.keyColumns {
		if !b.Old[c].Null(i) {
			continue
		}
		if d.key == nil || !slices.Contains(d.key.batch.Sel, i) {
			return false
		}
		from := &d.key.batch.Cols[k]
		if from.Null(i) && d.json {
			from = &d.key.batch.Cols[len(d.keyColumns)+k]
		}
		if from.Null(i) {
			return false
		}
		copyCell(&b.Old[c], from, i)
	}
	return len(d.keyColumns) > 0
}

// copyCell sets row i of a column to that of another of its type.
func copyCell(to, from *engine.Column, i int32) {
	switch to.Type {
	case engine.Int, engine.Timestamp:
		to.Ints[i] = from.Ints[i]
	case engine.Double:
		to.Doubles[i] = from.Doubles[i]
	case engine.Bool:
		to.Bools[i] = from.Bools[i]
	default:
		to.Strs[i] = from.Strs[i]
	}
	if to.Nulls != nil {
		to.Nulls[i] = false
	}
}

// prepareEmpty gives b its schema and room for columns, which the caller sets.
func prepareEmpty(b *engine.Batch, schema *engine.Schema, n int) {
	b.Schema, b.N, b.Sel = schema, n, b.Sel[:0]
	b.Cols = slices.Grow(b.Cols[:0], len(schema.Fields))[:len(schema.Fields)]
	b.Op, b.Old = nil, nil
}
