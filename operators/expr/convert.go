package expr

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"

	"github.com/leatstream/leat/engine"
)

// toInt is int(x): the whole part of a double, decimal text, the epoch
// milliseconds of a timestamp, a number or text of JSON.
func toInt(_ *compiler, k call) (*node, error) {
	switch x := k.args[0]; x.t {
	case tInt:
		return x, nil
	case tTimestamp:
		return retype(tInt, x), nil
	case tDouble:
		return fn1(tInt, x, doubles, ints, intOfDouble), nil
	case tString:
		return fn1(tInt, x, strs, ints, intOfText), nil
	case tAny:
		return fn1(tInt, x, strs, ints, func(s string) (int64, error) {
			switch v := scalar(s); v.Type {
			case engine.Int:
				return v.num, nil
			case engine.Double:
				return intOfDouble(v.dbl)
			case engine.String:
				return intOfText(v.text)
			}
			return 0, cannotConvert("int", s)
		}), nil
	}
	return nil, k.wrong(0)
}

func intOfDouble(d float64) (int64, error) {
	if !(d >= -(1<<63) && d < 1<<63) {
		return 0, fmt.Errorf("int(%v): it does not fit", d)
	}
	return int64(d), nil
}

func intOfText(s string) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("int(%s): %w", quote(s), numError(err))
	}
	return n, nil
}

func doubleOfText(s string) (float64, error) {
	d, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return 0, fmt.Errorf("float(%s): %w", quote(s), numError(err))
	}
	return d, nil
}

var (
	errNoNumber = errors.New("it is no number")
	errNoFit    = errors.New("it does not fit")
)

func numError(err error) error {
	if errors.Is(err, strconv.ErrRange) {
		return errNoFit
	}
	return errNoNumber
}

// quote shows a value in a message, cut short.
func quote(s string) string {
	const most = 40
	if len(s) > most {
		return strconv.Quote(s[:most]) + "…"
	}
	return strconv.Quote(s)
}

func cannotConvert(to, json string) error {
	return fmt.Errorf("%s() of %s", to, jsonKind(json))
}

func toFloat64(_ *compiler, k call) (*node, error) {
	switch x := k.args[0]; x.t {
	case tInt:
		return toDouble(x), nil
	case tDouble:
		return x, nil
	case tString:
		return fn1(tDouble, x, strs, doubles, doubleOfText), nil
	case tAny:
		return fn1(tDouble, x, strs, doubles, func(s string) (float64, error) {
			switch v := scalar(s); v.Type {
			case engine.Int:
				return float64(v.num), nil
			case engine.Double:
				return v.dbl, nil
			case engine.String:
				return doubleOfText(v.text)
			}
			return 0, cannotConvert("float", s)
		}), nil
	}
	return nil, k.wrong(0)
}

// toText is string(x): numbers in decimal, a timestamp as epoch milliseconds,
// bytes as they are, JSON text decoded, any other JSON as it is.
func toText(_ *compiler, k call) (*node, error) {
	x := k.args[0]
	switch {
	case x.t == tString:
		return x, nil
	case x.t == tBytes || x.t.list():
		return retype(tString, x), nil
	case x.t.any():
		return safe(fn1(tString, x, strs, strs, func(s string) (string, error) {
			if kindOf(s) == '"' {
				return scalar(s).text, nil
			}
			return s, nil
		}), x), nil
	}
	return safe(rowwise(tString, k.args, func(f *frame, i int32, in []*engine.Column, out *engine.Column) error {
		if d := in[0]; d.Type == engine.Double && (math.IsNaN(d.Doubles[i]) || math.IsInf(d.Doubles[i], 0)) {
			out.Strs[i] = fmt.Sprint(d.Doubles[i])
			return nil
		}
		out.Strs[i] = f.keep(engine.AppendText(f.bytes(24), in[0], i))
		return nil
	}), x), nil
}

func toBool(_ *compiler, k call) (*node, error) {
	ofText := func(s string) (bool, error) {
		switch s {
		case "true":
			return true, nil
		case "false":
			return false, nil
		}
		return false, fmt.Errorf("bool(%s): it is neither true nor false", quote(s))
	}
	switch x := k.args[0]; x.t {
	case tBool:
		return x, nil
	case tString:
		return fn1(tBool, x, strs, bools, ofText), nil
	case tAny:
		return fn1(tBool, x, strs, bools, func(s string) (bool, error) {
			switch v := scalar(s); v.Type {
			case engine.Bool:
				return v.num != 0, nil
			case engine.String:
				return ofText(v.text)
			}
			return false, cannotConvert("bool", s)
		}), nil
	}
	return nil, k.wrong(0)
}

// parseJSON is json(s): any out of text.
func parseJSON(_ *compiler, k call) (*node, error) {
	x := k.args[0]
	if x.t != tString && x.t != tBytes {
		return nil, k.wrong(0)
	}
	return fn1(tAny, x, strs, strs, func(s string) (string, error) {
		if !json.Valid([]byte(s)) {
			return "", fmt.Errorf("json(%s): it is no JSON", quote(s))
		}
		return present(s)
	}), nil
}

// toJSON is toJSON(x): the JSON text of a value.
func toJSON(_ *compiler, k call) (*node, error) {
	if k.args[0].t.k == engine.Any {
		return retype(tString, k.args[0]), nil
	}
	return safe(rowwise(tString, k.args, func(f *frame, i int32, in []*engine.Column, out *engine.Column) error {
		out.Strs[i] = f.keep(engine.AppendJSON(f.bytes(32), in[0], i, engine.ValueStyle{}))
		return nil
	}), k.args...), nil
}
