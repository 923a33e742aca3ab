// Package oracle lets Kafka Streams itself judge leat.
//
//	                    ┌─▶ java/Oracle.java, TopologyTestDriver ─▶ which rows met, row by row ─┐
//	seed ─▶ cases, rows ┤                                                                       ├─▶ the same?
//	                    └─▶ a pipeline's YAML ─▶ pipelines.NewMemoryDriver ─▶ results ──────────┘
//
// A case is one operator with its settings and some dozen rows: ties, times on
// a boundary and a millisecond beside it, disorder, rows beyond grace, nulls.
// Both sides get the same rows one by one; after each row their tables, finals
// or pairs must be the same. Kafka Streams decides which rows are in a window
// or a pair; what sum or avg of them is, is counted here.
//
// There are only four types: Case, Judge (one JVM for all cases of a run), the
// leat side of a case, and the comparison. The tests have the build tag oracle
// and run with make test-oracle; they want a JDK 17 and Maven. Where leat means
// to differ, docs/semantics.md says so, and the generator (Case.fair) leaves it
// out or the comparison allows for it. To add an operator: one case in
// Oracle.java, one in pipeline_test.go, its settings in generate_test.go.
package oracle
