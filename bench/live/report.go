//go:build linux

package main

import (
	"fmt"
	"io"
	"runtime"
	"time"
)

// results is what was measured.
type results struct {
	machine          string  // its load when it began
	memory           float64 // bytes a client
	full, few, floor load
	alone, beside    seen
	storms           []storm
}

// load is what a process did for its clients.
type load struct {
	clients        int
	took, cpu      time.Duration
	rss            int64 // bytes
	ticks, resyncs int64 // of a node
	seen
}

// each is the CPU of one message, in µs.
func (l load) each() float64 { return l.cpu.Seconds() * 1e6 / float64(l.frames) }

// size is bytes a message, with what comes between.
func (l load) size() float64 { return float64(l.bytes) / float64(l.frames) }

// came is the share of frames that came as they were made. The others were
// not lost: a client that was late got two in one.
func (l load) came() float64 { return 100 * float64(l.frames) / float64(l.ticks*int64(l.clients)) }

func (l load) String() string {
	return fmt.Sprintf("%.0f messages a second of %.1f KB, %.2f cores", float64(l.frames)/l.took.Seconds(), l.size()/1024, l.cpu.Seconds()/l.took.Seconds())
}

// storm is how many came back at once, and what it took.
type storm struct {
	cursor  bool
	took    time.Duration
	encodes int64
	resumed int
}

func (r results) report(w io.Writer, o options) {
	ms := func(d time.Duration) string { return fmt.Sprintf("%.0f ms", float64(d)/float64(time.Millisecond)) }
	fmt.Fprintf(w, `# Live views, measured

`+"`make bench-live`"+` on %s, %d cores shared by the node, the broker, the feeder and all clients; %s; load %s when it began.
The view's clock makes %d frames a second.

| | measured | aim |
|---|---:|---:|
`, runtime.Version(), runtime.NumCPU(), time.Now().Format(time.DateOnly), r.machine, int(time.Second/o.refresh))
	row := func(what, measured, aim string) { fmt.Fprintf(w, "| %s | %s | %s |\n", what, measured, aim) }
	row(fmt.Sprintf("memory a client, %d clients", o.clients), fmt.Sprintf("%.1f KB", r.memory/1024), "30 KB")
	for _, l := range []load{r.full, r.few} {
		row(fmt.Sprintf("CPU a message, %d clients: %s", l.clients, l), fmt.Sprintf("%.1f µs", l.each()), "25 µs")
		row(fmt.Sprintf("of the frames made in that time (%.2f a second) each client read (snapshots in their place: %d)", float64(l.ticks)/l.took.Seconds(), l.resyncs), fmt.Sprintf("%.1f %%", l.came()), "100 %")
	}
	row(fmt.Sprintf("the floor: a bare write of as much, %d clients: %s", r.floor.clients, r.floor), fmt.Sprintf("%.1f µs", r.floor.each()), "")
	row(fmt.Sprintf("row to client, %d clients, median", o.half), ms(r.alone.p50), "")
	row(fmt.Sprintf("row to client, %d clients, p99 (worst %s)", o.half, ms(r.alone.max)), ms(r.alone.p99), "400 ms")
	row(fmt.Sprintf("the same beside a client that stopped reading (worst %s)", ms(r.beside.max)), ms(r.beside.p99), "the same")
	for _, s := range r.storms {
		how := "without a cursor"
		if s.cursor {
			how = fmt.Sprintf("with a cursor (%d resumed)", s.resumed)
		}
		row(fmt.Sprintf("%d reconnect at once %s: until all have all rows, frames made", o.half, how), fmt.Sprintf("%s, %d", ms(s.took), s.encodes), "one frame")
	}
	if gone := r.full.gone + r.few.gone + r.alone.gone + r.beside.gone; gone > 0 {
		fmt.Fprintf(w, "\n%d streams ended while they were measured.\n", gone)
	}
	fmt.Fprintln(w, `
CPU is all that the node uses, over the messages with rows that clients read. The network is the loopback, where who sends also
pays for the kernel's work of receiving: the floor is a process that does nothing but such writes. Messages that did not come were
not lost: a client that is late gets two frames in one, each row with its newest value (conflation).
Latencies are of every row in every frame, from before it is written to the view's topic until the client has read it: up to 250 ms
of it is the frame clock. Memory is the node's resident set with the clients, less that without, over their number; the kernel's
buffers are not in it.`)
}
