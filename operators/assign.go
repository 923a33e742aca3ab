package operators

import "github.com/leatstream/leat/engine"

// Assignable tells whether the values of an expression of type from fit a
// column of type to: the same type, an int in a double, a number of
// milliseconds as a timestamp and back, and the constant null anywhere.
func Assignable(to, from engine.Type) bool {
	switch {
	case from == to, from == engine.Invalid:
		return true
	case to == engine.Double, to == engine.Timestamp:
		return from == engine.Int
	case to == engine.Int:
		return from == engine.Timestamp
	}
	return false
}

// assign sets row i of c, which has n entries, to row j of a column whose type
// is Assignable.
func assign(c *engine.Column, i int32, n int, from *engine.Column, j int32) {
	if from.Type == engine.Invalid || from.Null(j) {
		setNull(c, i, n)
		return
	}
	if c.Nulls != nil {
		c.Nulls[i] = false
	}
	switch c.Type {
	case engine.Double:
		if from.Type == engine.Int {
			c.Doubles[i] = float64(from.Ints[j])
			return
		}
		c.Doubles[i] = from.Doubles[j]
	case engine.Int, engine.Timestamp:
		c.Ints[i] = from.Ints[j]
	case engine.Bool:
		c.Bools[i] = from.Bools[j]
	default:
		c.Strs[i] = from.Strs[j]
	}
}
