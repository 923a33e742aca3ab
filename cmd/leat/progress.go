package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"
)

// showRestores draws a progress bar on a terminal while state is restored.
// Where there is no terminal the worker's log lines tell, every ten seconds.
func (p *process) showRestores(ctx context.Context) {
	if info, err := os.Stderr.Stat(); err != nil || info.Mode()&os.ModeCharDevice == 0 || os.Getenv("TERM") == "dumb" {
		return
	}
	const width = 30
	t := time.NewTicker(200 * time.Millisecond)
	defer t.Stop()
	drawn := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		var done, total int64
		running := false
		for _, j := range p.jobs {
			d, n, r := j.worker.Restoring()
			done, total, running = done+d, total+n, running || r
		}
		switch {
		case running && total > 0:
			fill := int(int64(width) * done / total)
			fmt.Fprintf(os.Stderr, "\rrestoring state [%s%s] %d of %d records ", strings.Repeat("#", fill), strings.Repeat(" ", width-fill), done, total)
			drawn = true
		case drawn:
			fmt.Fprint(os.Stderr, "\r\x1b[K")
			drawn = false
		}
	}
}
