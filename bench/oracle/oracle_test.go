//go:build oracle

package oracle

import (
	"errors"
	"flag"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

var (
	seed   = flag.Uint64("seed", 0, "of the cases; 0: a new one")
	number = flag.Int("cases", 2000, "per operator")
)

// operators are what is judged, with the kinds of each.
var operators = []struct {
	op    string
	kinds []string
}{
	{"tumbling", []string{""}},
	{"hopping", []string{""}},
	{"sliding", []string{""}},
	{"session", []string{""}},
	{"unwindowed", []string{""}},
	{"table_aggregate", []string{""}},
	{"stream_stream", []string{"inner", "left", "outer"}},
	{"stream_table", []string{"inner", "left"}},
	{"table_table", []string{"inner", "left", "outer"}},
	{"foreign_key", []string{"inner", "left"}},
}

// TestOracle runs random cases of every operator through Kafka Streams and
// leat: after each step both must have said the same.
func TestOracle(t *testing.T) {
	if err := Missing(); err != nil {
		t.Fatal(err)
	}
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano())
	}
	t.Logf("replay with: make test-oracle ORACLE='-seed %d -cases %d'", *seed, *number)
	j, err := Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	}()
	for _, o := range operators {
		t.Run(o.op, func(t *testing.T) { judge(t, j, o.op, o.kinds) })
	}
}

func judge(t *testing.T, j *Judge, op string, kinds []string) {
	r := rand.New(rand.NewPCG(*seed, uint64(len(op))))
	var cases []Case
	for id := range *number {
		cases = append(cases, generate(r, op, kinds[id%len(kinds)], id))
	}
	if _, err := topology(&cases[0]); err != nil && strings.Contains(err.Error(), "not supported yet") {
		t.Skip(err)
	}
	bad, rows := 0, 0
	began := time.Now()
	err := ask(j, cases, func(c *Case, err error) {
		rows += len(c.Rows)
		if err == nil {
			return
		}
		if bad++; bad == 1 {
			cases[0] = *c // kept for shrinking; the others are done with it
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d cases, %d rows, %v", len(cases), rows, time.Since(began).Round(time.Millisecond))
	if bad == 0 {
		return
	}
	small, why := shrink(t, j, cases[0])
	t.Fatalf("%d of %d cases differ; one of them, made small:\n%v\n%s", bad, len(cases), why, small.describe())
}

// ask has cases judged and played, and hands out what is different.
func ask(j *Judge, cases []Case, fn func(c *Case, err error)) error {
	// A windowed case is judged twice: for what it updates, and for its finals.
	var asked []Case
	for i := range cases {
		c := cases[i]
		if c.Op == "session" {
			c.Emit = "update"
		} else if c.windowed() {
			closing := c
			closing.Emit = "close"
			if c.ID%2 == 0 && (c.Op == "tumbling" || c.Op == "hopping") {
				closing.Emit = "suppress" // what it makes of inclusive ends is another thing: docs/semantics.md
			}
			asked = append(asked, closing)
			if c.Emit == "close" {
				continue
			}
		}
		asked = append(asked, c)
	}
	answers := map[int][]Answer{}
	next := 0
	return j.Ask(asked, func(i int, a Answer) {
		answers[a.ID] = append(answers[a.ID], a)
		if i+1 < len(asked) && asked[i+1].ID == a.ID {
			return
		}
		c := &cases[next]
		next++
		fn(c, differs(c, answers[a.ID]))
		delete(answers, a.ID)
	})
}

// differs plays a case and compares.
func differs(c *Case, answers []Answer) error {
	leat, err := play(c)
	if err != nil {
		return err
	}
	ks := c.judged(answers[0])
	switch {
	case c.Op == "session" && c.Emit == "close":
		return compareFacts(leat, c.sessionFinals(answers[0]), false, false)
	case c.Op == "session":
		return errors.Join(c.compareTables(leat, ks), compareFacts(finals(leat), c.sessionFinals(answers[0]), false, false))
	case c.windowed() && c.Emit == "close":
		return compareFacts(leat, ks, false, false)
	case c.windowed():
		return errors.Join(c.compareTables(leat, c.judged(answers[1])), compareFacts(finals(leat), ks, false, false))
	case c.Op == "stream_stream":
		return c.comparePairs(leat, ks)
	case c.Op == "stream_table":
		return compareFacts(leat, ks, true, false)
	default:
		return c.compareTables(leat, ks)
	}
}

// shrink leaves rows out as long as the two sides still differ.
func shrink(t *testing.T, j *Judge, c Case) (Case, error) {
	var why error
	try := func(c Case) bool {
		var found error
		if err := ask(j, []Case{c}, func(_ *Case, err error) { found = err }); err != nil {
			t.Fatal(err)
		}
		if found != nil {
			why = found
		}
		return found != nil
	}
	one := c
	one.Chunks = slices.Repeat([]int{1}, len(c.Rows))
	if try(one) {
		c = one
	}
	for again := true; again; {
		again = false
		for i := len(c.Rows) - 1; i >= 0; i-- {
			if c.Rows[i].Key != nil && *c.Rows[i].Key >= "z" {
				continue // those that end the case
			}
			less := c
			less.Rows = slices.Delete(slices.Clone(c.Rows), i, i+1)
			less.Chunks = withoutRow(c.Chunks, i)
			if len(less.Rows) > 0 && less.fair() && try(less) {
				c, again = less, true
			}
		}
	}
	try(c)
	return c, why
}

// withoutRow takes row i out of its chunk.
func withoutRow(chunks []int, i int) []int {
	var out []int
	for _, n := range chunks {
		size := max(n, -n)
		if i >= 0 && i < size {
			if n > 0 {
				n--
			} else {
				n++
			}
			i = -1
			if n == 0 {
				continue
			}
		} else if i >= 0 {
			i -= size
		}
		out = append(out, n)
	}
	return out
}
