package operators

import (
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

// TestWindowsAgainstModel takes windows that follow rows through commits,
// aborts and restarts, and compares what was committed downstream with a model
// that knows only the rows and recomputes everything by the definitions.
func TestWindowsAgainstModel(t *testing.T) {
	n := *cases
	if testing.Short() {
		n /= 10
	}
	for c := range n {
		s := *seed + uint64(c)
		if !t.Run(strconv.FormatUint(s, 10), func(t *testing.T) { newFollowTrial(t, s).run() }) {
			t.Fatalf("replay: go test ./operators -run '^TestWindowsAgainstModel$' -seed %d -cases 1", s)
		}
	}
}

// followRow is a row that was taken: with the time before which windows had
// closed for it.
type followRow struct {
	key  string
	a    int64
	null bool
	w    string
	d    float64
	t, h int64
}

type followModel struct {
	rows   []followRow
	closed int64 // windows that end before it have closed
}

type followTrial struct {
	t    *testing.T
	r    *rand.Rand
	text aggregateText
	spec window.Spec
	rig  *rig

	now, then                  followModel
	time, thenTime             int64
	closing, thenClosing, ends bool
	facts                      []result
	log                        []string
}

const followIn = "u string, a int, w string, d double"

func newFollowTrial(t *testing.T, seed uint64) *followTrial {
	r := rand.New(rand.NewPCG(seed, 7))
	x := &followTrial{t: t, r: r}
	x.now.closed, x.then.closed = engine.MinTime, engine.MinTime
	a := aggregateText{group: []string{"u", "u", ""}[r.IntN(3)]}
	all := []string{"n = count()", "s = sum(a)", "lo = min(a)", "lw = min(w)", "hw = max(w)", "m = avg(d)"}
	a.window.Grace = max(0, r.Int64N(20)-8)
	switch r.IntN(5) {
	case 0, 1:
		a.window.Kind, a.window.Size, a.window.Mode = "sliding", 1+r.Int64N(20), window.Exact
		if r.IntN(2) == 0 {
			a.window.Mode = window.Trailing
		}
		a.update = r.IntN(2) == 0
		all = append(all, "all = collect(a)")
	case 2, 3:
		a.window.Kind, a.window.Gap = "session", 1+r.Int64N(10)
		a.update = r.IntN(2) == 0
	default:
		a.window.Kind, a.window.Grace, a.window.Count, a.update = "count", 0, 1+r.Int64N(12), true
		a.window.Every, a.window.Full = r.Int64N(a.window.Count+1), r.IntN(2) == 0
		all = append(all, "all = collect(a)")
	}
	r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	a.columns = strings.Join(all[:1+r.IntN(len(all))], "; ")
	if a.update && r.IntN(2) == 0 {
		a.throttle = time.Duration(r.IntN(4)) * time.Second
	}
	x.text, x.spec = a, a.window
	budget := int64(0)
	if r.IntN(40) == 0 {
		budget = 1 // all that is not in use is on disk
	}
	forget := a.update && r.IntN(2) == 0
	x.say("%+v memory %d, old rows forgotten: %v", a, budget, forget)
	x.rig = a.rig(t, schema(t, followIn), budget)
	x.rig.forget = forget
	return x
}

func (x *followTrial) say(format string, args ...any) {
	x.log = append(x.log, fmt.Sprintf(format, args...))
}

func (x *followTrial) fail(format string, args ...any) {
	x.t.Helper()
	log := x.log
	if len(log) > 200 {
		log = append(slices.Clone(log[:1]), log[len(log)-200:]...)
	}
	x.t.Fatalf("%s\n%s", strings.Join(log, "\n"), fmt.Sprintf(format, args...))
}

func (x *followTrial) run() {
	defer x.rig.close()
	if x.r.IntN(3) > 0 {
		x.time = 1000 // else the early rows of exact windows
	}
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
			x.say("rollback")
			x.rig.rollback()
			x.back()
		case 9:
			x.say("restart")
			x.rig.restart()
			x.back()
		}
	}
	x.advance(engine.MaxTime)
	x.ends = true
	x.commit(true)
	if n := x.rig.ctx.Tables[0].Len(); n != 0 && x.spec.Kind != "count" {
		x.fail("%d keys are left when everything has closed", n)
	}
}

