package operators

import (
	"slices"

	"github.com/leatstream/leat/engine"
)

// This is how the changes of a group are found: what comes first now is held
// against what was sent.

// send sends the changes of groups: of all of them what is gone before what is
// there, as a row may have moved from one to another.
func (t *topper) send(groups []*topGroup, out engine.Emit) error {
	if t.spec.TableInput {
		for _, g := range groups {
			if err := t.sendGone(g, out); err != nil {
				return err
			}
		}
	}
	for _, g := range groups {
		err := error(nil)
		if t.spec.TableInput {
			err = t.sendByKey(g, out)
		} else {
			err = t.sendByRank(g, out)
		}
		if err != nil {
			return err
		}
		g.time, g.dirty = engine.MinTime, false
	}
	return nil
}

// sendGone sends the deletes of a table's rows that come first no more.
func (t *topper) sendGone(g *topGroup, out engine.Emit) error {
	if t.stays == nil {
		t.stays = map[string]bool{}
	}
	clear(t.stays)
	for _, p := range t.places(g) {
		t.stays[p.id] = true
	}
	left := make([]string, 0, len(g.sent))
	for _, id := range g.sent {
		if t.stays[id] {
			left = append(left, id)
			continue
		}
		e, ok, err := t.get(g.key, id, true)
		if err == nil && !ok {
			err = errTopRow
		}
		if err != nil {
			return err
		}
		if err := t.emit(g, engine.Delete, max(e.time, g.time), nil, 0, &e, e.rank, out); err != nil {
			return err
		}
		e.sent, e.rank, e.was = false, 0, ""
		if err := t.put(g.key, id, &e); err != nil {
			return err
		}
	}
	if len(left) < len(g.sent) {
		t.setSent(g, left)
	}
	return nil
}

// sendByKey sends the other changes of a table's rows: each is told by its key.
func (t *topper) sendByKey(g *topGroup, out engine.Emit) error {
	places, same := t.places(g), true
	for _, p := range places {
		e, ok, err := t.get(g.key, p.id, true)
		if err == nil && !ok {
			err = errTopRow
		}
		if err != nil {
			return err
		}
		if e.sent && e.row == e.was && e.rank == p.rank {
			continue
		}
		op := engine.Insert
		if e.sent {
			op = engine.Update
		} else {
			same = false
		}
		if err := t.emit(g, op, max(e.time, g.time), &e, p.rank, &e, e.rank, out); err != nil {
			return err
		}
		e.sent, e.rank, e.was = true, p.rank, e.row
		if err := t.put(g.key, p.id, &e); err != nil {
			return err
		}
	}
	if !same {
		sent := make([]string, 0, len(places))
		for _, p := range places {
			sent = append(sent, p.id)
		}
		t.setSent(g, sent)
	}
	return nil
}

// sendByRank sends the changes of a stream's first rows: each is told by its
// rank, and has another row now.
func (t *topper) sendByRank(g *topGroup, out engine.Emit) error {
	places, was := t.places(g), g.sent
	now := make([]string, 0, len(places))
	for _, p := range places {
		now = append(now, p.id)
	}
	for k := range max(len(now), len(was)) {
		if k < len(now) && k < len(was) && now[k] == was[k] {
			continue
		}
		var e, old topRow
		var err error
		op, time := engine.Update, g.time
		if k < len(now) {
			if e, _, err = t.get(g.key, now[k], true); err != nil {
				return err
			}
			time = max(time, e.time)
		} else {
			op = engine.Delete
		}
		if k < len(was) {
			if old, _, err = t.get(g.key, was[k], true); err != nil {
				return err
			}
		} else {
			op = engine.Insert
		}
		if op == engine.Update && e.row == old.was {
			continue // another row, but the same columns
		}
		if err := t.emit(g, op, time, &e, int64(k+1), &old, int64(k+1), out); err != nil {
			return err
		}
	}
	if slices.Equal(now, was) {
		return nil
	}
	for k, id := range was {
		if k < len(now) && now[k] == id {
			continue
		}
		if err := t.mark(g, id, 0); err != nil {
			return err
		}
	}
	for k, id := range now {
		if k < len(was) && was[k] == id {
			continue
		}
		if err := t.mark(g, id, int64(k+1)); err != nil {
			return err
		}
	}
	t.setSent(g, now)
	return nil
}

// mark notes the rank that a row was sent with, 0 for none.
func (t *topper) mark(g *topGroup, id string, rank int64) error {
	e, ok, err := t.get(g.key, id, false)
	if err != nil || !ok {
		return err
	}
	e.sent, e.rank, e.was = rank > 0, rank, ""
	if e.sent {
		e.was = e.row
	}
	return t.put(g.key, id, &e)
}

// emit sends a change: the row now, and the one that was sent.
func (t *topper) emit(g *topGroup, op engine.Op, time int64, now *topRow, rank int64, old *topRow, wasRank int64, out engine.Emit) error {
	i, err := t.out.next(out, op, time, time, engine.MinTime)
	if err != nil {
		return err
	}
	b := &t.out.b
	if op != engine.Delete {
		err = t.fill(b.Cols, i, g, now.row, rank)
	}
	if op != engine.Insert && err == nil {
		err = t.fill(b.Old, i, g, old.was, wasRank)
	}
	if t.final >= 0 {
		b.Final[i] = op != engine.Delete && !b.Cols[t.final].Null(i) && b.Cols[t.final].Bools[i]
	}
	return err
}
