package naive

// bounds are the windows [start, end) that hold t and are fixed by the clock:
// tumbling, hopping, cumulate.
func (w *Window) bounds(t int64) (out [][2]int64) {
	if w.Zone != "" {
		return w.civil(t)
	}
	switch w.Type {
	case "tumbling", "hopping":
		step := w.Advance
		if w.Type == "tumbling" {
			step = w.Size
		}
		// The last start at or before t, then back while it still holds t.
		start := floor(t-w.Offset, step)*step + w.Offset
		for ; start+w.Size > t; start -= step {
			out = append(out, [2]int64{start, start + w.Size})
		}
	case "cumulate":
		start := floor(t-w.Offset, w.Size)*w.Size + w.Offset
		for end := start + w.Step; end <= start+w.Size; end += w.Step {
			if t < end {
				out = append(out, [2]int64{start, end})
			}
		}
	}
	return out
}

func floor(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// late tells whether a row that came at origin is late for a window with an
// exclusive end.
func (w *Window) late(end, origin int64) bool { return origin != Never && end <= origin-w.Grace }
