package operators

import "github.com/leatstream/leat/window/aggregate"

// span merges accumulators of a row of them, from lo to hi, where both only
// grow: each then costs a few merges, however many there are in between. What
// can take back has a running total; the others two stacks.
//
//	lo ──────── mid ──────── hi
//	│ front      │ back       │     front[i] = i … mid-1 merged, back = mid … hi-1
//	value = front[lo] + back        when lo reaches mid all of it becomes the front
type span struct {
	fold         *fold
	lo, mid, hi  int
	front        []uint64 // of lo0 … mid-1
	lo0          int
	back, total  []uint64
	swift, stack []step // that take back, and that do not
}

// Below so many rows, and so many windows asked for, merging one by one is as
// good.
const (
	spanLeast   = 16
	spanWindows = 4
)

func newSpan(f *fold) *span {
	s := &span{fold: f, back: make([]uint64, f.words), total: make([]uint64, f.words)}
	for _, st := range f.steps {
		if st.unmerge != nil {
			s.swift = append(s.swift, st)
		} else {
			s.stack = append(s.stack, st)
		}
	}
	return s
}

func (s *span) reset() { s.lo, s.mid, s.hi = 0, 0, 0 }

// window merges at(lo) … at(hi-1) into acc; they have rows, and later ones
// later times. After an error it has been reset.
func (s *span) window(lo, hi int, at func(int) []uint64, acc []uint64, h aggregate.Heap) error {
	err := s.move(lo, hi, at, h)
	if err == nil {
		clear(acc)
		if hi > lo {
			acc[accRows], acc[accTime] = uint64(hi-lo), at(hi - 1)[accTime]
		}
		for _, st := range s.swift {
			if err = st.fn.Merge(acc[st.from:st.to], s.total[st.from:st.to], h); err != nil {
				break
			}
		}
		if err == nil && lo < s.mid && len(s.stack) > 0 {
			f := s.front[(lo-s.lo0)*s.fold.words:]
			err = mergeSteps(s.stack, acc, f[:s.fold.words], h)
		}
		if err == nil {
			err = mergeSteps(s.stack, acc, s.back, h)
		}
	}
	if err != nil {
		s.reset()
	}
	return err
}

func (s *span) move(lo, hi int, at func(int) []uint64, h aggregate.Heap) error {
	if lo < s.lo || hi < s.hi || lo >= s.mid || s.lo == s.hi {
		return s.turn(lo, hi, at, h)
	}
	for ; s.lo < lo; s.lo++ {
		from := at(s.lo)
		for _, st := range s.swift {
			if err := st.unmerge.Unmerge(s.total[st.from:st.to], from[st.from:st.to], h); err != nil {
				return err
			}
		}
	}
	for ; s.hi < hi; s.hi++ {
		from := at(s.hi)
		if err := mergeSteps(s.swift, s.total, from, h); err != nil {
			return err
		}
		if err := mergeSteps(s.stack, s.back, from, h); err != nil {
			return err
		}
	}
	return nil
}

// turn makes everything the front.
func (s *span) turn(lo, hi int, at func(int) []uint64, h aggregate.Heap) error {
	words := s.fold.words
	s.lo, s.lo0, s.mid, s.hi = lo, lo, hi, hi
	clear(s.back)
	clear(s.total)
	for i := lo; i < hi; i++ {
		if err := mergeSteps(s.swift, s.total, at(i), h); err != nil {
			return err
		}
	}
	if len(s.stack) == 0 {
		return nil
	}
	if need := (hi - lo) * words; cap(s.front) < need {
		s.front = make([]uint64, need+need/4)
	} else {
		s.front = s.front[:need]
	}
	for i := hi - 1; i >= lo; i-- {
		f := s.front[(i-lo)*words:][:words]
		clear(f)
		if err := mergeSteps(s.stack, f, at(i), h); err != nil {
			return err
		}
		if i+1 < hi {
			if err := mergeSteps(s.stack, f, s.front[(i+1-lo)*words:][:words], h); err != nil {
				return err
			}
		}
	}
	return nil
}

func mergeSteps(steps []step, acc, from []uint64, h aggregate.Heap) error {
	for i := range steps {
		st := &steps[i]
		if err := st.fn.Merge(acc[st.from:st.to], from[st.from:st.to], h); err != nil {
			return err
		}
	}
	return nil
}
