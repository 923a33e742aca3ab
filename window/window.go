package window

import (
	"math"
	"strconv"
	"time"
)

// The ends of event time, in epoch milliseconds.
const (
	// MinTime is the watermark of an input that has not been heard yet.
	MinTime int64 = math.MinInt64
	// MaxTime is the watermark at the end of input, and the end of a window
	// that never ends.
	MaxTime int64 = math.MaxInt64
)

// Window is the span of event time [Start, End), in epoch milliseconds.
type Window struct{ Start, End int64 }

// String writes the window as [start,end) for tests and messages.
func (w Window) String() string { return "[" + Format(w.Start) + "," + Format(w.End) + ")" }

// Late tells whether a row is late for the window that ends at end, given the
// watermark of its source partition just before the row and the window's grace
// in milliseconds:
//
//	end <= watermark - grace
//
// The same rule says when a window closes: once it is late for every further
// row. A window that never ends (MaxTime) is never late, not even at the end
// of input.
func Late(end, watermark, grace int64) bool {
	return end <= Behind(watermark, grace) && end != MaxTime
}

// Behind is the watermark d milliseconds behind another (d >= 0): what goes
// downstream of a window with grace d. MinTime and MaxTime stay what they are.
func Behind(watermark, d int64) int64 {
	if watermark == MaxTime {
		return MaxTime
	}
	return minus(watermark, d)
}

// plus is t + d for d >= 0, at most MaxTime.
func plus(t, d int64) int64 {
	if s := t + d; s >= t {
		return s
	}
	return MaxTime
}

// minus is t - d for d >= 0, at least MinTime.
func minus(t, d int64) int64 {
	if s := t - d; s <= t {
		return s
	}
	return MinTime
}

// Format writes milliseconds for people: 90s, 1500ms, min, max.
func Format(ms int64) string {
	switch {
	case ms == MinTime:
		return "min"
	case ms == MaxTime:
		return "max"
	case ms%time.Second.Milliseconds() == 0:
		return strconv.FormatInt(ms/time.Second.Milliseconds(), 10) + "s"
	}
	return strconv.FormatInt(ms, 10) + "ms"
}
