package aggregate

const pnCounterDoc = "A counter that replicas raise and lower: an actor sends its running total of increments as a positive x, and its running total of decrements as a negative one. " +
	"Of each actor the greatest of both counts; the result is the sum of all increments less that of all decrements, an int of ints, a double of doubles; null of nothing. " +
	"An actor that has added 5 and 3 and taken 2 has sent 5, 8 and -2: it counts 6. A row that comes again, late or in another order changes nothing. " +
	"Rows where x or actor is null or x is NaN are skipped. Sums beyond the range of an int stay at its end, so that replicas agree. The state grows with the actors."

func newPnCounter(args []Type) (Aggregate, error) {
	t, err := newTotals("pn_counter", args, 2)
	if err != nil {
		return nil, err
	}
	return pnCounter{t}, nil
}

// pnCounter has two words per actor: increments and decrements.
type pnCounter struct{ totals }

func (p pnCounter) Add(acc []uint64, args []Column, row int32, h Heap) error {
	size, negative, ok := p.sizeOf(&args[0], row)
	if !ok || args[1].Null(row) {
		return nil
	}
	k := 0
	if negative {
		k = 1
	}
	var buf [8]byte
	actor := parts{a: raw(&args[1], row, &buf)}
	p.raise(acc, actor, actor.hash(), k, size, h)
	return nil
}

func (p pnCounter) Append(acc []uint64, h Heap, out *Column, row int32) {
	if acc[0] == 0 {
		out.SetNull(row)
		return
	}
	up, upDouble := p.sum(acc, 0, h)
	down, downDouble := p.sum(acc, 1, h)
	if p.ints {
		out.setInt(row, int64(up)-int64(down)) // both are from 0 to the greatest int
		return
	}
	out.setDouble(row, upDouble-downDouble)
}
