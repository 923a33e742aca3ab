package window

import (
	"errors"
	"fmt"
)

// These windows follow the rows of a key: no arithmetic on a time alone says
// which there are, so they have no Assigner. Their verbs are in the operators.

const slidingDoc = "Windows of one size that follow the rows, both ends included. mode exact: the distinct windows " +
	"[t-size, t] and [t+1, t+1+size] around the rows, as Kafka Streams' sliding windows. mode trailing: for each row the one [t-size, t]."

func checkSliding(s Spec) error {
	switch {
	case s.Size == 0:
		return errors.New("a sliding window needs a size greater than zero")
	case s.Mode != Exact && s.Mode != Trailing:
		return fmt.Errorf("a sliding window needs a mode: %s (as in Kafka Streams) or %s (one result per row)", Exact, Trailing)
	}
	return nil
}

const sessionDoc = "Windows [first, last] of rows at most gap apart, both ends included; a row that bridges two makes one of them."

func checkSession(s Spec) error {
	if s.Gap == 0 {
		return errors.New("a session window needs a gap greater than zero")
	}
	return nil
}

const countDoc = "The last size rows of a key, in order of arrival, with a result after every advance rows; with full none before size rows have come."

func checkCount(s Spec) error {
	switch {
	case s.Size != 0 || s.Advance != 0:
		return errors.New("size and advance of a count window are numbers of rows")
	case s.Count < 1 || s.Count > maxRows:
		return fmt.Errorf("a count window needs a size of 1 to %d rows, not %d", maxRows, s.Count)
	case s.Every < 0 || s.Every > s.Count:
		return fmt.Errorf("advance must be 1 to size rows, not %d", s.Every)
	}
	return nil
}

// maxRows bounds a count window: each of its rows is kept.
const maxRows = 100_000

const sameDoc = "The window of the input's rows: it closes when theirs has."
