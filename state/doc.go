// Package state keeps the keyed state of tasks: bytes that survive.
//
//	operator ─ Resolve, Write ─▶ Table ─ Changes ─▶ changelog records, in the transaction
//	                              │  ▲
//	              abort: Rollback │  │ load on a miss
//	    committed: Commit, in memory │
//	                              ▼  │
//	                      Apply ─▶ Pebble ─ Flush ─▶ disk
//
// There are only four types. A DB is one Pebble per worker, with a folder of
// its own. A Lease is the exclusive handle on one task's state. A Table is the
// memory in front of one store of the task: keys with dense slots. A Pane is
// the accumulators of a table's keys for one stretch of time; state without
// windows has one pane that ends at math.MaxInt64.
//
// What always holds:
//
//   - The changelog in Kafka is the durable copy. Pebble is a restart cache and
//     the place for what does not fit into memory; it never holds anything of a
//     transaction that is not known to be committed.
//   - Data, position and meta are written in one batch: what Pebble has is the
//     state at the position that it names, or it names none and is not used.
//     There is no write-ahead log, so a crash loses whole batches, from the end.
//   - A batch is applied by the current lease only, and on top of what that
//     lease read or wrote last (compare-and-set): a lane that stalled between
//     commit and Apply can do no harm once the task has moved.
//   - The first touch of a block in a commit interval saves it, so Rollback is a
//     copy and never a reload; heap strings are replaced, never changed.
//   - A key is in memory with all its panes or in Pebble with all of them.
//   - The garbage collector sees chunks, nothing per key; Write and Resolve of a
//     known key do not allocate.
//   - Every byte read is checked. A store that does not decode is ErrCorrupt and
//     is rebuilt alone; Pebble that fails is ErrDamaged and is set aside whole.
//
// Slots are numbers of this table in this process, for a short time: not an
// identity, in no format, and reused. See Table for how long they are valid.
//
// Formats: keys in key.go, records in record.go, accumulators and changelog
// values in codec.go. To add one, give it a version and a text in testdata. The
// texts are the manual: testdata/table, changelog, disk, lease, spill, check,
// folder; what each command does is at TestState. TestRandom does the same
// against a model made of maps, with crashes.
package state
