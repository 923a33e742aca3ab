package pipelines

import (
	"bytes"
	"fmt"
	"slices"
)

// same compares the results of a run in which tasks were rebuilt after each
// step with those of the plain run.
func (r *runner) same(t *Test, plain Driver) {
	for _, s := range r.p.Sinks {
		// A view's refresh and a throttle begin anew with a task: then there may be
		// more updates in between, but the same ones in the same order.
		more := s.SSE != nil || r.p.throttled()
		want, got := plain.Results(s.Name.Text), r.driver.Results(s.Name.Text)
		if in := r.p.checked.sinks[s]; s.SSE != nil && (in.identity() == nil || !in.table && !in.results) {
			want, got = keyless(want), keyless(got) // numbered from the time at which its task began
		}
		r.sameResults(t, fmt.Sprintf("the results of sink %q", s.Name.Text), want, got, more)
	}
	r.sameResults(t, "the dead letters", plain.DeadLetters(), r.driver.DeadLetters(), false)
}

func (r *runner) sameResults(t *Test, what string, want, got []Result, more bool) {
	keys, wants := perKey(want)
	others, gots := perKey(got)
	for _, key := range append(keys, others...) {
		w, g := wants[key], gots[key]
		if slices.EqualFunc(w, g, sameResult) || more && within(w, g) {
			continue
		}
		hint := "without: " + gotHint(describe(w)) + "\n        with: " + gotHint(describe(g))
		r.fail(t.Name.node, "run", hint, "%s change when every task is rebuilt after each step", what)
		return
	}
}

func keyless(list []Result) []Result {
	out := slices.Clone(list)
	for i := range out {
		out[i].Key = nil
	}
	return out
}

// perKey sorts results by their key, in order.
func perKey(list []Result) (keys []string, by map[string][]Result) {
	by = map[string][]Result{}
	for _, g := range list {
		key := string(g.Key)
		if by[key] == nil {
			keys = append(keys, key)
		}
		by[key] = append(by[key], g)
	}
	return keys, by
}

func sameResult(a, b Result) bool {
	if a.Time != b.Time || (a.Value == nil) != (b.Value == nil) || !bytes.Equal(a.Value, b.Value) || len(a.Headers) != len(b.Headers) {
		return false
	}
	for i := range a.Headers {
		if a.Headers[i].Key != b.Headers[i].Key || !bytes.Equal(a.Headers[i].Value, b.Headers[i].Value) {
			return false
		}
	}
	return true
}

// within tells whether list has all of some, in order, and ends as it does,
// whenever they were written.
func within(some, list []Result) bool {
	sameResult := func(a, b Result) bool {
		a.Time = b.Time
		return sameResult(a, b)
	}
	if len(some) == 0 || len(list) == 0 || !sameResult(some[len(some)-1], list[len(list)-1]) {
		return false
	}
	i := 0
	for _, g := range list {
		if i < len(some) && sameResult(some[i], g) {
			i++
		}
	}
	return i == len(some)
}

// throttled tells whether a transform holds updates back.
func (p *Pipeline) throttled() bool {
	return slices.ContainsFunc(p.Transforms, func(t *Transform) bool {
		switch s := t.Step.(type) {
		case *aggregateStep:
			return s.Throttle > 0
		case *reduceStep:
			return s.Throttle > 0
		}
		return false
	})
}
