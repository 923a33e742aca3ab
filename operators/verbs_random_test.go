package operators

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/leatstream/leat/engine"
)

// TestVerbsAgainstModels takes dedupe, reduce, top and detect, of random
// settings, over random rows, through commits, aborts and restarts, and
// compares what was committed downstream with models that know only the list of
// what happened, and work everything out from its beginning.
func TestVerbsAgainstModels(t *testing.T) {
	kinds := []struct {
		name string
		make func(*verbTrial)
	}{{"dedupe", dedupeTrial}, {"reduce", reduceTrial}, {"top", topTrial}, {"detect", detectTrial}}
	n := *cases / 8
	if testing.Short() {
		n /= 10
	}
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			for c := range max(1, n) {
				s := *seed + uint64(c)
				if !t.Run(strconv.FormatUint(s, 10), func(t *testing.T) {
					x := &verbTrial{t: t, r: rand.New(rand.NewPCG(s, 2)), verb: k.name, keys: map[string]string{}, rows: map[string][]string{}, sent: map[string]string{}}
					k.make(x)
					x.run()
				}) {
					t.Fatalf("replay: go test ./operators -run '^TestVerbsAgainstModels$/^%s$' -seed %d -cases 8", k.name, s)
				}
			}
		})
	}
}

// happening is a row that came or a watermark.
type happening struct {
	watermark bool
	time      int64 // of the row, or the watermark
	origin    int64
	op        engine.Op
	old, row  []string // nil for null values: "-"
}

type verbTrial struct {
	t    *testing.T
	r    *rand.Rand
	verb string
	keys map[string]string
	gen  func() []string // a row
	// key are the columns that tell a table's rows apart, of the input for one
	// over a table, and of what comes out for one that puts out a table.
	inKey, outKey []int
	// model gives what has come out: of a stream all rows, in order, with their
	// times; of a table its rows, in any order.
	model func([]happening) []string

	rig      *rig
	past     []happening
	then     int // of them, at the last commit
	rows     map[string][]string
	thenRows map[string][]string
	sent     map[string]string // of a table: what came out
	facts    []string          // of a stream
	time     int64
}

func (x *verbTrial) run() {
	x.rig = &rig{t: x.t, in: schema(x.t, x.keys["in"])}
	if x.r.IntN(60) == 0 {
		x.rig.budget = 1
	}
	verbs[x.verb](x.t, x.rig, x.keys)
	x.rig.start()
	defer x.rig.close()
	x.thenRows = maps.Clone(x.rows)
	for range 2 + x.r.IntN(25) {
		x.rig.now += x.r.Int64N(1500)
		switch x.r.IntN(8) {
		case 0, 1, 2, 3:
			x.feed()
		case 4:
			x.advance(x.time + x.r.Int64N(12) - 6)
		case 5:
			x.commit(false)
		case 6:
			if x.r.IntN(2) == 0 {
				x.rig.flush(false) // the commit itself fails
			}
			x.rig.rows = nil
			x.rig.rollback()
			x.back()
		default:
			x.rig.rows = nil
			x.rig.restart()
			x.back()
		}
	}
	x.advance(engine.MaxTime)
	x.commit(true)
}

func (x *verbTrial) back() {
	x.past, x.rows = x.past[:x.then], maps.Clone(x.thenRows)
}

// feed gives the operator a batch of rows.
func (x *verbTrial) feed() {
	var lines []string
	for range 1 + x.r.IntN(6) {
		x.time = max(0, x.time+x.r.Int64N(7)-2)
		h := happening{time: x.time}
		text := fmt.Sprintf("p%d %s ", x.r.IntN(2), seconds(h.time))
		h.row = x.gen()
		if x.inKey != nil {
			key := pickCells(h.row, x.inKey)
			switch old, ok := x.rows[key]; {
			case !ok:
				text = "+ " + text + strings.Join(h.row, " ")
				x.rows[key] = h.row
			case x.r.IntN(3) == 0:
				text = "- " + text + strings.Join(old, " ")
				h.op, h.old, h.row = engine.Delete, old, nil
				delete(x.rows, key)
			default:
				text = "~ " + text + strings.Join(old, " ") + " -> " + strings.Join(h.row, " ")
				h.op, h.old = engine.Update, old
				x.rows[key] = h.row
			}
		} else {
			text += strings.Join(h.row, " ")
		}
		lines = append(lines, text)
		x.past = append(x.past, h)
	}
	b := x.rig.batch(lines)
	for n := range lines {
		x.past[len(x.past)-len(lines)+n].origin = b.Origin[n]
	}
	x.rig.process(b)
}

