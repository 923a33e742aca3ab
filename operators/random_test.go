package operators

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/window"
)

var (
	seed  = flag.Uint64("seed", uint64(time.Now().UnixNano()), "seed of random tests")
	cases = flag.Int("cases", 2000, "cases of random tests")
)

// TestAggregateAgainstModel takes random aggregates over random rows, through
// commits, aborts and restarts, and compares what was committed downstream with
// a model that knows only rows and windows, and recomputes everything.
func TestAggregateAgainstModel(t *testing.T) {
	n := *cases
	if testing.Short() {
		n /= 10
	}
	for c := range n {
		s := *seed + uint64(c)
		if !t.Run(strconv.FormatUint(s, 10), func(t *testing.T) { newTrial(t, s).run() }) {
			t.Fatalf("replay: go test ./operators -run '^TestAggregateAgainstModel$' -seed %d -cases 1", s)
		}
	}
}

// modelRow is a row that was not refused, with the windows (by end) it counts in.
type modelRow struct {
	key    string
	a      int64
	aNull  bool
	d      float64
	dNull  bool
	w      string
	wNull  bool
	ends   []int64
	change int // +1 or -1 of a table
}

// model is the naive twin: it is told what the operator is told.
type model struct {
	rows     []modelRow
	closedTo int64 // windows up to here have closed or begun to
}

type trial struct {
	t    *testing.T
	r    *rand.Rand
	text aggregateText
	rig  *rig
	spec window.Spec

	now, then model // then: at the last commit
	table     map[string]string
	thenTable map[string]string
	facts     []result // rows that were committed, of a close
	time      int64
	thenTime  int64
	// A close is under way: its windows come bit by bit, and no rows meanwhile.
	closing, thenClosing bool
	log                  []string
}

const randomIn = "id string, u string, k int, a int, d double, w string"

func newTrial(t *testing.T, seed uint64) *trial {
	r := rand.New(rand.NewPCG(seed, 1))
	x := &trial{t: t, r: r, table: map[string]string{}, thenTable: map[string]string{}}
	x.now.closedTo, x.then.closedTo = engine.MinTime, engine.MinTime
	a := aggregateText{}
	all := []string{"n = count()", "na = count(a)", "sa = sum(a)", "sd = sum(d)", "ma = avg(a)", "md = avg(d)"}
	switch r.IntN(6) {
	case 0:
		a.table = true
	case 1: // unwindowed
	default:
		a.window = window.Spec{Kind: "hopping", Size: 1 + r.Int64N(20), Grace: max(0, r.Int64N(12)-6)}
		a.window.Advance = 1 + r.Int64N(a.window.Size)
		a.window.Offset = r.Int64N(a.window.Advance)
		if r.IntN(3) == 0 {
			a.window.Kind, a.window.Advance = "tumbling", 0
			a.window.Offset = r.Int64N(a.window.Size)
		}
		switch r.IntN(4) {
		case 0: // steps up to a size
			step := 1 + r.Int64N(6)
			size := step * (1 + r.Int64N(5))
			a.window = window.Spec{Kind: "cumulate", Size: size, Step: step, Offset: r.Int64N(size), Grace: a.window.Grace}
		case 1: // many panes to a window: see ring.go
			a.window = window.Spec{Kind: "hopping", Size: 20 + r.Int64N(20), Advance: 1 + r.Int64N(2), Grace: a.window.Grace}
		}
		a.update = r.IntN(2) == 0
	}
	if !a.table {
		all = append(all, "la = min(a)", "ha = max(a)", "ld = min(d)", "hd = max(d)", "lw = min(w)", "hw = max(w)",
			"pa = sum(a) where w == \"x\"", "pn = count() where d > 0.5")
	}
	r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	a.columns = strings.Join(all[:1+r.IntN(len(all))], "; ")
	a.group = []string{"u", "u; k", "", "k", "g = k % 2"}[r.IntN(5)]
	if a.window.Kind == "" || a.update {
		if r.IntN(2) == 0 {
			a.throttle = time.Duration(r.IntN(4)) * time.Second
		}
	}
	x.text, x.spec = a, a.window
	budget := int64(0)
	if r.IntN(40) == 0 {
		budget = 1 // all that is not in use is on disk
	}
	x.say("%+v memory %d", a, budget)
	x.rig = a.rig(t, schema(t, randomIn), budget)
	return x
}

