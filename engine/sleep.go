package engine

import (
	"context"
	"time"
)

// Sleep waits d; false: ctx has ended first. It is for loops that try again,
// here and in connectors; never for operators. Safe from any goroutine.
func Sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
