// Package file writes rows as lines of JSON (NDJSON) for people and pipes.
//
//	row ─▶ record of the pseudo topic "stdout:<sink>" or "file:<sink>" ─▶ [commit] ─▶ a line
//
// The sinks produce like any other, in the transaction; whoever ends the
// transaction writes the lines once it has committed, so that nothing is
// written that was rolled back. A crash between the two loses the lines of that
// commit: each line is written at most once. There is one type, the sink of
// lines, for standard output (Stdout) and for files (File).
package file
