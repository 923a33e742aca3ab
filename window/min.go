package window

// Min is the watermark of a task: the minimum over its inputs (source
// partitions, repartition topics) that are not idle.
//
//   - It never goes back, so an input that wakes up behind it does not pull it.
//   - An input never heard holds it at that input's watermark, and no input
//     counts as idle before every one has been heard: a partition whose first
//     fetch is on its way may hold rows of any age.
//   - When all inputs are idle it stays, unless their own watermarks move, as
//     the clock moves them: see minimum.
type Min struct {
	inputs  []input
	unheard int   // inputs not heard yet
	last    int64 // the greatest value so far
}

type input struct {
	watermark   int64
	heard, idle bool
}

// NewMin makes the minimum over n inputs, none of them heard.
func NewMin(n int) *Min {
	m := &Min{inputs: make([]input, n), unheard: n, last: MinTime}
	for i := range m.inputs {
		m.inputs[i].watermark = MinTime
	}
	return m
}

// Set tells the watermark of input i. One lower than before is ignored. It
// does not make the input heard: the watermark may be one that was committed.
func (m *Min) Set(i int, watermark int64) {
	in := &m.inputs[i]
	in.watermark = max(in.watermark, watermark)
}

// Heard tells that input i has answered since it was assigned, with rows or
// with none.
func (m *Min) Heard(i int) {
	if in := &m.inputs[i]; !in.heard {
		in.heard = true
		m.unheard--
	}
}

// SetIdle tells whether input i is idle: read to its end and silent for
// idle_timeout; for a repartition topic, what its Vector says.
func (m *Min) SetIdle(i int, idle bool) { m.inputs[i].idle = idle }

// AllIdle tells whether every input has been heard and is idle: only then may
// the clock move the watermark.
func (m *Min) AllIdle() bool {
	for i := range m.inputs {
		if !m.inputs[i].idle {
			return false
		}
	}
	return m.unheard == 0
}

// Value is the present watermark of the task.
func (m *Min) Value() int64 {
	m.last = max(m.last, minimum(m.inputs, m.unheard == 0))
	return m.last
}

// minimum is the least watermark of the inputs that are not idle. Where all
// are idle it is the least of those that ever had a row: it is no more than
// what counted before they fell idle, so time stands still, until what is
// behind the inputs moves them all (close_after_idle upstream). A partition
// that is empty for ever must not hold that up.
func minimum(inputs []input, idleness bool) int64 {
	active, known := MaxTime, MaxTime
	allIdle, none := true, true
	for i := range inputs {
		in := &inputs[i]
		if !in.idle || !idleness {
			active, allIdle = min(active, in.watermark), false
		}
		if in.watermark != MinTime {
			known, none = min(known, in.watermark), false
		}
	}
	switch {
	case !allIdle:
		return active
	case none:
		return MinTime
	}
	return known
}

// Advance moves the watermark on to a time that no input gave
// (close_after_idle, the end of input). It never moves it back.
func (m *Min) Advance(to int64) { m.last = max(m.last, to) }

// Restore starts over from a committed state: the value of the task, and
// nothing else known of its inputs, which are to be Set again.
func (m *Min) Restore(value int64) {
	*m = *NewMin(len(m.inputs))
	m.last = value
}
