package sse

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/leatstream/leat/engine"
)

// StartOffsets makes memory a Rewinder.
func (m *memory) StartOffsets(_ context.Context, _ engine.Topic, start engine.Start) (map[engine.Partition]engine.Offset, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := map[engine.Partition]engine.Offset{}
	for p, recs := range m.parts {
		at := m.next[p]
		for _, r := range recs {
			if r.at >= start.At {
				at = r.off
				break
			}
		}
		out[engine.Partition(p)] = engine.Offset(at)
	}
	return out, nil
}

// Fetch gives few records at a time, of one partition more than of another.
func (m *memory) Fetch(_ context.Context, _ engine.Topic, at map[engine.Partition]engine.Offset) ([]*engine.Rows, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var rows []*engine.Rows
	for p, from := range at {
		r := &engine.Rows{Partition: p}
		for _, rec := range m.parts[p] {
			if rec.off >= int64(from) && r.Len() < 3+20*int(p) {
				r.Keys, r.Values = append(r.Keys, rec.key), append(r.Values, rec.value)
				r.Offsets, r.Times = append(r.Offsets, rec.off), append(r.Times, rec.at)
				r.Next = engine.Offset(rec.off + 1)
				m.fetched++
			}
		}
		if r.Len() == 0 && m.next[p] > int64(from) {
			r.Next = engine.Offset(m.next[p])
		}
		if r.Next > 0 {
			rows = append(rows, r)
		}
	}
	return rows, nil
}

// watcher is a transport that keeps what a client shows, and calls at at each
// tick of a replay's clock.
type watcher struct {
	client
	at func(ms int64, exact bool)
}

func (w *watcher) write(b *block) bool {
	var m struct {
		Event, ID string
		Data      json.RawMessage
	}
	if raw := b.message(); raw != nil {
		if err := json.Unmarshal(raw, &m); err != nil {
			panic(err)
		}
		w.take(event{kind: m.Event, data: string(m.Data), id: m.ID})
	}
	if m.Event == "clock" && w.at != nil {
		var c struct {
			At    int64
			Exact bool
		}
		_ = json.Unmarshal(m.Data, &c)
		w.at(c.At, c.Exact)
	}
	return true
}

func (w *watcher) idle(string) bool { return true }

// travel replays a view without HTTP.
func (w *world) travel(view string, f filter, p *past, at func(ms int64, exact bool)) *watcher {
	out := &watcher{client: client{rows: map[string]string{}}, at: at}
	c := &conn{hub: w.hub, view: w.hub.view(view), ctx: w.t.Context(), out: out}
	c.replay(f, p, nil, nil)
	return out
}

// asOf is a table of all records appended until an instant.
func (m *memory) asOf(spec engine.ViewSpec, at int64) *table {
	t := newTable(defaults(spec))
	t.grow(len(m.parts))
	m.mu.Lock()
	defer m.mu.Unlock()
	for p, recs := range m.parts {
		for _, r := range recs {
			if r.at <= at {
				t.record(int32(p), r.off, r.at, at, string(r.key), r.value)
			}
		}
	}
	return t
}

func shownRows(t *table) map[string]string {
	rows := map[string]string{}
	for _, r := range t.all() {
		var m map[string]any
		_ = json.Unmarshal(r.value, &m)
		b, _ := json.Marshal(m)
		rows[keyText(r.key)] = string(b)
	}
	return rows
}

