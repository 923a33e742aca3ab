package operators

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/leatstream/leat/engine"
	"github.com/leatstream/leat/operators/expr"
	"github.com/leatstream/leat/state"
)

// This is the fold of a reduce. Rows of one key follow each other, and rows of
// different keys do not meet: so a batch is folded in rounds, each with at most
// one row per key, and a round is evaluated as a whole.
//
//	rows      a b a c a b      round 1   a b . c . .
//	                           round 2   . . a . . b
//	                           round 3   . . . . a .

type reduceEvals struct {
	when *expr.Eval // nil: always
	set  []*expr.Eval
}

// foldMemory is scratch of one batch. Per row there is the state before it
// (pre, behind the columns of the batch for the expressions) and after it.
type foldMemory struct {
	slots     []state.Slot
	prev      []int32 // per row: the row of its key before it, or -1
	round     []int32 // per row: its round
	last      []int32 // per slot: the last row of its key so far, +1
	starts    []int32 // per round: where it starts in rounds
	rounds    []int32 // the rows, by round
	pre, post []engine.Column
	has       []bool  // per row: the key has a row after it
	touched   []bool  // per row: a case has taken it, or one before it
	times     []int64 // per row: the greatest event time of its key's rows that were taken
	lasts     []int64 // per row: the greatest of all
	fresh     []int32
	rest      []int32
	taken     []int32
	values    []*engine.Column
	done      []bool // per row: no case is to look at it any more
	env       engine.Batch
	cols      []engine.Column // of env
}

// reduced is the state of a key in the store:
//
//	[1][flags][varint time][varint last][uvarint length][row][sent row]
//
// The sent row is left out where it is the row.
type reduced struct {
	time, last   int64 // greatest event time of the rows taken, and of all
	has, wasSent bool
	row, sent    string
}

const (
	reducedHas   = 1 << iota // there is a row
	reducedSent              // a row was sent
	reducedEqual             // that one
)

var errReduced = errors.New("the state of a reduce does not decode")

func (e reduced) append(b []byte) []byte {
	flags := byte(0)
	if e.has {
		flags |= reducedHas
	}
	if e.wasSent {
		flags |= reducedSent
		if e.has && e.row == e.sent {
			flags |= reducedEqual
		}
	}
	b = binary.AppendVarint(append(b, 1, flags), e.time)
	b = binary.AppendVarint(b, e.last)
	b = binary.AppendUvarint(b, uint64(len(e.row)))
	b = append(b, e.row...)
	if flags&reducedEqual == 0 {
		b = append(b, e.sent...)
	}
	return b
}

// readReduced reads a key's state; the rows are views of s.
func readReduced(s string) (e reduced, ok bool) {
	if len(s) < 2 || s[0] != 1 {
		return e, false
	}
	flags := s[1]
	s = s[2:]
	t, n := binary.Varint(head(s))
	if n <= 0 {
		return e, false
	}
	s = s[n:]
	last, n := binary.Varint(head(s))
	if n <= 0 {
		return e, false
	}
	s = s[n:]
	size, n := binary.Uvarint(head(s))
	if n <= 0 || size > uint64(len(s)-n) {
		return e, false
	}
	s = s[n:]
	e = reduced{time: t, last: last, has: flags&reducedHas != 0, wasSent: flags&reducedSent != 0, row: s[:size], sent: s[size:]}
	if flags&reducedEqual != 0 {
		e.sent = e.row
	}
	return e, true
}

// fold folds the rows of a batch.
func (r *reducer) fold(b *engine.Batch) error {
	bad := func(row int32, err error) error { return r.ctx.Bad(engine.StageExpression, b, row, err) }
	sel, nulls, err := r.group.rows(b, b.Cols, b.Sel, bad)
	if err != nil {
		return err
	}
	if nulls > 0 {
		r.ctx.Count("null_keys", nulls)
	}
	sel, err = r.inTime(b, sel)
	if err != nil || len(sel) == 0 {
		return err
	}
	r.slots = reset(r.slots, b.N)
	if err := r.store.table.Resolve(r.group.keys, sel, r.slots); err != nil {
		return err
	}
	r.chain(b, sel)
	m := &r.foldMemory
	m.has, m.touched, m.done = reset(m.has, b.N), reset(m.touched, b.N), reset(m.done, b.N)
	m.times, m.lasts = reset(m.times, b.N), reset(m.lasts, b.N)
	for c, f := range r.spec.State {
		m.pre[c].Reset(f.Type, b.N)
		m.post[c].Reset(f.Type, b.N)
	}
	m.env = *b
	m.env.Schema = r.spec.Env
	m.env.Cols = append(append(m.cols[:0], b.Cols...), m.pre...)
	m.cols = m.env.Cols
	for n := range len(m.starts) - 1 {
		if err := r.foldRound(b, m.rounds[m.starts[n]:m.starts[n+1]], bad); err != nil {
			return err
		}
	}
	for _, i := range sel {
		if m.last[m.slots[i]] != i+1 {
			continue // a row of its key comes behind it
		}
		m.last[m.slots[i]] = 0
		if err := r.keep(b, i); err != nil {
			return err
		}
	}
	return nil
}

