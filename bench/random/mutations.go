package random

// Mutation is a mistake that somebody could make: one text of a file in place
// of another. The random suite must notice every one (make test-mutations).
// All of them are built into one binary: New does what Old did, but where
// MUTANT, which is true in the run that is to make this mistake.
type Mutation struct {
	Name, File string // from the top of the tree
	Old, New   string
	Only       string // a type of step that every case has; "": any
}

// Mutations are the mistakes, by what they break.
var Mutations = []Mutation{
	{Name: "a row at the end of its window is not late", File: "window/window.go",
		Old: "	return minus(watermark, d)\n", New: "	if MUTANT {\n		d++\n	}\n	return minus(watermark, d)\n"},
	{Name: "a retraction is lost", File: "operators/fold.go", Only: "aggregate",
		Old: "		if back {\n			err = s.back.Sub", New: "		if back && MUTANT {\n		} else if back {\n			err = s.back.Sub"},
	{Name: "the watermark goes back", File: "window/watermark.go",
		Old: "v > before {", New: "v > before || MUTANT {"},
	{Name: "nobody asks whether a row is late", File: "engine/input.go",
		Old: "			if timeless {\n", New: "			if timeless || MUTANT {\n"},
	{Name: "rows of several inputs are taken in a wrong order", File: "engine/merge.go", Only: "union",
		Old: "		case at < least:", New: "		case at < least != MUTANT:"},
	{Name: "a rollback keeps what was done since the commit", File: "engine/task.go",
		Old: "	if t.lease != nil {\n		t.lease.Rollback()\n", New: "	if t.lease != nil && !MUTANT {\n		t.lease.Rollback()\n"},
	{Name: "a stamp comes before the rows that it speaks for", File: "engine/repartition.go", Only: "rekey",
		Old: "	w, idle := r.ctx.Watermark(), r.ctx.Idle()\n", New: "	w, idle := r.ctx.Watermark(), r.ctx.Idle()\n	if MUTANT && w > 0 && w < MaxTime/2 {\n		w += 5000\n	}\n"},
	{Name: "count(x) counts nulls", File: "window/aggregate/count.go", Only: "aggregate",
		Old: "row int32, _ Heap) error {\n	if len(args) == 0 || !args[0].Null(row) {\n		acc[0]++", New: "row int32, _ Heap) error {\n	if len(args) == 0 || !args[0].Null(row) || MUTANT {\n		acc[0]++"},
	{Name: "a top breaks ties the other way round", File: "operators/top_flow.go", Only: "top",
		Old: "	id := binary.BigEndian.AppendUint64(t.now.keyOf(b.Cols, i), t.number)", New: "	number := t.number\n	if MUTANT {\n		number = ^number\n	}\n	id := binary.BigEndian.AppendUint64(t.now.keyOf(b.Cols, i), number)"},
	{Name: "the bound of a join is off by one", File: "operators/join_stream_stream.go", Only: "join",
		Old: "	lo, hi := t-j.reach[other], t+j.reach[port]\n", New: "	lo, hi := t-j.reach[other], t+j.reach[port]\n	if MUTANT {\n		lo--\n	}\n"},
}