// At every tick of its clock a replay shows what the log held then, whatever
// the speed, the sizes of fetches and the tombstones.
func TestReplayShowsEveryFrameAsItWas(t *testing.T) {
	seed := replaySeed(t)
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("SEED=%d", seed)
	for _, kind := range []string{"table", "windows", "stream"} {
		synctest.Test(t, func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 1))
			spec := boardSpec(2)
			windowed := kind == "windows"
			spec.Replay, spec.Windowed, spec.History, spec.ResumeWindow = time.Hour, windowed, time.Minute, 20*time.Second
			if windowed {
				spec.Reach = 30 * time.Second // as far ahead as ends are below
			}
			if kind == "stream" {
				spec.Stream, spec.KeyColumns, spec.MaxRows = true, nil, 20
			}
			topic := newMemory(2)
			w := newWorld(t, topic, Options{}, spec)
			defer w.stop()
			began := time.Now().UnixMilli()
			for n := range 3000 {
				pass(time.Duration(rnd.IntN(200)) * time.Millisecond)
				now := time.Now().UnixMilli()
				part := rnd.IntN(6) / 5
				end := (now + int64(rnd.IntN(60_000)) - 30_000) / 10_000 * 10_000
				key := fmt.Sprintf("k%d-%d", part, rnd.IntN(40))
				switch kind {
				case "windows":
					key = fmt.Sprintf("k%d-%d-%d", part, rnd.IntN(4), end)
				case "stream":
					key = fmt.Sprintf("orders/%d/%d", part, n)
				}
				what := rnd.IntN(10)
				if kind == "stream" && rnd.IntN(10) > 0 { // its rows are far apart
					what = 0
				}
				switch what {
				case 0:
					topic.mark(part, now-int64(3000*part))
				case 1:
					topic.put(part, key, "")
				default:
					topic.put(part, key, fmt.Sprintf(`{"country":%q,"n":%d,"window_end":%d}`, key, rnd.IntN(1000), end))
				}
			}
			ended := time.Now().UnixMilli()
			for _, speed := range []float64{0, 0.5, 1, 7, 100, 1000} {
				p := &past{from: began + rnd.Int64N(ended-began), to: ended, speed: speed, still: speed == 0}
				switch {
				case speed == 0:
					p.to = p.from
				case speed < 100:
					p.to = min(ended, p.from+20_000)
				}
				frames := 0
				var out *watcher
				last := int64(0)
				check := func(ms int64, exact bool) {
					frames++
					if !exact || ms < last || ms < p.from || ms > p.to {
						t.Fatalf("clock at %d, exact %v, of %d to %d, after %d", ms, exact, p.from, p.to, last)
					}
					last = ms
					want, got := shownRows(topic.asOf(spec, ms)), out.rows
					if !maps.Equal(got, want) {
						t.Fatalf("%s, speed %g, %d ms after from: %d rows, want %d\n%v\n%v", kind, speed, ms-p.from, len(got), len(want), got, want)
					}
				}
				out = &watcher{client: client{rows: map[string]string{}}, at: check}
				c := &conn{hub: w.hub, view: w.hub.view(spec.Name), ctx: t.Context(), out: out}
				start := time.Now()
				c.replay(filter{}, p, nil, nil)
				if last != p.to || !strings.HasSuffix(out.kinds(), "done") {
					t.Fatalf("speed %g: ended at %d of %d: %s", speed, last, p.to, out.kinds())
				}
				if took, want := time.Since(start).Seconds(), float64(p.to-p.from)/1000/max(speed, 1e-9); speed > 0 && (took < want || took > want+1) {
					t.Errorf("%d ms at speed %g took %.1f s, want %.1f", p.to-p.from, speed, took, want)
				}
			}
		})
	}
}

