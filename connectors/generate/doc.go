// Package generate makes data: the same rows from the same seed, on every
// machine, without a clock.
//
//	Readings   seed, start ──▶ Next ──▶ key, value, when to send it     the demo's stream, believable and flawed
//	Workload   name        ──▶ Next ──▶ key, value, its event time      the benchmarks' topics, exact and plain
//
// There are only those two types. A row is JSON of one sensor's reading, its
// key is the sensor's id:
//
//	{"sensor_id":"s-00202","site":"oslo","ts":1699999997774,"temp":14.46,"hum":65.8,"bat":3.296,
//	 "status":"ok","fw":"2.4.6","unit":"C","loc":{"lat":59.914,"lon":10.752},"seq":0}
//
// Invariants: the n-th row depends on nothing but the seed, the start and n;
// floating-point values are rounded to the decimals that are written, so that
// no processor's arithmetic shows; a workload never changes once results with
// it are published (its golden hash says so), a new one gets a new name.
//
// To add a workload: one entry in Workloads, one hash in its test.
package generate
