package aggregate

import "math"

// A tally is a word that counts doubles: how many, and how many of them are
// not finite. A running sum cannot take NaN or an infinity back; so these are
// only counted, and the sum beside the tally is of the finite ones alone.
//
//	│ -Inf 6 bits │ +Inf 6 bits │ NaN 6 bits │ all 46 bits │
//
// 46 bits are two years of a million rows a second. A count of 6 bits that
// has reached 63 stays there: what is not finite is then not taken back.
type tally = uint64

const (
	tallyAll  = 1<<tallyNaN - 1
	tallyNaN  = 46
	tallyPos  = 52
	tallyNeg  = 58
	tallyFull = 63
)

// finite tells whether v is neither NaN nor an infinity.
func finite(v float64) bool { return v-v == 0 }

// odd makes the tally of one v that is not finite.
func odd(v float64) tally {
	switch {
	case v > 0:
		return 1 | 1<<tallyPos
	case v < 0:
		return 1 | 1<<tallyNeg
	}
	return 1 | 1<<tallyNaN
}

// join adds b to a.
func join(a, b tally) tally {
	if (a|b)>>tallyNaN == 0 {
		return a + b
	}
	sum := (a&tallyAll + b&tallyAll) & tallyAll
	for shift := tallyNaN; shift <= tallyNeg; shift += 6 {
		sum |= min(a>>shift&tallyFull+b>>shift&tallyFull, tallyFull) << shift
	}
	return sum
}

// part takes b out of a, which it was joined to. What is empty then is zero.
func part(a, b tally) tally {
	if (a|b)>>tallyNaN == 0 {
		return a - b
	}
	rest := (a&tallyAll - b&tallyAll) & tallyAll
	if rest == 0 {
		return 0
	}
	for shift := tallyNaN; shift <= tallyNeg; shift += 6 {
		n := a >> shift & tallyFull
		if n != tallyFull {
			n -= min(n, b>>shift&tallyFull)
		}
		rest |= n << shift
	}
	return rest
}

// special gives the sum of what is not finite; ok is false where all is finite.
func special(a tally) (v float64, ok bool) {
	pos, neg := a>>tallyPos&tallyFull > 0, a>>tallyNeg&tallyFull > 0
	switch {
	case a>>tallyNaN == 0:
		return 0, false
	case a>>tallyNaN&tallyFull > 0 || pos && neg:
		return math.NaN(), true
	case pos:
		return math.Inf(1), true
	}
	return math.Inf(-1), true
}

// finiteOnes is how many of a tally are finite.
func finiteOnes(a tally) uint64 {
	n := a & tallyAll
	if a>>tallyNaN != 0 {
		n -= min(n, a>>tallyNaN&tallyFull+a>>tallyPos&tallyFull+a>>tallyNeg&tallyFull)
	}
	return n
}
