package truth

import (
	"math/rand/v2"
	"sort"
)

// Shuffled gives the events in another arrival order, by a seed, in which no
// row comes more than bound ms behind the greatest event time before it: each
// row is delayed by a random time below bound, and rows arrive by event time
// plus delay.
func Shuffled(events []Event, boundMS int64, seed uint64) []Event {
	random := rand.New(rand.NewPCG(seed, 1))
	arrival := make([]int64, len(events))
	order := make([]int, len(events))
	for i, e := range events {
		arrival[i], order[i] = e.TS+random.Int64N(boundMS), i
	}
	sort.SliceStable(order, func(a, b int) bool { return arrival[order[a]] < arrival[order[b]] })
	out := make([]Event, len(events))
	for to, from := range order {
		out[to] = events[from]
	}
	return out
}
