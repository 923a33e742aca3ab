package aggregate

const earliestDoc = "The x of the row with the least event time where x is not null, of the type of x; null of nothing. " +
	"Of rows with the same time the first that arrived."

// The accumulator is in arg.go.
func newEarliest(args []Type) (Aggregate, error) {
	t, err := one("earliest", args)
	if err != nil {
		return nil, err
	}
	return at{x: cell{t}, by: Timestamp, flip: least}, nil
}
