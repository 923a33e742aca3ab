// Package naive computes what a pipeline's committed output must be, from the
// language's definition alone: all rows are there, nothing is incremental,
// everything is computed anew for every step.
//
//	Spec, rows per partition with their offsets ──▶ Run ──▶ per sink: rows, dead letters
//
// There are only a few types: Spec says what a pipeline does, Expr is one of its
// expressions, Row is a row with its time and where it came from, Relation is
// what a name stands for (a stream of facts or a table), Output is what a sink
// must end up with. Nothing here shares code with the engine, on purpose, and a
// test sees to it: a mistake there must not be able to excuse itself here.
//
// Time needs no simulation: whether a row is late follows from its origin, the
// watermark of its source partition just before it, which every run finds the
// same. So a window's content is a set, and a result is a function of it.
//
// To add a step: its fields in Spec, its function in a file of its own, one
// line in steps.
package naive
