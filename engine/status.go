package engine

import (
	"maps"
	"slices"
)

// TaskStatus is how one task of a worker is, for operators.
type TaskStatus struct {
	Task       string       `json:"task"`  // sub-topology_partition
	State      string       `json:"state"` // running or restoring
	Watermark  *int64       `json:"watermark"`
	Idle       bool         `json:"idle,omitempty"`
	Holding    string       `json:"holding,omitempty"` // the input that holds the watermark back, "topic/partition"
	LagRecords int64        `json:"lag_records"`
	LagMillis  int64        `json:"lag_ms"`
	Late       int64        `json:"late"`
	StateBytes int64        `json:"state_bytes"`
	Restore    *RestoreDone `json:"restore,omitempty"` // while restoring: of all of the worker's restores
}

// RestoreDone is how far restores are, in changelog records.
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

// waits notes that a task is being restored (1), or no longer (-1).
func (w *Worker) waits(id TaskID, n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.waiting == nil {
		w.waiting = map[TaskID]int{}
	}
	if w.waiting[id] += n; w.waiting[id] == 0 {
		delete(w.waiting, id)
	}
}

// Tasks tells how each task here is, as of its last commit. now is epoch ms.
// Safe from any goroutine.
func (w *Worker) Tasks(now int64) []TaskStatus {
	done, total, _ := w.Restoring()
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
			list = append(list, TaskStatus{Task: id.String(), State: "restoring", Restore: &RestoreDone{done, total}})
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