func (x *trial) say(format string, args ...any) {
	x.log = append(x.log, fmt.Sprintf(format, args...))
}

func (x *trial) fail(format string, args ...any) {
	x.t.Helper()
	log := x.log
	if len(log) > 200 {
		log = append(slices.Clone(log[:1]), log[len(log)-200:]...)
	}
	x.t.Fatalf("%s\n%s", strings.Join(log, "\n"), fmt.Sprintf(format, args...))
}

func (x *trial) run() {
	defer x.rig.close()
	for range 3 + x.r.IntN(25) {
		if x.closing {
			x.advance(x.rig.watermark)
		}
		switch x.r.IntN(10) {
		case 0, 1, 2, 3:
			x.rows()
		case 4, 5:
			x.advance(x.time + x.r.Int64N(30) - 20)
		case 6, 7:
			x.commit(x.r.IntN(4) == 0)
		case 8:
			x.rollback()
		case 9:
			x.restart()
		}
	}
	if x.spec.Kind != "" {
		x.advance(engine.MaxTime)
	}
	x.commit(true)
	x.verifyEnd()
}

// rows sends a batch and tells the model.
func (x *trial) rows() {
	var text []string
	seen := clone(x.rig.seen)
	for range 1 + x.r.IntN(12) {
		if x.text.table {
			text = append(text, x.change())
			continue
		}
		text = append(text, x.row())
	}
	x.say("rows\n  %s", strings.Join(text, "\n  "))
	x.rig.seen = seen // as before the rows: batch will see them again
	x.rig.process(x.rig.batch(text))
}

func (x *trial) row() string {
	x.time += []int64{0, 0, 1, 2, 9}[x.r.IntN(5)]
	at := x.time
	if x.r.IntN(4) == 0 {
		at -= x.r.Int64N(25)
	}
	part := x.r.IntN(2)
	row, cells := x.values()
	origin, seen := x.peek(part, at)
	if !seen {
		origin = engine.MinTime
	}
	if row.key == "" {
		return fmt.Sprintf("p%d %s %s", part, ms(at), cells)
	}
	if x.spec.Kind == "" {
		row.ends = []int64{engine.MaxTime}
	}
	for _, end := range x.ends(at) {
		if (origin == engine.MinTime || end > origin-x.spec.Grace) && end > x.now.closedTo {
			row.ends = append(row.ends, end)
		}
	}
	if len(row.ends) > 0 {
		x.now.rows = append(x.now.rows, row)
	}
	return fmt.Sprintf("p%d %s %s", part, ms(at), cells)
}

// peek is the origin that rig.batch will give the row.
func (x *trial) peek(part int, at int64) (int64, bool) {
	origin, ok := x.rig.seen[part]
	if !ok || at > origin {
		x.rig.seen[part] = at
	}
	return origin, ok
}

// ends enumerates the windows that hold t.
func (x *trial) ends(t int64) []int64 {
	if x.spec.Kind == "" {
		return nil
	}
	if x.spec.Kind == "cumulate" {
		var ends []int64
		for start := x.spec.Offset - 400*x.spec.Size; start <= t; start += x.spec.Size {
			for end := start + x.spec.Step; end <= start+x.spec.Size; end += x.spec.Step {
				if start <= t && t < end {
					ends = append(ends, end)
				}
			}
		}
		return ends
	}
	step := x.spec.Advance
	if step == 0 {
		step = x.spec.Size
	}
	var ends []int64
	for start := x.spec.Offset - 400*step; start <= t; start += step {
		if t < start+x.spec.Size {
			ends = append(ends, start+x.spec.Size)
		}
	}
	return ends
}

// start finds the start of the window that ends at end.
func (x *trial) start(end int64) int64 {
	if x.spec.Kind != "cumulate" {
		return end - x.spec.Size
	}
	start := x.spec.Offset - 400*x.spec.Size
	for start+x.spec.Size < end {
		start += x.spec.Size
	}
	return start
}

func ms(t int64) string { return strconv.FormatFloat(float64(t)/1000, 'f', -1, 64) }

