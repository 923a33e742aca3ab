package random

import (
	"slices"

	"github.com/leatstream/leat/bench/random/naive"
)

// This file lets sources fall silent: the clock moves, and no row comes.

// silences says when sources are idle, and when the clock moves their time: that
// of all, or of none, and where there are two at one go. A source that is idle,
// and whose time the clock has not moved yet, holds no other back: what it has
// held until then is late where the other's time is past it. So it is with tasks
// one behind the other where the clock moves nothing.
func (m *maker) silences() {
	if !m.quiet {
		return
	}
	idle, after := m.span(1, 20), m.span(1, 20)
	if m.one(5) && (m.c.Partitions == 1 || m.holding() < 2) {
		after = 0
	}
	var streams []*naive.Source
	for _, s := range m.c.Spec.Sources {
		if !s.Table {
			streams = append(streams, s)
		}
	}
	if len(streams) > 1 {
		idle = max(idle, after)
	}
	for _, s := range streams {
		s.Idle, s.CloseAfter = idle, after
	}
}

// holding is how many steps hold rows until time has come.
func (m *maker) holding() (n int) {
	for _, s := range m.c.Spec.Steps {
		if s.Window != nil && s.Window.Type != "count" || s.Type == "detect" || s.Type == "join" && !s.RightIsTable || s.ByTime {
			n++
		}
	}
	return n
}

// lull is how long nothing comes before row i, now and then. Silence between
// rows is for one partition: where there are more, those that were not idle may
// be behind what the others have closed. And it is once: a restart in between
// does not know how far time came by the clock, and how far by rows. And no
// streams meet in a join: a side that comes through a repartition is thought idle
// for a moment longer than the other, and may find that rows have gone.
func (m *maker) lull(s *naive.Source, i int) int64 {
	if !m.quiet || m.lulled || i == 0 || m.c.Partitions > 1 || len(m.c.Spec.Sources) > 1 || m.joins() || !m.one(8) {
		return 0
	}
	m.lulled = true
	return m.span(1, 50)
}

// joins tells whether streams meet in a join.
func (m *maker) joins() bool {
	return slices.ContainsFunc(m.c.Spec.Steps, func(s *naive.Step) bool { return s.Type == "join" && !s.RightIsTable })
}

// rest lets the clock move on behind the last row, until all that waits for time
// has come out: from the least of the greatest event times that a partition may
// have, beyond the windows of steps one behind the other, and the default
// idle_timeout of tables.
func (m *maker) rest() {
	if !m.quiet {
		return
	}
	least, greatest := int64(1<<62), int64(0)
	for _, records := range m.c.Records {
		for _, r := range records {
			least, greatest = min(least, r.Time), max(greatest, r.Time)
		}
	}
	m.c.Spec.Rest = 31_000 + max(0, greatest-least) + 300*m.scale
}
