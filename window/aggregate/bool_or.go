package aggregate

const boolOrDoc = "Whether x is true in any row: a bool, false where it is false in all rows that are not null, null of nothing."

func newBoolOr(args []Type) (Aggregate, error) {
	if err := newVotes("bool_or", args); err != nil {
		return nil, err
	}
	return boolOr{}, nil
}

type boolOr struct{ votes }

func (boolOr) Append(acc []uint64, _ Heap, out *Column, row int32) {
	if acc[0]|acc[1] == 0 {
		out.SetNull(row)
		return
	}
	out.setBool(row, acc[0] > 0)
}
