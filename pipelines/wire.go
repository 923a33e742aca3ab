package pipelines

import (
	"strconv"
	"strings"
	"time"

	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/operators/expr"
	"github.com/leatstream/leat/window/aggregate"
)

// This file is where the language meets the constructors of the other rooms.

func exprValue(v any) expr.Value {
	switch v := v.(type) {
	case int64:
		return expr.IntValue(v)
	case float64:
		return expr.DoubleValue(v)
	case bool:
		return expr.BoolValue(v)
	}
	return expr.StringValue(v.(string))
}

// function is one aggregate, compiled.
type function struct {
	name   string
	fn     aggregate.Aggregate
	kind   aggregate.Kind
	args   []*expr.Program
	params []aggregate.Value
	where  *expr.Program
	result engine.Type
	text   string // as written, for fingerprints
	record bool   // an argument asks for the record behind the row
}

// function compiles an aggregate's arguments and finds its types.
func (c *compiler) function(col *AggregateColumn, in *stream, d *derivation) (function, bool) {
	kind, ok := aggregate.Lookup(col.Fn.Text)
	if !ok {
		return function{}, false // reported when it was read
	}
	f := function{name: col.Name.Text, kind: kind, text: col.text()}
	rows := &derivation{reads: d.reads}
	var types []aggregate.Type
	written := col.Args
	if names := argumentNames(kind); len(written) > len(names) && len(kind.Params) > 0 {
		params, ok := c.params(col, kind, written[len(names):])
		if !ok {
			return f, false
		}
		f.params, written = params, written[:len(names)]
	}
	for _, a := range written {
		p := c.compile(a, in.scope(), rows)
		if p == nil {
			return f, false
		}
		if p.Type() == engine.Invalid {
			c.l.failAt(a.node, a.offset, "expression", "", "this is always null: there is nothing to aggregate")
			return f, false
		}
		f.args, types = append(f.args, p), append(types, aggregate.Type(p.Type()))
	}
	if col.Where != nil {
		if f.where = c.condition(col.Where, in.scope(), rows); f.where == nil {
			return f, false
		}
	}
	f.record = rows.useRecord
	d.useRecord = d.useRecord || rows.useRecord
	var err error
	if f.fn, err = kind.New(types, f.params); err != nil {
		hint := ""
		if len(types) == 0 {
			hint = "for example " + col.Fn.Text + "(amount)"
		}
		at := col.node
		if len(col.Args) > 0 {
			c.l.failAt(col.Args[0].node, col.Args[0].offset, "type", hint, "%s", err)
		} else {
			c.l.fail(at, "type", hint, "%s", err)
		}
		return f, false
	}
	if in.table && !kind.Subtracts {
		c.l.fail(col.node, "type", "take the results as facts with emit: close before it", "%s cannot take back rows, and %q is a table, whose rows change", col.Fn.Text, in.name)
		return f, false
	}
	f.result = engine.Type(f.fn.Result())
	return f, true
}

// params reads the constants behind an aggregate's expressions.
func (c *compiler) params(col *AggregateColumn, kind aggregate.Kind, given []*Expr) ([]aggregate.Value, bool) {
	var out []aggregate.Value
	for i, e := range given {
		if i >= len(kind.Params) {
			c.l.failAt(e.node, e.offset, "type", "", "%s(%s) has too many arguments", col.Fn.Text, kind.Args)
			return nil, false
		}
		p := kind.Params[i]
		v, ok := constantOf(e.Text, p.Type)
		if !ok {
			what := map[aggregate.Type]string{aggregate.Int: "a whole number", aggregate.Double: "a number", aggregate.Timestamp: "a duration, for example \"5m\""}[p.Type]
			c.l.failAt(e.node, e.offset, "type", "", "%s of %s is a constant, %s", p.Name, col.Fn.Text, what)
			return nil, false
		}
		out = append(out, v)
	}
	return out, true
}

// constantOf reads a constant as it stands in an aggregate's brackets.
func constantOf(text string, t aggregate.Type) (v aggregate.Value, ok bool) {
	text = strings.Trim(strings.TrimSpace(text), "\"'")
	var err error
	switch t {
	case aggregate.Int:
		v.Int, err = strconv.ParseInt(text, 10, 64)
	case aggregate.Double:
		v.Double, err = strconv.ParseFloat(text, 64)
	default:
		var d time.Duration
		if d, err = ParseDuration(text); err == nil && d%time.Millisecond != 0 {
			return v, false
		}
		v.Int = d.Milliseconds()
	}
	return v, err == nil
}

// text is the aggregate as it was written, spaces aside.
func (c *AggregateColumn) text() string {
	var args []string
	for _, a := range c.Args {
		args = append(args, strings.Join(strings.Fields(a.Text), " "))
	}
	s := c.Fn.Text + "(" + strings.Join(args, ", ") + ")"
	if c.Where != nil {
		s += " where " + strings.Join(strings.Fields(c.Where.Text), " ")
	}
	return s
}

func repartitioner(topic engine.Topic, schema *engine.Schema, key []int, every time.Duration, a arrival) func(*engine.Context) (engine.Operator, error) {
	switch {
	case a.whole:
		return engine.RepartitionWhole(topic, schema, key, a.names, every, a.copies)
	case a.nulls:
		return engine.RepartitionNulls(topic, schema, key, a.names, every)
	}
	return engine.RepartitionAs(topic, schema, key, a.names, every)
}

func repartitionDecoder(table bool) func() engine.Decoder {
	if table {
		return engine.RepartitionTableDecoder()
	}
	return engine.RepartitionDecoder()
}
