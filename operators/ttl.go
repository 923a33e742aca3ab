package operators

import (
	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/state"
)

// This is the half of an unwindowed aggregate that forgets: with a ttl a key's
// row goes once the watermark is more than that past the key's newest row,
// downstream too, and a row more than the ttl behind it begins anew. The end of
// the input is no time that passes.

// lives tells that key's row, folded into acc, lives till its ttl from now on.
func (a *aggregator) lives(acc []uint64, slot state.Slot) {
	a.due.set(after(int64(acc[accTime]), a.ttl), slot)
}

// reached is how far event time had got when row i came: a key whose end by ttl
// lies before it was forgotten by then, whether or not Advance has been asked, so
// that it makes no difference how rows are batched.
func reached(b *engine.Batch, i int32) int64 { return max(b.Time[i], rowOrigin(b, i)) }

// outlive deletes the rows whose ttl is over.
func (a *aggregator) outlive(w int64, budget *engine.Budget, out engine.Emit) (int64, bool, error) {
	if w == engine.MaxTime {
		return w, true, nil
	}
	if err := a.due.follow(engine.MinTime); err != nil {
		return 0, false, err
	}
	pane := a.table.Pane(state.Panes, engine.MaxTime)
	if pane == nil || a.due.peek() >= w {
		return w, true, nil
	}
	a.out.begin(engine.MaxTime, false, a.sink(out))
	done, err := a.due.expire(w, func(slot state.Slot) (end int64, there bool) {
		acc := pane.Read(slot)
		if acc == nil {
			return 0, false
		}
		return after(int64(acc[accTime]), a.ttl), true
	}, func(slot state.Slot, end int64) (more bool, err error) {
		// As a group of a table that is empty: what was sent of it is deleted.
		clear(a.out.acc)
		a.out.acc[accTime] = uint64(end)
		err = a.out.row(a.table.Key(slot), slot, true)
		return budget.Take(a.out.rowBytes()), err
	})
	if err != nil {
		return 0, false, err
	}
	if !done { // the next call goes on: what is due still is
		w = engine.MinTime
	}
	return w, done, a.out.flush()
}
