// Package file writes rows as lines of JSON (NDJSON) for people and pipes.
//
//	row ─▶ record of the pseudo topic "stdout:<sink>" ─▶ [commit] ─▶ a line
//
// The sink produces like any other, in the transaction; whoever ends the
// transaction writes the lines once it has committed, so that nothing is
// printed that was rolled back. There is one type, the stdout sink.
package file
