package sse

// Metrics is what the hub counts; the worker gives one that Prometheus reads.
// Methods are called from many goroutines.
type Metrics interface {
	// Connections changes by delta when a stream opens or ends.
	Connections(view string, delta int)
	// Frame counts one frame written to one client.
	Frame(view string, bytes int)
	// Encoded counts one frame made, whoever gets it: "delta" or "snapshot".
	Encoded(view, kind string)
	// Conflated counts changes that a newer one of the same row replaced
	// before they were sent.
	Conflated(view string, rows int)
	// Resync counts snapshots sent where a client had asked to resume or had
	// fallen behind, by reason.
	Resync(view, reason string)
	// Rejected counts streams turned away: "capacity", "viewer_cap" or "draining".
	Rejected(view, reason string)
	// EventToScreen is the age, in seconds, of the newest row of a frame when
	// it was made: since its window's end where the window is closed, since
	// its record was appended otherwise.
	EventToScreen(view string, seconds float64)
}

type noMetrics struct{}

func (noMetrics) Connections(string, int)       {}
func (noMetrics) Frame(string, int)             {}
func (noMetrics) Encoded(string, string)        {}
func (noMetrics) Conflated(string, int)         {}
func (noMetrics) Resync(string, string)         {}
func (noMetrics) Rejected(string, string)       {}
func (noMetrics) EventToScreen(string, float64) {}
