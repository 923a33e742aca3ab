package aggregate

const minDoc = "The least x over the rows where x is not null, of the type of x; null of nothing. " +
	"Strings and bytes are compared byte by byte, false is less than true. " +
	"NaN is greater than every number (as in PostgreSQL), so it is the least only where there is nothing else."

// The accumulators are in order.go.
func newMin(args []Type) (Aggregate, error) { return newExtreme("min", args, ^uint64(0)) }
