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
// that is the fair comparison. There each run is timed from the first row that
// it read to the end of its last commit, so joining the group is in no rate. Both
// wait for all replicas' acknowledgements and compress nothing, which is Kafka
// Streams' default; what its processes use of the CPU is told beside the rates,
// with their start and their end.
//
// Updates go by what is sent. Without a cache Kafka Streams sends each one; leat
// sends, of a window, one per commit (200 ms and more). With a cache Kafka
// Streams sends what changed when it commits (each 30 s, its default) or when
// the cache is full; leat is told the same, throttle: 30s. In both leat sends a
// final result for each window as well, which Kafka Streams has not.
//
// Rounds go by turns and the median counts. Where finals are written, both
// sides' numbers of windows, rows in them and sums must agree before a rate is
// reported; looking at them is in no rate either.
package main
