package operators

import (
	"strings"

	"github.com/leatstream/leat/engine"
)

// timers tells which keys are due. They are derived from the verb's state, so
// they are in no format: the verb sets them again when it has been restored.
//
// A timer is a question, not a fact: who takes one looks at the key's state,
// and sets it again where the time to act has become later. So a key needs one
// timer, at or before its true time, however often that moves.
//
//	set(at, key) ─▶ heap by (at, key) ─▶ next(limit)
//	                      ▲                  │
//	                      └── rolledBack ◀───┘
type timers struct {
	heap  minHeap[timer]
	armed map[string]int64 // earliest timer of each key
	taken []timer          // since the last commit
}

type timer struct {
	at  int64
	key string
}

func (t timer) before(o timer) bool {
	return t.at < o.at || t.at == o.at && t.key < o.key
}

// set makes key due at or before at. The key's bytes are copied.
func (t *timers) set(at int64, key string) {
	was, ok := t.armed[key]
	if ok && was <= at {
		return
	}
	if t.armed == nil {
		t.armed = map[string]int64{}
	}
	key = strings.Clone(key)
	t.armed[key] = at
	t.heap.push(timer{at, key})
}

// next takes the earliest timer that is due at limit, in order of time and key.
func (t *timers) next(limit int64) (at int64, key string, ok bool) {
	for len(t.heap) > 0 && t.heap[0].at <= limit {
		x := t.heap.pop()
		if at, armed := t.armed[x.key]; !armed || at != x.at {
			continue // an earlier one was set after it, and taken
		}
		delete(t.armed, x.key)
		t.taken = append(t.taken, x)
		return x.at, x.key, true
	}
	return 0, "", false
}

// peek is the earliest time at which something may be due.
func (t *timers) peek() (at int64, ok bool) {
	if len(t.heap) == 0 {
		return 0, false
	}
	return t.heap[0].at, true
}

// committed forgets what was taken.
func (t *timers) committed() { t.taken = t.taken[:0] }

// rolledBack sets again what was taken since the last commit; what was set
// since then stays, as a timer that finds nothing to do does no harm.
func (t *timers) rolledBack() {
	for _, x := range t.taken {
		t.set(x.at, x.key)
	}
	t.taken = t.taken[:0]
}

// clear forgets all timers.
func (t *timers) clear() { *t = timers{} }

// after is t + d for d >= 0, at most engine.MaxTime.
func after(t, d int64) int64 {
	if s := t + d; s >= t {
		return s
	}
	return engine.MaxTime
}
