package pipelines

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// This file says how results differ from what was expected.

// differ reports that the results are not these rows: each that is missing,
// not expected or different, and what there is. first is the row that could
// not be found when they were taken in order; -1: their number is wrong.
func (r *runner) differ(e *Expectation, in *stream, want []wanted, got []Result, first int) {
	a := align(in, want, got)
	var lines []string
	at := -1
	note := func(i int, format string, args ...any) {
		if at < 0 && i >= 0 {
			at = i
		}
		lines = append(lines, fmt.Sprintf(format, args...))
	}
	extra := func(k int) {
		for _, j := range a.behind[k] {
			note(-1, "not expected: %s", describe(got[j : j+1])[0])
		}
	}
	extra(-1)
	for i, w := range want {
		if j := a.pair[i]; j < 0 {
			note(i, "row %d is missing: %s", i+1, rowText(w.node))
		} else if !w.matches(got[j]) {
			note(i, "row %d%s: %s", i+1, ofKey(got[j]), w.difference(got[j]))
		}
		extra(i)
	}
	if len(lines) == 0 {
		note(first, "the rows are there, in another order")
	}
	hint := gotHint(describe(got))
	if len(got) > 0 {
		const most = 20
		if n := len(lines); n > most {
			lines = append(lines[:most], fmt.Sprintf("… and %d more", n-most))
		}
		hint = strings.Join(lines, "\n        ") + "\n        " + hint
	}
	switch {
	case len(want) != len(got):
		r.fail(e.node, "expect", hint, "sink %q has %d results, not %d", e.Sink.Text, len(got), len(want))
	default:
		r.fail(want[max(at, 0)].node, "expect", hint, "sink %q has not this row here", e.Sink.Text)
	}
	r.rewriteRows(e, in, want, got, a)
}

// difference names the columns of a result that are not as expected.
func (w wanted) difference(g Result) string {
	row, deleted := g.row()
	switch {
	case deleted && !w.deleted:
		return "is deleted"
	case !deleted && w.deleted:
		return "is not deleted"
	}
	var parts []string
	for _, column := range slices.Sorted(maps.Keys(w.row)) {
		v, there := w.column(g, row, column)
		switch {
		case !there && w.row[column] != nil:
			parts = append(parts, fmt.Sprintf("has no %s", column))
		case !equal(w.row[column], v):
			parts = append(parts, fmt.Sprintf("%s is %s, not %s", column, valueText(v), valueText(w.row[column])))
		}
	}
	for _, h := range w.headers {
		if v := header(g, h.Key); v != string(h.Value) {
			parts = append(parts, fmt.Sprintf("header %s is %q, not %q", h.Key, v, h.Value))
		}
	}
	return strings.Join(parts, "; ")
}

// valueText is a value as JSON; times stay numbers or texts, as they are written.
func valueText(v any) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic(err) // it was decoded from JSON
	}
	return strings.TrimSpace(b.String())
}

func ofKey(g Result) string {
	if g.Key == nil {
		return ""
	}
	return " (key " + strconv.Quote(string(g.Key)) + ")"
}

