package state

import (
	"slices"
	"strings"
)

// Scan calls fn for the keys of family f that have a pane with lo < end <= hi,
// in key order, beginning after the key after, until fn returns false.
func (t *Table) Scan(f Family, lo, hi int64, after string, fn func(key string, acc func(end int64) []uint64) bool) error {
	slots := t.Active(f, lo, hi, nil)
	slots = slices.DeleteFunc(slots, func(s Slot) bool { return after != "" && t.Key(s) <= after })
	slices.SortFunc(slots, func(a, b Slot) int { return strings.Compare(t.Key(a), t.Key(b)) })
	for _, s := range slots {
		acc := func(end int64) []uint64 {
			if p := t.Pane(f, end); p != nil {
				return p.Read(s)
			}
			return nil
		}
		if !fn(t.Key(s), acc) {
			return nil
		}
	}
	return nil
}
