package engine_test

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/leatstream/leat/engine"
)

// TestTasksTellTheirRestore: each task that is being restored says how far it
// is by itself, and what it has had to read when it runs is forgotten.
func TestTasksTellTheirRestore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(in(2))
		for i := range 9 { // four rows of p0, five of p1
			f.feed(parseRow(t, fmt.Sprintf("p%d k%d@1s", (i+1)%2, i), 1))
		}
		first := work(t, f, tumbling)
		time.Sleep(time.Minute)
		if err := first.end(); err != nil {
			t.Fatal(err)
		}
		// The second has an empty folder: it reads the changelogs whole.
		want := map[engine.Partition]int64{}
		for tp, log := range f.logs {
			if strings.HasSuffix(string(tp.Topic), ".changelog") {
				want[tp.Partition] += int64(len(log))
			}
		}
		if want[0] == 0 || want[0] == want[1] {
			t.Fatalf("the changelogs have %v records: the case shows nothing", want)
		}
		var second atomic.Pointer[running]
		seen := map[engine.Partition]engine.TaskStatus{}
		f.read = func(tp engine.TopicPartition) error {
			if !strings.HasSuffix(string(tp.Topic), ".changelog") {
				return nil
			}
			w := second.Load()
			if w == nil {
				return engine.E(engine.Retry, "read", errors.New("not yet"))
			}
			for _, s := range w.worker.Tasks(0) {
				if s.Task == fmt.Sprintf("0/%d", tp.Partition) {
					seen[tp.Partition] = s
				}
			}
			return nil
		}
		second.Store(work(t, f, tumbling))
		time.Sleep(time.Minute)
		for p, total := range want {
			if s := seen[p]; s.State != "restoring" || s.Restore == nil || s.Restore.Done != 0 || s.Restore.Total != total {
				t.Errorf("task of partition %d before its changelog was read: %s %+v, want 0 of %d", p, s.State, s.Restore, total)
			}
		}
		for _, s := range second.Load().worker.Tasks(0) {
			if s.State != "running" || s.Restore != nil {
				t.Errorf("task %s in the end: %s %+v", s.Task, s.State, s.Restore)
			}
		}
		if err := second.Load().end(); err != nil {
			t.Fatal(err)
		}
	})
}
