package main

import (
	"context"
	"math"
	"os"
	"runtime/debug"
	"time"
)

// headroom is what the process takes beside its tables: fetch and produce
// buffers of the lanes, batches, views, the write buffers of state.
const headroom = 640 << 20

// followMemory keeps the garbage collector's soft limit above what the tables
// take, once a second until ctx ends. With GOGC at 400 the heap may otherwise
// grow to five times what lives; under the limit it is collected sooner.
func followMemory(ctx context.Context, tables func() int64) {
	if os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	defer debug.SetMemoryLimit(math.MaxInt64)
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for {
		debug.SetMemoryLimit(headroom + 2*tables())
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}
