package random

import (
	"fmt"
	"slices"
	"strings"

	"github.com/leatstream/leat/bench/random/naive"
)

// deadLetters is the topic of all dead letters.
const deadLetters = "dlq"

// YAML writes a pipeline as a data engineer would.
func YAML(s *naive.Spec) string {
	var b strings.Builder
	b.WriteString("version: 1\nname: p\nsources:")
	tables := false
	if !slices.ContainsFunc(s.Sources, func(s *naive.Source) bool { return !s.Table }) {
		b.WriteString(" {}")
	}
	b.WriteString("\n")
	for _, in := range s.Sources {
		if in.Table {
			tables = true
			continue
		}
		fmt.Fprintf(&b, "  %s: {topic: %s, schema: %s", in.Name, in.Name, schema(in.Cols))
		if in.Key != nil {
			fmt.Fprintf(&b, ", key: [%s]", strings.Join(in.Key, ", "))
		}
		if in.EventTime != "" {
			fmt.Fprintf(&b, ", event_time: %s", in.EventTime)
		}
		fmt.Fprintf(&b, ", watermark: {max_out_of_orderness: %dms", in.Disorder)
		if in.Idle > 0 {
			fmt.Fprintf(&b, ", idle_timeout: %dms", in.Idle)
		}
		if in.CloseAfter > 0 {
			fmt.Fprintf(&b, ", close_after_idle: %dms", in.CloseAfter)
		}
		b.WriteString("}}\n")
	}
	if tables {
		b.WriteString("tables:\n")
	}
	for _, in := range s.Sources {
		if !in.Table {
			continue
		}
		fmt.Fprintf(&b, "  %s: {topic: %s, key: [%s], schema: %s", in.Name, in.Name, strings.Join(in.Key, ", "), schema(in.Cols))
		if in.EventTime != "" {
			fmt.Fprintf(&b, ", event_time: %s", in.EventTime)
		}
		if in.History > 0 {
			fmt.Fprintf(&b, ", history: %dms", in.History)
		}
		if in.Broadcast {
			b.WriteString(", broadcast: true")
		}
		b.WriteString("}\n")
	}
	if len(s.Steps) > 0 {
		b.WriteString("transforms:\n")
	}
	for _, t := range s.Steps {
		step(&b, t)
	}
	b.WriteString("sinks:\n")
	for _, t := range s.Sinks {
		fmt.Fprintf(&b, "  - {name: %s, type: kafka, input: %s, topic: %s", t.Name, t.Input, t.Name)
		if t.OnlyFinal {
			b.WriteString(", only: final")
		}
		if t.Key != nil {
			fmt.Fprintf(&b, ", key: [%s]", strings.Join(t.Key, ", "))
		}
		if t.Drop != nil {
			fmt.Fprintf(&b, ", drop: [%s]", strings.Join(t.Drop, ", "))
		}
		b.WriteString("}\n")
	}
	fmt.Fprintf(&b, "errors: {dead_letter: {topic: %s}}\n", deadLetters)
	return b.String()
}

