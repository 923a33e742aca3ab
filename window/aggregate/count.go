package aggregate

import "fmt"

const countDoc = "count() is the number of rows; count(x) the number of rows where x is not null. " +
	"An int, 0 of nothing."

// count is of rows (no argument) or of what is not null (one of any type).
//
//	│ rows │
type count struct{}

func newCount(args []Type) (Aggregate, error) {
	switch len(args) {
	case 0:
		return count{}, nil
	case 1:
		if _, err := one("count", args); err != nil {
			return nil, err
		}
		return count{}, nil
	}
	return nil, fmt.Errorf("count takes no argument or one, not %d", len(args))
}

func (count) Words() int   { return 1 }
func (count) Blobs() []int { return nil }
func (count) Result() Type { return Int }

func (count) Add(acc []uint64, args []Column, row int32, _ Heap) error {
	if len(args) == 0 || !args[0].Null(row) {
		acc[0]++
	}
	return nil
}

func (count) Merge(acc, from []uint64, _ Heap) error {
	acc[0] += from[0]
	return nil
}

func (count) Subtract(acc []uint64, args []Column, row int32, _ Heap) error {
	if len(args) == 0 || !args[0].Null(row) {
		acc[0]--
	}
	return nil
}

func (count) Unmerge(acc, from []uint64, _ Heap) error {
	acc[0] -= from[0]
	return nil
}

func (count) Append(acc []uint64, _ Heap, out *Column, row int32) {
	out.setInt(row, int64(acc[0]))
}
