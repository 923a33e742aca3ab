package main

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"time"
)

// results is what was measured.
type results struct {
	load          string
	memory        float64 // bytes a client
	cpu           float64 // seconds a message
	frames, bytes float64 // a second; a frame
	cores         float64 // that the node used
	full          seen
	alone, beside seen
	storms        []storm
}

// storm is how many came back at once, and what it took.
type storm struct {
	cursor  bool
	took    time.Duration
	encodes int64
	resumed int
}

func loadavg() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	load, _, _ := strings.Cut(string(text), " ")
	return load
}

func (r results) report(w io.Writer, o options) {
	ms := func(d time.Duration) string { return fmt.Sprintf("%.0f ms", float64(d)/float64(time.Millisecond)) }
	fmt.Fprintf(w, `# Live views, measured

`+"`make bench-live`"+` on %s, %d cores shared by the node, the broker, the feeder and all clients; %s; load %s when it began.
%d frames a second of %.1f KB to each client.

| | measured | aim |
|---|---:|---:|
| memory a client, %d clients | %.1f KB | 30 KB |
| CPU a message, %d clients, %.0f messages a second, %.2f cores | %.1f µs | 25 µs |
| messages that came, of those sent | %.1f %% | 100 %% |
| row to client, %d clients, median | %s | |
| row to client, %d clients, p99 | %s | 400 ms |
| the same beside a client that stopped reading | %s | the same |
`,
		runtime.Version(), runtime.NumCPU(), time.Now().Format(time.DateOnly), r.load,
		int(time.Second/o.refresh), r.bytes/1024,
		o.clients, r.memory/1024, o.clients, r.frames, r.cores, r.cpu*1e6,
		100*r.frames/(float64(o.clients)*float64(time.Second/o.refresh)),
		o.half, ms(r.alone.p50), o.half, ms(r.alone.p99), ms(r.beside.p99))
	for _, s := range r.storms {
		how := "without a cursor"
		if s.cursor {
			how = fmt.Sprintf("with a cursor (%d resumed)", s.resumed)
		}
		fmt.Fprintf(w, "| %d reconnect at once %s: until all have all rows, frames made | %s, %d | one frame |\n", o.half, how, ms(s.took), s.encodes)
	}
	fmt.Fprintln(w, `
Latencies are from before the row is written to the view's topic until the client has read it: up to 250 ms of it is the
frame clock. Memory is the node's resident set with the clients, less that without, over their number.`)
}
