package pipelines

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/operators"
	"github.com/leatstream/leat/state"
)

// Lint is Load and LoadTests with all that can be said about pipelines, notes
// included.
func Lint(paths []string, o LoadOptions) (*Set, Diagnostics) {
	l := newLoader(o.Env)
	l.schemas.options = o
	l.notes = true
	set := &Set{}
	for _, path := range l.expand(paths) {
		for _, doc := range l.read(path) {
			set.Pipelines = append(set.Pipelines, l.pipeline(doc))
		}
	}
	l.finish(set)
	l.diags = append(l.diags, LoadTests(set, TestFiles(set), o.Env)...)
	l.states(set)
	return set, l.diags.tidy()
}

// LintBytes is Lint for one file that is in memory already.
func LintBytes(name string, data []byte, env func(string) (string, bool)) (*Set, Diagnostics) {
	l := newLoader(env)
	l.notes = true
	set := &Set{}
	for _, doc := range l.parse(name, data) {
		set.Pipelines = append(set.Pipelines, l.pipeline(doc))
	}
	l.finish(set)
	l.states(set)
	return set, l.diags.tidy()
}

// Strict makes errors of warnings.
func (ds Diagnostics) Strict() Diagnostics {
	out := slices.Clone(ds)
	for i := range out {
		if out[i].Severity == Warning {
			out[i].Severity = Error
		}
	}
	return out
}

// Count tells how many findings have a severity.
func (ds Diagnostics) Count(s Severity) int {
	n := 0
	for _, d := range ds {
		if d.Severity == s {
			n++
		}
	}
	return n
}

// states notes what the state of each transform and table takes.
func (l *loader) states(set *Set) {
	if l.diags.Errors() > 0 {
		return
	}
	for _, p := range set.Pipelines {
		topo, err := Build(p, Options{Secret: func(string) (string, bool) { return "secret", true }})
		if err != nil {
			continue // found by those who build it in earnest
		}
		for _, sub := range topo.Subs {
			for _, store := range sub.StoreSpecs() {
				if at := p.ownerOf(store.Name); at.Given() {
					l.warn(at.node, "state", "", "store %s: %s", store.Name, estimate(store, p.pane(store.Name)))
				}
			}
		}
	}
}

// ownerOf finds the name of what a store belongs to: stores are called after
// their transform, table or sink, and a suffix that no name can have.
func (p *Pipeline) ownerOf(store string) Word {
	name, _, _ := strings.Cut(store, "-")
	for _, t := range p.Transforms {
		if t.Name.Text == name || t.Was.Given() && t.Was.Text == name {
			return t.Name
		}
	}
	for _, s := range p.Sources {
		if s.Name.Text == name {
			return s.Name
		}
	}
	for _, s := range p.Sinks {
		if s.Name.Text == name {
			return s.Name
		}
	}
	return Word{}
}

// pane says what a store keeps its words for besides the key: a pane of time, or
// a part of a count window; "" where there is nothing.
func (p *Pipeline) pane(store string) string {
	for _, t := range p.Transforms {
		if t.Name.Text != store && t.Was.Text != store {
			continue
		}
		switch s := t.Step.(type) {
		case *aggregateStep:
			switch {
			case s.framed():
				return "pane of time"
			case s.Window != nil:
				return fmt.Sprintf("part of its rows (%d parts)", operators.CountParts(s.Window.Spec))
			}
		case *topStep:
			if s.Window != nil {
				return "pane of time"
			}
		}
	}
	return ""
}

// wordBytes is the size of one word of an accumulator (package state).
const wordBytes = 8

// estimate says what one key of a store takes, from the words of its families.
func estimate(s state.Spec, pane string) string {
	kept, sent := s.Families[state.Panes], s.Families[state.Sent]
	text := fmt.Sprintf("%d bytes per key", kept.Words*wordBytes)
	if pane != "" {
		text += " and " + pane
	}
	if sent.Words > 0 {
		text += fmt.Sprintf(", %d for what was sent", sent.Words*wordBytes)
	}
	if n := len(kept.Blobs) + len(sent.Blobs); n > 0 {
		text += fmt.Sprintf(", and %s", counted(n, "value of no fixed size", "values of no fixed size"))
	}
	return text
}

