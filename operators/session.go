package operators

import (
	"fmt"
	"slices"

	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/state"
	"github.com/leatstream/leat/window/aggregate"
)

// sessions is the aggregate over session windows. The sessions of a key that
// are open have a number each: the pane that their accumulators are in.
//
//	key ─▶ pane 0 [ accumulator │ first │ last ]    mostly there is but one
//	       pane 1 [ … ]
//
// A row goes to the sessions at most gap away that are open for it: those whose
// last row is not so old that its own partition has closed them. Where there
// are several they become one, in the pane of the earliest.
//
// What had been sent of a session is in the other family, in the pane of the
// same number. A session that has grown is another row downstream, as its
// bounds are: what had been sent is deleted and the new one inserted.
//
// Here a session's end is its last row, and all times are a gap earlier than
// those of its end in docs/language.md: last + gap < watermark - grace.
type sessions struct {
	*follow
	gap         int64
	first, last int // words of an accumulator, behind the aggregates'
	far         int64
	panes       []*state.Pane // by number; nil where no key has so many
	sentPanes   []*state.Pane
	current     bool
	open        []int64 // numbers of the sessions that take the row at hand
	acc         []uint64
	scratch     aggregate.Scratch
}

func sessionStore(name string, s AggregateSpec) state.Spec {
	f := state.FamilySpec{Words: accHead}
	for _, a := range s.Aggregates {
		for _, w := range a.Fn.Blobs() {
			f.Blobs = append(f.Blobs, f.Words+w)
		}
		f.Words += a.Fn.Words()
	}
	f.Words += 2
	spec := state.Spec{Name: name, Fingerprint: s.print("session/1", s.Update)}
	spec.Families[state.Panes] = f
	if s.Update {
		spec.Families[state.Sent] = f
	}
	return spec
}

func newSessions(spec AggregateSpec) func(*engine.Context) (engine.Operator, error) {
	return func(ctx *engine.Context) (engine.Operator, error) {
		s := &sessions{gap: spec.Window.Gap, far: engine.MaxTime - 8*(spec.Window.Gap+spec.Window.Grace)}
		f, err := newFollow(ctx, spec, s, true)
		if err != nil {
			return nil, err
		}
		f.behind = spec.Window.Grace + spec.Window.Gap
		s.follow, s.first, s.last = f, f.fold.words, f.fold.words+1
		s.acc = make([]uint64, f.fold.words+2)
		s.scratch.Base = f.table
		return s, nil
	}
}

func (s *sessions) take(b *engine.Batch, i int32, slot state.Slot, _ engine.Emit) error {
	t := b.Time[i]
	if t > s.far || t < -s.far {
		return s.ctx.Bad(engine.StageAggregate, b, i, fmt.Errorf("the event time %d is beyond what windows can hold", t))
	}
	byOrigin, horizon := s.horizon(b, i)
	s.refresh()
	free := int64(-1)
	s.open = s.open[:0]
	for n, p := range s.panes {
		var acc []uint64
		if p != nil {
			acc = p.Read(slot)
		}
		if acc == nil {
			if free < 0 {
				free = int64(n)
			}
			continue
		}
		first, last := int64(acc[s.first]), int64(acc[s.last])
		if t >= first-s.gap && t <= last+s.gap && last >= horizon {
			s.open = append(s.open, int64(n))
		}
	}
	switch len(s.open) {
	case 0:
		if t < horizon {
			return s.late.add(b, i, t >= byOrigin)
		}
		if free < 0 {
			free = int64(len(s.panes))
		}
		p := s.pane(free)
		acc, _ := p.Write(slot)
		if err := s.add(acc, t, i); err != nil {
			p.Remove(slot)
			return s.ctx.Bad(engine.StageAggregate, b, i, err)
		}
		acc[s.first], acc[s.last] = uint64(t), uint64(t)
	case 1:
		acc, _ := s.panes[s.open[0]].Write(slot)
		if err := s.add(acc, t, i); err != nil {
			return s.ctx.Bad(engine.StageAggregate, b, i, err)
		}
		acc[s.first], acc[s.last] = uint64(min(t, int64(acc[s.first]))), uint64(max(t, int64(acc[s.last])))
	default:
		if err := s.join(slot, t, i); err != nil {
			return s.ctx.Bad(engine.StageAggregate, b, i, err)
		}
	}
	s.due.set(t, slot)
	s.await(slot)
	return nil
}

// add folds row i into an accumulator; after an error it is as it was.
func (s *sessions) add(acc []uint64, t int64, i int32) error {
	if err := s.fold.row(acc, s.now.arguments, i, false, s.table); err != nil {
		return err
	}
	if acc[accRows] == 0 || t > int64(acc[accTime]) {
		acc[accTime] = uint64(t)
	}
	acc[accRows]++
	return nil
}

// join makes one session of those that row i is near to, and adds the row.
func (s *sessions) join(slot state.Slot, t int64, i int32) error {
	slices.SortFunc(s.open, func(a, b int64) int {
		x, y := int64(s.panes[a].Read(slot)[s.first]), int64(s.panes[b].Read(slot)[s.first])
		if x < y {
			return -1
		}
		return 1
	})
	s.scratch.Reset()
	clear(s.acc)
	first, last := t, t
	for _, n := range s.open {
		acc := s.panes[n].Read(slot)
		first, last = min(first, int64(acc[s.first])), max(last, int64(acc[s.last]))
		if err := s.fold.merge(s.acc, acc, &s.scratch); err != nil {
			return err
		}
	}
	if err := s.fold.row(s.acc, s.now.arguments, i, false, &s.scratch); err != nil {
		return err
	}
	s.acc[accRows]++
	s.acc[accTime] = uint64(max(int64(s.acc[accTime]), t))
	s.acc[s.first], s.acc[s.last] = uint64(first), uint64(last)
	into, _ := s.panes[s.open[0]].Write(slot)
	s.fold.keep(into, s.acc, s.table, &s.scratch)
	for _, n := range s.open[1:] {
		s.panes[n].Remove(slot)
	}
	return nil
}

