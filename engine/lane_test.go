package engine_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/state"
)

// running is a worker of one lane on a fake broker, in a bubble.
type running struct {
	t      *testing.T
	worker *engine.Worker
	stop   context.CancelFunc
	done   chan struct{}
	err    error
	sum    engine.Summary
}

// tumbling is the pipeline of these tests: ten seconds, closed by rows.
var tumbling = shape{size: 10 * time.Second, includeValue: true, policies: map[engine.Stage]engine.Policy{engine.StageLate: engine.DeadLetter}}

func work(t *testing.T, f *fake, s shape, change ...func(*engine.Options)) *running {
	t.Helper()
	return workOn(t, f, s.topology(t), change...)
}

func workOn(t *testing.T, f *fake, topo *engine.Topology, change ...func(*engine.Options)) *running {
	t.Helper()
	plan, err := engine.MakePlan(t.Context(), topo, f.Cluster())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := plan.Enforce(t.Context(), topo, f.Cluster()); err != nil {
		t.Fatal(err)
	}
	o := engine.Options{WorkerID: "w", Lanes: 1}
	for _, c := range change {
		c(&o)
	}
	ctx, stop := context.WithCancel(t.Context())
	db := state.OpenMemory()
	r := &running{t: t, worker: engine.NewWorker(topo, plan, f, db, o), stop: stop, done: make(chan struct{})}
	go func() {
		defer close(r.done)
		r.sum, r.err = r.worker.Run(ctx)
		db.Close()
	}()
	return r
}

// end stops the worker and gives what it said.
func (r *running) end() error {
	r.stop()
	<-r.done
	return r.err
}

// results are the lines of out, as the text files have them.
func results(f *fake, topic engine.Topic) string {
	var b strings.Builder
	for _, r := range f.topic(topic) {
		b.WriteString(describe(topic, r) + "\n")
	}
	return b.String()
}

func in(partitions int) map[engine.Topic]int { return map[engine.Topic]int{"in": partitions} }

// TestLargeCloseOverRebalance: a window of more keys than one turn writes is
// closed in several transactions; its input is paused meanwhile, and goes on
// after it, also when the group rebalances or a transaction aborts in between.
func TestLargeCloseOverRebalance(t *testing.T) {
	const keys = 120_000
	for _, c := range []struct {
		name string
		end  func(s *fakeSession, turn int) engine.Outcome
	}{
		{"quiet", func(*fakeSession, int) engine.Outcome { return engine.Done }},
		// Not for ever: a task that is being restored starts over with each
		// generation, and on a busy machine would never be done.
		{"rebalances", func(s *fakeSession, turn int) engine.Outcome {
			if turn < 100 {
				s.generation++
			}
			return engine.Done
		}},
		{"aborts", func(_ *fakeSession, turn int) engine.Outcome {
			if turn%2 == 1 {
				return engine.Aborted
			}
			return engine.Done
		}},
		{"lost", func(s *fakeSession, turn int) engine.Outcome {
			if turn == 2 {
				s.generation++
				return engine.LostLease
			}
			return engine.Done
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(in(1))
				for i := range keys {
					f.feed(engine.Record{Topic: "in", Key: []byte("k"), Value: fmt.Appendf(nil, `{"id":%d,"k":"k%d","ts":%d,"n":1}`, i, i, epoch), Time: epoch})
				}
				f.feed(parseRow(t, "p0 a@10s", 1))
				paused, turns := false, 0
				f.pause = func(on bool) { paused = on }
				f.end = func(s *fakeSession, _ []engine.OffsetCommit) (engine.Outcome, error) {
					if !paused {
						return engine.Done, nil
					}
					turns++
					return c.end(s, turns), nil
				}
				w := work(t, f, tumbling)
				for range 3 {
					time.Sleep(time.Minute)
					if len(f.topic("out")) >= keys {
						break
					}
				}
				f.feed(parseRow(t, "p0 a@15s", 2))
				f.feed(parseRow(t, "p0 a@20s", 3))
				time.Sleep(time.Minute)
				if err := w.end(); err != nil {
					t.Fatal(err)
				}
				out := f.topic("out")
				if len(out) != keys+1 || turns < 2 {
					t.Fatalf("%d results in %d turns, want %d in several", len(out), turns, keys+1)
				}
				if last := describe("out", out[keys]); !strings.HasPrefix(last, "out/0 a [10s, 20s) count 2") {
					t.Errorf("the last result is %s", last)
				}
			})
		})
	}
}

