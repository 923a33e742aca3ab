// Command sliding measures exact sliding windows in leat beside Kafka Streams'
// own, over the same rows.
//
//	go run ./bench/oracle/sliding -leat bin/leat
//
//	rows ─┬─▶ in memory   TopologyTestDriver, one thread     │ engine.Driver, one task
//	      └─▶ on Kafka    KafkaStreams, a thread per core     │ leat run --until-end
//
// In memory there is no broker, no disk and no second thread: the price of the
// windows alone, and for Kafka Streams that of its test driver on top. On Kafka
// both do the whole job, changelogs included. Each is a process of its own;
// rounds go by turns and the median counts. Where finals are written, both
// sides' numbers of windows, rows in them and sums must agree before a rate is
// reported.
package main
