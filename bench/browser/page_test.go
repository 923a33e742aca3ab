//go:build browser

package browser

import "testing"

func TestPage(t *testing.T) {
	packages(t)
	newWorld(t).node(t, "page.test.mjs")
}

// A dashboard left open while everything behind it is replaced, a real Kafka
// among it.
func TestLeftOpen(t *testing.T) {
	packages(t)
	newWorldOn(t, &kafka{}).node(t, "open.test.mjs")
}
