package operators

import (
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/operators/expr"
	"github.com/leatstream/leat/state"
	"github.com/leatstream/leat/window"
	"github.com/leatstream/leat/window/aggregate"
)

// rig is a task with one operator and no engine: it keeps what a task keeps
// (watermarks of partitions, the changelog, the remembered bytes) and takes
// the operator through commits, rollbacks and restarts in the task's order.
type rig struct {
	t      testing.TB
	in     *engine.Schema
	stores []state.Spec
	open   func(*engine.Context) (engine.Operator, error)
	budget int64            // bytes of a table; above 0 the state is in a folder
	forget bool             // nobody looks at the old rows of updates
	ports  bool             // several outputs: rows say which one they came out of
	ins    []*engine.Schema // of a verb with several inputs

	op    engine.Operator
	ctx   *engine.Context
	db    *state.DB
	lease *state.Lease
	b     engine.Batch

	now       int64
	watermark int64
	idle      bool
	seen      map[int]int64 // per partition: greatest event time so far
	committed struct {
		seen      map[int]int64
		watermark int64
		cursor    []byte
	}
	log     map[string][]byte // the compacted changelog
	commits int64

	rows  []result // what came out since the last take
	notes []string // reports and counters
	sent  []engine.Record
}

// result is a row that came out, as text.
type result struct {
	op          engine.Op
	table       bool
	old, row    []string
	time, stamp int64
	final       bool
	schema      *engine.Schema
	port        string // "0: " for a verb with several outputs
}

func (r *rig) start() {
	r.seen, r.log = map[int]int64{}, map[string][]byte{}
	r.committed.seen = map[int]int64{}
	r.watermark, r.committed.watermark = engine.MinTime, engine.MinTime
	r.load()
	r.committed.cursor = r.remember()
}

// load opens state and operator.
func (r *rig) load() {
	r.ctx = &engine.Context{
		Pipeline: "p", Name: "it", Tasks: 1, Generation: 1,
		Now: func() int64 { return r.now },
		Bad: func(stage engine.Stage, b *engine.Batch, row int32, err error) error {
			cols := b.Cols
			r.notes = append(r.notes, fmt.Sprintf("%s error: %v (%s)", stage, err, strings.Join(texts(b.Schema, cols, row), " ")))
			return nil
		},
		Count:      func(name string, n int) { r.notes = append(r.notes, fmt.Sprintf("%s +%d", name, n)) },
		Produce:    func(rec engine.Record) { r.sent = append(r.sent, rec) },
		Arena:      func(n int) []byte { return make([]byte, n) },
		Partitions: func(engine.Topic) int { return 2 },
		Watermark:  func() int64 { return r.watermark },
		Idle:       func() bool { return r.idle },
		Olds:       func() bool { return !r.forget },
		Side:       r.side,
		Stats:      func() engine.TaskSnapshot { return engine.TaskSnapshot{} },
	}
	if len(r.stores) > 0 {
		var err error
		r.db = state.OpenMemory()
		if r.budget > 0 {
			if r.db, err = state.Open(r.t.TempDir(), state.Options{Memory: 4 << 20}); err != nil {
				r.t.Fatal(err)
			}
		}
		if r.lease, err = r.db.Lease("p.1/it/0", r.stores); err != nil {
			r.t.Fatal(err)
		}
		r.ctx.Tables = r.lease.Tables()
		for _, table := range r.ctx.Tables {
			table.SetBudget(r.budget)
		}
		for _, key := range sorted(r.log) {
			if err := r.ctx.Tables[0].Restore([]byte(key), r.log[key]); err != nil {
				r.t.Fatal(err)
			}
		}
		r.keep(nil)
	}
	var err error
	if r.op, err = r.open(r.ctx); err != nil {
		r.t.Fatal(err)
	}
	if rec, ok := r.op.(engine.Recoverer); ok {
		if r.committed.cursor != nil {
			if err := r.op.(engine.Rememberer).Recall(r.committed.cursor); err != nil {
				r.t.Fatal(err)
			}
		}
		if err := rec.Recovered(); err != nil {
			r.t.Fatal(err)
		}
	}
}

func sorted(m map[string][]byte) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

func (r *rig) close() {
	if r.lease != nil {
		r.lease.Abandon()
		if err := r.db.Close(); err != nil {
			r.t.Fatal(err)
		}
		r.lease = nil
	}
}

// restart loses everything but the changelog and what was remembered in it.
func (r *rig) restart() {
	r.close()
	r.seen, r.watermark = clone(r.committed.seen), r.committed.watermark
	r.load()
}