// TestRestoreFails: a restore that fails is tried again with a new session, and
// the worker can still end.
func TestRestoreFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(in(2))
		f.feed(parseRow(t, "p0 a@1s", 1))
		f.feed(parseRow(t, "p0 a@10s", 2))
		times := 0
		f.read = func(tp engine.TopicPartition) error {
			if times++; strings.HasSuffix(string(tp.Topic), ".changelog") && times < 4 {
				return engine.E(engine.Retry, "read", errors.New("no answer"))
			}
			return nil
		}
		w := work(t, f, tumbling)
		time.Sleep(time.Minute)
		if err := w.end(); err != nil {
			t.Fatal(err)
		}
		if got := results(f, "out"); got != "out/0 a [0s, 10s) count 1 sum 1\n" || f.sessions < 2 {
			t.Errorf("%d sessions, results:\n%s", f.sessions, got)
		}
	})
}

// TestTransactionsFail: one that aborts for an error is tried again from the
// same rows; three in a row stop the worker, which names the cause.
func TestTransactionsFail(t *testing.T) {
	for _, c := range []struct {
		fails int
		want  string
	}{{2, ""}, {3, "the broker said no"}} {
		synctest.Test(t, func(t *testing.T) {
			f := newFake(in(1))
			fails := 0
			f.end = func(_ *fakeSession, offsets []engine.OffsetCommit) (engine.Outcome, error) {
				if len(offsets) > 0 && fails < c.fails {
					fails++
					return engine.Aborted, engine.E(engine.Retry, "produce", errors.New("the broker said no"))
				}
				return engine.Done, nil
			}
			f.feed(parseRow(t, "p0 a@1s", 1))
			f.feed(parseRow(t, "p0 a@10s", 2))
			w := work(t, f, tumbling)
			time.Sleep(time.Minute)
			err := w.end()
			if c.want == "" {
				if got := results(f, "out"); err != nil || got != "out/0 a [0s, 10s) count 1 sum 1\n" {
					t.Errorf("%v, results:\n%s", err, got)
				}
			} else if err == nil || !strings.Contains(err.Error(), c.want) || engine.KindOf(err) != engine.Fatal {
				t.Errorf("%d failures: %v", c.fails, err)
			}
		})
	}
}

// TestBadRecordStops: under the policy fail the worker ends, says which record
// it was, and has committed nothing of what came behind it.
func TestBadRecordStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(in(1))
		f.feed(parseRow(t, "p0 a@1s", 1))
		f.feed(engine.Record{Topic: "in", Value: []byte("broken")})
		f.feed(parseRow(t, "p0 a@10s", 2))
		s := tumbling
		s.policies = map[engine.Stage]engine.Policy{engine.StageDecode: engine.Fail}
		w := work(t, f, s)
		<-w.done
		if w.err == nil || !strings.Contains(w.err.Error(), "in/0@1") || engine.KindOf(w.err) != engine.BadRecord {
			t.Errorf("it ended with %v", w.err)
		}
		if got := f.group[engine.TopicPartition{Topic: "in"}]; got.Offset > 1 || len(f.topic("out")) > 0 {
			t.Errorf("the group holds %+v, results:\n%s", got, results(f, "out"))
		}
	})
}

// TestUntilEnd: --until-end reads to where the topics ended at the start, all
// the way through a repartition topic, and with --close-windows closes what is
// open; the summary counts it.
func TestUntilEnd(t *testing.T) {
	for _, through := range []bool{false, true} {
		for _, closing := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(in(3))
				s := tumbling
				s.group, s.through = "k", through
				for i, line := range []string{"p0 a@1s", "p0 a@2s", "p1 b@1s", "p0 a@30s", "p1 b@30s"} {
					f.feed(parseRow(t, line, int64(i)))
				}
				w := work(t, f, s, func(o *engine.Options) { o.UntilEnd, o.CloseWindows = true, closing })
				<-w.done
				if w.err != nil {
					t.Fatal(w.err)
				}
				want := map[[2]bool]int{{false, false}: 2, {false, true}: 4, {true, false}: 0, {true, true}: 4}[[2]bool{through, closing}]
				if w.sum.RecordsIn != 5 || len(f.topic("out")) != want || w.sum.RecordsOut != int64(want) {
					t.Errorf("through %v, closing %v: %+v, want 5 in and %d out; results:\n%s", through, closing, w.sum, want, results(f, "out"))
				}
			})
		}
	}
}

// TestUntilEndCommitsAtOnce: what was read to the end is not kept until the
// commit interval is over.
func TestUntilEndCommitsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(in(2))
		for i, line := range []string{"p0 a@1s", "p1 b@1s", "p0 a@30s", "p1 b@30s"} {
			f.feed(parseRow(t, line, int64(i)))
		}
		began := time.Now()
		w := work(t, f, tumbling, func(o *engine.Options) { o.UntilEnd, o.CommitInterval = true, time.Hour })
		<-w.done
		if w.err != nil || w.sum.RecordsIn != 4 || w.sum.RecordsOut != 2 {
			t.Fatalf("%+v, %v", w.sum, w.err)
		}
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

