package expr

import (
	"fmt"

	"github.com/leatstream/leat/engine"
)

// Elements calls f with the JSON of each element of a list until f says false.
// It tells whether the text is a list.
func Elements(list string, f func(elem string) bool) bool { return elements(list, f) }

// SetElement makes row i of c, which has n entries, a list's element, read as
// c's type: an int among doubles is a double, epoch milliseconds are a
// timestamp, null is null. The error says what the element is instead.
func SetElement(c *engine.Column, i int32, n int, elem string) error {
	v, ok := elemValue(elem, c.Type)
	switch {
	case !ok:
		return fmt.Errorf("the list has %s, not %s", jsonKind(elem), c.Type)
	case v.Null():
		c.SetNull(i, n)
		v = Value{} // the entry of a null is zero
	}
	switch c.Type {
	case engine.Int, engine.Timestamp:
		c.Ints[i] = v.num
	case engine.Double:
		c.Doubles[i] = v.dbl
	case engine.Bool:
		c.Bools[i] = v.num != 0
	default:
		c.Strs[i] = v.text
	}
	return nil
}