// Of an hour's log a replay reads what can matter: of windows those that were not
// gone, of streams the newest rows, however many marks lie between them; of a
// table all until its end. What was appended after to is never read.
func TestReplayReadsWhatMatters(t *testing.T) {
	for _, c := range []struct {
		kind        string
		from, to    time.Duration
		least, most int
	}{
		{"windows", 50 * time.Minute, 51 * time.Minute, 2 * 180, 2*180 + 60}, // 60 s of history, 60 s of a window, and the minute; the marks of some seconds twice
		{"windows", 5 * time.Minute, 5 * time.Minute, 2 * 120, 2*120 + 60},
		{"windows of a silent task", 50 * time.Minute, 50 * time.Minute, 2 * 3000, 3 * 3600},
		{"windows of who knows what", 50 * time.Minute, 51 * time.Minute, 2 * 3060, 2*3060 + 60},
		{"stream", 50 * time.Minute, 51 * time.Minute, 2*100 + 2*60, 4*100 + 2*60 + 60}, // 10 rows among 100 records; as much again to find them
		{"table", 50 * time.Minute, 51 * time.Minute, 2 * 3060, 2*3060 + 10},
	} {
		t.Run(c.kind, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				spec := boardSpec(1)
				spec.Replay, spec.History = 2*time.Hour, time.Minute
				switch {
				case c.kind == "stream":
					spec.Stream, spec.KeyColumns, spec.MaxRows = true, nil, 10
				case strings.HasPrefix(c.kind, "windows"):
					spec.Windowed, spec.Reach = true, time.Minute
				}
				if c.kind == "windows of who knows what" {
					spec.Reach = 0
				}
				topic := newMemory(1)
				w := newWorld(t, topic, Options{}, spec)
				defer w.stop()
				began := time.Now()
				for i := range 3600 { // a record and a mark each second
					now := time.Now().UnixMilli()
					switch {
					case c.kind == "stream" && i%5 > 0:
						topic.put(0, markKey(0), string(mark{At: now}.encode()))
					case c.kind == "stream":
						topic.put(0, fmt.Sprint("orders/0/", i), fmt.Sprintf(`{"n":%d}`, i))
					default:
						end := (now/60_000 + 1) * 60_000
						topic.put(0, fmt.Sprint("k", end), fmt.Sprintf(`{"n":%d,"window_end":%d}`, i, end))
					}
					if c.kind != "windows of a silent task" || i < 60 {
						topic.mark(0, now)
					} else {
						topic.put(0, fmt.Sprint("k", i), `{"n":1,"window_end":1}`)
					}
					pass(time.Second)
				}
				p := &past{from: began.Add(c.from).UnixMilli(), to: began.Add(c.to).UnixMilli(), speed: 1000}
				topic.fetched = 0
				out := w.travel(spec.Name, filter{}, p, nil)
				read := topic.fetched
				if want := shownRows(topic.asOf(spec, p.to)); !maps.Equal(out.rows, want) || len(want) == 0 || !strings.HasSuffix(out.kinds(), "done") {
					t.Errorf("shown %v, want %v; %s", out.rows, want, out.kinds())
				}
				if read < c.least || read > c.most {
					t.Errorf("%d records of 7200 read, want %d to %d", read, c.least, c.most)
				}
			})
		})
	}
}

// What compaction has taken cannot be shown: then rows have their last values,
// and the clock says so, until it comes to what is left.
func TestReplayBeforeTheReachOfExactness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		spec := boardSpec(1)
		spec.Replay = time.Minute
		topic := newMemory(1)
		w := newWorld(t, topic, Options{}, spec)
		defer w.stop()
		began := time.Now().UnixMilli()
		for i := range 120 {
			pass(time.Second)
			topic.put(0, fmt.Sprint("k", i/30), fmt.Sprintf(`{"n":%d}`, i)) // k0 ends at 29, k1 at 59, …
		}
		topic.compactBefore(time.Now().Add(-time.Minute).UnixMilli())
		now := time.Now().UnixMilli()
		exactFrom, seen := int64(0), map[string]bool{}
		out := w.travel(spec.Name, filter{}, &past{from: began, to: now, speed: 10}, func(ms int64, exact bool) {
			if exact && exactFrom == 0 {
				exactFrom = ms
			}
		})
		for _, e := range out.events {
			if e.kind == "delta" {
				var d frameData
				_ = json.Unmarshal([]byte(e.data), &d)
				for _, r := range d.Upsert {
					seen[fmt.Sprint(r["_key"], r["n"])] = true
				}
			}
		}
		if strings.Contains(out.events[0].data, `"exact":true`) || !strings.Contains(out.events[0].data, `"replay":true`) {
			t.Errorf("hello: %s", out.events[0].data)
		}
		if exactFrom < now-time.Minute.Milliseconds() || exactFrom > now-40_000 {
			t.Errorf("exact from %d s before now on, want about 60 less the time it took", (now-exactFrom)/1000)
		}
		if seen["k010"] || !seen["k029"] {
			t.Errorf("before: rows with values other than the last: %v", seen)
		}
		if got := out.rows["k3"]; got != `{"n":119}` {
			t.Errorf("at the end: %s", got)
		}
	})
}