// TestStdout: lines of a stdout or file sink appear once their transaction has
// committed.
func TestStdout(t *testing.T) {
	for _, toFile := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			f := newFake(in(1))
			fails := 0
			f.end = func(_ *fakeSession, offsets []engine.OffsetCommit) (engine.Outcome, error) {
				if len(offsets) > 0 && fails < 2 {
					fails++
					return engine.Aborted, nil
				}
				return engine.Done, nil
			}
			f.feed(parseRow(t, "p0 a@1s", 1))
			f.feed(parseRow(t, "p0 a@10s", 2))
			s := tumbling
			s.stdout, s.file = !toFile, toFile
			var lines, other bytes.Buffer
			w := work(t, f, s, func(o *engine.Options) {
				if o.Stdout = &lines; toFile {
					o.Stdout, o.Files = &other, map[engine.Topic]io.Writer{engine.FileTopic("out"): &lines}
				}
			})
			time.Sleep(time.Minute)
			if err := w.end(); err != nil {
				t.Fatal(err)
			}
			if strings.Count(lines.String(), "\n") != 1 || !strings.Contains(lines.String(), `"count":1`) || other.Len() > 0 {
				t.Errorf("file %v: %q, and beside it %q", toFile, lines.String(), other.String())
			}
		})
	}
}

// TestFullDisk: a file that cannot be written stops the worker.
func TestFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(in(1))
		f.feed(parseRow(t, "p0 a@1s", 1))
		f.feed(parseRow(t, "p0 a@10s", 2))
		s := tumbling
		s.file = true
		w := work(t, f, s, func(o *engine.Options) {
			o.Files = map[engine.Topic]io.Writer{engine.FileTopic("out"): fullDisk{}}
		})
		time.Sleep(time.Minute)
		if err := w.end(); err == nil || !strings.Contains(err.Error(), "no space left") {
			t.Errorf("the worker ends with %v", err)
		}
	})
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

// TestPurge: rows of a repartition topic that were read are deleted, and never
// one that was not.
func TestPurge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(in(2))
		s := tumbling
		s.group, s.through = "g", true
		f.feed(parseRow(t, "p0 a@1s g=x", 1))
		w := work(t, f, s)
		time.Sleep(time.Minute)
		if err := w.end(); err != nil {
			t.Fatal(err)
		}
		if len(f.purged) == 0 {
			t.Error("nothing was purged")
		}
		for tp, at := range f.purged {
			if at > f.group[tp].Offset || !strings.HasSuffix(string(tp.Topic), ".repartition") {
				t.Errorf("%s/%d was purged up to %d, the group is at %d", tp.Topic, tp.Partition, at, f.group[tp].Offset)
			}
		}
	})
}

// TestSessionsDrop: a session that cannot begin is replaced soon, later ones
// after longer and longer pauses, and the first one after a commit soon again.
func TestSessionsDrop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(in(1))
		var at []time.Time
		broken := true
		f.join = func() error {
			at = append(at, time.Now())
			if broken {
				return engine.E(engine.Retry, "join", errors.New("nobody answers"))
			}
			return nil
		}
		w := work(t, f, tumbling)
		time.Sleep(30 * time.Second)
		f.mu.Lock()
		broken = false
		tries := at
		f.mu.Unlock()
		for i := 1; i < len(tries); i++ {
			pause, most := tries[i].Sub(tries[i-1]), min(5*time.Second, 200*time.Millisecond<<min(i-1, 10))
			if pause < most/2 || pause > most {
				t.Errorf("pause %d took %v, want between %v and %v", i, pause, most/2, most)
			}
		}
		if len(tries) < 8 {
			t.Errorf("%d tries in 30 s", len(tries))
		}
		f.feed(parseRow(t, "p0 a@1s", 1))
		f.feed(parseRow(t, "p0 a@10s", 2))
		time.Sleep(10 * time.Second)
		f.mu.Lock()
		before := len(at)
		f.end = func(*fakeSession, []engine.OffsetCommit) (engine.Outcome, error) {
			f.end = nil
			return engine.Aborted, engine.E(engine.Environment, "end", errors.New("the broker went away"))
		}
		f.mu.Unlock()
		f.feed(parseRow(t, "p0 a@20s", 3))
		dropped := time.Now()
		time.Sleep(10 * time.Second)
		if err := w.end(); err != nil {
			t.Fatal(err)
		}
		if len(at) != before+1 || at[before].Sub(dropped) > 500*time.Millisecond {
			t.Errorf("after the commit: %d sessions, the new one after %v", len(at)-before, at[len(at)-1].Sub(dropped))
		}
	})
}
