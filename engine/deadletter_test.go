package engine_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/leatstream/leat/engine"
)

// letters gives what a task puts into the dead-letter topic.
func letters(t *rigTask) []engine.Record {
	var dead []engine.Record
	for _, r := range t.Records() {
		if r.Topic == "dead" {
			dead = append(dead, r)
		}
	}
	return dead
}

func header(r engine.Record, key string) (string, bool) {
	for _, h := range r.Headers {
		if h.Key == key {
			return string(h.Value), true
		}
	}
	return "", false
}

func decodeErrors(p engine.Policy) shape {
	return shape{size: 10 * time.Second, includeValue: true, policies: map[engine.Stage]engine.Policy{engine.StageDecode: p}}
}

// TestDeadLettersKeepTheirHeaders: a source may answer Headers from scratch
// memory, so that what it gave for one row is gone with the next.
func TestDeadLettersKeepTheirHeaders(t *testing.T) {
	r := newRig(t, decodeErrors(engine.DeadLetter), 1, 1)
	for i := range 4 {
		rec := engine.Record{Topic: "in", Value: []byte("broken")}
		for j := range []int{12, 1, 2, 1}[i] {
			rec.Headers = append(rec.Headers, engine.Header{Key: fmt.Sprintf("own%d", j), Value: fmt.Append(nil, "row", i)})
		}
		r.feed(rec)
	}
	rows := r.rows(r.tasks[0].Inputs()[0], 0, 4)
	var scratch []engine.Header
	of := rows.Headers
	rows.Headers = func(i int) []engine.Header {
		scratch = append(scratch[:0], of(i)...)
		return scratch
	}
	r.check(r.tasks[0].Process(rows))
	for i, dead := range letters(r.tasks[0]) {
		own, _ := header(dead, "own0")
		offset, _ := header(dead, "leat.error.offset")
		if own != fmt.Sprint("row", i) || offset != fmt.Sprint(i) {
			t.Errorf("dead letter %d has headers %q", i, dead.Headers)
		}
	}
}

// TestDeadLettersFit: what is too large for the dead-letter topic is cut, and
// says so; the size that counts is with its headers.
func TestDeadLettersFit(t *testing.T) {
	const limit = 20_000
	for _, c := range []struct {
		name               string
		key, value, header int
		cut                bool
	}{
		{"small", 10, 100, 0, false},
		{"large value", 10, 50_000, 0, true},
		{"large key", 50_000, 100, 0, true},
		{"large headers", 10, 100, 50_000, true},
		{"all of it", 30_000, 30_000, 30_000, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, decodeErrors(engine.DeadLetter), 1, 1)
			r.limits = func(engine.Topic) engine.Limits { return engine.Limits{MaxBytes: limit} }
			r.restart()
			rec := engine.Record{Topic: "in", Key: []byte(strings.Repeat("k", c.key)), Value: []byte(strings.Repeat("v", c.value))}
			if c.header > 0 {
				rec.Headers = []engine.Header{{Key: "own", Value: []byte(strings.Repeat("h", c.header))}}
			}
			r.feed(rec)
			r.check(r.tasks[0].Process(r.rows(r.tasks[0].Inputs()[0], 0, 1)))
			dead := letters(r.tasks[0])[0]
			size := len(dead.Key) + len(dead.Value)
			for _, h := range dead.Headers {
				size += len(h.Key) + len(h.Value)
			}
			if size > limit {
				t.Errorf("the dead letter has %d bytes, the topic takes %d", size, limit)
			}
			if _, cut := header(dead, "leat.error.truncated"); cut != c.cut {
				t.Errorf("it says truncated: %v", cut)
			}
			if stage, _ := header(dead, "leat.error.stage"); stage != "decode" {
				t.Errorf("its stage is %q", stage)
			}
		})
	}
}

// TestResultsFit: a result that its topic would refuse meets the produce policy
// of its sink, instead of aborting the same transaction for ever.
func TestResultsFit(t *testing.T) {
	for policy, want := range map[engine.Policy]string{engine.Skip: "", engine.DeadLetter: "", engine.Fail: "too large"} {
		s := shape{size: 10 * time.Second, includeValue: true, policies: map[engine.Stage]engine.Policy{engine.StageProduce: policy}}
		r := newRig(t, s, 1, 1)
		r.limits = func(topic engine.Topic) engine.Limits {
			if topic == "out" {
				return engine.Limits{MaxBytes: 2000}
			}
			return engine.Limits{}
		}
		r.restart()
		r.feed(parseRow(t, "p0 "+strings.Repeat("k", 3000)+"@1s", 1))
		r.feed(parseRow(t, "p0 a@1s", 2))
		r.feed(parseRow(t, "p0 a@20s", 3))
		task := r.tasks[0]
		r.check(task.Process(r.rows(task.Inputs()[0], 0, 3)))
		_, err := task.Advance(&engine.Budget{Rows: 100, Bytes: 1 << 20})
		r.check(err)
		_, err = task.Prepare(false, 1)
		if want != "" {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("policy %d: %v", policy, err)
			}
			continue
		}
		r.check(err)
		out := 0
		for _, rec := range task.Records() {
			if rec.Topic == "out" {
				out++
			}
		}
		if dead := letters(task); out != 1 || (len(dead) == 1) != (policy == engine.DeadLetter) {
			t.Errorf("policy %d: %d results, %d dead letters", policy, out, len(dead))
		} else if len(dead) == 1 {
			if stage, _ := header(dead[0], "leat.error.stage"); stage != "produce" {
				t.Errorf("its stage is %q", stage)
			}
		}
	}
}

// TestMaxRate: more than the given share of bad rows within a minute stops the
// task, from a hundred rows on, be they in one batch or in many.
func TestMaxRate(t *testing.T) {
	for _, c := range []struct {
		name           string
		batch, minutes int
		good, bad      int // per minute
		want           bool
	}{
		{"ninety-nine rows are too few", 1000, 1, 0, 99, false},
		{"one batch", 1000, 1, 0, 100, true},
		{"row by row", 1, 1, 0, 100, true},
		{"exactly the share", 1000, 1, 190, 10, false},
		{"a row more than the share", 1000, 1, 189, 11, true},
		{"each minute for itself", 1000, 5, 60, 39, false},
		{"each minute in one batch", 1000, 2, 0, 100, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := decodeErrors(engine.Skip)
			s.maxRate = 0.05
			r := newRig(t, s, 1, 1)
			tp := r.tasks[0].Inputs()[0]
			var err error
			for range c.minutes {
				from := len(r.logs[tp])
				for i := range c.good {
					r.feed(parseRow(t, fmt.Sprintf("p0 a@%dms", i), 1))
				}
				for range c.bad {
					r.feed(engine.Record{Topic: "in", Value: []byte("broken")})
				}
				for at := from; at < len(r.logs[tp]) && err == nil; at += c.batch {
					err = r.tasks[0].Process(r.rows(tp, at, min(at+c.batch, len(r.logs[tp]))))
				}
				r.now += 60_000
			}
			if (err != nil) != c.want {
				t.Errorf("it stops: %v", err)
			}
			if err != nil && engine.KindOf(err) != engine.Fatal {
				t.Errorf("its kind is %d", engine.KindOf(err))
			}
		})
	}
}
