package naive

import (
	"maps"
	"slices"
	"strings"
)

// Element is the name of an element in a condition or an expression over lists.
const Element = "#"

// over computes filter(list, condition) and map(list, expression): of every
// element, an error of one is the row's. What is null is no condition that holds.
func (e *Expr) over(v map[string]any) (any, error) {
	x, err := e.Args[0].Eval(v)
	list, is := x.([]any)
	if err != nil || !is {
		return nil, err
	}
	env, out := maps.Clone(v), []any{}
	for _, elem := range list {
		delete(env, Element)
		if elem != nil {
			env[Element] = elem
		}
		y, err := e.Args[1].Eval(env)
		switch {
		case err != nil:
			return nil, err
		case e.Op == "map":
			out = append(out, y)
		case y == true:
			out = append(out, elem)
		}
	}
	return out, nil
}

// list computes what makes a list of others, of texts or of numbers, none null;
// is is false where e does not.
func (e *Expr) list(args []any) (out []any, is bool) {
	out = []any{}
	switch e.Op {
	case "split":
		for _, part := range strings.Split(args[0].(string), args[1].(string)) {
			out = append(out, part)
		}
	case "..":
		for n := args[0].(int64); n <= args[1].(int64); n++ {
			out = append(out, n)
		}
	case "take":
		list := args[0].([]any)
		out = list[:min(len(list), int(args[1].(int64)))]
	case "reverse":
		out = slices.Clone(args[0].([]any))
		slices.Reverse(out)
	case "uniq":
		for _, x := range args[0].([]any) {
			if !slices.Contains(out, x) {
				out = append(out, x)
			}
		}
	case "concat":
		out = slices.Concat(args[0].([]any), args[1].([]any))
	default:
		return nil, false
	}
	return out, true
}
