// Package embedded is a Kafka broker inside the process: franz-go's kfake, kept
// to the loopback interface.
//
//	leat demo | leat dev | leat broker | tests ──▶ Start ──▶ 127.0.0.1:9092
//	                                                 │
//	                                                 └─▶ data folder (or memory)
//
// It exists so that a newcomer needs nothing but the binary, and so that tests
// can have brokers, faults and virtual time. What it is not:
//
//   - no cluster: one process, no replication. It goes down with the process.
//   - not durable: without Sync, what the operating system has not written is
//     lost with the machine (not with the process).
//   - not production, and no measure of it: throughput against it says nothing
//     about Kafka.
//
// There is only one type: Broker. Kafka's protocol speaks for the rest.
//
// Where it differs from Kafka (franz-go of 2026-09):
//
//   - The end of a transaction is synchronous: no CONCURRENT_TRANSACTIONS, and
//     the markers of all partitions appear together. Races between them cannot
//     be shown here.
//   - Compaction moves a log's start to the first record that survived, so old
//     positions get OFFSET_OUT_OF_RANGE; Kafka leaves it.
//   - Compaction loses committed records: those that an open transaction
//     supersedes, even if it aborts then; and what a producer commits after an
//     abort whose marker was removed is hidden from readers of committed data.
//     So it never runs by itself here, nor does retention, and logs only grow.
//   - Timestamps are not validated, log truncation is not detected.
//   - A member whose connection dies while its SyncGroup is answered keeps its
//     partitions until the next rebalance.
//   - A zombie that shares its transactional id with a living client can be let
//     in again by an abort at the wrong moment; Kafka fences it.
//
// To add an option: one field of Options, one line in Start.
package embedded
