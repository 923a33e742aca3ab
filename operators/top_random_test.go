package operators

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/leatstream/leat/engine"
)

func topTrial(x *verbTrial) {
	k, asc, ties := 1+x.r.IntN(3), x.r.IntN(2) == 0, x.r.IntN(2) == 0
	table, windows := x.r.IntN(2) == 0, false
	size, advance, grace := 3+x.r.Int64N(9), int64(0), x.r.Int64N(4)
	x.keys = map[string]string{"in": "u string, id int, a int", "by": "a", "group": x.one("u", ""), "k": strconv.Itoa(k)}
	x.gen = func() []string { return []string{x.one("x", "y", "-"), strconv.Itoa(x.r.IntN(6)), x.number(5)} }
	if asc {
		x.keys["order"] = "asc"
	}
	switch {
	case table:
		x.keys["input"], x.keys["key"] = "table", "id"
		x.inKey, x.outKey = []int{1}, []int{1}
	case x.r.IntN(2) == 0:
		windows = true
		advance = size
		if x.r.IntN(2) == 0 {
			advance = 1 + x.r.Int64N(size)
		}
		x.keys["window"] = fmt.Sprintf("hopping size=%dms advance=%dms grace=%dms", size, advance, grace)
	default:
		ties = false
		x.outKey = []int{0, 3}
	}
	if !table && x.r.IntN(2) == 0 {
		x.keys["key"] = "id" // breaks ties
	}
	if ties {
		x.keys["ties"] = "true"
	}
	grouped := x.keys["group"] != ""
	if !table && !windows && !grouped {
		x.outKey = []int{3}
	}
	first := func(rows []happening) []string { // the first of one group, with their ranks
		a := func(h happening) (int, bool) { return num(h.row[2]) }
		value := func(p, q happening) int {
			v, isV := a(p)
			w, isW := a(q)
			switch {
			case isV != isW:
				return map[bool]int{true: -1, false: 1}[isV]
			case asc:
				return cmp.Compare(v, w)
			}
			return cmp.Compare(w, v)
		}
		rows = slices.Clone(rows)
		slices.SortStableFunc(rows, func(p, q happening) int {
			if c := value(p, q); c != 0 || x.keys["key"] == "" {
				return c
			}
			v, _ := num(p.row[1])
			w, _ := num(q.row[1])
			return cmp.Compare(v, w)
		})
		var out []string
		for n, h := range rows {
			rank := n + 1
			if ties {
				rank = 1
				for _, o := range rows {
					if value(o, h) < 0 {
						rank++
					}
				}
			}
			if rank > k {
				break
			}
			out = append(out, fmt.Sprintf("%s %s %s|%d|%s", shown(h.row[0]), h.row[1], shown(h.row[2]), rank, seconds(h.time)))
		}
		return out
	}
	split := func(s string) (row, rank, time string) {
		var f [3]string
		n := 0
		for _, c := range s {
			if c == '|' {
				n++
				continue
			}
			f[n] += string(c)
		}
		return f[0], f[1], f[2]
	}
	byGroup := func(rows []happening) (groups [][]happening) {
		m := map[string][]happening{}
		for _, h := range rows {
			if !grouped {
				m[""] = append(m[""], h)
			} else if h.row[0] != "-" {
				m[h.row[0]] = append(m[h.row[0]], h)
			}
		}
		for _, g := range slices.Sorted(maps.Keys(m)) {
			groups = append(groups, m[g])
		}
		return groups
	}
	x.model = func(past []happening) (out []string) {
		now := map[string]happening{}
		var all []happening
		open, closed := map[int64][]happening{}, engine.MinTime
		for _, h := range past {
			switch {
			case h.watermark && windows:
				closed = max(closed, h.time-grace)
				if h.time == engine.MaxTime {
					closed = engine.MaxTime
				}
				for _, end := range slices.Sorted(maps.Keys(open)) {
					if end > closed {
						break
					}
					for _, g := range byGroup(open[end]) {
						for _, s := range first(g) {
							row, rank, stamp := split(s)
							var u, id, a string
							_, _ = fmt.Sscan(row, &u, &id, &a)
							out = append(out, fmt.Sprintf("u=%s id=%s a=%s [%s,%s) rank=%s @%s stamp %s", u, id, a, seconds(end-size), seconds(end), rank, seconds(end-1), stamp))
						}
					}
					delete(open, end)
				}
			case h.watermark:
			case windows:
				for end := size - 10*size/advance*advance; end <= h.time+size; end += advance {
					late := end <= closed || h.origin != engine.MinTime && end <= h.origin-grace
					if end > h.time && end <= h.time+size && !late {
						open[end] = append(open[end], h)
					}
				}
			case table && h.op == engine.Delete:
				delete(now, h.old[1])
			case table:
				now[h.row[1]] = h
			default:
				all = append(all, h)
			}
		}
		if windows {
			return out
		}
		for _, h := range now {
			all = append(all, h)
		}
		for _, g := range byGroup(all) {
			for _, s := range first(g) {
				row, rank, _ := split(s)
				out = append(out, row+" "+rank)
			}
		}
		return out
	}
}

