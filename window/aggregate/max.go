package aggregate

const maxDoc = "The greatest x over the rows where x is not null, of the type of x; null of nothing. " +
	"Strings and bytes are compared byte by byte, true is greater than false. " +
	"NaN is greater than every number (as in PostgreSQL), so with one among them the greatest is NaN."

// The accumulators are in order.go.
func newMax(args []Type) (Aggregate, error) { return newExtreme("max", args, 0) }
