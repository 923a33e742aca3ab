// Command live measures live views: what a dashboard costs a serving node, and
// how long a row takes from the view's topic to the client.
//
//	go run ./bench/live
//
//	feeder ─▶ broker ─▶ node ─▶ 10,000 clients
//	  (here)   (child)  (child)   (here)
//
// Each frame is some 3 KB (ten rows of 300 bytes), four a second. The node is a
// process of its own, as `leat serve` is one: what it uses is read from /proc.
// Clients are plain sockets that count frames and read the time in a row's
// value, which the feeder took before it wrote the row to the topic: latencies
// begin there. All processes share the machine, so a node of its own does
// better.
//
//	memory and CPU   -clients streams, against the node without any
//	latency          -half streams; then again with one that never reads
//	storm            -half streams that come back at once, with and without a cursor
package main
