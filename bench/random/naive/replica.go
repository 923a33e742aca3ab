package naive

import (
	"maps"
	"slices"
)

// This file holds the replicated types: of each actor, or key, what wins.

// replicated computes them; is is false where a is none of them.
func (a *Agg) replicated(args []arg) (v any, is bool) {
	whole := func(n int) (out []arg) { // the rows without a null among their first n
		for _, x := range args {
			if !slices.Contains(x.v[:n], any(nil)) {
				out = append(out, x)
			}
		}
		return out
	}
	switch a.Fn {
	case "g_counter", "pn_counter":
		return a.counter(whole(2)), true
	case "lww":
		var best []any
		for _, x := range whole(3) {
			if w := []any{x.v[1], x.v[2], x.v[0]}; best == nil || after(w, best) {
				best = w
			}
		}
		if best == nil {
			return nil, true
		}
		return best[2], true
	case "or_set":
		return orSet(whole(3)), true
	case "lww_map":
		best := map[string][]any{}
		for _, x := range args {
			if x.v[0] == nil || x.v[2] == nil || x.v[3] == nil {
				continue
			}
			k := x.v[0].(string)
			if w := []any{x.v[2], x.v[3], x.v[1]}; best[k] == nil || after(w, best[k]) {
				best[k] = w
			}
		}
		out := map[string]any{}
		for k, w := range best {
			if w[2] != nil {
				out[k] = w[2]
			}
		}
		return out, true
	}
	return nil, false
}

// after tells whether one write beats another: by time, actor and value, of
// which null is the least.
func after(w, than []any) bool {
	for i := range w {
		switch {
		case w[i] == nil && than[i] == nil:
			continue
		case w[i] == nil || than[i] == nil:
			return than[i] == nil
		}
		if c := Compare(w[i], than[i]); c != 0 {
			return c > 0
		}
	}
	return false
}

// counter is the sum over actors of the greatest totals they have told.
func (a *Agg) counter(rows []arg) any {
	up, down, doubles := map[any]any{}, map[any]any{}, false
	some := false
	for _, x := range rows {
		v := x.v[0]
		zero := any(int64(0))
		if _, ok := v.(float64); ok {
			zero, doubles = 0.0, true
		}
		to := up
		if Compare(v, zero) < 0 {
			if a.Fn == "g_counter" {
				continue
			}
			to = down
			if f, ok := v.(float64); ok {
				v = -f
			} else {
				v = -v.(int64)
			}
		}
		some = true
		if was := to[x.v[1]]; was == nil || Compare(v, was) > 0 {
			to[x.v[1]] = v
		}
	}
	if !some {
		return nil
	}
	i, f := int64(0), 0.0
	for sign, of := range map[int64]map[any]any{1: up, -1: down} {
		for _, v := range of {
			if doubles {
				f += float64(sign) * v.(float64)
			} else {
				i += sign * v.(int64)
			}
		}
	}
	if doubles {
		return f
	}
	return i
}

// orSet lists what has a tag that was added and not removed, in order.
func orSet(rows []arg) any {
	type tagged struct{ x, tag any }
	added, removed := map[tagged]bool{}, map[tagged]bool{}
	for _, x := range rows {
		switch x.v[0] {
		case "add":
			added[tagged{x.v[1], x.v[2]}] = true
		case "remove":
			removed[tagged{x.v[1], x.v[2]}] = true
		}
	}
	in := map[any]bool{}
	for t := range added {
		if !removed[t] {
			in[t.x] = true
		}
	}
	out := slices.Collect(maps.Keys(in))
	slices.SortFunc(out, Compare)
	return append([]any{}, out...)
}
