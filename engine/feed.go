package engine

// feed is one partition a task reads: once, for all the sources that read its
// topic, and with one committed offset. In tasks that merge their inputs
// (merge.go) its rows wait here for their turn:
//
//	          at        queue             next        end
//	committed │ decoded │ as they came │   │ not here   │
//	──────────┴─────────┴──────────────┴───┴────────────┴──▶ offsets
//	      position                 behind what waits
type feed struct {
	tp       TopicPartition
	inputs   []*input // of the sources that read it, in their order; mostly one
	position Offset   // first unprocessed row; -1: not known yet
	saved    Offset   // position at the last commit

	queue   []*Rows // portions of rows that wait; the bytes stay the fetch's (Rows)
	decoded bool    // the first portion is decoded, into the inputs' batches
	at      int     // next row of the first portion
	rows    int     // of all portions
	bytes   int
	full    bool   // so much waits that the partition is to be paused
	next    Offset // of the next row to come
	end     Offset // where the partition ends, as far as somebody said
	first   Offset // a table: read to here before any stream's row; 0: no
	waited  bool   // others wait for it, since:
	since   int64  // ms
}

// Bounds of what waits in one feed: two polls of small rows. Above either the
// partition is paused, at half it goes on.
const (
	feedRows  = 8192
	feedBytes = 4 << 20
	// portionRows are decoded at a time. A turn may be one row, and what
	// operators do for a batch's N rows they do then for one.
	portionRows = 128
)

// addInput makes source s a reader of a partition.
func (t *Task) addInput(s *SourceSpec, mark int, tp TopicPartition) {
	f := t.feed(tp)
	if f == nil {
		f = &feed{tp: tp, position: -1, saved: -1}
		t.feeds = append(t.feeds, f)
	}
	in := newInput(s, mark, f)
	f.inputs = append(f.inputs, in)
	t.inputs = append(t.inputs, in)
}

func (t *Task) feed(tp TopicPartition) *feed {
	for _, f := range t.feeds {
		if f.tp == tp {
			return f
		}
	}
	return nil
}

// meta is the metadata of the feed's committed offset.
func (f *feed) meta(env TaskEnv, commit int64) OffsetMeta {
	first := f.inputs[0]
	m := OffsetMeta{Lane: env.Lane, Commit: commit, Txn: env.Txn, Watermark: first.water.Value(), Idle: first.idle}
	if first.vector != nil {
		m.Vector = encodeVector(first.vector.Append(nil))
	}
	if f.first > f.position {
		m.First = f.first
	}
	for _, in := range f.inputs {
		if in.maxTime == MinTime {
			continue
		}
		if m.Greatest == nil {
			m.Greatest = map[string]int64{}
		}
		m.Greatest[in.spec.Name] = in.maxTime
	}
	for _, in := range f.inputs[1:] {
		if m.Others == nil {
			m.Others = map[string]int64{}
		}
		m.Others[in.spec.Name] = in.water.Value()
	}
	return m
}

// seek makes at the position; nothing waits any more.
func (f *feed) seek(at Offset) {
	f.position, f.next = at, at
	f.queue, f.decoded, f.at, f.rows, f.bytes, f.full, f.waited = nil, false, 0, 0, 0, false, false
}

// push has rows wait for their turn.
func (f *feed) push(rows *Rows, now int64) {
	f.end = max(f.end, rows.End)
	if rows.Len() == 0 { // a marker
		f.next = max(f.next, rows.Next)
		if n := len(f.queue); n > 0 {
			f.queue[n-1].Next = f.next
		} else {
			f.position = max(f.position, f.next)
		}
		return
	}
	for from := 0; from < rows.Len(); from += portionRows {
		part := rows.slice(from, min(from+portionRows, rows.Len()))
		f.queue = append(f.queue, &part)
		f.rows += part.Len()
		f.bytes += part.bytes()
	}
	f.next = max(rows.Next, Offset(rows.Offsets[rows.Len()-1]+1))
	f.full = f.full || f.rows > feedRows || f.bytes > feedBytes
	f.waited = false
	for _, in := range f.inputs {
		in.heard(now)
	}
}

