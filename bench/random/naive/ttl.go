package naive

// alive leaves of the entries of each key those since its row last began anew:
// with a row that came when time, or its own, was more than the ttl past the
// newest before it. newest is the time
// of each key's newest row.
func (s *Step) alive(entries []entry) (left []entry, newest map[string]int64) {
	since := map[string]int{}
	newest = map[string]int64{}
	for i, e := range entries {
		if t, known := newest[e.key]; !known || max(e.row.Time, e.row.Origin) > t+s.TTL {
			since[e.key], newest[e.key] = i, e.row.Time
		}
		newest[e.key] = max(newest[e.key], e.row.Time)
	}
	for i, e := range entries {
		if i >= since[e.key] {
			left = append(left, e)
		}
	}
	return left, newest
}

// faded tells whether a ttl has taken a key's row before the end of input, or
// may have: where rows move, how far time gets there is a matter of stamps.
func (r *run) faded(s *Step, in *Relation, newest int64, part int) (gone, maybe bool) {
	if in.Water != nil && in.Record && Covered(s.Group, in) && !in.Merged && len(r.spec.Sources) == 1 {
		return newest+s.TTL < in.Water[part], false
	}
	return false, newest+s.TTL < r.latest
}
