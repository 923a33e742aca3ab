package random

import (
	"maps"
	"slices"

	"github.com/leatstream/leat/bench/random/naive"
)

// shrinkTries bounds how often a failing case is run to make it smaller.
const shrinkTries = 1500

// Shrink makes a failing case smaller for as long as it fails: fewer ways, sinks,
// steps, rows, columns.
func Shrink(c *Case) *Case {
	tries := 0
	fails := func(c *Case) bool {
		if tries++; tries > shrinkTries || len(c.Spec.Sinks) == 0 {
			return false
		}
		if _, err := Load(c); err != nil {
			return false
		}
		_, err := Check(c)
		return err != nil
	}
	if _, err := Load(c); err != nil {
		return c // that is what fails
	}
	for before := -1; before != size(c) && tries < shrinkTries; {
		before = size(c)
		for _, smaller := range []func(*Case, func(*Case) bool) *Case{fewerWays, fewerSinks, fewerSteps, fewerRows, fewerParts, fewerValues} {
			c = smaller(c, fails)
		}
	}
	return c
}

func size(c *Case) int {
	n := len(c.Ways) + 10*len(c.Spec.Steps) + 10*len(c.Spec.Sinks)
	for _, records := range c.Records {
		for _, r := range records {
			n += 1 + len(r.Value)
		}
	}
	for _, s := range c.Spec.Steps {
		n += len(s.Aggs) + len(s.Set) + len(s.Select) + len(s.Group)
	}
	return n
}

// copyCase copies what the shrinker changes.
func copyCase(c *Case) *Case {
	out := *c
	spec := *c.Spec
	spec.Sinks, spec.Sources, spec.Steps = slices.Clone(spec.Sinks), slices.Clone(spec.Sources), nil
	for _, s := range c.Spec.Steps {
		t := *s
		t.Aggs, t.Set, t.Select, t.Group = slices.Clone(s.Aggs), slices.Clone(s.Set), slices.Clone(s.Select), slices.Clone(s.Group)
		spec.Steps = append(spec.Steps, &t)
	}
	out.Spec, out.Ways, out.Records = &spec, slices.Clone(c.Ways), maps.Clone(c.Records)
	for k, v := range out.Records {
		out.Records[k] = slices.Clone(v)
	}
	return &out
}

// try keeps a change where the case still fails.
func try(c *Case, fails func(*Case) bool, change func(*Case)) *Case {
	d := copyCase(c)
	change(d)
	d.prune()
	d.number()
	if fails(d) {
		return d
	}
	return c
}

func fewerWays(c *Case, fails func(*Case) bool) *Case {
	for i := len(c.Ways) - 1; i >= 0 && len(c.Ways) > 1; i-- {
		c = try(c, fails, func(d *Case) { d.Ways = slices.Delete(d.Ways, i, i+1) })
	}
	w := c.Ways[0]
	for _, simpler := range []Way{{Batch: 1000, Chunks: 1}, {Batch: w.Batch, Chunks: 1}, {Batch: w.Batch, Chunks: w.Chunks}, {Batch: w.Batch, Chunks: w.Chunks, Unruly: w.Unruly}, {Batch: w.Batch, Chunks: 1, Unruly: w.Unruly}} {
		if simpler != c.Ways[0] {
			c = try(c, fails, func(d *Case) { d.Ways = []Way{simpler} })
		}
	}
	return c
}

func fewerSinks(c *Case, fails func(*Case) bool) *Case {
	for i := len(c.Spec.Sinks) - 1; i >= 0 && len(c.Spec.Sinks) > 1; i-- {
		c = try(c, fails, func(d *Case) { d.Spec.Sinks = slices.Delete(d.Spec.Sinks, i, i+1) })
	}
	return c
}

// fewerSteps lets the readers of a step read its input.
func fewerSteps(c *Case, fails func(*Case) bool) *Case {
	for i := len(c.Spec.Steps) - 1; i >= 0; i-- {
		if i >= len(c.Spec.Steps) || c.Spec.Steps[i].Input == "" {
			continue
		}
		c = try(c, fails, func(d *Case) {
			gone := d.Spec.Steps[i]
			d.Spec.Steps = slices.Delete(d.Spec.Steps, i, i+1)
			for _, s := range d.Spec.Steps {
				if s.Input == gone.Name {
					s.Input = gone.Input
				}
			}
			for n, s := range d.Spec.Sinks {
				if s.Input == gone.Name {
					moved := *s
					moved.Input = gone.Input
					d.Spec.Sinks[n] = &moved
				}
			}
		})
	}
	return c
}

// fewerRows leaves out runs of rows: half of them, a quarter, …, single ones.
func fewerRows(c *Case, fails func(*Case) bool) *Case {
	for _, s := range c.Spec.Sources {
		for n := (len(c.Records[s.Name]) + 1) / 2; n > 0; n /= 2 {
			for at := 0; at < len(c.Records[s.Name]); {
				was := len(c.Records[s.Name])
				c = try(c, fails, func(d *Case) {
					rows := d.Records[s.Name]
					d.Records[s.Name] = slices.Delete(rows, at, min(len(rows), at+n))
				})
				if len(c.Records[s.Name]) == was {
					at += n
				}
			}
		}
	}
	return c
}

// fewerParts simplifies the steps.
func fewerParts(c *Case, fails func(*Case) bool) *Case {
	for i := range c.Spec.Steps {
		if i >= len(c.Spec.Steps) {
			break
		}
		s := c.Spec.Steps[i]
		for a := len(s.Aggs) - 1; a >= 0; a-- {
			if len(c.Spec.Steps[i].Aggs) > 1 {
				c = try(c, fails, func(d *Case) { t := d.Spec.Steps[i]; t.Aggs = slices.Delete(t.Aggs, a, a+1) })
			}
		}
		for a := len(s.Set) - 1; a >= 0; a-- {
			if len(c.Spec.Steps[i].Set) > 1 {
				c = try(c, fails, func(d *Case) { t := d.Spec.Steps[i]; t.Set = slices.Delete(t.Set, a, a+1) })
			}
		}
		for _, change := range []func(*naive.Step){
			func(t *naive.Step) { t.Having = nil },
			func(t *naive.Step) { t.Throttle = 0 },
			func(t *naive.Step) {
				if t.Group != nil {
					t.Group = []naive.Assign{}
				}
			},
			func(t *naive.Step) {
				for a := range t.Aggs {
					t.Aggs[a].Where = nil
				}
			},
		} {
			c = try(c, fails, func(d *Case) { change(d.Spec.Steps[i]) })
		}
	}
	if c.Partitions > 1 {
		c = try(c, fails, func(d *Case) {
			d.Partitions = 1
			for _, records := range d.Records {
				for r := range records {
					records[r].Part = 0
				}
			}
		})
	}
	return c
}

// fewerValues leaves out values of rows, column by column.
func fewerValues(c *Case, fails func(*Case) bool) *Case {
	for _, s := range c.Spec.Sources {
		for _, col := range s.Cols {
			if col.Name == s.EventTime || slices.Contains(s.Key, col.Name) || slices.Contains([]string{"k", "n", "u"}, col.Name) {
				continue
			}
			there := slices.ContainsFunc(c.Records[s.Name], func(r naive.Record) bool { _, ok := r.Value[col.Name]; return ok })
			if !there {
				continue
			}
			c = try(c, fails, func(d *Case) {
				for i, r := range d.Records[s.Name] {
					if r.Value != nil {
						v := maps.Clone(r.Value)
						delete(v, col.Name)
						d.Records[s.Name][i].Value = v
					}
				}
			})
		}
	}
	return c
}
