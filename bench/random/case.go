package random

import (
	"encoding/json"
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/leatstream/leat/bench/random/naive"
)

// Case is a pipeline with its rows and the ways to run it.
type Case struct {
	Seed       uint64
	Spec       *naive.Spec
	Partitions int
	Records    map[string][]naive.Record // per source, in the order they are written
	Ways       []Way
}

// Way is how leat runs a case: results must not depend on it.
type Way struct {
	Batch  int    // rows per turn
	Chunks int    // the rows are fed in so many parts, with a restart between them
	Unruly uint64 // not 0: seed of random turns, late commits, aborts and crashes
	Again  bool   // restart after the end of input, too: nothing may come twice
	Nap    int64  // ms of the silence at the end that pass before a restart; 0: none
	Before bool   // restart when a silence between rows begins
	After  bool   // restart when it is over
}

func (w Way) String() string {
	s := fmt.Sprintf("batch %d, %d parts", w.Batch, w.Chunks)
	if w.Unruly != 0 {
		s += fmt.Sprintf(", unruly %d", w.Unruly)
	}
	if w.Again {
		s += ", a restart at the end"
	}
	if w.Nap > 0 {
		s += fmt.Sprintf(", a restart %d ms behind the last row", w.Nap)
	}
	if w.Before {
		s += ", restarts before silences"
	}
	if w.After {
		s += ", restarts after silences"
	}
	return s
}

// String is the case as a report: YAML and rows.
func (c *Case) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d, %d partitions\n\n%s\n", c.Seed, c.Partitions, YAML(c.Spec))
	for _, s := range c.Spec.Sources {
		for _, r := range c.Records[s.Name] {
			if r.Lull > 0 {
				fmt.Fprintf(&b, "silence of %d ms\n", r.Lull)
			}
			key := "null"
			if r.Key != nil {
				key = fmt.Sprintf("%q", *r.Key)
			}
			fmt.Fprintf(&b, "%s/%d@%d time %d key %s %s\n", s.Name, r.Part, r.Off, r.Time, key, valueJSON(r))
		}
	}
	if c.Spec.Rest > 0 {
		fmt.Fprintf(&b, "silence of %d ms\n", c.Spec.Rest)
	}
	return b.String()
}

// valueJSON is a record's value as a producer wrote it; nil is a null value.
func valueJSON(r naive.Record) []byte {
	switch {
	case r.Bad:
		return []byte(`{"id":`)
	case r.Value == nil:
		return nil
	}
	keys := make([]string, 0, len(r.Value))
	for k := range r.Value {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	out := []byte{'{'}
	for i, k := range keys {
		if i > 0 {
			out = append(out, ',')
		}
		v, err := json.Marshal(r.Value[k])
		if err != nil {
			panic(err) // texts and numbers always marshal
		}
		out = append(out, fmt.Sprintf("%q:%s", k, v)...)
	}
	return append(out, '}')
}

// silent tells whether all that waits for time comes out when nothing comes.
func (c *Case) silent() bool {
	return c.Spec.Rest > 0 && !slices.ContainsFunc(c.Spec.Sources, func(s *naive.Source) bool { return !s.Table && s.CloseAfter == 0 })
}

// number gives records their offsets.
func (c *Case) number() {
	for _, records := range c.Records {
		next := map[int]int64{}
		for i := range records {
			records[i].Off = next[records[i].Part]
			next[records[i].Part]++
		}
	}
}

// prune drops steps that no sink needs: leat does not run them.
func (c *Case) prune() {
	needed := map[string]bool{}
	for _, s := range c.Spec.Sinks {
		needed[s.Input] = true
	}
	var steps []*naive.Step
	for i := len(c.Spec.Steps) - 1; i >= 0; i-- {
		s := c.Spec.Steps[i]
		use := needed[s.Name] || needed[s.Late]
		for _, b := range s.Cases {
			use = use || needed[b.As]
		}
		use = use || s.Default != "" && needed[s.Default]
		if !use {
			continue
		}
		steps = append(steps, s)
		for _, in := range append([]string{s.Input, s.Right}, s.Inputs...) {
			needed[in] = true
		}
	}
	slices.Reverse(steps)
	c.Spec.Steps = steps
	var sources []*naive.Source
	for _, s := range c.Spec.Sources {
		if needed[s.Name] {
			sources = append(sources, s)
		} else {
			delete(c.Records, s.Name)
		}
	}
	c.Spec.Sources = sources
}

func sortedStrings(s []string) []string {
	sort.Strings(s)
	return s
}
