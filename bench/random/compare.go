package random

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"runtime/debug"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/leatstream/leat/bench/random/naive"
)

func stack() string {
	s := string(debug.Stack())
	if i := strings.Index(s, "panic("); i >= 0 {
		s = s[i:]
	}
	return s[:min(len(s), 3000)]
}

// Check runs a case all its ways; the error is the first difference, and way
// the way it was found.
func Check(c *Case) (way Way, err error) {
	want, err := interpret(c)
	if err != nil {
		return Way{}, fmt.Errorf("naive: %w", err)
	}
	for _, w := range c.Ways {
		got, err := Leat(c, w, want)
		if err == nil {
			err = Compare(c, want, got)
		}
		if err != nil {
			return w, err
		}
	}
	return Way{}, nil
}

// interpret computes what a case must come to; a panic is a case that fails.
func interpret(c *Case) (want *naive.Result, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, stack())
		}
	}()
	return naive.Run(c.Spec, c.Records)
}

// Compare tells how what was committed differs from what must be.
func Compare(c *Case, want *naive.Result, got *Output) error {
	for _, s := range c.Spec.Sinks {
		w := want.Sinks[s.Name]
		compare := facts
		if w.Table {
			compare = table
		}
		if err := compare(s, w, got.Sinks[s.Name]); err != nil {
			return fmt.Errorf("sink %s of %s: %w", s.Name, s.Input, err)
		}
	}
	var dead []string
	for _, k := range slices.Sorted(maps.Keys(merged(want.Dead, got.Dead))) {
		step, _, _ := strings.Cut(k, "/")
		if !want.Loose[step] && want.Dead[k] != got.Dead[k] {
			dead = append(dead, fmt.Sprintf("%s: %d dead letters, want %d", k, got.Dead[k], want.Dead[k]))
		}
	}
	if dead != nil {
		return errors.New(strings.Join(dead, "\n"))
	}
	return nil
}

func merged(a, b map[string]int) map[string]int {
	out := maps.Clone(a)
	maps.Copy(out, b)
	return out
}

// line is a row as text that is the same for equal rows.
func line(v map[string]any, cols []naive.Col) string {
	var b strings.Builder
	for _, c := range cols {
		if v[c.Name] != nil {
			fmt.Fprintf(&b, " %s=%s", c.Name, cell(v[c.Name], c.Type))
		}
	}
	return b.String()
}

// cell is a value as text; doubles to eight digits.
func cell(v any, typ string) string {
	switch x := v.(type) {
	case json.Number:
		if typ != naive.Int && typ != naive.Time {
			f, _ := x.Float64()
			return double(f)
		}
		return x.String()
	case float64:
		return double(x)
	case int64:
		if typ == naive.Double || typ == naive.List {
			return double(float64(x))
		}
		return strconv.FormatInt(x, 10)
	case string:
		return strconv.Quote(x)
	case []any:
		var parts []string
		for _, e := range x {
			parts = append(parts, cell(e, naive.List))
		}
		return "[" + strings.Join(parts, " ") + "]"
	case map[string]any:
		var parts []string
		for _, k := range slices.Sorted(maps.Keys(x)) {
			parts = append(parts, k+":"+cell(x[k], naive.List))
		}
		return "{" + strings.Join(parts, " ") + "}"
	}
	return fmt.Sprint(v)
}

func double(f float64) string {
	if math.Abs(f) < 1e-7 { // what rounding leaves where rows are taken back
		return "0"
	}
	return strconv.FormatFloat(f, 'g', 8, 64)
}

func keyOf(o *naive.Output, r naive.Row) string {
	if o.Keys == nil {
		if r.Key == nil {
			return "null"
		}
		return strconv.Quote(*r.Key)
	}
	key, ok := naive.WireKey(r.V, o.Keys)
	if !ok {
		return "null"
	}
	return strconv.Quote(key)
}

func writtenKey(w Written) string {
	if w.Key == nil {
		return "null"
	}
	return strconv.Quote(string(w.Key))
}

