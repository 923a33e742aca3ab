//go:build !unix || solaris || aix

package embedded

// lock does nothing where the system has no flock: two brokers on one data
// folder are then the user's to avoid.
func lock(string) (unlock func() error, err error) { return func() error { return nil }, nil }
