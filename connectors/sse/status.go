package sse

import (
	"encoding/json"

	"github.com/leatstream/leat/engine"
)

// staleAfter is the age, in milliseconds, at which a task's mark says that
// the task is not running: marks come each second.
const staleAfter = 5000

// status is a whole view's truth, put together from its tasks' marks: what
// the page's top bar says. Counts are sums, the age is the oldest's.
type status struct {
	Watermark    *int64 `json:"watermark"` // complete to here; null: not every task was heard
	ExpireBefore *int64 `json:"expire_before,omitempty"`
	Ended        bool   `json:"ended,omitempty"` // the input has an end and it was reached
	Idle         bool   `json:"idle,omitempty"`
	LagMillis    int64  `json:"lag_ms"`
	LagRecords   int64  `json:"lag_records"`
	Late         int64  `json:"late"`
	Dropped      int64  `json:"dropped"`
	Rest         int64  `json:"rest,omitempty"` // rows left out by max_keys
	Stalled      []int  `json:"stalled"`        // tasks not heard for 5 s
	Holding      string `json:"holding,omitempty"`
	AgeMillis    int64  `json:"age_ms"`            // of the oldest mark
	Trouble      string `json:"trouble,omitempty"` // why this node reads no news: one of the troubles
	Rows         int    `json:"row_count"`
	Now          int64  `json:"now"` // this node's clock, epoch ms
}

// Why a node reads no news of a view. A broker that is away for a while may
// go without one: readers wait for it by themselves.
const (
	troubleTopic  = "no_topic" // the view's topic is not there (any more)
	troubleBroker = "no_read"  // it cannot be read
)

// worry says why the view gets no news; a trouble that is there stays until
// reading goes on, as what fails next is only its consequence.
func (v *view) worry(trouble string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if trouble == "" || trouble == troubleTopic || v.trouble == "" {
		v.trouble = trouble
	}
}

// status is the view's truth by one of its tables; mu is held.
func (v *view) status(t *table) status {
	s := statusOf(t, v.now().UnixMilli())
	s.Trouble = v.trouble
	return s
}

// statusOf reads a table's marks; the view's mu is held.
func statusOf(t *table, now int64) status {
	w := t.watermark()
	s := status{Watermark: timePtr(w), Ended: w == engine.MaxTime && len(t.marks) > 0, ExpireBefore: timePtr(t.floor),
		Stalled: []int{}, Idle: true, Rows: t.live, Now: now}
	lowest := engine.MaxTime
	for i, m := range t.marks {
		if m.At == 0 || now-m.At > staleAfter {
			s.Stalled = append(s.Stalled, i)
		}
		if m.At == 0 {
			s.Idle = false
			continue
		}
		s.AgeMillis = max(s.AgeMillis, now-m.At)
		s.LagMillis = max(s.LagMillis, m.LagMillis)
		s.LagRecords += m.LagRecords
		s.Late += m.Late
		s.Dropped += m.Dropped
		s.Rest += m.Rest
		s.Idle = s.Idle && m.Idle
		if mw := m.watermark(); mw < lowest {
			lowest, s.Holding = mw, m.Holding
		}
	}
	return s
}

func markBlock(s status) *block {
	b, _ := json.Marshal(s) // plain fields: cannot fail
	return eventBlock("mark", b)
}
