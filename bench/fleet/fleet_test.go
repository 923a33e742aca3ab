//go:build synctests

package fleet

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// plan is what one run does.
type plan struct {
	v      variant
	seed   uint64
	chunks int     // of input
	menu   []fault // nil: none
	script []fault // in place of one of the menu each time
	every  int     // chunks between faults
	exact  bool    // exactly once even where that is not promised
}

// TestQuiet runs each variant once with nothing going wrong: then no worker
// ends, and all that the faults could hide behind is seen to be right.
func TestQuiet(t *testing.T) {
	for _, v := range variants {
		t.Run(v.name, func(t *testing.T) {
			w := run(t, plan{v: v, seed: 1, chunks: 60})
			for _, m := range w.all {
				for _, err := range m.exits {
					t.Errorf("worker %s ended: %v", m.id, err)
				}
			}
		})
	}
}

// TestEach runs each fault alone, four times in a row.
func TestEach(t *testing.T) {
	for i, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			run(t, plan{v: variants[i%len(variants)], seed: uint64(100 + i), chunks: 80, menu: []fault{f}, every: 16})
		})
	}
}

// TestFaults runs seeds with faults of all kinds.
func TestFaults(t *testing.T) {
	for _, seed := range seeds(t, "1-16") {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			run(t, plan{v: variants[seed%uint64(len(variants))], seed: seed, chunks: 100, menu: faults, every: 12})
		})
	}
}

// TestCompaction brings machines back with disks from before a compaction: their
// positions are no longer in the changelogs, and their state is built anew.
func TestCompaction(t *testing.T) {
	var old []*vfs.MemFS
	backUp := fault{name: "disks are copied", do: func(w *world) {
		old = nil
		for _, m := range w.machines {
			old = append(old, m.disk.CrashClone(vfs.CrashCloneCfg{}))
		}
	}}
	back := fault{name: "crash, same id, an old disk", do: func(w *world) {
		i := w.pick()
		w.machines[i].crash(w.rng)
		w.machines[i] = w.start(w.machines[i].id, old[i])
		old[i] = nil // it is in use now
	}}
	for seed := range uint64(3) {
		run(t, plan{v: variants[seed%2], seed: 300 + seed, chunks: 110, every: 25, script: []fault{backUp, compaction, back, back}})
	}
}

// TestBrokerKeeps: the embedded broker does not compact by itself, however
// long it runs (see compaction).
func TestBrokerKeeps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, variants[0], 1, io.Discard)
		for i := range 5 {
			w.produce(30, time.Now().UnixMilli()+int64(i)*1000)
			time.Sleep(time.Second)
		}
		w.drain()
		time.Sleep(48 * time.Hour)
		for _, p := range w.broker.Cluster.PartitionInfos("p.1.sums.changelog") {
			if p.LogStartOffset != 0 {
				t.Errorf("changelog %d begins at %d", p.Partition, p.LogStartOffset)
			}
		}
		w.client.Close()
		w.broker.Close()
	})
}

// TestAtLeastOnce runs without transactions: rows may count twice after a
// fault, and none is lost. Without a fault nothing comes twice. Nothing fences
// a lane that is cut off and still writes when it is back, so it is left out.
func TestAtLeastOnce(t *testing.T) {
	forms := []variant{{name: "keyed", group: "k", again: true}, {name: "regrouped", group: "g", through: true, again: true}}
	for _, v := range forms {
		t.Run("quiet/"+v.name, func(t *testing.T) { run(t, plan{v: v, exact: true, seed: 1, chunks: 40}) })
	}
	menu := slices.DeleteFunc(slices.Clone(faults), func(f fault) bool { return f.zombie })
	for _, seed := range seeds(t, "1-6") {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			run(t, plan{v: forms[seed%2], seed: seed, chunks: 80, menu: menu, every: 12})
		})
	}
}