// values makes the columns of a row. Doubles are quarters: their sums are exact.
func (x *trial) values() (modelRow, string) {
	row := modelRow{change: 1, a: x.r.Int64N(20) - 5, d: float64(x.r.IntN(16))/4 - 1, w: []string{"''", "x", "yy", "z"}[x.r.IntN(4)]}
	row.aNull, row.dNull, row.wNull = x.r.IntN(6) == 0, x.r.IntN(6) == 0, x.r.IntN(6) == 0
	u, k := string(rune('a'+x.r.IntN(4))), strconv.Itoa(x.r.IntN(4))
	if x.r.IntN(10) == 0 {
		u = "''"
	}
	if x.r.IntN(12) == 0 {
		u = "-"
	}
	if x.r.IntN(12) == 0 {
		k = "-"
	}
	switch x.text.group {
	case "u":
		row.key = "u=" + u
	case "u; k":
		row.key = "u=" + u + " k=" + k
	case "":
		row.key = "all"
	case "k":
		row.key = "k=" + k
	default:
		row.key = "g=-"
		if n, err := strconv.Atoi(k); err == nil {
			row.key = "g=" + strconv.Itoa(n%2)
		}
	}
	if strings.HasSuffix(row.key, "-") || strings.Contains(row.key, "=- ") {
		row.key = ""
	}
	cell := func(null bool, v string) string {
		if null {
			return "-"
		}
		return v
	}
	return row, strings.Join([]string{"id", u, k, cell(row.aNull, strconv.FormatInt(row.a, 10)),
		cell(row.dNull, strconv.FormatFloat(row.d, 'f', -1, 64)), cell(row.wNull, row.w)}, " ")
}

// change makes a change of a table: rows of the model are added and taken back.
func (x *trial) change() string {
	x.time += x.r.Int64N(3)
	id := strconv.Itoa(x.r.IntN(6))
	old, was := x.table[id]
	row, cells := x.values()
	row.ends = []int64{engine.MaxTime}
	switch {
	case !was:
		x.table[id] = cells
		x.add(row, 1)
		return fmt.Sprintf("+ %s %s", ms(x.time), cells)
	case x.r.IntN(3) == 0:
		delete(x.table, id)
		x.add(x.parse(old), -1)
		return fmt.Sprintf("- %s %s", ms(x.time), old)
	default:
		x.table[id] = cells
		x.add(x.parse(old), -1)
		x.add(row, 1)
		return fmt.Sprintf("~ %s %s -> %s", ms(x.time), old, cells)
	}
}

func (x *trial) add(row modelRow, change int) {
	if row.key != "" {
		row.change = change
		row.ends = []int64{engine.MaxTime}
		x.now.rows = append(x.now.rows, row)
	}
}

// parse reads a row's text back.
func (x *trial) parse(cells string) modelRow {
	f := strings.Fields(cells)
	row := modelRow{aNull: f[3] == "-", dNull: f[4] == "-", w: f[5], wNull: f[5] == "-"}
	row.a, _ = strconv.ParseInt(f[3], 10, 64)
	row.d, _ = strconv.ParseFloat(f[4], 64)
	u, k := f[1], f[2]
	switch x.text.group {
	case "u":
		row.key = "u=" + u
	case "u; k":
		row.key = "u=" + u + " k=" + k
	case "":
		row.key = "all"
	case "k":
		row.key = "k=" + k
	default:
		row.key = "g=-"
		if n, err := strconv.Atoi(k); err == nil {
			row.key = "g=" + strconv.Itoa(n%2)
		}
	}
	if strings.HasSuffix(row.key, "-") || strings.Contains(row.key, "=- ") {
		row.key = ""
	}
	return row
}

// advance closes windows, at times in small steps with commits, aborts and
// restarts in between.
func (x *trial) advance(w int64) {
	if x.spec.Kind == "" || w < x.rig.watermark {
		return
	}
	rows := 1 << 20
	if x.r.IntN(3) == 0 {
		rows = 1 + x.r.IntN(4)
	}
	for range 10000 {
		x.say("advance %d rows %d", w, rows)
		done := x.rig.advance(w, &engine.Budget{Rows: rows, Bytes: 1 << 30})
		x.closing = !done
		if done {
			limit := w
			if w != engine.MaxTime {
				limit = w - x.spec.Grace
			}
			x.now.closedTo = max(x.now.closedTo, limit)
			return
		}
		switch x.r.IntN(5) {
		case 0, 1:
			x.commit(false)
		case 2:
			x.rollback()
		case 3:
			x.restart()
		}
	}
	x.fail("advance %d never ends", w)
}

