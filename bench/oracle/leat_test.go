//go:build oracle

package oracle

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/pipelines"
)

// record is one result of either side.
type record struct {
	key   string // of the row it replaces: "a", of a window "a|0|10"
	wire  string // the record's own key, where that is another
	body  string // which rows are in it: "0,3", "3/5"
	time  int64
	gone  bool // a delete
	final bool // leat's mark of a window's last row
	// timeless: the two sides mean different times (docs/semantics.md).
	timeless bool
	early    bool // a hopping window that began before 1970
}

// topology makes the case's pipeline.
func topology(c *Case) (*engine.Topology, error) {
	set, diags := pipelines.LoadBytes("judged.yaml", []byte(c.Pipeline()), os.LookupEnv)
	if diags.Errors() > 0 {
		var b strings.Builder
		_ = diags.Write(&b, false)
		return nil, fmt.Errorf("load the pipeline of a case:\n%s", b.String())
	}
	return pipelines.Build(set.Pipelines[0], pipelines.Options{})
}

// noTime is the clock of a case: leat gives the time of writing to a result of
// 1970-01-01T00:00:00.000Z, as to a record that has none (docs/semantics.md).
const noTime = -1

// play runs a case through leat: the results after each of its chunks.
func play(c *Case) ([][]record, error) {
	topo, err := topology(c)
	if err != nil {
		return nil, err
	}
	var steps [][]record
	var failed error
	result := func(topic engine.Topic, r engine.Record) {
		if topic != "out" {
			return
		}
		rec, err := c.read(r)
		if err != nil && failed == nil {
			failed = err
		}
		if rec.early {
			return // a hopping window that began before 1970: Kafka Streams has none (docs/semantics.md)
		}
		last := len(steps) - 1
		steps[last] = append(steps[last], rec)
	}
	steps = append(steps, nil)
	d, err := engine.NewDriver(topo, engine.DriverOptions{Partitions: 1, Now: noTime, Restarts: true, Result: result})
	if err != nil {
		return nil, err
	}
	steps = nil
	rows := c.Rows
	for _, n := range c.Chunks {
		steps = append(steps, nil)
		for _, row := range rows[:max(n, -n)] {
			d.Feed(c.feed(row))
		}
		rows = rows[max(n, -n):]
		if err := d.Run(); err != nil {
			return nil, err
		}
		if n < 0 {
			if err := d.Restart(); err != nil {
				return nil, err
			}
		}
	}
	return steps, failed
}

// feed is a row as leat reads it. Its record's timestamp says nothing; only a
// null value has no other.
func (c *Case) feed(row Row) engine.Record {
	r := engine.Record{Topic: engine.Topic(row.In), Time: max(row.Time, 1)}
	if c.Shared {
		r.Topic = "rows"
	}
	value := map[string]any{"id": row.ID, "bit": int64(1) << row.ID, "x": row.X, "side": row.In, "ts": row.Time}
	if row.Other != "" {
		value["other"] = row.Other
	}
	if row.Key != nil {
		r.Key = []byte(*row.Key)
		value["k"] = *row.Key
	}
	if row.Value != nil {
		var err error
		if r.Value, err = json.Marshal(value); err != nil {
			panic(err)
		}
	}
	return r
}

// result is what leat wrote, of aggregates and of joins.
type result struct {
	K     *string  `json:"k"`
	Start *int64   `json:"window_start"`
	End   *int64   `json:"window_end"`
	Final bool     `json:"final"`
	Bits  int64    `json:"bits"`
	N     int64    `json:"n"`
	NX    int64    `json:"nx"`
	Sum   *int64   `json:"sum"`
	Lo    *int64   `json:"lo"`
	Hi    *int64   `json:"hi"`
	First *int64   `json:"first"`
	Last  *int64   `json:"last"`
	Early *int64   `json:"earliest"`
	Late  *int64   `json:"latest"`
	Avg   *float64 `json:"avg"`
	L     *int64   `json:"l"`
	R     *int64   `json:"r"`
}

