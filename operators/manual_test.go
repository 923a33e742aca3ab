package operators

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/leatstream/leat/engine"
)

// TestManual runs the text files: each reads as the manual of its verb.
//
//	filter | map | rekey | aggregate   opens the verb; lines are `key: value`
//	rows [port=]                       a batch, see rig.batch; prints what comes out
//	<verb of verbs_test.go>            opens it
//	advance <s> [rows=]                moves the watermark, closes windows
//	flush | commit [all] [at=]         as at a commit, with the clock at so many seconds
//	rollback | restart | idle
//
// Rows out: `+` insert, `~` update with old and new row, `-` delete; bare rows
// are a stream's. `!` is a report or a counter. Times are in seconds.
func TestManual(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		m := &manual{}
		datadriven.RunTest(t, path, m.run)
		if m.r != nil {
			m.r.close()
		}
	})
}

type manual struct {
	r     *rig
	rekey *engine.Schema
}

func (m *manual) run(t *testing.T, d *datadriven.TestData) string {
	if m.r != nil {
		m.r.t = t
	}
	_, opens := verbs[d.Cmd]
	switch d.Cmd {
	case "filter", "map", "rekey", "aggregate":
		opens = true
	}
	if opens {
		if m.r != nil {
			m.r.close()
		}
		m.r, m.rekey = &rig{t: t}, nil
		return m.openVerb(t, d)
	}
	if d.Cmd == "quiet" {
		return quietUntil(t, d)
	}
	r := m.r
	times := d.HasArg("times")
	if d.HasArg("at") {
		var s string
		d.ScanArgs(t, "at", &s)
		r.now = r.millis(s)
	}
	switch d.Cmd {
	case "rows":
		port := 0
		if d.HasArg("port") {
			d.ScanArgs(t, "port", &port)
		}
		if r.ins != nil {
			r.in = r.ins[port]
		}
		r.processPort(port, r.batch(lines(d.Input)))
		if m.rekey != nil {
			return m.records(t) + r.take(times)
		}
	case "advance":
		budget := &engine.Budget{Rows: 1 << 20, Bytes: 1 << 30}
		if d.HasArg("rows") {
			d.ScanArgs(t, "rows", &budget.Rows)
		}
		done := r.advance(r.millis(d.CmdArgs[0].Key), budget)
		s := r.take(times)
		if !done {
			s += "not done\n"
		}
		return s
	case "flush":
		r.flush(d.HasArg("all"))
	case "commit":
		r.commit(d.HasArg("all"))
		if d.HasArg("state") {
			return r.take(times) + m.state()
		}
	case "rollback":
		r.rows, r.notes = nil, nil // they were never sent
		r.rollback()
	case "restart":
		r.rows, r.notes = nil, nil
		r.restart()
	case "idle":
		r.idle = true
	default:
		d.Fatalf(t, "no command %q", d.Cmd)
	}
	return r.take(times)
}

// state says what the tables hold.
func (m *manual) state() string {
	t := m.r.ctx.Tables[0]
	s := fmt.Sprintf("state: %d keys", t.Len())
	if t.Spilled() {
		s += ", some on disk only"
	}
	return s + "\n"
}

func (m *manual) openVerb(t *testing.T, d *datadriven.TestData) string {
	r := m.r
	keys := map[string]string{}
	for _, line := range lines(d.Input) {
		k, v, _ := strings.Cut(line, ":")
		keys[k] = strings.TrimSpace(v)
	}
	r.in = schema(t, keys["in"])
	r.budget, _ = strconv.ParseInt(keys["memory"], 10, 64)
	if open, ok := verbs[d.Cmd]; ok {
		open(t, r, keys)
	}
	switch d.Cmd {
	case "filter":
		r.open = Filter(compile(t, keys["where"], r.in))
	case "map":
		out, cols := mapColumns(t, r.in, keys)
		r.open = Map(out, cols)
	case "rekey":
		var key []int
		for _, k := range list(keys["key"]) {
			key = append(key, r.in.Lookup(k))
		}
		m.rekey = r.in
		r.open = engine.Repartition("p.1.it.repartition", r.in, key, 0)
	case "aggregate":
		a := aggregateText{group: keys["group"], columns: keys["aggregates"], having: keys["having"]}
		a.windowText(t, keys)
		for _, f := range strings.Fields(keys["emit"]) {
			a.update = a.update || f == "update"
			if v, ok := strings.CutPrefix(f, "throttle="); ok {
				a.throttle = duration(t, v)
			}
		}
		a.table = keys["input"] == "table"
		s := a.spec(t, r.in)
		r.ports = a.lateSide
		r.stores, r.open = AggregateStores("it", s), Aggregate(s)
	}
	r.start()
	return r.take(false)
}

// mapColumns turns set, select and drop into the list of columns that Map takes.
func mapColumns(t *testing.T, in *engine.Schema, keys map[string]string) (*engine.Schema, []MapColumn) {
	var fields []engine.Field
	var cols []MapColumn
	add := func(text string) {
		name, e, isExpr := strings.Cut(text, " = ")
		c := MapColumn{From: in.Lookup(name)}
		f := engine.Field{Name: name}
		if isExpr {
			c = MapColumn{From: -1, Expr: compile(t, e, in)}
			f.Type = c.Expr.Type()
		} else {
			f.Type = in.Fields[c.From].Type
		}
		for i := range fields {
			if fields[i].Name == name {
				fields[i], cols[i] = f, c
				return
			}
		}
		fields, cols = append(fields, f), append(cols, c)
	}
	if keys["select"] != "" {
		for _, s := range list(keys["select"]) {
			add(s)
		}
		return engine.NewSchema(fields...), cols
	}
	for _, name := range in.Names() {
		if !strings.Contains(" "+keys["drop"]+" ", " "+name+" ") {
			add(name)
		}
	}
	for _, s := range list(keys["set"]) {
		add(s)
	}
	return engine.NewSchema(fields...), cols
}

// records decodes what a rekey produced, as the task behind it would.
func (m *manual) records(t *testing.T) string {
	var s strings.Builder
	r := m.r
	decoder := engine.RepartitionDecoder()()
	for _, rec := range r.sent {
		b := &engine.Batch{Schema: m.rekey, N: 1, Cols: make([]engine.Column, len(m.rekey.Fields)), Time: make([]int64, 1), Origin: make([]int64, 1),
			Src: &engine.Rows{Topic: rec.Topic, Keys: [][]byte{rec.Key}, Values: [][]byte{rec.Value}, Offsets: []int64{0}, Times: []int64{0}}}
		if err := decoder.Decode(b, nil); err != nil {
			t.Fatal(err)
		}
		if want := engine.PartitionOf(rec.Key, 2); rec.Partition != want {
			t.Fatalf("key %s is in partition %d, not %d", rec.Key, rec.Partition, want)
		}
		keep := r.rows
		r.rows = nil
		_ = r.emit(b)
		fmt.Fprintf(&s, "key %s: %s @%s origin %s\n", rec.Key, r.rows[0].text(false), seconds(b.Time[0]), seconds(b.Origin[0]))
		r.rows = keep
	}
	r.sent = nil
	return s.String()
}

func duration(t testing.TB, s string) time.Duration {
	d, err := time.ParseDuration(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func lines(s string) []string {
	var all []string
	for _, l := range strings.Split(s, "\n") {
		if l = strings.TrimSpace(l); l != "" && !strings.HasPrefix(l, "#") {
			all = append(all, l)
		}
	}
	return all
}
