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
//   - A call that returns an error leaves the accumulator as it was.
//   - Add, Merge and Subtract allocate nothing themselves (a Heap may).
//   - Merging the panes of a window in order of time gives what adding their
//     rows in that order gives; of doubles, up to rounding.
//   - Subtract of what was added gives back what was before; of doubles, up to
//     rounding. What is empty again is all zeros again: no rounding stays.
//   - Aggregates are immutable and hold no rows: one may serve any number of
//     keys and tasks.
//   - Nulls are skipped, as in SQL. NaN is a value: min and max order it above
//     all others, sums and averages with it are NaN.
//
// To add an aggregate: one file, one line in kinds.go, one file in testdata.
package aggregate
