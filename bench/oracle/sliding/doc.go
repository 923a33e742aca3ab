// Command sliding measures exact sliding windows in leat beside Kafka Streams'
// own, over the same rows.
//
//	go run ./bench/oracle/sliding -leat bin/leat
//
//	rows ─┬─▶ no broker   TopologyTestDriver, one thread     │ engine.Driver, one task
//	      └─▶ on Kafka    KafkaStreams, a thread per core     │ leat run --until-end
//
// Without a broker there is no second thread: the price of the windows alone,
// for Kafka Streams with that of its test driver and of RocksDB on top (its
// stores in memory look at every timestamp within a window's reach, which with
// many keys is far slower). On Kafka both do the whole job, changelogs included:
// that is the fair comparison. Rounds go by turns and the median counts. Where finals are written, both
// sides' numbers of windows, rows in them and sums must agree before a rate is
// reported.
package main
