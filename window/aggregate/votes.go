package aggregate

import "fmt"

// votes counts bools: what bool_and and bool_or share.
//
//	│ true │ false │
type votes struct{}

func newVotes(name string, args []Type) error {
	t, err := one(name, args)
	if err == nil && t != Bool {
		err = fmt.Errorf("%s needs a bool, not %s", name, t)
	}
	return err
}

func (votes) Words() int   { return 2 }
func (votes) Blobs() []int { return nil }
func (votes) Result() Type { return Bool }

func (votes) vote(c *Column, row int32) int {
	if c.Bools[row] {
		return 0
	}
	return 1
}

func (v votes) Add(acc []uint64, args []Column, row int32, _ Heap) error {
	if c := &args[0]; !c.Null(row) {
		acc[v.vote(c, row)]++
	}
	return nil
}

func (votes) Merge(acc, from []uint64, _ Heap) error {
	acc[0] += from[0]
	acc[1] += from[1]
	return nil
}

func (v votes) Subtract(acc []uint64, args []Column, row int32, _ Heap) error {
	if c := &args[0]; !c.Null(row) {
		acc[v.vote(c, row)]--
	}
	return nil
}

func (votes) Unmerge(acc, from []uint64, _ Heap) error {
	acc[0] -= from[0]
	acc[1] -= from[1]
	return nil
}