func pickCells(row []string, columns []int) string {
	var key []string
	for _, c := range columns {
		key = append(key, row[c])
	}
	return strings.Join(key, " ")
}

func (x *verbTrial) advance(w int64) {
	w = max(w, x.rig.watermark)
	x.past = append(x.past, happening{watermark: true, time: w})
	partly := false
	for !x.rig.advance(w, &engine.Budget{Rows: 1 + x.r.IntN(20), Bytes: 1 << 30}) {
		if x.r.IntN(4) == 0 {
			x.rig.commit(false) // what has come so far is compared later
			x.take()
			x.rig.restart()
			partly = true
		}
	}
	if partly || x.r.IntN(2) == 0 {
		x.commit(false) // what a part has committed cannot be undone
	}
}

// commit compares what has come out with the model, if nothing is held back.
func (x *verbTrial) commit(all bool) {
	all = all || x.r.IntN(3) == 0
	x.rig.commit(all)
	x.then, x.thenRows = len(x.past), maps.Clone(x.rows)
	x.take()
	if !all && x.keys["throttle"] != "" {
		return
	}
	got, want := x.facts, x.model(x.past)
	if x.outKey != nil {
		got = slices.Collect(maps.Values(x.sent))
		slices.Sort(got)
		slices.Sort(want)
	}
	if !slices.Equal(got, want) {
		x.fail("got\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

// take takes what came out, and sees that changes are of what came out before.
func (x *verbTrial) take() {
	for _, o := range x.rig.rows {
		if x.outKey == nil {
			x.facts = append(x.facts, o.text(true))
			continue
		}
		if !o.table {
			x.fail("a stream came out of a table: %s", o.text(false))
		}
		if o.op != engine.Insert {
			key := pickCells(o.old, x.outKey)
			if x.sent[key] != strings.Join(o.old, " ") {
				x.fail("%s is no change of %q", o.text(false), x.sent[key])
			}
			delete(x.sent, key)
		}
		if o.op != engine.Delete {
			key := pickCells(o.row, x.outKey)
			if was, ok := x.sent[key]; ok {
				x.fail("%s is there already: %s", o.text(false), was)
			}
			if o.op == engine.Update && slices.Equal(o.old, o.row) {
				x.fail("%s is no change", o.text(false))
			}
			x.sent[key] = strings.Join(o.row, " ")
		}
	}
	x.rig.rows, x.rig.notes = nil, nil
}

func (x *verbTrial) fail(format string, args ...any) {
	x.t.Helper()
	var log []string
	for _, k := range sorted2(x.keys) {
		log = append(log, k+": "+x.keys[k])
	}
	for _, h := range x.past {
		switch {
		case h.watermark:
			log = append(log, "advance "+seconds(h.time))
		default:
			log = append(log, fmt.Sprintf("%s origin %s: %v -> %v", seconds(h.time), seconds(h.origin), h.old, h.row))
		}
	}
	x.t.Fatalf("%s\n%s", strings.Join(log, "\n"), fmt.Sprintf(format, args...))
}

func sorted2(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }

func (x *verbTrial) one(of ...string) string { return of[x.r.IntN(len(of))] }

// number gives a small number or null.
func (x *verbTrial) number(n int) string {
	if x.r.IntN(8) == 0 {
		return "-"
	}
	return strconv.Itoa(x.r.IntN(n))
}

func num(s string) (int, bool) {
	v, err := strconv.Atoi(s)
	return v, err == nil
}

// shown is a value as rows that come out have it.
func shown(s string) string {
	if s == "-" {
		return "null"
	}
	return s
}

func dedupeTrial(x *verbTrial) {
	within := 1 + x.r.Int64N(12)
	x.keys = map[string]string{"in": "u string, a int", "key": x.one("u", "u; a", "k = a % 2"), "within": fmt.Sprintf("%dms", within)}
	x.gen = func() []string { return []string{x.one("x", "y", "z", "-"), x.number(4)} }
	x.model = func(past []happening) (out []string) {
		type passed struct {
			key  string
			time int64
		}
		var all []passed
		mark := engine.MinTime
		for _, h := range past {
			if h.watermark {
				mark = max(mark, h.time)
				continue
			}
			a, ok := num(h.row[1])
			key := h.row[0]
			switch x.keys["key"] {
			case "u; a":
				key += " " + h.row[1]
			case "k = a % 2":
				key = strconv.Itoa(a % 2)
				if !ok {
					key = "-"
				}
			}
			if strings.Contains(key, "-") {
				continue
			}
			if h.time-max(h.origin, mark) < -within && max(h.origin, mark) != engine.MinTime || mark == engine.MaxTime {
				continue // late
			}
			if slices.ContainsFunc(all, func(p passed) bool {
				return p.key == key && p.time >= h.time-within && p.time <= h.time+within
			}) {
				continue
			}
			all = append(all, passed{key, h.time})
			out = append(out, fmt.Sprintf("u=%s a=%s @%s stamp %s", shown(h.row[0]), shown(h.row[1]), seconds(h.time), seconds(h.time)))
		}
		return out
	}
}

func reduceTrial(x *verbTrial) {
	ttl := int64(0)
	byTime := x.r.IntN(2) == 0
	x.keys = map[string]string{"in": "u string, kind string, a int", "group": "u", "state": "n int, last int, who string", "init": "n = 1",
		"fold": `kind == "add" and a > state.n - 2 -> set n = state.n + a; last = state.n | kind == "del" -> delete | ` +
			`kind == "who" -> set who = kind; last = a | a == 3 -> set n = div(state.n, 2) - 1; who = string(div(6, state.n)) `}
	if byTime {
		x.keys["order"] = "event_time"
	}
	if x.r.IntN(2) == 0 {
		ttl = 1 + x.r.Int64N(15)
		x.keys["ttl"] = fmt.Sprintf("%dms", ttl)
	}
	if x.r.IntN(3) == 0 {
		x.keys["throttle"] = "2s"
	}
	x.gen = func() []string {
		return []string{x.one("x", "y", "z", "-"), x.one("add", "add", "del", "who", "no"), x.number(5)}
	}
	x.outKey = []int{0}
	type state struct {
		n, last int
		isLast  bool
		who     string
		seen    int64
	}
	x.model = func(past []happening) (out []string) {
		table := map[string]*state{}
		fold := func(h happening) {
			u, a := h.row[0], 0
			if u == "-" {
				return
			}
			s := table[u]
			if s != nil && ttl > 0 && max(h.time, h.origin)-s.seen > ttl {
				s = nil
			}
			next := state{n: 1, who: "null", seen: h.time}
			if s != nil {
				next = *s
				next.seen = max(s.seen, h.time)
			}
			a, is := num(h.row[2])
			switch {
			case h.row[1] == "add" && is && a > next.n-2:
				next.n, next.last, next.isLast = next.n+a, next.n, true
			case h.row[1] == "del":
				delete(table, u)
				return
			case h.row[1] == "who":
				next.who, next.last, next.isLast = "who", a, is
			case is && a == 3 && next.n != 0:
				next.who = strconv.Itoa(6 / next.n)
				next.n = next.n/2 - 1
			default:
				if s == nil {
					delete(table, u)
					return
				}
			}
			table[u] = &next
		}
		mark := engine.MinTime
		var waiting []happening
		for _, h := range past {
			switch {
			case h.watermark:
				mark = max(mark, h.time)
				slices.SortStableFunc(waiting, func(a, b happening) int { return cmp.Compare(a.time, b.time) })
				for len(waiting) > 0 && waiting[0].time < mark {
					fold(waiting[0])
					waiting = waiting[1:]
				}
				for u, s := range table {
					if ttl > 0 && mark != engine.MaxTime && mark-ttl > s.seen {
						delete(table, u)
					}
				}
			case !byTime:
				fold(h)
			case h.time >= max(h.origin, mark):
				waiting = append(waiting, h)
			}
		}
		for u, s := range table {
			last := "null"
			if s.isLast {
				last = strconv.Itoa(s.last)
			}
			out = append(out, fmt.Sprintf("%s %d %s %s", u, s.n, last, s.who))
		}
		return out
	}
}
