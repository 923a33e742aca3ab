package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/leatstream/leat/engine"
)

// wire is an opsLine in memory: who listens later hears the newest record of
// each node.
type wire struct {
	mu   sync.Mutex
	last map[string][]byte
	at   map[string]time.Time
	ears []func(string, []byte, time.Time)
	cut  map[string]bool // these cannot tell
}

func (w *wire) Publish(_ context.Context, key string, value []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.cut[key] {
		return fmt.Errorf("no answer")
	}
	w.last[key], w.at[key] = value, time.Now()
	for _, fn := range w.ears {
		fn(key, value, time.Now())
	}
	return nil
}

func (w *wire) hear(ctx context.Context, fn func(string, []byte, time.Time)) error {
	w.mu.Lock()
	for key, value := range w.last {
		fn(key, value, w.at[key])
	}
	w.ears = append(w.ears, fn)
	w.mu.Unlock()
	<-ctx.Done()
	return nil
}

// station is a node whose tasks the test sets.
type station struct {
	*opsFleet
	stop  context.CancelFunc
	mu    sync.Mutex
	tasks []opsTask
	gen   int
}

func newStation(t *testing.T, w *wire, name string, tasks ...string) *station {
	s := &station{gen: 1}
	s.have(tasks...)
	s.opsFleet = &opsFleet{node: name, line: w, log: quiet, others: map[string]heardRecord{}, mine: func(context.Context) opsRecord {
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(s.tasks) == 0 {
			return opsRecord{Node: name, Role: "serve", Pipelines: []opsPipeline{}}
		}
		letters := &opsDeadLetters{Topic: "dlq", Count: 30, Recent: make([]opsDeadLetter, 30)}
		return opsRecord{Node: name, Role: "run", Pipelines: []opsPipeline{{Pipeline: "orders", Generation: s.gen, Topology: fmt.Sprint("drawn by ", name), Tasks: s.tasks, DeadLetters: letters}}}
	}}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	s.stop = func() { stop(); <-done }
	go func() { defer close(done); s.run(ctx) }()
	return s
}

// have sets its tasks: "0/3", or "0/3 restoring 5 of 9".
func (s *station) have(tasks ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tasks = nil
	for _, text := range tasks {
		id, rest, restoring := strings.Cut(text, " restoring ")
		task := opsTask{TaskStatus: engine.TaskStatus{Task: id, State: "running"}}
		if restoring {
			task.State, task.Restore = "restoring", &engine.RestoreDone{}
			fmt.Sscanf(rest, "%d of %d", &task.Restore.Done, &task.Restore.Total)
		}
		s.tasks = append(s.tasks, task)
	}
}

// tell is what a node answers, in short.
func (s *station) tell(t *testing.T) string {
	t.Helper()
	b, err := json.Marshal(s.status(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	var st opsStatus
	if err := json.Unmarshal(b, &st); err != nil {
		t.Fatal(err)
	}
	out := ""
	for _, n := range st.Nodes {
		out += n.Node
		if n.Gone {
			out += fmt.Sprintf(" gone %ds", n.Age/1000)
		}
		out += "; "
	}
	for _, p := range st.Pipelines {
		out += fmt.Sprintf("%s:", p.Pipeline)
		for _, task := range p.Tasks {
			out += fmt.Sprintf(" %s %s %s", task.Task, task.Node, task.State)
			if r := task.Restore; r != nil {
				out += fmt.Sprintf(" %d of %d", r.Done, r.Total)
			}
			out += ","
		}
	}
	return strings.TrimRight(out, ",; ")
}

// TestOpsOfTheFleet: any node tells how the workers of all of them are.
func TestOpsOfTheFleet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &wire{last: map[string][]byte{}, at: map[string]time.Time{}, cut: map[string]bool{}}
		a := newStation(t, w, "a", "0/10", "0/2")
		b := newStation(t, w, "b", "0/1", "1/0 restoring 5 of 9")
		viewer := newStation(t, w, "v") // leat serve
		is := func(s *station, want string) {
			t.Helper()
			if got := s.tell(t); got != want {
				t.Errorf("node %s says\n%s, want\n%s", s.node, got, want)
			}
		}
		synctest.Wait()
		is(a, "a; orders: 0/2 a running, 0/10 a running") // of the others nothing was heard yet
		time.Sleep(4 * time.Second)
		tasks := "orders: 0/1 b running, 0/2 a running, 0/10 a running, 1/0 b restoring 5 of 9"
		is(a, "a; b; v; "+tasks)
		is(b, "b; a; v; "+tasks)
		is(viewer, "v; a; b; "+tasks)

		// A task moves: for a moment both say that they have it, and one is shown.
		a.have("0/2")
		b.have("0/1", "0/10", "1/0")
		is(a, "a; b; v; orders: 0/1 b running, 0/2 a running, 1/0 b restoring 5 of 9")
		is(b, "b; a; v; orders: 0/1 b running, 0/2 a running, 0/10 b running, 1/0 b running")
		time.Sleep(4 * time.Second)
		is(viewer, "v; a; b; orders: 0/1 b running, 0/2 a running, 0/10 b running, 1/0 b running")

		// b dies without a word: it is gone after 15 s, with the tasks that nobody has.
		w.cut["b"] = true
		time.Sleep(11 * time.Second)
		is(viewer, "v; a; b; orders: 0/1 b running, 0/2 a running, 0/10 b running, 1/0 b running")
		a.have("0/2", "0/1 restoring 1 of 7")
		time.Sleep(4 * time.Second)
		is(viewer, "v; a; b gone 17s; orders: 0/1 a restoring 1 of 7, 0/2 a running, 0/10 b gone, 1/0 b gone")
		// Who starts now knows it, too, and of the past by its age.
		later := newStation(t, w, "later")
		synctest.Wait()
		is(later, "later; a; b gone 17s; v; orders: 0/1 a restoring 1 of 7, 0/2 a running, 0/10 b gone, 1/0 b gone")

		// a goes in order: it takes its record back, and its tasks are nobody's.
		a.stop()
		is(viewer, "v; b gone 17s; orders: 0/1 b gone, 0/10 b gone, 1/0 b gone")
		time.Sleep(10 * time.Minute)
		is(viewer, "v; later")
		for _, s := range []*station{b, viewer, later} {
			s.stop()
		}
	})
}

