package operators

import (
	"slices"

	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/state"
	"github.com/leatstream/leat/window"
)

// This is the half of an aggregate that emit: update needs: what has changed
// and was not sent, when it is sent, and how it is found again after an abort
// or a restart.

// await notes a change to be sent. Where it waits longer than to the next
// commit its slot is pinned: the table may otherwise evict it.
func (a *aggregator) await(pane int64, slot state.Slot) {
	if a.pending.add(pane, slot) && a.spec.Throttle > 0 {
		a.table.Pin(slot)
	}
}

// sent forgets what was pending.
func (a *aggregator) sent() {
	if a.spec.Throttle > 0 {
		for _, set := range a.pending.panes {
			a.active = set.slots(a.active[:0])
			for _, slot := range a.active {
				a.table.Unpin(slot)
			}
		}
	}
	a.pending.clear()
}

// open tells whether a window may have updates still: one whose close is under
// way has only its final rows to come.
func (a *aggregator) open(end int64) bool {
	return !a.windowed || end > a.closedTo && (!a.cursor.on || end > a.cursor.end)
}

// Flush sends the windows that changed since the last time, each with its old
// row, at most once per throttle.
func (a *aggregator) Flush(now int64, all bool, out engine.Emit) error {
	// A clock that was set back must not hold updates up.
	since := now - a.flushed
	if !a.update || len(a.pending.panes) == 0 || !all && since >= 0 && since < a.spec.Throttle.Milliseconds() {
		return nil
	}
	a.flushed = now
	ids := a.pending.ids()
	for _, end := range a.openEnds(ids) {
		lo, hi := a.ids(end)
		changed := a.changed[:0]
		for _, id := range ids {
			if id > lo && id <= hi && a.takes(end, id) {
				changed.union(a.pending.panes[id])
			}
		}
		a.changed, a.active = changed, changed.slots(a.active[:0])
		panes := a.panes(end, lo, hi)
		a.out.begin(end, false, a.sink(out))
		for _, slot := range a.active {
			if err := a.out.slot(slot, panes); err != nil {
				return err
			}
		}
		if err := a.out.flush(); err != nil {
			return err
		}
	}
	a.sent()
	return nil
}

// openEnds gives the ends of the windows that panes are in and that may have
// updates still, ascending. ids are ascending.
func (a *aggregator) openEnds(ids []int64) []int64 {
	if !a.windowed {
		return []int64{engine.MaxTime}
	}
	var ends []int64
	for _, id := range ids {
		for end := range window.Ends(a.assign, floorDiv(id, a.splits)-1) {
			if a.open(end) && (len(ends) == 0 || end > ends[len(ends)-1]) {
				ends = append(ends, end)
			}
		}
	}
	return ends
}

// Committed keeps when updates were sent; what is pending stays pending.
func (a *aggregator) Committed() {
	a.kept = a.flushed
	if a.due.keys != nil {
		a.due.keys.committed()
	}
}

// RolledBack finds again what is pending: the tables are back at the last
// commit, and so is what was sent.
func (a *aggregator) RolledBack() {
	a.pane, a.flushed = paneCache{}, a.kept
	a.findPending()
	_ = a.findDue() // what cannot be read is told by the next commit
}

// findPending compares each open window with what was sent of it.
func (a *aggregator) findPending() {
	if !a.update {
		return
	}
	a.sent()
	for _, end := range a.openEnds(a.table.Ends(state.Panes)) {
		lo, hi := a.ids(end)
		panes := a.panes(end, lo, hi)
		sent := a.table.Pane(state.Sent, end)
		last := engine.MaxTime // a pane of the window, to note the change at
		if a.windowed {
			last = end * a.splits
		}
		a.active = a.table.Active(state.Panes, lo, hi, a.active[:0])
		for _, slot := range a.active {
			if a.unsent(slot, panes, sent) {
				a.await(last, slot)
			}
		}
	}
}

// unsent tells whether a window has changes that were not sent: rows are only
// added, so its number of rows has grown then. Not so over a table, where the
// accumulators are compared; there is one pane, and what subtracts has no blobs.
func (a *aggregator) unsent(slot state.Slot, panes []*state.Pane, sent *state.Pane) bool {
	var was []uint64
	if sent != nil {
		was = sent.Read(slot)
	}
	rows := uint64(0)
	for _, p := range panes {
		acc := p.Read(slot)
		if acc == nil {
			continue
		}
		rows += acc[accRows]
		if (a.spec.TableInput || a.ttl > 0) && was != nil && !slices.Equal(acc, was) {
			return true
		}
	}
	if was == nil {
		return rows > 0 || a.spec.TableInput
	}
	return was[accRows] != rows
}