// inTime leaves rows out whose time cannot be reckoned with.
func (r *reducer) inTime(b *engine.Batch, sel []int32) ([]int32, error) {
	keep := r.rest[:0]
	for _, i := range sel {
		if t := b.Time[i]; t > maxTimeMs || t < -maxTimeMs {
			if err := r.ctx.Bad(engine.StageEventTime, b, i, errFarTime); err != nil {
				return nil, err
			}
			continue
		}
		keep = append(keep, i)
	}
	r.rest = keep
	if len(keep) == len(sel) {
		return sel, nil
	}
	return append([]int32(nil), keep...), nil
}

// reached notes, for the coverage of tests, that a case took rows.
func (r *reducer) reached(n int, taken []int32) {
	if r.ctx.Reach != nil && len(taken) > 0 {
		r.ctx.Reach(fmt.Sprintf("case %d", n))
	}
}

// chain finds the row of the same key before each row, and the rounds.
func (r *reducer) chain(b *engine.Batch, sel []int32) {
	m := &r.foldMemory
	m.prev, m.round, m.starts = reset(m.prev, b.N), reset(m.round, b.N), m.starts[:0]
	for _, i := range sel {
		s := m.slots[i]
		for int(s) >= len(m.last) {
			m.last = append(m.last, 0)
		}
		m.prev[i] = m.last[s] - 1
		if m.prev[i] >= 0 {
			m.round[i] = m.round[m.prev[i]] + 1
		}
		m.last[s] = i + 1
		for int(m.round[i])+1 >= len(m.starts) {
			m.starts = append(m.starts, 0)
		}
		m.starts[m.round[i]+1]++
	}
	for n := 1; n < len(m.starts); n++ {
		m.starts[n] += m.starts[n-1]
	}
	m.rounds = reset(m.rounds, len(sel))
	at := append(m.taken[:0], m.starts...)
	for _, i := range sel {
		m.rounds[at[m.round[i]]] = i
		at[m.round[i]]++
	}
	m.taken = at
}

// foldRound folds rows of different keys.
func (r *reducer) foldRound(b *engine.Batch, sel []int32, bad func(int32, error) error) error {
	m := &r.foldMemory
	m.fresh = m.fresh[:0]
	for _, i := range sel {
		if err := r.before(b, i); err != nil {
			return err
		}
		if !m.has[i] {
			m.fresh = append(m.fresh, i)
		}
	}
	copy(m.env.Cols[len(b.Cols):], m.pre) // their null flags are made when needed
	fail := func(row int32, err error) error {
		m.done[row] = true
		return bad(row, err)
	}
	if err := r.begin(b, fail); err != nil {
		return err
	}
	copy(m.env.Cols[len(b.Cols):], m.pre)
	rest := m.rest[:0]
	for _, i := range sel {
		for c := range m.post {
			copyCell(&m.post[c], i, b.N, &m.pre[c], i)
		}
		if !m.done[i] {
			rest = append(rest, i)
		}
	}
	m.rest = rest
	for n := range r.cases {
		when := r.cases[n].when
		if when == nil {
			r.reached(n, rest)
			return r.apply(b, n, rest, bad) // nothing is left for another
		}
		var err error
		if m.taken, err = when.Filter(&m.env, m.env.Cols, rest, m.taken, fail); err != nil {
			return err
		}
		r.reached(n, m.taken)
		for _, i := range m.taken {
			m.done[i] = true
		}
		left := rest[:0]
		for _, i := range rest {
			if !m.done[i] {
				left = append(left, i)
			}
		}
		if err := r.apply(b, n, m.taken, bad); err != nil {
			return err
		}
		if rest = left; len(rest) == 0 {
			break
		}
	}
	return nil
}

