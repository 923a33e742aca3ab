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
	a.due.set(behind(int64(acc[accTime]), a.ttl), slot)
}

// behind is t + d, at most MaxTime.
func behind(t, d int64) int64 {
	if s := t + d; s >= t {
		return s
	}
	return engine.MaxTime
}

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
	for {
		slot, found, ok, err := a.due.next(w)
		if err != nil {
			return 0, false, err
		}
		if !ok {
			return w, true, a.out.flush()
		}
		if !found {
			continue
		}
		acc := pane.Read(slot)
		if acc == nil {
			continue
		}
		end := behind(int64(acc[accTime]), a.ttl)
		if end >= w {
			a.due.set(end, slot)
			continue
		}
		// As a group of a table that is empty: what was sent of it is deleted.
		clear(a.out.acc)
		a.out.acc[accTime] = uint64(end)
		if err := a.out.row(a.table.Key(slot), slot, true); err != nil {
			return 0, false, err
		}
		if !budget.Take(a.out.rowBytes()) {
			// The next call goes on: what is due still is.
			return engine.MinTime, false, a.out.flush()
		}
	}
}