// TestOpsOfGenerations: what is shown is the newest generation; a node that was
// left with an older one is listed, its tasks are not the pipeline's.
func TestOpsOfGenerations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &wire{last: map[string][]byte{}, at: map[string]time.Time{}}
		a, b := newStation(t, w, "a", "0/0", "0/1", "0/2"), newStation(t, w, "b", "0/0")
		defer a.stop()
		defer b.stop()
		b.mu.Lock()
		b.gen = 2
		b.mu.Unlock()
		time.Sleep(4 * time.Second)
		s := a.status(t.Context()).(opsStatus)
		p := s.Pipelines[0]
		if p.Generation != 2 || p.Topology != "drawn by b" || a.tell(t) != "a; b; orders: 0/0 b running" {
			t.Errorf("generation %d, %s: %s", p.Generation, p.Topology, a.tell(t))
		}
		if n := len(p.DeadLetters.Recent); n != toldLetters {
			t.Errorf("%d dead letters were told to others, want %d", n, toldLetters)
		}
	})
}

// TestOpsHearsNoNonsense: what others wrote is not believed beyond itself.
func TestOpsHearsNoNonsense(t *testing.T) {
	f := &opsFleet{node: "a", others: map[string]heardRecord{}, mine: func(context.Context) opsRecord { return opsRecord{Node: "a"} }}
	now := time.Now()
	f.heard("b", []byte("{"), now)
	f.heard("b", []byte(`{"node":"c"}`), now) // in the name of another
	f.heard("a", []byte(`{"node":"a","pipelines":[{"pipeline":"x"}]}`), now)
	f.heard("a", nil, now)
	f.heard("nobody", nil, now)
	if s := f.status(t.Context()).(opsStatus); len(s.Nodes) != 1 || len(s.Pipelines) != 0 {
		t.Errorf("%+v", s)
	}
	f.heard("b", []byte(`{"node":"b"}`), now)
	if s := f.status(t.Context()).(opsStatus); len(s.Nodes) != 2 {
		t.Errorf("%+v", s)
	}
}

// TestOpsOverATopic: nodes hear each other through a broker, also what was told
// before they came.
func TestOpsOverATopic(t *testing.T) {
	c := startCluster(t, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	first := &fleet{cluster: c, topic: opsTopic, past: true}
	var wg sync.WaitGroup
	heard := make(chan string, 100)
	listen := func(f *fleet) {
		wg.Go(func() {
			_ = f.hear(ctx, func(key string, value []byte, at time.Time) {
				if age := time.Since(at); age < 0 || age > 20*time.Second {
					key += " at a wrong time"
				}
				heard <- key + string(value)
			})
		})
	}
	listen(first)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for n := 0; n == 0; {
		select {
		case got := <-heard:
			if n++; got != "n{}" {
				t.Fatal(got)
			}
		case <-tick.C:
			if err := first.Publish(ctx, "n", []byte("{}")); err != nil {
				t.Fatal(err)
			}
		case <-ctx.Done():
			t.Fatal("nobody heard anything")
		}
	}
	listen(&fleet{cluster: c, topic: opsTopic, past: true})
	select {
	case got := <-heard:
		if got != "n{}" {
			t.Fatal(got)
		}
	case <-ctx.Done():
		t.Fatal("who came later did not hear what was told before")
	}
	cancel()
	wg.Wait()
}
