package state

// spill is the part of a table that is in Pebble only.
type spill struct {
	keys   int  // keys that are not in memory
	dead   int  // of them, keys whose last pane expired in this interval
	walked bool // dead is counted
}

type scanOrder struct{}

func (s *spill) endInterval() { s.dead, s.walked = 0, false }

func (t *Table) load(string, uint32) (Slot, bool, error) { return 0, false, nil }
func (t *Table) loadPane(*Pane)                          {}
func (t *Table) unload()                                 {}
func (t *Table) countDead() error                        { return nil }

func (t *Table) spilledDeaths(func(key, value []byte) error) error { return nil }
