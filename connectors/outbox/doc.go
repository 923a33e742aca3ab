// Package outbox sends what waits in an outbox topic to where it should go:
// each record at least once, higher priorities first and else in the order of its
// partition, the sender's offset committed after it.
//
//	pipeline ──transaction──▶ <pipeline>.<sink>.outbox
//	                               │ read committed, own group: <pipeline>.<sink>.sender
//	                               ▼
//	   turn: Poll ─▶ queues ─▶ Produce (dead letters) ─▶ End (offsets) ─▶ AllowRebalance
//	                  │  ▲
//	                  ▼  │ one goroutine per partition
//	               Deliver ──▶ ok: the offset may be committed
//	                  │ error: wait (full jitter, Retry-After), again
//	                  ▼ permanent, or enough of it
//	               dead letter, skip or hold, as the sink's errors say of stage "send"
//
// There are only four types: Note, what is sent; Deliver, who sends it (rooms
// webhook and webpush); Failure, what a Deliver says of a failed attempt; and
// Sender, the loop. A sender is no lane: it has no state, and what it does is
// not part of the pipeline's transactions.
//
// What must stay true:
//
//   - An offset is committed only when all records before it were delivered,
//     or are in the dead letters, or were let go by a policy of skip.
//   - A record that is sent again (a crash between sending and committing, a
//     rebalance, a timeout) carries the same Note.ID; so does one that came
//     back from the dead letters.
//   - Records of one key keep their order, whatever their priorities.
//   - A destination that fails delays its own partition only, and there nothing
//     of a higher priority: waiting takes no part of the InFlight bound.
//   - Nothing that a destination does ends the pipeline.
//
// Goroutines: the loop is Run's caller; one per owned partition, ended and
// waited for by the loop.
//
// To add a destination: a room with a Deliver, one case in cmd/leat/sender.go.
package outbox