func (c *Case) read(r engine.Record) (record, error) {
	rec := record{wire: string(r.Key), key: string(r.Key), time: r.Time, gone: r.Value == nil, timeless: c.Op == "foreign_key"}
	if rec.time == noTime {
		rec.time = 0
	}
	if c.Op == "session" && c.Emit == "update" {
		// Two sessions may begin at one time: the key alone must tell them apart.
		var k result
		if err := json.Unmarshal(r.Key, &k); err != nil {
			return rec, fmt.Errorf("read the record key %s: %w", r.Key, err)
		}
		if k.K == nil || k.Start == nil || k.End == nil {
			return rec, fmt.Errorf("the record key %s names no session", r.Key)
		}
		rec.key = fmt.Sprintf("%s|%d|%d", *k.K, *k.Start, *k.End)
	}
	if rec.gone {
		return rec, nil
	}
	var v result
	if err := json.Unmarshal(r.Value, &v); err != nil {
		return rec, fmt.Errorf("read leat's result %s: %w", r.Value, err)
	}
	if v.Start != nil && v.End != nil && v.K != nil {
		rec.key = fmt.Sprintf("%s|%d|%d", *v.K, *v.Start, *v.End)
	}
	rec.final = v.Final
	rec.early = c.Op == "hopping" && v.Start != nil && *v.Start < 0
	if c.pairs() || c.Op == "table_table" || c.Op == "foreign_key" {
		rec.body = orDash(v.L) + "/" + orDash(v.R)
		return rec, nil
	}
	rec.body = c.members(v)
	return rec, nil
}

// members lists the rows of an aggregate, and what is wrong with its numbers.
func (c *Case) members(v result) string {
	var ids []string
	var xs []int64
	var of []Row
	for _, row := range c.Rows {
		if v.Bits>>row.ID&1 == 0 {
			continue
		}
		ids = append(ids, strconv.Itoa(row.ID))
		if row.X != nil {
			xs = append(xs, *row.X)
			of = append(of, row)
		}
	}
	var wrong []string
	check := func(name string, ok bool) {
		if !ok {
			wrong = append(wrong, name)
		}
	}
	sum := int64(0)
	for _, x := range xs {
		sum += x
	}
	check("n", v.N == int64(len(ids)))
	check("nx", v.NX == int64(len(xs)))
	if len(xs) == 0 {
		check("nulls", v.Early == nil && v.Late == nil && v.Sum == nil && v.Lo == nil && v.Hi == nil && v.First == nil && v.Last == nil && v.Avg == nil)
	} else {
		check("sum", v.Sum != nil && *v.Sum == sum)
		check("avg", v.Avg != nil && *v.Avg-float64(sum)/float64(len(xs)) < 1e-9 && *v.Avg-float64(sum)/float64(len(xs)) > -1e-9)
		if c.Op != "table_aggregate" {
			check("lo", v.Lo != nil && *v.Lo == slices.Min(xs))
			check("hi", v.Hi != nil && *v.Hi == slices.Max(xs))
			early, late := ends(of, byTime)
			check("earliest", v.Early != nil && *v.Early == early)
			check("latest", v.Late != nil && *v.Late == late)
			first, last := ends(of, c.arrival())
			check("first", c.Op == "session" || v.First != nil && *v.First == first)
			check("last", c.Op == "session" || v.Last != nil && *v.Last == last)
		}
	}
	body := strings.Join(ids, ",")
	if wrong != nil {
		body += fmt.Sprintf(" (wrong: %s)", strings.Join(wrong, " "))
	}
	return body
}

// byTime is the order of earliest and latest: rows of one time by arrival.
func byTime(a, b Row) int { return cmp.Compare(a.Time, b.Time) }

// arrival is the order of first and last. It is that of arrival only where a
// window is not made of parts: a hopping window's panes, a sliding window's
// rows and the sessions that become one are put together in order of time
// (docs/semantics.md).
func (c *Case) arrival() func(a, b Row) int {
	switch c.Op {
	case "hopping":
		pane := c.Size
		for rest := c.Advance; rest != 0; {
			pane, rest = rest, pane%rest
		}
		return func(a, b Row) int { return cmp.Compare(a.Time/pane, b.Time/pane) }
	case "sliding":
		return byTime
	default:
		return func(a, b Row) int { return 0 }
	}
}

// ends are the first and the last x of rows in an order.
func ends(rows []Row, order func(a, b Row) int) (first, last int64) {
	slices.SortStableFunc(rows, func(a, b Row) int { return cmp.Or(order(a, b), cmp.Compare(a.ID, b.ID)) })
	return *rows[0].X, *rows[len(rows)-1].X
}

func orDash(n *int64) string {
	if n == nil {
		return "-"
	}
	return strconv.FormatInt(*n, 10)
}
