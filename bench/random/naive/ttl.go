package naive

// alive leaves of the entries of each key those since its row last began anew:
// with a row that came when time, or its own, was more than the ttl past the
// newest before it. newest is the time
// of each key's newest row, came how far time was when its last row came.
func (s *Step) alive(entries []entry) (left []entry, newest, came map[string]int64) {
	since := map[string]int{}
	newest, came = map[string]int64{}, map[string]int64{}
	for i, e := range entries {
		if t, known := newest[e.key]; !known || max(e.row.Time, e.row.Origin) > t+s.TTL {
			since[e.key], newest[e.key] = i, e.row.Time
		}
		newest[e.key], came[e.key] = max(newest[e.key], e.row.Time), e.row.Origin
	}
	for i, e := range entries {
		if i >= since[e.key] {
			left = append(left, e)
		}
	}
	return left, newest, came
}

// faded tells whether a ttl has taken a key's row before the end of input, or
// may have: where rows move, how far time gets there is a matter of stamps. A row
// that came when its time was over goes when time moves on, if it does.
func (r *run) faded(s *Step, in *Relation, newest, came int64, part int) (gone, maybe bool) {
	end := newest + s.TTL
	if in.Water != nil && in.Record && Covered(s.Group, in) && !in.Merged && len(r.spec.Sources) == 1 {
		w := in.Water[part]
		return end < w && (end >= came || came < w), end < w
	}
	return false, end < r.latest
}