// facts compares a stream: the same rows with the same keys and times, and the
// order where there is one.
func facts(s *naive.Sink, want *naive.Output, got []Written) error {
	var wants, gots []string
	near := nearness{cols: want.Cols}
	for _, r := range want.Rows {
		wants = append(wants, near.want(fmt.Sprintf("%s @%d", keyOf(want, r), r.Stamp), r.V))
	}
	ends := map[string]int64{}
	ids := map[string][]string{}
	for _, w := range got {
		if w.Value == nil {
			return fmt.Errorf("a stream has a tombstone, key %s", writtenKey(w))
		}
		v, err := decode(w.Value, want.Cols)
		if err != nil {
			return err
		}
		gots = append(gots, near.got(fmt.Sprintf("%s @%d", writtenKey(w), w.Time), v))
		if end, ok := v["window_end"].(json.Number); ok && want.Windowed && want.Keys != nil && !want.Moved {
			at, _ := end.Int64()
			if at < ends[writtenKey(w)] {
				return fmt.Errorf("key %s: window %d comes after window %d", writtenKey(w), at, ends[writtenKey(w)])
			}
			ends[writtenKey(w)] = at
		}
		if id, ok := v["id"].(json.Number); ok && w.Key != nil {
			ids[writtenKey(w)] = append(ids[writtenKey(w)], id.String())
		}
	}
	if err := differ(wants, gots); err != nil {
		return err
	}
	if want.Merged && want.Ordered && partitions(got) < 2 && !slices.Equal(wants, gots) {
		return fmt.Errorf("rows come as\n%s\nand not as\n%s", strings.Join(gots, "\n"), strings.Join(wants, "\n"))
	}
	return inOrder(want, ids)
}

func partitions(got []Written) int {
	all := map[int]bool{}
	for _, w := range got {
		all[w.Partition] = true
	}
	return len(all)
}

// inOrder compares the order of rows that a source partition and key share,
// where nothing has moved them.
func inOrder(want *naive.Output, ids map[string][]string) error {
	if !want.Record || !want.Ordered || want.Merged || want.Type("id") != naive.Int {
		return nil
	}
	expected, place := map[string][]string{}, map[string]string{}
	for _, r := range want.Rows {
		id, ok := r.V["id"].(int64)
		if r.Key == nil || !ok || keyOf(want, r) == "null" {
			continue
		}
		at := fmt.Sprintf("%s of partition %d", keyOf(want, r), r.Part)
		text := strconv.FormatInt(id, 10)
		expected[at], place[text] = append(expected[at], text), at
	}
	found := map[string][]string{}
	for _, list := range ids {
		for _, id := range list {
			found[place[id]] = append(found[place[id]], id)
		}
	}
	for _, at := range slices.Sorted(maps.Keys(expected)) {
		if !slices.Equal(expected[at], found[at]) {
			return fmt.Errorf("key %s: ids come as %v, not as %v", at, found[at], expected[at])
		}
	}
	return nil
}

// differ compares two multisets.
func differ(want, got []string) error {
	count := map[string]int{}
	for _, w := range want {
		count[w]++
	}
	for _, g := range got {
		count[g]--
	}
	var lines []string
	for text, n := range count {
		switch {
		case n > 0:
			lines = append(lines, fmt.Sprintf("missing (%d) %s", n, text))
		case n < 0:
			lines = append(lines, fmt.Sprintf("too many (%d) %s", -n, text))
		}
	}
	if lines == nil {
		return nil
	}
	sort.Slice(lines, func(i, j int) bool {
		return lines[i][strings.Index(lines[i], ")"):] < lines[j][strings.Index(lines[j], ")"):]
	})
	if len(lines) > 12 {
		lines = append(lines[:12], fmt.Sprintf("and %d more", len(lines)-12))
	}
	return errors.New(strings.Join(lines, "\n"))
}

// table compares the newest rows, and sees to it that only what was there is
// deleted.
func table(s *naive.Sink, want *naive.Output, got []Written) error {
	newest := map[string]map[string]any{}
	for _, w := range got {
		key := writtenKey(w)
		if w.Value == nil {
			if _, there := newest[key]; !there && !s.OnlyFinal {
				return fmt.Errorf("key %s is deleted, and was not there", key)
			}
			delete(newest, key)
			continue
		}
		v, err := decode(w.Value, want.Cols)
		if err != nil {
			return err
		}
		if before, there := newest[key]; s.OnlyFinal && there {
			return fmt.Errorf("key %s has two final rows:%s and%s", key, line(before, want.Cols), line(v, want.Cols))
		}
		newest[key] = v
	}
	var wants, gots []string
	near := nearness{cols: want.Cols}
	for _, r := range want.Rows {
		if key := keyOf(want, r); !r.Maybe || newest[key] != nil {
			wants = append(wants, near.want(key, r.V))
		}
	}
	for key, v := range newest {
		gots = append(gots, near.got(key, v))
	}
	return differ(wants, gots)
}