// compactBefore takes what newer records of the same key, older than at too,
// have replaced, as a broker does with min.compaction.lag.
func (m *memory) compactBefore(at int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for p, recs := range m.parts {
		last := map[string]int64{}
		for _, r := range recs {
			if r.at < at {
				last[string(r.key)] = r.off
			}
		}
		var kept []memoryRecord
		for _, r := range recs {
			if r.at >= at || last[string(r.key)] == r.off {
				kept = append(kept, r)
			}
		}
		m.parts[p] = kept
	}
}

// A viewer's right holds for the past as it does for the present.
func TestReplayUnderARight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		spec := boardSpec(1)
		spec.Replay = time.Hour
		topic := newMemory(1)
		w := newWorld(t, topic, Options{}, spec)
		defer w.stop()
		from := time.Now().UnixMilli()
		for i := range 20 {
			pass(time.Second)
			topic.put(0, "a", fmt.Sprintf(`{"n":%d,"mine":%v}`, i, i%10 < 5))
			topic.put(0, "b", fmt.Sprintf(`{"n":%d,"mine":false,"secret":1}`, i))
		}
		mine := func(row []byte) bool { return strings.Contains(string(row), `"mine":true`) }
		was := map[bool]bool{}
		var out *watcher
		out = &watcher{client: client{rows: map[string]string{}}, at: func(int64, bool) {
			_, there := out.rows["a"]
			was[there] = true
		}}
		c := &conn{hub: w.hub, view: w.hub.view(spec.Name), ctx: t.Context(), out: out}
		c.replay(filter{right: mine, canon: "mine"}, &past{from: from, to: time.Now().UnixMilli(), speed: 4}, nil, nil)
		if len(was) != 2 {
			t.Errorf("the row came into sight and went out of it: %v", was)
		}
		for _, e := range out.events {
			if strings.Contains(e.data, "secret") || strings.Contains(e.data, `"b"`) {
				t.Fatalf("a row of others: %s", e.data)
			}
			if e.kind == "mark" && !strings.Contains(e.data, `"row_count":0`) && !strings.Contains(e.data, `"row_count":1`) {
				t.Fatalf("a mark counts rows of others: %s", e.data)
			}
		}
	})
}

// A replay that is cut goes on where it was; one that is over says so once.
func TestReplayGoesOnAfterAReconnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		spec := boardSpec(1)
		spec.Replay = time.Hour
		topic := newMemory(1)
		w := newWorld(t, topic, Options{}, spec)
		defer w.stop()
		from := time.Now().UnixMilli()
		for i := range 60 {
			pass(time.Second)
			topic.put(0, "k", fmt.Sprintf(`{"n":%d}`, i))
		}
		path := fmt.Sprintf("%s?from=%d&to=%d&speed=10", live, from, time.Now().UnixMilli())
		c := w.open(path, "")
		pass(2 * time.Second)
		cursor, rows := c.close()
		if !strings.HasPrefix(cursor, "r1.") || rows["k"] == "" {
			t.Fatalf("after 2 s: cursor %s, %v", cursor, rows)
		}
		pass(time.Minute)
		d := w.open(path, cursor)
		pass(100 * time.Millisecond)
		first := d.table()["k"]
		if first != rows["k"] {
			t.Errorf("it went on at %s, was at %s", first, rows["k"])
		}
		pass(10 * time.Second)
		if !d.isClosed() || d.last() != pastDone || d.table()["k"] != `{"n":59}` {
			t.Errorf("at the end: closed %v, cursor %s, %v", d.isClosed(), d.last(), d.table())
		}
		e := w.open(path, d.last())
		pass(time.Second)
		if !strings.HasPrefix(e.status, "204") {
			t.Errorf("asked again at the end: %s", e.status)
		}
	})
}