func clone(m map[int]int64) map[int]int64 {
	c := map[int]int64{}
	for k, v := range m {
		c[k] = v
	}
	return c
}

func (r *rig) remember() []byte {
	if m, ok := r.op.(engine.Rememberer); ok {
		return slices.Clone(m.Remember())
	}
	return nil
}

// commit does what a task does at a commit: flush, changelog, commit.
func (r *rig) commit(all bool) {
	r.flush(all)
	for _, table := range r.ctx.Tables {
		err := table.Changes(func(key, value []byte) error {
			if value == nil {
				delete(r.log, string(key))
			} else {
				r.log[string(key)] = slices.Clone(value)
			}
			return nil
		})
		if err != nil {
			r.t.Fatal(err)
		}
	}
	r.committed.cursor = r.remember()
	r.committed.seen, r.committed.watermark = clone(r.seen), r.watermark
	if r.lease != nil {
		r.keep(r.committed.cursor)
	}
	if u, ok := r.op.(engine.Undoer); ok {
		u.Committed()
	}
}

func (r *rig) keep(meta []byte) {
	r.commits++
	if err := r.lease.Commit(map[string]state.Position{r.stores[0].Name: {Offset: r.commits, Epoch: -1}}, meta); err != nil {
		r.t.Fatal(err)
	}
	if r.budget > 0 {
		if err := r.lease.Apply(); err != nil {
			r.t.Fatal(err)
		}
	}
}

// rollback does what a task does after an abort.
func (r *rig) rollback() {
	if r.lease != nil {
		r.lease.Rollback()
	}
	r.seen, r.watermark = clone(r.committed.seen), r.committed.watermark
	if m, ok := r.op.(engine.Rememberer); ok {
		if err := m.Recall(r.committed.cursor); err != nil {
			r.t.Fatal(err)
		}
	}
	if u, ok := r.op.(engine.Undoer); ok {
		u.RolledBack()
	}
}

func (r *rig) flush(all bool) {
	if f, ok := r.op.(engine.Flusher); ok {
		if err := f.Flush(r.now, all, r.emit); err != nil {
			r.t.Fatal(err)
		}
	}
}

func (r *rig) advance(w int64, budget *engine.Budget) bool {
	r.watermark = max(r.watermark, w)
	_, done, err := r.op.(engine.Advancer).Advance(w, budget, r.emit)
	if err != nil {
		r.t.Fatal(err)
	}
	return done
}

func (r *rig) emit(b *engine.Batch) error { return r.side(0, b) }

func (r *rig) side(port int, b *engine.Batch) error {
	for _, i := range b.Sel {
		row := result{time: b.Time[i], stamp: b.Time[i], schema: b.Schema, table: b.Op != nil}
		if r.ports {
			row.port = strconv.Itoa(port) + ": "
		}
		if b.Stamp != nil {
			row.stamp = b.Stamp[i]
		}
		if b.Op != nil {
			row.op = b.Op[i]
		}
		if b.Final != nil {
			row.final = b.Final[i]
		}
		if row.op != engine.Delete {
			row.row = texts(b.Schema, b.Cols, i)
		}
		if row.op == engine.Delete || row.op == engine.Update && !r.forget {
			row.old = texts(b.Schema, b.Old, i)
		}
		r.rows = append(r.rows, row)
	}
	return nil
}

// take gives what came out, in lines.
func (r *rig) take(times bool) string {
	var b strings.Builder
	for _, row := range r.rows {
		b.WriteString(row.text(times) + "\n")
	}
	for _, n := range r.notes {
		b.WriteString("! " + n + "\n")
	}
	r.rows, r.notes = nil, nil
	return b.String()
}

func (o result) text(times bool) string {
	var s string
	switch {
	case !o.table:
		s = o.shown(o.row)
	case o.op == engine.Insert:
		s = "+ " + o.shown(o.row)
	case o.op == engine.Update:
		s = "~ "
		if o.old != nil {
			s += o.shown(o.old) + " -> "
		}
		s += o.shown(o.row)
	default:
		s = "- " + o.shown(o.old)
	}
	s = o.port + s
	if times {
		s += fmt.Sprintf(" @%s stamp %s", seconds(o.time), seconds(o.stamp))
	}
	return s
}

