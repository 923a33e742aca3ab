//go:build synctests

package fleet

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// row is a record of in, and what a dead letter still says of it.
type row struct {
	ID int64  `json:"id"`
	K  string `json:"k"`
	G  string `json:"g"`
	TS int64  `json:"ts"`
	N  int64  `json:"n"`
}

func (r row) group(v variant) string {
	if v.group == "g" {
		return r.G
	}
	return r.K
}

// result is a record of out.
type result struct {
	K     string `json:"k"`
	G     string `json:"g"`
	Start int64  `json:"window_start"`
	End   int64  `json:"window_end"`
	Count int64  `json:"count"`
	Sum   int64  `json:"sum"`
	Final *bool  `json:"final"`
}

type pane struct {
	group string
	end   int64
}

type total struct{ count, sum int64 }

// model is what the language's manual says the results are, computed row by
// row and window by window from the input as it lies in its partitions.
type model struct {
	v      variant
	totals map[pane]total
	late   map[int64]bool // ids of rows that are late for all their windows
	partly int            // rows late for some
}

const never = -1 << 62

// newModel takes the input, per partition in offset order. A row is late for a
// window that ended before the watermark that its own partition had just
// before it; windows that end beyond the least of the last watermarks stay open.
func newModel(v variant, in map[int32][]row) *model {
	m := &model{v: v, totals: map[pane]total{}, late: map[int64]bool{}}
	least := int64(1 << 62)
	for _, rows := range in {
		mark := int64(never)
		for _, r := range rows {
			fits, all := 0, 0
			for start := (r.TS - size + advance) / advance * advance; start <= r.TS; start += advance {
				if start+size <= r.TS || start > r.TS {
					continue
				}
				all++
				if start+size <= mark {
					continue
				}
				fits++
				p := pane{r.group(v), start + size}
				t := m.totals[p]
				m.totals[p] = total{t.count + 1, t.sum + r.N}
			}
			if fits == 0 {
				m.late[r.ID] = true
			} else if fits < all {
				m.partly++
			}
			mark = max(mark, r.TS-disorder)
		}
		least = min(least, mark)
	}
	maps.DeleteFunc(m.totals, func(p pane, _ total) bool { return p.end > least })
	return m
}

// outcome is what was committed to out and late.
type outcome struct {
	v        variant
	finals   map[pane]total
	last     map[pane]total // newest row, final or not
	late     map[int64]bool
	partOf   map[string]int32
	problems []string
}

func newOutcome(v variant) *outcome {
	return &outcome{v: v, finals: map[pane]total{}, last: map[pane]total{}, late: map[int64]bool{}, partOf: map[string]int32{}}
}

func (o *outcome) problem(format string, args ...any) {
	o.problems = append(o.problems, fmt.Sprintf(format, args...))
}

// result takes a record of out, in the order of its partition.
func (o *outcome) result(partition int32, offset int64, value []byte) {
	var r result
	if err := json.Unmarshal(value, &r); err != nil {
		o.problem("out/%d@%d: %v: %s", partition, offset, err, value)
		return
	}
	group := r.K
	if o.v.group == "g" {
		group = r.G
	}
	if p, ok := o.partOf[group]; ok && p != partition {
		o.problem("out/%d@%d: %s is in partition %d, too", partition, offset, group, p)
	}
	o.partOf[group] = partition
	if r.Start != r.End-size {
		o.problem("out/%d@%d: the window [%d, %d) is not %d long", partition, offset, r.Start, r.End, size)
	}
	p, t := pane{group, r.End}, total{r.Count, r.Sum}
	if o.v.again {
		o.finals[p] = t // the newest counts
		return
	}
	if was, ok := o.finals[p]; ok {
		o.problem("out/%d@%d: %s [..%d) comes again: %v, was final with %v", partition, offset, group, r.End, t, was)
		return
	}
	was, before := o.last[p]
	o.last[p] = t
	if o.v.update && (r.Final == nil || !*r.Final) {
		if before && was.count >= t.count {
			o.problem("out/%d@%d: %s [..%d) goes from %v to %v", partition, offset, group, r.End, was, t)
		}
		return
	}
	if before && was.count > t.count {
		o.problem("out/%d@%d: %s [..%d) goes from %v to %v", partition, offset, group, r.End, was, t)
	}
	o.finals[p] = t
}

// dead takes a record of late.
func (o *outcome) dead(partition int32, offset int64, value []byte) {
	var r row
	if err := json.Unmarshal(value, &r); err != nil {
		o.problem("late/%d@%d: %v: %s", partition, offset, err, value)
		return
	}
	if o.late[r.ID] && !o.v.again {
		o.problem("late/%d@%d: row %d comes again", partition, offset, r.ID)
	}
	o.late[r.ID] = true
}

// complete tells that everything expected is there.
func (o *outcome) complete(m *model) bool {
	return len(o.finals) >= len(m.totals) && len(o.late) >= len(m.late)
}

// compare lists what is not as the model says.
func (o *outcome) compare(m *model) []string {
	problems := slices.Clone(o.problems)
	say := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	for p, want := range m.totals {
		if got, ok := o.finals[p]; !ok {
			say("%s [..%d) is missing, want %v", p.group, p.end, want)
		} else if got != want && !(m.v.again && got.count > want.count) {
			say("%s [..%d) is %v, want %v", p.group, p.end, got, want)
		}
	}
	for p, got := range o.finals {
		if _, ok := m.totals[p]; !ok {
			say("%s [..%d) is %v, want nothing", p.group, p.end, got)
		}
	}
	for id := range m.late {
		if !o.late[id] {
			say("row %d is late and was not found late", id)
		}
	}
	for id := range o.late {
		if !m.late[id] && !m.v.again { // there, a second copy may be
			say("row %d is not late and was found late", id)
		}
	}
	slices.Sort(problems)
	return problems
}
