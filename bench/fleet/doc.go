// Package fleet runs three workers, three brokers and faults in virtual time,
// and compares what was committed with a model that knows nothing of the engine.
//
//	producer ─▶ in ─▶ worker w0, w1, w2 ─▶ out, late     one testing/synctest bubble
//	                   ▲        ▲
//	                   │        └ its network (cable) and its disk (a crashable file system)
//	                   └ crash, restart with and without state, new id, partition, stall,
//	                     lost answers, moved leaders and coordinators, compaction
//
//	in, read back ─▶ model ─▶ every (key, window) once, late rows ─▶ compare
//
// There are only three types: cable (a worker's network, which can be cut),
// machine (a worker with its cable and its disk) and world (the brokers, the
// machines and what the test knows). A seed fixes the input and the faults, not
// the interleaving of goroutines: a seed that fails may need some repetitions.
//
//	go test -tags synctests ./bench/fleet                     the seeds of make test
//	SEEDS=1-500 go test -tags synctests -run TestFaults ./bench/fleet
//	SEEDS=17x20 …                                             seed 17, twenty times
//	TRACE=1 …                                                 with the workers' logs
//
// The tag makes franz-go wait in ways that the bubble can see through.
//
// What is left out, because the broker in use does not do as Kafka does: two
// living clients with one transactional id (it lets the older one in again).
// Where it forgets to time a dead member out, a worker more is started: its
// join makes the group look again.
//
// To add a fault: one entry in faults.
package fleet
