// Package operators holds the verbs of the YAML: one file per verb.
//
//	batch ─▶ filter ─▶ map ─▶ aggregate ─▶ batch
//	           │         │        │
//	        selection  columns  tables of panes (state), windows by time (window)
//
// An operator takes a batch in columns and emits batches; it is called by its
// task, from one goroutine, and has no lock, no goroutine and no clock. There
// are only three shapes of constructor argument: a compiled expression
// (operators/expr), a schema, and the spec of a verb; each constructor returns
// what engine.NodeSpec.New wants.
//
// An aggregate is one of two machines, by its window (aggregate.go decides):
//
//	panes    tumbling, hopping, cumulate, same, none   rows are folded into panes that keys
//	         aggregate.go results.go update.go         share; a window is the merge of its panes
//	         ring.go ttl.go
//	follow   sliding, session, count                   each key has windows of its own: follow.go
//	         sliding.go session.go count.go            is the frame, a follower what a key keeps
//	         due.go emitter.go span.go
//
// Verbs that follow the rows of a key keep bytes per key (keyed.go): reduce its
// state (reduce_fold.go folds it), detect its open matches (detect_open.go), top
// a row each, with the order of a group derived in memory (top_order.go,
// top_rows.go). Rows that must go in order of event time wait in ordered.go;
// what ends by time is due by timers.go. dedupe alone has panes: of times.
//
// Invariants
//   - A batch that came in is only read. What goes out has its own selection
//     and its own columns where they differ.
//   - A change of a table travels with its old row: a filter that lets a row go
//     sends a delete, and only if the row had passed before.
//   - What a window holds does not depend on when it closes, nor on commits: a row
//     carries the time before which windows have closed for it (its part of a
//     pane, its horizon in a sliding window).
//   - Caches (ring, due, pending) are in no format and dropped at a rollback; a
//     slot means nothing once keys have been spilled.
//   - A row that goes wrong is reported with Context.Bad and left out.
//
// To add a verb: one file with its spec and constructor, its line in
// kinds.go, its keys in pipelines, one text file in testdata.
package operators
