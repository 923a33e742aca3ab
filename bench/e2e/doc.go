// Package e2e drives the built binary from outside, as a user or a power cut would.
//
//	pipe_test.go    leat pipe on 200,000 events: known answers in any order, with any restarts
//	kafka_test.go   tag kafka: two workers on a real Kafka, one of them killed in the middle
//	crash_test.go   tag crash: kill -9 at random moments, again and again, on both brokers
//	alerts_crash_test.go  tag crash: kill -9 between an alert that was posted and its commit
//
// The harness is in binary_test.go (build, start, kill, wait) and topics_test.go
// (load, read committed). What is right is decided by bench/truth alone.
// Pipelines are in testdata: windows.yaml groups by the key that its source
// carries, rekeyed.yaml by another, so that a repartition topic lies between.
package e2e