// shown writes a row: values, and a window as [start,end).
func (o result) shown(row []string) string {
	var parts []string
	for c, f := range o.schema.Fields {
		switch f.Name {
		case "window_start":
			parts = append(parts, "["+row[c]+","+row[c+1]+")")
		case "window_end":
		default:
			parts = append(parts, f.Name+"="+row[c])
		}
	}
	return strings.Join(parts, " ")
}

func texts(s *engine.Schema, cols []engine.Column, i int32) []string {
	row := make([]string, len(s.Fields))
	for c, f := range s.Fields {
		switch {
		case cols[c].Null(i):
			row[c] = "null"
		case f.Type == engine.Timestamp:
			row[c] = seconds(cols[c].Ints[i])
		case f.Type == engine.String && cols[c].Strs[i] == "":
			row[c] = "''"
		default:
			row[c] = strings.Clone(string(engine.AppendText(nil, &cols[c], i)))
		}
	}
	return row
}

// Times are written in seconds: 12.345 is 12345 ms.
func seconds(ms int64) string {
	switch ms {
	case engine.MinTime:
		return "never"
	case engine.MaxTime:
		return "end"
	}
	return strconv.FormatFloat(float64(ms)/1000, 'f', -1, 64)
}

func (r *rig) millis(s string) int64 {
	switch s {
	case "never":
		return engine.MinTime
	case "end":
		return engine.MaxTime
	}
	v, err := strconv.ParseFloat(s, 64)
	if err != nil {
		r.t.Fatalf("%q is no time in seconds", s)
	}
	if v < 0 {
		return int64(v*1000 - 0.5)
	}
	return int64(v*1000 + 0.5)
}

// batch makes rows out of lines:
//
//	[p1] 12.5 alice 3              a row of partition 1 (default 0) at 12.5 s
//	+ 12.5 alice 3                 changes of a table
//	~ 12.5 alice 3 -> alice 4
//	- 12.5 alice 4
//
// "-" as a value is null. The origin of a row is the greatest event time seen
// of its partition before it.
func (r *rig) batch(lines []string) *engine.Batch {
	n := len(lines)
	b := &r.b
	*b = engine.Batch{Schema: r.in, N: n, Cols: make([]engine.Column, len(r.in.Fields)), Time: make([]int64, n), Origin: make([]int64, n)}
	for c, f := range r.in.Fields {
		b.Cols[c].Reset(f.Type, n)
	}
	for i, line := range lines {
		f := strings.Fields(line)
		op := engine.Insert
		if k := strings.Index("+~-", f[0]); k >= 0 {
			if b.Op == nil {
				b.Op, b.Old = make([]engine.Op, n), make([]engine.Column, len(r.in.Fields))
				for c, f := range r.in.Fields {
					b.Old[c].Reset(f.Type, n)
				}
			}
			op = engine.Op(k)
			b.Op[i] = op
			f = f[1:]
		}
		part := 0
		if p, ok := strings.CutPrefix(f[0], "p"); ok {
			part, _ = strconv.Atoi(p)
			f = f[1:]
		}
		b.Time[i] = r.millis(f[0])
		origin, ok := r.seen[part]
		if !ok {
			origin = engine.MinTime
		}
		b.Origin[i] = origin
		r.seen[part] = max(origin, b.Time[i])
		f = f[1:]
		switch op {
		case engine.Insert:
			r.fill(b.Cols, int32(i), n, f)
		case engine.Delete:
			r.fill(b.Old, int32(i), n, f)
		default:
			arrow := slices.Index(f, "->")
			if arrow < 0 {
				r.t.Fatalf("an update is `~ time old -> new`: %q", line)
			}
			r.fill(b.Old, int32(i), n, f[:arrow])
			r.fill(b.Cols, int32(i), n, f[arrow+1:])
		}
		b.Sel = append(b.Sel, int32(i))
	}
	return b
}

func (r *rig) fill(cols []engine.Column, i int32, n int, values []string) {
	if len(values) != len(r.in.Fields) {
		r.t.Fatalf("%d values for %v", len(values), r.in.Names())
	}
	for c, f := range r.in.Fields {
		if values[c] == "-" {
			cols[c].SetNull(i, n)
			continue
		}
		var err error
		switch v := values[c]; f.Type {
		case engine.Int:
			cols[c].Ints[i], err = strconv.ParseInt(v, 10, 64)
		case engine.Timestamp:
			cols[c].Ints[i] = r.millis(v)
		case engine.Double:
			cols[c].Doubles[i], err = strconv.ParseFloat(v, 64)
		case engine.Bool:
			cols[c].Bools[i], err = strconv.ParseBool(v)
		default:
			if v == "''" {
				v = ""
			}
			cols[c].Strs[i] = v
		}
		if err != nil {
			r.t.Fatal(err)
		}
	}
}

