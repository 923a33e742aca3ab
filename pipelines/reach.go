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
