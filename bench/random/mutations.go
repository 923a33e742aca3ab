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
	{Name: "a match may last a millisecond longer", File: "operators/detect_match.go", Only: "detect",
		Old: "	d.due.set(at.time+d.within+1, key)\n	return nil\n", New: "	due := at.time + d.within + 1\n	if MUTANT {\n		due++\n	}\n	d.due.set(due, key)\n	return nil\n"},
	{Name: "a match does not end at an absent row", File: "operators/detect_match.go", Only: "detect",
		Old: "err != nil || is {\n			return false, false, err\n", New: "err != nil || is && !MUTANT {\n			return false, false, err\n"},
	{Name: "an upcast leaves out the step from the row's own version", File: "operators/upcast.go", Only: "upcast",
		Old: "u.versions[i] <= step.From {", New: "u.versions[i] < step.From || u.versions[i] == step.From && !MUTANT {"},
	{Name: "a row past the ttl finds the old state", File: "operators/reduce_fold.go", Only: "reduce",
		Old: "r.ttl > 0 && t > last+r.ttl }", New: "r.ttl > 0 && t > last+r.ttl && !MUTANT }"},
	{Name: "days begin when they would if the clock had not changed yet", File: "window/calendar.go", Only: "calendar",
		Old: "	return instant(g.loc, day*dayMs+g.clock)\n", New: "	if MUTANT {\n		off, _, _ := zoneAt(g.loc, day*dayMs+g.clock-dayMs)\n		return day*dayMs + g.clock - off\n	}\n	return instant(g.loc, day*dayMs+g.clock)\n"},
	{Name: "late rows of a join's right side are lost", File: "operators/join_stream_stream.go", Only: "join",
		Old: "		j.late = append(j.late, i)\n", New: "		if !MUTANT {\n			j.late = append(j.late, i)\n		}\n"},
	{Name: "sessions a gap apart are two", File: "operators/session.go", Only: "aggregate",
		Old: "t <= last+s.gap && last >= horizon {", New: "(t < last+s.gap || t == last+s.gap && !MUTANT) && last >= horizon {"},
	{Name: "a quantile is that of the next value", File: "window/aggregate/sketch.go", Only: "aggregate",
		Old: "	v, ok := s.quantile(acc, q, h)\n	if !ok {\n		out.SetNull(row)", New: "	if MUTANT {\n		q = min(1, q+0.25)\n	}\n	v, ok := s.quantile(acc, q, h)\n	if !ok {\n		out.SetNull(row)"},
	{Name: "of writes at one time the first wins", File: "window/aggregate/replica.go", Only: "aggregate",
		Old: "	if c := bytes.Compare(a.a, b.a); c != 0 {\n", New: "	if c := bytes.Compare(a.a, b.a); c != 0 {\n		if MUTANT {\n			return -c\n		}\n"},
	{Name: "elements that are equal are one row", File: "operators/flat_map.go", Only: "flat_map",
		Old: "	for k := range f.texts {\n		r, err", New: "	for k := range f.texts {\n		if MUTANT && k > 0 && f.texts[k] == f.texts[k-1] {\n			continue\n		}\n		r, err"},
	{Name: "a condition that is null holds of an element", File: "operators/expr/predicate.go", Only: "flat_map",
		Old: "!c.Null(e) && c.Bools[e]\n", New: "(c.Null(e) && MUTANT || !c.Null(e) && c.Bools[e])\n"},
	{Name: "the clock moves time too far by a millisecond", File: "engine/input.go", Only: "idle",
		Old: "		to := greatest - spec.Watermark.MaxOutOfOrderness.Milliseconds() + now - last\n", New: "		to := greatest - spec.Watermark.MaxOutOfOrderness.Milliseconds() + now - last\n		if MUTANT {\n			to++\n		}\n"},
	{Name: "tasks that are idle are not waited for where the clock lets go what they hold", File: "engine/graph.go", Only: "idle",
		Old: "	case held && drains:\n", New: "	case held && drains && !MUTANT:\n"},
	{Name: "time that the clock has moved is not committed", File: "engine/input.go", Only: "idle",
		Old: "				in.clock, t.changed = true, true\n", New: "				in.clock, t.changed = true, t.changed || !MUTANT\n"},
	{Name: "of many distinct values some are lost when they are counted no longer one by one", File: "window/aggregate/count_distinct.go", Only: "distinct",
		Old: "		i, rho := register(le.Uint64(hashes[8*k:]))\n", New: "		if MUTANT && k%4 == 0 {\n			continue\n		}\n		i, rho := register(le.Uint64(hashes[8*k:]))\n"},
}
