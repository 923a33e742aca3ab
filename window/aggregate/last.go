package aggregate

const lastDoc = "The last x that arrived and is not null, of the type of x; null of nothing. " +
	"By arrival, not by event time. Over a hopping window it is the last of the latest pane that has one."

func newLast(args []Type) (Aggregate, error) {
	t, err := one("last", args)
	if err != nil {
		return nil, err
	}
	return last{cell{t}}, nil
}

type last struct{ cell }

func (l last) Add(acc []uint64, args []Column, row int32, h Heap) error {
	if c := &args[0]; !c.Null(row) {
		l.load(acc, c, row, h)
	}
	return nil
}

func (l last) Merge(acc, from []uint64, h Heap) error {
	if from[0] != 0 {
		l.copy(acc, from, h)
	}
	return nil
}
