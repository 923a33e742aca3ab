// Command run measures leat beside the raw consumption of the same topic.
//
//	go run ./bench/run -leat bin/leat
//
//	start Kafka ─▶ load peers, dense ─▶ (raw, leat) × workloads × 3 rounds ─▶ medians ─▶ table
//	                 child                child each, so that CPU and memory are its own
//
// Raw consumption with franz-go is the limit: nothing that reads the topic in
// Go can be faster, so a rate means little without the raw rate of the same
// minute on the same machine beside it, and the ratio is what to compare. The
// first round's results are read back and recomputed by check.go, which shares
// no code with the engine: a fast wrong answer is not a result.
//
// Workloads are named in workloads.go; to add one, a line there and a pipeline
// in pipelines/.
package main
