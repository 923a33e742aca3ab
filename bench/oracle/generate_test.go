//go:build oracle

package oracle

import (
	"math/rand/v2"
	"strconv"
)

// maxRows keeps a sum of bits within an int.
const maxRows = 40

// generator makes random cases of one operator.
type generator struct {
	*rand.Rand
	c       Case
	marks   []int64 // times of rows so far
	max     int64
	inOrder bool // no row is beyond grace
}

// generate makes the case number id of op.
func generate(r *rand.Rand, op, kind string, id int) Case {
	g := &generator{Rand: r, c: Case{ID: id, Op: op, Kind: kind, Emit: "update"}}
	c := &g.c
	c.Size = pick(r, 1, 2, 5, 10, 12, 60, 1000)
	c.Gap = pick(r, 1, 2, 5, 10, 60)
	c.Advance = c.Size
	switch op {
	case "hopping":
		c.Advance = 1 + r.Int64N(c.Size)
		if c.Size/c.Advance > 60 {
			c.Advance = c.Size / 7
		}
	case "stream_stream":
		c.Before, c.After = pick(r, 0, 0, 1, 5, 10, 60), pick(r, 0, 1, 5, 10, 60)
		c.Size = max(c.Before, c.After, 1)
		c.Shared = r.IntN(2) == 0
		g.inOrder = !c.Shared || r.IntN(2) == 0
	case "stream_table":
		if r.IntN(2) == 0 {
			c.History = pick(r, 10, 60)
		}
	}
	c.Grace = pick(r, 0, 0, 1, 5, c.Size/2, c.Size, 2*c.Size)
	if c.windowed() && r.IntN(2) == 0 {
		c.Emit = "close"
	}
	g.rows(1 + r.IntN(24))
	g.chunks()
	return *c
}

func pick(r *rand.Rand, of ...int64) int64 { return of[r.IntN(len(of))] }

func (g *generator) rows(n int) {
	start := pick(g.Rand, 0, 0, g.Int64N(100), 1_700_000_000_000+g.Int64N(1000))
	g.max = start
	if !g.c.windowed() {
		g.max = max(start, 1)
	}
	for range n {
		g.row(g.topic(), g.time())
	}
	// Time goes far beyond all windows, with rows of a key of their own, so that
	// what is still open comes out.
	c := &g.c
	end := g.max + 2*(c.Size+c.Gap+c.Before+c.After+c.Grace) + 10
	for _, topic := range c.topics() {
		row := Row{ID: len(c.Rows), In: topic, Key: text("zz"), Other: "a", Time: end}
		row.Value = c.value(row)
		c.Rows = append(c.Rows, row)
	}
	if len(c.topics()) == 2 && c.pairs() {
		c.Rows[len(c.Rows)-1].Key = text("zy") // they are no pair
	}
}

func (g *generator) topic() string {
	topics := g.c.topics()
	return topics[g.IntN(len(topics))]
}

// time is where something happens: on and beside boundaries, other rows, and
// what windows and graces make of these.
func (g *generator) time() int64 {
	c := &g.c
	var t int64
	switch at := g.IntN(100); {
	case at < 40:
		t = g.max + g.Int64N(c.Size/2+2)
	case at < 55:
		t = (g.max/c.Advance+g.Int64N(3))*c.Advance + g.beside()
	case at < 80 && len(g.marks) > 0:
		by := pick(g.Rand, 0, 0, c.Size, c.Gap, c.Before, c.After, c.Grace, c.Size+c.Grace, c.Gap+c.Grace, c.After+c.Grace)
		if g.IntN(2) == 0 {
			by = -by
		}
		t = g.marks[g.IntN(len(g.marks))] + by + g.beside()
	case at < 95:
		t = g.max - g.Int64N(2*c.Size+c.Gap+2*c.Grace+3)
	default:
		t = g.max + 3*c.Size + c.Gap + c.Grace
	}
	if g.inOrder {
		t = max(t, g.max-c.Grace)
	}
	if !c.windowed() {
		return max(t, 1) // a tombstone has but its record's time, and 0 is none
	}
	return max(t, 0)
}

func (g *generator) beside() int64 { return g.Int64N(3) - 1 }

func (g *generator) row(topic string, t int64) {
	row := Row{ID: len(g.c.Rows), In: topic, Time: t, Key: text(string(rune('a' + g.IntN(3))))}
	if g.IntN(10) > 0 {
		x := g.Int64N(21) - 10
		row.X = &x
	}
	if g.IntN(8) > 0 {
		row.Other = string(rune('a' + g.IntN(3)))
	}
	row.Value = g.c.value(row)
	switch table := g.c.table(topic); {
	case table && g.IntN(5) == 0:
		row.Value = nil
	case g.IntN(25) == 0:
		row.Key = nil
	case !g.c.windowed() && g.IntN(25) == 0:
		row.Value = nil
	}
	g.c.Rows = append(g.c.Rows, row)
	if last := &g.c.Rows[len(g.c.Rows)-1]; !g.c.fair() {
		last.Key, last.Value = text("a"), g.c.value(row)
		if !g.c.fair() {
			last.Time = max(g.max, t)
		}
		if !g.c.fair() {
			g.c.Rows = g.c.Rows[:len(g.c.Rows)-1]
			return
		}
		t = last.Time
	}
	g.max = max(g.max, t)
	g.marks = append(g.marks, t)
}