// rowText is a row of a file on one line.
func rowText(n *node) string {
	switch {
	case n == nil || n.null:
		return "null"
	case n.kind == scalarNode:
		return strings.ReplaceAll(n.text, "\n", " ")
	}
	var parts []string
	for _, item := range n.items {
		parts = append(parts, rowText(item))
	}
	if n.kind == sequenceNode {
		return "[" + strings.Join(parts, ", ") + "]"
	}
	for _, pr := range n.pairs {
		parts = append(parts, pr.key.text+": "+rowText(pr.value))
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

// alignment pairs expected rows with results, in order per group.
type alignment struct {
	pair   []int         // of each expected row: its result, or -1: missing
	behind map[int][]int // results that were not expected, behind which row; -1: before all
}

// align finds what probably was meant: within a group the fewest differences.
func align(in *stream, want []wanted, got []Result) alignment {
	a := alignment{pair: make([]int, len(want)), behind: map[int][]int{}}
	groups := map[string]*[2][]int{}
	var order []string
	add := func(key string, side, i int) {
		if groups[key] == nil {
			groups[key] = new([2][]int)
			order = append(order, key)
		}
		groups[key][side] = append(groups[key][side], i)
	}
	by := groupOf(in, want)
	for i, w := range want {
		add(groupKey(by, w.row), 0, i)
	}
	for j, g := range got {
		row, deleted := g.row()
		if len(by) == 1 && deleted && row == nil {
			row = map[string]any{by[0]: string(g.Key)}
		}
		add(groupKey(by, row), 1, j)
	}
	for _, key := range order {
		a.group(want, got, groups[key][0], groups[key][1])
	}
	for _, list := range a.behind {
		slices.Sort(list)
	}
	return a
}

// groupOf is the columns that tell keys apart, where every expected row names
// them all.
func groupOf(in *stream, want []wanted) []string {
	for _, column := range in.group {
		for _, w := range want {
			if _, there := w.row[column]; !there {
				return nil
			}
		}
	}
	return in.group
}

func groupKey(by []string, row map[string]any) string {
	var b strings.Builder
	for _, column := range by {
		v, _ := lookColumn(row, column)
		text := valueText(v)
		if s, ok := v.(string); ok {
			text = s
		}
		b.WriteString(strconv.Quote(text))
	}
	return b.String()
}

// group aligns the rows ws of want with the results gs of got: the cheapest way
// from both ends (cost[i][j] is that of what is behind i and j).
func (a *alignment) group(want []wanted, got []Result, ws, gs []int) {
	const gap, most = 1.0, 1_000_000
	if len(ws)*len(gs) > most {
		gs = gs[:most/len(ws)] // only for a report: the rest is "missing"
	}
	cost := make([][]float64, len(ws)+1)
	for i := len(ws); i >= 0; i-- {
		cost[i] = make([]float64, len(gs)+1)
		for j := len(gs); j >= 0; j-- {
			switch {
			case i == len(ws):
				cost[i][j] = float64(len(gs)-j) * gap
			case j == len(gs):
				cost[i][j] = float64(len(ws)-i) * gap
			default:
				cost[i][j] = min(want[ws[i]].distance(got[gs[j]])+cost[i+1][j+1], gap+cost[i+1][j], gap+cost[i][j+1])
			}
		}
	}
	last := -1
	if len(ws) > 0 {
		last = ws[0] - 1
	} else {
		last = len(want) - 1
	}
	i, j := 0, 0
	for i < len(ws) || j < len(gs) {
		switch {
		case i < len(ws) && j < len(gs) && cost[i][j] == want[ws[i]].distance(got[gs[j]])+cost[i+1][j+1]:
			a.pair[ws[i]], last = gs[j], ws[i]
			i, j = i+1, j+1
		case i < len(ws) && cost[i][j] == gap+cost[i+1][j]:
			a.pair[ws[i]], last = -1, ws[i]
			i++
		default:
			a.behind[last] = append(a.behind[last], gs[j])
			j++
		}
	}
}

// distance is 0 for a row that matches; two rows without anything in common
// are about as far apart as one missing and one too many.
func (w wanted) distance(g Result) float64 {
	if w.matches(g) {
		return 0
	}
	row, deleted := g.row()
	if deleted != w.deleted {
		return 2.5
	}
	off := 0.0
	for column, v := range w.row {
		if got, there := w.column(g, row, column); (!there && v != nil) || !equal(v, got) {
			off++
		}
	}
	return 0.1 + 1.8*off/max(1, float64(len(w.row)))
}

// nearestResult is the newest of those that differ least: of the row's key if
// there is one; -1: none.
func nearestResult(in *stream, w wanted, got []Result) int {
	by, best, at := groupOf(in, []wanted{w}), 0.0, -1
	key := groupKey(by, w.row)
	for j, g := range got {
		row, deleted := g.row()
		if len(by) == 1 && deleted && row == nil {
			row = map[string]any{by[0]: string(g.Key)}
		}
		if d := w.distance(g); groupKey(by, row) == key && (at < 0 || d <= best) {
			best, at = d, j
		}
	}
	return at
}

// describe prints results for a failure.
func describe(got []Result) []string {
	var out []string
	for _, g := range got {
		value := "deleted"
		if g.Value != nil {
			value = string(g.Value)
		}
		key := ""
		if g.Key != nil {
			key = " key " + strconv.Quote(string(g.Key))
		}
		out = append(out, fmt.Sprintf("%s%s %s", clockTime(g.Time), key, value))
	}
	return out
}

func gotHint(lines []string) string {
	if len(lines) == 0 {
		return "got nothing"
	}
	const most = 20
	more := ""
	if len(lines) > most {
		more = fmt.Sprintf("\n        … and %d more", len(lines)-most)
		lines = lines[:most]
	}
	return "got\n        " + strings.Join(lines, "\n        ") + more
}