// TestRanking puts strings into an order and takes them out, beside a sorted
// list.
func TestRanking(t *testing.T) {
	t.Log("seed", *seed)
	rng := rand.New(rand.NewPCG(*seed, 3))
	var r ranking
	var want []string
	for n := range 20000 {
		s := strconv.Itoa(rng.IntN(3000))
		at, ok := slices.BinarySearch(want, s)
		if grows := n < 12000; ok && (!grows || rng.IntN(3) == 0) {
			want = slices.Delete(want, at, at+1)
			if !r.remove(s) {
				t.Fatalf("seed %d: %s is not there", *seed, s)
			}
		} else if !ok {
			if r.remove(s) {
				t.Fatalf("seed %d: %s is there", *seed, s)
			}
			if grows {
				want = slices.Insert(want, at, s)
				r.insert(s)
			}
		}
		if n%500 != 0 {
			continue
		}
		var got []string
		r.each(func(s string) bool { got = append(got, s); return true })
		if !slices.Equal(got, want) || r.n != len(want) {
			t.Fatalf("seed %d: %d strings, %v; want %d", *seed, r.n, got, len(want))
		}
		if len(want) > 0 {
			if k := rng.IntN(len(want)); r.at(k) != want[k] {
				t.Fatalf("seed %d: %d is %s", *seed, k, r.at(k))
			}
		}
	}
}

// TestOrdered compares bytes as their values: numbers, doubles and texts, both
// ways round, null and NaN last.
func TestOrdered(t *testing.T) {
	t.Log("seed", *seed)
	rng := rand.New(rand.NewPCG(*seed, 4))
	var ints, doubles, texts engine.Column
	const n = 300
	ints.Reset(engine.Int, n)
	doubles.Reset(engine.Double, n)
	texts.Reset(engine.String, n)
	for i := range int32(n) {
		ints.Ints[i] = int64(rng.Uint64()) >> rng.IntN(64)
		doubles.Doubles[i] = float64(rng.IntN(7)-3) * rng.NormFloat64()
		text := make([]byte, rng.IntN(4))
		for k := range text {
			text[k] = []byte{0, 1, 0xfe, 0xff, 'a'}[rng.IntN(5)]
		}
		texts.Strs[i] = string(text)
	}
	sign := func(c int, reverse bool) int {
		if reverse {
			return -c
		}
		return c
	}
	for range 20000 {
		i, j, reverse := rng.Int32N(n), rng.Int32N(n), rng.IntN(2) == 0
		for c, want := range map[*engine.Column]int{&ints: cmp.Compare(ints.Ints[i], ints.Ints[j]),
			&doubles: cmp.Compare(doubles.Doubles[i], doubles.Doubles[j]), &texts: cmp.Compare(texts.Strs[i], texts.Strs[j])} {
			x, y := appendOrdered(nil, c, i, reverse), appendOrdered(nil, c, j, reverse)
			if n := orderedLen(string(x)+string(y), c.Type, reverse); n != len(x) {
				t.Fatalf("seed %d: %q has %d bytes, not %d", *seed, x, len(x), n)
			}
			if got := cmp.Compare(string(x), string(y)); got != sign(want, reverse) {
				t.Fatalf("seed %d: %s %d %d (%q %q) compare as %d", *seed, c.Type, i, j, x, y, got)
			}
		}
	}
}

// TestCorruptVerbs reads what verbs keep, cut off and with bits turned: none of
// it may panic, and what is cut is no state.
func TestCorruptVerbs(t *testing.T) {
	t.Log("seed", *seed)
	rng := rand.New(rand.NewPCG(*seed, 6))
	d := &detector{steps: []detectStep{{place: 0}, {place: 1}, {place: 2}}, kept: make([][]int, 3)}
	row := topRow{has: true, sent: true, time: 5, stamp: 1 << 40, rank: 3, by: "\x01ab\x00\x01", row: "row", was: "was"}
	red := reduced{time: 7, last: 1 << 40, has: true, wasSent: true, row: "row", sent: "sent"}
	opens := []open{{step: 1, count: 2, start: place{3, 4}, last: place{5, 6}, kept: []string{"a", "bc"}}, {step: 1, kept: []string{""}}}
	read := []struct {
		bytes []byte
		ok    func(s string) bool
	}{
		{row.append(nil), func(s string) bool { e, ok := readTopRow(s); return ok && e == row }},
		{red.append(nil), func(s string) bool { e, ok := readReduced(s); return ok && e == red }},
		{appendOpen(nil, opens), func(s string) bool {
			all, ok := d.readOpen(s)
			return ok && fmt.Sprint(all) == fmt.Sprint(opens)
		}},
	}
	for k, x := range read {
		if !x.ok(string(x.bytes)) {
			t.Fatalf("%d: does not come back", k)
		}
		for n := range x.bytes {
			if x.ok(string(x.bytes[:n])) {
				t.Errorf("%d: %d of %d bytes are as good", k, n, len(x.bytes))
			}
		}
		for range 5000 {
			b := slices.Clone(x.bytes)
			for range 1 + rng.IntN(4) {
				b[rng.IntN(len(b))] = byte(rng.Uint32())
			}
			x.ok(string(b))
			orderedLen(string(b), engine.String, rng.IntN(2) == 0)
		}
	}
}

// TestTopLargeGroup changes rows of a group of 10,000 one at a time: a change
// must not cost what the group has rows.
func TestTopLargeGroup(t *testing.T) {
	r := &rig{t: t, in: schema(t, "id int, a int")}
	verbs["top"](t, r, map[string]string{"input": "table", "key": "id", "by": "a", "k": "10"})
	r.start()
	defer r.close()
	var lines []string
	for n := range 10000 {
		lines = append(lines, fmt.Sprintf("+ 1 %d %d", n, n*7919%10007))
	}
	r.process(r.batch(lines))
	r.commit(false)
	r.rows = nil
	began := time.Now()
	for n := range 2000 {
		r.process(r.batch([]string{fmt.Sprintf("~ 2 %d %d -> %d %d", n, n*7919%10007, n, (n*7919+5000)%10007)}))
	}
	r.commit(false)
	t.Logf("%s per change", time.Since(began)/2000)
	if len(r.rows) == 0 {
		t.Fatal("nothing has changed")
	}
}