// fair tells whether the two sides mean the same by a case's rows. Where they
// do not, docs/semantics.md says so:
//   - A stream's row without key or value moves leat's time and not Kafka
//     Streams', or the other way round: such rows must move none.
//   - With two topics leat's time is the lesser of theirs: no row may be late.
//   - A row that is late for its own sliding window but not for others is
//     forgotten by Kafka Streams.
//   - Of a join's rows Kafka Streams forgets some a millisecond before their
//     grace has passed.
//   - A version of a table that is deleted at its own time leaves no trace in
//     Kafka Streams' history.
//   - A table's history goes by the table's time there, by the row's here.
func (c *Case) fair() bool {
	greatest, first := int64(0), true
	for i, r := range c.Rows {
		if !c.table(r.In) && (r.Key == nil || r.Value == nil) && (first || r.Time > greatest) {
			return false
		}
		horizon := greatest - c.Grace
		switch {
		case first:
		case c.Op == "stream_stream" && !c.Shared && r.Time < horizon,
			c.Op == "sliding" && r.Time < horizon && r.Time+c.Size >= horizon,
			c.History > 0 && r.Time < greatest-c.History,
			c.History > 0 && r.Value == nil && c.versioned(i):
			return false
		}
		greatest, first = max(greatest, r.Time), false
		if c.Op == "stream_stream" && c.forgotten(i, greatest, horizon) {
			return false
		}
	}
	return true
}

// versioned tells whether an earlier row has the topic, the key and the time of
// row i.
func (c *Case) versioned(i int) bool {
	for _, r := range c.Rows[:i] {
		if r.In == c.Rows[i].In && r.Time == c.Rows[i].Time && orNull(r.Key) == orNull(c.Rows[i].Key) {
			return true
		}
	}
	return false
}

// forgotten tells whether row i meets a row, or is one, that is beyond the
// before + after + grace that Kafka Streams keeps and not beyond its own grace.
func (c *Case) forgotten(i int, greatest, horizon int64) bool {
	r := c.Rows[i]
	for n, other := range c.Rows[:i+1] {
		end := other.Time + c.After
		apart := r.Time - other.Time // the right's time less the left's
		if other.In == "right" {
			end, apart = other.Time+c.Before, -apart
		}
		meet := n == i || other.In != r.In && apart >= -c.Before && apart <= c.After
		if meet && other.Time <= greatest-c.Before-c.After-c.Grace && end >= horizon {
			return true
		}
	}
	return false
}

// chunks hands leat one row at a time, or many, and rebuilds it now and then.
// Rows of several topics come one by one, as their order is what is judged.
func (g *generator) chunks() {
	c := &g.c
	most := 1
	if len(c.topics()) == 1 || c.Shared {
		most = int(pick(g.Rand, 1, 1, 3, maxRows))
	}
	for left := len(c.Rows); left > 0; {
		n := min(left, 1+g.IntN(most))
		left -= n
		if g.IntN(12) == 0 {
			n = -n
		}
		c.Chunks = append(c.Chunks, n)
	}
}

func text(s string) *string { return &s }

func (c *Case) windowed() bool {
	return c.Op == "tumbling" || c.Op == "hopping" || c.Op == "sliding" || c.Op == "session"
}

// pairs tells whether results are pairs that stand for themselves, in place of
// rows that replace those before them.
func (c *Case) pairs() bool { return c.Op == "stream_stream" || c.Op == "stream_table" }

func (c *Case) topics() []string {
	switch c.Op {
	case "stream_stream", "stream_table", "table_table", "foreign_key":
		return []string{"left", "right"}
	case "table_aggregate":
		return []string{"left"}
	default:
		return []string{"rows"}
	}
}

func (c *Case) table(topic string) bool {
	switch c.Op {
	case "table_table", "foreign_key", "table_aggregate":
		return true
	case "stream_table":
		return topic == "right"
	default:
		return false
	}
}

// value is what Kafka Streams gets of a row.
func (c *Case) value(r Row) *string {
	s := strconv.Itoa(r.ID)
	if r.Other != "" && (c.Op == "foreign_key" && r.In == "left" || c.Op == "table_aggregate") {
		s += ":" + r.Other
	}
	return &s
}
