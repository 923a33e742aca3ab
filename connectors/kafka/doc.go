// Package kafka is the door to Kafka: the only place that speaks its protocol.
//
//	           Config ──▶ NewCluster ──▶ Cluster   topics, offsets, Read, Tail: outside any group
//	              │
//	              └─────▶ NewSession ──▶ Session   one lane: group member + transactional producer
//
//	a lane's turn    Poll ─▶ Begin ─▶ Produce* ─▶ End ─▶ (apply) ─▶ AllowRebalance
//	                  ▲                            │
//	                  └──────── SetPositions ◀─────┘  after every End that was not Done
//	                                                  and after every assignment
//
// There are only three types that speak to Kafka: Config (how to reach a
// cluster), Cluster and Session. They implement engine.Cluster and
// engine.Session; the comments there are the contract, the comments here say how
// Kafka is brought to keep it. Broker bundles them for a worker, and Sink is the
// operator that makes records of results.
//
// Invariants of a Session, each with a test of its name:
//
//   - Nothing is committed without a generation check: every transaction that
//     wrote anything carries an offset, also when no record was read, and the
//     commit hook refuses a member id or generation the lane has not seen.
//   - Offsets committed are exactly those given to End. What the client polled
//     is never taken as committed.
//   - No symbolic offset reaches the consumer: "no committed offset" becomes an
//     exact number before the first fetch.
//   - Assignment never claims what the group took away. The client's revoke
//     callback is not trusted for it (the transactional session swallows the
//     second one until a transaction ends): every join and every error of the
//     group voids the assignment.
//   - A partition is fetched only between Resume and the next change, and only
//     after SetPositions: a lane that forgets to set a position stands still,
//     it never skips or repeats.
//   - The outcome of a transaction is decided by what the group holds (offset
//     and metadata), never by what the client remembers.
//
// Rebalancing is eager: on franz-go v1.22.2 a cooperative member that is evicted
// while it joins keeps stale positions and commits them.
//
// Goroutines: those of the kgo clients, which end with Close; one reader per
// broker inside Tail, which ends with it. Callbacks of the group arrive on kgo's
// goroutines and only record.
//
// To add an authentication mechanism: one case in (Config).sasl. To add an
// option of the client: one field of Config with its comment, one line in
// (Config).options.
package kafka
