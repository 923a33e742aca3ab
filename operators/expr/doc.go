// Package expr compiles the expressions of a pipeline into closures that run
// over the columns of a batch.
//
//	amount * rate > 100 and status == "paid"        the text
//	        │ expr-lang's parser
//	   and ─┬─ > ─┬─ * ─┬─ amount                   its syntax tree
//	        │     │     └─ rate
//	        │     └─ 100
//	        └─ == …
//	        │ our type check, against the schema: a Program, shared
//	   func(frame, rows) column  …                  our closures: an Eval, one per task
//
// There are only a few types: Env (what may be used), Program (checked text),
// Eval (a Program with scratch memory, for one goroutine), Value (a constant)
// and Error (what is wrong, and where). Only the parser of expr-lang is used:
// its VM decides many things otherwise (see testdata, differs=…).
//
// Invariants
//   - A node computes exactly the rows it is given, into a column that it owns.
//     and, or, ?: and ?? hand on only the rows that need the other side.
//   - A null row's entry is the zero value; Nulls is nil where no row is null.
//   - An expression error marks its row, which goes on as null, and is reported
//     at the end, the first of each row, in the order of rows.
//   - Lists and any are JSON text; reading a part of them copies nothing.
//   - No clock, no randomness, no I/O, no loop without a bound.
//
// To add a function: a line in kinds.go, its build function in the file of its
// subject (fn1 and fn2 in frame.go do most of the work), lines in testdata.
package expr
