// Package window decides which windows a row belongs to and when they close.
//
//	event time ──▶   0s      5s      10s     15s
//	pane               [──a──)[──b──)[──c──)            width = gcd(size, advance)
//	hopping 10s/5s     [─── a+b ────)                   a window is the merge of its panes
//	                          [─── b+c ────)
//
//	watermark of a partition ─┐
//	watermark of a partition ─┼─▶ minimum (the task's) ─▶ windows close
//	stamps of N tasks ─▶ Vector ┘
//
// There are only these types: Spec says which windows are wanted, an Assigner
// does their arithmetic, Watermark is the time of one source partition, and
// Vector that of an input behind a repartition topic; a task takes the minimum.
// Assigners are Hopping (and tumbling), Cumulate, Unwindowed, and Calendar for
// those of a time zone. Windows that follow the rows of a key (sliding, session,
// count, and same, the input's own) have none: only their specs are checked
// here (follow.go), the operators know what they are.
// Package aggregate beside it folds rows into panes and merges panes.
//
// Invariants
//   - All times are epoch milliseconds in an int64; MinTime is "nothing heard
//     yet", MaxTime "the end of input" and, as the end of a window, "never".
//   - Arithmetic near the ends of int64 saturates at MinTime and MaxTime, it
//     never wraps. Negative times are times like others.
//   - An Assigner's window holds its start and not its end. It is known by its
//     end. Sliding windows and sessions hold both (Kind.Inclusive).
//   - A day of a calendar begins once, when its clock first shows so or jumps over
//     it; an hour that comes twice is two. A day that a zone left out begins nothing.
//   - A watermark never goes back, unless it is restored.
//   - Nothing here reads a clock, starts a goroutine or touches a disk. An
//     Assigner is immutable and may be shared; the others belong to one task,
//     which calls them from one goroutine and tells them the time.
//
// To add a window type: one file with an Assigner, one line in kinds.go, one
// file in testdata; one that follows the rows is a follower in the operators.
package window
