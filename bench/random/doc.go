// Package random compares leat with a naive interpreter of its language, over
// random pipelines and random rows.
//
//	seed ─▶ Case: pipeline, rows, partitions ─┬─▶ naive.Run ──────────────────▶ what must come out
//	                                          └─▶ YAML ─▶ leat, in several ways ─▶ what does: the same
//
// A case is run several ways (sizes of batches, commits now and then, aborts,
// restarts and crashes in between): each must write what the interpreter says.
// A case that fails is made smaller for as long as it fails, and printed with
// its seed, its YAML and its rows:
//
//	go test ./bench/random -seed 7 -cases 10000
//
// There are only three types: Case is what is tried, Way is how leat runs it,
// Output is what was committed. bench/random/naive holds the interpreter. To
// add a construct: its naive step, a maker in makers.go, its keys in yaml.go.
package random