func (r *rig) process(b *engine.Batch) {
	r.processPort(0, b)
}

func (r *rig) processPort(port int, b *engine.Batch) {
	if p, ok := r.op.(engine.Ported); ok {
		if err := p.ProcessPort(port, b, r.emit); err != nil {
			r.t.Fatal(err)
		}
		return
	}
	if err := r.op.Process(b, r.emit); err != nil {
		r.t.Fatal(err)
	}
}

// aggregateOf makes a spec out of texts, as the pipelines room does.
//
//	group       columns, or name = expression; separated by ;
//	columns     name = fn(args) [where condition]; separated by ;
type aggregateText struct {
	group, columns, having string
	window                 window.Spec
	update, table          bool
	throttle, ttl          time.Duration
	lateSide, plain        bool
}

func (a aggregateText) spec(t testing.TB, in *engine.Schema) AggregateSpec {
	s := AggregateSpec{In: in, Window: a.window, Update: a.update, TableInput: a.table, Throttle: a.throttle,
		LateSide: a.lateSide, TTL: a.ttl, plain: a.plain}
	windowed := a.window.Kind != "" && a.window.Kind != "count"
	var out []engine.Field
	for _, g := range list(a.group) {
		name, text, isExpr := strings.Cut(g, " = ")
		if !isExpr {
			from := in.Lookup(g)
			s.Group = append(s.Group, GroupColumn{Name: g, From: from})
			out = append(out, engine.Field{Name: g, Type: in.Fields[from].Type})
			continue
		}
		p := compile(t, text, in)
		s.Group = append(s.Group, GroupColumn{Name: name, From: -1, Expr: p})
		out = append(out, engine.Field{Name: name, Type: p.Type()})
	}
	if windowed {
		out = append(out, engine.Field{Name: "window_start", Type: engine.Timestamp}, engine.Field{Name: "window_end", Type: engine.Timestamp})
	}
	for _, text := range list(a.columns) {
		name, call, _ := strings.Cut(text, " = ")
		call, where, _ := strings.Cut(call, " where ")
		fn, args, ok, err := expr.Call(call)
		if !ok || err != nil {
			t.Fatalf("%q is not a call: %v", call, err)
		}
		kind, ok := aggregate.Lookup(fn)
		if !ok {
			t.Fatalf("no aggregate %q", fn)
		}
		c := AggregateColumn{Name: name, Text: text}
		var types []aggregate.Type
		for _, arg := range args {
			p := compile(t, arg.Text, in)
			c.Args, types = append(c.Args, p), append(types, aggregate.Type(p.Type()))
		}
		if where != "" {
			c.Where = compile(t, where, in)
		}
		if c.Fn, err = kind.New(types, nil); err != nil {
			t.Fatal(err)
		}
		s.Aggregates = append(s.Aggregates, c)
		out = append(out, engine.Field{Name: name, Type: engine.Type(c.Fn.Result())})
	}
	if windowed && a.update {
		out = append(out, engine.Field{Name: "final", Type: engine.Bool})
	}
	s.Out = engine.NewSchema(out...)
	if a.having != "" {
		s.Having = compile(t, a.having, s.Out)
	}
	return s
}

// rig makes a rig of an aggregate.
func (a aggregateText) rig(t testing.TB, in *engine.Schema, budget int64) *rig {
	s := a.spec(t, in)
	r := &rig{t: t, in: in, stores: AggregateStores("it", s), open: Aggregate(s), budget: budget}
	r.start()
	return r
}

func list(s string) []string {
	var all []string
	for _, part := range strings.Split(s, ";") {
		if part = strings.TrimSpace(part); part != "" {
			all = append(all, part)
		}
	}
	return all
}

func compile(t testing.TB, text string, in *engine.Schema) *expr.Program {
	t.Helper()
	p, err := expr.Compile(text, expr.Env{Schema: in})
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return p
}

// schema reads "user string, amount int".
func schema(t testing.TB, text string) *engine.Schema {
	var fields []engine.Field
	for _, f := range strings.Split(text, ",") {
		name, typ, _ := strings.Cut(strings.TrimSpace(f), " ")
		ty, ok := engine.ParseType(typ)
		if !ok {
			t.Fatalf("no type %q", typ)
		}
		fields = append(fields, engine.Field{Name: name, Type: ty})
	}
	return engine.NewSchema(fields...)
}
