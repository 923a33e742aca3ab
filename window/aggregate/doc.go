// Package aggregate folds rows into accumulators and merges accumulators.
//
//	row ─▶ Add ─▶ accumulator of a pane ─┐
//	row ─▶ Add ─▶ accumulator of a pane ─┴▶ Merge ─▶ Append ─▶ result column
//
//	accumulator:  │ word 0 │ word 1 │ …      8-byte words; all zero is empty
//	                           └─ a word of Blobs is a reference into a Heap
//
// There are only four types: Kind is a line of the table and makes an
// Aggregate for the types of its arguments; an Aggregate works on accumulators
// that others own; Column is where arguments come from and results go to; a
// Heap holds what does not fit into words.
//
// Invariants
//   - An accumulator of zeros is empty. Copying its words, and its blobs, copies it.
//   - A call that returns an error leaves the accumulator as it was. What has
//     blobs returns none: whoever puts back the words of an accumulator cannot
//     put back what its heap had.
//   - Add and Subtract allocate nothing themselves (a Heap may), nor does Merge,
//     but for a top_k that has more values than it follows.
//   - Bytes in the heap are changed where they are (Editor) and leave room to
//     grow: a row costs what it changes, not what there is.
//   - Merging the panes of a window in order of time gives what adding their
//     rows in that order gives; of doubles, up to rounding. The exceptions say
//     so: a top_k beyond what it follows, increase and rate where a reset comes
//     out of order.
//   - Subtract of what was added gives back what was before; of doubles, up to
//     rounding. What is empty again is all zeros again: no rounding stays. A
//     list that was full (collect) does not get back what it left out.
//   - Aggregates are immutable and hold no rows: one may serve any number of
//     keys and tasks.
//   - Of the replicated types (replica.go) Merge is commutative, associative and
//     idempotent.
//   - Nulls are skipped, as in SQL. NaN is a value: min and max order it above
//     all others, sums and averages with it are NaN.
//
// What several aggregates share has a file of its own: cell (a value), order
// (min, max), arg (by another column, or by time), series (counters over time),
// votes (bools), sketch (DDSketch), dict (a dictionary in the heap), replica.
// The libraries behind count_distinct (the estimate) and sketch (the bounds of
// bins) know nothing of how accumulators are laid out.
//
// To add an aggregate: one file, one line in kinds.go, one file in testdata.
package aggregate
