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
	r := record{time: o.Time, gone: o.Value == nil, timeless: c.Op == "foreign_key"}
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
	if r.timeless {
		return r.key + ": " + r.body
	}
	return fmt.Sprintf("%s: %s at %d", r.key, r.body, r.time)
}

// compareTables compares the two tables after each chunk.
func (c *Case) compareTables(leat, ks [][]record) error {
	ours, theirs := view{}, view{}
	for i := range ks {
		ours.apply(leat[i])
		theirs.apply(ks[i])
		if c.Op == "table_aggregate" {
			c.forget(ours, theirs)
		}
		if err := same(fmt.Sprintf("table after chunk %d", i), ours.lines(), theirs.lines()); err != nil {
			return err
		}
	}
	return nil
}

// forget gives a group the time of the rows in it where leat has that: the
// rows that left count for Kafka Streams' time for ever, for leat's until the
// group is empty (docs/semantics.md).
func (c *Case) forget(ours, theirs view) {
	for key, r := range theirs {
		newest := int64(0)
		for _, row := range c.Rows {
			if slices.Contains(strings.Split(r.body, ","), strconv.Itoa(row.ID)) {
				newest = max(newest, row.Time)
			}
		}
		if o := ours[key]; o.body == r.body && o.time >= newest && o.time < r.time {
			r.time = o.time
			theirs[key] = r
		}
	}
}

// sessionFinals are the sessions that are final after each chunk, by Kafka
// Streams' updates and its rule: last + gap < time - grace. Its own finals it
// takes from a store that may still hold closed sessions and merges rows with
// them (docs/semantics.md).
func (c *Case) sessionFinals(a Answer) [][]record {
	sessions := view{}
	out := make([][]record, len(c.Chunks))
	at := int64(-1 << 60)
	row := 0
	for i, n := range c.Chunks {
		for range max(n, -n) {
			for _, o := range a.Steps[row] {
				sessions.apply([]record{c.judgment(o)})
			}
			if c.Rows[row].Key != nil {
				at = max(at, c.Rows[row].Time)
			}
			row++
			for key, r := range sessions {
				end, _ := strconv.ParseInt(r.key[strings.LastIndexByte(r.key, '|')+1:], 10, 64)
				if end+c.Gap < at-c.Grace {
					out[i] = append(out[i], r)
					delete(sessions, key)
				}
			}
		}
	}
	return out
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

// comparePairs compares what a stream-stream join gave: pairs after each chunk,
// rows without a partner at the end, as leat sends them as soon as no partner
// can come and Kafka Streams later (docs/semantics.md). With one topic none may
// come later than from Kafka Streams.
func (c *Case) comparePairs(leat, ks [][]record) error {
	ks = c.withinGrace(ks)
	alone := func(r record) bool { return strings.Contains(r.body, "-") }
	split := func(steps [][]record, want bool) [][]record {
		out := make([][]record, len(steps))
		for i, recs := range steps {
			for _, r := range recs {
				if alone(r) == want {
					out[i] = append(out[i], r)
				}
			}
		}
		return out
	}
	if err := compareFacts(split(leat, false), split(ks, false), true, !c.Shared); err != nil {
		return err
	}
	ours, theirs := split(leat, true), split(ks, true)
	if err := compareFacts(ours, theirs, true, true); err != nil || !c.Shared {
		return err
	}
	came := map[string]int{}
	row := 0
	for i, n := range c.Chunks {
		for range max(n, -n) {
			came[strconv.Itoa(c.Rows[row].ID)] = i
			row++
		}
	}
	sent := map[string]bool{}
	for i := range ks {
		for _, r := range ours[i] {
			sent[r.body] = true
		}
		for _, r := range theirs[i] {
			if !sent[r.body] && came[strings.Trim(r.body, "-/")] < i {
				return fmt.Errorf("chunk %d: %s comes later than from Kafka Streams", i, r.line())
			}
		}
	}
	return nil
}

// withinGrace is what Kafka Streams would have said with leat's rule for rows
// beyond grace: two rows meet where neither's window had ended by more than
// grace when the other came, and a row that is before + after + grace behind
// can meet none and is late. Kafka Streams joins what its stores still have
// (docs/semantics.md).
func (c *Case) withinGrace(ks [][]record) [][]record {
	horizon := make([]int64, len(c.Rows)) // when each row came: greatest time before it, less grace
	end := make([]int64, len(c.Rows))     // of each row's window
	index := map[string]int{"-": -1}
	at := int64(-1 << 60)
	for i, r := range c.Rows {
		index[strconv.Itoa(r.ID)] = i
		horizon[i], at = at-c.Grace, max(at, r.Time)
		end[i] = r.Time + c.After
		if r.In == "right" {
			end[i] = r.Time + c.Before
		}
	}
	rows := func(r record) (left, right int, pair bool) {
		l, r2, _ := strings.Cut(r.body, "/")
		return index[l], index[r2], l != "-" && r2 != "-"
	}
	open := func(a, b int) bool { return end[a] >= horizon[b] && end[b] >= horizon[a] }
	late := func(i int) bool { return c.Rows[i].Time+c.Before+c.After < horizon[i] }
	met, alone, lost := map[int]bool{}, map[int]bool{}, map[int]bool{}
	for _, recs := range ks {
		for _, r := range recs {
			if a, b, pair := rows(r); pair && open(a, b) && !late(a) && !late(b) {
				met[a], met[b] = true, true
			}
		}
	}
	out := make([][]record, len(ks))
	for n, recs := range ks {
		for _, r := range recs {
			a, b, pair := rows(r)
			i := max(a, b)
			switch {
			case pair && (!open(a, b) || late(a) || late(b)):
				lost[a], lost[b] = true, true
				continue
			case !pair && (late(i) || met[i]):
				// It sends a row at once that comes after its window's end, though within
				// grace a partner may come.
				continue
			case !pair:
				alone[i] = true
			}
			out[n] = append(out[n], r)
		}
	}
	for i := range lost {
		last, id := len(out)-1, strconv.Itoa(c.Rows[i].ID)
		switch {
		case met[i] || alone[i] || late(i):
		case c.Rows[i].In == "left" && c.Kind != "inner":
			out[last] = append(out[last], record{body: id + "/-", time: c.Rows[i].Time})
		case c.Rows[i].In == "right" && c.Kind == "outer":
			out[last] = append(out[last], record{body: "-/" + id, time: c.Rows[i].Time})
		}
	}
	return out
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
