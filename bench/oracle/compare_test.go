//go:build oracle

package oracle

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// judged reads the judge's answer: what it wrote by the end of each chunk.
func (c *Case) judged(a Answer) [][]record {
	var steps [][]record
	from := 0
	for _, n := range c.Chunks {
		var recs []record
		for _, outputs := range a.Steps[from : from+max(n, -n)] {
			for _, o := range outputs {
				recs = append(recs, c.judgment(o))
			}
		}
		steps = append(steps, recs)
		from += max(n, -n)
	}
	return steps
}

func (c *Case) judgment(o Output) record {
	r := record{time: o.Time, gone: o.Value == nil}
	if o.Key != nil {
		r.key = *o.Key
	}
	r.wire = r.key
	if r.gone {
		return r
	}
	r.body = *o.Value
	if strings.Contains(r.body, "/") {
		return r
	}
	ids := strings.Split(r.body, ",")
	slices.SortFunc(ids, func(a, b string) int {
		x, _ := strconv.Atoi(a)
		y, _ := strconv.Atoi(b)
		return x - y
	})
	r.body = strings.Join(ids, ",")
	// A group that no row is left in is an empty row to Kafka Streams, none to leat.
	r.gone = r.body == ""
	return r
}

// view is a table as its changes make it: rows by key.
type view map[string]record

func (v view) apply(recs []record) {
	for _, r := range recs {
		old, was := v[r.wire]
		switch {
		case r.gone:
			delete(v, r.wire)
		case was && old.body == r.body && old.key == r.key:
			// The same row again: its time is that of the first.
		default:
			v[r.wire] = r
		}
	}
}

func (v view) lines() []string {
	var out []string
	for _, r := range v {
		out = append(out, r.line())
	}
	slices.Sort(out)
	return out
}

func (r record) line() string {
	if r.gone {
		return r.key + " gone"
	}
	return fmt.Sprintf("%s: %s at %d", r.key, r.body, r.time)
}

// compareTables compares the two tables after each chunk.
func compareTables(leat, ks [][]record) error {
	ours, theirs := view{}, view{}
	for i := range ks {
		ours.apply(leat[i])
		theirs.apply(ks[i])
		if err := same(fmt.Sprintf("table after chunk %d", i), ours.lines(), theirs.lines()); err != nil {
			return err
		}
	}
	return nil
}

// compareFacts compares rows that nothing replaces, after each chunk, or
// (atEnd) all of them at the end. Pairs have no key but themselves.
func compareFacts(leat, ks [][]record, keyless, atEnd bool) error {
	var ours, theirs []string
	for i := range ks {
		for _, side := range []struct {
			recs []record
			to   *[]string
		}{{leat[i], &ours}, {ks[i], &theirs}} {
			for _, r := range side.recs {
				if keyless {
					r.key = ""
				}
				*side.to = append(*side.to, r.line())
			}
		}
		if atEnd && i < len(ks)-1 {
			continue
		}
		slices.Sort(ours)
		slices.Sort(theirs)
		if err := same(fmt.Sprintf("rows by the end of chunk %d", i), ours, theirs); err != nil {
			return err
		}
	}
	return nil
}

// same tells what one side has and the other has not.
func same(what string, leat, ks []string) error {
	if slices.Equal(leat, ks) {
		return nil
	}
	count := map[string]int{}
	for _, l := range leat {
		count[l]++
	}
	for _, l := range ks {
		count[l]--
	}
	var b strings.Builder
	for _, l := range slices.Sorted(maps.Keys(count)) {
		if n := count[l]; n > 0 {
			fmt.Fprintf(&b, "\n  only leat:          %s", l)
		} else if n < 0 {
			fmt.Fprintf(&b, "\n  only Kafka Streams: %s", l)
		}
	}
	return fmt.Errorf("%s:%s", what, b.String())
}

// finals are the rows that leat marked as a window's last, without the mark.
func finals(steps [][]record) [][]record {
	out := make([][]record, len(steps))
	for i, recs := range steps {
		for _, r := range recs {
			if r.final {
				out[i] = append(out[i], r)
			}
		}
	}
	return out
}

// describe is a case for people, and for a test that keeps it.
func (c *Case) describe() string {
	var b strings.Builder
	b.WriteString(c.Pipeline())
	for _, r := range c.Rows {
		fmt.Fprintf(&b, "  #%d %s t=%d key=%s", r.ID, r.In, r.Time, orNull(r.Key))
		if r.Value == nil {
			b.WriteString(" null value")
		} else if r.Other != "" {
			fmt.Fprintf(&b, " other=%s", r.Other)
		}
		b.WriteString("\n")
	}
	fmt.Fprintf(&b, "  chunks %v\n", c.Chunks)
	return b.String()
}

func orNull(s *string) string {
	if s == nil {
		return "null"
	}
	return *s
}
