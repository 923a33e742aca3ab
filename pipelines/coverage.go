package pipelines

import (
	"fmt"
	"strings"
)

// Coverage collects what the rows of a pipeline's tests have reached. One is
// for one pipeline. The nil Coverage collects nothing.
type Coverage struct {
	seen map[string]bool
}

// CoverageReport is how much of a pipeline its tests have reached.
type CoverageReport struct {
	Pipeline string   `json:"pipeline"`
	Reached  int      `json:"reached"`
	Total    int      `json:"total"`
	Missing  []string `json:"missing"` // in the order of the file
}

// NewCoverage makes one that has seen nothing.
func NewCoverage() *Coverage { return &Coverage{seen: map[string]bool{}} }

func (c *Coverage) reach(*Pipeline) func(node, what string) {
	return func(node, what string) { c.seen["node "+node+" "+what] = true }
}

func (c *Coverage) fed(source string) {
	if c != nil {
		c.seen["source "+source] = true
	}
}

// sinks notes which sinks have results.
func (c *Coverage) sinks(p *Pipeline, d Driver) {
	for _, s := range p.Sinks {
		if len(d.Results(s.Name.Text)) > 0 {
			c.seen["sink "+s.Name.Text] = true
		}
	}
}

// Report lists a pipeline's parts: its sources and tables, transforms with the
// cases of branches and folds and what they do with late rows, and its sinks.
func (c *Coverage) Report(p *Pipeline) CoverageReport {
	r := CoverageReport{Pipeline: p.Name.Text, Missing: []string{}}
	part := func(reached bool, format string, args ...any) {
		r.Total++
		if reached {
			r.Reached++
		} else {
			r.Missing = append(r.Missing, fmt.Sprintf(format, args...))
		}
	}
	for _, s := range p.Sources {
		kind := "source"
		if s.table {
			kind = "table"
		}
		part(c.seen["source "+s.Name.Text], "%s %s", kind, s.Name.Text)
	}
	for _, t := range p.Transforms {
		name := t.Name.Text
		seen := func(what string) bool { return c.seen["node "+name+" "+what] }
		part(c.entered(name), "%s %s", t.Kind, name)
		switch s := t.Step.(type) {
		case *branchStep:
			for i, as := range s.sides() {
				part(seen(fmt.Sprintf("output %d", i)), "%s %s: case %s", t.Kind, name, as.Text)
			}
		case *reduceStep:
			for i, one := range s.Fold {
				when := "always"
				if one.When != nil {
					when = "when " + one.When.Text
				}
				part(seen(fmt.Sprintf("case %d", i)), "%s %s: case %d of fold, %s", t.Kind, name, i+1, when)
			}
		}
		if t.node.has("late") {
			part(seen("late") || t.Kind != "branch" && seen("output 1"), "%s %s: late rows", t.Kind, name)
		}
	}
	for _, s := range p.Sinks {
		part(c.seen["sink "+s.Name.Text], "%s sink %s", s.Kind, s.Name.Text)
	}
	return r
}

// entered tells whether rows came to a transform; one that only sends rows on
// through a topic is known by the topic's name.
func (c *Coverage) entered(name string) bool {
	if c.seen["node "+name+" rows"] {
		return true
	}
	for seen := range c.seen {
		if strings.HasPrefix(seen, "node ") && strings.Contains(seen, "."+name+".") {
			return true
		}
	}
	return false
}
