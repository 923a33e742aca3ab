package sse

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/leatstream/leat/engine"
)

// Record keys that begin with NUL are ours. A row's key that begins with NUL
// is escaped, so no data can pose as a mark.
const (
	markPrefix = "\x00mark/"
	nullKey    = "\x00null"
	escapedKey = "\x00="
)

// mark is what a task says about itself, at most once a second, data or not:
// how far its rows are complete, how far it is behind and what holds it back.
type mark struct {
	Watermark  *int64 `json:"watermark"` // epoch ms; null: not known yet, or ended
	Ended      bool   `json:"ended,omitempty"`
	LagMillis  int64  `json:"lag_ms"`
	LagRecords int64  `json:"lag_records"`
	Late       int64  `json:"late"`
	Dropped    int64  `json:"dropped"`
	Rest       int64  `json:"rest,omitempty"` // rows refused by max_keys
	Holding    string `json:"holding,omitempty"`
	Idle       bool   `json:"idle,omitempty"`
	At         int64  `json:"at"` // epoch ms of the writer's clock
}

func (m mark) encode() []byte {
	b, _ := json.Marshal(m) // plain fields: cannot fail
	return b
}

func (m mark) watermark() int64 {
	switch {
	case m.Ended:
		return engine.MaxTime
	case m.Watermark == nil:
		return engine.MinTime
	}
	return *m.Watermark
}

func markKey(task int) string { return markPrefix + strconv.Itoa(task) }

// parseMark reads a mark record; ok is false where it is none of ours.
func parseMark(key string, value []byte) (task int, m mark, ok bool) {
	task, err := strconv.Atoi(strings.TrimPrefix(key, markPrefix))
	if err != nil || task < 0 || value == nil || json.Unmarshal(value, &m) != nil {
		return 0, mark{}, false
	}
	return task, m, true
}

// timePtr is nil for the two ends of time, which JSON readers cannot hold.
func timePtr(w int64) *int64 {
	if w == engine.MinTime || w == engine.MaxTime {
		return nil
	}
	return &w
}

// floorOf is the rule by which a row of a window is gone, the same for the
// writer, the reader and the page: window_end < watermark - history. It gives
// MinTime where nothing is gone, which includes a stream that has ended.
func floorOf(watermark int64, v engine.ViewSpec) int64 {
	if !v.Windowed || watermark == engine.MinTime || watermark == engine.MaxTime {
		return engine.MinTime
	}
	return watermark - v.History.Milliseconds()
}

// defaults fills in what a view's spec leaves open.
func defaults(v engine.ViewSpec) engine.ViewSpec {
	set := func(d *time.Duration, to time.Duration) {
		if *d <= 0 {
			*d = to
		}
	}
	set(&v.History, time.Hour)
	set(&v.Refresh, 250*time.Millisecond)
	set(&v.ResumeWindow, 5*time.Minute)
	if v.MaxRows <= 0 {
		v.MaxRows = 1000
	}
	if v.MaxKeys <= 0 {
		v.MaxKeys = 100000
	}
	return v
}
