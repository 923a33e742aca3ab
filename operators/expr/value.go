package expr

import (
	"strconv"

	"github.com/leatstream/leat/engine"
)

// Value is a typed constant: a literal, a pipeline's vars entry. The zero
// Value is null.
type Value struct {
	Type  engine.Type // Invalid: null; Any: a list, or raw JSON
	num   int64       // Int, Timestamp; Bool as 0 and 1
	dbl   float64
	text  string // String, Bytes; Any: JSON text
	elem  engine.Type
	items []Value
}

// IntValue is a constant int.
func IntValue(v int64) Value { return Value{Type: engine.Int, num: v} }

// DoubleValue is a constant double.
func DoubleValue(v float64) Value { return Value{Type: engine.Double, dbl: v} }

// StringValue is a constant string.
func StringValue(v string) Value { return Value{Type: engine.String, text: v} }

// BoolValue is a constant bool.
func BoolValue(v bool) Value {
	if v {
		return Value{Type: engine.Bool, num: 1}
	}
	return Value{Type: engine.Bool}
}

// TimestampValue is a constant timestamp in epoch milliseconds.
func TimestampValue(ms int64) Value { return Value{Type: engine.Timestamp, num: ms} }

// ListValue is a constant list. Elements of one type make a typed list; ints
// among doubles become doubles, nulls join anything, and any other mixture is a
// list of any.
func ListValue(items ...Value) Value {
	v := Value{Type: engine.Any, items: items}
	for _, it := range items {
		t := it.Type
		switch {
		case v.elem == engine.Invalid: // nulls so far
			v.elem = t
		case v.elem == t, t == engine.Invalid:
		case numeric(v.elem) && numeric(t):
			v.elem = engine.Double
		default:
			v.elem = engine.Any
		}
	}
	if v.elem == engine.Invalid || v.elem == engine.Bytes {
		v.elem = engine.Any
	}
	v.text = string(v.appendJSON(nil))
	return v
}

// Null tells whether the value is null.
func (v Value) Null() bool { return v.Type == engine.Invalid }

// Int gives the value of an Int or a Timestamp.
func (v Value) Int() (int64, bool) {
	return v.num, v.Type == engine.Int || v.Type == engine.Timestamp
}

// Double gives the value of a number as a double.
func (v Value) Double() (float64, bool) {
	if v.Type == engine.Int {
		return float64(v.num), true
	}
	return v.dbl, v.Type == engine.Double
}

// Text gives the value of a String or Bytes.
func (v Value) Text() (string, bool) {
	return v.text, v.Type == engine.String || v.Type == engine.Bytes
}

// Bool gives the value of a Bool.
func (v Value) Bool() (bool, bool) { return v.num != 0, v.Type == engine.Bool }

// List gives the elements of a list.
func (v Value) List() ([]Value, bool) {
	return v.items, v.Type == engine.Any && v.elem != engine.Invalid
}

// String is the value as a JSON literal, for messages.
func (v Value) String() string { return string(v.appendJSON(nil)) }

func (v Value) typ() typ { return typ{v.Type, v.elem} }

func (v Value) appendJSON(dst []byte) []byte {
	switch v.Type {
	case engine.Int, engine.Timestamp:
		return strconv.AppendInt(dst, v.num, 10)
	case engine.Double:
		return engine.AppendDouble(dst, v.dbl)
	case engine.Bool:
		return strconv.AppendBool(dst, v.num != 0)
	case engine.String, engine.Bytes:
		return engine.AppendString(dst, v.text)
	case engine.Any:
		if v.elem == engine.Invalid {
			return append(dst, v.text...)
		}
		dst = append(dst, '[')
		for i, it := range v.items {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = it.appendJSON(dst)
		}
		return append(dst, ']')
	}
	return append(dst, "null"...)
}

// fill sets the first n entries of c to the value.
func (v Value) fill(s *scratch, n int) {
	c := s.reset(v.Type, n)
	switch v.Type {
	case engine.Int, engine.Timestamp:
		for i := range c.Ints {
			c.Ints[i] = v.num
		}
	case engine.Double:
		for i := range c.Doubles {
			c.Doubles[i] = v.dbl
		}
	case engine.Bool:
		for i := range c.Bools {
			c.Bools[i] = v.num != 0
		}
	case engine.String, engine.Bytes, engine.Any:
		for i := range c.Strs {
			c.Strs[i] = v.text
		}
	default:
		nulls := s.nulls(n)
		for i := range nulls {
			nulls[i] = true
		}
	}
}

// valueAt reads row i of a column as a constant of type t.
func valueAt(c *engine.Column, i int32, t typ) Value {
	if c.Null(i) || t.k == engine.Invalid {
		return Value{}
	}
	v := Value{Type: t.k, elem: t.elem}
	switch t.k {
	case engine.Int, engine.Timestamp:
		v.num = c.Ints[i]
	case engine.Double:
		v.dbl = c.Doubles[i]
	case engine.Bool:
		if c.Bools[i] {
			v.num = 1
		}
	default:
		v.text = c.Strs[i]
	}
	return v
}
