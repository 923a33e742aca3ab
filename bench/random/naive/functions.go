package naive

import (
	"fmt"
	"math"
	"math/big"
)

// arg is what one row gives an aggregate: its arguments, the row's event time
// and its place in the order of arrival.
type arg struct {
	v    []any
	time int64
	seq  int
}

// Result is the type of an aggregate's result.
func (a *Agg) Result() string {
	if a.Many {
		return Many
	}
	switch a.Fn {
	case "count", "count_distinct":
		return Int
	case "avg", "rate":
		return Double
	case "variance", "stddev", "ema":
		return Rounded
	case "quantile", "median":
		return Approx
	case "histogram":
		return Hist
	case "bool_and", "bool_or":
		return Bool
	case "collect", "collect_set", "top_k", "or_set", "lww_map":
		return List
	}
	return a.Args[0].Type
}

// compute folds the arguments of all rows, in order of arrival. Nulls are
// skipped, as in SQL.
func (a *Agg) compute(args []arg) (any, error) {
	if a.Fn == "count" && len(a.Args) == 0 {
		return int64(len(args)), nil
	}
	if v, is := a.replicated(args); is {
		return v, nil
	}
	var some []arg
	for _, x := range args {
		if x.v[0] != nil {
			some = append(some, x)
		}
	}
	if a.Fn == "count" {
		return int64(len(some)), nil
	}
	if a.Fn == "arg_min" || a.Fn == "arg_max" {
		return a.arg(some), nil
	}
	if len(some) == 0 {
		return a.nothing(), nil
	}
	if v, is := a.over(some); is {
		return v, nil
	}
	switch a.Fn {
	case "sum":
		return sum(some)
	case "avg":
		return mean(some), nil
	case "variance", "stddev":
		if len(some) < 2 {
			return nil, nil
		}
		m, all := mean(some), 0.0
		for _, x := range some {
			d := float(x.v[0]) - m
			all += d * d
		}
		v := all / float64(len(some)-1)
		if a.Fn == "stddev" {
			v = math.Sqrt(v)
		}
		return v, nil
	case "min", "max":
		best := some[0].v[0]
		for _, x := range some {
			if c := Compare(x.v[0], best); a.Fn == "min" && c < 0 || a.Fn == "max" && c > 0 {
				best = x.v[0]
			}
		}
		return best, nil
	case "first":
		return some[0].v[0], nil
	case "last":
		return some[len(some)-1].v[0], nil
	case "earliest", "latest":
		// Ties by arrival.
		best := some[0]
		for _, x := range some[1:] {
			if a.Fn == "earliest" && x.time < best.time || a.Fn == "latest" && x.time >= best.time {
				best = x
			}
		}
		return best.v[0], nil
	case "bool_and", "bool_or":
		for _, x := range some {
			if x.v[0] == (a.Fn == "bool_or") {
				return a.Fn == "bool_or", nil
			}
		}
		return a.Fn == "bool_and", nil
	case "collect", "collect_set":
		return a.collect(some), nil
	case "count_distinct":
		seen := map[string]bool{}
		for _, x := range some {
			seen[keyText(map[string]any{"": x.v[0]}, []string{""})] = true
		}
		return int64(len(seen)), nil
	}
	return nil, fmt.Errorf("no aggregate %q", a.Fn)
}

// nothing is the result where no value was.
func (a *Agg) nothing() any {
	switch a.Fn {
	case "count_distinct":
		return int64(0)
	case "collect", "collect_set", "top_k":
		return []any{}
	case "histogram":
		return []float64{}
	}
	return nil
}

func sum(some []arg) (any, error) {
	if _, ok := some[0].v[0].(int64); !ok {
		s := 0.0
		for _, x := range some {
			s += x.v[0].(float64)
		}
		return s, nil
	}
	s := new(big.Int)
	for _, x := range some {
		s.Add(s, big.NewInt(x.v[0].(int64)))
	}
	if !s.IsInt64() {
		return nil, fmt.Errorf("sum %s overflows", s)
	}
	return s.Int64(), nil
}

func mean(some []arg) float64 {
	s := new(big.Float).SetPrec(200)
	for _, x := range some {
		s.Add(s, new(big.Float).SetPrec(200).SetFloat64(float(x.v[0])))
	}
	m, _ := s.Quo(s, big.NewFloat(float64(len(some)))).Float64()
	return m
}

// arg is the value where the second argument is least or greatest, of equal
// ones the first that came.
func (a *Agg) arg(some []arg) any {
	var best *arg
	for i, x := range some {
		if x.v[1] == nil {
			continue
		}
		if best != nil {
			if c := Compare(x.v[1], best.v[1]); a.Fn == "arg_min" && c >= 0 || a.Fn == "arg_max" && c <= 0 {
				continue
			}
		}
		best = &some[i]
	}
	if best == nil {
		return nil
	}
	return best.v[0]
}

// collect lists the first values that came, at most as many as the limit; a
// set lists each once.
func (a *Agg) collect(some []arg) any {
	out, seen := []any{}, map[string]bool{}
	for _, x := range some {
		k := keyText(map[string]any{"": x.v[0]}, []string{""})
		if len(out) == a.Param.(int) || a.Fn == "collect_set" && seen[k] {
			continue
		}
		seen[k] = true
		out = append(out, x.v[0])
	}
	return out
}