func schema(cols []naive.Col) string {
	var parts []string
	for _, c := range cols {
		parts = append(parts, c.Name+": "+c.Type)
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

// scalar is an expression as a YAML scalar.
func scalar(e *naive.Expr) string {
	if e.Op == "col" {
		return e.Name
	}
	return "'" + strings.ReplaceAll(e.String(), "'", "''") + "'"
}

// assigns is {a: expr, b: expr}.
func assigns(list []naive.Assign) string {
	var parts []string
	for _, a := range list {
		parts = append(parts, a.Name+": "+scalar(a.Expr))
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

// columns is [a, {b: expr}].
func columns(list []naive.Assign) string {
	var parts []string
	for _, a := range list {
		if a.Expr.Op == "col" && a.Expr.Name == a.Name {
			parts = append(parts, a.Name)
			continue
		}
		parts = append(parts, "{"+a.Name+": "+scalar(a.Expr)+"}")
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

// step writes one transform.
func step(b *strings.Builder, t *naive.Step) {
	line := func(format string, args ...any) { fmt.Fprintf(b, "    "+format+"\n", args...) }
	fmt.Fprintf(b, "  - name: %s\n", t.Name)
	line("type: %s", t.Type)
	if t.Input != "" {
		line("input: %s", t.Input)
	}
	if t.Inputs != nil {
		line("inputs: [%s]", strings.Join(t.Inputs, ", "))
	}
	if t.SourceName != "" {
		line("source_name: %s", t.SourceName)
	}
	if t.Type == "join" {
		join(line, t)
	}
	if t.Where != nil {
		line("where: %s", scalar(t.Where))
	}
	if t.Set != nil {
		line("set: %s", assigns(t.Set))
	}
	if t.Select != nil && t.Type == "detect" {
		line("select: %s", assigns(t.Select))
	} else if t.Select != nil {
		line("select: %s", columns(t.Select))
	}
	if t.Drop != nil {
		line("drop: [%s]", strings.Join(t.Drop, ", "))
	}
	if t.Key != nil && t.Type != "join" {
		line("key: %s", columns(t.Key))
	}
	if t.Group != nil {
		line("group_by: %s", columns(t.Group))
	}
	if t.Window != nil {
		line("window: %s", windowYAML(t.Window))
	}
	if len(t.Aggs) > 0 {
		line("aggregates:")
		for _, a := range t.Aggs {
			line("  %s: %s", a.Name, aggregateYAML(&a))
		}
	}
	if t.Having != nil {
		line("having: %s", scalar(t.Having))
	}
	switch {
	case t.Type == "reduce" && t.Throttle > 0:
		line("emit: {mode: update, throttle: %dms}", t.Throttle)
	case t.Type != "aggregate":
	case t.Update && t.Throttle > 0:
		line("emit: {mode: update, throttle: %dms}", t.Throttle)
	case t.Update:
		line("emit: update")
	}
	switch {
	case t.Late == "dead_letter":
		line("late: dead_letter")
	case t.Late != "":
		line("late: {as: %s}", t.Late)
	}
	if t.TTL > 0 {
		line("ttl: %dms", t.TTL)
	}
	if t.Unnest != nil {
		line("unnest: %s", scalar(t.Unnest))
		line("as: %s", t.As)
	}
	if t.Cases != nil {
		line("cases:")
		for _, c := range t.Cases {
			line("  - {when: %s, as: %s}", scalar(c.When), c.As)
		}
		if t.Default != "" {
			line("default: %s", t.Default)
		}
	}
	if t.Within > 0 && (t.Type == "dedupe" || t.Type == "detect") {
		line("within: %dms", t.Within)
	}
	if t.By != nil {
		line("by: %s", scalar(t.By))
		line("k: %d", t.K)
		if t.Ascending {
			line("order: asc")
		}
		if t.Ties {
			line("ties: true")
		}
	}
	reduce(line, t)
	if t.Version != nil {
		line("version: %s", scalar(t.Version))
		line("steps:")
		for _, l := range t.Lifts {
			parts := []string{fmt.Sprintf("from: %d", l.From)}
			if l.Set != nil {
				parts = append(parts, "set: "+assigns(l.Set))
			}
			if l.Drop != nil {
				parts = append(parts, "drop: ["+strings.Join(l.Drop, ", ")+"]")
			}
			line("  - {%s}", strings.Join(parts, ", "))
		}
	}
	for i, p := range t.Patterns {
		if i == 0 {
			line("pattern:")
		}
		text := fmt.Sprintf("as: %s, where: %s", p.As, scalar(p.Where))
		if p.Times > 1 {
			text += fmt.Sprintf(", times: %d", p.Times)
		}
		if p.Absent {
			text += ", absent: true"
		}
		line("  - {%s}", text)
	}
	if t.SkipNone {
		line("skip: none")
	}
}

func join(line func(string, ...any), t *naive.Step) {
	line("kind: %s", t.Kind)
	if t.RightIsTable {
		line("table: %s", t.Right)
	} else {
		line("stream: %s", t.Right)
	}
	same := true
	for i, a := range t.Key {
		same = same && a.Expr.Op == "col" && a.Expr.Name == t.RightKey[i]
	}
	if same {
		line("key: [%s]", strings.Join(t.RightKey, ", "))
	} else {
		var parts []string
		for i, a := range t.Key {
			parts = append(parts, leftKey(a.Expr)+": "+t.RightKey[i])
		}
		line("key: {%s}", strings.Join(parts, ", "))
	}
	if !t.RightIsTable {
		if t.Before == t.After {
			line("within: %dms", t.Before)
		} else {
			line("within: {before: %dms, after: %dms}", t.Before, t.After)
		}
		if t.Grace > 0 {
			line("grace: %dms", t.Grace)
		}
	}
}

func leftKey(e *naive.Expr) string { return scalar(e) }

func reduce(line func(string, ...any), t *naive.Step) {
	if t.State == nil {
		return
	}
	line("state: %s", schema(t.State))
	if t.Init != nil {
		line("init: %s", assigns(t.Init))
	}
	line("fold:")
	for _, f := range t.Folds {
		var parts []string
		if f.When != nil {
			parts = append(parts, "when: "+scalar(f.When))
		}
		if f.Set != nil {
			parts = append(parts, "set: "+assigns(f.Set))
		}
		if f.Delete {
			parts = append(parts, "delete: true")
		}
		line("  - {%s}", strings.Join(parts, ", "))
	}
	if t.ByTime {
		line("order: event_time")
	}
}

func windowYAML(w *naive.Window) string {
	parts := []string{"type: " + w.Type}
	add := func(key string, ms int64) {
		if ms > 0 {
			parts = append(parts, fmt.Sprintf("%s: %dms", key, ms))
		}
	}
	if w.Type == "count" {
		parts = append(parts, fmt.Sprintf("size: %d", w.Rows), fmt.Sprintf("advance: %d", w.Every))
		if w.Full {
			parts = append(parts, "full: true")
		}
	} else if w.Zone != "" {
		parts = append(parts, fmt.Sprintf("size: %s", w.CivilSize))
		if by := map[string]string{"hopping": "advance", "cumulate": "step"}[w.Type]; by != "" {
			parts = append(parts, fmt.Sprintf("%s: %s", by, w.CivilBy))
		}
	} else {
		add("size", w.Size)
	}
	add("advance", w.Advance)
	add("step", w.Step)
	add("gap", w.Gap)
	add("offset", w.Offset)
	add("grace", w.Grace)
	if w.Type == "sliding" {
		parts = append(parts, map[bool]string{true: "mode: trailing", false: "mode: exact"}[w.Trailing])
	}
	if w.Zone != "" {
		parts = append(parts, "time_zone: "+w.Zone)
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

// aggregateYAML writes fn(x), or the long form where there is a condition.
func aggregateYAML(a *naive.Agg) string {
	if a.Where == nil {
		var args []string
		for _, e := range a.Args {
			args = append(args, e.String())
		}
		if a.Param != nil {
			args = append(args, fmt.Sprint(a.Param))
		}
		if a.HalfLife > 0 {
			args = append(args, fmt.Sprintf(`"%dms"`, a.HalfLife))
		}
		return "'" + strings.ReplaceAll(a.Fn+"("+strings.Join(args, ", ")+")", "'", "''") + "'"
	}
	parts := []string{"fn: " + a.Fn}
	keys, ok := map[string][]string{"g_counter": {"of", "actor"}, "pn_counter": {"of", "actor"}, "lww": {"of", "ts", "actor"},
		"or_set": {"op", "of", "tag"}, "lww_map": {"of", "v", "ts", "actor"}}[a.Fn]
	if !ok {
		keys = []string{"of", "by"}
	}
	for i, e := range a.Args {
		parts = append(parts, keys[i]+": "+scalar(e))
	}
	if a.HalfLife > 0 {
		parts = append(parts, fmt.Sprintf("half_life: %dms", a.HalfLife))
	}
	if a.Param != nil {
		key := map[string]string{"quantile": "q", "top_k": "k", "collect": "limit", "collect_set": "limit"}[a.Fn]
		parts = append(parts, fmt.Sprintf("%s: %v", key, a.Param))
	}
	return "{" + strings.Join(append(parts, "where: "+scalar(a.Where)), ", ") + "}"
}
