// Package truth holds known answers, computed by others, for judging what leat wrote.
//
//	testdata/events.csv.gz ──▶ Events: 200,000 JSON readings ──▶ leat ──▶ results
//	testdata/tumbling60.csv.gz, hopping60_10.csv.gz ──▶ Answers ──────────▶ Check ◀┘
//
// The readings are of 500 sensors over two hours, in arrival order; most are up
// to 5 s behind the greatest time seen, one in a hundred up to 119.6 s. So with
// an out-of-orderness of two minutes nothing is late, and every row counts in
// each window that it belongs to. The answers were computed by DuckDB, then by
// plain Python; a test here computes them a third time.
//
// There are only three types: Window, Answer and Check. Nothing here shares
// code with the engine, on purpose: a mistake in the engine's arithmetic must
// not be able to excuse itself. To add answers: one file in testdata, one
// function in answers.go.
package truth