// seeds reads SEEDS: 7, 1-500, 17x20 (seed 17, twenty times).
func seeds(t *testing.T, def string) []uint64 {
	text := os.Getenv("SEEDS")
	if text == "" {
		text = def
	}
	number := func(s string) uint64 {
		n, err := strconv.ParseUint(s, 10, 32)
		if err != nil {
			t.Fatalf("SEEDS=%s: %v", text, err)
		}
		return n
	}
	var list []uint64
	if a, b, ok := strings.Cut(text, "x"); ok {
		for range number(b) {
			list = append(list, number(a))
		}
		return list
	}
	a, b, ok := strings.Cut(text, "-")
	if !ok {
		b = a
	}
	for s := number(a); s <= number(b); s++ {
		list = append(list, s)
	}
	return list
}

// run is one life of a fleet: input with faults, then peace, and everything
// must be there within two minutes.
func run(t *testing.T, p plan) (w *world) {
	t.Helper()
	trace := &journal{}
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		w = newWorld(t, p.v, p.seed, trace)
		watching, unwatch := context.WithCancel(context.Background())
		var watcher sync.WaitGroup
		watcher.Go(func() { w.watch(watching) })

		now := began.UnixMilli()
		for i := range p.chunks {
			w.produce(30, now)
			now += 700
			time.Sleep(60 * time.Millisecond)
			switch n := i / max(p.every, 1); {
			case p.every == 0 || i%p.every != p.every-1:
			case n < len(p.script):
				w.strike(p.script[n])
			case p.menu != nil:
				w.strike(p.menu[w.rng.IntN(len(p.menu))])
			}
		}
		w.finish(now)
		if p.exact {
			w.v.again = false
		}
		m := newModel(w.v, w.input())
		w.await(m)
		unwatch()
		watcher.Wait()
		w.drain()
		for _, problem := range w.output().compare(m) {
			w.fail("%s", problem)
		}
		w.client.Close()
		w.broker.Close()
		t.Logf("seed %d, %s: %d partitions, %d lanes, %d results, %d late rows, %d partly, %d machines, %v of virtual time; %s",
			p.seed, p.v.name, w.partitions, w.lanes, len(m.totals), len(m.late), m.partly, len(w.all), time.Since(began).Round(time.Millisecond), strings.Join(w.faults, "; "))
	})
	if os.Getenv("TRACE") != "" || w.failed() {
		t.Logf("%s", trace.tail())
	}
	for i, f := range w.failures {
		if i == 20 {
			t.Errorf("… and %d more", len(w.failures)-i)
			break
		}
		t.Error(f)
	}
	if w.failed() {
		t.Logf("replay: SEEDS=%dx20 go test -tags synctests -count=1 -run %s ./bench/fleet", p.seed, strings.SplitN(t.Name(), "/", 2)[0])
	}
	return w
}

// await waits until what the model says is there, and then a little longer for
// what should not be.
func (w *world) await(m *model) {
	const patience, ghost = 120 * time.Second, 20 * time.Second
	began := time.Now()
	for kicked := began; !w.failed(); time.Sleep(250 * time.Millisecond) {
		o := w.output()
		if o.complete(m) {
			time.Sleep(2 * time.Second)
			return
		}
		if time.Since(began) > patience {
			w.fail("not everything came out within %v of peace: %d of %d results, %d of %d late rows\n%s",
				patience, len(o.finals), len(m.totals), len(o.late), len(m.late), w.standing())
			return
		}
		if time.Since(kicked) > ghost && w.haunted() {
			// The broker has forgotten to time a dead member out: a join helps.
			kicked = time.Now()
			w.log.Info("a dead member holds partitions: one machine more")
			w.machines = append(w.machines, w.start(w.newID(), nil))
		}
	}
}

// haunted tells whether the group has more members than there are lanes.
func (w *world) haunted() bool {
	g := w.broker.Cluster.GroupInfo(w.topo.Group())
	return g != nil && len(g.Members) > len(w.machines)*w.lanes
}

// journal keeps the workers' log lines.
type journal struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte("kafka client:")) && os.Getenv("TRACE") == "" {
		return len(p), nil // the client's own lines: mostly that a dead machine's cable is cut
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.Write(p)
}

// tail is the end of the log: all of it with TRACE.
func (j *journal) tail() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	const most = 12_000
	s := j.b.String()
	if os.Getenv("TRACE") == "" && len(s) > most {
		return "…" + s[len(s)-most:]
	}
	return s
}

var _ io.Writer = (*journal)(nil)