// pane opens the pane of a number.
func (s *sessions) pane(n int64) *state.Pane {
	for int64(len(s.panes)) <= n {
		s.panes = append(s.panes, nil)
	}
	if s.panes[n] == nil {
		s.panes[n] = s.table.Open(state.Panes, n)
	}
	return s.panes[n]
}

func (s *sessions) sentPane(n int64) *state.Pane {
	for int64(len(s.sentPanes)) <= n {
		s.sentPanes = append(s.sentPanes, nil)
	}
	if s.sentPanes[n] == nil {
		s.sentPanes[n] = s.table.Open(state.Sent, n)
	}
	return s.sentPanes[n]
}

func (s *sessions) refresh() {
	if s.current {
		return
	}
	s.panes, s.sentPanes, s.current = s.panes[:0], s.sentPanes[:0], true
	for _, n := range s.table.Ends(state.Panes) {
		s.pane(n)
	}
	if s.spec.Update {
		for _, n := range s.table.Ends(state.Sent) {
			s.sentPane(n)
		}
	}
}

func (*sessions) ahead([]dueSlot) {}

func (s *sessions) closings(slot state.Slot, from, to int64) (int64, error) {
	s.refresh()
	next := engine.MaxTime
	for n, p := range s.panes {
		if p == nil {
			continue
		}
		acc := p.Read(slot)
		if acc == nil {
			continue
		}
		last := int64(acc[s.last])
		if last >= to {
			next = min(next, last)
			continue
		}
		s.events = append(s.events, closing{start: int64(acc[s.first]), end: last, slot: slot, ordinal: int64(n), was: -1})
	}
	return next, nil
}

func (s *sessions) outcome(acc []uint64) *outcome {
	return &outcome{start: int64(acc[s.first]), end: int64(acc[s.last]), stamp: int64(acc[accTime]), acc: acc, heap: s.table}
}

// emit writes a session that closes; of what had been sent of it, or of those
// that it absorbed, nothing stays.
func (s *sessions) emit(c *closing) error {
	key := s.table.Key(c.slot)
	p := s.panes[c.ordinal]
	is := s.outcome(p.Read(c.slot))
	var was *outcome
	for _, sent := range s.sentPanes {
		if sent == nil {
			continue
		}
		acc := sent.Read(c.slot)
		if acc == nil || int64(acc[s.first]) < is.start || int64(acc[s.last]) > is.end {
			continue
		}
		o := s.outcome(acc)
		if o.start == is.start && o.end == is.end {
			was = o
			continue // it goes below, when it has been read
		}
		if err := s.out.row(key, o, nil, false); err != nil {
			return err
		}
		sent.Remove(c.slot)
	}
	if err := s.out.row(key, was, is, s.spec.Update); err != nil {
		return err
	}
	if was != nil {
		for _, sent := range s.sentPanes {
			if sent == nil {
				continue
			}
			if acc := sent.Read(c.slot); acc != nil && int64(acc[s.first]) == is.start && int64(acc[s.last]) == is.end {
				sent.Remove(c.slot)
			}
		}
	}
	p.Remove(c.slot)
	return nil
}

// of gives the accumulator that a key has in the n-th of panes, or nil.
func (s *sessions) of(panes []*state.Pane, n int, slot state.Slot) []uint64 {
	if n >= len(panes) || panes[n] == nil {
		return nil
	}
	return panes[n].Read(slot)
}

func (s *sessions) update(slot state.Slot) error {
	s.refresh()
	key := s.table.Key(slot)
	for n := range s.sentPanes {
		was, is := s.of(s.sentPanes, n, slot), s.of(s.panes, n, slot)
		if was == nil || is != nil && was[s.first] == is[s.first] && was[s.last] == is[s.last] {
			continue
		}
		if err := s.out.row(key, s.outcome(was), nil, false); err != nil {
			return err
		}
		s.sentPanes[n].Remove(slot)
	}
	for n := range s.panes {
		is := s.of(s.panes, n, slot)
		if is == nil {
			continue
		}
		var o *outcome
		if was := s.of(s.sentPanes, n, slot); was != nil {
			if was[accRows] == is[accRows] {
				continue
			}
			o = s.outcome(was)
		}
		if err := s.out.row(key, o, s.outcome(is), false); err != nil {
			return err
		}
		to, _ := s.sentPane(int64(n)).Write(slot)
		s.fold.keep(to, is, s.table, s.table)
	}
	return nil
}

func (s *sessions) unsent(slot state.Slot) bool {
	s.refresh()
	for n := range max(len(s.panes), len(s.sentPanes)) {
		was, is := s.of(s.sentPanes, n, slot), s.of(s.panes, n, slot)
		if (was == nil) != (is == nil) || was != nil && (was[s.first] != is[s.first] || was[s.last] != is[s.last] || was[accRows] != is[accRows]) {
			return true
		}
	}
	return false
}

// passed: a session is dropped when its row has been written.
func (s *sessions) passed(int64, bool) {}

func (s *sessions) forget() { s.current = false }
