package aggregate

const boolAndDoc = "Whether x is true in all rows where it is not null: a bool, null of nothing."

func newBoolAnd(args []Type) (Aggregate, error) {
	if err := newVotes("bool_and", args); err != nil {
		return nil, err
	}
	return boolAnd{}, nil
}

type boolAnd struct{ votes }

func (boolAnd) Append(acc []uint64, _ Heap, out *Column, row int32) {
	if acc[0]|acc[1] == 0 {
		out.SetNull(row)
		return
	}
	out.setBool(row, acc[1] == 0)
}
