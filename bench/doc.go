// Package bench is where leat is judged from outside: by known answers, by
// kill -9 and by the clock, always as the built binary.
//
//	truth      known answers, and the check that compares results with them
//	realkafka  starts and stops an Apache Kafka from its published jars
//	e2e        the main job through the binary: pipe, a real Kafka, crashes
//	run        go run ./bench/run: leat beside raw consumption of the same topic
//	figures    the machine's load and RESULTS.md, for those who measure
//	RESULTS.md the figures last published, with the machine and the date
//
// Nothing in leat imports this room. What is here may use franz-go to load and
// to read topics, and must not use the engine to decide what is right.
package bench
