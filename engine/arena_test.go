package engine

import "testing"

// TestArenaGivesEmptyKeys takes nothing from a fresh arena: the empty key of a
// delete must not become a null key.
func TestArenaGivesEmptyKeys(t *testing.T) {
	var a arena
	for range 2 {
		if b := a.take(0); b == nil {
			t.Fatal("no bytes are nil")
		}
		a.committed()
	}
}
