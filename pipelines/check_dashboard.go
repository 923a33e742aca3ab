package pipelines

import (
	"slices"
	"strings"

	"github.com/leatstream/leat/engine"
)

// dashboard checks that panels show views and columns that exist.
func (k *checker) dashboard() {
	d := k.p.Dashboard
	if d == nil {
		return
	}
	views := map[string]*stream{}
	var names []string
	for _, s := range k.p.Sinks {
		if s.Kind == "sse" && s.Name.Given() {
			names = append(names, s.Name.Text)
			if in := k.sinks[s]; in != nil && !in.broken && !s.broken {
				views[s.Name.Text] = in
			}
		}
	}
	if len(names) == 0 && len(d.Panels) == 0 {
		k.warn(d.node, "unused", "add a sink of type sse", "there is no sse sink: the dashboard has nothing to show")
	}
	for _, p := range d.Panels {
		k.panel(p, views, names)
	}
}

func (k *checker) panel(p *Panel, views map[string]*stream, names []string) {
	if !p.View.Given() {
		if len(names) != 1 {
			k.fail(p.node, "missing-key", "sse sinks: "+strings.Join(names, ", "), "a panel needs the key \"view\", unless there is exactly one sse sink")
			return
		}
		p.View.Text = names[0]
	} else if !slices.Contains(names, p.View.Text) {
		k.fail(p.View.node, "unknown-name", didYouMean(p.View.Text, names), "no sse sink is called %q", p.View.Text)
		return
	}
	in := views[p.View.Text]
	if in == nil {
		return
	}
	for _, w := range append([]Word{p.Value, p.Series}, p.Columns...) {
		if w.Given() && in.schema.Lookup(w.Text) < 0 {
			k.compile.unknownColumn(w, in)
		}
	}
	spread := p.Type == "heatmap" || p.Type == "quantiles" // these draw histograms, too
	if i := in.schema.Lookup(p.Value.Text); p.Value.Given() && i >= 0 {
		if t := in.schema.Fields[i].Type; !numeric(t) && (!spread || t != engine.Any) {
			k.fail(p.Value.node, "type", "", "column %q is %s, a panel draws numbers", p.Value.Text, article(t.String()))
		}
	}
	if p.Type == "quantiles" {
		k.quantiles(p, in)
	}
	if (p.Type == "timeseries" || spread) && !in.windowed {
		k.warn(p.node, "panel", "give the aggregate a window, or show a stat or a table", "%q has no windows: its points are the moments of its changes", in.name)
	}
}

// quantiles checks what a quantiles panel draws: a histogram, or numbers that
// are quantiles already.
func (k *checker) quantiles(p *Panel, in *stream) {
	i := in.schema.Lookup(p.Value.Text)
	switch {
	case p.Value.Given() && len(p.Columns) > 0:
		k.fail(p.Columns[0].node, "value", "", "a quantiles panel draws value or columns, not both")
	case !p.Value.Given() && len(p.Columns) == 0:
		k.fail(p.node, "missing-key", "value: a histogram(x), or columns: [p50, p99]", "a quantiles panel needs the key \"value\" or \"columns\"")
	case p.Value.Given() && i >= 0 && numeric(in.schema.Fields[i].Type):
		k.fail(p.Value.node, "type", "give numbers that are quantiles already as columns", "column %q is %s, the value of a quantiles panel is a histogram", p.Value.Text, article(in.schema.Fields[i].Type.String()))
	}
	for _, w := range p.Columns {
		if i := in.schema.Lookup(w.Text); i >= 0 && !numeric(in.schema.Fields[i].Type) {
			k.fail(w.node, "type", "", "column %q is %s, a panel draws numbers", w.Text, article(in.schema.Fields[i].Type.String()))
		}
	}
}

func numeric(t engine.Type) bool { return t == engine.Int || t == engine.Double }
