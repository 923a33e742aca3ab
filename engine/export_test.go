package engine

// What the tests of package engine_test see of the inside.

// Murmur2 is Java's hash of a record key.
func Murmur2(key []byte) uint32 { return murmur2(key) }

// StartAt decides where an input goes on; -1 as a state offset is no state.
func StartAt(g Guarantee, trust Trust, stateful bool, group, state Offset) (Offset, error) {
	w := &Worker{topo: &Topology{Guarantee: g}, opts: Options{Trust: trust}}
	tp := TopicPartition{"in", 0}
	states := map[TopicPartition]Offset{}
	if state >= 0 {
		states[tp] = state
	}
	return w.startAt(tp, group, states, state >= 0, stateful)
}
