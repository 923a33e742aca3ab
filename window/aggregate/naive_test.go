package aggregate_test

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"reflect"
	"slices"
	"strings"

	"github.com/leatstream/leat/window/aggregate"
)

// naive is the result over rows in order, by the plainest means. ok is false
// where it is out of range. Of a histogram it is the values, in order.
func naive(c call, all [][]any) (result any, ok bool) {
	if c.Name == "count" && len(c.types) == 0 {
		return int64(len(all)), true
	}
	switch c.Name {
	case "lww_map", "or_set":
		return naiveReplica(c, all), true
	}
	// Rows with a null are skipped.
	all = slices.DeleteFunc(slices.Clone(all), func(row []any) bool { return slices.Contains(row, nil) })
	var rows []any // of the first argument
	for _, row := range all {
		rows = append(rows, row[0])
	}
	switch c.Name {
	case "count":
		return int64(len(rows)), true
	case "count_distinct":
		return int64(len(unique(rows))), true
	case "collect", "collect_set":
		list, limit := rows, 1000
		if c.Name == "collect_set" {
			list = unique(rows)
		}
		if c.params != nil {
			limit = int(c.params[0].Int)
		}
		return listOf(c.types[0], list[:min(limit, len(list))]), true
	case "histogram":
		slices.SortFunc(rows, compare)
		return rows, true
	case "top_k":
		return naiveTop(c, rows), true
	case "g_counter", "pn_counter", "lww":
		return naiveReplica(c, all), true
	}
	if len(rows) == 0 {
		return nil, true
	}
	byTime := slices.Clone(all)
	if c.Time {
		slices.SortStableFunc(byTime, func(a, b []any) int { return cmp.Compare(a[1].(int64), b[1].(int64)) })
	}
	oldest, newest := byTime[0], byTime[len(byTime)-1]
	switch c.Name {
	case "first":
		return rows[0], true
	case "last":
		return rows[len(rows)-1], true
	case "earliest":
		return oldest[0], true
	case "latest":
		return newest[0], true
	case "arg_max", "arg_min":
		best := all[0]
		for _, row := range all {
			order := compare(row[1], best[1])
			if c.Name == "arg_max" && order > 0 || c.Name == "arg_min" && order < 0 {
				best = row
			}
		}
		return best[0], true
	case "bool_and":
		return !slices.Contains(rows, false), true
	case "bool_or":
		return slices.Contains(rows, true), true
	case "min":
		return slices.MinFunc(rows, compare), true
	case "max":
		return slices.MaxFunc(rows, compare), true
	case "median", "quantile":
		q := 0.5
		if c.params != nil {
			q = c.params[0].Double
		}
		slices.SortFunc(rows, compare)
		return double(rows[int(q*float64(len(rows)-1))]), true
	case "delta":
		if len(rows) < 2 {
			return nil, true
		}
		return minus(newest[0], oldest[0]), true
	case "increase", "rate":
		return naiveIncrease(c, byTime), true
	case "ema":
		sum, weight := 0.0, 0.0
		for _, row := range all {
			w := math.Exp2(-float64(newest[1].(int64)-row[1].(int64)) / float64(c.params[0].Int))
			sum, weight = sum+w*double(row[0]), weight+w
		}
		return sum / weight, true
	case "sum":
		if c.types[0] == aggregate.Int {
			sum := new(big.Int)
			for _, v := range rows {
				sum.Add(sum, big.NewInt(v.(int64)))
			}
			return sum.Int64(), sum.IsInt64()
		}
		return sum(rows), true
	case "avg":
		return sum(rows) / float64(len(rows)), true
	case "variance", "stddev":
		if len(rows) < 2 {
			return nil, true
		}
		mean, squares := sum(rows)/float64(len(rows)), 0.0
		for _, v := range rows {
			squares += (double(v) - mean) * (double(v) - mean)
		}
		variance := squares / float64(len(rows)-1)
		if c.Name == "stddev" {
			return math.Sqrt(variance), true
		}
		return variance, true
	}
	panic("no naive " + c.Name)
}

// minus is a - b, of ints at most what an int can be.
func minus(a, b any) any {
	if x, ok := a.(float64); ok {
		return x - b.(float64)
	}
	return clamp(new(big.Int).Sub(big.NewInt(a.(int64)), big.NewInt(b.(int64))))
}

func clamp(v *big.Int) int64 {
	switch {
	case v.IsInt64():
		return v.Int64()
	case v.Sign() < 0:
		return math.MinInt64
	}
	return math.MaxInt64
}

