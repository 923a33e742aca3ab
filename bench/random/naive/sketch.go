package naive

import (
	"math"
	"slices"
	"sort"
)

// This file holds the aggregates that leat estimates, or computes over times:
// here they are exact, and who compares knows the error that is documented.

// over computes an aggregate of values and their times, none null; is is false
// where a is none of these.
func (a *Agg) over(some []arg) (v any, is bool) {
	switch a.Fn {
	case "quantile", "median":
		q := 0.5
		if a.Fn == "quantile" {
			q = a.Param.(float64)
		}
		all := sortedFloats(some)
		return all[int(q*float64(len(all)-1))], true
	case "histogram":
		return sortedFloats(some), true
	case "top_k":
		return a.topK(some), true
	case "ema":
		newest := some[0].time
		for _, x := range some {
			newest = max(newest, x.time)
		}
		sum, weights := 0.0, 0.0
		for _, x := range some {
			w := math.Pow(2, -float64(newest-x.time)/float64(a.HalfLife))
			sum, weights = sum+w*float(x.v[0]), weights+w
		}
		return sum / weights, true
	case "delta", "increase", "rate":
		return a.series(some), true
	}
	return nil, false
}

func sortedFloats(some []arg) []float64 {
	var all []float64
	for _, x := range some {
		all = append(all, float(x.v[0]))
	}
	slices.Sort(all)
	return all
}

// topK lists the values that come most often.
func (a *Agg) topK(some []arg) any {
	count := map[any]int64{}
	var values []any
	for _, x := range some {
		if count[x.v[0]]++; count[x.v[0]] == 1 {
			values = append(values, x.v[0])
		}
	}
	sort.Slice(values, func(i, j int) bool {
		if x, y := count[values[i]], count[values[j]]; x != y {
			return x > y
		}
		return Compare(values[i], values[j]) < 0
	})
	out := []any{}
	for _, v := range values[:min(len(values), a.Param.(int))] {
		out = append(out, map[string]any{"value": v, "count": count[v]})
	}
	return out
}

// series follows a counter, or a gauge, from the first row to the last by event
// time. A row that comes when there are some before it and some behind it does
// not count.
func (a *Agg) series(some []arg) any {
	if len(some) < 2 {
		return nil
	}
	first, last := some[0], some[0]
	grown := number{}.of(some[0].v[0])
	step := func(from, to arg) {
		if Compare(to.v[0], from.v[0]) < 0 {
			grown = grown.plus(to.v[0], 1) // it was reset
			return
		}
		grown = grown.plus(to.v[0], 1).plus(from.v[0], -1)
	}
	for _, x := range some[1:] {
		switch {
		case x.time >= last.time:
			step(last, x)
			last = x
		case x.time < first.time:
			step(x, first)
			first = x
		}
	}
	switch a.Fn {
	case "delta":
		return number{}.of(last.v[0]).plus(last.v[0], 1).plus(first.v[0], -1).value()
	case "increase":
		return grown.value()
	}
	if first.time == last.time {
		return nil
	}
	return float(grown.value()) / (float64(last.time-first.time) / 1000)
}

// number is an int, or a double.
type number struct {
	ints bool
	i    int64
	f    float64
}

func (number) of(v any) number {
	_, ints := v.(int64)
	return number{ints: ints}
}

func (n number) plus(v any, sign int64) number {
	if n.ints {
		n.i += sign * v.(int64)
	} else {
		n.f += float64(sign) * v.(float64)
	}
	return n
}

func (n number) value() any {
	if n.ints {
		return n.i
	}
	return n.f
}
