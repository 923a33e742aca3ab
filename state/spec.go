package state

// Spec describes one store of a task: a table of keyed panes.
type Spec struct {
	// Name is the transform's name; with the pipeline's it is the identity of
	// the state.
	Name string
	// Fingerprint is what makes old bytes readable: aggregates, window, types.
	Fingerprint string
	// Reads tells of another fingerprint whether its bytes mean the same; nil:
	// of none.
	Reads func(fingerprint string) bool
	// Families: 0 holds panes (accumulators per key and pane), 1 the windows as
	// last sent downstream (emit: update). Words 0 means the family is unused.
	Families [2]FamilySpec
}

func (s *Spec) reads(fingerprint string) bool {
	return fingerprint == s.Fingerprint || s.Reads != nil && s.Reads(fingerprint)
}

// FamilySpec is the shape of one accumulator.
type FamilySpec struct {
	Words int   // 8-byte words per key and pane
	Blobs []int // which words are heap references (0: none)
}

// Family is 0 (Panes) or 1 (Sent).
type Family int

// The two families of a table.
const (
	Panes Family = 0
	Sent  Family = 1
)

// Slot is the dense number of a key in a table's memory; not an identity.
type Slot uint32

// Position is a place in a changelog partition that state corresponds to: all
// records before Offset are applied.
type Position struct {
	TopicID string // hex; "" where the broker has none
	Offset  int64  // -1: nothing applied
	Epoch   int32  // leader epoch, -1: unknown
}