// naiveIncrease is increase and rate of rows in the order of time.
func naiveIncrease(c call, rows [][]any) any {
	if len(rows) < 2 {
		return nil
	}
	grown := 0.0
	for i, row := range rows[1:] {
		a, b := double(rows[i][0]), double(row[0])
		if b >= a {
			grown += b - a
		} else {
			grown += b
		}
	}
	ms := rows[len(rows)-1][1].(int64) - rows[0][1].(int64)
	switch {
	case c.Name == "rate" && ms == 0:
		return nil
	case c.Name == "rate":
		return grown / (float64(ms) / 1000)
	case c.types[0] == aggregate.Int:
		return int64(grown)
	}
	return grown
}

func naiveTop(c call, rows []any) any {
	values := unique(rows)
	count := map[string]int{}
	for _, v := range rows {
		count[textOf(v)]++
	}
	slices.SortFunc(values, func(a, b any) int {
		if d := count[textOf(b)] - count[textOf(a)]; d != 0 {
			return d
		}
		return compare(a, b)
	})
	list := []any{}
	for _, v := range values[:min(len(values), int(c.params[0].Int))] {
		list = append(list, map[string]any{"value": jsonOf(c.types[0], v), "count": float64(count[textOf(v)])})
	}
	return list
}

// naiveReplica knows the replicated types, over all rows.
func naiveReplica(c call, rows [][]any) any {
	switch c.Name {
	case "g_counter", "pn_counter":
		totals := map[string]any{}
		for _, row := range rows {
			x, sign := row[0], ""
			if double(x) != double(x) || c.Name == "g_counter" && double(x) < 0 {
				continue
			}
			if double(x) < 0 {
				sign = "-"
			}
			key := sign + textOf(row[1])
			if old := totals[key]; old == nil || sign == "" && compare(x, old) > 0 || sign != "" && compare(x, old) < 0 {
				totals[key] = x
			}
		}
		if len(totals) == 0 {
			return nil
		}
		up, down := new(big.Int), new(big.Int)
		added, taken := 0.0, 0.0
		for _, v := range totals {
			if i, ok := v.(int64); ok && i >= 0 {
				up.Add(up, big.NewInt(i))
			} else if ok {
				down.Sub(down, big.NewInt(max(i, -math.MaxInt64)))
			} else if x := v.(float64); x > 0 {
				added += x
			} else {
				taken -= x
			}
		}
		if c.types[0] == aggregate.Double {
			return added - taken
		}
		return clamp(up) - clamp(down)
	case "lww":
		var best []any
		for _, row := range rows {
			if best == nil || later(row[1], best[1], row[2], best[2], row[0], best[0]) {
				best = row
			}
		}
		if best == nil {
			return nil
		}
		return best[0]
	case "lww_map":
		best := map[string][]any{}
		for _, row := range rows {
			if row[0] == nil || row[2] == nil || row[3] == nil {
				continue
			}
			k := row[0].(string)
			if old := best[k]; old == nil || later(row[2], old[2], row[3], old[3], row[1], old[1]) {
				best[k] = row
			}
		}
		object := map[string]any{}
		for k, row := range best {
			if row[1] != nil {
				object[strings.ToValidUTF8(k, "\uFFFD")] = jsonOf(c.types[1], row[1])
			}
		}
		return object
	case "or_set":
		added, removed := map[string]any{}, map[string]bool{}
		for _, row := range rows {
			if row[0] == nil || row[1] == nil || row[2] == nil {
				continue
			}
			key := textOf(row[1]) + "/" + textOf(row[2])
			switch row[0] {
			case "add":
				added[key] = row[1]
			case "remove":
				removed[key] = true
			}
		}
		var list []any
		for key, v := range added {
			if !removed[key] {
				list = append(list, v)
			}
		}
		list = unique(list)
		slices.SortFunc(list, compare)
		return listOf(c.types[1], list)
	}
	panic("no naive " + c.Name)
}

// later compares pairs, the first that differs decides. No value is least.
func later(pairs ...any) bool {
	for i := 0; i < len(pairs); i += 2 {
		a, b := pairs[i], pairs[i+1]
		if a == nil || b == nil {
			if (a == nil) != (b == nil) {
				return b == nil
			}
			continue
		}
		if order := compare(a, b); order != 0 {
			return order > 0
		}
	}
	return false
}

// textOf is the same for equal values: 0 and -0, and all NaN.
func textOf(v any) string {
	if v == 0.0 {
		v = 0.0
	}
	return fmt.Sprintf("%T %v", v, v)
}