// trailing with a result per row: windows close when the watermark reaches them.
func (x *followTrial) perRow() bool { return x.spec.Mode == window.Trailing && !x.text.update }

func (x *followTrial) rows() {
	var text []string
	seen := clone(x.rig.seen)
	for range 1 + x.r.IntN(12) {
		x.time += []int64{0, 0, 1, 2, 9}[x.r.IntN(5)]
		row := followRow{key: string(rune('a' + x.r.IntN(3))), a: x.r.Int64N(20) - 5, null: x.r.IntN(6) == 0,
			w: []string{"x", "yy", "z"}[x.r.IntN(3)], d: float64(x.r.IntN(16)) / 4, t: x.time, h: engine.MinTime}
		if x.r.IntN(3) == 0 {
			row.t -= x.r.Int64N(30)
		}
		if x.time < 1000 && x.r.IntN(2) == 0 {
			row.t = max(0, row.t)
		}
		part := x.r.IntN(2)
		a := strconv.FormatInt(row.a, 10)
		if row.null {
			a = "-"
		}
		text = append(text, fmt.Sprintf("p%d %s %s %s %s %s", part, ms(row.t), row.key, a, row.w, strconv.FormatFloat(row.d, 'f', -1, 64)))
		if x.text.group == "" {
			row.key = "all"
		}
		origin, heard := x.rig.seen[part]
		if !heard || row.t > origin {
			x.rig.seen[part] = row.t
		}
		if heard {
			row.h = origin - x.spec.Grace - x.spec.Gap
		}
		row.h = max(row.h, x.now.closed)
		if x.takes(row) {
			x.now.rows = append(x.now.rows, row)
		}
	}
	x.say("rows\n  %s", strings.Join(text, "\n  "))
	x.rig.seen = seen // batch will see them again
	x.rig.process(x.rig.batch(text))
}

// takes tells whether a row is not late for everything.
func (x *followTrial) takes(row followRow) bool {
	switch x.spec.Kind {
	case "sliding":
		return row.h == engine.MinTime || row.t+x.spec.Size >= row.h
	case "session":
		if row.t >= row.h {
			return true
		}
		for _, s := range x.sessions(row.key) {
			if x.joins(s, row) {
				return true
			}
		}
		return false
	}
	return true
}

func (x *followTrial) joins(s []followRow, row followRow) bool {
	first, last := bounds(s)
	return row.t >= first-x.spec.Gap && row.t <= last+x.spec.Gap && last >= row.h
}

func bounds(s []followRow) (first, last int64) {
	first, last = s[0].t, s[0].t
	for _, r := range s {
		first, last = min(first, r.t), max(last, r.t)
	}
	return first, last
}

// sessions replays the rows of a key.
func (x *followTrial) sessions(key string) [][]followRow {
	var all [][]followRow
	for _, row := range x.now.rows {
		if row.key != key {
			continue
		}
		var rest [][]followRow
		var one []followRow
		for _, s := range all {
			if x.joins(s, row) {
				one = append(one, s...)
			} else {
				rest = append(rest, s)
			}
		}
		all = append(rest, append(one, row))
	}
	return all
}

// expected are the results that the rows make: by name (key and window), or,
// of a result per row, each as often as it comes.
func (x *followTrial) expected() (table map[string]string, facts []string) {
	table = map[string]string{}
	keys := map[string][]followRow{}
	for _, row := range x.now.rows {
		keys[row.key] = append(keys[row.key], row)
	}
	for key, rows := range keys {
		switch {
		case x.spec.Kind == "count":
			every := int(max(1, x.spec.Every))
			n := len(rows) / every * every
			if n == 0 || x.spec.Full && n < int(x.spec.Count) {
				continue
			}
			table[key] = x.compute(rows[max(0, n-int(x.spec.Count)):n])
		case x.spec.Kind == "session":
			for _, s := range x.sessions(key) {
				first, last := bounds(s)
				table[fmt.Sprintf("%s [%s,%s]", key, ms(first), ms(last))] = x.compute(s)
			}
		case x.perRow():
			for i, c := range rows {
				if c.t < c.h {
					continue
				}
				var in []followRow
				for j, r := range rows {
					if r.t >= c.t-x.spec.Size && r.t <= c.t && (r.h < c.t || r.h == c.t && r.t == c.t && j <= i) {
						in = append(in, r)
					}
				}
				facts = append(facts, fmt.Sprintf("%s [%s,%s] %s", key, ms(c.t-x.spec.Size), ms(c.t), x.compute(in)))
			}
		default:
			x.sliding(key, rows, table)
		}
	}
	return table, facts
}

