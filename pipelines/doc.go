// Package pipelines is the language: YAML in, a checked topology out.
//
//	files ─▶ yaml.go ─▶ nodes ─▶ load ─▶ Pipeline ─▶ check ─▶ streams ─▶ Build ─▶ engine.Topology
//	        the library   │      kinds.go  the typed   names,             projection,
//	        ends here     │      is the    syntax      schemas,           repartitions,
//	                      │      grammar   tree        expressions        stores, views
//	                      └── every value keeps its place: Diagnostics point at it
//
// There are only these types: Set and Pipeline are what was read, Diagnostic is
// one thing wrong with it, Kind is one construct of the language with its keys,
// Test is an entry of tests: and Driver is what runs it.
//
// Invariants
//   - Nothing in a file is silently ignored: an unknown key, a duplicate key, a
//     wrong type, a dangling name is an error.
//   - Everything wrong is reported at once, in order of place, each once. Only a
//     syntax error stands alone, as nothing after it means anything.
//   - A text gets its type from the key it stands under, never from YAML.
//   - The text of an expression is never changed: ${VAR} stays out of it.
//   - The value of an environment variable or a secret is in no message.
//   - Bad input never panics (FuzzLoad).
//   - Names, not positions, are the identity of state and internal topics.
//
// To add a construct: one entry in kinds.go, one case where its group is read
// (source.go, transform.go, sink.go, pipeline.go), one in stream.go for what it
// makes of its input, one in build.go for its operator, and its errors in
// testdata/errors. docs/reference.md follows by itself.
package pipelines
