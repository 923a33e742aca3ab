package pipelines

import (
	"slices"
	"time"

	"github.com/leatstream/leat/engine"
)

// span is a duration of whole milliseconds, at least low; absent: 0.
func (l *loader) span(n *node, low time.Duration) time.Duration {
	if n == nil {
		return 0
	}
	ms, _ := l.milliseconds(n, low)
	return time.Duration(ms) * time.Millisecond
}

// throttle reads emit: update, or {mode: update, throttle: …}, of a kind whose
// result is always a table.
func (l *loader) throttle(n *node, why string) time.Duration {
	if n == nil {
		return 0
	}
	mode := n
	var d time.Duration
	if n.kind == mappingNode {
		f := l.fields(n, mustKind("emit", ""))
		defer f.done()
		mode = f.get("mode")
		d = l.span(f.get("throttle"), time.Millisecond)
	}
	if mode == nil {
		return d
	}
	if s, ok := l.oneOf(mode, "update", "close"); ok && s == "close" {
		l.fail(mode, "value", "write emit: update, or leave it out", "%s", why)
	}
	return d
}

// plainNames are the input's names of group columns; "" for an expression.
func plainNames(in *stream, group []groupColumn) []string {
	out := make([]string, len(group))
	for i, g := range group {
		if g.from >= 0 {
			out[i] = in.schema.Fields[g.from].Name
		}
	}
	return out
}

// settled is what decides the partition of the rows of a keyed kind whose rows
// go on under the input's names: the group's columns after a repartition, nil
// where one of them was computed.
func settled(in *stream, d *derivation) (key, wire []string) {
	if !d.reshard {
		return in.key, in.wire
	}
	names := plainNames(in, d.group)
	if slices.Contains(names, "") {
		return nil, nil
	}
	return names, names
}

// keyed finishes the output of a kind that makes new rows, one for each of its
// group columns, under the group's names.
func (d *derivation) keyed() {
	in, out := d.in[0], d.out
	out.key, out.wire = []string{}, []string{}
	for _, g := range d.group {
		switch {
		case d.reshard && g.from >= 0:
			out.key, out.wire = append(out.key, g.name), append(out.wire, in.schema.Fields[g.from].Name)
		case d.reshard:
			out.key, out.wire = append(out.key, g.name), append(out.wire, "~key."+g.name)
		}
	}
	if !d.reshard {
		out.wire = in.wire
		for _, k := range in.key {
			for _, g := range d.group {
				if g.from >= 0 && in.schema.Fields[g.from].Name == k {
					out.key = append(out.key, g.name)
					break
				}
			}
		}
	}
	out.group, out.grouped, out.lostGroup = []string{}, true, ""
	for _, g := range d.group {
		out.group = append(out.group, g.name)
	}
	out.hidden = nil
	out.record, out.window, out.windowed, out.update, out.results = false, nil, false, false, false
}

// only keeps the names that schema has.
func only(names map[string]bool, schema *engine.Schema) []string {
	var out []string
	for _, f := range schema.Fields {
		if names[f.Name] {
			out = append(out, f.Name)
		}
	}
	return out
}

// stage sets what happens to late rows of a node.
func lateStage(n *engine.NodeSpec, late Word) {
	n.Errors.Stages[engine.StageLate] = engine.Skip
	if late.Text == "dead_letter" {
		n.Errors.Stages[engine.StageLate] = engine.DeadLetter
	}
}