func (x *trial) commit(all bool) {
	x.rig.now += x.r.Int64N(3000)
	x.say("commit all=%v at %d", all, x.rig.now)
	x.rig.commit(all)
	x.facts = append(x.facts, x.rig.rows...)
	if len(x.rig.rows) > 0 {
		x.say("  %s", strings.ReplaceAll(x.rig.take(true), "\n", "\n  "))
	}
	x.rig.rows, x.rig.notes = nil, nil
	x.then = model{rows: slices.Clone(x.now.rows), closedTo: x.now.closedTo}
	x.thenTime, x.thenClosing = x.time, x.closing
	x.thenTable = map[string]string{}
	for k, v := range x.table {
		x.thenTable[k] = v
	}
	// Without a throttle a commit leaves downstream what the rows say.
	if !x.closing && (x.text.throttle == 0 || all) {
		x.verifyTable()
	}
}

func (x *trial) back() {
	x.rig.rows, x.rig.notes = nil, nil
	x.now = model{rows: slices.Clone(x.then.rows), closedTo: x.then.closedTo}
	x.time, x.closing = x.thenTime, x.thenClosing
	x.table = map[string]string{}
	for k, v := range x.thenTable {
		x.table[k] = v
	}
}

func (x *trial) rollback() {
	x.say("rollback")
	x.rig.rollback()
	x.back()
	if !x.closing && x.r.IntN(2) == 0 {
		x.commit(true)
	}
}

func (x *trial) restart() {
	x.say("restart")
	x.rig.restart()
	x.back()
	if !x.closing && x.r.IntN(2) == 0 {
		x.commit(true) // all that a throttle had held back is still due
	}
}

// expected recomputes the results of all windows: key and window to aggregates.
func (x *trial) expected(m *model) map[string]string {
	type group struct {
		key string
		end int64
	}
	groups := map[group][]modelRow{}
	for _, row := range m.rows {
		for _, end := range row.ends {
			g := group{row.key, end}
			groups[g] = append(groups[g], row)
		}
	}
	want := map[string]string{}
	for g, rows := range groups {
		n := 0
		for _, row := range rows {
			n += row.change
		}
		if n == 0 {
			continue
		}
		name := g.key
		if g.end != engine.MaxTime {
			name += fmt.Sprintf(" [%s,%s)", ms(x.start(g.end)), ms(g.end))
		}
		var parts []string
		for _, c := range list(x.text.columns) {
			alias, _, _ := strings.Cut(c, " = ")
			parts = append(parts, alias+"="+compute(alias, rows))
		}
		want[name] = strings.Join(parts, " ")
	}
	return want
}

// compute is an aggregate, by the name of its column.
func compute(alias string, rows []modelRow) string {
	var ints []int64
	var doubles []float64
	var words []string
	sumA, sumD, nA, nD, n, pn := int64(0), 0.0, 0, 0, 0, 0
	pa, pan := int64(0), 0
	for _, r := range rows {
		n += r.change
		if !r.aNull {
			sumA += r.a * int64(r.change)
			nA += r.change
			ints = append(ints, r.a)
			if !r.wNull && r.w == "x" {
				pa, pan = pa+r.a, pan+1
			}
		}
		if !r.dNull {
			sumD += r.d * float64(r.change)
			nD += r.change
			doubles = append(doubles, r.d)
			if r.d > 0.5 {
				pn++
			}
		}
		if !r.wNull {
			w := r.w
			if w == "''" {
				w = ""
			}
			words = append(words, w)
		}
	}
	slices.Sort(ints)
	slices.Sort(doubles)
	sort.Strings(words)
	null := func(n int, v string) string {
		if n == 0 {
			return "null"
		}
		return v
	}
	double := func(v float64) string { return string(engine.AppendDouble(nil, v)) }
	word := func(i int) string {
		if len(words) == 0 {
			return "null"
		}
		if i < 0 {
			i += len(words)
		}
		if words[i] == "" {
			return "''"
		}
		return words[i]
	}
	switch alias {
	case "n":
		return strconv.Itoa(n)
	case "na":
		return strconv.Itoa(nA)
	case "sa":
		return null(nA, strconv.FormatInt(sumA, 10))
	case "sd":
		return null(nD, double(sumD))
	case "ma":
		return null(nA, double(float64(sumA)/float64(nA)))
	case "md":
		return null(nD, double(sumD/float64(nD)))
	case "pa":
		return null(pan, strconv.FormatInt(pa, 10))
	case "pn":
		return strconv.Itoa(pn)
	case "lw":
		return word(0)
	case "hw":
		return word(-1)
	}
	switch {
	case alias == "la" && len(ints) > 0:
		return strconv.FormatInt(ints[0], 10)
	case alias == "ha" && len(ints) > 0:
		return strconv.FormatInt(ints[len(ints)-1], 10)
	case alias == "ld" && len(doubles) > 0:
		return double(doubles[0])
	case alias == "hd" && len(doubles) > 0:
		return double(doubles[len(doubles)-1])
	}
	return "null"
}

