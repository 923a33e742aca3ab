//go:build linux

// Command live measures live views: what a dashboard costs a serving node, and
// how long a row takes from the view's topic to the client.
//
//	go run ./bench/live
//
//	feeder ─▶ broker ─▶ node ─▶ 10,000 clients
//	  (here)   (child)  (child)   (here)
//
// Each frame is some 3 KB (ten rows of 300 bytes), four a second. The node is a
// process of its own, as `leat serve` is one, with a worker's metrics: what it
// uses is read from /proc. Clients are plain sockets, read by one thread that
// counts frames and reads the time in each row's value, which the feeder took
// before it wrote the row to the topic: latencies begin there. All processes
// share the machine, so a node of its own does better.
//
// CPU is the node's whole, over the frames with rows that clients read: marks,
// heartbeats, the topic's reader and the collector are in it, and, as the
// network is the loopback, the kernel's work for the receiver, too. The floor is
// what the kernel alone takes: a process that writes as many bytes as often to
// as many sockets, from one loop.
//
//	memory and CPU   -clients streams, against the node without any
//	CPU              -few streams, so that the machine is not full; and the floor
//	latency          -half streams; then again with one that never reads
//	storm            -half streams that come back at once, with and without a cursor
//
// -profile writes a CPU profile of the node with -few streams.
package main
