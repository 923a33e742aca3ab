package random

// Mutation is a mistake that somebody could make: one text of a file in place
// of another. The random suite must notice every one (go test -tags mutation).
type Mutation struct {
	Name, File string // from the top of the tree
	Old, New   string
	Only       string // a type of step that every case has; "": any
}

// Mutations are the mistakes, by what they break.
var Mutations = []Mutation{
	{Name: "a row at the end of its window is not late", File: "window/window.go",
		Old: "	return minus(watermark, d)\n", New: "	return minus(watermark, d+1)\n"},
	{Name: "a retraction is lost", File: "operators/fold.go", Only: "aggregate",
		Old: "err = s.back.Subtract(acc[s.from:s.to], a.cols[s.k], i, h)", New: "err = nil"},
	{Name: "the watermark goes back", File: "window/watermark.go",
		Old: "v > before {", New: "v != before {"},
	{Name: "nobody asks whether a row is late", File: "engine/input.go",
		Old: "b.Origin[i] = in.water.Observe(at)", New: "in.water.Observe(at)\n\t\t\tb.Origin[i] = MinTime"},
	{Name: "rows of several inputs are taken in a wrong order", File: "engine/merge.go", Only: "union",
		Old: "case at < least:", New: "case at > least:"},
	{Name: "a rollback keeps what was done since the commit", File: "engine/task.go",
		Old: "		t.lease.Rollback()\n", New: ""},
	{Name: "a stamp comes before the rows that it speaks for", File: "engine/repartition.go", Only: "rekey",
		Old: "	w, idle := r.ctx.Watermark(), r.ctx.Idle()\n", New: "	w, idle := r.ctx.Watermark(), r.ctx.Idle()\n	if w > 0 && w < MaxTime/2 {\n		w += 5000\n	}\n"},
	{Name: "count(x) counts nulls", File: "window/aggregate/count.go",
		Old: "row int32, _ Heap) error {\n	if len(args) == 0 || !args[0].Null(row) {\n		acc[0]++", New: "row int32, _ Heap) error {\n	if true {\n		acc[0]++"},
	{Name: "a top breaks ties the other way round", File: "operators/top_flow.go", Only: "top",
		Old: "t.now.keyOf(b.Cols, i), t.number)", New: "t.now.keyOf(b.Cols, i), ^t.number)"},
	{Name: "the bound of a join is off by one", File: "operators/join_stream_stream.go", Only: "join",
		Old: "lo, hi := t-j.reach[other], t+j.reach[port]", New: "lo, hi := t-j.reach[other]-1, t+j.reach[port]"},
}
