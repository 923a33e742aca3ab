package engine

import (
	"maps"
	"slices"
	"sync/atomic"
)

// TaskStatus is how one task of a worker is, for operators.
type TaskStatus struct {
	Task       string       `json:"task"`  // sub-topology/partition
	State      string       `json:"state"` // running or restoring
	Watermark  *int64       `json:"watermark"`
	Idle       bool         `json:"idle,omitempty"`
	Holding    string       `json:"holding,omitempty"` // the input that holds the watermark back, "topic/partition"
	LagRecords int64        `json:"lag_records"`
	LagMillis  int64        `json:"lag_ms"`
	Late       int64        `json:"late"`
	StateBytes int64        `json:"state_bytes"`
	Restore    *RestoreDone `json:"restore,omitempty"` // while restoring
}

// RestoreDone is how far a task's restore is, in changelog records. Both are 0
// while it waits for a place in the restore pool.
type RestoreDone struct {
	Done  int64 `json:"done"`
	Total int64 `json:"total"`
}

// stand is where a task's time stood at its last commit.
type stand struct {
	watermark int64
	idle      bool
	holding   string
}

// restoreCount counts the changelog records of one task's restores.
type restoreCount struct {
	done, total atomic.Int64
	restores    int // of the task: a lane may want it back while the last one ends; under Worker.mu
}

// waits notes that a task is being restored; waited that it no longer is.
func (w *Worker) waits(id TaskID) *restoreCount {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.waiting == nil {
		w.waiting = map[TaskID]*restoreCount{}
	}
	c := w.waiting[id]
	if c == nil {
		c = &restoreCount{}
		w.waiting[id] = c
	}
	c.restores++
	return c
}

func (w *Worker) waited(id TaskID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c := w.waiting[id]; c.restores == 1 {
		delete(w.waiting, id)
	} else {
		c.restores--
	}
}

// Tasks tells how each task here is, as of its last commit. now is epoch ms.
// Safe from any goroutine.
func (w *Worker) Tasks(now int64) []TaskStatus {
	w.mu.Lock()
	tasks, waiting := maps.Clone(w.tasks), maps.Clone(w.waiting)
	w.mu.Unlock()
	ids := slices.Collect(maps.Keys(tasks))
	for id := range waiting {
		if tasks[id] == nil {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(a, b TaskID) int {
		if a.Sub != b.Sub {
			return int(a.Sub) - int(b.Sub)
		}
		return int(a.Partition) - int(b.Partition)
	})
	list := []TaskStatus{}
	for _, id := range ids {
		t := tasks[id]
		if t == nil {
			list = append(list, TaskStatus{Task: id.String(), State: "restoring", Restore: waiting[id].progress()})
			continue
		}
		s := TaskStatus{Task: id.String(), State: "running", LagRecords: t.Stats.LagRecords.Load(), StateBytes: t.Stats.StateBytes.Load()}
		c := t.Stats.Counters()
		s.Late = c["late"] + c["late_after_idle"]
		if at := t.Stats.stand.Load(); at != nil {
			s.Idle, s.Holding = at.idle, at.holding
			if at.watermark != MinTime && at.watermark != MaxTime {
				s.Watermark = &at.watermark
				if !at.idle {
					s.LagMillis = max(0, now-at.watermark)
				}
			}
		}
		list = append(list, s)
	}
	return list
}

func (c *restoreCount) progress() *RestoreDone {
	total := c.total.Load()
	return &RestoreDone{min(c.done.Load(), total), total}
}
