package pipelines

import "time"

// clockSlack is how far ahead of their clock brokers take records' timestamps
// (message.timestamp.after.max.ms, an hour by default).
const clockSlack = time.Hour

// reach bounds how long before its window's end a row of s may have been
// written: 0 where nobody knows. A row of a window is written after a row of its
// input that lies in it, whose time is no further ahead of the clock than
// max_future and what brokers let pass; a window over results, after one whose
// window an idle input may have closed before its end.
func (b *builder) reach(s *stream) time.Duration {
	if !s.windowed {
		return 0
	}
	d := longest(s)
	var ahead time.Duration
	for _, source := range b.p.Sources {
		ahead = max(ahead, source.Watermark.MaxFuture)
	}
	if max(d, ahead) > forever {
		return 0 // as good as all of the topic
	}
	return d + ahead + clockSlack
}

// longest adds up the windows of time on the longest way to s.
func longest(s *stream) time.Duration {
	var before time.Duration
	for _, in := range s.inputs {
		before = max(before, longest(in))
	}
	if s.step == nil {
		return before
	}
	var w *Window
	switch step := s.step.Step.(type) {
	case *aggregateStep:
		w = step.Window
	case *topStep:
		w = step.Window
	}
	if w == nil {
		return before
	}
	return min(2*forever, before+time.Duration(min(w.Spec.Longest(), forever.Milliseconds()+1))*time.Millisecond)
}

// forever is longer than any window that is worth a bound, and short enough that
// some of them add up.
const forever = 20 * 365 * 24 * time.Hour

// holdOf bounds how far past a row's event time the watermark has to be before
// all that a step makes of the row has been emitted.
func holdOf(s step) time.Duration {
	var d time.Duration
	switch s := s.(type) {
	case *aggregateStep:
		d = holdOfWindow(s.Window)
	case *topStep:
		d = holdOfWindow(s.Window)
	case *joinStep:
		d = s.Before + s.After + s.Grace + endIncluded
	case *detectStep:
		d = s.Within + endIncluded
	case *reduceStep:
		if s.ByTime {
			d = endIncluded
		}
	}
	return min(d, forever)
}

func holdOfWindow(w *Window) time.Duration {
	if w == nil || w.Spec.Kind == "count" {
		return 0
	}
	ms := min(w.Spec.Longest(), forever.Milliseconds()) + min(w.Spec.Grace, forever.Milliseconds())
	return time.Duration(ms)*time.Millisecond + endIncluded
}

// endIncluded is for what ends behind its last millisecond.
const endIncluded = 2 * time.Millisecond