// sliding tries every window there could be.
func (x *followTrial) sliding(key string, rows []followRow, table map[string]string) {
	size := x.spec.Size
	exact := x.spec.Mode == window.Exact
	for _, about := range rows {
		for _, start := range []int64{about.t - size, 0, about.t + 1} {
			end := start + size
			exists := false
			var in []followRow
			for _, r := range rows {
				early := exact && r.t >= 0 && r.t < size
				left := !early && r.t == end || early && start == 0
				exists = exists || left && r.h <= end || exact && r.t+1 == start
				if r.t >= start && r.t <= end && r.h <= end {
					in = append(in, r)
				}
			}
			if exists && len(in) > 0 {
				table[fmt.Sprintf("%s [%s,%s]", key, ms(start), ms(end))] = x.compute(in)
			}
		}
	}
}

func (x *followTrial) compute(rows []followRow) string {
	rows = slices.Clone(rows)
	if x.spec.Kind == "sliding" {
		sort.SliceStable(rows, func(i, j int) bool { return rows[i].t < rows[j].t })
	}
	var parts []string
	for _, c := range list(x.text.columns) {
		alias, _, _ := strings.Cut(c, " = ")
		sum, d, n, lo, lw, hw := int64(0), 0.0, 0, int64(0), "~", ""
		var all []string
		for _, r := range rows {
			d += r.d
			lw, hw = min(lw, r.w), max(hw, r.w)
			if r.null {
				continue
			}
			if n == 0 || r.a < lo {
				lo = r.a
			}
			n++
			sum += r.a
			all = append(all, strconv.FormatInt(r.a, 10))
		}
		v := map[string]string{"n": strconv.Itoa(len(rows)), "s": strconv.FormatInt(sum, 10), "lo": strconv.FormatInt(lo, 10), "lw": lw, "hw": hw,
			"m": string(engine.AppendDouble(nil, d/float64(len(rows)))), "all": "[" + strings.Join(all, ",") + "]"}[alias]
		if n == 0 && (alias == "s" || alias == "lo") {
			v = "null"
		}
		parts = append(parts, alias+"="+v)
	}
	return strings.Join(parts, " ")
}

func (x *followTrial) advance(w int64) {
	if w < x.rig.watermark {
		return
	}
	rows := 1 << 20
	if x.r.IntN(3) == 0 {
		rows = 1 + x.r.IntN(4)
	}
	for range 10000 {
		x.say("advance %d rows %d", w, rows)
		from := len(x.rig.rows)
		done := x.rig.advance(w, &engine.Budget{Rows: rows, Bytes: 1 << 30})
		last := engine.MinTime
		for _, o := range x.rig.rows[from:] {
			if o.op != engine.Delete {
				if o.time < last {
					x.fail("not in order of window end: %s after %s", o.text(true), seconds(last))
				}
				last = o.time
			}
		}
		x.closing = !done
		if done {
			limit := w
			if w != engine.MaxTime {
				limit = w - x.spec.Grace - x.spec.Gap
			}
			if x.spec.Kind != "count" {
				x.now.closed = max(x.now.closed, limit)
			}
			return
		}
		switch x.r.IntN(5) {
		case 0, 1:
			x.commit(false)
		case 2:
			x.say("rollback")
			x.rig.rollback()
			x.back()
		case 3:
			x.say("restart")
			x.rig.restart()
			x.back()
		}
	}
	x.fail("advance %d never ends", w)
}