func (r *Rows) bytes() int {
	n := 0
	for i := range r.Values {
		n += len(r.Keys[i]) + len(r.Values[i])
	}
	return n
}

// head decodes what is needed to know the next row that has a time, and does
// what those before it ask for: rows that went wrong, stamps.
func (f *feed) head(t *Task) (bool, error) {
	for len(f.queue) > 0 {
		rows := f.queue[0]
		if !f.decoded {
			for _, in := range f.inputs {
				if err := in.decodeLazily(t, rows); err != nil {
					return false, err
				}
			}
			f.decoded, f.at = true, 0
		}
		for f.at < rows.Len() {
			for _, in := range f.inputs {
				if in.has(f.at) {
					return true, nil
				}
			}
			t.rate.begin(1, t.env.Now())
			if err := f.pass(t, 1); err != nil {
				return false, err
			}
		}
		f.pop()
	}
	return false, nil
}

// pass moves behind n rows, with what they had to say apart from data.
func (f *feed) pass(t *Task, n int) error {
	rows := f.queue[0]
	f.at += n
	f.position = Offset(rows.Offsets[f.at-1] + 1)
	if f.at == rows.Len() {
		f.position = max(f.position, rows.Next)
	}
	t.changed = true
	t.Stats.pendingIn += int64(n)
	for _, in := range f.inputs {
		in.lastRow = t.env.Now()
		if err := in.tell(t, f.at); err != nil {
			return err
		}
	}
	return nil
}

// pop drops the first portion, which is done.
func (f *feed) pop() {
	rows := f.queue[0]
	f.queue[0] = nil
	f.queue, f.decoded, f.at = f.queue[1:], false, 0
	f.rows -= rows.Len()
	f.bytes -= rows.bytes()
	if f.full && f.rows <= feedRows/2 && f.bytes <= feedBytes/2 {
		f.full = false
	}
}

// time is the event time of the head.
func (f *feed) time() int64 {
	at := MaxTime
	for _, in := range f.inputs {
		if in.has(f.at) {
			at = min(at, in.batch.Time[f.at])
		}
	}
	return at
}

// offset is that of the head, or of the row to come.
func (f *feed) offset() Offset {
	if len(f.queue) == 0 {
		return f.next
	}
	return Offset(f.queue[0].Offsets[f.at])
}

// reading tells whether it is a table that has not been read to where it
// ended at the start.
func (f *feed) reading() bool { return f.first > 0 && f.offset() < f.first || f.unheard() }

// unheard tells whether it is a table behind a repartition topic, of which not
// all who write it have said that they have read it so far.
func (f *feed) unheard() bool {
	in := f.inputs[0]
	return in.spec.Whole && in.vector != nil && !in.vector.Heard()
}

// run processes the head and the rows behind it that come before limit.
func (f *feed) run(t *Task, limit turn) error {
	rows := f.queue[0]
	n := 0
	if len(f.inputs) == 1 {
		in := f.inputs[0]
		from := in.cursor
		for in.has(f.at+n) && limit.after(in.batch.Time[f.at+n]) && (limit.until == 0 || Offset(rows.Offsets[f.at+n]) < limit.until) {
			in.observe(int32(f.at + n))
			in.cursor++
			n++
		}
		t.rate.begin(int64(n), t.env.Now())
		if err := in.deliver(t, from, in.cursor); err != nil {
			return err
		}
		return f.pass(t, n)
	}
	// Each source has its turn with a row before any has with the next.
	t.rate.begin(1, t.env.Now())
	for _, in := range f.inputs {
		if !in.has(f.at) {
			continue
		}
		in.observe(int32(f.at))
		in.cursor++
		if err := in.deliver(t, in.cursor-1, in.cursor); err != nil {
			return err
		}
	}
	return f.pass(t, 1)
}
