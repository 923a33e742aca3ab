package aggregate

const firstDoc = "The first x that arrived and is not null, of the type of x; null of nothing. " +
	"By arrival, not by event time. Over a hopping window it is the first of the earliest pane that has one."

func newFirst(args []Type) (Aggregate, error) {
	t, err := one("first", args)
	if err != nil {
		return nil, err
	}
	return first{cell{t}}, nil
}

type first struct{ cell }

func (f first) Add(acc []uint64, args []Column, row int32, h Heap) error {
	if c := &args[0]; acc[0] == 0 && !c.Null(row) {
		f.load(acc, c, row, h)
	}
	return nil
}

func (f first) Merge(acc, from []uint64, h Heap) error {
	if acc[0] == 0 && from[0] != 0 {
		f.copy(acc, from, h)
	}
	return nil
}