// before fills in the state that row i finds.
func (r *reducer) before(b *engine.Batch, i int32) error {
	m := &r.foldMemory
	t, p := b.Time[i], m.prev[i]
	now := reached(b, i)
	if p >= 0 {
		m.has[i], m.touched[i], m.times[i], m.lasts[i] = m.has[p], m.touched[p], m.times[p], max(m.lasts[p], t)
		if m.has[i] && r.over(m.lasts[p], now) {
			m.end(i, m.lasts[p]+r.ttl)
		}
		if m.has[i] {
			for c := range m.pre {
				copyCell(&m.pre[c], i, b.N, &m.post[c], p)
			}
		}
		return nil
	}
	m.times[i], m.lasts[i] = engine.MinTime, t
	value := r.store.read(m.slots[i])
	if value == nil {
		return nil
	}
	e, ok := readReduced(view(value))
	if !ok {
		return errReduced
	}
	m.times[i], m.lasts[i] = e.time, max(e.last, t)
	if !e.has {
		return nil
	}
	if r.over(e.last, now) {
		m.end(i, e.last+r.ttl)
		return nil
	}
	m.has[i] = true
	if rest, ok := readRow(e.row, m.pre, i, b.N); !ok || rest != "" {
		return errReduced
	}
	return nil
}

// over tells whether a key's row has ended before time t.
func (r *reducer) over(last, t int64) bool { return r.ttl > 0 && t > last+r.ttl }

// end is the end by ttl of the state that row i would have found.
func (m *foldMemory) end(i int32, t int64) {
	m.has[i], m.touched[i], m.times[i] = false, true, max(m.times[i], t)
}

// begin gives the rows that find no state the first one.
func (r *reducer) begin(b *engine.Batch, fail func(int32, error) error) error {
	m := &r.foldMemory
	if len(m.fresh) == 0 {
		return nil
	}
	for c := range m.pre {
		for _, i := range m.fresh {
			setNull(&m.pre[c], i, b.N)
		}
	}
	copy(m.env.Cols[len(b.Cols):], m.pre)
	m.values = m.values[:0]
	sel := m.fresh
	for c, e := range r.init {
		if e == nil {
			m.values = append(m.values, nil)
			continue
		}
		value, rest, err := e.Column(&m.env, m.env.Cols, sel, fail)
		if err != nil {
			return fmt.Errorf("init %s: %w", r.spec.State[c].Name, err)
		}
		sel, m.values = rest, append(m.values, value)
	}
	for c, value := range m.values {
		if value == nil {
			continue
		}
		for _, i := range sel {
			assign(&m.pre[c], i, b.N, value, i)
		}
	}
	return nil
}

// apply does what case n says with its rows.
func (r *reducer) apply(b *engine.Batch, n int, sel []int32, bad func(int32, error) error) error {
	m, c := &r.foldMemory, r.spec.Fold[n]
	if c.Delete {
		for _, i := range sel {
			m.touched[i] = m.touched[i] || m.has[i]
			m.has[i] = false
			m.times[i] = max(m.times[i], b.Time[i])
		}
		return nil
	}
	m.values = m.values[:0]
	for _, e := range r.cases[n].set {
		value, rest, err := e.Column(&m.env, m.env.Cols, sel, bad)
		if err != nil {
			return err
		}
		sel, m.values = rest, append(m.values, value)
	}
	for k, set := range c.Set {
		for _, i := range sel {
			assign(&m.post[set.Column], i, b.N, m.values[k], i)
		}
	}
	for _, i := range sel {
		if m.times[i] = max(m.times[i], b.Time[i]); !m.has[i] {
			m.times[i], m.lasts[i] = b.Time[i], b.Time[i]
		}
		m.has[i], m.touched[i] = true, true
	}
	return nil
}

// keep stores the state of a key behind its last row, i.
func (r *reducer) keep(b *engine.Batch, i int32) error {
	m := &r.foldMemory
	slot := m.slots[i]
	value := r.store.read(slot)
	if value == nil && !m.has[i] {
		return nil // it has none, or it came and went
	}
	if !m.touched[i] && r.ttl == 0 {
		return nil
	}
	var e reduced
	if value != nil {
		var ok bool
		if e, ok = readReduced(view(value)); !ok {
			return errReduced
		}
	}
	was := e
	e.has, e.row, e.time, e.last = m.has[i], "", m.times[i], m.lasts[i]
	if e.has {
		r.row = r.row[:0]
		for c := range m.post {
			r.row = engine.AppendCell(r.row, &m.post[c], i)
		}
		e.row = view(r.row)
	}
	if e == was {
		return nil
	}
	key := r.group.keys[i]
	if e.has != was.has || e.row != was.row {
		r.await(key)
	}
	if e.has && r.ttl > 0 {
		r.due.set(e.last+r.ttl+1, key)
	}
	r.buf = e.append(r.buf[:0])
	r.store.write(slot, r.buf)
	return nil
}
