package aggregate

const latestDoc = "The x of the row with the greatest event time where x is not null, of the type of x; null of nothing. " +
	"Of rows with the same time the last that arrived."

// The accumulator is in arg.go.
func newLatest(args []Type) (Aggregate, error) {
	t, err := one("latest", args)
	if err != nil {
		return nil, err
	}
	return at{x: cell{t}, by: Timestamp, later: true}, nil
}
