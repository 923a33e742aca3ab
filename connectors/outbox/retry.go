package outbox

import (
	"fmt"
	"time"
)

// Retry says how often a note is tried. The zero value is the default of every
// field.
type Retry struct {
	// Attempts is the most that are made. Default 15: about half an hour of
	// waiting, on average.
	Attempts int
	// For is the age from which a note that fails is not tried again, counted
	// from when it was written; a first attempt is always made. Default 24h.
	For time.Duration
	// Min and Max bound the waits: before attempt n+1 it is a random part of
	// Min·2ⁿ⁻¹, at most Max. Default 1s and 5m.
	Min, Max time.Duration
}

func (r Retry) withDefaults() Retry {
	if r.Attempts <= 0 {
		r.Attempts = 15
	}
	for _, d := range []struct {
		to  *time.Duration
		def time.Duration
	}{{&r.For, 24 * time.Hour}, {&r.Min, time.Second}, {&r.Max, 5 * time.Minute}} {
		if *d.to <= 0 {
			*d.to = d.def
		}
	}
	return r
}

// wait is the time before the next attempt (full jitter: any part of the
// exponential bound, so that many senders do not come back together). asked
// is the receiver's Retry-After, which is kept, and spread over a second more.
func (r Retry) wait(attempt int, asked time.Duration, random func() float64) time.Duration {
	bound := r.Max
	if shift := attempt - 1; shift < 40 && r.Min<<shift > 0 {
		bound = min(bound, r.Min<<shift)
	}
	if asked > 0 {
		return asked + time.Duration(random()*float64(min(time.Second, bound)))
	}
	return time.Duration(random() * float64(bound))
}

// enough tells why a note that failed is not tried again; "" where it is.
func (r Retry) enough(f Failure, attempt int, age time.Duration) string {
	switch {
	case f.Permanent:
		return "it will not succeed"
	case attempt >= r.Attempts:
		return fmt.Sprintf("after %d attempts", attempt)
	case age >= r.For:
		return fmt.Sprintf("%v old", age.Round(time.Second))
	case age+f.After >= r.For:
		return fmt.Sprintf("the receiver asks to wait for %v", f.After)
	}
	return ""
}