// Replays are few: the one too many is told to come back, as a stream is.
func TestTooManyReplays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		spec := boardSpec(1)
		spec.Replay = time.Hour
		topic := newMemory(1)
		w := newWorld(t, topic, Options{MaxReplays: 2}, spec)
		defer w.stop()
		from := time.Now().UnixMilli()
		pass(time.Minute)
		path := fmt.Sprintf("%s?from=%d&speed=1", live, from)
		a, b, c := w.open(path, ""), w.open(path, ""), w.open(path, "")
		pass(time.Second)
		closed := 0
		for _, one := range []*client{a, b, c} {
			if !strings.HasPrefix(one.status, "200") {
				t.Errorf("status %s", one.status)
			}
			if one.isClosed() {
				closed++
				if !strings.Contains(one.raw.String(), `"reason":"replays"`) {
					t.Errorf("turned away with %s", one.raw.String())
				}
			}
		}
		if closed != 1 || w.count.get("rejected replays") != 1 {
			t.Errorf("%d of 3 replays turned away, counted %v", closed, w.count.get("rejected replays"))
		}
		for _, one := range []*client{a, b} {
			one.close()
		}
		pass(time.Second)
		d := w.open(path, "")
		pass(time.Second)
		if d.isClosed() {
			t.Error("a place that is free again was refused")
		}
		d.close()
	})
}

// Memory is bounded by max_keys, and what was left out is not called exact.
func TestReplayIsBoundedByMaxKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		spec := boardSpec(1)
		spec.Replay, spec.MaxKeys = time.Hour, 10
		topic := newMemory(1)
		w := newWorld(t, topic, Options{}, spec)
		defer w.stop()
		for i := range 50 {
			topic.put(0, fmt.Sprint("k", i), `{"n":1}`)
		}
		pass(time.Second)
		now := time.Now().UnixMilli()
		exact := true
		out := w.travel(spec.Name, filter{}, &past{from: now, to: now, still: true}, func(_ int64, e bool) { exact = e })
		if len(out.rows) != 10 || exact {
			t.Errorf("%d rows, exact %v", len(out.rows), exact)
		}
	})
}

func TestReplayParameters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, newMemory(1), Options{}, boardSpec(1))
		defer w.stop()
		now := time.Now().UnixMilli()
		for query, want := range map[string]string{
			"to=5":                        "from: missing",
			"speed=5":                     "from: missing",
			"from=x":                      "from: \\\"x\\\" is no time",
			"from=5&to=4":                 "to: it lies before from",
			"from=5&speed=0.01":           "speed: 0.01 is not within 0.1",
			"from=5&speed=1001":           "speed: 1001 is not within",
			"from=5&speed=-1":             "speed: -1 is not within",
			"from=5&speed=NaN":            "speed: \\\"NaN\\\" is no number",
			"from=5&speed=0&to=":          "to: ",
			"from=5&speed=0&to=6":         "speed: at speed 0",
			fmt.Sprint("from=", now+5000): "from: it lies in the future",
		} {
			if got := get(w.hub.Handler(), live+"?"+query); got.Code != 400 || !strings.Contains(got.Body.String(), want) {
				t.Errorf("%s: %d %s, want %s", query, got.Code, got.Body, want)
			}
		}
	})
}