func (x *followTrial) commit(all bool) {
	x.rig.now += x.r.Int64N(3000)
	x.say("commit all=%v at %d", all, x.rig.now)
	x.rig.commit(all)
	x.facts = append(x.facts, x.rig.rows...)
	if len(x.rig.rows) > 0 {
		x.say("  %s", strings.ReplaceAll(x.rig.take(true), "\n", "\n  "))
	}
	x.rig.rows, x.rig.notes = nil, nil
	x.then = followModel{slices.Clone(x.now.rows), x.now.closed}
	x.thenTime, x.thenClosing = x.time, x.closing
	if !x.closing && (x.text.throttle == 0 || all) {
		x.verify()
	}
}

func (x *followTrial) back() {
	x.rig.rows, x.rig.notes = nil, nil
	x.now = followModel{slices.Clone(x.then.rows), x.then.closed}
	x.time, x.closing = x.thenTime, x.thenClosing
	if !x.closing && x.r.IntN(2) == 0 {
		x.commit(true)
	}
}

// name takes a result apart.
func (x *followTrial) name(o result, row []string) (name, value string, end int64) {
	key, values := "all", []string(nil)
	bounds := ""
	end = engine.MaxTime
	for c, f := range o.schema.Fields {
		switch f.Name {
		case "u":
			key = row[c]
		case "window_start":
			bounds = " [" + row[c] + "," + row[c+1] + "]"
			end = x.rig.millis(row[c+1])
		case "window_end", "final":
		default:
			values = append(values, f.Name+"="+row[c])
		}
	}
	return key + bounds, strings.Join(values, " "), end
}

// verify: what was sent is what the rows say. Windows that have closed are there,
// each once, and with updates as final; those that are open with updates only.
func (x *followTrial) verify() {
	want, wantFacts := x.expected()
	got, final, facts := map[string]string{}, map[string]bool{}, []string(nil)
	for _, o := range x.facts {
		if o.op == engine.Delete {
			name, value, end := x.name(o, o.old)
			if got[name] != value || final[name] {
				x.fail("%s: deleted as %q, was %q (final %v)", name, value, got[name], final[name])
			}
			if end != engine.MaxTime && o.time != end {
				x.fail("%s: deleted at %s", name, seconds(o.time))
			}
			delete(got, name)
			continue
		}
		name, value, end := x.name(o, o.row)
		if end != engine.MaxTime && o.time != end {
			x.fail("%s: its time is %s", name, seconds(o.time))
		}
		if x.perRow() {
			facts = append(facts, name+" "+value)
			continue
		}
		was, had := got[name]
		if x.rig.forget {
			if had && was == value && !o.final {
				x.fail("%s: sent again unchanged: %s", name, value)
			}
		} else if o.op == engine.Update {
			oldName, old, _ := x.name(o, o.old)
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
		got[name], final[name] = value, o.final || !o.table
	}
	if x.perRow() {
		var due []string
		for _, f := range wantFacts {
			if x.closedAt(f) {
				due = append(due, f)
			}
		}
		sort.Strings(due)
		sort.Strings(facts)
		if !slices.Equal(due, facts) {
			x.fail("sent\n%s\nwant\n%s", strings.Join(facts, "\n"), strings.Join(due, "\n"))
		}
		return
	}
	for name, value := range want {
		closed := x.closedAt(name)
		was, ok := got[name]
		if !closed && !x.text.update {
			if ok {
				x.fail("%s: sent before it closed", name)
			}
			continue
		}
		if !ok || was != value {
			x.fail("%s: sent %q (%v), want %q", name, was, ok, value)
		}
		if final[name] != (closed && x.spec.Kind != "count") {
			x.fail("%s: final %v, closed %v", name, final[name], closed)
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			x.fail("%s: sent %q (final %v), want none", name, got[name], final[name])
		}
	}
}

// closedAt tells whether a window, by its name, has closed.
func (x *followTrial) closedAt(name string) bool {
	_, bounds, ok := strings.Cut(name, "[")
	if !ok {
		return true
	}
	bounds, _, _ = strings.Cut(bounds, "]")
	_, text, _ := strings.Cut(bounds, ",")
	end := x.rig.millis(text)
	return end < x.now.closed || x.perRow() && end == x.now.closed
}