// split takes a result apart: its name (key and window), its aggregates, and
// the rest, as expected writes them.
func (x *trial) split(o result, row []string) (name, value string, end int64) {
	var key, parts []string
	end = engine.MaxTime
	groups := len(list(x.text.group))
	for c, f := range o.schema.Fields {
		switch {
		case c < groups:
			key = append(key, f.Name+"="+row[c])
		case f.Name == "window_start":
			key = append(key, "["+row[c]+","+row[c+1]+")")
		case f.Name == "window_end":
			end = x.rig.millis(row[c])
		case f.Name == "final":
		default:
			parts = append(parts, f.Name+"="+row[c])
		}
	}
	if groups == 0 {
		key = append([]string{"all"}, key...)
	}
	return strings.Join(key, " "), strings.Join(parts, " "), end
}

// downstream plays the committed changes, as a sink's reader would, and checks
// that each fits the one before.
func (x *trial) downstream() (rows map[string]string, final map[string]bool) {
	rows, final = map[string]string{}, map[string]bool{}
	last := engine.MinTime
	for _, o := range x.facts {
		if o.op == engine.Delete {
			name, value, _ := x.split(o, o.old)
			if rows[name] != value {
				x.fail("%s: deleted as %q, was %q", name, value, rows[name])
			}
			delete(rows, name)
			continue
		}
		name, value, end := x.split(o, o.row)
		was, had := rows[name]
		if o.op == engine.Update {
			oldName, old, _ := x.split(o, o.old)
			if oldName != name || !had || old != was {
				x.fail("%s: the update of %s %q finds %q (%v)", name, oldName, old, was, had)
			}
			if old == value && !o.final {
				x.fail("%s: sent again unchanged: %s", name, value)
			}
		} else if had {
			x.fail("%s: inserted twice: %q, then %q", name, was, value)
		}
		if final[name] {
			x.fail("%s: sent after its final row", name)
		}
		final[name] = o.final || !o.table
		if final[name] {
			if end < last {
				x.fail("%s: windows are not in order of their ends", name)
			}
			last = end
		}
		rows[name] = value
	}
	return rows, final
}

// verifyTable: what was sent of each group and window that is open, and of
// those that have closed, is what the rows say.
func (x *trial) verifyTable() {
	got, final := x.downstream()
	want := x.expected(&x.now)
	for name, value := range want {
		was, ok := got[name]
		if x.spec.Kind != "" && !x.text.update && !ok {
			continue // not closed yet
		}
		if !ok || was != value {
			x.fail("%s: sent %q, want %q", name, was, value)
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			x.fail("%s: sent %q (final %v), want none", name, got[name], final[name])
		}
	}
}

// verifyEnd: at the end of input all windows have come, each as final.
func (x *trial) verifyEnd() {
	x.verifyTable()
	if x.spec.Kind == "" {
		return
	}
	got, final := x.downstream()
	for name, value := range x.expected(&x.now) {
		if got[name] != value || !final[name] {
			x.fail("%s: at the end %q (final %v), want %q", name, got[name], final[name], value)
		}
	}
	if n := x.rig.ctx.Tables[0].Len(); n != 0 {
		x.fail("%d keys are left when everything has closed", n)
	}
}
