package engine

import (
	"maps"
	"sync"
	"sync/atomic"
)

// TaskStats are a task's counters. The task adds from its goroutine; metrics
// and marks read from others. Counters that belong to a transaction are
// pending until it commits, so that an abort does not count twice.
type TaskStats struct {
	RecordsIn  atomic.Int64
	RecordsOut atomic.Int64
	Watermark  atomic.Int64 // of the task's sources, epoch ms
	StateBytes atomic.Int64
	LagRecords atomic.Int64

	stand      atomic.Pointer[stand] // as of the last commit; nil: there was none
	pendingIn  int64
	pendingOut int64
	outside    int64 // committed records to topics that are not internal
	pending    map[string]int64
	mu         sync.Mutex
	counters   map[string]int64
}

// TaskSnapshot is a task's state in numbers, for marks and metrics.
type TaskSnapshot struct {
	Watermark  int64
	LagRecords int64
	Late       int64
	Dropped    int64  // dead letters and skipped rows, all stages
	Holding    string // an input that is silent but not read to its end, "topic/partition"; "": none
	Idle       bool
}

func (s *TaskStats) count(name string, n int) {
	if s.pending == nil {
		s.pending = map[string]int64{}
	}
	s.pending[name] += int64(n)
}

func (s *TaskStats) commit() {
	s.RecordsIn.Add(s.pendingIn)
	s.RecordsOut.Add(s.pendingOut)
	s.outside += s.pendingOut
	s.pendingIn, s.pendingOut = 0, 0
	if len(s.pending) == 0 {
		return
	}
	s.mu.Lock()
	if s.counters == nil {
		s.counters = map[string]int64{}
	}
	for k, v := range s.pending {
		s.counters[k] += v
	}
	s.mu.Unlock()
	clear(s.pending)
}

func (s *TaskStats) rollback() {
	s.pendingIn, s.pendingOut = 0, 0
	clear(s.pending)
}

// Counters copies the committed counters: late, late_after_idle, dead_letters,
// null_keys, null_values, errors_<stage>. Safe from any goroutine.
func (s *TaskStats) Counters() map[string]int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.counters)
}

// Snapshot tells where the task stands; called by the task's own goroutine.
func (t *Task) Snapshot() TaskSnapshot {
	s := TaskSnapshot{LagRecords: t.Stats.LagRecords.Load()}
	s.Watermark, s.Idle = t.time()
	s.Holding = t.holding()
	for k, v := range t.Stats.Counters() {
		switch k {
		case "late", "late_after_idle":
			s.Late += v
		case "dead_letters", "null_keys", "null_values":
			s.Dropped += v
		}
	}
	return s
}

// holding is an input that is silent but not read to its end, "topic/partition".
func (t *Task) holding() (name string) {
	for _, in := range t.inputs {
		if in.stalled {
			name = string(in.tp.Topic) + "/" + itoa(int64(in.tp.Partition))
		}
	}
	return name
}