func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// lintOrder warns of aggregates that go by arrival.
func (a *aggregateStep) lintOrder(k *checker, d *derivation) {
	for i, f := range d.functions {
		if f.kind.OrderFree {
			continue
		}
		at := a.Aggregates[i].Name.node
		hint := ""
		if by, ok := map[string]string{"first": "earliest", "last": "latest"}[f.kind.Name]; ok {
			hint = by + " goes by event time"
		}
		if d.reshard {
			k.warn(at, "order", hint, "%s depends on the order of arrival, which a repartition mixes", f.kind.Name)
		} else if s := sourceOf(d.in[0]); s != nil && s.Watermark.MaxOutOfOrderness > 0 {
			k.warn(at, "disorder", hint, "%s goes by arrival, and rows of %q may come %s out of order", f.kind.Name, s.Name.Text, formatDuration(s.Watermark.MaxOutOfOrderness))
		}
	}
}

// sourceOf is where the rows of the first inputs come from.
func sourceOf(s *stream) *Source {
	for s.source == nil {
		if s = s.input(); s == nil {
			return nil
		}
	}
	return s.source
}

// lintAny warns of aggregates over raw JSON.
func (a *aggregateStep) lintAny(k *checker, d *derivation) {
	for i, f := range d.functions {
		for _, p := range f.args {
			if p.Type() == engine.Any && p.Elem() == engine.Invalid && f.kind.Name != "count" {
				k.warn(a.Aggregates[i].Name.node, "any-column", "convert it: string(…), float(…)", "%s reads raw JSON, where 1 and 1.0 are two values", f.kind.Name)
			}
		}
	}
}

// delay is how long after its event time a row of s may still come out.
func (s *stream) delay() time.Duration {
	if s.source != nil {
		return s.source.Watermark.MaxOutOfOrderness
	}
	own := time.Duration(0)
	if s.step != nil {
		switch step := s.step.Step.(type) {
		case *aggregateStep:
			if step.Window != nil {
				own = time.Duration(step.Window.Spec.Grace) * time.Millisecond
			}
		case *joinStep:
			own = step.Grace
		}
	}
	most := time.Duration(0)
	for _, in := range s.inputs {
		most = max(most, in.delay())
	}
	return most + own
}

// lintSinks warns of what sinks do to results of windows.
func (k *checker) lintSinks() {
	for _, s := range k.p.Sinks {
		in := k.sinks[s]
		if in == nil || in.broken || s.broken {
			continue
		}
		k.lintKey(s, in)
		if s.SSE != nil && in.windowed && in.window != nil {
			if grace := time.Duration(in.window.Grace) * time.Millisecond; grace > 0 && grace >= s.SSE.History {
				k.warn(s.Name.node, "short-history", "history: "+formatDuration(2*grace), "windows of %q come out %s after their end, and this view keeps them for %s", in.name, formatDuration(grace), formatDuration(s.SSE.History))
			}
		}
	}
}

// lintKey warns of a record key that does not tell windows apart.
func (k *checker) lintKey(s *Sink, in *stream) {
	if s.Kafka == nil || !s.Kafka.HasKey || !in.update || !in.windowed || s.Kafka.OnlyFinal.Given() {
		return
	}
	lacks := func(column string) bool {
		return in.schema.Lookup(column) >= 0 && !slices.ContainsFunc(s.Kafka.Key, func(w Word) bool { return w.Text == column })
	}
	switch {
	case lacks(windowStart):
		k.warn(s.Name.node, "one-window", "add window_start to the key", "updates of different windows have one record key: the newer window replaces the older")
	case lacks(windowEnd) && (in.window == nil || in.window.Kind == "session" || in.window.Kind == "cumulate"):
		// As in kafkaKey: their windows may begin together.
		k.warn(s.Name.node, "one-window", "add window_end to the key", "windows that begin at the same time have one record key: one replaces the other")
	}
}

// lintTable looks at the right side of a join of a stream with a table.
func (s *joinStep) lintTable(k *checker, d *derivation) {
	left, right := d.in[0], d.in[1]
	if s.form != streamTable {
		return
	}
	if right.history == 0 {
		k.warn(s.Other.node, "replay", "history: 24h on the table", "rows meet the newest row of %q, whichever that is when they come: a replay may join otherwise", right.name)
	} else if late := left.delay(); late > right.history {
		k.warn(s.Other.node, "short-history", "history: "+formatDuration(2*late), "rows of %q may come %s late, and %q keeps versions for %s", left.name, formatDuration(late), right.name, formatDuration(right.history))
	}
}

// lintOneGroup notes what a single task does.
func (k *checker) lintOneGroup(at *node, d *derivation) {
	if len(d.group) == 0 {
		k.warn(at, "one-partition", "group_by: […]", "%q has one group: a single task does this work", d.out.name)
	}
}
