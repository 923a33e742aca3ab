package aggregate

const gCounterDoc = "A counter that replicas only raise: x is an actor's own running total, not an increment. Of each actor the greatest x counts, and the result is the sum over actors, an int of ints, a double of doubles; null of nothing. " +
	"A row that comes again, late or in another order changes nothing, nor does a total that is less than one before. " +
	"Rows where x or actor is null, x is negative or NaN are skipped. A sum beyond the range of an int stays at its end, so that replicas agree. The state grows with the actors."

func newGCounter(args []Type) (Aggregate, error) {
	t, err := newTotals("g_counter", args, 1)
	if err != nil {
		return nil, err
	}
	return gCounter{t}, nil
}

type gCounter struct{ totals }

func (g gCounter) Add(acc []uint64, args []Column, row int32, h Heap) error {
	size, negative, ok := g.sizeOf(&args[0], row)
	if !ok || negative || args[1].Null(row) {
		return nil
	}
	var buf [8]byte
	actor := parts{a: raw(&args[1], row, &buf)}
	g.raise(acc, actor, actor.hash(), 0, size, h)
	return nil
}

func (g gCounter) Append(acc []uint64, h Heap, out *Column, row int32) {
	n, v := g.sum(acc, 0, h)
	switch {
	case acc[0] == 0:
		out.SetNull(row)
	case g.ints:
		out.setInt(row, int64(n))
	default:
		out.setDouble(row, v)
	}
}
