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
// Invariants
//   - A batch that came in is only read. What goes out has its own selection
//     and its own columns where they differ.
//   - A change of a table travels with its old row: a filter that lets a row go
//     sends a delete, and only if the row had passed before.
//   - A row that goes wrong is reported with Context.Bad and left out.
//
// To add a verb: one file with its spec and constructor, its line in
// kinds.go, its keys in pipelines, one text file in testdata.
package operators