// unique keeps the first of equal values.
func unique(rows []any) []any {
	seen := map[string]bool{}
	var list []any
	for _, v := range rows {
		if x, ok := v.(float64); ok && x == 0 {
			v = 0.0
		}
		if text := textOf(v); !seen[text] {
			seen[text] = true
			list = append(list, v)
		}
	}
	return list
}

func listOf(typ aggregate.Type, rows []any) any {
	list := []any{}
	for _, v := range rows {
		list = append(list, jsonOf(typ, v))
	}
	return list
}

// jsonOf is what reading the JSON of a value gives.
func jsonOf(typ aggregate.Type, v any) any {
	switch v := v.(type) {
	case int64:
		return float64(v)
	case float64:
		if v-v != 0 {
			return nil
		}
		return v
	case string:
		switch typ {
		case aggregate.Bytes:
			return base64.StdEncoding.EncodeToString([]byte(v))
		case aggregate.Any:
			var x any
			if err := json.Unmarshal([]byte(v), &x); err != nil {
				panic(err)
			}
			return x
		}
		return string(bytes.ToValidUTF8([]byte(v), []byte("\uFFFD")))
	}
	return v
}

// agree compares a result with the naive one, each as its aggregate promises.
func agree(c call, got, want any) bool {
	switch c.Name {
	case "median", "quantile":
		x, ok1 := got.(float64)
		y, ok2 := want.(float64)
		if ok1 && ok2 && (y-y == 0) {
			// The library's bins end at 1.27e308; below normal doubles all is 0.
			return math.Abs(x-y) <= 0.010001*math.Abs(y)+1e-300 || math.Abs(y) > 1.2e308 && math.Abs(x) > 1.2e308 && x*y > 0
		}
		return same(got, want)
	case "histogram":
		return spread(got.(string), want.([]any))
	}
	if c.agg.Result() == aggregate.Any {
		switch want.(type) {
		case []any, map[string]any:
			var x any
			if err := json.Unmarshal([]byte(got.(string)), &x); err != nil {
				return false
			}
			return reflect.DeepEqual(x, want)
		}
	}
	return same(got, want)
}

// spread tells whether a histogram is one of the values, which are in order.
func spread(text string, values []any) bool {
	var bins []struct {
		LE    any
		Count int
	}
	if err := json.Unmarshal([]byte(text), &bins); err != nil {
		return false
	}
	for _, bin := range bins {
		if bin.Count < 1 || bin.Count > len(values) {
			return false
		}
		for _, v := range values[:bin.Count] {
			x, ok := double(v), false
			switch le := bin.LE.(type) {
			case string:
				ok = le == map[bool]string{true: "NaN"}[x != x] || le == fmt.Sprintf("%+v", x)
			case float64:
				width := 0.0203*math.Abs(le) + 1e-300
				if math.Abs(x) > 1.2e308 {
					width = math.Inf(1)
				}
				ok = x <= le+1e-9*math.Abs(le)+1e-300 && x >= le-width || width > math.MaxFloat64
			}
			if !ok {
				return false
			}
		}
		values = values[bin.Count:]
	}
	return len(values) == 0
}

func sum(rows []any) float64 {
	s := 0.0
	for _, v := range rows {
		s += double(v)
	}
	return s
}

func double(v any) float64 {
	if i, ok := v.(int64); ok {
		return float64(i)
	}
	return v.(float64)
}

// compare is the order of min and max: NaN last, -0 before 0, false first.
func compare(a, b any) int {
	switch a := a.(type) {
	case int64:
		return cmp.Compare(a, b.(int64))
	case bool:
		return map[bool]int{false: 0, true: 1}[a] - map[bool]int{false: 0, true: 1}[b.(bool)]
	case string:
		return cmp.Compare(a, b.(string))
	}
	x, y := a.(float64), b.(float64)
	switch {
	case x != x || y != y:
		return map[bool]int{true: 1}[x != x] - map[bool]int{true: 1}[y != y]
	case x == 0 && y == 0:
		return map[bool]int{true: 1}[math.Signbit(y)] - map[bool]int{true: 1}[math.Signbit(x)]
	}
	return cmp.Compare(x, y)
}

// same compares results, doubles up to rounding.
func same(a, b any) bool {
	x, ok1 := a.(float64)
	y, ok2 := b.(float64)
	switch {
	case !ok1 || !ok2:
		return a == b
	case x != x || y != y:
		return x != x && y != y
	}
	return x == y && math.Signbit(x) == math.Signbit(y) || math.Abs(x-y) <= 1e-9*max(1, math.Abs(x))
}
